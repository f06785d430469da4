"""Promises of `batching.batcher` to callers of any kind, with 0, 1 and 3 batch threads."""

import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from typing import Any

import numpy as np
import pytest

from batching import errors
from batching.arrays import Array
from batching.batcher import Batcher
from batching.options import PaddingPolicy, QueueOptions
from batching.pending import Pending
from batching.shared_scheduler import SharedScheduler
from tests.batching.bench import THREAD_COUNTS, Bench
from tests.kit.waiting import PATIENCE_SECONDS

TIMEOUT_SECONDS = 0.25


class Tripling:
    """A function of one array that remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[Array] = []

    def __call__(self, x: Array) -> Array:
        """Triple; a negative number is too hard."""
        self.calls.append(x)
        if x.dtype.kind != "U" and (x < 0).any():
            raise FloatingPointError(f"{x.min()} is too hard")
        return 3 * x if x.dtype.kind != "U" else np.char.upper(x)


def batcher_on(bench: Bench, function: Any, *, most_layouts: int = 64, **options: Any) -> Batcher[Any, Any]:
    """A batcher on the bench's threads and clock, whose batches wait for a time-out unless said otherwise."""
    chosen = QueueOptions(**{"batch_timeout_seconds": TIMEOUT_SECONDS, **options})
    return Batcher(function, chosen, scheduler=bench.scheduler, most_layouts=most_layouts)


def result(pending: Pending[Any]) -> Any:
    """What came of a task, as plain values."""
    value = pending.result(PATIENCE_SECONDS)
    return value.tolist() if isinstance(value, np.ndarray) else value


def sizes(function: Tripling) -> list[int]:
    """The rows of each call."""
    return sorted(len(call) for call in function.calls)


@pytest.fixture
def function() -> Tripling:
    """What most tests batch."""
    return Tripling()


def test_tasks_share_a_call_and_get_their_own_rows(bench: Bench, function: Tripling) -> None:
    """Three tasks are one call of the function."""
    batcher = batcher_on(bench, function)
    pending = [batcher.submit(np.array(x)) for x in ([1, 2], [3], [4, 5, 6])]
    bench.advance(TIMEOUT_SECONDS)

    assert [result(each) for each in pending] == [[3, 6], [9], [12, 15, 18]]
    assert sizes(function) == [6]


def test_padding_is_not_seen_by_callers(bench: Bench, function: Tripling) -> None:
    """Three rows are run as four, the last of them twice."""
    batcher = batcher_on(bench, function, max_batch_rows=4, allowed_batch_rows=(2, 4))
    pending = [batcher.submit(np.array(x)) for x in ([1, 2], [3])]
    bench.advance(TIMEOUT_SECONDS)

    assert [result(each) for each in pending] == [[3, 6], [9]]
    assert [call.tolist() for call in function.calls] == [[1, 2, 3, 3]]


def test_cutting_down_is_not_seen_by_callers(bench: Bench, function: Tripling) -> None:
    """Seven rows are run as four, two and one of two; who gave five gets all of them at once."""
    batcher = batcher_on(
        bench,
        function,
        max_batch_rows=8,
        allowed_batch_rows=(2, 4, 8),
        padding_policy=PaddingPolicy.BATCH_DOWN,
    )
    pending = [batcher.submit(np.array(x)) for x in ([1, 2], [3, 4, 5, 6, 7])]
    bench.advance(TIMEOUT_SECONDS)

    assert [result(each) for each in pending] == [[3, 6], [9, 12, 15, 18, 21]]
    assert sorted(call.tolist() for call in function.calls) == [[1, 2, 3, 4], [5, 6], [7, 7]]


def test_a_task_larger_than_a_batch_is_split_and_joined(bench: Bench, function: Tripling) -> None:
    """Its caller sees one result, in its own order."""
    batcher = batcher_on(bench, function, max_batch_rows=4)
    pending = [
        batcher.submit(np.arange(1)),
        batcher.submit(np.arange(1, 12)),
        batcher.submit(np.arange(12, 14)),
    ]
    bench.advance(TIMEOUT_SECONDS)

    assert [result(each) for each in pending] == [[0], [3 * x for x in range(1, 12)], [36, 39]]
    assert sizes(function) == [2, 4, 4, 4]


