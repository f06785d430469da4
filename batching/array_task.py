"""The task of arrays: the rows that one caller put in, or a piece of them where they were too many for a batch."""

import threading
from collections.abc import Sequence
from typing import Any, Self

from batching import arrays, errors, ragged
from batching.arrays import Array, Form, Layout
from batching.pending import Pending
from batching.ragged import Ragged


class ArrayTask:
    """A batch task. Its arrays are the caller's own and must not change before it has ended.

    Attributes:
        arrays: with equal rows, in the order of the form.
        form: how they are put together.
        pending: what the caller waits for; the pieces of one task share it.
        rows: of each array.
        deadline: when it must have begun, by the scheduler's clock; None: whenever.
        ragged: which dimensions of its arrays may differ from those of its batch; None: none.
    """

    __slots__ = ("_joining", "_start", "arrays", "deadline", "form", "pending", "ragged", "rows")

    def __init__(self, value: object, deadline: float | None = None, ragged: Ragged | None = None) -> None:
        """Make a task of what a caller put in.

        Raises:
            InvalidTask: it is no arrays, or none with rows.
        """
        self.form, self.arrays, self.rows = arrays.checked_input(value)
        self.pending: Pending[Any] = Pending()
        self.deadline = deadline
        self.ragged = ragged
        self._joining: Joining | None = None
        self._start = 0

    @property
    def layout(self) -> Layout:
        """What it shares with those that may be in one batch with it."""
        return arrays.layout_of(self.form, self.arrays, self.ragged)

    @property
    def size_bytes(self) -> int:
        """Bytes of its arrays; of objects those of the references to them."""
        return sum(array.nbytes for array in self.arrays)

    @property
    def is_piece(self) -> bool:
        """Whether other pieces are joined with it."""
        return self._joining is not None

    def split(self, rows: int) -> tuple[Self, Self]:
        """Cut anywhere."""
        joining = self._joining or Joining(self.pending, self.rows, padded=self.ragged is not None)
        return self._piece(joining, 0, rows), self._piece(joining, rows, self.rows)

    def start(self) -> bool:
        """Return whether it is to run now: not when it was cancelled, or failed in another piece. Asked once."""
        if self._joining is not None:
            return self._joining.start()
        # Whoever was handed the future may have ended it in another way than by `cancel`.
        return (
            not self.pending.done() or self.pending.cancelled()
        ) and self.pending.set_running_or_notify_cancel()

    def finish(self, form: Form, outputs: Sequence[Array]) -> None:
        """Give it its rows of what the function gave."""
        if self._joining is not None:
            self._joining.finish(self._start, self.rows, form, outputs)
        else:
            self.pending.finish(arrays.put_together(form, outputs))

    def fail(self, error: BaseException) -> None:
        """End it with an error: the whole of it, where this is a piece. One that has ended stays as it is."""
        if self._joining is not None:
            self._joining.leave_out()
        self.pending.fail(error)

    def _piece(self, joining: "Joining", start: int, stop: int) -> Self:
        piece = object.__new__(type(self))
        piece.form, piece.pending, piece.rows = self.form, self.pending, stop - start
        piece.deadline, piece.ragged = self.deadline, self.ragged
        piece.arrays = tuple(array[start:stop] for array in self.arrays)
        piece._joining, piece._start = joining, self._start + start
        return piece


class Joining:
    """Collects the outputs of one task's pieces, which run in any order and on any thread.

    Pieces of a *padded* task ran in batches of unlike lengths: their outputs are padded to the largest of them.
    """

    def __init__(self, pending: Pending[Any], rows: int, *, padded: bool) -> None:
        self._pending = pending
        self._any_length = Ragged() if padded else None
        self._missing_rows = rows
        self._outputs: dict[int, tuple[Form, Sequence[Array]]] = {}
        self._started: bool | None = None
        self._lock = threading.Lock()  # guards all of the above

    def start(self) -> bool:
        """Return whether a piece is to run. The first one that asks makes it too late to cancel."""
        with self._lock:
            if self._started is None:
                self._started = self._pending.set_running_or_notify_cancel()
            return self._started and not self._pending.done()

    def leave_out(self) -> None:
        """Let no piece start any more: the task is about to fail, perhaps before the first one has."""
        with self._lock:
            self._started = self._started or False

    def finish(self, start: int, rows: int, form: Form, outputs: Sequence[Array]) -> None:
        """Take the outputs for the rows from *start* on; with the last ones the task has its result."""
        with self._lock:
            self._outputs[start] = form, outputs
            self._missing_rows -= rows
            if self._missing_rows:
                return
        wanted = self._outputs[0][0]
        pieces = [arrays.reordered(*self._outputs[start], wanted) for start in sorted(self._outputs)]
        layouts = [arrays.layout_of(*piece, self._any_length) for piece in pieces]
        if any(layout != layouts[0] for layout in layouts):
            kinds = sorted(set(map(arrays.describe, layouts)))
            self._pending.fail(
                errors.LayoutMismatch(
                    f"the task was run in {len(pieces)} pieces, for which the function gave {' and '.join(kinds)}"
                )
            )
            return
        columns = zip(*(outputs for _, outputs in pieces), strict=True)
        try:
            joined = list(map(ragged.joined, columns))
        except errors.LayoutMismatch as error:  # objects of unlike lengths, which nothing pads
            self._pending.fail(error)
            return
        self._pending.finish(arrays.put_together(pieces[0][0], joined))
