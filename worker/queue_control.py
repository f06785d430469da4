"""The batching options that keep models' latency objectives, chosen for each version and signature by what it does.

Batch threads only note what they ran; the poll thread decides, when it comes round. Queues of one signature, whatever
their priority and layout, are steered together. A model without an objective has nothing of all this.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from batching.batch import Batch, CloseReason
from batching.latency_control import Bounds, Choice, LatencyControl, Verdict
from batching.options import QueueOptions
from lifecycle.servable_id import ServableId
from lifecycle.signature import Signature
from worker.log import Occasionally
from worker.queue_depths import QueueName
from worker.request_block import RequestBlock

log = logging.getLogger(__name__)

Key = tuple[ServableId, str]
"""A version, and the name of a signature."""
MOST_NOTES = 10_000
"""Batches that wait to be looked at; of more, the oldest are passed over."""
UNUSED_SECONDS = 600.0
"""Seconds without a batch after which what is known of a signature is forgotten."""
LOOK_SECONDS = 10.0
SAY_SECONDS = 60.0


class ControlObserver(Protocol):
    """Hears what is chosen; implemented by the metrics. Called on the poll thread."""

    def chosen(self, queue: QueueName, control: LatencyControl) -> None:
        """There is a first choice, or what was chosen has been judged by what batches did."""
        ...

    def forgotten(self, queue: QueueName) -> None:
        """Nothing is chosen for it any more."""
        ...


class _Steered:
    """What belongs to one signature."""

    __slots__ = ("control", "known", "made_of", "used_at")

    def __init__(self, control: LatencyControl, made_of: tuple[object, ...], now: float) -> None:
        self.control = control
        self.made_of = made_of
        self.known: dict[tuple[QueueOptions, int], QueueOptions] = {}
        self.used_at = now


class QueueControls:
    """Owned by the poll thread; `ran` is for the batch threads.

    Args:
        objective_of: the p99 in seconds that a model is to keep for a signature, by both names; 0: none.
        observer: hears what is chosen.
        clock: the scheduler's.
    """

    def __init__(
        self,
        objective_of: Callable[[str, str], float],
        observer: ControlObserver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objective_of = objective_of
        self._observer = observer
        self._clock = clock
        self._steered: dict[Key, _Steered] = {}
        self._notes: deque[tuple[Key, list[tuple[float, int]], float, float, bool]] = deque(maxlen=MOST_NOTES)
        self._look_at = clock() + LOOK_SECONDS
        self._occasionally = Occasionally(log, seconds=SAY_SECONDS, clock=clock)

    def options(self, block: RequestBlock, signature: Signature, options: QueueOptions) -> QueueOptions:
        """The options for a block, which waits from now on: the same where its model has no objective.

        What is chosen is within *options*, and takes the largest request of the block.
        """
        servable_id = block.handle.id
        objective = self._objective_of(servable_id.name, signature.name)
        if not objective:
            return options
        now = block.queued_at = self._clock()
        key = servable_id, signature.name
        made_of = objective, options.max_batch_rows, options.allowed_batch_rows, options.batch_timeout_seconds
        steered = self._steered.get(key)
        if steered is None or steered.made_of != made_of:
            bounds = Bounds(
                objective,
                options.max_batch_rows,
                options.allowed_batch_rows,
                None if signature.batchable else 0.0,
            )
            start = Choice(options.max_batch_rows, options.batch_timeout_seconds)
            steered = self._steered[key] = _Steered(LatencyControl(bounds, start, now), made_of, now)
            self._observer.chosen(_name(key), steered.control)
        choice = steered.control.choice
        rows = choice.rows
        if rows < options.max_batch_rows and (largest := block.largest_rows()) > rows:
            rows = min(
                size for size in (*steered.control.bounds.sizes, options.max_batch_rows) if size >= largest
            )
        found = steered.known.get((options, rows))
        if found is None:
            sizes = tuple(size for size in options.allowed_batch_rows if size <= rows)
            found = steered.known[options, rows] = replace(
                options,
                max_batch_rows=rows,
                batch_timeout_seconds=choice.timeout_seconds,
                allowed_batch_rows=sizes,
            )
        return found

    def ran(
        self, servable_id: ServableId, signature: str, batch: Batch[RequestBlock], began_at: float
    ) -> None:
        """Note a batch whose processing ends now; for any thread."""
        key = servable_id, signature
        if key in self._steered:
            tasks = [
                (task.queued_at or at, task.rows)
                for task, at in zip(batch.tasks, batch.enqueued_at, strict=True)
            ]
            now = self._clock()
            self._notes.append((key, tasks, now, now - began_at, batch.close_reason is CloseReason.FULL))

    def step(self) -> None:
        """Decide by what has been noted."""
        if not self._steered:
            return
        now = self._clock()
        touched: set[Key] = set()
        while self._notes:
            key, tasks, ended_at, run_seconds, full = self._notes.popleft()
            steered = self._steered.get(key)
            if steered is not None:
                steered.control.ran(tasks, ended_at, run_seconds, full=full)
                steered.used_at = now
                touched.add(key)
        for key in touched:
            self._decide(key, self._steered[key], now)
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._forget(now)

    def _decide(self, key: Key, steered: _Steered, now: float) -> None:
        control, before = steered.control, steered.control.verdict
        choice = control.choice
        if not control.step(now):
            return
        if control.choice != choice:
            steered.known.clear()
        self._observer.chosen(_name(key), control)
        fields = {
            "model": str(key[0]),
            "signature": key[1],
            "p99_ms": round(control.p99_seconds * 1000, 3),
            "objective_ms": round(control.bounds.p99_seconds * 1000, 3),
            "max_batch_rows": control.choice.rows,
            "batch_timeout_seconds": round(control.choice.timeout_seconds, 6),
        }
        if control.verdict is Verdict.CANNOT:
            self._occasionally.warning(
                "no batching options keep the latency objective: more workers, a larger objective or a faster model "
                "would (headrace tune says what the model needs)",
                key=f"{key[0]}:{key[1]}",
                **fields,
            )
        elif before is Verdict.CANNOT and control.verdict is Verdict.KEPT:
            log.info("the latency objective is kept again", extra=fields)

    def _forget(self, now: float) -> None:
        for key, steered in list(self._steered.items()):
            if now - steered.used_at > UNUSED_SECONDS or not self._objective_of(key[0].name, key[1]):
                del self._steered[key]
                self._observer.forgotten(_name(key))


def _name(key: Key) -> QueueName:
    return QueueName(key[0].name, str(key[0].version), key[1])