def test_an_error_in_a_piece_fails_the_whole_task_once(bench: Bench, function: Tripling) -> None:
    """It ends with that error, its neighbours in other batches with their rows."""
    batcher = batcher_on(bench, function, max_batch_rows=2)
    ended: list[Any] = []
    with bench.all_threads_busy():
        torn = batcher.submit(np.array([1, 2, -3, 4, 5]))
        torn.add_done_callback(ended.append)
        beside, after = batcher.submit(np.array([6])), batcher.submit(np.array([7, 8]))
    bench.advance(TIMEOUT_SECONDS)

    with pytest.raises(FloatingPointError, match="-3 is too hard"):
        torn.result(PATIENCE_SECONDS)
    assert result(after) == [21, 24]
    assert beside.done()
    assert ended == [torn]


def test_pieces_that_cannot_be_joined_fail_their_task(bench: Bench) -> None:
    """A function whose output has another dtype for another piece is told on."""
    batcher = batcher_on(bench, lambda x: x.astype("int64" if x[0] else "float64"), max_batch_rows=2)
    torn = batcher.submit(np.arange(4))
    bench.settle()

    with pytest.raises(errors.LayoutMismatch, match=r"2 pieces.* float64\[\] and int64\[\]"):
        torn.result(PATIENCE_SECONDS)


def test_named_pieces_are_joined_by_name(bench: Bench) -> None:
    """In whatever order the function names its arrays for each piece."""

    def named(x: Array) -> dict[str, Array]:
        return {"a": x, "b": -x} if x[0] else {"b": -x, "a": x}

    torn = batcher_on(bench, named, max_batch_rows=2).submit(np.arange(4))
    bench.settle()

    joined = torn.result(PATIENCE_SECONDS)
    assert {name: array.tolist() for name, array in joined.items()} == {
        "a": [0, 1, 2, 3],
        "b": [0, -1, -2, -3],
    }


def test_mappings_and_tuples_of_arrays(bench: Bench) -> None:
    """A function of named arrays gets and gives them by name, whatever their order; one of a tuple, a tuple."""

    def ratio(given: Mapping[str, Array]) -> dict[str, Array]:
        return {"ratio": given["a"] / given["b"], "rows": np.full(len(given["a"]), len(given["a"]))}

    def swap(given: tuple[Array, Array]) -> tuple[Array, Array]:
        return given[1], given[0]

    named, tuples = batcher_on(bench, ratio), batcher_on(bench, swap)
    one = named.submit({"a": np.array([4.0]), "b": np.array([2.0])})
    two = named.submit({"b": np.array([5.0, 1.0]), "a": np.array([5.0, 3.0])})
    pair = tuples.submit((np.array([1]), np.array([[2, 3]])))
    bench.advance(TIMEOUT_SECONDS)

    assert {name: array.tolist() for name, array in one.result(PATIENCE_SECONDS).items()} == {
        "ratio": [2.0],
        "rows": [3],
    }
    assert two.result(PATIENCE_SECONDS)["ratio"].tolist() == [1.0, 3.0]
    assert [array.tolist() for array in pair.result(PATIENCE_SECONDS)] == [[[2, 3]], [1]]


def test_tasks_of_unlike_layout_never_meet(bench: Bench, function: Tripling) -> None:
    """Other dtypes, other inner shapes, other names: each has its own calls, and errors stay there."""
    batcher = batcher_on(bench, function)
    given = [np.array([1, 2]), np.array([[1, 2]]), np.array([1.5]), np.array(["a"]), np.array([[-1, -2, -3]])]
    pending = [batcher.submit(x) for x in given for _ in range(2)]
    bench.advance(TIMEOUT_SECONDS)

    assert [result(each) for each in pending[::2][:4]] == [[3, 6], [[3, 6]], [4.5], ["A"]]
    for failed in pending[8:]:
        with pytest.raises(FloatingPointError):
            failed.result(PATIENCE_SECONDS)
    assert sizes(function) == [1, 1, 2, 2, 2, 2, 4], "of the two that fail each is run alone, too"


def test_an_idle_layout_makes_room_for_a_new_one(bench: Bench, function: Tripling) -> None:
    """However many layouts come one after the other, few queues are kept, and each task is answered."""
    batcher = batcher_on(bench, function, most_layouts=2, batch_timeout_seconds=0)
    for width in (1, 2, 3, 4, 1, 2, 3):
        pending = batcher.submit(np.ones((1, width), int))
        bench.settle()
        assert result(pending) == [[3] * width]
        assert len(bench.scheduler.statistics().queues) <= 2


