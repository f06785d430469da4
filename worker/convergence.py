"""Whether every live worker of a group does what a control record says: a pure look at the fleet."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import Code
from schemas.servable_status import ServableState, ServableStatus
from schemas.version_selection import SpecificVersions, VersionSelection
from worker.fleet import Fleet, Member
from worker.status_topic import WHOLE_MODEL


@dataclass(frozen=True)
class Wanted:
    """What is waited for.

    Attributes:
        model: the model's name.
        offset: the offset of its control record.
        selection: which versions the record names.
        version: the only version that matters; None: all that the record names.
    """

    model: str
    offset: int
    selection: VersionSelection
    version: int | None = None


@dataclass(frozen=True)
class Unwanted:
    """A model that is to go, by the removal at *offset*."""

    model: str
    offset: int


Goal = Wanted | Unwanted


@dataclass(frozen=True)
class Converged:
    """Every live worker has done it; the versions that each has (none where the model was to go).

    They are available; those of a lazy model may be asleep, which is all that a worker does before one is asked for.
    """

    workers: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Waiting:
    """Not yet; a reason for each worker that is behind, or one without a worker's name."""

    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Failed:
    """A worker cannot: its name and why."""

    worker: str
    reason: str


Outcome = Converged | Waiting | Failed


def look(fleet: Fleet, group: str, goal: Goal, now_ms: float) -> Outcome:
    """How far the live workers of *group* have come with *goal*."""
    live = fleet.live(now_ms, group)
    if isinstance(goal, Unwanted):
        return _look_for_end(fleet, live, goal)
    return _look_for_all(fleet, live, group, goal)


def _look_for_all(fleet: Fleet, live: Mapping[str, Member], group: str, wanted: Wanted) -> Outcome:
    if not live:
        return Waiting((f"no live worker in group {group!r}",))
    reasons: list[str] = []
    done: dict[str, tuple[int, ...]] = {}
    for worker, member in live.items():
        outcome = _look_at(fleet, worker, member, wanted)
        if isinstance(outcome, Failed):
            return outcome
        if isinstance(outcome, str):
            reasons.append(f"{worker}: {outcome}")
        else:
            done[worker] = outcome
    return Waiting(tuple(reasons)) if reasons else Converged(done)


def _look_for_end(fleet: Fleet, live: Mapping[str, Member], unwanted: Unwanted) -> Outcome:
    reasons = []
    for worker, member in live.items():
        left = [s for s in fleet.servables(worker, unwanted.model) if s.version != WHOLE_MODEL]
        if member.status.control_offset < unwanted.offset:
            reasons.append(f"{worker}: has not read the record yet")
        elif left:
            reasons.append(f"{worker}: {', '.join(f'version {s.version} is {s.state}' for s in left)}")
    return Waiting(tuple(reasons)) if reasons else Converged(dict.fromkeys(live, ()))


def _look_at(fleet: Fleet, worker: str, member: Member, wanted: Wanted) -> tuple[int, ...] | str | Failed:
    if member.status.control_offset < wanted.offset:
        return "has not read the record yet"
    # A status that follows an earlier record speaks of what was wanted then.
    latest = {s.version: s for s in fleet.servables(worker, wanted.model)}
    said = {version: s for version, s in latest.items() if s.control_offset >= wanted.offset}
    whole = said.pop(WHOLE_MODEL, None)
    if whole is not None and whole.code != Code.OK:
        return Failed(worker, whole.message)
    versions = _versions(wanted, said)
    if not versions:
        return "has not found the versions yet"
    for version in versions:
        status = said.get(version)
        # A load that was cancelled is of a lazy model that had to make room.
        ended = status is not None and status.state is ServableState.END
        if status is not None and ended and status.code not in (Code.OK, Code.CANCELLED):
            return Failed(worker, f"version {version}: {status.message}")
    missing = [v for v in versions if v not in said or not is_there(said[v])]
    if missing:
        return ", ".join(_how(version, said.get(version), latest.get(version)) for version in missing)
    return versions


def is_there(status: ServableStatus) -> bool:
    """Whether a version can answer: it is available, or will be once it is asked for."""
    return status.state is ServableState.AVAILABLE or status.asleep


def _versions(wanted: Wanted, said: Mapping[int, ServableStatus]) -> tuple[int, ...]:
    if wanted.version is not None:
        return (wanted.version,)
    if isinstance(wanted.selection, SpecificVersions):
        return wanted.selection.versions
    return tuple(v for v, s in said.items() if s.state is not ServableState.END or s.code != Code.OK)


def _how(version: int, status: ServableStatus | None, earlier: ServableStatus | None) -> str:
    if status is None and earlier is not None:
        return f"version {version} is {earlier.state} by an earlier record"
    if status is None:
        return f"version {version} is not there yet"
    reason = f" ({status.message})" if status.message else ""
    return f"version {version} is {status.state}{reason}"
