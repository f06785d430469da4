"""The state machine of one loader's life."""

import re
from collections.abc import Callable

import pytest

from lifecycle import errors
from lifecycle.backoff import Backoff
from lifecycle.loader_harness import (
    TRANSITIONS,
    HarnessState,
    LoaderHarness,
    LoadOptions,
    Outcome,
    transition_diagram,
)
from lifecycle.servable_id import ServableId

S = HarnessState
ID = ServableId("m", 1)


def harness(retries: int = 0, wait: float = 10.0, timeout: float | None = None) -> LoaderHarness:
    """A new harness."""
    return LoaderHarness(ID, LoadOptions(retries, Backoff(wait), timeout))


def loading(retries: int = 0, wait: float = 10.0, timeout: float | None = None) -> LoaderHarness:
    """A harness whose first try began at 0."""
    made = harness(retries, wait, timeout)
    made.request_load()
    made.approve_load()
    assert made.begin_attempt(0.0)
    return made


def in_state(state: HarnessState) -> LoaderHarness:
    """A harness in that state, having come there by its methods."""
    made = harness() if state in {S.NEW, S.ERROR, S.LOAD_REQUESTED, S.LOAD_APPROVED} else loading()
    road: dict[HarnessState, list[Callable[[], object]]] = {
        S.NEW: [],
        S.ERROR: [lambda: made.fail(errors.LoadFailed("told so"))],
        S.LOAD_REQUESTED: [made.request_load],
        S.LOAD_APPROVED: [made.request_load, made.approve_load],
        S.LOADING: [],
    }
    later = [
        (S.READY, lambda: made.end_attempt(None, 1.0)),
        (S.UNLOAD_REQUESTED, made.request_unload),
        (S.QUIESCING, made.start_quiescing),
        (S.QUIESCED, made.finish_quiescing),
        (S.UNLOADING, made.start_unloading),
        (S.DISABLED, made.finish_unloading),
    ]
    states = [each for each, _ in later]
    moves = road.get(state) or (
        [move for _, move in later[: states.index(state) + 1]] if state in states else []
    )
    for move in moves:
        move()
    assert made.state is state
    return made


def test_life_goes_through_every_state() -> None:
    """From new to disabled, each move leads to the next state."""
    life = harness()
    seen = [life.state]
    for move in (
        life.request_load,
        life.approve_load,
        lambda: life.begin_attempt(0.0),
        lambda: life.end_attempt(None, 2.5),
        life.request_unload,
        life.start_quiescing,
        life.finish_quiescing,
        life.start_unloading,
        life.finish_unloading,
    ):
        move()
        seen.append(life.state)

    assert seen == [each for each in HarnessState if each is not S.ERROR]
    assert (life.error, life.attempts, life.attempt_seconds) == (None, 1, 2.5)


