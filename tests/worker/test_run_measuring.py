"""Measuring by a clock that only the model moves."""

import gc
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from lifecycle import errors
from lifecycle.recorded_requests import RecordedRequest
from lifecycle.signature import Signature, TensorSpec
from tests.fakes.clock import FakeClock
from worker.run_measuring import (
    LEAST_RUNS,
    MOST_RUNS,
    Arrays,
    BatchSource,
    CannotMeasure,
    Effort,
    Measured,
    batch_source,
    measure,
    percentile,
    sizes_up_to,
    within_bytes,
)

SOURCE = BatchSource(lambda rows: {"x": np.zeros((rows, 2), np.float32)}, 8, "made up")


class Model:
    """Takes so long for a batch, and longer the first time that it sees its size."""

    def __init__(
        self,
        seconds: Callable[[int], float] = lambda rows: 0.001 * rows,
        first: float = 0.0,
        fails: Callable[[int], Exception | None] = lambda _: None,
    ) -> None:
        self.clock = FakeClock()
        self.seen: list[int] = []
        self._seconds = seconds
        self._first = first
        self._fails = fails

    def __call__(self, inputs: Arrays) -> None:
        """Run a batch."""
        rows = len(inputs["x"])
        assert not gc.isenabled()
        if (failure := self._fails(rows)) is not None:
            raise failure
        self.clock.advance(self._seconds(rows) + (0 if rows in self.seen else self._first))
        self.seen.append(rows)

    def measured(self, sizes: Sequence[int] = (1, 2, 4), **effort: float) -> Measured:
        """What is found of it."""
        return measure(self, SOURCE, Effort(sizes, **effort), clock=self.clock)


def test_each_size_has_its_median_and_the_slowest_of_a_hundred() -> None:
    """Its first run does not count: it may compile a program."""
    slow = iter([*[0.0] * 50, 0.5, *[0.0] * 5000])
    model = Model(lambda rows: 0.001 * rows + (next(slow) if rows == 1 else 0), first=0.3)

    found = model.measured(size_seconds=1.0)

    assert [each.rows for each in found.costs] == [1, 2, 4]
    assert [each.seconds for each in found.costs] == pytest.approx([0.001, 0.002, 0.004])
    assert found.costs[0].p99_seconds == pytest.approx(0.001)  # one of some 500 is beyond it
    assert found.costs[0].rows_per_second == pytest.approx(1000)
    assert found.ended is None


def test_a_size_is_run_ten_times_at_least_and_for_its_time() -> None:
    """And not more often than says anything."""
    brief, long, tiny = Model(), Model(), Model(lambda _: 1e-6)
    brief.measured((1,), size_seconds=0)
    long.measured((1,), size_seconds=0.1)
    tiny.measured((1,), size_seconds=60)

    assert len(brief.seen) == 1 + LEAST_RUNS
    assert len(long.seen) == 1 + 100
    assert len(tiny.seen) == 1 + MOST_RUNS


def test_first_runs_are_of_sizes_between_those_measured() -> None:
    """The first of such a size against those right after."""
    found = Model(first=0.5).measured((1, 2, 4, 8, 16), size_seconds=0)

    assert [each.rows for each in found.first_runs] == [3, 6, 12]
    assert [each.seconds for each in found.first_runs] == pytest.approx([0.503, 0.506, 0.512])
    assert [each.again_seconds for each in found.first_runs] == pytest.approx([0.003, 0.006, 0.012])


def test_first_runs_are_few_and_spread() -> None:
    """The largest are among them."""
    found = Model(lambda _: 0.001).measured(sizes_up_to(1024), size_seconds=0)

    assert [each.rows for each in found.first_runs] == [3, 12, 48, 192, 768]


def test_a_batch_that_takes_too_long_is_the_end() -> None:
    """What was measured before counts."""
    found = Model().measured((1, 2, 4, 8), max_seconds=0.003, size_seconds=0)

    assert [each.rows for each in found.costs] == [1, 2]
    assert found.ended == "a batch of 4 rows takes 0.004 s, longer than 0.003 s"


def test_a_batch_without_memory_is_the_end() -> None:
    """Likewise; a size between those that had room is passed over."""
    model = Model(fails=lambda rows: errors.OutOfMemory("none") if rows in {3, 8} else None)
    found = model.measured((1, 2, 4, 8), size_seconds=0)

    assert [each.rows for each in found.costs] == [1, 2, 4]
    assert found.ended == "there is no memory for a batch of 8 rows"
    assert found.first_runs == ()


def test_a_model_too_slow_for_its_smallest_size_is_told() -> None:
    """With what to do."""
    with pytest.raises(
        CannotMeasure, match=r"takes 2 s, longer than 1 s; allow longer runs by --max-seconds"
    ):
        Model(lambda _: 2.0).measured((1, 2))


def test_a_model_that_refuses_its_inputs_is_told() -> None:
    """Made-up ones are not always right."""
    model = Model(fails=lambda rows: errors.InvalidInput("no JPEG") if rows == 2 else None)
    with pytest.raises(
        CannotMeasure, match=r"refuses a batch of 2 rows, made up: no JPEG; give requests .*--requests"
    ):
        model.measured()


