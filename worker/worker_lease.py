"""A worker's sign of life on the status topic, and the lease that it renews."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from schemas.worker_status import WorkerState, WorkerStatus
from worker.model_table import RejectedRecord
from worker.status_topic import StatusTopic, worker_key

CONTROL_PROBLEM = "control_problem"
"""Parameter of a worker's status: why it cannot follow the control topic, in words."""

CONTROL_REJECTED = "control_rejected"
"""Parameter of a worker's status: the last control record whose key names no model, and why, in words."""


@dataclass(frozen=True)
class WorkerIdentity:
    """Who a worker says that it is, and for how long its word counts."""

    worker: str
    group: str
    host: str
    release: str
    interval_seconds: float = 5.0
    lease_seconds: float = 15.0


class WorkerLease:
    """Says that the worker lives, in time and whenever something has changed; on the control thread."""

    def __init__(
        self, identity: WorkerIdentity, out: StatusTopic, wall: Callable[[], float] = time.time
    ) -> None:
        self._identity = identity
        self._out = out
        self._wall = wall
        self._said: tuple[object, ...] | None = None
        self._say_at = float("-inf")

    def due(self, now: float) -> bool:
        """Whether it is time for another sign of life."""
        return now >= self._say_at

    def say(
        self,
        now: float,
        state: WorkerState,
        applied_offset: int,
        problem: str,
        rejected: Sequence[RejectedRecord],
    ) -> None:
        """Say it, if it is time or is news."""
        news = (state, applied_offset, problem, len(rejected))
        if not self.due(now) and news == self._said:
            return
        self._said = news
        self._say_at = now + self._identity.interval_seconds
        parameters = {}
        if problem:
            parameters[CONTROL_PROBLEM] = problem.encode()
        if rejected:
            parameters[CONTROL_REJECTED] = (
                f"control record {rejected[-1].offset}: {rejected[-1].reason}".encode()
            )
        self._publish(state, applied_offset, parameters)

    def end(self, applied_offset: int) -> None:
        """Say that the worker has ended of its own will, and take its key away."""
        self._publish(WorkerState.STOPPED, applied_offset, {})
        self._out.withdraw(worker_key(self._identity.worker))

    def _publish(self, state: WorkerState, applied_offset: int, parameters: Mapping[str, bytes]) -> None:
        identity = self._identity
        self._out.publish(
            WorkerStatus(
                identity.worker,
                identity.group,
                identity.host,
                identity.release,
                applied_offset,
                state,
                round(identity.lease_seconds * 1000),
                round(self._wall() * 1000),
                parameters,
            )
        )
