"""The runs of one batch: join, run, cut, encode, hand over; and what is run again when a run fails.

One request that makes the model fail must not take its neighbours with it (promise 5): a failed batch is cut in two
and each half run again, down to the requests at fault, within the bounds of `batching.bisection`. A batch that finds no
memory is cut as well, but not to find anybody, and the next ones are run in parts of that size at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from batching import errors as batching_errors
from batching import merging
from batching.bisection import Bisection
from lifecycle import errors as lifecycle_errors
from lifecycle.servable import Servable
from lifecycle.servable_id import ServableId
from lifecycle.signature import Signature
from schemas import ragged_replies, reply_columns
from schemas.errors import Code, WireError
from worker import batch_inputs
from worker.attempts import Attempts, Tries, may_pass
from worker.delivery import Answer, Origin, Replies
from worker.giving_way import GivingWay
from worker.request_block import Part, halves, within
from worker.run_options import RunOptions
from worker.run_sizes import RunSizes, SizeKey, smaller
from worker.told_reasons import told

Arrays = Mapping[str, npt.NDArray[np.generic]]
Group = tuple[Sequence[Part], bool]
"""Requests to be run together, and whether that is for a search: they are a half of others that failed."""


class RunObserver(Protocol):
    """Hears of each run of a model; implemented by the metrics. Called on the batch threads."""

    def batch_ran(self, model: str, version: int, signature: str, seconds: float) -> None:
        """A run ended, well or badly."""
        ...

    def batch_tried_again(self, model: str, version: int) -> None:
        """A batch is run once more, because its failure may pass."""
        ...

    def batch_bisected(self, model: str, version: int, runs: int) -> None:
        """A batch has been searched for the requests at fault, by so many runs of parts of it."""
        ...

    def out_of_memory(self, model: str, version: int) -> None:
        """A run found no memory."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What the runs of every batch share; see `worker.inference.Inference`."""

    publisher: Replies
    observer: RunObserver
    clock: Callable[[], float]
    giving_way: GivingWay
    attempts: Attempts
    sizes: RunSizes
    on_failure: Callable[[ServableId, str, Exception], None]


