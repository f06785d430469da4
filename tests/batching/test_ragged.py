"""Ragged dimensions: tasks of unlike lengths in one batch, with 0, 1 and 3 batch threads."""

import itertools
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching import errors, ragged
from batching.batcher import Batcher
from batching.options import QueueOptions
from batching.pending import Pending
from batching.ragged import Ragged
from tests.batching.bench import Bench
from tests.kit.waiting import PATIENCE_SECONDS

TIMEOUT_SECONDS = 0.25
DTYPES = [
    np.dtype(each)
    for each in (
        *("?", "i1", "i4", "i8", "u1", "u8", "f2", "f4", "f8", "c8", ">i4", "S3", "U3", "M8[ms]", "f4,i4"),
        ml_dtypes.bfloat16,
        ml_dtypes.int4,
    )
]


class Same:
    """A function that gives back what it gets, and remembers it."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, value: Any) -> Any:
        """The same; a number of 13 is too hard."""
        self.calls.append(value)
        if isinstance(value, np.ndarray) and value.dtype.kind == "i" and (value == 13).any():
            raise FloatingPointError("too hard")
        return value


def batcher_on(bench: Bench, function: Any, kind: Ragged | None, **options: Any) -> Batcher[Any, Any]:
    """A batcher on the bench's threads and clock."""
    chosen = QueueOptions(**{"batch_timeout_seconds": TIMEOUT_SECONDS, **options})
    return Batcher(function, chosen, scheduler=bench.scheduler, ragged=kind)


def result(pending: Pending[Any]) -> Any:
    """What came of a task, as plain values."""
    value = pending.result(PATIENCE_SECONDS)
    return value.tolist() if isinstance(value, np.ndarray) else value


@pytest.fixture
def same() -> Same:
    """What most tests batch."""
    return Same()


def test_tasks_are_padded_to_the_largest_of_their_batch(bench: Bench, same: Same) -> None:
    """Three tokens and one token share a call; each task gets its own rows, as long as its batch was."""
    batcher = batcher_on(bench, same, Ragged())
    pending = [batcher.submit(np.array(x)) for x in ([[1, 2, 3]], [[4], [5]])]
    bench.advance(TIMEOUT_SECONDS)

    assert [call.tolist() for call in same.calls] == [[[1, 2, 3], [4, 0, 0], [5, 0, 0]]]
    assert [result(each) for each in pending] == [[[1, 2, 3]], [[4, 0, 0], [5, 0, 0]]]


@pytest.mark.parametrize(("length", "padded"), [(0, 4), (3, 4), (4, 4), (5, 8), (9, 9)])
def test_the_next_bucket_is_what_a_batch_is_padded_to(
    bench: Bench, same: Same, length: int, padded: int
) -> None:
    """Also a task alone; what is larger than every bucket stays as it is."""
    pending = batcher_on(bench, same, Ragged(buckets=(4, 8))).submit(np.ones((1, length)))
    bench.advance(TIMEOUT_SECONDS)

    assert result(pending) == [[1] * length + [0] * (padded - length)]


def test_rows_are_padded_to_allowed_sizes_as_ever(bench: Bench, same: Same) -> None:
    """The last row is repeated, with its padding."""
    batcher = batcher_on(bench, same, Ragged(), max_batch_rows=4, allowed_batch_rows=(4,))
    pending = [batcher.submit(np.array(x)) for x in ([[1, 2]], [[3]])]
    bench.advance(TIMEOUT_SECONDS)

    assert [call.tolist() for call in same.calls] == [[[1, 2], [3, 0], [3, 0], [3, 0]]]
    assert [result(each) for each in pending] == [[[1, 2]], [[3, 0]]]


def test_a_pad_value_is_chosen_for_an_array_by_its_name(bench: Bench, same: Same) -> None:
    """As a tokenizer's padding token; other arrays have the empty value of their dtype."""
    batcher = batcher_on(bench, same, Ragged(pad_values={"ids": 1}))
    for n in (1, 2):
        batcher.submit(
            {"ids": np.full((1, n), 7), "mask": np.ones((1, n), bool), "text": np.full((1, n), "x")}
        )
    bench.advance(TIMEOUT_SECONDS)
    (call,) = same.calls

    assert {name: array.tolist() for name, array in call.items()} == {
        "ids": [[7, 1], [7, 7]],
        "mask": [[True, False], [True, True]],
        "text": [["x", ""], ["x", "x"]],
    }


def test_arrays_of_a_tuple_are_known_by_position(bench: Bench, same: Same) -> None:
    """Position 1 has its pad value."""
    batcher = batcher_on(bench, same, Ragged(pad_values={1: -1}))
    for n in (1, 2):
        batcher.submit((np.ones((1, n)), np.ones((1, n))))
    bench.advance(TIMEOUT_SECONDS)
    (call,) = same.calls

    assert [array.tolist() for array in call] == [[[1, 0], [1, 1]], [[1, -1], [1, 1]]]