def test_a_new_layout_finds_no_room_while_all_are_busy(bench: Bench, function: Tripling) -> None:
    """It is refused like a task for a full queue, names the layout, and is taken once one of them is idle."""
    batcher = batcher_on(bench, function, most_layouts=2)
    waiting = [batcher.submit(np.ones((1, width))) for width in (1, 2)]
    with pytest.raises(errors.QueueFull, match=r"tasks of 2 layouts waiting.*none of float64\[3\]"):
        batcher.submit(np.ones((1, 3)))
    bench.advance(TIMEOUT_SECONDS)
    late = batcher.submit(np.ones((1, 3)))
    bench.advance(TIMEOUT_SECONDS)

    assert [result(each) for each in [*waiting, late]] == [[[3.0] * width] for width in (1, 2, 3)]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([1, 2], "the array is a list and no NumPy array"),
        (None, "the array is a NoneType"),
        (np.float64(1), "the array is a float64 and no NumPy array"),
        (np.array(1), "the array is a scalar"),
        (np.empty((0, 3)), r"the array has no rows: its shape is \(0, 3\)"),
        (np.ma.masked_array([1, 2], [True, False]), "the array is masked"),
        ({}, "an empty dict has no rows"),
        ((), "an empty tuple has no rows"),
        ({"a": np.ones(2), "b": np.ones(3)}, "array 'b' has 3 rows and array 'a' has 2"),
        ({"a": np.ones(2), "b": [1, 2]}, "array 'b' is a list"),
        ({1: np.ones(2), "b": np.ones(2)}, "arrays are named by strings"),
        ((np.ones(2), np.array(3)), "array 1 of the tuple is a scalar"),
    ],
    ids=str,
)
def test_bad_input_is_refused_before_it_is_queued(
    bench: Bench, function: Tripling, value: object, told: str
) -> None:
    """The error names what is at fault, and nothing is queued."""
    batcher = batcher_on(bench, function)

    with pytest.raises(errors.InvalidTask, match=told):
        batcher.submit(value)
    assert bench.scheduler.statistics().queues == ()


def test_more_rows_than_can_be_held_are_refused(bench: Bench, function: Tripling) -> None:
    """No retry helps, and the error says how many would be held."""
    batcher = batcher_on(bench, function, max_batch_rows=2, max_enqueued_batches=3)

    with pytest.raises(
        errors.TaskTooLarge, match=r"7 rows is more than queue 'Tripling float64\[\]' holds \(6\)"
    ):
        batcher.submit(np.ones(7))
    with pytest.raises(errors.TaskTooLarge):
        batcher(np.ones(7))


def test_a_full_queue_refuses_at_once(bench: Bench, function: Tripling) -> None:
    """What was refused has not been run; what was taken is."""
    batcher = batcher_on(bench, function, max_batch_rows=1, max_enqueued_batches=2)
    with bench.all_threads_busy():
        taken = [batcher.submit(np.array([x])) for x in (1, 2)]
        with pytest.raises(errors.QueueFull):
            batcher.submit(np.array([3]))

    assert [result(each) for each in taken] == [[3], [6]]
    assert sizes(function) == [1, 1]


def test_a_task_that_makes_the_function_fail_fails_alone(bench: Bench, function: Tripling) -> None:
    """Of 256 callers in one batch 255 have their rows, after few more calls; nothing has failed as a whole."""
    batcher = batcher_on(bench, function)
    pending = [batcher.submit(np.array([-2 if n == 100 else n])) for n in range(256)]
    bench.advance(TIMEOUT_SECONDS)

    with pytest.raises(FloatingPointError, match="-2 is too hard"):
        pending.pop(100).result(PATIENCE_SECONDS)
    assert [result(each) for each in pending] == [[3 * n] for n in range(256) if n != 100]
    assert len(function.calls) <= 1 + 2 * 8
    assert bench.observer.failed == []


def test_tasks_of_several_rows_are_not_cut_to_find_who_fails(bench: Bench, function: Tripling) -> None:
    """One bad row fails its caller's others, as they were put in together, and padding is as ever."""
    batcher = batcher_on(bench, function, max_batch_rows=8, allowed_batch_rows=(4, 8))
    pending = [batcher.submit(np.array(x)) for x in ([1, 2, 3], [4, -5], [6, 7, 8])]
    bench.advance(TIMEOUT_SECONDS)

    assert [result(each) for each in pending[::2]] == [[3, 6, 9], [18, 21, 24]]
    with pytest.raises(FloatingPointError):
        pending[1].result(PATIENCE_SECONDS)
    assert {len(call) for call in function.calls} == {4, 8}


