"""A batch becomes replies: join, run, cut, encode, hand over. Runs on the batch threads.

One request that makes the model fail must not take its neighbours with it (promise 5): a failed batch is cut in two
and each half run again, down to the requests at fault. A batch of n requests makes at most 2 n runs, and a model
that fails whatever it is given is given up after a number of runs that grows with log n.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from batching import errors as batching_errors
from batching import merging, padding
from batching.batch import Batch
from lifecycle import errors as lifecycle_errors
from lifecycle.servable import Servable
from lifecycle.servable_id import ServableId
from lifecycle.signature import Signature
from schemas import ragged_replies, reply_columns
from schemas.errors import Code, WireError
from worker import batch_inputs
from worker.attempts import Attempts, Tries, may_pass
from worker.delivery import Answer, Origin, PublisherClosedError, Replies
from worker.giving_way import GivingWay
from worker.request_block import Part, RequestBlock
from worker.told_reasons import told

log = logging.getLogger(__name__)

Arrays = Mapping[str, npt.NDArray[np.generic]]


class RunObserver(Protocol):
    """Hears of each run of a model; implemented by the metrics. Called on the batch threads."""

    def batch_ran(self, model: str, version: int, signature: str, seconds: float) -> None:
        """A run ended, well or badly."""
        ...

    def batch_tried_again(self, model: str, version: int) -> None:
        """A batch is run once more, because its failure may pass."""
        ...


def log_failure(servable_id: ServableId, signature: str, error: Exception) -> None:
    """Log that a model has failed to run, with all details."""
    log.error(
        "a model failed to run", extra={"model": str(servable_id), "signature": signature}, exc_info=error
    )


class Inference:
    """Runs batches; its `process` is the callback of every batch queue, called from many threads at once.

    Args:
        publisher: takes the replies.
        observer: hears of each run.
        wall: wall clock in seconds, for deadlines.
        clock: monotonic clock, for run times.
        giving_way: what a thread does when it comes out of a model that others are still in.
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
        on_failure: Callable[[ServableId, str, Exception], None] = log_failure,
    ) -> None:
        self._publisher = publisher
        self._observer = observer
        self._wall = wall
        self._clock = clock
        self._giving_way = giving_way or GivingWay(math.inf)
        self._attempts = attempts or Attempts()
        self._on_failure = on_failure

    def process(
        self, batch: Batch[RequestBlock], signature: Signature, allowed_rows: tuple[int, ...]
    ) -> None:
        """Answer every request of a batch, then let go of the version."""
        blocks = batch.tasks
        try:
            run = _Run(self, blocks[0].handle.id, blocks[0].handle.servable, signature, allowed_rows)
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

    def _live(self, run: "_Run", part: Part) -> list[Part]:
        """What of a part is still to be answered, in time and by this worker."""
        if part.records.all_ours:
            ours = [part]
        else:
            ours, left = part.ours()
            for each in left:
                self._publisher.leave(each)
        if part.records.deadlines_ms is None:
            return ours
        live = []
        for each in ours:
            in_time, late = each.unexpired(self._wall() * 1000)
            live += in_time
            for expired in late:
                run.refuse(
                    expired,
                    Code.DEADLINE_EXCEEDED,
                    "the request's deadline passed while it waited for its batch",
                )
        return live