@pytest.mark.parametrize(("filled", "empty"), [(b"ab", b""), ("ab", "")])
def test_objects_are_padded_with_an_empty_one_of_their_type(
    bench: Bench, same: Same, filled: object, empty: object
) -> None:
    """Bytes by bytes, strings by strings."""
    batcher = batcher_on(bench, same, Ragged())
    pending = [batcher.submit(np.full((1, n), filled, object)) for n in (1, 2)]
    bench.advance(TIMEOUT_SECONDS)

    assert [result(each) for each in pending] == [[[filled, empty]], [[filled, filled]]]


def test_objects_that_nothing_pads_are_an_error_until_a_value_is_chosen(bench: Bench, same: Same) -> None:
    """There is no empty object of any type."""
    for kind in (Ragged(), Ragged(pad_values={0: b"?"})):
        batcher = batcher_on(bench, same, kind)
        pending = [batcher.submit(np.full((1, n), None, object)) for n in (1, 2)]
        bench.advance(TIMEOUT_SECONDS)
        if kind.pad_values:
            assert [result(each) for each in pending] == [[[None, b"?"]], [[None, None]]]
        else:
            assert all(
                isinstance(each.exception(PATIENCE_SECONDS), errors.LayoutMismatch) for each in pending
            )


def test_other_dimensions_still_tell_queues_apart(bench: Bench, same: Same) -> None:
    """So do rank and dtype; a bucket is nothing to a dimension that does not vary."""
    batcher = batcher_on(bench, same, Ragged(dimensions={0: (1,)}, buckets=(4,)))
    shapes = [(1, 2, 3), (1, 1, 3), (1, 2, 5), (1, 2)]
    for shape in shapes:
        batcher.submit(np.ones(shape))
    batcher.submit(np.ones((1, 3), np.int8))
    assert repr(batcher).endswith("4 layouts>")
    bench.advance(TIMEOUT_SECONDS)
    batcher.close()
    bench.scheduler.close()

    assert sorted(call.shape for call in same.calls) == [(1, 4), (1, 4), (1, 4, 5), (2, 4, 3)]


def test_the_task_at_fault_fails_alone_among_unlike_lengths(bench: Bench, same: Same) -> None:
    """Bisection pads each half by itself."""
    batcher = batcher_on(bench, same, Ragged())
    pending = [batcher.submit(np.array(x)) for x in ([[1]], [[1, 13, 1]], [[1, 1]], [[1]])]
    bench.advance(TIMEOUT_SECONDS)

    assert isinstance(pending[1].exception(PATIENCE_SECONDS), FloatingPointError)
    assert [result(pending[n]) for n in (0, 2, 3)] == [[[1]], [[1, 1]], [[1, 0]]]


def test_pieces_of_a_task_that_were_padded_unlike_are_joined(bench: Bench, same: Same) -> None:
    """The second half of the short task shares a batch with a longer one, and the first does not."""
    batcher = batcher_on(bench, same, Ragged(), max_batch_rows=2)
    with bench.all_threads_busy():
        pending = [batcher.submit(np.array(x)) for x in ([[1]], [[2], [3]], [[4, 5]])]
    bench.advance(TIMEOUT_SECONDS)

    assert [result(each) for each in pending] == [[[1]], [[2, 0], [3, 0]], [[4, 5]]]


def test_one_long_task_does_not_blow_up_a_batch(bench: Bench, same: Same) -> None:
    """Padded it would be four times 100 bytes: those before it and those behind it are calls of their own."""
    batcher = batcher_on(bench, same, Ragged(max_batch_bytes=100))
    pending = [batcher.submit(np.ones((1, n), np.int8)) for n in (1, 2, 100, 1)]
    bench.advance(TIMEOUT_SECONDS)

    assert [np.shape(result(each)) for each in pending] == [(1, 2), (1, 2), (1, 100), (1, 1)]
    assert [call.shape for call in same.calls] == [(2, 2), (1, 100), (1, 1)]


def test_a_call_that_fails_takes_no_other_of_its_batch_with_it(bench: Bench, same: Same) -> None:
    """Tasks that were too large together are independent of each other."""
    batcher = batcher_on(bench, same, Ragged(max_batch_bytes=100))
    pending = [batcher.submit(np.full((1, n), value, np.int8)) for n, value in ((1, 1), (90, 13), (1, 2))]
    bench.advance(TIMEOUT_SECONDS)

    assert [result(pending[n]) for n in (0, 2)] == [[[1]], [[2]]]
    assert isinstance(pending[1].exception(PATIENCE_SECONDS), FloatingPointError)