def test_an_error_that_all_have_goes_to_each_of_them(bench: Bench) -> None:
    """Each has an error object of its own, with where it was raised; the batcher and its observer go on."""
    calls = []

    def broken(x: Array) -> Array:
        calls.append(x)
        raise FloatingPointError("broken")

    batcher = batcher_on(bench, broken)
    failed = [batcher.submit(np.array([x])) for x in range(256)]
    bench.advance(TIMEOUT_SECONDS)
    caught = [each.exception(PATIENCE_SECONDS) for each in failed]

    assert {type(error) for error in caught} == {FloatingPointError}
    assert len({id(error) for error in caught}) == 256
    for error in caught:
        assert error is not None
        frames = [entry.tb_frame.f_code.co_name for entry in tracebacks(error)]
        assert frames == ["broken"], "the function's own frames, which know no other task"
    assert len(calls) <= 4 * 9, "it is given up, not searched"
    assert [type(error) for _, _, error in bench.observer.failed] == [FloatingPointError]


def test_a_function_that_is_called_once_a_batch_fails_it_as_a_whole(bench: Bench, function: Tripling) -> None:
    """That is how it is asked for where calls have effects of their own."""
    batcher = Batcher(
        function, QueueOptions(batch_timeout_seconds=TIMEOUT_SECONDS), scheduler=bench.scheduler, bisect=False
    )
    failed = [batcher.submit(np.array([x])) for x in (1, -2, 3)]
    bench.advance(TIMEOUT_SECONDS)

    assert {type(each.exception(PATIENCE_SECONDS)) for each in failed} == {FloatingPointError}
    assert sizes(function) == [3]


def tracebacks(error: BaseException) -> Iterator[Any]:
    """The entries of its traceback."""
    entry = error.__traceback__
    while entry is not None:
        yield entry
        entry = entry.tb_next


class Picky(Exception):
    """Cannot be made anew from what it keeps."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(f"{code}: {why}")


class Doubling(Exception):
    """Made anew from what it keeps it would say something else."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no {name}")


@pytest.mark.parametrize("error", [Picky(7, "no"), Doubling("luck"), OSError(2, "gone", "file")], ids=repr)
def test_no_error_is_changed_on_its_way(bench: Bench, error: Exception) -> None:
    """An error that cannot be copied faithfully is shared; each caller reads what was raised."""

    def fail(x: Array) -> Array:
        raise error

    batcher = batcher_on(bench, fail)
    failed = [batcher.submit(np.array([x])) for x in (1, 2)]
    bench.advance(TIMEOUT_SECONDS)

    for each in failed:
        caught = each.exception(PATIENCE_SECONDS)
        assert type(caught) is type(error)
        assert str(caught) == str(error)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_would_end_a_caller_is_wrapped(bench: Bench, kind: type[BaseException]) -> None:
    """A function that exits ends no batch thread, no caller and no loop; each task is told."""

    def leave(x: Array) -> Array:
        raise kind("out")

    batcher = batcher_on(bench, leave, batch_timeout_seconds=0)
    failed = batcher.submit(np.array([1]))
    if bench.threads:
        bench.settle()
    else:
        with pytest.raises(kind):
            batcher.step()

    with pytest.raises(errors.FunctionFailed, match=f"the function raised {kind.__name__}: out") as caught:
        failed.result(PATIENCE_SECONDS)
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize(
    ("output", "kind", "told"),
    [
        ([1, 2], errors.InvalidOutput, "returned a list"),
        (None, errors.InvalidOutput, "returned a NoneType"),
        ({}, errors.InvalidOutput, "an empty dict"),
        ({"y": 7}, errors.InvalidOutput, "a int as array 'y'"),
        ((np.ones(2), None), errors.InvalidOutput, "a NoneType as array 1 of the tuple"),
        (np.array(7.0), errors.RowCountMismatch, r"shape \(\)"),
        (np.ones((3, 2)), errors.RowCountMismatch, r"shape \(3, 2\).*2 rows"),
        ((np.ones(2), np.ones(1)), errors.RowCountMismatch, r"shape \(1,\)"),
    ],
    ids=str,
)
def test_an_output_that_cannot_be_divided_is_told_to_each_task(
    bench: Bench, output: object, kind: type[Exception], told: str
) -> None:
    """What is no arrays, or has other rows, answers nobody."""
    batcher = batcher_on(bench, lambda x: output)
    pending = [batcher.submit(np.array([x])) for x in (1, 2)]
    bench.advance(TIMEOUT_SECONDS)

    for each in pending:
        with pytest.raises(kind, match=told):
            each.result(PATIENCE_SECONDS)


