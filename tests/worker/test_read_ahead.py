"""How much is read ahead of a model follows from how fast it is."""

from tests.fakes.clock import FakeClock
from worker.budget import Budget, Limits
from worker.control_record import LONGEST_NAME
from worker.read_ahead import KEPT, LEAST_ROWS, MOST_MODELS, SECONDS, WINDOW_SECONDS, ReadAhead


def answer(ahead: ReadAhead, clock: FakeClock, rows_per_second: float, model: str = "m") -> None:
    """Two windows at that rate."""
    ahead.answered(model, 0)
    for _ in range(4):
        clock.advance(WINDOW_SECONDS / 2)
        ahead.answered(model, int(rows_per_second * WINDOW_SECONDS / 2))


def test_a_fast_model_may_hold_what_it_answers_in_two_seconds() -> None:
    """So that it never waits for records."""
    clock = FakeClock()
    ahead = ReadAhead(clock)
    assert ahead.rows("m") == LEAST_ROWS

    answer(ahead, clock, 100_000)

    assert ahead.rows("m") == SECONDS * 100_000
    assert ahead.rows("another") == LEAST_ROWS


def test_a_slow_model_holds_little() -> None:
    """What it holds would take long to answer when its partitions are to be given away."""
    clock = FakeClock()
    ahead = ReadAhead(clock)

    answer(ahead, clock, 100)

    assert ahead.rows("m") == LEAST_ROWS


def test_a_rate_that_falls_is_believed_by_and_by() -> None:
    """A pause in the load says nothing about the model."""
    clock = FakeClock()
    ahead = ReadAhead(clock)
    answer(ahead, clock, 100_000)
    clock.advance(60.0)

    ahead.answered("m", 1)

    assert ahead.rows("m") == SECONDS * KEPT * 100_000


def test_names_that_requesters_make_up_are_not_kept_for_ever() -> None:
    """Requests for unknown models are answered too."""
    clock = FakeClock()
    ahead = ReadAhead(clock)
    answer(ahead, clock, 100_000, "known")

    for n in range(MOST_MODELS):
        ahead.answered(f"made up {n}", 1)

    assert ahead.rows("known") == LEAST_ROWS


def test_the_budget_is_full_sooner_for_a_slow_model() -> None:
    """Whatever part of the rows a model may have at most."""
    clock = FakeClock()
    ahead = ReadAhead(clock)
    budget = Budget(Limits(rows=10 * LEAST_ROWS, size_bytes=2**40, model_share=0.5), {"b": 1.0}, ahead)
    budget.take_model("b", "m", LEAST_ROWS, 1)
    assert budget.fullness("b") == 1.0

    answer(ahead, clock, 10 * LEAST_ROWS)

    assert budget.fullness("b") == 0.2


def test_a_name_that_no_model_can_have_is_not_kept_at_all() -> None:
    """Thousands of them would be hundreds of megabytes."""
    ahead = ReadAhead(FakeClock())

    ahead.answered("x" * (LONGEST_NAME + 1), 1)

    assert not ahead._windows
