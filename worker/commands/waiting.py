"""Waits until the fleet does what control records say, and shows on the way what is waited for."""

import time
from collections.abc import Callable, Mapping, Sequence

from worker.commands.control_access import ControlAccess
from worker.commands.failure import CommandFailedError
from worker.commands.model_views import time_text
from worker.commands.progress import Progress, Tell, new_progress
from worker.convergence import Converged, Failed, Goal, Outcome, Unwanted, Waiting, look
from worker.fleet import Member

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 1.0
"""At least so often it is looked again without news: leases run out."""


def wait_until_done(
    access: ControlAccess,
    goal: Goal,
    timeout_seconds: float,
    tell: Tell,
    clock: Callable[[], float] = time.monotonic,
) -> Converged:
    """Wait until every live worker of the group, and at least one, has applied the record and serves its versions.

    Where the model is to go: until no live worker has a version of it any more.

    Raises:
        CommandFailedError: a worker cannot (it is named, with the reason), or the time is over.
        KafkaProblem: the status topic is missing or cannot be read.
    """
    outcome = wait_for_all(access, [goal], timeout_seconds, tell, clock)[goal.model]
    if isinstance(outcome, Failed):
        raise CommandFailedError(
            f"model {goal.model!r} has failed on worker {outcome.worker}: {outcome.reason}"
        )
    if isinstance(outcome, Waiting):
        what = "gone" if isinstance(goal, Unwanted) else "served"
        raise CommandFailedError(
            f"model {goal.model!r} is not {what} after {timeout_seconds:g} s: {'; '.join(outcome.reasons)}"
        )
    return outcome


def wait_for_all(
    access: ControlAccess,
    goals: Sequence[Goal],
    timeout_seconds: float,
    tell: Tell,
    clock: Callable[[], float] = time.monotonic,
) -> Mapping[str, Outcome]:
    """Wait until nothing is to be waited for: each model is served, is gone, or has failed; or the time is over.

    A failure is looked at again as long as other models are waited for, since workers go on trying.

    Returns:
        How each model was found last, in the order of the goals.

    Raises:
        KafkaProblem: the status topic is missing or cannot be read.
    """
    began = clock()
    looked_at = -_LOOK_SECONDS
    outcomes: dict[str, Outcome] = {}
    with access.watching() as fleet, new_progress(tell) as progress:
        members = fleet.fleet.live(fleet.now_ms(), access.group)
        news = True
        while True:
            now = clock()
            over = now - began >= timeout_seconds
            if news or over or now - looked_at >= _LOOK_SECONDS:
                looked_at, now_ms = now, fleet.now_ms()
                outcomes = {goal.model: look(fleet.fleet, access.group, goal, now_ms) for goal in goals}
                progress.show(outcomes)
                members = _tell_of_lost(members, fleet.fleet.members, now_ms, progress)
            if over or not any(isinstance(outcome, Waiting) for outcome in outcomes.values()):
                return outcomes
            news = fleet.poll(_POLL_SECONDS) > 0


def _tell_of_lost(
    known: Mapping[str, Member], members: Mapping[str, Member], now_ms: float, progress: Progress
) -> Mapping[str, Member]:
    """Say which of the *known* workers have gone silent; gives those that have not, as last heard of."""
    here = {worker: member for worker, member in members.items() if worker in known}
    for worker, member in here.items():
        if not member.live(now_ms):
            heard = time_text(member.heard_ms) or "at an unknown time"
            progress.tell(
                f"warning: worker {worker} has stopped reporting (last heard {heard}) and is not waited for any more"
            )
    return {worker: member for worker, member in here.items() if member.live(now_ms)}