def test_a_cancelled_task_does_not_run(bench: Bench, function: Tripling) -> None:
    """Its rows are left out, also of the padding; its neighbours notice nothing."""
    batcher = batcher_on(bench, function, max_batch_rows=4, allowed_batch_rows=(2, 4))
    first, second, third = (batcher.submit(np.array([x])) for x in (1, 2, 3))
    assert second.cancel()
    bench.advance(TIMEOUT_SECONDS)

    assert [result(first), result(third)] == [[3], [9]]
    assert [call.tolist() for call in function.calls] == [[1, 3]]
    with pytest.raises(futures.CancelledError):
        second.result(0)


def test_a_batch_of_cancelled_tasks_is_not_run(bench: Bench, function: Tripling) -> None:
    """The function is not called for nobody."""
    batcher = batcher_on(bench, function, max_batch_rows=2)
    with bench.all_threads_busy():
        pending = [batcher.submit(np.arange(5)), batcher.submit(np.arange(1))]
        assert all(each.cancel() for each in pending)
    bench.advance(TIMEOUT_SECONDS)

    assert function.calls == []


def test_a_task_that_runs_is_not_cancelled(bench: Bench) -> None:
    """`cancel` says so, and everybody gets the result."""
    said: list[bool] = []

    def cancelling(x: Array) -> Array:
        said.append(pending[0].cancel())
        return 3 * x

    batcher = batcher_on(bench, cancelling)
    pending = [batcher.submit(np.array([x])) for x in (1, 2)]
    bench.advance(TIMEOUT_SECONDS)

    assert [result(each) for each in pending] == [[3], [6]]
    assert said == [False]


def test_results_keep_nobody_elses_rows(bench: Bench, function: Tripling) -> None:
    """A result that shares a batch is an array of its own; a task alone gets what the function gave, as it is."""
    batcher = batcher_on(bench, function)
    shared = [batcher.submit(np.array([x])) for x in (1, 2)]
    bench.advance(TIMEOUT_SECONDS)
    given = np.array([1, 2])
    alone = batcher.submit(given)
    bench.advance(TIMEOUT_SECONDS)

    assert all(each.result(PATIENCE_SECONDS).base is None for each in shared)
    assert result(alone) == [3, 6]
    assert function.calls[-1] is given, "a task alone is not copied"


def test_a_callback_that_raises_harms_nobody(bench: Bench, function: Tripling) -> None:
    """Whatever a callback of one task raises, its neighbours have their results."""

    def leave(_: object) -> None:
        raise SystemExit

    batcher = batcher_on(bench, function)
    pending = [batcher.submit(np.array([x])) for x in (1, 2)]
    pending[0].add_done_callback(leave)
    bench.advance(TIMEOUT_SECONDS)

    assert [result(each) for each in pending] == [[3], [6]]


def test_a_future_that_its_caller_ended_harms_nobody(bench: Bench, function: Tripling) -> None:
    """It stays as it is, and is not run; its neighbours have their results."""
    batcher = batcher_on(bench, function)
    pending = [batcher.submit(np.array([x])) for x in (1, 2)]
    pending[0].set_result("mine")
    bench.advance(TIMEOUT_SECONDS)

    assert [result(each) for each in pending] == ["mine", [6]]
    assert sizes(function) == [1]


def test_close_drains(bench: Bench, function: Tripling) -> None:
    """What waits is run before the time-out; afterwards nothing is taken, and the given scheduler goes on."""
    with batcher_on(bench, function) as batcher:
        pending = batcher.submit(np.array([1]))

    assert result(pending) == [3]
    with pytest.raises(errors.QueueClosed, match="'Tripling' takes no task: it has been closed"):
        batcher.submit(np.array([1]))
    with batcher_on(bench, function, batch_timeout_seconds=0) as another:
        pending = another.submit(np.array([2]))
    assert result(pending) == [6]