class BatchRun:
    """The runs of one batch on one version."""

    def __init__(
        self,
        means: Means,
        servable_id: ServableId,
        servable: Servable,
        signature: Signature,
        options: RunOptions,
    ) -> None:
        self._means = means
        self._publisher = means.publisher
        self._observer = means.observer
        self._tries = Tries(means.attempts, means.clock)
        self._id = servable_id
        self._servable = servable
        self._signature = signature
        self._options = options
        self._search = Bisection(1)
        self._most_rows: int | None = None  # None: nothing was too large
        self._no_memory: Exception | None = None  # for as many rows as these
        self._no_memory_rows = 0
        self._logged = False

    def answer(self, parts: Sequence[Part]) -> None:
        """Run these requests together and reply; when that fails, find who is at fault, or a size that has room."""
        self._search = Bisection(sum(map(len, parts)))
        if self._signature.batchable:
            self._limit(self._means.sizes.most_rows(self._size_key(parts)))
        ragged = self._options.ragged
        groups: list[Group] = [(parts, False)]
        if ragged is not None:
            groups = [(each, False) for each in reversed(ragged.within_bytes(parts))]
        try:
            while groups:
                group, half = groups.pop()
                if self._too_large(group):
                    groups += reversed(self._in_size(group, half=half))
                elif self._no_memory is not None and self._padded_rows(group) >= self._no_memory_rows:
                    self._refuse(group, self._no_memory)
                else:
                    groups += reversed(self._run(group, half=half))
        finally:
            self._no_memory = None
            if self._search.runs:
                self._observer.batch_bisected(self._id.name, self._id.version, self._search.runs)

    def refuse(self, part: Part, code: Code, message: str) -> None:
        """Answer requests with an error of this version."""
        self._publisher.refusal(part, message, self._answer(code))

    def _run(self, parts: Sequence[Part], *, half: bool) -> Sequence[Group]:
        """Run these requests together, and reply; return what is to be run in their place where that failed."""
        try:
            replies = self._encode(parts, self._call(parts))
        except Exception as error:  # noqa: BLE001 - a model may raise anything, and every request must be answered
            failure = _named(error)
        else:
            self._search.succeeded(half=half)
            answered = zip(map(Origin.of_part, parts), replies, strict=True)
            self._publisher.batch(answered, self._answer(Code.OK))
            return ()
        # Outside the handler, so that the log does not show the runs of a search as consequences of each other.
        try:
            return self._instead(parts, failure, half=half)
        finally:
            # It knows this frame, which knows it, as a model's own frames may: the data would stay until a collection.
            failure.__traceback__ = None

    def _instead(self, parts: Sequence[Part], failure: Exception, *, half: bool) -> Sequence[Group]:
        """What to run in place of requests that failed together; they are answered where that is nothing."""
        requests = sum(map(len, parts))
        no_memory = isinstance(failure, lifecycle_errors.OutOfMemory)
        if no_memory:
            self._observer.out_of_memory(self._id.name, self._id.version)
        rows = self._smaller(parts) if no_memory and requests > 1 else None
        if rows is None and may_pass(failure) and self._tries.another():
            self._observer.batch_tried_again(self._id.name, self._id.version)
            return ((parts, half),)
        worth_it = self._search.failed(half=half) and requests > 1
        if worth_it and rows is not None:
            self._means.sizes.lower(self._size_key(parts), self._padded_rows(parts), rows)
            self._limit(rows)
            return self._in_size(parts, half=half)
        if worth_it and not no_memory and _may_concern_one(failure):
            return [(each, True) for each in halves(parts, requests // 2)]
        if no_memory and self._search.all_fail:
            self._no_memory, self._no_memory_rows = failure, self._padded_rows(parts)
            self._limit(max(0, self._no_memory_rows - 1) or None)
            self._means.sizes.forget(self._size_key(parts))
        self._refuse(parts, failure)
        return ()

    def _limit(self, rows: int | None) -> None:
        """Run what comes with at most so many rows, at an allowed size."""
        if rows is not None:
            fitting = [size for size in self._options.allowed_rows if size <= rows]
            self._most_rows = fitting[-1] if fitting else rows

    def _too_large(self, parts: Sequence[Part]) -> bool:
        rows = self._most_rows
        return rows is not None and sum(part.rows for part in parts) > rows and sum(map(len, parts)) > 1

    def _in_size(self, parts: Sequence[Part], *, half: bool) -> list[Group]:
        assert self._most_rows is not None
        return [(each, half) for each in within(parts, self._most_rows)]

    def _smaller(self, parts: Sequence[Part]) -> int | None:
        """A smaller size to run these requests at, where there is one."""
        return (
            smaller(self._padded_rows(parts), self._options.allowed_rows)
            if self._signature.batchable
            else None
        )

    def _size_key(self, parts: Sequence[Part]) -> SizeKey:
        ragged = self._options.ragged
        inputs = parts[0].columns.kind.inputs if ragged is None else ragged.inputs
        return self._id, self._signature.name, inputs

    def _call(self, parts: Sequence[Part]) -> Arrays:
        kind = parts[0].columns.kind
        together, ragged = self._signature.batchable, self._options.ragged
        stack = batch_inputs.stack if ragged is None else ragged.stack
        padded_rows = self._padded_rows(parts)
        inputs = {}
        for n, layout in enumerate(kind.inputs):
            inputs[layout.name] = stack(parts, n, padded_rows) if together else parts[0].columns.stacked(n)
        self._means.giving_way.enter()
        start = self._means.clock()
        try:
            return self._options.run(self._servable, self._signature.name, inputs, kind.outputs, padded_rows)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # sys.exit, a panic in Rust: its requests are answered as any others
            what = f"it raised {type(error).__name__}, which would end its process"
            raise lifecycle_errors.ExecutionFailed(what) from error
        finally:
            seconds = self._means.clock() - start
            self._means.giving_way.leave(seconds)
            self._observer.batch_ran(self._id.name, self._id.version, self._signature.name, seconds)

    def _padded_rows(self, parts: Sequence[Part]) -> int:
        """The rows that the model sees; no rows at all have nothing to pad with."""
        return self._options.padded(sum(part.tensor_rows for part in parts))

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

    def _refuse(self, parts: Sequence[Part], failure: Exception) -> None:
        """Answer requests that were run together with how they failed."""
        code, message = self._explain(failure, sum(map(len, parts)))
        for part in parts:
            self.refuse(part, code, message)

    def _explain(self, error: Exception, requests: int) -> tuple[Code, str]:
        """What so many requests that were run together are told; a model may quote values, which are one's alone."""
        if isinstance(error, WireError):
            return error.code, str(error)
        if requests > 1 and self._search.exhausted and not self._search.all_fail:
            self._log(error)
            return Code.UNAVAILABLE, (
                f"model {self._id} fails for very many requests of one batch, and this one was not run without others "
                "of them; it may be asked again"
            )
        if isinstance(error, lifecycle_errors.InvalidInput):
            refused = f"signature {self._signature.name!r} refused the inputs of {requests} requests together"
            return Code.INVALID_ARGUMENT, str(error) if requests == 1 else refused
        self._log(error)
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

    def _log(self, error: Exception) -> None:
        if not self._logged:
            self._logged = True
            self._means.on_failure(self._id, self._signature.name, error)

    def _answer(self, code: Code) -> Answer:
        return Answer(self._id.name, self._id.version, self._signature.name, code)


def _named(error: Exception) -> Exception:
    """The error as the rest knows it: memory that ran out has one name, wherever it did."""
    if not isinstance(error, MemoryError):
        return error
    known = lifecycle_errors.OutOfMemory("memory ran out")
    known.__cause__ = error.with_traceback(None)
    return known


def _may_concern_one(error: Exception) -> bool:
    """Whether a smaller batch may do better; rows that do not come back are the model's fault for any batch."""
    return not isinstance(error, batching_errors.RowCountMismatch)
