"""Follows the control topic, keeps the aspirations, and tells the status topic.

Stepped by `worker.control_thread` in a worker, and by hand in tests.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from lifecycle.backoff import Backoff
from schemas.worker_status import WorkerState
from worker.aspirations import Aspirations
from worker.control_topic import ControlRecord, ControlTopic, ControlTopicError
from worker.joining import JoinRule, waits_for
from worker.kafka.errors import KafkaProblem
from worker.lazy_models import LazyModels
from worker.log import Occasionally
from worker.model_table import Change, ModelTable
from worker.servable_reports import Manager, ServableReports
from worker.status_topic import StatusTopic
from worker.worker_lease import WorkerLease

_log = logging.getLogger(__name__)

REPEAT_SECONDS = 3600.0
"""How often everything is said again: the status topic forgets what is older than a day."""

COUNT_SECONDS = 60.0
"""How often the requests of versions are said, of those that had any: a record each, beside the one sign of life that a
worker gives every few seconds. A person looks at them; what is drawn or alarmed on is in the metrics."""


class ControlObserver(Protocol):
    """Is told of each control record; `worker.metrics_control` has one."""

    def control_applied(self, offset: int, *, refused: bool = False) -> None:
        """A record has been taken in, or refused."""
        ...


class NoObserver:
    """Counts nothing."""

    def control_applied(self, offset: int, *, refused: bool = False) -> None:
        """Nothing."""


@dataclass
class ControlParts:
    """What a control loop moves; each is used by it alone, but for the table's readers and the manager."""

    topic: ControlTopic
    table: ModelTable
    aspirations: Aspirations
    manager: Manager
    reports: ServableReports
    status: StatusTopic
    lease: WorkerLease
    join: JoinRule = field(default_factory=JoinRule)
    observer: ControlObserver = field(default_factory=NoObserver)
    lazy: LazyModels | None = None


