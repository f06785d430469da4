"""The scenario that compares policies, at a small scale, and what it makes of its runs."""

import json
from dataclasses import asdict, replace

import pytest

from benchmarks import plots, policy_device, policy_settings
from benchmarks.policy_arrivals import Pattern
from benchmarks.policy_settings import FixedSize, IdleDevice
from benchmarks.policy_tuning import Figures
from benchmarks.scenario import Options
from benchmarks.scenarios import policies
from benchmarks.scenarios.policies import CASES, KEYS, OWN, TENSORFLOW, TRITON, Case, Judged

FIT = policy_device.fit((1, 128, 1024), (50.4e-6, 101.2e-6, 459.6e-6))
SMALL = Options(rounds=2, scale=0.02)
CASE = Case(Pattern.POISSON, 1, 1, 0.6)


def judged(case: Case, p99: tuple[float, float, float], rates: tuple[float, float, float]) -> Judged:
    """A case with these figures in two of three runs, of TensorFlow's policy, Triton's and ours."""
    settings = (FixedSize(64, 0.0), IdleDevice(64, (), 0.0), policy_settings.own())
    runs = {
        name: [Figures(9.0, 1.0, 1.0), *[Figures(p99[n] / 1000, rates[n], 1.0)] * 2]
        for n, name in enumerate(KEYS)
    }
    return Judged(case, dict(zip(KEYS, settings, strict=True)), runs)


def test_it_runs_at_a_small_scale_and_says_the_same_again() -> None:
    """Every case has its figures; with the same cost the same seeds give the same table, and it can be drawn."""
    cases = [*CASES[:4], *CASES[-4:]]
    outcome, again = (policies.compared(FIT, cases, SMALL) for _ in range(2))

    assert [line.name for line in outcome.lines] == [case.name for case in cases]
    assert all(line.values[column.key] > 0 for line in outcome.lines for column in outcome.columns)
    assert outcome == again
    assert len(outcome.runs) == len(cases) * 3 * SMALL.rounds
    assert outcome.settings["cost"]["cost"]["call_seconds"] == FIT.cost.call_seconds
    content = json.loads(json.dumps(asdict(outcome)))
    assert len(plots.policies(content).axes) >= len(outcome.series["p99_ms"])


def test_ours_is_set_alike_everywhere_and_the_others_are_tuned() -> None:
    """The setting of each run is kept."""
    outcome = policies.compared(FIT, CASES[:4], SMALL)
    settings = {
        name: {run["setting"] for run in outcome.runs if run["policy"] == name}
        for name in (TENSORFLOW, TRITON, OWN)
    }

    assert len(settings[OWN]) == 1
    assert len(settings[TENSORFLOW]) > 1


def test_each_case_asks_for_its_share_of_what_the_devices_do() -> None:
    """Two devices are asked for twice as much, for as long."""
    one, two = (replace(CASE, devices=devices).demand(FIT.cost, 1.0) for devices in (1, 2))

    assert one.rows_per_second == pytest.approx(0.6 * 1024 / FIT.cost.seconds(1024))
    assert two.rows_per_second == 2 * one.rows_per_second
    assert one.seconds == two.seconds == policies.BATCHES[1] * FIT.cost.seconds(1024)


def test_ours_is_divided_by_the_better_of_the_two_in_each_column() -> None:
    """Medians over the seeds; the lower p99, and the higher throughput."""
    values = judged(CASE, (2.0, 4.0, 3.0), (80.0, 100.0, 90.0)).line.values

    assert values[policies.P99_RATIO] == pytest.approx(1.5)
    assert values[policies.RATE_RATIO] == pytest.approx(0.9)
    assert values["triton_p99_ms"] == pytest.approx(4.0)


def test_targets_are_those_of_the_worst_case() -> None:
    """One for p99 and one for throughput for each pattern and number of devices that was judged."""
    good = judged(CASE, (1.0, 1.0, 1.01), (100.0, 100.0, 99.0))
    slow = judged(replace(CASE, load=0.9), (1.0, 1.0, 1.03), (100.0, 100.0, 100.0))
    weak = judged(replace(CASE, devices=2), (1.0, 1.0, 1.0), (100.0, 100.0, 97.0))
    found = policies.targets([good, slow, weak])

    assert [target.met for target in found] == [False, True, True, False]
    assert found[0].text == "Poisson, 1 device, the worst of 2 loads: p99 by the better baseline's"
    assert found[0].measured == pytest.approx(1.03)
    assert found[1].measured == pytest.approx(0.99)


def test_the_table_says_where_urgent_requests_are() -> None:
    """In a scenario of their own."""
    assert "`deadlines`" in policies.notes(FIT)[-1]


@pytest.mark.tensorflow
def test_the_cost_is_measured_on_the_benchmarks_model() -> None:
    """A real SavedModel: more rows take longer, and a call takes some time whatever its rows."""
    fit = policies.measured_cost(scale=0.05)

    assert fit.sizes == policy_device.SIZES
    assert 0 < fit.cost.call_seconds < fit.seconds[-1]
    assert 0 < fit.cost.row_seconds * 1024 < 2 * fit.seconds[-1]
