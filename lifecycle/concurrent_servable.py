"""Runs a stacked batch as many calls of a single row at once, for models that gather batches inside.

A part of such a model sees only what concurrent calls bring it, each in one piece, and refuses a piece that is larger
than its own batches. A batch that is already stacked would be just one call.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import errors
from lifecycle.servable import Servable
from lifecycle.signature import Signature
from lifecycle.threads import Executor

Array = npt.NDArray[Any]


class ConcurrentServable:
    """Another servable, some of whose signatures are called row by row; thread-safe.

    Attributes:
        calls: how many calls of each such signature one batch has under way at once.
    """

    def __init__(self, inner: Servable, calls: Mapping[str, int], executor: Executor) -> None:
        """Calls nothing yet.

        Args:
            inner: what is called.
            calls: for each signature that is called row by row, the most calls under way for one batch, 2 or more. Each
                must be batchable.
            executor: where all calls but one run; the caller's thread makes calls too, so that a batch comes to its end
                whatever else the executor has to do. It stays the caller's, to be closed when nothing runs any more.

        Raises:
            ValueError: fewer than two calls, or a signature that is not batchable.
        """
        for name, count in calls.items():
            if count < 2:  # one at a time is what the inner one does by itself
                raise ValueError(f"calls of {name!r} is {count}; expected 2 or more")
            if not inner.signatures[name].batchable:
                raise ValueError(f"signature {name!r} is not batchable, so it has no rows to be called with")
        self.calls = dict(calls)
        self._inner = inner
        self._executor = executor

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """The inner servable's."""
        return self._inner.signatures

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Run one signature; rows are given back in order. A single row, or none, is one call in the caller's thread.

        All calls have ended when this returns or raises, and none begins after one has failed.

        Raises:
            ExecutionFailed: the rows do not make one batch again.
            Exception: that of the first row, in their order, whose call failed.
        """
        calls = self.calls.get(signature, 1)
        rows = len(next(iter(inputs.values()))) if calls > 1 else 1
        if rows <= 1:
            return self._inner.run(signature, inputs, outputs)
        batch = _Batch(self._inner, signature, inputs, outputs, rows)
        for _ in range(min(rows, calls) - 1):
            self._executor.submit(batch.work)
        batch.work()
        return _joined(signature, batch.results())


class _Batch:
    """The calls of one batch; each thread that works takes the next row until there is none."""

    def __init__(
        self,
        inner: Servable,
        signature: str,
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
        rows: int,
    ) -> None:
        self._inner = inner
        self._signature = signature
        self._inputs: Mapping[str, Array] = inputs
        self._outputs = outputs
        self._changed = threading.Condition()  # guards all below; never held in a call
        self._waiting: Iterator[int] = iter(range(rows))
        self._under_way = 0
        self._results: dict[int, Mapping[str, Array]] = {}
        self._failures: dict[int, BaseException] = {}

    def work(self) -> None:
        """Make calls until no row waits."""
        while (row := self._next()) is not None:
            try:
                one = {name: values[row : row + 1] for name, values in self._inputs.items()}
                result = self._inner.run(self._signature, one, self._outputs)
            except BaseException as error:  # noqa: BLE001 - it is raised where the batch was given
                self._end(row, None, error)
            else:
                self._end(row, result, None)

    def results(self) -> list[Mapping[str, Array]]:
        """Wait for the calls under way; what they gave, in the order of rows. Raises the first failure in it."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way == 0)
            # A job that has not begun yet is still in the executor's queue: it must find nothing to do, nor keep much.
            self._waiting, self._inputs = iter(()), {}
            failures, results = self._failures, self._results
            self._failures, self._results = {}, {}
        if failures:
            first = failures[min(failures)]
            failures.clear()  # or the frames of the error, which stand in a traceback, would hold one another
            raise first
        return [results[row] for row in sorted(results)]

    def _next(self) -> int | None:
        with self._changed:
            row = None if self._failures else next(self._waiting, None)
            if row is not None:
                self._under_way += 1
            return row

    def _end(self, row: int, result: Mapping[str, Array] | None, failure: BaseException | None) -> None:
        with self._changed:
            if result is not None:
                self._results[row] = result
            if failure is not None:
                self._failures[row] = failure
            self._under_way -= 1
            if self._under_way == 0:
                self._changed.notify_all()


def _joined(signature: str, results: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    what = f"signature {signature!r} is called row by row, and what it gave makes no batch"
    for each in results:
        for name, values in each.items():
            if values.shape[:1] != (1,):
                raise errors.ExecutionFailed(
                    f"{what}: output {name!r} of one row has the shape {values.shape}"
                )
    try:
        return {name: np.concatenate([each[name] for each in results]) for name in results[0]}
    except ValueError as error:
        raise errors.ExecutionFailed(f"{what}: {error}") from error
