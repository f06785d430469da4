"""Batches of shadows: run when regular requests leave the time for it, or dropped.

They have threads of their own, so that a shadow that is slow, or never returns, takes none from the requests that
somebody waits for. What they share is the processor, so a batch begins only while no regular one waits for a thread.
"""

import logging
import threading
import time
from collections.abc import Callable

from batching.batch import Batch
from lifecycle.signature import Signature
from worker.batch_queues import Processing
from worker.log import Occasionally
from worker.metrics_shadow import ShadowMetrics
from worker.model_table import ModelTable
from worker.request_block import RequestBlock
from worker.run_options import RunOptions
from worker.shadow_room import ShadowRoom, weight

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 1.0
"""A worker that has had no moment to spare for so long has none: what was read later would wait behind this, and keep
its version from being unloaded."""
LOOK_SECONDS = 0.002


def wait(seconds: float) -> None:
    """Leave the processor to others for so long."""
    threading.Event().wait(seconds)


class ShadowRuns:
    """The `process` of every shadow's queue, called on their threads; it gives back the room that requests have taken.

    Args:
        inference: runs what is to be run.
        table: says which models have a shadow now; what waited for one that has been ended is dropped.
        busy: whether regular batches wait for a thread.
        begin: called before each batch, on its thread.
        pause: waits so many seconds.
    """

    def __init__(  # noqa: PLR0913 - what tests put in place of time is among them
        self,
        inference: Processing,
        table: ModelTable,
        room: ShadowRoom,
        metrics: ShadowMetrics,
        *,
        busy: Callable[[], bool],
        begin: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = wait,
    ) -> None:
        self._inference = inference
        self._table = table
        self._room = room
        self._metrics = metrics
        self._busy = busy
        self._begin = begin
        self._clock = clock
        self._pause = pause
        self._closed = False
        self._occasionally = Occasionally(log, seconds=60.0)

    def process(self, batch: Batch[RequestBlock], signature: Signature, options: RunOptions) -> None:
        """Run a batch, or drop it; raises nothing."""
        size_bytes = sum(weight(part) for block in batch.tasks for part in block)
        try:
            self._begin()
            reason = self._why_not(batch.tasks[0].kind.model)
            if reason is None:
                self._inference.process(batch, signature, options)
            else:
                self._drop(batch, reason)
        except Exception as error:  # noqa: BLE001 - whatever it is, it concerns nobody's request
            self._say(str(batch.tasks[0].handle.id), error)
        finally:
            self._room.give_back(size_bytes)

    def expire(self, block: RequestBlock, signature: Signature) -> None:
        """Drop requests that are out of time, counted as every answer of a shadow is; raises nothing."""
        size_bytes = sum(map(weight, block))
        try:
            self._inference.expire(block, signature)
        except Exception as error:  # noqa: BLE001 - as above
            self._say(str(block.handle.id), error)
        finally:
            self._room.give_back(size_bytes)

    def close(self) -> None:
        """Wait for no moment any more."""
        self._closed = True

    def _why_not(self, model: str) -> str | None:
        """Why a batch is dropped; None, perhaps after a while: it is not."""
        end = self._clock() + LONGEST_WAIT_SECONDS
        while not self._closed:
            desired = self._table.lookup(model)
            if desired is None or desired.shadow is None:
                return "off"
            if not self._busy():
                return None
            if self._clock() >= end:
                return "busy"
            self._pause(LOOK_SECONDS)
        return "off"

    def _say(self, model: str, error: Exception) -> None:
        self._occasionally.warning(
            "a batch of a shadow was given up; requests do not notice",
            key=type(error).__name__,
            model=model,
            problem=repr(error),
        )

    def _drop(self, batch: Batch[RequestBlock], reason: str) -> None:
        for block in batch.tasks:
            self._metrics.dropped(block.kind.model, reason, block.requests())
            block.handle.release()
