"""Requests whose inputs are of unlike lengths, in one batch: which dimensions may vary, and what pads them.

Only dimensions that the signature itself leaves open are padded. It is for whoever runs the model to say that it knows
padding from data, so nothing is padded unless asked for.
"""

import functools
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from batching import errors
from batching.ragged import PadValue, Ragged
from lifecycle.signature import Signature, TensorSpec
from schemas.dtype import DType
from schemas.request_kind import RequestKind, TensorLayout
from worker import batch_inputs
from worker.ragged_options import RaggedOptions
from worker.request_block import Part

log = logging.getLogger(__name__)

ANY_SIZE = -1
"""In the layouts that tell queues apart: a dimension that does not."""
REFERENCE_BYTES = 8
"""What a string takes in an array, wherever its bytes are."""


class RaggedInputs(NamedTuple):
    """How the requests of a queue are padded; part of what tells queues apart.

    Attributes:
        inputs: what they share, with `ANY_SIZE` where they may differ.
        ragged: the padding.
    """

    inputs: tuple[TensorLayout, ...]
    ragged: Ragged

    def row_bytes(self, kind: RequestKind) -> int:
        """Bytes of a padded row of such requests, as a power of two, so that few lengths bound a batch otherwise."""
        sizes = self.ragged.row_bytes(_names(kind.inputs), _item_bytes(kind.inputs), _shapes(kind.inputs))
        return 1 << (sizes - 1).bit_length() if sizes else 0

    def within_bytes(self, parts: Sequence[Part]) -> list[Sequence[Part]]:
        """Requests in groups that are not too large when they are padded; nearly always one."""
        if len(parts) == 1:
            return [parts]
        shapes = [_shapes(part.columns.kind.inputs) for part in parts]
        rows = [part.tensor_rows for part in parts]
        groups = self.ragged.within_bytes(_names(self.inputs), _item_bytes(self.inputs), shapes, rows)
        return [parts[group.start : group.stop] for group in groups]

    def stack(self, parts: Sequence[Part], index: int, padded_rows: int) -> npt.NDArray[Any]:
        """One input of all requests, as `batch_inputs.stack`, padded in its other dimensions too."""
        name = self.inputs[index].name
        shapes = {part.columns.kind.inputs[index].inner_shape for part in parts}
        if shapes == {self.ragged.inner_shape(name, list(shapes))}:
            return batch_inputs.stack(parts, index, padded_rows)
        return self.ragged.merge(name, [part.columns.stacked(index) for part in parts], padded_rows)


def of_kind(
    options: RaggedOptions, signature: Signature, kind: RequestKind, max_batch_bytes: int
) -> RaggedInputs | None:
    """How requests of a kind are padded; None: they are not, as each dimension is fixed, or a pad value is none."""
    if not signature.batchable:
        return None
    return _known(options, tuple(signature.inputs.values()), kind.inputs, max_batch_bytes)


@functools.lru_cache(maxsize=4096)
def _known(
    options: RaggedOptions,
    specs: tuple[TensorSpec, ...],
    inputs: tuple[TensorLayout, ...],
    max_batch_bytes: int,
) -> RaggedInputs | None:
    """What was found is shared by all kinds that differ in lengths only, so that comparing it is quick."""
    free = {
        spec.name: tuple(n for n, size in enumerate(spec.shape or ()) if n and size is None) for spec in specs
    }
    if not any(free.values()):
        return None
    open_inputs = tuple(
        TensorLayout(
            each.name,
            each.dtype,
            tuple(ANY_SIZE if n in free[each.name] else size for n, size in enumerate(each.inner_shape, 1)),
        )
        for each in inputs
    )
    return _shared(options, tuple(free.items()), open_inputs, max_batch_bytes)


@functools.lru_cache(maxsize=1024)
def _shared(
    options: RaggedOptions,
    free: tuple[tuple[str, tuple[int, ...]], ...],
    inputs: tuple[TensorLayout, ...],
    max_batch_bytes: int,
) -> RaggedInputs | None:
    chosen = dict(text.split("=", 1) for text in options.pad_values)
    values: dict[str | int, PadValue] = {}
    try:
        for each in inputs:
            if each.name in chosen:
                values[each.name] = pad_value(chosen[each.name], each.dtype)
        ragged = Ragged(dict(free), options.buckets, values, max_batch_bytes)
        for each in inputs:
            if each.dtype is not DType.DT_STRING:
                ragged.check(each.name, each.dtype.numpy)
    except (errors.InvalidOptions, ValueError) as error:
        log.error(  # noqa: TRY400 - the error says all
            "inputs cannot be padded as is set; requests of unlike lengths do not share batches",
            extra={"inputs": ", ".join(_names(inputs)), "problem": str(error)},
        )
        return None
    return RaggedInputs(inputs, ragged)


def pad_value(text: str, dtype: DType) -> PadValue:
    """What a text says that pads an input of that dtype.

    Raises:
        ValueError: it says nothing of that dtype.
    """
    if dtype is DType.DT_STRING:
        return text.encode()
    if dtype is DType.DT_BOOL:
        known = {"true": True, "false": False}.get(text.lower())
        if known is None:
            raise ValueError(f"{text!r} is neither true nor false")
        return known
    return int(text) if np.issubdtype(dtype.numpy, np.integer) else float(text)


def _names(inputs: Sequence[TensorLayout]) -> list[str]:
    return [each.name for each in inputs]


def _item_bytes(inputs: Sequence[TensorLayout]) -> list[int]:
    return [each.dtype.itemsize or REFERENCE_BYTES for each in inputs]


def _shapes(inputs: Sequence[TensorLayout]) -> list[tuple[int, ...]]:
    return [each.inner_shape for each in inputs]