MOVES: dict[str, tuple[HarnessState, Callable[[LoaderHarness], object]]] = {
    "request_load": (S.LOAD_REQUESTED, LoaderHarness.request_load),
    "approve_load": (S.LOAD_APPROVED, LoaderHarness.approve_load),
    "begin_attempt": (S.LOADING, lambda each: each.begin_attempt(0.0)),
    "request_unload": (S.UNLOAD_REQUESTED, LoaderHarness.request_unload),
    "start_quiescing": (S.QUIESCING, LoaderHarness.start_quiescing),
    "finish_quiescing": (S.QUIESCED, LoaderHarness.finish_quiescing),
    "start_unloading": (S.UNLOADING, LoaderHarness.start_unloading),
    "finish_unloading": (S.DISABLED, LoaderHarness.finish_unloading),
    "fail": (S.ERROR, lambda each: each.fail(errors.LoadFailed("told so"))),
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("state", HarnessState, ids=lambda state: state.name)
def test_each_move_from_each_state_follows_the_table(state: HarnessState, name: str) -> None:
    """A listed move is made; one that is not listed raises and changes nothing."""
    target, move = MOVES[name]
    subject = in_state(state)
    before = (subject.state, subject.error, subject.attempts)

    if target in TRANSITIONS[state]:
        move(subject)

        assert subject.state is target
    elif state is S.ERROR and name == "begin_attempt":
        assert not subject.begin_attempt(0.0), "a job that is begun after the life has ended does nothing"
    else:
        with pytest.raises(errors.IllegalTransition, match=re.escape(f"m/1 is {state.value!r}")):
            move(subject)
        assert (subject.state, subject.error, subject.attempts) == before


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    """The table lists each state, and each but the first is the target of some move."""
    assert set(TRANSITIONS) == set(HarnessState)
    assert set().union(*TRANSITIONS.values()) == set(HarnessState) - {S.NEW}


def test_diagram_shows_the_table() -> None:
    """Each listed move is an arrow, and nothing else is."""
    arrows = set(re.findall(r"(\w+) --> (\w+)", transition_diagram()))

    assert arrows == {(a.name, b.name) for a, targets in TRANSITIONS.items() for b in targets}


@pytest.mark.parametrize("move", ["request_load", "request_unload"])
def test_only_the_first_request_succeeds(move: str) -> None:
    """A second request for a load, or for an unload, is refused."""
    subject = in_state(S.NEW if move == "request_load" else S.READY)
    getattr(subject, move)()

    with pytest.raises(errors.IllegalTransition):
        getattr(subject, move)()


def test_error_of_a_load_is_kept_in_words() -> None:
    """A failed load ends in error, with the reason in a class of ours and without the foreign exception."""
    subject = loading()

    assert subject.end_attempt(OSError("disk on fire"), 1.0) is Outcome.FAILED

    assert subject.state is S.ERROR
    assert isinstance(subject.error, errors.LoadFailed)
    assert str(subject.error) == "loading m/1 failed (try 1 of 1): OSError: disk on fire"
    assert subject.error.__cause__ is None
    assert subject.error.__context__ is None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "MemoryError; there was no memory left for it: unload another version"),
        (SystemExit("no licence"), "SystemExit: no licence; this would have ended its thread"),
        (OSError(), "OSError"),
    ],
)
def test_error_of_a_load_says_what_to_do_where_its_kind_tells(error: BaseException, said: str) -> None:
    """Who reads it at night does not know what a loader's author meant."""
    subject = loading()

    assert subject.end_attempt(error, 1.0) is Outcome.FAILED

    assert str(subject.error).startswith(f"loading m/1 failed (try 1 of 1): {said}")
    assert subject.error is not None
    assert subject.error.__context__ is None


def test_error_can_be_told_from_outside() -> None:
    """An owner that knows of a reason ends the life with it, before anything is loaded."""
    subject = harness()

    subject.fail(errors.LoadFailed("no loader"))

    assert (subject.state, str(subject.error)) == (S.ERROR, "no loader")


def test_what_is_loaded_cannot_be_failed() -> None:
    """A ready servable can only be unloaded: as an error it would stay in memory for ever."""
    subject = in_state(S.READY)

    with pytest.raises(errors.IllegalTransition):
        subject.fail(errors.LoadFailed("no"))


def test_load_is_tried_again_until_it_succeeds() -> None:
    """After a failed try comes another, not before the wait is over, and its success forgets the error."""
    subject = loading(retries=2, wait=10.0)

    assert subject.end_attempt(OSError("not yet"), 1.0) is Outcome.RETRY
    assert "try 1 of 3" in str(subject.error)
    assert not subject.take_due_retry(10.9)
    assert subject.take_due_retry(11.0)
    assert subject.begin_attempt(11.0)
    assert subject.end_attempt(None, 12.0) is Outcome.READY

    assert (subject.state, subject.error, subject.attempts) == (S.READY, None, 2)


def test_load_is_given_up_after_the_last_try() -> None:
    """With two retries, the third failure is the end."""
    subject = loading(retries=2, wait=0.0)
    outcomes = [subject.end_attempt(OSError("1"), 0.0)]
    for number in ("2", "3"):
        assert subject.take_due_retry(0.0)
        assert subject.begin_attempt(0.0)
        outcomes.append(subject.end_attempt(OSError(number), 0.0))

    assert outcomes == [Outcome.RETRY, Outcome.RETRY, Outcome.FAILED]
    assert str(subject.error) == "loading m/1 failed (try 3 of 3): OSError: 3"


def test_due_retry_is_taken_once() -> None:
    """Two steps do not begin the same try twice."""
    subject = loading(retries=1, wait=1.0)
    subject.end_attempt(OSError(), 0.0)

    assert [subject.take_due_retry(1.0), subject.take_due_retry(1.0)] == [True, False]


