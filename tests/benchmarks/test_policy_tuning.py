"""The best of a grid: by p99, of those that keep up."""

import pytest

from benchmarks import policy_settings, policy_tuning
from benchmarks.policy_arrivals import Demand, Pattern
from benchmarks.policy_device import Cost
from benchmarks.policy_settings import FixedSize, IdleDevice
from benchmarks.policy_tuning import Figures
from worker.settings_serving import BatchingSettings

COST = Cost(1.0, 0.0625)
BEST = COST.rows_per_second(64)


def demand(load: float, most_rows: int = 1) -> Demand:
    """Requests for a device that takes 64 rows at most."""
    return Demand(Pattern.POISSON, most_rows, load * BEST, 1000.0, COST.seconds(64))


def test_the_lowest_p99_of_those_that_keep_up_is_best() -> None:
    """A setting that answers few requests soon is left out, however soon."""
    figures = {"slow": Figures(1.0, 97.9, 1), "late": Figures(5.0, 100.0, 1), "good": Figures(2.0, 98.0, 1)}

    assert policy_tuning.ranked(list(figures), figures.__getitem__) == ["good", "late"]


def test_of_equal_settings_the_first_is_best() -> None:
    """So that the grid's order decides, not chance."""
    same = Figures(1.0, 100.0, 1)

    assert policy_tuning.ranked(["b", "a", "c"], lambda _: same) == ["b", "a", "c"]


def test_the_best_of_a_grid_is_found() -> None:
    """A batch that waits for ever is the worst at a low load, one that is sent off too small at a high one."""
    at_once, never, small = FixedSize(64, 0.0), FixedSize(64, 100.0), FixedSize(8, 0.0)

    assert policy_tuning.tuned([never, at_once], demand(0.3), COST, 1, seed=1) == at_once
    assert policy_tuning.tuned([small, never, at_once], demand(0.9), COST, 1, seed=1) == at_once


def test_batches_too_small_for_the_load_are_not_tried() -> None:
    """Eight rows at a time are 5.3 rows/s; at a load that nobody keeps up with the largest are tried alone."""
    small, large = FixedSize(8, 0.0), FixedSize(64, 0.0)

    assert policy_tuning.able([small, large], demand(0.4), COST, 1) == [small, large]
    assert policy_tuning.able([small, large], demand(0.5), COST, 1) == [large]
    assert policy_tuning.able([small, large], demand(0.5), COST, 2) == [small, large]
    assert policy_tuning.able([small, large], demand(1.5), COST, 1) == [large]


def test_batches_too_small_for_a_request_are_not_tried() -> None:
    """A request is not cut."""
    small, large = FixedSize(8, 0.0), FixedSize(64, 0.0)

    assert policy_tuning.able([small, large], demand(0.1, most_rows=9), COST, 1) == [large]
    with pytest.raises(ValueError, match="requests of 9 rows"):
        policy_tuning.able([small], demand(0.1, most_rows=9), COST, 1)


def test_every_setting_gets_the_same_requests() -> None:
    """Equal settings have equal figures, and other seeds other ones."""
    run, other = (policy_tuning.runner(demand(0.5), COST, 1, seed) for seed in (1, 2))
    figures = run(FixedSize(64, 0.0))

    assert figures == run(FixedSize(64, 0.0))
    assert figures == run(IdleDevice(64, (), 0.0))
    assert figures != other(FixedSize(64, 0.0))


def test_grids_have_what_baselines_are_by_default_and_no_batch_too_large() -> None:
    """TensorFlow's time-out of 0 and Triton's delay of 0 are among what is tried."""
    fixed = policy_settings.fixed_sizes(COST, 1024)
    idle = policy_settings.idle_devices(COST, 1024)

    assert FixedSize(1024, 0.0) in fixed
    assert IdleDevice(1024, (1024,), 0.0) in idle
    assert len(set(fixed)) == len(fixed) > 30
    assert len(set(idle)) == len(idle) >= 30
    assert max(each.largest_rows for each in (*fixed, *idle)) == 1024
    assert all(each.largest_rows <= 512 for each in policy_settings.fixed_sizes(COST, 512))


def test_ours_is_a_worker_with_nothing_set() -> None:
    """The options that the settings' defaults give."""
    options, settings = policy_settings.own().options, BatchingSettings()

    assert options.max_batch_rows == settings.max_batch_rows
    assert options.batch_timeout_seconds == settings.batch_timeout_seconds
    assert options.max_enqueued_batches == settings.max_enqueued_batches
