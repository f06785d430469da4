"""Promises of `batching.merging`."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from batching import errors, merging

DTYPES = ("f2", "f4", "f8", "c8", "i1", "i8", "u1", "u8", "?", ">i4", "S3", "U3", "M8[ms]", "O")


def of_dtype(dtype: str, rows: int) -> npt.NDArray[Any]:
    """Return rows of two values each, unlike from row to row."""
    return np.arange(2 * rows).reshape(rows, 2).astype(np.dtype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_merge_then_split_gives_each_task_its_rows(dtype: str) -> None:
    """Rows come back to their owners in order, in the dtype in which they came, without the padding."""
    given_arrays = [of_dtype(dtype, rows) for rows in (2, 1, 3)]

    merged = merging.merge(given_arrays, padded_rows=8)
    parts = merging.split_rows(merged, [2, 1, 3], padded_rows=8)

    assert merged.dtype == np.dtype(dtype)
    assert merged.shape == (8, 2)
    for expected, part in zip(given_arrays, parts, strict=True):
        np.testing.assert_array_equal(part, expected, strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_padding_repeats_the_last_row(dtype: str) -> None:
    """Rows that fill up are real rows, so that a model never meets an input that nobody sent."""
    merged = merging.merge([of_dtype(dtype, 2), of_dtype(dtype, 1)], padded_rows=5)

    np.testing.assert_array_equal(merged[3:], np.stack([of_dtype(dtype, 1)[0]] * 2))


def test_a_single_array_is_merged_without_a_copy() -> None:
    """One task that needs no padding costs nothing: its own array is used, and its own output given back."""
    array = np.arange(6.0).reshape(3, 2)

    assert merging.merge([array]) is array
    assert merging.merge([array], padded_rows=3) is array
    assert merging.split_rows(array, [3])[0] is array


def test_a_single_array_is_padded() -> None:
    """One task of a size that is not allowed is padded, and its own array left as it is."""
    array = np.array([1, 2, 3])

    merged = merging.merge([array], padded_rows=4)

    assert merged.tolist() == [1, 2, 3, 3]
    assert [part.tolist() for part in merging.split_rows(merged, [3], padded_rows=4)] == [[1, 2, 3]]


def test_objects_are_carried_over_as_they_are() -> None:
    """Byte strings of any length, with zero bytes at their ends, stay the very same objects."""
    first, second = b"\0a\0", b""
    one, other = np.array([first], dtype=object), np.array([second], dtype=object)

    merged = merging.merge([one, other], padded_rows=3)

    assert merged[0] is first
    assert merged[1] is second
    assert merged[2] is second


def test_padding_does_not_take_an_object_apart() -> None:
    """An object that is itself a sequence is repeated as one object."""
    array = np.empty(1, dtype=object)
    array[0] = [1, 2]

    assert merging.merge([array], padded_rows=3).tolist() == [[1, 2], [1, 2], [1, 2]]


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_merged_data_is_aligned_for_tensorflow(rows: int) -> None:
    """A merged array starts at a multiple of 64 bytes in C order: it is taken without a copy."""
    merged = merging.merge([np.ones((rows, 3), np.float32), np.ones((1, 3), np.float32)])

    assert merged.ctypes.data % 64 == 0
    assert merged.flags.c_contiguous


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (1000, 3)])
def test_an_array_to_be_filled_is_aligned_for_tensorflow(shape: tuple[int, int]) -> None:
    """Whoever fills a batch's array in place gives TensorFlow one that it takes without a copy."""
    array = merging.empty(shape, np.dtype("<f4"))

    assert (array.shape, array.dtype) == (shape, np.dtype("<f4"))
    assert array.ctypes.data % 64 == 0
    assert array.flags.c_contiguous
    assert array.flags.writeable


def test_an_array_filled_in_place_is_padded_like_a_merged_one() -> None:
    """The rows that are there stay, and the last of them stands in every other place."""
    array = merging.empty((4, 2), np.dtype("<i8"))
    array[:2] = [[1, 2], [3, 4]]

    merging.pad(array, 2)

    assert array.tolist() == [[1, 2], [3, 4], [3, 4], [3, 4]]

    merging.pad(array, 4)

    assert array.tolist() == [[1, 2], [3, 4], [3, 4], [3, 4]]


def test_rows_without_values_are_merged() -> None:
    """An inner dimension of 0 leaves rows that hold nothing, and are still counted."""
    merged = merging.merge([np.empty((2, 0)), np.empty((1, 0))], padded_rows=4)

    assert merged.shape == (4, 0)
    assert [part.shape for part in merging.split_rows(merged, [2, 1], padded_rows=4)] == [(2, 0), (1, 0)]


def test_parts_are_views() -> None:
    """Giving rows back copies nothing."""
    array = np.arange(4)

    assert all(part.base is array for part in merging.split_rows(array, [1, 3]))


@pytest.mark.parametrize(
    "arrays",
    [
        [],
        [np.array(1.0)],
        [np.ones((1, 2)), np.ones((1, 3))],
        [np.ones((1, 2)), np.ones(2)],
        [np.ones(1, np.float32), np.ones(1, np.float64)],
    ],
    ids=["none", "scalar", "inner shape", "rank", "dtype"],
)
def test_arrays_of_unlike_layout_are_refused(arrays: list[npt.NDArray[Any]]) -> None:
    """What cannot be stacked exactly is not stacked by converting it."""
    with pytest.raises(errors.LayoutMismatch):
        merging.merge(arrays)


@pytest.mark.parametrize(("rows", "padded_rows"), [(3, 2), (0, 2)])
def test_rows_that_do_not_fit_the_size_are_refused(rows: int, padded_rows: int) -> None:
    """More rows than the size holds, or none to repeat, cannot be padded to it."""
    with pytest.raises(errors.RowCountMismatch):
        merging.merge([np.ones(rows)], padded_rows=padded_rows)


@pytest.mark.parametrize(
    ("shape", "padded_rows"),
    [((), None), ((2, 3), None), ((4, 3), None), ((3,), 4), ((2,), 2)],
    ids=["scalar", "too few", "too many", "unpadded", "smaller than the tasks"],
)
def test_an_output_with_other_rows_is_refused(shape: tuple[int, ...], padded_rows: int | None) -> None:
    """An output from which nobody can tell whose row is whose is given to nobody."""
    with pytest.raises(errors.RowCountMismatch, match=r"tasks of 3 rows"):
        merging.split_rows(np.zeros(shape), [1, 2], padded_rows)


@given(
    data=st.data(),
    dtype=st_numpy.scalar_dtypes(),
    inner=st_numpy.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
    rows=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    more=st.integers(0, 3),
)
def test_merge_then_split_is_the_identity(
    data: st.DataObject, dtype: np.dtype[Any], inner: tuple[int, ...], rows: list[int], more: int
) -> None:
    """Whatever the dtype, shapes, sizes and padding: each task gets exactly its own bytes back."""
    arrays = [data.draw(st_numpy.arrays(dtype, (count, *inner))) for count in rows]
    padded_rows = sum(rows) + more

    merged = merging.merge(arrays, padded_rows)

    assert len(merged) == padded_rows
    for expected, part in zip(arrays, merging.split_rows(merged, rows, padded_rows), strict=True):
        assert (part.dtype, part.shape) == (expected.dtype, expected.shape)
        assert part.tobytes() == expected.tobytes()
