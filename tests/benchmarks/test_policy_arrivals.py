"""Made-up requests: the same for the same seed, as many as were asked for, when they were asked for."""

import numpy as np
import pytest

from benchmarks.policy_arrivals import TICK_SECONDS, Arrivals, Demand, Pattern, exact

SECONDS, BATCH_SECONDS, ROWS_PER_SECOND = 200.0, 1.0, 1000.0


def demand(pattern: Pattern, most_rows: int = 1, seconds: float = SECONDS) -> Demand:
    """Two hundred full batches' time of requests."""
    return Demand(pattern, most_rows, ROWS_PER_SECOND, seconds, BATCH_SECONDS)


@pytest.mark.parametrize("pattern", Pattern)
def test_a_seed_makes_the_same_requests_and_another_one_others(pattern: Pattern) -> None:
    """To the last tick and row."""
    first, again, other = (demand(pattern, 64).arrivals(seed) for seed in (1, 1, 2))

    assert np.array_equal(first.times, again.times)
    assert np.array_equal(first.row_counts, again.row_counts)
    assert not np.array_equal(first.times[:100], other.times[:100])


@pytest.mark.parametrize("pattern", Pattern)
@pytest.mark.parametrize("most_rows", [1, 64])
def test_as_many_rows_come_as_were_asked_for(pattern: Pattern, most_rows: int) -> None:
    """Within five standard deviations of chance, in ascending order, all in time."""
    arrivals = demand(pattern, most_rows).arrivals(3)
    requests = ROWS_PER_SECOND * SECONDS / ((1 + most_rows) / 2)

    assert abs(len(arrivals) - requests) < 5 * requests**0.5
    assert arrivals.rows(0, len(arrivals)) == pytest.approx(ROWS_PER_SECOND * SECONDS, rel=0.1)
    assert (np.diff(arrivals.times) >= 0).all()
    assert 0 <= arrivals.times[0] <= arrivals.times[-1] <= SECONDS
    assert set(np.unique(arrivals.row_counts)) == set(range(1, most_rows + 1))


def test_without_a_pattern_counts_vary_as_chance_has_it_and_bursts_vary_more() -> None:
    """The variance of the requests a second is their mean, as in every Poisson process; many times that in bursts."""
    dispersion = {}
    for pattern in (Pattern.POISSON, Pattern.BURSTY):
        counts, _ = np.histogram(demand(pattern).arrivals(4).times, 200, (0.0, SECONDS))
        dispersion[pattern] = counts.var() / counts.mean()

    assert dispersion[Pattern.POISSON] == pytest.approx(1.0, abs=0.5)
    assert dispersion[Pattern.BURSTY] > 50


def test_in_bursts_the_rate_is_five_times_that_between_them() -> None:
    """2.5 times the average in a quarter of the time, half of it in the rest."""
    times = demand(Pattern.BURSTY, seconds=2000.0).arrivals(5).times
    counts = np.sort(np.histogram(times, 4000, (0.0, 2000.0))[0])

    assert np.median(counts[:2000]) == pytest.approx(0.5 * ROWS_PER_SECOND / 2, rel=0.15)
    assert np.median(counts[-400:]) == pytest.approx(2.5 * ROWS_PER_SECOND / 2, rel=0.15)


def test_more_requests_come_by_day_than_by_night() -> None:
    """The first half of a sine that swings by half has (1 + 1/π) / 2 of it all."""
    times = demand(Pattern.DIURNAL).arrivals(6).times

    assert (times < SECONDS / 2).mean() == pytest.approx((1 + 1 / np.pi) / 2, abs=0.01)


def test_times_are_whole_ticks() -> None:
    """So that a time-out that is one as well ends exactly when it should."""
    times = demand(Pattern.POISSON).arrivals(7).times / TICK_SECONDS

    assert np.array_equal(times, np.round(times))
    assert exact(0.1) / TICK_SECONDS == round(0.1 / TICK_SECONDS)


def test_requests_are_found_by_time_and_by_rows() -> None:
    """What has come by when, what fits in so many rows, and which request reaches them."""
    arrivals = Arrivals.of([0.0, 1.0, 1.0, 2.0], [2, 1, 3, 1])

    assert [arrivals.come_by(at) for at in (0.0, 0.5, 1.0, 9.0)] == [1, 1, 3, 4]
    assert arrivals.rows(1, 3) == 4
    assert [arrivals.fitting(0, rows) for rows in (0, 1, 2, 3, 5, 6, 100)] == [0, 0, 1, 2, 2, 3, 4]
    assert [arrivals.fitting(2, rows) for rows in (2, 3, 4)] == [2, 3, 4]
    assert [arrivals.reaching(0, rows) for rows in (1, 2, 3, 4, 6, 7, 8)] == [0, 0, 1, 2, 2, 3, 4]
    assert [arrivals.reaching(3, rows) for rows in (1, 2)] == [3, 4]