@pytest.mark.parametrize(
    "wrong",
    [
        {"buckets": (0, 4)},
        {"buckets": (4, 4)},
        {"max_batch_bytes": 0},
        {"dimensions": {"x": (0,)}},
    ],
)
def test_a_value_out_of_range_is_refused_at_construction(wrong: dict[str, Any]) -> None:
    """Before any task is taken."""
    with pytest.raises(errors.InvalidOptions):
        Ragged(**wrong)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ("x", "i4"),
        (0.5, "i4"),
        (300, "u1"),
        (-1, "u1"),
        (0, "S1"),
        (b"long", "S3"),
        (b"x", "U1"),
        (1, "?"),
        (b"x", "f4"),
    ],
)
def test_a_pad_value_of_another_dtype_is_refused_to_the_caller(
    bench: Bench, same: Same, value: Any, dtype: str
) -> None:
    """The first task of the layout says so; nothing is queued."""
    batcher = batcher_on(bench, same, Ragged(pad_values={0: value}))
    with pytest.raises(errors.InvalidOptions, match="cannot pad array 0"):
        batcher.submit(np.zeros((1, 1), dtype))


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, "i4"),
        (255, "u1"),
        (True, "?"),
        (0.1, "f4"),
        (float("nan"), "f8"),
        (b"x", "S3"),
        ("x", "U3"),
        (b"x", "O"),
    ],
)
def test_a_pad_value_of_the_dtype_is_taken(value: Any, dtype: str) -> None:
    """Floats are rounded as they are anywhere."""
    Ragged(pad_values={0: value}).check(0, np.dtype(dtype))


@given(
    dtype=st.sampled_from(DTYPES),
    shapes=st.lists(st.tuples(*[st.integers(min_side, 4) for min_side in (1, 0, 0)]), min_size=1, max_size=5),
    buckets=st.sampled_from([(), (2,), (3, 8)]),
    more=st.integers(0, 3),
    data=st.data(),
)
def test_rows_of_any_dtype_stay_what_they_are_within_the_padding(
    dtype: np.dtype[Any],
    shapes: list[tuple[int, ...]],
    buckets: tuple[int, ...],
    more: int,
    data: st.DataObject,
) -> None:
    """Bit by bit; all around is the dtype's zero, and the rows that were added repeat the last one."""
    arrays = []
    for shape in shapes:
        size = int(np.prod(shape)) * dtype.itemsize
        arrays.append(np.frombuffer(data.draw(st.binary(min_size=size, max_size=size)), dtype).reshape(shape))
    rows = sum(map(len, arrays))
    kind = Ragged(buckets=buckets)
    merged = kind.merge(0, arrays, rows + more)

    for axis in (1, 2):
        largest = max(array.shape[axis] for array in arrays)
        assert merged.shape[axis] == min((bucket for bucket in buckets if bucket >= largest), default=largest)
    start = 0
    for array in arrays:
        own = merged[start : start + len(array)].copy()
        inside = (slice(None), *map(slice, array.shape[1:]))
        assert own[inside].tobytes() == array.tobytes()
        own[inside] = np.zeros((), dtype)
        assert own.tobytes() == np.zeros_like(own).tobytes()
        start += len(array)
    assert all(row.tobytes() == merged[rows - 1].tobytes() for row in merged[rows:])


@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 40)), min_size=1, max_size=12),
    most=st.integers(1, 100),
    buckets=st.sampled_from([(), (8, 32)]),
)
def test_groups_are_within_their_bytes_and_leave_nobody_out(
    sizes: list[tuple[int, int]], most: int, buckets: tuple[int, ...]
) -> None:
    """In order; only one task alone may be larger; no two neighbours would have fitted together."""
    kind = Ragged(buckets=buckets, max_batch_bytes=most)
    groups = kind.groups([0], [[np.zeros(size, np.int8)] for size in sizes], [rows for rows, _ in sizes])

    assert [n for group in groups for n in group] == list(range(len(sizes)))

    def padded_bytes(group: range) -> int:
        (length,) = kind.inner_shape(0, [sizes[n][1:] for n in group])
        return length * sum(sizes[n][0] for n in group)

    assert all(padded_bytes(group) <= most or len(group) == 1 for group in groups)
    assert all(padded_bytes(range(a.start, b.start + 1)) > most for a, b in itertools.pairwise(groups))


def test_results_of_unlike_lengths_are_joined_at_the_largest() -> None:
    """With nothing to pad they are joined as they are."""
    assert ragged.joined([np.ones((1, 1)), np.ones((1, 2))]).tolist() == [[1, 0], [1, 1]]
    assert ragged.joined([np.ones((1, 2)), np.ones((1, 2))]).tolist() == [[1, 1], [1, 1]]