def test_close_may_fail_what_waits(bench: Bench, function: Tripling) -> None:
    """Each waiting task ends with an error that says why; nothing is run."""
    batcher = batcher_on(bench, function, max_batch_rows=2)
    with bench.all_threads_busy():
        pending = [batcher.submit(np.arange(5)), batcher.submit(np.ones(1))]
        batcher.close(drain=False, wait=False)
        for each in pending:
            with pytest.raises(errors.QueueClosed, match="'Tripling' was closed before this task could run"):
                each.result(0)
    batcher.close()

    assert function.calls == []


def test_a_closed_scheduler_takes_no_task(bench: Bench, function: Tripling) -> None:
    """Its owner closed it first: of known layouts and of new ones tasks are refused."""
    batcher = batcher_on(bench, function)
    pending = batcher.submit(np.array([1]))
    bench.scheduler.close()

    assert result(pending) == [3]
    for given in (np.array([1]), np.array([1.5])):
        with pytest.raises(errors.QueueClosed):
            batcher.submit(given)
    batcher.close()


@pytest.mark.parametrize("threads", THREAD_COUNTS)
def test_a_call_waits_for_its_own_rows(threads: int) -> None:
    """Without batch threads the caller runs the batch itself, once it is due."""
    with Batcher(Tripling(), QueueOptions(batch_timeout_seconds=0.001), threads=threads) as batcher:
        assert batcher(np.array([1, 2])).tolist() == [3, 6]
        with pytest.raises(FloatingPointError):
            batcher(np.array([-1]))


@pytest.mark.parametrize("threads", THREAD_COUNTS)
def test_calls_wait_for_room(threads: int) -> None:
    """Many more callers than there is room for are all answered, each once."""
    function = Tripling()
    options = QueueOptions(max_batch_rows=2, max_enqueued_batches=1)
    answers: dict[int, list[int]] = {}

    def call(number: int) -> None:
        for again in range(20):
            answers[20 * number + again] = batcher(np.array([20 * number + again])).tolist()

    with Batcher(function, options, threads=threads) as batcher:
        callers = [threading.Thread(target=call, args=(number,)) for number in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(PATIENCE_SECONDS)

    assert answers == {number: [3 * number] for number in range(160)}
    assert sorted(int(row) for call in function.calls for row in call) == list(range(160))


def test_a_call_gives_up_after_its_time(bench: Bench, function: Tripling) -> None:
    """Its task is cancelled, and without room for it the queue is said to be full."""
    batcher = batcher_on(bench, function, max_batch_rows=1, max_enqueued_batches=1)
    batcher_with_room = batcher_on(bench, function)
    if bench.threads:
        with bench.all_threads_busy():
            with pytest.raises(TimeoutError, match=r"'Tripling' gave no result for 1 rows within 0\.001 s"):
                batcher(np.array([1]), timeout_seconds=0.001)
            with pytest.raises(errors.QueueFull):
                batcher(np.array([2]), timeout_seconds=0.001)
    else:
        with pytest.raises(TimeoutError):
            batcher_with_room(np.array([1]), timeout_seconds=0.001)
    bench.advance(TIMEOUT_SECONDS)

    assert function.calls == []


def test_a_function_that_would_wait_for_itself_is_refused(bench: Bench) -> None:
    """A call from a batch on the same scheduler could wait for ever; one on another scheduler is fine."""
    with Batcher(Tripling()) as other:
        inner = batcher_on(bench, Tripling())
        outer = batcher_on(bench, inner, batch_timeout_seconds=0)
        fine = batcher_on(bench, other, batch_timeout_seconds=0)
        refused, taken = outer.submit(np.array([1])), fine.submit(np.array([1]))
        bench.settle()

        with pytest.raises(RuntimeError, match="give one of the two a scheduler of its own"):
            refused.result(PATIENCE_SECONDS)
        assert result(taken) == [3]


def test_options_that_contradict_are_refused() -> None:
    """Nothing is taken and ignored."""
    with SharedScheduler(0) as scheduler, pytest.raises(errors.InvalidOptions, match="and not both"):
        Batcher(Tripling(), threads=1, scheduler=scheduler)
    with pytest.raises(errors.InvalidOptions, match="most_layouts must be at least 1"):
        Batcher(Tripling(), most_layouts=0)
    with pytest.raises(errors.InvalidOptions, match="threads must be at least 0"):
        Batcher(Tripling(), threads=-1)
