"""What a function of arrays takes and gives: one array, a tuple of arrays, or a mapping of names to arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from batching import errors
from batching.ragged import Key, Ragged

Array = npt.NDArray[Any]

Form = int | tuple[str, ...] | None
"""How arrays are put together: None, one alone; a number, a tuple of so many; names in order, a mapping."""

Layout = tuple[Form, tuple[tuple[np.dtype[Any], tuple[int | None, ...]], ...]]
"""Form, and dtype and shape after dimension 0 of each array: what tasks share that can be merged; None: ragged."""


def take_apart(value: object) -> tuple[Form, list[Any]]:
    """Return the form and what is in it, checked for nothing; anything else is taken for one array."""
    if isinstance(value, Mapping):
        return tuple(value), list(value.values())
    if isinstance(value, tuple):
        return len(value), list(value)
    return None, [value]


def put_together(form: Form, arrays: Sequence[Array]) -> Any:
    """Undo `take_apart`; a mapping becomes a dict in the order of its names."""
    if form is None:
        return arrays[0]
    if isinstance(form, int):
        return tuple(arrays)
    return dict(zip(form, arrays, strict=True))


def checked_input(value: object) -> tuple[Form, tuple[Array, ...], int]:
    """Return the form, the arrays and their rows.

    Raises:
        InvalidTask: there is no array; something is none; one has no dimension of rows, or no rows; they differ in
            rows. The message names which.
    """
    if isinstance(value, Mapping):
        value = {name: value[name] for name in sorted(value, key=str)}  # in whatever order they come
    form, items = take_apart(value)
    if not items:
        raise errors.InvalidTask(
            f"an empty {type(value).__name__} has no rows: a task has at least one array"
        )
    if isinstance(form, tuple) and not all(isinstance(name, str) for name in form):
        raise errors.InvalidTask(f"arrays are named by strings, not by {form}")
    arrays = tuple(_checked_array(form, position, item) for position, item in enumerate(items))
    rows = len(arrays[0])
    for position, array in enumerate(arrays):
        if len(array) != rows:
            raise errors.InvalidTask(
                f"{_called(form, position)} has {len(array)} rows and {_called(form, 0)} has {rows}: the arrays of "
                "a task have the same rows"
            )
    if not rows:
        raise errors.InvalidTask(f"{_called(form, 0)} has no rows: its shape is {arrays[0].shape}")
    return form, arrays, rows


def checked_output(value: object) -> tuple[Form, list[Array]]:
    """Return the form and the arrays of what a function gave; their rows are checked where they are divided.

    Raises:
        InvalidOutput: there is no array, or something is none.
    """
    form, items = take_apart(value)
    if not items:
        raise errors.InvalidOutput(f"the function returned an empty {type(value).__name__}, and no array")
    for position, item in enumerate(items):
        if not isinstance(item, np.ndarray):
            called = "" if form is None else f" as {_called(form, position)}"
            raise errors.InvalidOutput(
                f"the function returned a {type(item).__name__}{called}: it has to return a NumPy array, or a tuple or "
                "a mapping of them"
            )
    return form, items


def layout_of(form: Form, arrays: Sequence[Array], ragged: Ragged | None = None) -> Layout:
    """Return what has to be alike in tasks that share a batch."""
    if ragged is None:
        return form, tuple((array.dtype, array.shape[1:]) for array in arrays)
    return form, tuple(
        (
            array.dtype,
            tuple(None if ragged.varies(key, n) else size for n, size in enumerate(array.shape[1:], 1)),
        )
        for key, array in zip(keys_of(form), arrays, strict=True)
    )


def keys_of(form: Form) -> Sequence[Key]:
    """Return what `Ragged` knows each array by."""
    if form is None:
        return (0,)
    return range(form) if isinstance(form, int) else form


def describe(layout: Layout) -> str:
    """Return a layout for people: `float32[3]`, or `ids int64[?], mask bool[8]`."""
    form, specs = layout
    names = [f"{name} " for name in form] if isinstance(form, tuple) else [""] * len(specs)
    return ", ".join(
        f"{name}{dtype}[{','.join('?' if size is None else str(size) for size in shape)}]"
        for name, (dtype, shape) in zip(names, specs, strict=True)
    )


def reordered(form: Form, items: Sequence[Array], wanted: Form) -> tuple[Form, Sequence[Array]]:
    """Return arrays by name in the order of the wanted form, where that has the same names; others as they are."""
    if form != wanted and isinstance(form, tuple) and isinstance(wanted, tuple) and set(form) == set(wanted):
        return wanted, [items[form.index(name)] for name in wanted]
    return form, items


def _checked_array(form: Form, position: int, item: object) -> Array:
    if not isinstance(item, np.ndarray):
        raise errors.InvalidTask(
            f"{_called(form, position)} is a {type(item).__name__} and no NumPy array: numpy.asarray makes one of it"
        )
    if isinstance(item, np.ma.MaskedArray):
        raise errors.InvalidTask(f"{_called(form, position)} is masked: its mask would be lost on the way")
    if not item.ndim:
        raise errors.InvalidTask(
            f"{_called(form, position)} is a scalar: its first dimension has to be its rows"
        )
    return item if type(item) is np.ndarray else np.asarray(item)


def _called(form: Form, position: int) -> str:
    if form is None:
        return "the array"
    if isinstance(form, int):
        return f"array {position} of the tuple"
    return f"array {form[position]!r}"
