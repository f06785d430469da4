"""The scenario of urgent requests among bulk work, at a small scale, and what it makes of its runs."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from batching.options import QueueOptions
from benchmarks import plots, policy_device, policy_settings
from benchmarks.policy_arrivals import Arrivals, Demand, Pattern
from benchmarks.policy_batchers import ScheduledQueues
from benchmarks.policy_settings import FixedSize, IdleDevice
from benchmarks.policy_simulation import simulate
from benchmarks.policy_tuning import Figures, ranked
from benchmarks.scenario import Options
from benchmarks.scenarios import deadlines, policies
from benchmarks.scenarios.policies import CASES, KEYS, Case, Judged

FIT = policy_device.fit((1, 128, 1024), (50.4e-6, 101.2e-6, 459.6e-6))
CASE = Case(Pattern.POISSON, 1, 1, 0.6, urgent=True)


def judged(case: Case, *missed: float) -> Judged:
    """A case with these shares in each of its runs, of TensorFlow's policy, Triton's and ours."""
    settings = (FixedSize(64, 0.0), IdleDevice(64, (), 0.0), policy_settings.own())
    runs = {name: [Figures(1.0, 1.0, 1.0, missed[n])] * 3 for n, name in enumerate(KEYS)}
    return Judged(case, dict(zip(KEYS, settings, strict=True)), runs)


def test_it_runs_at_a_small_scale_and_says_the_same_again() -> None:
    """With the same cost the same seeds give the same table, and it can be drawn."""
    cases = [*CASES[:4], *CASES[-4:]]
    outcome, again = (deadlines.compared(FIT, cases, Options(rounds=2, scale=0.02)) for _ in range(2))

    assert [line.name for line in outcome.lines] == [case.name for case in cases]
    assert outcome == again
    assert len(outcome.runs) == len(cases) * 3 * 2
    content = json.loads(json.dumps(asdict(outcome)))
    assert len(plots.deadlines(content).axes) >= len(outcome.series["missed"])


def test_in_an_overload_ours_is_in_time_and_the_others_are_not() -> None:
    """What there is too much of is the bulk work's to wait for."""
    outcome = deadlines.compared(FIT, [Case(Pattern.POISSON, 1, 1, 1.2)], Options(rounds=1, scale=0.1))
    (line,) = outcome.lines

    assert line.values["own_missed"] == 0.0
    assert min(line.values["tensorflow_missed"], line.values["triton_missed"]) > 10.0


def test_ours_is_divided_by_the_better_of_the_two() -> None:
    """Which misses at least one in a million, so that there is a number where it misses none."""
    assert deadlines.ratio(judged(CASE, 0.5, 0.2, 0.01)) == pytest.approx(0.05)
    assert deadlines.ratio(judged(CASE, 0.0, 0.2, 0.0)) == 0.0
    assert deadlines.ratio(judged(CASE, 0.0, 0.2, 0.01)) > 1.0


def test_targets_are_those_of_the_worst_case() -> None:
    """One for deadlines and one for throughput for each pattern and number of devices that was judged."""
    found = deadlines.targets(
        [
            judged(CASE, 0.5, 0.5, 0.0),
            judged(replace(CASE, load=0.9), 0.5, 0.4, 0.06),
            judged(replace(CASE, devices=2), 0.5, 0.5, 0.05),
        ]
    )

    assert [target.met for target in found] == [False, True, True, True]
    assert (
        found[0].text == "Poisson, 1 device, the worst of 2 loads: deadlines missed by the better baseline's"
    )
    assert found[0].measured == pytest.approx(0.15)


def test_of_settings_that_keep_up_the_one_that_misses_least_is_best() -> None:
    """The p99 counts among those that miss as many."""
    figures = {
        "late": Figures(1.0, 100.0, 1.0, 0.2),
        "slow": Figures(3.0, 100.0, 1.0, 0.1),
        "best": Figures(2.0, 100.0, 1.0, 0.1),
        "weak": Figures(1.0, 50.0, 1.0, 0.0),
    }

    assert ranked(list(figures), figures.__getitem__) == ["best", "slow", "late"]


def test_as_many_requests_are_urgent_as_were_asked_for() -> None:
    """The others come when they would, and have no deadline."""
    plain = Demand(Pattern.BURSTY, 4, 1000.0, 20.0, 0.1)
    mixed = replace(plain, urgent_share=0.25, urgent_seconds=2.0)
    without, arrivals = plain.arrivals(3), mixed.arrivals(3)

    assert np.array_equal(without.times, arrivals.times)
    assert np.array_equal(without.row_counts, arrivals.row_counts)
    assert arrivals.levels is not None
    assert arrivals.deadlines is not None
    urgent = arrivals.levels == 0
    assert urgent.mean() == pytest.approx(0.25, abs=0.03)
    assert np.array_equal(arrivals.deadlines[urgent], arrivals.times[urgent] + 2.0)
    assert np.isinf(arrivals.deadlines[~urgent]).all()


def test_urgent_requests_go_first_and_each_is_finished_once() -> None:
    """What waits behind a batch is not run in the order in which it came, but within each level it is."""
    arrivals = Arrivals(np.array([0.0, 0.25, 0.5, 0.75]), np.array([4, 4, 2, 1]), np.array([1, 1, 0, 0]))
    queues = ScheduledQueues(arrivals, QueueOptions(max_batch_rows=4), (9, 4))
    served = simulate(arrivals, queues, policy_device.Cost(1.0, 0.0))

    assert served.finished.tolist() == [1.0, 3.0, 2.0, 2.0]


def test_each_case_has_a_deadline_in_full_batches() -> None:
    """Of the device, whatever it costs."""
    demand = CASE.demand(FIT.cost, 1.0)

    assert demand.urgent_share == policies.URGENT_SHARE
    assert demand.urgent_seconds == policies.URGENT_BATCHES * FIT.cost.seconds(policies.MOST_BATCH_ROWS)
    assert replace(CASE, urgent=False).demand(FIT.cost, 1.0).urgent_share == 0.0
