"""Scheduler, padding and merging together, as a function of arrays is served with them."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pytest

from batching import errors, merging
from batching.batch import Batch
from batching.options import QueueOptions
from tests.batching.bench import Bench

TIMEOUT_SECONDS = 0.25


@dataclass
class ArrayTask:
    """Rows of numbers; its results are kept by first row, also those of the parts that it was split into."""

    x: npt.NDArray[Any]
    start: int = 0
    results: dict[int, npt.NDArray[Any] | Exception] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Dimension 0."""
        return len(self.x)

    def split(self, rows: int) -> tuple[Self, Self]:
        """Cut anywhere."""
        make = type(self)
        return (
            make(self.x[:rows], self.start, self.results),
            make(self.x[rows:], self.start + rows, self.results),
        )

    def finish(self, result: npt.NDArray[Any] | Exception) -> None:
        """Keep the result of these rows."""
        assert self.start not in self.results, "a task is finished once"
        self.results[self.start] = result

    def joined(self) -> list[Any]:
        """Return the results of all parts in order; the first error instead, if there is one."""
        results = [self.results[start] for start in sorted(self.results)]
        for result in results:
            if isinstance(result, Exception):
                raise result
        return [row for result in results if not isinstance(result, Exception) for row in result.tolist()]


@dataclass
class Tripling:
    """Processes batches by tripling them, and remembers the sizes at which it was run."""

    fails_on: int | None = None
    shrinks: bool = False
    sizes: list[int] = field(default_factory=list)

    def __call__(self, batch: Batch[ArrayTask]) -> None:
        """Merge, run, split; an error goes to every task of the batch."""
        try:
            merged = merging.merge([task.x for task in batch.tasks], batch.padded_rows)
            parts = merging.split_rows(self.run(merged), [t.rows for t in batch.tasks], batch.padded_rows)
        except (ArithmeticError, errors.BatchingError) as error:
            for task in batch.tasks:
                task.finish(error)
        else:
            for task, part in zip(batch.tasks, parts, strict=True):
                task.finish(part)

    def run(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Be the model."""
        self.sizes.append(len(x))
        if self.fails_on is not None and self.fails_on in x:
            raise FloatingPointError(f"{self.fails_on} is too hard")
        return 3 * (x[1:] if self.shrinks else x)


def serve(bench: Bench, model: Tripling, given: list[list[int]], **options: Any) -> list[ArrayTask]:
    """Return the tasks made of `given`, each finished."""
    queue = bench.scheduler.add_queue(
        "q", QueueOptions(batch_timeout_seconds=TIMEOUT_SECONDS, **options), model
    )
    tasks = [ArrayTask(np.array(x)) for x in given]
    for task in tasks:
        queue.schedule(task)
    bench.advance(TIMEOUT_SECONDS)
    return tasks


def test_tasks_share_a_run_and_get_their_own_rows(bench: Bench) -> None:
    """Three tasks are one call of the model."""
    model = Tripling()
    tasks = serve(bench, model, [[1, 2], [3], [4, 5, 6]])

    assert [task.joined() for task in tasks] == [[3, 6], [9], [12, 15, 18]]
    assert model.sizes == [6]


def test_a_batch_of_one_task_works(bench: Bench) -> None:
    """A task that nobody joins is answered like any other."""
    model = Tripling()
    (task,) = serve(bench, model, [[1, 2]])

    assert task.joined() == [3, 6]


def test_a_task_larger_than_a_batch_is_run_in_pieces(bench: Bench) -> None:
    """It fills batches up and gets all its rows, in its order."""
    model = Tripling()
    tasks = serve(bench, model, [[1], [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]], max_batch_rows=4)

    assert [task.joined() for task in tasks] == [[3], [3 * x for x in range(2, 12)]]
    assert sorted(model.sizes) == [3, 4, 4]


def test_an_allowed_size_is_run_as_it_is(bench: Bench) -> None:
    """Exactly 2 rows need no padding."""
    model = Tripling()
    tasks = serve(bench, model, [[1], [2]], max_batch_rows=4, allowed_batch_rows=(2, 4))

    assert [task.joined() for task in tasks] == [[3], [6]]
    assert model.sizes == [2]


def test_other_sizes_are_padded_and_trimmed(bench: Bench) -> None:
    """3 rows are run as 4; nobody sees the fourth."""
    model = Tripling()
    tasks = serve(bench, model, [[1, 2], [3]], max_batch_rows=4, allowed_batch_rows=(2, 4))

    assert [task.joined() for task in tasks] == [[3, 6], [9]]
    assert model.sizes == [4]


def test_an_error_in_one_piece_fails_its_task(bench: Bench) -> None:
    """Each task of the failing batch gets the same error; a task that ran elsewhere gets its rows."""
    tasks = serve(bench, Tripling(fails_on=5), [[1, 2], [3, 4, 5], [6], [7, 8]], max_batch_rows=4)

    assert tasks[0].joined() == [3, 6]
    for task in tasks[1:]:
        with pytest.raises(FloatingPointError, match="5 is too hard"):
            task.joined()
    assert sorted(tasks[1].results) == [0, 2], "the other piece ran by itself"


def test_an_output_that_lost_rows_is_given_to_nobody(bench: Bench) -> None:
    """A model that does not keep dimension 0 fails its batch instead of answering with others' rows."""
    tasks = serve(bench, Tripling(shrinks=True), [[1, 2], [3]])

    for task in tasks:
        with pytest.raises(errors.RowCountMismatch):
            task.joined()


def test_tasks_of_unlike_shape_fail_together(bench: Bench) -> None:
    """Tasks that should not have met in one queue get an error, and none a wrong answer."""
    tasks = serve(bench, Tripling(), [[1, 2], [[3, 4]]])  # type: ignore[list-item]

    for task in tasks:
        with pytest.raises(errors.LayoutMismatch):
            task.joined()
