"""The kinds of step that a NumPy model is made of: each turns one array into another, row by row.

| kind | keys beside `kind`, `input`, `output` | what it gives |
| --- | --- | --- |
| `identity` | | its input, of any dtype, strings included |
| `affine` | `scale` (1), `offset` (0) | `scale * x + offset` in the dtype of x |
| `dense` | `weights`, `bias` (none), `activation` (`linear`) | `activation(x @ weights + bias)` |
| `argmax` | | the place of the largest number along the last axis, DT_INT64 |
| `cast` | `dtype` | the same numbers in another dtype |

`weights` and `bias` name .npy files beside model.json; activations are `linear`, `relu`, `sigmoid`, `softmax`
and `tanh`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import dtype_names, errors
from lifecycle.json_section import JsonSection

Array = npt.NDArray[Any]
Step = Callable[[Array], Array]
ReadArray = Callable[[str], Array]


def read_step(section: JsonSection, read_array: ReadArray) -> Step:
    """The step that a section describes.

    Raises:
        InvalidModel: the kind is not known, or a key of it is missing, wrong or unknown.
    """
    kind = section.text("kind")
    make = _KINDS.get(kind)
    if make is None:
        raise section.wrong("kind", f"one of {', '.join(sorted(_KINDS))}", kind)
    step = make(section, read_array)
    section.end()
    return step


def _identity(_section: JsonSection, _read_array: ReadArray) -> Step:
    return lambda x: x


def _affine(section: JsonSection, _read_array: ReadArray) -> Step:
    scale, offset = section.number("scale", 1.0), section.number("offset", 0.0)
    place = section.place

    def affine(x: Array) -> Array:
        if x.dtype.kind in "iu" and (scale != int(scale) or offset != int(offset)):
            raise errors.InvalidModel(f"{place}: scale and offset of {x.dtype.name} numbers must be whole")
        y: Array = x * x.dtype.type(scale) + x.dtype.type(offset)
        return y

    return affine


def _dense(section: JsonSection, read_array: ReadArray) -> Step:
    weights = read_array(section.text("weights"))
    bias_file = section.optional_text("bias")
    bias = None if bias_file is None else read_array(bias_file)
    activation = section.optional_text("activation") or "linear"
    activate = _ACTIVATIONS.get(activation)
    if weights.ndim != 2:
        raise errors.InvalidModel(f"{section.place}: weights have rank {weights.ndim}; expected 2")
    if bias is not None and bias.shape != weights.shape[1:]:
        raise errors.InvalidModel(
            f"{section.place}: bias has shape {list(bias.shape)}; expected {list(weights.shape[1:])}"
        )
    if activate is None:
        raise section.wrong("activation", f"one of {', '.join(sorted(_ACTIVATIONS))}", activation)

    def dense(x: Array) -> Array:
        y: Array = x @ weights
        return activate(y if bias is None else y + bias)

    return dense


def _argmax(_section: JsonSection, _read_array: ReadArray) -> Step:
    return lambda x: np.argmax(x, axis=-1).astype(np.int64, copy=False)


def _cast(section: JsonSection, _read_array: ReadArray) -> Step:
    name = section.text("dtype")
    dtype = dtype_names.numpy_dtype(name)
    if dtype is None or dtype.kind == "O":
        raise section.wrong("dtype", "the name of a numeric dtype, such as DT_FLOAT", name)
    return lambda x: x.astype(dtype)


def _sigmoid(x: Array) -> Array:
    smaller = np.exp(-np.abs(x))  # never overflows
    likely: Array = np.where(x >= 0, x.dtype.type(1), smaller) / (1 + smaller)
    return likely


def _softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    shares: Array = powers / powers.sum(axis=-1, keepdims=True)
    return shares


_ACTIVATIONS: Mapping[str, Step] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, x.dtype.type(0)),
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "tanh": np.tanh,
}
_KINDS: Mapping[str, Callable[[JsonSection, ReadArray], Step]] = {
    "identity": _identity,
    "affine": _affine,
    "dense": _dense,
    "argmax": _argmax,
    "cast": _cast,
}