def test_permanent_failure_is_not_tried_again() -> None:
    """A failure that no repetition heals ends at once, however many tries are left."""
    subject = loading(retries=5)

    assert subject.end_attempt(errors.PermanentLoadFailure("a forbidden operation"), 0.0) is Outcome.FAILED
    assert isinstance(subject.error, errors.PermanentLoadFailure)


def test_cancel_ends_the_wait_between_two_tries() -> None:
    """A cancelled load that waits ends at once, with the reason of its last try."""
    subject = loading(retries=5)
    subject.end_attempt(OSError("not yet"), 0.0)

    assert subject.cancel_load()

    assert (subject.state, subject.take_due_retry(100.0)) == (S.ERROR, False)
    assert "not yet" in str(subject.error)


def test_cancel_before_the_first_try_ends_the_load() -> None:
    """A cancelled load that waits for a thread ends at once, and its job then finds nothing to do."""
    subject = in_state(S.LOAD_APPROVED)

    assert subject.cancel_load()

    assert not subject.begin_attempt(1.0)
    assert isinstance(subject.error, errors.LoadCancelled)


def test_cancel_lets_a_running_try_be_the_last() -> None:
    """A try that fails after the cancel is not repeated, and its own error stands."""
    subject = loading(retries=5)

    assert not subject.cancel_load()
    assert subject.end_attempt(OSError("own error"), 1.0) is Outcome.FAILED

    assert "own error" in str(subject.error)


def test_success_after_a_cancel_is_unloaded() -> None:
    """A load that succeeds though nobody wants it goes straight to its unload, and was never ready."""
    subject = loading()
    subject.cancel_load()

    assert subject.end_attempt(None, 1.0) is Outcome.UNWANTED
    before = subject.state
    subject.finish_unloading()

    assert (before, subject.state) == (S.UNLOADING, S.DISABLED)
    assert isinstance(subject.error, errors.LoadCancelled)


@pytest.mark.parametrize("state", [S.NEW, S.READY, S.QUIESCING, S.DISABLED, S.ERROR], ids=lambda s: s.name)
def test_cancel_concerns_loads_only(state: HarnessState) -> None:
    """Where no load is wanted or under way, a cancel changes nothing."""
    subject = in_state(state)

    assert not subject.cancel_load()
    assert subject.state is state


def test_load_past_its_limit_has_failed() -> None:
    """A try that takes longer than the limit is an error at once and is not repeated."""
    subject = loading(retries=5, timeout=60.0)

    assert not subject.expire(60.0)
    assert subject.expire(60.5)

    assert isinstance(subject.error, errors.LoadTimedOut)
    assert str(subject.error).startswith("loading m/1 took longer than its limit of 60 s; raise ")
    assert (subject.state, subject.running) == (S.ERROR, True)
    assert not subject.expire(61.0)


@pytest.mark.parametrize("error", [None, OSError("late")], ids=["succeeds", "fails"])
def test_late_end_changes_nothing(error: Exception | None) -> None:
    """However the forgotten try ends, the reported failure stands."""
    subject = loading(timeout=60.0)
    subject.expire(61.0)

    assert subject.end_attempt(error, 100.0) is Outcome.LATE

    assert isinstance(subject.error, errors.LoadTimedOut)
    assert (subject.state, subject.running) == (S.ERROR, False)


def test_limit_holds_when_nobody_looked_meanwhile() -> None:
    """A try that succeeds past its limit has failed, also when no step came in between."""
    subject = loading(timeout=60.0)

    assert subject.end_attempt(None, 61.0) is Outcome.LATE
    assert isinstance(subject.error, errors.LoadTimedOut)


def test_limit_counts_each_try_anew() -> None:
    """The wait between tries and earlier tries do not count."""
    subject = loading(retries=1, wait=100.0, timeout=60.0)
    subject.end_attempt(OSError(), 50.0)
    assert not subject.expire(120.0)
    assert subject.take_due_retry(150.0)
    subject.begin_attempt(150.0)

    assert not subject.expire(210.0)
    assert subject.end_attempt(None, 210.0) is Outcome.READY


def test_failed_unload_ends_in_error() -> None:
    """What cannot be unloaded is shown, with the reason."""
    subject = in_state(S.UNLOADING)

    subject.finish_unloading(RuntimeError("cannot let go"))

    assert subject.state is S.ERROR
    assert str(subject.error) == "unloading m/1 failed: RuntimeError: cannot let go"


