"""The one loop that owns the consumer.

It polls, sends what came on its way, serves the producers' reports, commits, pauses and resumes. It never waits for
a model, except in a revocation. Everything that it calls is handed in, so that a test can step it by hand.
"""

import logging
from collections.abc import Callable

from worker.committer import Commits
from worker.flow_control import FlowControl
from worker.kafka.consumer import Consumer
from worker.path_parts import PathParts

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.2
IN_FLIGHT_SECONDS = 0.005
PAUSED_SECONDS = 0.01  # nothing comes that would end a poll early, and acknowledgements and commits make room
WAITING_SECONDS = 0.002
REST_SECONDS, RESTING_SECONDS = 0.01, 0.001
"""After a poll that was full nothing more is read for so long, while any queue has no room for what was: what is read
too early leaves the processor's caches before its batch comes (measured: a tenth of a small record's cost), and fills
the budget, which then pauses partitions. It is too short to be noticed by requests for another model, which have
waited behind a full poll anyway."""
LONGEST_REST_SECONDS = 0.2
"""Nor while commits are behind: what is read then only waits, until the budget is full and partitions pause."""
SHORT_OF_BUDGET = 0.5
MANY_UNANSWERED = 0.25
"""A model may hold half of the budget: it is not to wait for what the broker has long answered."""


class PollLoop:
    """Polls until told to stop, then finishes what was read; runs on one thread.

    Args:
        on_step: called after every step, for gauges.
        on_idle: called when nothing was read and nothing is on its way.
    """

    def __init__(  # noqa: PLR0913 - the loop is where everything meets
        self,
        *,
        consumer: Consumer,
        parts: PathParts,
        committer: Commits,
        flow: FlowControl,
        poll_records: int,
        on_step: Callable[[float], None] = lambda _now: None,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._consumer = consumer
        self._parts = parts
        self._intake = parts.intake
        self._queues = parts.queues
        self._publisher = parts.publisher
        self._tracker = parts.tracker
        self._budget = parts.budget
        self._committer = committer
        self._flow = flow
        self._poll_records = poll_records
        self._on_step = on_step
        self._on_idle = on_idle
        self._clock = parts.clock
        self._rest_until = self._polled_at = 0.0
        self._polled = 0
        self.last_step = self._clock()
        """When the loop last came round; monotonic, read from any thread."""

    def step(self) -> None:
        """Come round once: at most a poll's wait.

        Raises:
            Fatal: the consumer or a producer is of no use any more.
        """
        if self._rests():
            self.pump(RESTING_SECONDS)
        else:
            self._poll()
            self.pump(0.0)
        if any(self._budget.unanswered(b) >= MANY_UNANSWERED for b in self._budget.bindings):
            self._publisher.settle_soon()
        self._flow.step(self._tracker.partitions)
        self._committer.step(budget_is_short=self._flow.fullest >= SHORT_OF_BUDGET)
        self._on_step(self.last_step)

    def _poll(self) -> None:
        most = self._parts.failing.most_records() or self._poll_records
        room = min(most, self._poll_records, self._budget.room_records(self._flow.reading))
        # Right after records something nearly always is; a look at every client costs more than a short poll.
        idle = not self._polled and self._nothing_on_its_way()
        messages = self._consumer.poll(room, self._poll_seconds(idle=idle))
        if messages:
            self._intake.take(messages)
        elif idle:
            self._on_idle()
        self._polled, self._polled_at = len(messages), self._clock()
        self._rest_until = self._polled_at + REST_SECONDS if len(messages) >= room else 0.0

    def pump(self, timeout_seconds: float) -> None:
        """Move what is in flight along without polling the consumer.

        Raises:
            Fatal: a producer is of no use any more.
        """
        self._parts.pump(timeout_seconds, self._committer.serve)
        self.last_step = self._clock()

    def finish(self, deadline: float) -> bool:
        """Read nothing more, finish and commit what was read, until *deadline* (monotonic); whether all was.

        Raises:
            Fatal: as `step`.
        """
        self._flow.stop_all(self._tracker.partitions)
        while self._tracker.unsettled() and self._clock() < deadline:
            self._consumer.poll(1, 0.0)  # stays a member of the group; everything is paused
            self.pump(0.01)
            self._committer.step(budget_is_short=False)
            self._flow.stop_all(self._tracker.partitions)
        self._committer.commit_now()
        return not self._tracker.unsettled()

    def _rests(self) -> bool:
        if self._committer.is_behind:
            return self._clock() < self._polled_at + LONGEST_REST_SECONDS
        return self._queues.waiting and self._clock() < self._rest_until

    def _nothing_on_its_way(self) -> bool:
        return not (self._flow.holds_back or self._parts.on_its_way())

    def _poll_seconds(self, *, idle: bool) -> float:
        if self._parts.step_batches is not None or self._queues.waiting:
            return WAITING_SECONDS
        if self._flow.holds_back:
            return PAUSED_SECONDS
        return IDLE_SECONDS if idle else IN_FLIGHT_SECONDS
