"""Whether the live workers do what a control record says."""

from dataclasses import replace

import pytest

from schemas import codec
from schemas.errors import Code
from schemas.servable_status import ASLEEP, ServableState, ServableStatus
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions, VersionSelection
from schemas.worker_status import WorkerState, WorkerStatus
from worker.convergence import Converged, Failed, Unwanted, Waiting, Wanted, look
from worker.fleet import Fleet
from worker.status_topic import WHOLE_MODEL, key_of

NOW_MS = 100_000.0
FIRST = SpecificVersions((1,))
AVAILABLE, LOADING, END = ServableState.AVAILABLE, ServableState.LOADING, ServableState.END


def worker(name: str = "w", *, applied: int = 5, group: str = "g") -> WorkerStatus:
    """A worker's word on itself."""
    return WorkerStatus(name, group, "host", "1.0", applied, WorkerState.SERVING, 15_000, 0)


def version(
    number: int = 1,
    state: ServableState = AVAILABLE,
    code: int = 0,
    message: str = "",
    *,
    offset: int = 5,
    on: str = "w",
) -> ServableStatus:
    """A worker's word on a version."""
    return ServableStatus(on, "m", number, state, code, message, control_offset=offset)


def fleet(*records: WorkerStatus | ServableStatus, heard_ms: int = 99_000) -> Fleet:
    """What these records say."""
    result = Fleet()
    for record in records:
        result.apply(key_of(record), codec.encode(record), heard_ms)
    return result


def seen(
    what: Fleet, selection: VersionSelection = FIRST, number: int | None = None
) -> Converged | Waiting | Failed:
    """How far the record at offset 5 has come."""
    return look(what, "g", Wanted("m", 5, selection, number), NOW_MS)


def test_it_has_converged_when_each_live_worker_has_the_versions_available() -> None:
    """Each is named with its versions."""
    both = fleet(worker(), version(), worker("x"), version(on="x"))

    assert seen(both) == Converged({"w": (1,), "x": (1,)})


def test_without_a_live_worker_it_waits() -> None:
    """A dead one, and one of another group, do not count."""
    assert seen(Fleet()) == Waiting(("no live worker in group 'g'",))
    assert seen(fleet(worker(), version(), heard_ms=85_000)) == Waiting(("no live worker in group 'g'",))
    assert seen(fleet(worker(group="other"), version())) == Waiting(("no live worker in group 'g'",))


def test_a_worker_that_has_not_read_the_record_is_waited_for() -> None:
    """Whatever it serves by now."""
    behind = fleet(worker(), version(), worker("x", applied=4), version(on="x", offset=4))

    assert seen(behind) == Waiting(("x: has not read the record yet",))


def test_a_version_that_sleeps_until_it_is_asked_for_is_as_wanted() -> None:
    """What is on its way is not; that it slept by an earlier record does not count."""
    asleep = replace(version(state=ServableState.START), parameters={ASLEEP: b"true"})
    assert seen(fleet(worker(), asleep)) == Converged({"w": (1,)})
    assert seen(fleet(worker(), asleep), LatestVersions(1)) == Converged({"w": (1,)})
    assert seen(fleet(worker(), version(state=ServableState.START))) == Waiting(("w: version 1 is START",))
    assert isinstance(seen(fleet(worker(), replace(asleep, control_offset=4))), Waiting)
    cancelled = version(
        state=END, code=Code.CANCELLED, message="cancelled"
    )  # it had to make room as it loaded
    assert seen(fleet(worker(), cancelled)) == Waiting(("w: version 1 is END (cancelled)",))


@pytest.mark.parametrize("selection", [SpecificVersions((1,)), LatestVersions(1), AllVersions()])
def test_a_version_that_follows_an_earlier_record_does_not_count(selection: VersionSelection) -> None:
    """The same number may then have meant other files."""
    waiting = seen(fleet(worker(), version(offset=4)), selection)
    assert isinstance(waiting, Waiting)
    if isinstance(selection, SpecificVersions):
        assert waiting.reasons == ("w: version 1 is AVAILABLE by an earlier record",)


def test_a_version_on_its_way_is_waited_for_with_its_reason() -> None:
    """A try that failed says why while the next one is waited for."""
    loading = fleet(worker(), version(1, LOADING, 14, "disk on fire"))

    assert seen(loading) == Waiting(("w: version 1 is LOADING (disk on fire)",))


def test_a_failed_version_fails_with_worker_and_reason() -> None:
    """Nobody waits for the others."""
    failed = fleet(worker(), version(1, END, 9, "corrupt"), worker("x", applied=4))

    assert seen(failed) == Failed("w", "version 1: corrupt")


def test_a_problem_of_the_whole_model_fails() -> None:
    """A base path without versions, an invalid record."""
    failed = fleet(worker(), version(WHOLE_MODEL, END, 5, "no version"))

    assert seen(failed, LatestVersions(1)) == Failed("w", "no version")


def test_a_problem_of_an_earlier_record_is_over() -> None:
    """It is about to be taken away."""
    healed = fleet(worker(), version(), version(WHOLE_MODEL, END, 5, "no version", offset=4))

    assert seen(healed) == Converged({"w": (1,)})


@pytest.mark.parametrize("selection", [LatestVersions(2), AllVersions()])
def test_of_a_watched_selection_each_worker_waits_for_what_it_has_found(selection: VersionSelection) -> None:
    """Which versions exist is each replica's observation."""
    found = fleet(worker(), version(2), version(3, LOADING), worker("x"), version(2, on="x"))

    assert seen(found, selection) == Waiting(("w: version 3 is LOADING",))
    assert seen(fleet(worker()), selection) == Waiting(("w: has not found the versions yet",))


def test_one_version_may_be_all_that_matters() -> None:
    """The others of the record may fail."""
    half = fleet(worker(), version(1), version(2, END, 9, "corrupt"))

    assert seen(half, SpecificVersions((1, 2)), 1) == Converged({"w": (1,)})
    assert isinstance(seen(half, SpecificVersions((1, 2))), Failed)


def test_a_model_is_gone_when_no_live_worker_has_a_version_of_it() -> None:
    """Each must have read the removal; what a dead one had does not count, nor do models beside it."""

    def gone(what: Fleet) -> Converged | Waiting | Failed:
        return look(what, "g", Unwanted("m", 5), NOW_MS)

    assert gone(fleet(worker(applied=4))) == Waiting(("w: has not read the record yet",))
    assert gone(fleet(worker(), version())) == Waiting(("w: version 1 is AVAILABLE",))
    assert gone(fleet(worker(), version(WHOLE_MODEL, END, 5, "no version"))) == Converged({"w": ()})
    assert gone(fleet(worker(), version(), heard_ms=85_000)) == Converged({})
    assert gone(Fleet()) == Converged({})
