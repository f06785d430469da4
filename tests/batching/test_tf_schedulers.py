"""What TensorFlow's tests of batch schedulers and sessions check and no other file plays on the fake clock.

That each of them has a row in `docs/behaviours.md`, and each row a test with 0, 1 and 3 batch threads, is tested here.
"""

import ast
import functools
import re
from pathlib import Path

import numpy as np
import pytest

from batching import errors
from batching.arrays import Array
from batching.batcher import Batcher
from batching.options import QueueOptions
from tests.batching.bench import Bench, Rows
from tests.kit.waiting import PATIENCE_SECONDS

TIMEOUT_SECONDS = 0.25
ROOT = Path(__file__).parents[2]

TESTS_OF_TENSORFLOW = re.findall(
    r"\w+",
    """
    Basic CallbackWithTaskVectorOk ObeyBatchSizeConstraint ObeysTimeout ObeysTimeoutWithRealClock
    WithZeroTimeoutBatchesScheduledAsSoonAsThreadIsAvailable Fairness ConstMethods OneFullQueueDoesntBlockOtherQueues
    QueueDestructorBlocksUntilAllTasksProcessed ZeroQueueRewrittenToOneQueue BatchPaddingPolicyBatchDown
    InvalidLowPriorityTask QueueFull PriorityQueueDisabledWithPrioritySet LowPriorityTaskOnlyAtMaxBatchSize
    LowPriorityTaskOnlyAtTimeout HighPriorityBatchPaddedUptoMaxBatchSize HighPriorityBatchPaddedUptoMaxAvailable
    HighPriorityBatchPaddedUptoNextAllowedBatchSize NotPaddedWhenAllowedBatchSizeMissing NotPaddedWithLowPriorityTasks
    LowPriorityTimeout HighPriorityTimeout LowComplete HighComplete MixedAfterHighTimeout MixedAfterLowTimeout
    MixedComplete MixedSplitting RankingMultipleQueues RankingFullBatch ReuseGlobalSchedulerAcrossCreations
    BasicScheduling WithNotification InvalidTaskSize SchedulingAtMaxBatchSize SchedulingAtTimeout MixedPriorityBatching
    HighLoad Timeout PriorityOrdering QueueSizeLimit LargeBatchSplitting BatchSplittingAcrossTwoTasks InvalidOptions
    ValidOptions NumEnqueuedTasksAndSchedulingCapacity RankQueuesPriority TaskLargerThanQueueDepth
    EvictionOfLowestPriorityTasks OfMultipleTasksSameCriticality DifferentCriticalities
    GreedyInsufficientMultipleTasks TasksSumToMoreThanRequired
    TensorSignatureFromSignatureDef BatchingWithPadding BatchingWithLargeBatch BatchHandlesSplitError BatchingLazySplit
    BatchingWithCost BatchingWithPaddingAndCost UnequalTensorShapesWithPaddingTurnedOff SingletonBatch
    RequestThatDoesntMatchSignatureGetsRunAnyway RequestWithIncompatibleInputTensorSizes
    AllowedBatchSizesNoPaddingNeeded AllowedBatchSizesRequirePadding UnsortedAllowedBatchSizesRejected
    FinalAllowedBatchSizeLargerThanMaxBatchSizeRejected DifferentOrderForInputAndOutputTensors MultipleSignatures
    EnqueuedLongerThanTimeout ThreadPoolOptions SubsetOutputTensors
    """,
)
TEST_ID = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
WITHOUT_CLOCK = ("not applicable: ", "at construction", "on the wall clock")
"""What says that no test on a fake clock is to be expected."""


def table() -> list[tuple[str, str]]:
    """The rows about batching: each behaviour, and where it is tested."""
    document = (ROOT / "docs" / "behaviours.md").read_text()
    section = document.partition("## Batch scheduler\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", section, re.MULTILINE)
    return [row for row in rows if row[0] not in {"behaviour", "---"}]


@functools.cache
def on_each_number_of_threads(path: str) -> frozenset[str]:
    """The tests of a file that are run on a fake clock with 0, 1 and 3 batch threads."""
    functions = [
        node for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)
    ]
    return frozenset(
        node.name
        for node in functions
        if any(each.arg == "bench" for each in node.args.args)
        or any("THREAD_COUNTS" in ast.unparse(each) for each in node.decorator_list)
    )


def test_each_test_of_tensorflow_has_a_row() -> None:
    """By its own name, so that it can be found."""
    behaviours = " ".join(behaviour for behaviour, _ in table())

    assert [name for name in TESTS_OF_TENSORFLOW if not re.search(rf"\b{name}\b", behaviours)] == []


