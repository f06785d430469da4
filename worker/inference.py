"""A batch becomes replies: what of it is still to be answered is run. The entry of the batch threads.

And of the one that keeps deadlines: what runs out of time in a queue is answered here too.
"""

import logging
import math
import time
from collections.abc import Callable

from batching.batch import Batch
from lifecycle.servable_id import ServableId
from lifecycle.signature import Signature
from schemas.errors import Code
from worker.attempts import Attempts
from worker.batch_run import BatchRun, Means, RunObserver
from worker.delivery import Answer, PublisherClosedError, Replies
from worker.giving_way import GivingWay
from worker.request_block import Part, RequestBlock
from worker.run_options import RunOptions
from worker.run_sizes import RunSizes

log = logging.getLogger(__name__)

TOO_LATE = "the request's deadline passed while it waited for its batch"


def log_failure(servable_id: ServableId, signature: str, error: Exception) -> None:
    """Log that a model has failed to run, with all details."""
    log.error(
        "a model failed to run", extra={"model": str(servable_id), "signature": signature}, exc_info=error
    )


class Inference:
    """Runs batches; its `process` is the callback of every batch queue, called from many threads at once.

    Its `expire` is called besides, for requests that no batch has taken in time.

    Args:
        publisher: takes the replies.
        observer: hears of each run.
        wall: wall clock in seconds, for deadlines.
        clock: monotonic clock, for run times.
        giving_way: what a thread does when it comes out of a model that others are still in.
        attempts: how often a batch is run whose failure may pass.
        sizes: how many rows models are run with that have run out of memory.
        on_failure: told once a batch that the model has failed: which, its signature, and how.
    """

    def __init__(  # noqa: PLR0913 - its seams, each by its name
        self,
        publisher: Replies,
        observer: RunObserver,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.perf_counter,
        giving_way: GivingWay | None = None,
        attempts: Attempts | None = None,
        sizes: RunSizes | None = None,
        on_failure: Callable[[ServableId, str, Exception], None] = log_failure,
    ) -> None:
        self._publisher = publisher
        self._wall = wall
        self._means = Means(
            publisher,
            observer,
            clock,
            giving_way or GivingWay(math.inf),
            attempts or Attempts(),
            sizes or RunSizes(),
            on_failure,
        )

    def process(self, batch: Batch[RequestBlock], signature: Signature, options: RunOptions) -> None:
        """Answer every request of a batch, then let go of the version."""
        blocks = batch.tasks
        try:
            handle = blocks[0].handle
            run = BatchRun(self._means, handle.id, handle.servable, signature, options)
            parts = [live for block in blocks for part in block for live in self._live(run, part)]
            if parts:
                run.answer(parts)
        except PublisherClosedError:
            log.debug(
                "the worker ends; a batch stays unanswered and uncommitted",
                extra={"model": str(blocks[0].handle.id)},
            )
        finally:
            for block in blocks:
                block.handle.release()

    def expire(self, block: RequestBlock, signature: Signature) -> None:
        """Answer requests that ran out of time while they waited, then let go of the version."""
        servable_id = block.handle.id
        answer = Answer(servable_id.name, servable_id.version, signature.name, Code.DEADLINE_EXCEEDED)
        try:
            for part in block:
                for late in self._ours(part):
                    self._publisher.refusal(late, TOO_LATE, answer)
        except PublisherClosedError:
            log.debug(
                "the worker ends; requests stay unanswered and uncommitted", extra={"model": str(servable_id)}
            )
        finally:
            block.handle.release()

    def _ours(self, part: Part) -> list[Part]:
        """What of a part is this worker's to answer; the rest is left."""
        if part.records.all_ours:
            return [part]
        ours, left = part.ours()
        for each in left:
            self._publisher.leave(each)
        return ours

    def _live(self, run: BatchRun, part: Part) -> list[Part]:
        """What of a part is still to be answered, in time and by this worker."""
        ours = self._ours(part)
        if part.records.deadlines_ms is None:
            return ours
        live = []
        for each in ours:
            in_time, late = each.unexpired(self._wall() * 1000)
            live += in_time
            for expired in late:
                run.refuse(expired, Code.DEADLINE_EXCEEDED, TOO_LATE)
        return live