class ControlLoop:
    """Steps belong to one thread; the properties, `announce` and `ready_to_join` to anybody.

    A bad control record, a broker that is away, a topic that is missing or cannot be trusted: none of them
    ends it. It says what is wrong and goes on trying; what serves goes on serving.
    """

    def __init__(
        self,
        parts: ControlParts,
        *,
        on_settled: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is read yet; *on_settled* is called once, when the worker may take requests."""
        self._parts = parts
        self._on_settled = on_settled
        self._clock = clock
        self._occasionally = Occasionally(_log, seconds=30.0, clock=clock)
        self._open_times = Backoff(0.5, 10.0)
        self._opened = False
        self._open_failures = 0
        self._open_at = 0.0
        self._read_at: float | None = None
        self._applied = -1
        self._problem: str | None = None
        self._state = WorkerState.STARTING
        self._repeat_at: float | None = None
        self._count_at: float | None = None
        self._waiting: str | None = "the control topic has not been read"
        self._changed = True

    @property
    def initial_read_done(self) -> bool:
        """Whether everything that was on the control topic at the start has been applied."""
        return self._read_at is not None

    @property
    def applied_offset(self) -> int:
        """The offset of the last control record that was taken in; -1 for none."""
        return self._applied

    @property
    def problem(self) -> str | None:
        """Why the control topic cannot be followed now; None when it can."""
        return self._problem

    @property
    def waiting_for(self) -> str | None:
        """What joining the request group waits for; None once nothing."""
        return self._waiting

    def ready_to_join(self) -> bool:
        """Whether the worker may take requests; once it may, it may."""
        return self._waiting is None

    def announce(self, state: WorkerState) -> None:
        """Say what the worker is doing: SERVING once it has joined, DRAINING while it ends. Any thread."""
        self._state = state

    def step(self, now: float, timeout_seconds: float = 0.0) -> None:
        """Do what is due; waits at most *timeout_seconds* for a control record.

        Raises:
            Fatal: the status producer is of no use any more; the control topic's consumer is simply replaced.
        """
        records = self._records(now, timeout_seconds)
        for record in records:
            self._apply(record, now)
        if self._read_at is None and self._opened and self._parts.topic.caught_up:
            self._read_at = now
            self._changed = True
            _log.info(
                "control topic read",
                extra={"topic": self._parts.topic.topic, "models": len(self._parts.table.models)},
            )
        if self._parts.lazy is not None:
            self._changed |= self._parts.lazy.step(now)
        self._changed |= self._parts.aspirations.step(now)
        self._decide_joining(now)
        self._report(now)

    def close(self, timeout_seconds: float) -> None:
        """Say a last word, then take all of this worker's keys away. Requires: no step is running."""
        self._state = WorkerState.STOPPED
        self._parts.reports.forward()
        self._parts.reports.withdraw()
        self._parts.lease.end(self._applied)
        self._parts.status.close(timeout_seconds)
        self._parts.topic.close()
        self._parts.aspirations.close(timeout_seconds)

    def _records(self, now: float, timeout_seconds: float) -> list[ControlRecord]:
        topic = self._parts.topic
        try:
            if not self._opened:
                if now < self._open_at:
                    return []
                topic.open()
                self._opened, self._open_failures = True, 0
            records = list(topic.poll(timeout_seconds))
        except (ControlTopicError, KafkaProblem) as error:
            self._opened = False
            self._open_failures += 1
            self._open_at = self._clock() + self._open_times.wait_seconds(self._open_failures)
            self._say_problem(error)
            return []
        self._say_problem(topic.problem)
        return records

    def _say_problem(self, problem: Exception | None) -> None:
        if problem is not None:
            consumed = (
                "no request is read until then" if self._read_at is None else "the models stay as they are"
            )
            self._occasionally.warning(
                f"the control topic cannot be followed; trying again, {consumed}",
                problem=str(problem),
                key=type(problem).__name__,  # the client's sentences count and time,
            )
        elif self._problem is not None:
            _log.info("the control topic can be followed again", extra={"topic": self._parts.topic.topic})
        self._problem = None if problem is None else str(problem)

    def _apply(self, record: ControlRecord, now: float) -> None:
        change, name = self._parts.table.apply(record.key, record.value, record.offset)
        facts = {"model": name, "offset": record.offset}
        if change is Change.REJECTED:
            _log.warning("control record refused", extra={"offset": record.offset, "problem": name})
        elif change is Change.INVALID:
            model = self._parts.table.lookup(name)
            problem = None if model is None else model.problem
            _log.warning("control record refused; what served goes on", extra={**facts, "problem": problem})
        else:
            _log.info("control record applied: model %s", change.value, extra=facts)
        if change in {Change.SET, Change.REMOVED}:
            self._parts.aspirations.changed(name)
            if self._parts.lazy is not None:
                self._parts.lazy.changed(name, now)
        self._applied = record.offset
        self._changed = True
        self._parts.observer.control_applied(
            record.offset, refused=change in {Change.REJECTED, Change.INVALID}
        )

    def _decide_joining(self, now: float) -> None:
        if self._waiting is None or self._read_at is None:
            return
        if self._state is WorkerState.STARTING:
            self._state = WorkerState.WAITING
        states = {version.id: version for version in self._parts.manager.states()}
        waiting = waits_for(self._parts.join, self._parts.table.models, states, now - self._read_at)
        if waiting is not None:
            self._occasionally.info("waiting to join the request group", waiting_for=waiting, key="joining")
        self._waiting = waiting
        if waiting is None:
            self._on_settled()

    def _report(self, now: float) -> None:
        parts = self._parts
        parts.status.serve()
        due = parts.lease.due(now)
        # What was heard may also have removed something; what was applied changes what each version follows.
        if parts.reports.forward() or self._changed or due:
            self._changed = parts.reports.compare()
        if self._repeat_at is None or self._count_at is None:
            self._repeat_at, self._count_at = now + REPEAT_SECONDS, now + COUNT_SECONDS
        if now >= self._count_at:
            self._count_at = now + COUNT_SECONDS
            parts.reports.count()
        if (due and parts.status.take_lost()) or now >= self._repeat_at:
            self._repeat_at = now + REPEAT_SECONDS
            parts.reports.repeat()
        parts.lease.say(now, self._state, self._applied, self._problem or "", parts.table.rejected)