class _Run:
    """The runs of one batch on one version."""

    def __init__(
        self,
        inference: Inference,
        servable_id: ServableId,
        servable: Servable,
        signature: Signature,
        allowed_rows: tuple[int, ...],
    ) -> None:
        self._publisher = inference._publisher  # noqa: SLF001 - the other half of one concept
        self._observer = inference._observer  # noqa: SLF001
        self._clock = inference._clock  # noqa: SLF001
        self._giving_way = inference._giving_way  # noqa: SLF001
        self._on_failure = inference._on_failure  # noqa: SLF001
        self._tries = Tries(inference._attempts, self._clock)  # noqa: SLF001
        self._id = servable_id
        self._servable = servable
        self._signature = signature
        self._allowed_rows = allowed_rows
        self._failures_in_a_row = 0
        self._most_failures = 0  # twice the depth of the search, once there is one
        self._logged = False

    def answer(self, parts: Sequence[Part]) -> None:
        """Run these requests together and reply; when that fails, search for those at fault."""
        try:
            replies = self._encode(parts, self._call(parts))
        except Exception as error:  # noqa: BLE001 - a model may raise anything, and every request must be answered
            failure = error
        else:
            self._failures_in_a_row = 0
            answered = zip(map(Origin.of_part, parts), replies, strict=True)
            self._publisher.batch(answered, self._answer(Code.OK))
            return
        # Outside the handler, so that the log does not show the runs of a search as consequences of each other.
        try:
            if may_pass(failure) and self._tries.another():
                self._observer.batch_tried_again(self._id.name, self._id.version)
                self.answer(parts)
            else:
                self._isolate(parts, failure)
        finally:
            # It knows this frame, which knows it, as a model's own frames may: the data would stay until a collection.
            failure.__traceback__ = None

    def refuse(self, part: Part, code: Code, message: str) -> None:
        """Answer requests with an error of this version."""
        self._publisher.refusal(part, message, self._answer(code))

    def _call(self, parts: Sequence[Part]) -> Arrays:
        kind = parts[0].columns.kind
        together = self._signature.batchable
        padded_rows = self._padded_rows(parts)
        inputs = {}
        for n, layout in enumerate(kind.inputs):
            inputs[layout.name] = (
                batch_inputs.stack(parts, n, padded_rows) if together else parts[0].columns.stacked(n)
            )
        self._giving_way.enter()
        start = self._clock()
        try:
            return self._servable.run(self._signature.name, inputs, kind.outputs)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # sys.exit, a panic in Rust: its requests are answered as any others
            what = f"it raised {type(error).__name__}, which would end its process"
            raise lifecycle_errors.ExecutionFailed(what) from error
        finally:
            seconds = self._clock() - start
            self._giving_way.leave(seconds)
            self._observer.batch_ran(self._id.name, self._id.version, self._signature.name, seconds)

    def _padded_rows(self, parts: Sequence[Part]) -> int:
        """The rows that the model sees; no rows at all have nothing to pad with."""
        rows = sum(part.tensor_rows for part in parts)
        return padding.next_allowed(rows, self._allowed_rows) if rows else 0

    def _encode(self, parts: Sequence[Part], outputs: Arrays) -> list[list[bytes]]:
        name, version = self._id.name, self._id.version
        if not self._signature.batchable:
            (part,) = parts
            return [reply_columns.encode_replies(name, version, outputs, None, part.columns.ids)]
        columns = {
            key: merging.split_rows(array, [part.tensor_rows for part in parts], self._padded_rows(parts))
            for key, array in outputs.items()
        }
        return [
            self._encode_part(part, {key: pieces[n] for key, pieces in columns.items()})
            for n, part in enumerate(parts)
        ]

    def _encode_part(self, part: Part, outputs: Arrays) -> list[bytes]:
        columns = part.columns
        if columns.row_counts is not None:
            return ragged_replies.encode_replies(
                self._id.name, self._id.version, outputs, columns.row_counts, columns.ids
            )
        return reply_columns.encode_replies(
            self._id.name, self._id.version, outputs, columns.rows_each or 0, columns.ids
        )

    def _isolate(self, parts: Sequence[Part], failure: Exception) -> None:
        requests = sum(map(len, parts))
        self._failures_in_a_row += 1
        self._most_failures = self._most_failures or 2 + 2 * requests.bit_length()
        hopeless = self._failures_in_a_row > self._most_failures or not _may_concern_one(failure)
        if requests > 1 and not hopeless:
            for half in _halves(parts, requests // 2):
                self.answer(half)
            return
        code, message = self._explain(failure, requests)
        for part in parts:
            self.refuse(part, code, message)

    def _explain(self, error: Exception, requests: int) -> tuple[Code, str]:
        """What so many requests that were run together are told; a model may quote values, which are one's alone."""
        if isinstance(error, WireError):
            return error.code, str(error)
        if isinstance(error, lifecycle_errors.InvalidInput):
            refused = f"signature {self._signature.name!r} refused the inputs of {requests} requests together"
            return Code.INVALID_ARGUMENT, str(error) if requests == 1 else refused
        if not self._logged:
            self._logged = True
            self._on_failure(self._id, self._signature.name, error)
        own = isinstance(error, lifecycle_errors.LifecycleError) and requests == 1
        code = Code.UNAVAILABLE if may_pass(error) else Code.INTERNAL
        if own or isinstance(error, batching_errors.BatchingError):
            return code, f"model {self._id}: {told(str(error))}"
        if may_pass(error):
            return code, f"model {self._id} was not run to its end, and may be asked again"
        return (
            Code.INTERNAL,
            f"model {self._id} failed with {type(error).__name__}; the worker's log has the details",
        )

    def _answer(self, code: Code) -> Answer:
        return Answer(self._id.name, self._id.version, self._signature.name, code)


def _may_concern_one(error: Exception) -> bool:
    """Whether a smaller batch may do better; rows that do not come back are the model's fault for any batch."""
    return not isinstance(error, batching_errors.RowCountMismatch)


def _halves(parts: Sequence[Part], requests: int) -> tuple[list[Part], list[Part]]:
    """The first *requests* requests and the rest."""
    first: list[Part] = []
    rest = list(parts)
    while requests:
        part = rest.pop(0)
        if len(part) <= requests:
            first.append(part)
            requests -= len(part)
            continue
        first.append(part.take(0, requests))
        rest.insert(0, part.take(requests, len(part)))
        break
    return first, rest