def test_each_row_is_played_with_each_number_of_threads() -> None:
    """A test of one queue's decisions alone would leave out who wakes whom."""
    elsewhere = [
        behaviour
        for behaviour, tested in table()
        if not any(name in on_each_number_of_threads(path) for path, name in TEST_ID.findall(tested))
        and not any(words in tested for words in WITHOUT_CLOCK)
    ]

    assert elsewhere == []


def test_an_empty_batch_is_never_processed(bench: Bench) -> None:
    """Not of a queue that nothing came to, not where a task was refused, nor where all that came is out of time."""
    queue = bench.queue(max_batch_rows=4, batch_timeout_seconds=TIMEOUT_SECONDS, allowed_batch_rows=(2, 4))
    with pytest.raises(errors.InvalidTask):
        queue.schedule(Rows("none", 0))
    with bench.all_threads_busy():
        bench.schedule(queue, Rows("late", 3), TIMEOUT_SECONDS / 2)
        bench.schedule(queue, Rows("late", 3), TIMEOUT_SECONDS / 2)
        bench.clock.advance(TIMEOUT_SECONDS)
    bench.advance(4 * TIMEOUT_SECONDS)
    queue.close()

    assert bench.batches == []
    assert [task.rows for _, task in bench.expired] == [3, 3]
    assert [name for name, _ in bench.observer.formed if name != "blocker"] == []


def test_a_scheduler_of_one_queue(bench: Bench) -> None:
    """Rows waiting take of its capacity, until their batch leaves; what waits at the end is flushed."""
    queue = bench.queue(max_batch_rows=2, batch_timeout_seconds=TIMEOUT_SECONDS, max_enqueued_batches=3)
    with bench.all_threads_busy():
        for rows, capacity in ((2, 4), (1, 3), (1, 2), (1, 1)):
            queue.schedule(Rows("t", rows))
            assert (queue.enqueued_rows + queue.capacity_rows, queue.capacity_rows) == (6, capacity)
    assert (bench.row_counts(), queue.enqueued_tasks, queue.capacity_rows) == ([[1, 1], [2]], 1, 5)

    bench.scheduler.close()
    assert bench.row_counts() == [[1], [1, 1], [2]]


def test_functions_on_one_scheduler_never_share_a_call(bench: Bench) -> None:
    """Whoever passes a scheduler on shares its threads; arrays of equal shape still go each to their own function."""
    calls: list[tuple[str, list[int]]] = []

    def double(x: Array) -> Array:
        calls.append(("double", x.tolist()))
        return 2 * x

    def negate(x: Array) -> Array:
        calls.append(("negate", x.tolist()))
        return -x

    options = QueueOptions(batch_timeout_seconds=TIMEOUT_SECONDS)
    one: Batcher[Array, Array] = Batcher(double, options, scheduler=bench.scheduler)
    other: Batcher[Array, Array] = Batcher(negate, options, scheduler=bench.scheduler)
    pending = [each.submit(np.array([row])) for row in range(2) for each in (one, other)]
    bench.advance(TIMEOUT_SECONDS)

    assert [each.result(PATIENCE_SECONDS).tolist() for each in pending] == [[0], [0], [2], [-1]]
    assert sorted(calls) == [("double", [0, 1]), ("negate", [0, 1])]


def test_the_end_of_a_batch_reaches_each_of_its_tasks(bench: Bench) -> None:
    """Whoever put a task in hears of its end at once: of its rows, or of the error, and of nobody else's."""
    heard: list[tuple[int, object]] = []

    def root(x: Array) -> Array:
        if (x < 0).any():
            raise FloatingPointError(f"{x.min()} has no root")
        return np.sqrt(x)

    batcher: Batcher[Array, Array] = Batcher(
        root, QueueOptions(batch_timeout_seconds=TIMEOUT_SECONDS), scheduler=bench.scheduler
    )
    for number, value in enumerate((4.0, -1.0, 9.0)):
        pending = batcher.submit(np.array([value]))
        pending.add_done_callback(
            lambda done, number=number: heard.append(  # type: ignore[misc]
                (number, str(done.exception()) if done.exception() else done.result().tolist())
            )
        )
    bench.settle()
    assert heard == []

    bench.advance(TIMEOUT_SECONDS)
    assert sorted(heard, key=lambda each: each[0]) == [(0, [2.0]), (1, "-1.0 has no root"), (2, [3.0])]
