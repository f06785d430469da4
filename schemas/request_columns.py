"""Requests of one kind, as columns: inputs to stack, and ids and parameters beside them.

Nothing here is changed once made. The classes are not frozen all the same: one of each is made for every block, and
frozen ones cost three times as much.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from schemas.claim import Claim, claims_of
from schemas.dtype import DType
from schemas.layout_match import Match
from schemas.predict_request import PredictRequest
from schemas.ragged_data import RaggedData
from schemas.ragged_match import RaggedMatch
from schemas.request_ids import EqualIds
from schemas.request_kind import RequestKind
from schemas.stacking import check_target, flat_bytes, only_booleans, span, stacked_shape
from schemas.tensor import Tensor, numbers_to_numpy

LARGE_BYTES = 4096
"""Data of that size is copied record by record; smaller data is joined first, which saves calls.

Measured, µs a record, joined first against one by one: 0.23 and 0.29 at 2,048 bytes, 0.44 and 0.37 at 4,096, 34 and 6
at 150,528, where the slices alone leave the processor's caches.
"""
Data = bytes | memoryview | tuple[bytes, ...]


class ColumnData(Protocol):
    """Where the inputs of a block lie. Indices are those of `RequestKind.inputs`."""

    def column(self, index: int) -> Sequence[Data]:
        """The data of one input, one item per request."""
        ...

    def stacked(self, index: int) -> npt.NDArray[Any]:
        """One input of all requests."""
        ...

    def stack_into(self, index: int, out: npt.NDArray[Any]) -> None:
        """Copy one input of all requests to where it is wanted."""
        ...

    def take(self, start: int, stop: int) -> Self:
        """The requests from start to stop."""
        ...

    def pick(self, positions: list[int]) -> Self:
        """The requests at these positions."""
        ...


@dataclass(slots=True)
class SlicedData:
    """Inputs inside values of one layout: slices are made when they are asked for.

    Attributes:
        values: the records, referred to and not copied.
        spans: (start, end) of each input's data in every value.
        dtypes: each input's dtype.
        shapes: each input's shape in one request.
    """

    values: Sequence[bytes]
    spans: tuple[tuple[int, int], ...]
    dtypes: tuple[DType, ...]
    shapes: tuple[tuple[int, ...], ...]

    def column(self, index: int) -> list[bytes]:
        """The bytes of one input, one item per request."""
        return list(map(itemgetter(slice(*self.spans[index])), self.values))

    def stacked(self, index: int) -> npt.NDArray[Any]:
        """One join, and an array over it."""
        joined = b"".join(map(itemgetter(slice(*self.spans[index])), self.values))
        return numbers_to_numpy(joined, self.dtypes[index], self._stacked_shape(index))

    def stack_into(self, index: int, out: npt.NDArray[Any]) -> None:
        """Copy one input of all requests to where it is wanted."""
        start, end = self.spans[index]
        dtype = self.dtypes[index]
        target = flat_bytes(out, dtype, self._stacked_shape(index))
        if end - start < LARGE_BYTES:
            joined = b"".join(map(itemgetter(slice(start, end)), self.values))
            target[:] = np.frombuffer(joined, np.uint8) if joined else 0
        else:
            width, places = end - start, target.data  # views of bytes are copied in a third of numpy's time
            for place, value in zip(range(0, target.size, width), self.values, strict=True):
                places[place : place + width] = memoryview(value)[start:end]
        only_booleans(target, dtype)

    def take(self, start: int, stop: int) -> "SlicedData":
        """The requests from start to stop."""
        return SlicedData(self.values[start:stop], self.spans, self.dtypes, self.shapes)

    def pick(self, positions: list[int]) -> "SlicedData":
        """The requests at these positions."""
        return SlicedData([self.values[n] for n in positions], self.spans, self.dtypes, self.shapes)

    def _stacked_shape(self, index: int) -> tuple[int, ...]:
        return stacked_shape(len(self.values), self.shapes[index])


@dataclass(slots=True)
class MatrixData:
    """Inputs inside values of one layout and one length, which were joined.

    Attributes:
        matrix: the values, a row of bytes each.
        spans: (start, end) of each input's data in every value.
        dtypes: each input's dtype.
        shapes: each input's shape in one request.
    """

    matrix: npt.NDArray[np.uint8]
    spans: tuple[tuple[int, int], ...]
    dtypes: tuple[DType, ...]
    shapes: tuple[tuple[int, ...], ...]

    def column(self, index: int) -> list[bytes]:
        """The bytes of one input, one item per request."""
        start, end = self.spans[index]
        return [row[start:end].tobytes() for row in self.matrix]

    def stacked(self, index: int) -> npt.NDArray[Any]:
        """One copy, and an array over it."""
        start, end = self.spans[index]
        data = span(self.matrix, start, end).tobytes() if start < end else b""
        return numbers_to_numpy(data, self.dtypes[index], self._stacked_shape(index))

    def stack_into(self, index: int, out: npt.NDArray[Any]) -> None:
        """Copy one input of all requests to where it is wanted."""
        start, end = self.spans[index]
        dtype = self.dtypes[index]
        target = flat_bytes(out, dtype, self._stacked_shape(index))
        if start < end:
            target.view(f"V{end - start}")[...] = span(self.matrix, start, end)[:, 0]
        only_booleans(target, dtype)

    def take(self, start: int, stop: int) -> "MatrixData":
        """The requests from start to stop."""
        return MatrixData(self.matrix[start:stop], self.spans, self.dtypes, self.shapes)

    def pick(self, positions: list[int]) -> "MatrixData":
        """The requests at these positions."""
        return MatrixData(self.matrix[positions], self.spans, self.dtypes, self.shapes)

    def _stacked_shape(self, index: int) -> tuple[int, ...]:
        return stacked_shape(len(self.matrix), self.shapes[index])


@dataclass(frozen=True, slots=True)
class DecodedData:
    """Inputs of one request from the general decoder: strings, scalars and whatever is not usual."""

    tensors: tuple[Tensor, ...]

    def column(self, index: int) -> list[Data]:
        """The data of one input, in a list of one."""
        return [self.tensors[index].data]

    def stacked(self, index: int) -> npt.NDArray[Any]:
        """The array of one input, over the decoded data."""
        return self.tensors[index].to_numpy()

    def stack_into(self, index: int, out: npt.NDArray[Any]) -> None:
        """Copy one input to where it is wanted."""
        array = self.stacked(index)
        check_target(out, self.tensors[index].dtype, array.shape)
        out[...] = array

    def take(self, start: int, stop: int) -> "DecodedData":
        """The one request, or nothing of it."""
        return self if (start, stop) == (0, 1) else DecodedData(())

    def pick(self, positions: list[int]) -> "DecodedData":
        """The one request, or nothing of it."""
        return self if positions else DecodedData(())


@dataclass(slots=True)
class RequestColumns:
    """Requests of one kind, in the order of the records that they came in.

    Attributes:
        kind: what they have in common.
        rows_each: dimension 0 of each request. None where they differ (`row_counts` has them), and when the kind is
            not batchable, and then there is one request.
        indices: which of the decoded values each request is.
        ids: the requests' ids, UTF-8, empty where none was given.
        parameters: the requests' `parameters`; None when all are empty, which is the usual case.
        data: where the inputs lie.
        row_counts: dimension 0 of each request, at least 1, where they may differ; else None.
    """

    kind: RequestKind
    rows_each: int | None
    indices: Sequence[int]
    ids: Sequence[bytes]
    parameters: list[Mapping[str, bytes]] | None
    data: ColumnData
    row_counts: list[int] | None = None

    @classmethod
    def of_match(cls, match: Match | RaggedMatch) -> "RequestColumns":
        """The columns of records with one layout, or with several of one kind."""
        if isinstance(match, RaggedMatch):
            ragged = RaggedData(match.kind, match.values, match.layouts)
            rows = _row_counts([layout.rows_each for layout in match.layouts])
            return cls(match.kind, rows[0], match.positions, match.ids, None, ragged, rows[1])
        layout = match.layout
        facts = layout.data, layout.dtypes, layout.shapes
        data = SlicedData(match.values, *facts) if match.matrix is None else MatrixData(match.matrix, *facts)
        return cls(layout.kind, layout.rows_each, match.positions, match.ids, None, data)

    @classmethod
    def of_one(cls, request: PredictRequest, index: int) -> "RequestColumns":
        """The block of one of a decoded request."""
        kind, rows = RequestKind.of(request)
        parameters = [request.parameters] if request.parameters else None
        return cls(kind, rows, [index], [request.id.encode()], parameters, DecodedData(request.inputs))

    def __len__(self) -> int:
        """The number of requests."""
        return len(self.ids)

    def claims(self) -> dict[str, Claim]:
        """The claims of a request of its own, by the tensor's name; empty for requests without parameters."""
        return {} if self.parameters is None else claims_of(self.parameters[0])

    def with_data(self, data: DecodedData) -> "RequestColumns":
        """The same request with the data that it has claimed; the parameters have done their work."""
        return RequestColumns(self.kind, self.rows_each, self.indices, self.ids, None, data)

    @property
    def rows(self) -> int:
        """The rows of all requests together; one for a request that is not batchable."""
        if self.row_counts is not None:
            return sum(self.row_counts)
        return 1 if self.rows_each is None else self.rows_each * len(self.ids)

    def column(self, index: int) -> Sequence[Data]:
        """The raw data of one input, one item per request (a tuple of strings for DT_STRING)."""
        return self.data.column(index)

    def stacked(self, index: int) -> npt.NDArray[Any]:
        """One input of all requests, of shape `(rows, *inner_shape)`, read-only; DT_STRING as `bytes`.

        For a kind that is not batchable: the input as it was sent, in its own shape.
        """
        return self.data.stacked(index)

    def stack_into(self, index: int, out: npt.NDArray[Any]) -> None:
        """Copy what `stacked` gives into a C-contiguous array of its dtype and shape.

        Raises:
            ValueError: the array is of another dtype or shape, or not contiguous.
        """
        self.data.stack_into(index, out)

    def take(self, start: int, stop: int) -> "RequestColumns":
        """The requests from start to stop, sharing the same values. 0 <= start <= stop <= len."""
        if (start, stop) == (0, len(self.ids)):
            return self
        span = slice(start, stop)
        parameters = None if self.parameters is None else self.parameters[span]
        data = self.data.take(start, stop)
        rows_each, counts = self.rows_each, self.row_counts
        if counts is not None:
            rows_each, counts = _row_counts(counts[span])
        return RequestColumns(
            self.kind, rows_each, self.indices[span], self.ids[span], parameters, data, counts
        )

    def pick(self, positions: list[int]) -> "RequestColumns":
        """The requests at these positions, ascending, at least one, sharing the same values."""
        parameters = None if self.parameters is None else [self.parameters[n] for n in positions]
        rows_each, counts = self.rows_each, self.row_counts
        if counts is not None:
            rows_each, counts = _row_counts([counts[n] for n in positions])
        ids = self.ids
        ids = ids.pick(positions) if isinstance(ids, EqualIds) else [ids[n] for n in positions]
        indices, data = [self.indices[n] for n in positions], self.data.pick(positions)
        return RequestColumns(self.kind, rows_each, indices, ids, parameters, data, counts)


def _row_counts(counts: list[int]) -> tuple[int | None, list[int] | None]:
    """`rows_each` and `row_counts` of requests with these rows."""
    if counts and counts.count(counts[0]) == len(counts):
        return counts[0], None
    return None, counts
