"""Rows of every dtype that NumPy has, and of those that TensorFlow adds, come back as they were put in."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from batching import merging
from batching.arrays import Array
from batching.batcher import Batcher
from batching.options import QueueOptions
from tests.batching.bench import Bench
from tests.kit.waiting import PATIENCE_SECONDS

TIMEOUT_SECONDS = 0.25
ADDED = [
    np.dtype(each)
    for each in (
        ml_dtypes.bfloat16,
        ml_dtypes.float8_e5m2,
        ml_dtypes.float8_e4m3fn,
        ml_dtypes.int4,
        ml_dtypes.uint4,
    )
]
FIXED = [
    np.dtype(each)
    for each in "? i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 g c8 c16 G >i4 >f8 S3 U3 V4 M8[ms] m8[s] f4,i4".split()  # noqa: SIM905
]
SHAPES = st_numpy.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)
ROWS = st.lists(st.integers(1, 4), min_size=1, max_size=5)


def bits(shape: tuple[int, ...], dtype: np.dtype[Any]) -> st.SearchStrategy[Array]:
    """Arrays of any bits: also those of a NaN, a negative zero, or a number that is not normal."""
    size_bytes = int(np.prod(shape)) * dtype.itemsize
    return st.binary(min_size=size_bytes, max_size=size_bytes).map(
        lambda data: np.frombuffer(data, dtype).reshape(shape)
    )


def merged_and_split(arrays: list[Array], more: int) -> list[Array]:
    """What each task gets back of a batch that is padded by so many rows."""
    rows = [len(array) for array in arrays]
    padded_rows = sum(rows) + more
    merged = merging.merge(arrays, padded_rows)
    assert (len(merged), merged.dtype) == (padded_rows, arrays[0].dtype)
    return merging.split_rows(merged, rows, padded_rows)


@given(
    data=st.data(),
    dtype=st.one_of(
        st.sampled_from(FIXED + ADDED),
        st_numpy.byte_string_dtypes(max_len=5),
        st_numpy.unicode_string_dtypes(max_len=3),
    ),
    inner=SHAPES,
    rows=ROWS,
    more=st.integers(0, 3),
)
def test_any_bits_of_any_dtype_come_back(
    data: st.DataObject, dtype: np.dtype[Any], inner: tuple[int, ...], rows: list[int], more: int
) -> None:
    """Bit by bit, whatever they mean."""
    arrays = [data.draw(bits((count, *inner), dtype)) for count in rows]

    for expected, part in zip(arrays, merged_and_split(arrays, more), strict=True):
        assert (part.dtype, part.shape) == (expected.dtype, expected.shape)
        assert part.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", [np.dtype(object), np.dtypes.StringDType()], ids=str)
@given(
    values=st.lists(st.lists(st.text(max_size=40), min_size=1, max_size=4), min_size=1, max_size=5),
    more=st.integers(0, 3),
)
def test_strings_of_any_length_come_back(dtype: np.dtype[Any], values: list[list[str]], more: int) -> None:
    """Text of any length, with zeros at its end, too; objects are the same objects."""
    arrays = []
    for own in values:
        array: Array = np.empty(len(own), dtype)
        array[:] = own
        arrays.append(array)

    for expected, part in zip(arrays, merged_and_split(arrays, more), strict=True):
        assert part.dtype == dtype
        assert part.tolist() == expected.tolist()
        assert dtype != np.dtype(object) or all(
            a is b for a, b in zip(part.tolist(), expected.tolist(), strict=True)
        )


@pytest.mark.parametrize("dtype", [*FIXED, *ADDED, np.dtype(object)], ids=str)
def test_a_batcher_gives_back_rows_of_each_dtype(bench: Bench, dtype: np.dtype[Any]) -> None:
    """Merged, padded, split over two calls and joined again."""
    calls: list[int] = []

    def same(x: Array) -> Array:
        calls.append(len(x))
        return x

    options = QueueOptions(4, TIMEOUT_SECONDS, allowed_batch_rows=(2, 4))
    batcher: Batcher[Array, Array] = Batcher(same, options, scheduler=bench.scheduler)
    if dtype.hasobject:
        values = np.array([b"a\0", b"", "ä", None, 1.5, b"\xff", "long" * 9], object)
    elif dtype.kind == "U":
        values = np.array(["ä", "b\0c", "", "def", "g", "hi", "\U0001f600"], dtype)
    else:
        values = np.frombuffer(bytes(number % 256 for number in range(7 * dtype.itemsize)), dtype)
    pending = [batcher.submit(values[start:stop]) for start, stop in ((0, 1), (1, 6), (6, 7))]
    bench.advance(TIMEOUT_SECONDS)

    parts = [each.result(PATIENCE_SECONDS) for each in pending]
    assert sorted(calls) == [4, 4]
    assert {part.dtype for part in parts} == {dtype}
    if dtype.hasobject:
        assert [row for part in parts for row in part.tolist()] == values.tolist()
    else:
        assert b"".join(part.tobytes() for part in parts) == values.tobytes()
