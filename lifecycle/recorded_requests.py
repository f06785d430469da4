"""Requests that were recorded or written beforehand, and what a servable's signature makes of them.

Where they lie and how they are read is the business of whoever hands them in; `prediction_log` reads TensorFlow
Serving's.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import dtype_names, errors
from lifecycle.servable import Servable
from lifecycle.signature import Signature, check_inputs, check_outputs, find_signature

Array = npt.NDArray[Any]

DEFAULT_SIGNATURE = "serving_default"

MOST_REQUESTS = 1000
"""Of one file; one more fails the load, as in TensorFlow Serving."""


@dataclasses.dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request that was made before the version was there.

    Attributes:
        place: where it stands, for messages ("record 3 of …").
        signature: the name of the signature that it calls.
        inputs: gives its arrays by name; takes the signature, whose dtypes or only input it may need. Raises
            `InvalidInput` where they cannot be made for it.
        outputs: the names of the wanted outputs; empty for all.
    """

    place: str
    signature: str
    inputs: Callable[[Signature], Mapping[str, Array]]
    outputs: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class BoundRequest:
    """A request that fits a servable's signature; the attributes are `RecordedRequest`'s."""

    place: str
    signature: Signature
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...]

    @property
    def rows(self) -> int | None:
        """How many rows it has; None where it has none, or rows cannot be added or taken away."""
        counts = {len(array) for array in self.inputs.values()} if self.signature.batchable else set()
        return counts.pop() or None if len(counts) == 1 else None

    def with_rows(self, rows: int) -> dict[str, Array]:
        """Its inputs with so many rows: the first ones, or all and then the last again, as a batch is padded.

        Requires: `rows` of the request is not None.
        """
        return {name: _with_rows(array, rows) for name, array in self.inputs.items()}


def bind(request: RecordedRequest, servable: Servable) -> BoundRequest:
    """The request as its signature of this servable takes it.

    Raises:
        InvalidInput: there is no such signature, or the request does not fit it; the message names the place.
    """
    try:
        signature = find_signature(servable.signatures, request.signature)
        inputs = request.inputs(signature)
        check_inputs(signature, {name: (_dtype_name(array), array.shape) for name, array in inputs.items()})
        check_outputs(signature, request.outputs)
    except errors.InvalidInput as error:
        raise errors.InvalidInput(f"{request.place}: {error}") from error
    return BoundRequest(request.place, signature, inputs, request.outputs)


def _dtype_name(array: Array) -> str:
    return dtype_names.dtype_name(array.dtype) or array.dtype.name


def _with_rows(array: Array, rows: int) -> Array:
    if rows <= len(array):
        return array[:rows]
    return np.concatenate([array, np.repeat(array[-1:], rows - len(array), axis=0)])
