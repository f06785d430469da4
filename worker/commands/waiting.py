"""Waits until the fleet does what a control record says, and tells on the way what it waits for."""

import time
from collections.abc import Callable, Sequence

from worker.commands.control_access import ControlAccess
from worker.commands.failure import CommandFailedError
from worker.convergence import Converged, Failed, Waiting, Wanted, look, look_for_end
from worker.fleet_reader import FleetReader

Tell = Callable[[str], None]
"""Shows one line beside the result."""

_POLL_SECONDS = 0.2


def wait_until_served(
    access: ControlAccess,
    wanted: Wanted,
    timeout_seconds: float,
    tell: Tell,
    clock: Callable[[], float] = time.monotonic,
) -> Converged:
    """Wait until every live worker of the group, and at least one, has applied the record and serves the versions.

    Raises:
        CommandFailedError: a worker cannot (it is named, with the reason), or the time is over.
        KafkaProblem: the status topic is missing or cannot be read.
    """

    def outcome(fleet: FleetReader) -> Converged | Sequence[str]:
        seen = look(fleet.fleet, access.group, wanted, fleet.now_ms())
        if isinstance(seen, Failed):
            raise CommandFailedError(
                f"model {wanted.model!r} has failed on worker {seen.worker}: {seen.reason}"
            )
        return seen.reasons if isinstance(seen, Waiting) else seen

    return _wait(access, f"model {wanted.model!r} is not served", outcome, timeout_seconds, tell, clock)


def wait_until_gone(
    access: ControlAccess,
    model: str,
    offset: int,
    timeout_seconds: float,
    tell: Tell,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until no live worker of the group has a version of the model any more. Raises as `wait_until_served`."""

    def outcome(fleet: FleetReader) -> Converged | Sequence[str]:
        seen = look_for_end(fleet.fleet, access.group, model, offset, fleet.now_ms())
        return Converged({}) if seen is None else seen.reasons

    _wait(access, f"model {model!r} is not gone", outcome, timeout_seconds, tell, clock)


def _wait(
    access: ControlAccess,
    what: str,
    outcome: Callable[[FleetReader], Converged | Sequence[str]],
    timeout_seconds: float,
    tell: Tell,
    clock: Callable[[], float],
) -> Converged:
    deadline = clock() + timeout_seconds
    told: Sequence[str] = ()
    with access.watching() as fleet:
        while True:
            seen = outcome(fleet)
            if isinstance(seen, Converged):
                return seen
            if seen != told:
                told = seen
                tell("waiting: " + "; ".join(seen))
            if clock() >= deadline:
                raise CommandFailedError(f"{what} after {timeout_seconds:g} s: {'; '.join(seen)}")
            fleet.poll(_POLL_SECONDS)
