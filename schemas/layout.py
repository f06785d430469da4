"""The byte layout of a request: what is the same in all requests like it, and where the rest lies.

A layout is learnt from a record that the general decoder took, never constructed: another encoder may write
an array in several blocks, or in blocks with sizes. It is sound for any encoding, because a decoder reads
from left to right: a record with the same bytes everywhere but inside tensors' data (of the same lengths,
whose content means nothing to a decoder), and with the same end but for the id, is read in the same way.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from schemas.dtype import DType
from schemas.marks import Marks
from schemas.predict_request import PredictRequest
from schemas.request_ids import EqualIds, all_start_with, equal_ends, read_id, read_ids
from schemas.request_kind import RequestKind
from schemas.stacking import span
from schemas.varint import write_bytes

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_CONSTANT_BYTES = 16 * 1024
"""A layout with more than that (names of very many inputs) is not worth its place in the cache."""
NO_PARAMETERS = b"\x00"


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """One layout. Two are the same when they are the same object.

    Attributes:
        kind: what its requests ask for.
        rows_each: dimension 0 of each of its requests.
        head: the first bytes, up to the first tensor's data.
        constants: (offset, bytes) of what lies behind the data of each tensor, up to the next data or the id.
        data: (start, end) of each tensor's data.
        id_at: where the id's length begins.
        longest_id: the limit on the id's bytes.
        dtypes: each tensor's dtype.
        shapes: each tensor's shape, the rows of one request first.
    """

    kind: RequestKind
    rows_each: int
    head: bytes
    constants: tuple[tuple[int, bytes], ...]
    data: tuple[tuple[int, int], ...]
    id_at: int
    longest_id: int
    dtypes: tuple[DType, ...] = field(init=False)
    shapes: tuple[tuple[int, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        inputs = self.kind.inputs
        object.__setattr__(self, "dtypes", tuple(tensor.dtype for tensor in inputs))
        object.__setattr__(self, "shapes", tuple((self.rows_each, *t.inner_shape) for t in inputs))

    @property
    def constant_bytes(self) -> int:
        """What keeping this layout takes, roughly."""
        return len(self.head) + sum(len(constant) for _, constant in self.constants)

    def ids_of(self, values: Sequence[bytes]) -> list[bytes] | None:
        """The ids of values that begin with the head; None unless all of them have this layout."""
        for at, constant in self.constants:
            if not all_start_with(values, constant, at):
                return None
        return read_ids(values, self.id_at, self.longest_id)

    def ids_in(self, matrix: "npt.NDArray[np.uint8]", *, same_head: bool) -> EqualIds | None:
        """The ids of values of one length, a row each; None unless all of them have this layout.

        With *same_head* they are known to begin with the head.
        """
        count, width = matrix.shape
        size = width - self.id_at
        if size <= 0:  # too short for what is compared below
            return None
        if not same_head and span(matrix, 0, len(self.head)).tobytes() != self.head * count:
            return None
        for at, constant in self.constants:
            if span(matrix, at, at + len(constant)).tobytes() != constant * count:
                return None
        ends = span(matrix, self.id_at, width).tobytes()
        if not equal_ends(ends, size, count, self.longest_id):
            return None
        return EqualIds(np.frombuffer(ends, np.uint8).reshape(count, size))

    def id_of(self, value: bytes) -> bytes | None:
        """The id of one value that begins with the head; None unless it has this layout."""
        if all(value.startswith(constant, at) for at, constant in self.constants):
            return read_id(value, self.id_at, self.longest_id)
        return None


@functools.lru_cache(maxsize=1024)
def _one_object(kind: RequestKind) -> RequestKind:
    """The same object for equal kinds, as far as that can be had: what is identical need not be compared."""
    return kind


def learn(value: bytes, request: PredictRequest, marks: Marks, longest_id: int) -> Layout | None:
    """The layout of a decoded record; None for one with strings, scalars, parameters or nothing to stack."""
    if request.parameters or marks.id_at is None or len(marks.data) != len(request.inputs):
        return None
    kind, rows = RequestKind.of(request)
    if rows is None:
        return None
    if value[marks.id_at :] != write_bytes(request.id.encode()) + NO_PARAMETERS:
        return None
    spans = tuple(marks.data)
    if any(
        value[start:end] != tensor.data for (start, end), tensor in zip(spans, request.inputs, strict=True)
    ):
        return None
    ends = (*(start for start, _ in spans[1:]), marks.id_at)
    constants = tuple((end, value[end:until]) for (_, end), until in zip(spans, ends, strict=True))
    head = value[: spans[0][0]]
    if len(head) + sum(len(constant) for _, constant in constants) > MOST_CONSTANT_BYTES:
        return None
    return Layout(_one_object(kind), rows, head, constants, spans, marks.id_at, longest_id)