@pytest.mark.parametrize(
    ("retries", "timeout", "word"),
    [(-1, None, "retries"), (0, 0.0, "timeout_seconds"), (0, -5.0, "timeout_seconds")],
)
def test_wrong_options_are_refused(retries: int, timeout: float | None, word: str) -> None:
    """An option outside its range is named at construction."""
    with pytest.raises(ValueError, match=word):
        LoadOptions(retries, Backoff(1.0), timeout)


def test_waits_between_tries_grow() -> None:
    """As the options say, by the tries so far."""
    subject = LoaderHarness(ID, LoadOptions(retries=2, retry_wait=Backoff(10.0, 20.0)))
    subject.request_load()
    subject.approve_load()
    for now, wait in ((0.0, 10.0), (100.0, 20.0)):
        assert subject.begin_attempt(now)
        assert subject.end_attempt(OSError("away"), now) is Outcome.RETRY
        assert not subject.take_due_retry(now + wait - 1.0)
        assert subject.take_due_retry(now + wait)


def test_a_wait_between_tries_can_be_ended() -> None:
    """Nothing else can: a try that is under way goes on, and what is over is over."""
    subject = LoaderHarness(ID, LoadOptions(retries=1, retry_wait=Backoff(10.0)))
    assert not subject.hasten()
    subject.request_load()
    subject.approve_load()
    assert subject.begin_attempt(0.0)
    assert not subject.hasten()
    subject.end_attempt(OSError("away"), 0.0)
    assert subject.hasten()
    assert subject.take_due_retry(0.0)
    assert subject.begin_attempt(0.0)
    assert subject.end_attempt(OSError("away"), 0.0) is Outcome.FAILED
    assert not subject.hasten()


def estimating(retries: int = 0, timeout: float | None = None) -> LoaderHarness:
    """A harness whose first estimate began at 0."""
    made = harness(retries, 10.0, timeout)
    made.request_load()
    assert made.begin_estimate(0.0)
    return made


def test_estimate_that_succeeds_changes_nothing_but_what_is_known() -> None:
    """The owner approves the load once there is room."""
    life = estimating()

    assert life.end_estimate(None, 1.0) is Outcome.READY

    assert (life.state, life.attempts, life.running) == (S.LOAD_REQUESTED, 0, False)
    life.approve_load()


def test_estimate_is_tried_as_often_as_a_load_and_beside_it() -> None:
    """Its tries are counted for themselves."""
    life = estimating(retries=1)
    assert life.end_estimate(OSError("not yet"), 0.0) is Outcome.RETRY
    assert (life.take_due_retry(9.0), life.take_due_retry(10.0)) == (False, True)
    assert life.begin_estimate(10.0)
    assert life.end_estimate(None, 10.0) is Outcome.READY
    assert life.error is None
    life.approve_load()
    assert life.begin_attempt(20.0)
    assert life.end_attempt(OSError("not yet"), 20.0) is Outcome.RETRY


def test_estimate_is_given_up_after_the_last_try() -> None:
    """The reason says what was tried."""
    life = estimating()

    assert life.end_estimate(OSError("no such file"), 0.0) is Outcome.FAILED

    assert life.state is S.ERROR
    assert str(life.error) == "estimating what m/1 needs failed (try 1 of 1): OSError: no such file"


def test_estimate_past_its_limit_has_failed() -> None:
    """While it runs, or when it ends."""
    hanging, slow = estimating(timeout=60.0), estimating(timeout=60.0)
    assert not hanging.expire(60.0)
    assert hanging.expire(61.0)
    assert (hanging.state, hanging.running) == (S.ERROR, True)
    assert hanging.end_estimate(None, 70.0) is Outcome.LATE
    assert not hanging.running

    assert slow.end_estimate(None, 61.0) is Outcome.FAILED
    assert isinstance(slow.error, errors.LoadTimedOut)


def test_cancel_ends_an_estimate() -> None:
    """At once where none is running, else when it ends."""
    waiting, running = estimating(retries=1), estimating()
    waiting.end_estimate(OSError("own error"), 0.0)
    assert waiting.cancel_load()
    assert "own error" in str(waiting.error)

    assert not running.cancel_load()
    assert running.end_estimate(None, 1.0) is Outcome.FAILED
    assert isinstance(running.error, errors.LoadCancelled)
    assert not running.begin_estimate(2.0), "a job that is begun after the life has ended does nothing"
