"""Requests of one kind and row count, as columns: inputs to stack, and ids and parameters beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from schemas.dtype import DType
from schemas.layout_cache import Match
from schemas.predict_request import PredictRequest
from schemas.request_kind import RequestKind
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


@dataclass(frozen=True, slots=True)
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
        if dtype is DType.DT_BOOL:
            np.minimum(target, 1, out=target)

    def take(self, start: int, stop: int) -> "SlicedData":
        """The requests from start to stop."""
        return SlicedData(self.values[start:stop], self.spans, self.dtypes, self.shapes)

    def _stacked_shape(self, index: int) -> tuple[int, ...]:
        rows, *inner = self.shapes[index]
        return (len(self.values) * rows, *inner)


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


@dataclass(frozen=True, slots=True)
class RequestColumns:
    """Requests of one kind and one number of rows, in the order of the records that they came in.

    Attributes:
        kind: what they have in common.
        rows_each: dimension 0 of each request; None when the kind is not batchable, and then there is one
            request.
        indices: which of the decoded values each request is.
        ids: the requests' ids, UTF-8, empty where none was given.
        parameters: the requests' `parameters`; None when all are empty, which is the usual case.
        data: where the inputs lie.
    """

    kind: RequestKind
    rows_each: int | None
    indices: list[int]
    ids: list[bytes]
    parameters: list[Mapping[str, bytes]] | None
    data: ColumnData

    @classmethod
    def of_match(cls, match: Match) -> "RequestColumns":
        """The columns of records with one layout."""
        layout = match.layout
        inputs = layout.kind.inputs
        data = SlicedData(
            match.values,
            layout.data,
            tuple(tensor.dtype for tensor in inputs),
            tuple((layout.rows_each, *tensor.inner_shape) for tensor in inputs),
        )
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

    @property
    def rows(self) -> int:
        """The rows of all requests together; one for a request that is not batchable."""
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
        return RequestColumns(self.kind, self.rows_each, self.indices[span], self.ids[span], parameters, data)


def flat_bytes(out: npt.NDArray[Any], dtype: DType, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The bytes of an array that is fit to take data of this dtype and shape."""
    check_target(out, dtype, shape)
    return out.reshape(-1).view(np.uint8)


def check_target(out: npt.NDArray[Any], dtype: DType, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless an array can take data of this dtype and shape."""
    if out.dtype != dtype.numpy or out.shape != shape or not out.flags.c_contiguous:
        raise ValueError(
            f"a C-contiguous array of {dtype.numpy} and shape {shape} was expected, "
            f"given {out.dtype} and {out.shape}"
        )