def test_a_model_that_fails_is_told() -> None:
    """By the kind of error, since a model may raise anything."""
    with pytest.raises(CannotMeasure, match="fails for a batch of 1 row, made up: KeyError: 'x'"):
        Model(fails=lambda _: KeyError("x")).measured()


def test_the_collector_is_as_it_was_after_a_failure() -> None:
    """The process goes on."""
    with pytest.raises(CannotMeasure):
        Model(fails=lambda _: KeyError("x")).measured()

    assert gc.isenabled()


def test_every_size_is_told_and_the_first_runs_once() -> None:
    """A bar of one step more than there are sizes comes to its end."""
    model, lines = Model(), list[str]()
    measure(model, SOURCE, Effort((1, 2), size_seconds=0), lines.append, model.clock)

    assert lines == [
        "1 row: 1 ms, 1,000 rows/s",
        "2 rows: 2 ms, 1,000 rows/s",
        "first runs of sizes that were not run before",
    ]


@pytest.mark.parametrize(
    ("most", "more", "sizes"),
    [(1, (), (1,)), (8, (), (1, 2, 4, 8)), (10, (3, 99), (1, 2, 3, 4, 8, 10)), (10, (1,), (1, 2, 4, 8, 10))],
)
def test_sizes_double_up_to_the_largest(most: int, more: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    """And the largest is one, power of two or not."""
    assert sizes_up_to(most, *more) == sizes


def test_sizes_are_bounded_by_bytes_but_for_the_smallest() -> None:
    """As a worker's batches are."""
    assert within_bytes((1, 2, 4), 10, 25) == [1, 2]
    assert within_bytes((1, 2, 4), 10, 5) == (1,)


def test_a_percentile_is_one_of_the_samples() -> None:
    """The least that so many of a hundred do not exceed."""
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0
    assert percentile([float(n) for n in range(1, 101)], 99) == 99.0


class Signatures:
    """A servable of which only the signatures count."""

    def __init__(self, **inputs: TensorSpec) -> None:
        y = TensorSpec("y", "DT_FLOAT", (None,))
        self.signatures = {"s": Signature("s", "m", inputs, {"y": y})}

    def run(self, signature: str, inputs: Arrays, outputs: Sequence[str]) -> Arrays:
        """Nobody runs it."""
        raise NotImplementedError


def requests(*row_counts: int) -> Iterator[RecordedRequest]:
    """One with so many rows each, of ones; and one of another signature."""
    yield RecordedRequest("elsewhere", "t", lambda _: {})
    for n, rows in enumerate(row_counts):
        inputs = {"x": np.ones((rows, 2), np.float32)}
        yield RecordedRequest(f"line {n}", "s", lambda _, inputs=inputs: inputs)  # type: ignore[misc]


X = TensorSpec("x", "DT_FLOAT", (None, 2))


def test_inputs_are_made_up_by_the_signature() -> None:
    """Zeros, and nothing had to be guessed."""
    source = batch_source(Signatures(x=X), "s", requests(), "the folder")

    assert source.batch(5)["x"].shape == (5, 2)
    assert (source.row_bytes, source.made_up, source.guessed) == (8, True, ())


def test_the_recorded_request_with_the_most_rows_is_repeated() -> None:
    """Requests as they come are better than zeros."""
    source = batch_source(Signatures(x=X), "s", requests(1, 3, 2), "the folder")

    assert source.batch(5)["x"].tolist() == [[1, 1]] * 5
    assert (source.row_bytes, source.made_up, source.what) == (8, False, "line 1, repeated")


def test_what_had_to_be_guessed_is_told() -> None:
    """Costs of empty strings, and of open sizes, are those of nothing else."""
    source = batch_source(
        Signatures(x=X, s=TensorSpec("s", "DT_STRING", (None,)), w=TensorSpec("w", "DT_INT64", (None, None))),
        "s",
        requests(),
        "the folder",
    )

    assert source.guessed == (
        "input 's' DT_STRING[?] is empty strings",
        "input 'w' DT_INT64[?,?] has size 1 where a size other than the rows is open",
    )


def test_inputs_that_cannot_be_made_up_are_named() -> None:
    """A dtype without a NumPy twin says nothing of its values."""
    servable = Signatures(x=X, r=TensorSpec("r", "DT_RESOURCE", (None,)))

    with pytest.raises(
        CannotMeasure,
        match=r"signature 's' cannot be made up, for it leaves open what 'r' DT_RESOURCE\[\?\] takes, and the folder "
        "has no request for it; give some by --requests FILE",
    ):
        batch_source(servable, "s", requests(), "the folder")


def test_a_signature_that_is_run_one_by_one_has_nothing_to_tune() -> None:
    """Its options change nothing."""
    with pytest.raises(CannotMeasure, match="signature 's' cannot be batched, since dimension 0 is not open"):
        batch_source(Signatures(x=TensorSpec("x", "DT_FLOAT", (2,))), "s", requests(), "the folder")


def test_a_signature_that_is_not_there_is_told() -> None:
    """With those that are."""
    with pytest.raises(errors.InvalidInput, match="signature 'other' does not exist; expected one of 's'"):
        batch_source(Signatures(x=X), "other", requests(), "the folder")
