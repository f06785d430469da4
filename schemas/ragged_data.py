"""Inputs of requests of one kind whose rows differ, inside records of many layouts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy.typing as npt

from schemas.dtype import DType
from schemas.layout import Layout
from schemas.request_kind import RequestKind
from schemas.stacking import flat_bytes, only_booleans
from schemas.tensor import numbers_to_numpy


@dataclass(frozen=True, slots=True)
class RaggedData:
    """See `request_columns.ColumnData`; slices are made when they are asked for.

    Attributes:
        kind: what the requests have in common.
        values: the records, referred to and not copied.
        layouts: each record's layout.
    """

    kind: RequestKind
    values: Sequence[bytes]
    layouts: Sequence[Layout]

    def column(self, index: int) -> list[bytes]:
        """The bytes of one input, one item per request."""
        spans = [layout.data[index] for layout in self.layouts]
        return [value[start:end] for value, (start, end) in zip(self.values, spans, strict=True)]

    def stacked(self, index: int) -> npt.NDArray[Any]:
        """One join, and an array over it."""
        return numbers_to_numpy(b"".join(self.column(index)), self._dtype(index), self._stacked_shape(index))

    def stack_into(self, index: int, out: npt.NDArray[Any]) -> None:
        """Copy one input of all requests to where it is wanted."""
        target = flat_bytes(out, self._dtype(index), self._stacked_shape(index))
        places = target.data
        spans = [layout.data[index] for layout in self.layouts]
        ends = accumulate(end - start for start, end in spans)
        for value, (start, end), stop in zip(self.values, spans, ends, strict=True):
            places[stop - end + start : stop] = memoryview(value)[start:end]
        only_booleans(target, self._dtype(index))

    def take(self, start: int, stop: int) -> "RaggedData":
        """The requests from start to stop."""
        return RaggedData(self.kind, self.values[start:stop], self.layouts[start:stop])

    def pick(self, positions: list[int]) -> "RaggedData":
        """The requests at these positions."""
        values, layouts = self.values, self.layouts
        return RaggedData(self.kind, [values[n] for n in positions], [layouts[n] for n in positions])

    def _dtype(self, index: int) -> DType:
        return self.kind.inputs[index].dtype

    def _stacked_shape(self, index: int) -> tuple[int, ...]:
        rows = sum(layout.rows_each for layout in self.layouts)
        return (rows, *self.kind.inputs[index].inner_shape)
