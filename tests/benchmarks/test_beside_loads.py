"""What comes of phases without and with loads."""

import numpy as np
import pytest

from benchmarks import beside_loads
from benchmarks.beside_loads import LOADING, QUIET, Phase
from benchmarks.open_loop import Measured
from benchmarks.reloading import Cycle


def phase(*milliseconds: float, cycles: int = 0) -> Phase:
    """A phase with those latencies and so many loads, of which each took a second longer than the one before."""
    latency = np.array(milliseconds) / 1000
    return Phase(
        Measured(latency, np.zeros(len(latency)), 0.1), tuple(Cycle(n + 1.0, 0.5) for n in range(cycles))
    )


def test_phases_of_a_kind_are_summed_up_by_medians_and_counts() -> None:
    """Percentiles and times are medians over the phases, loads and missing replies are added."""
    phases = [phase(1, 3, cycles=1), phase(2, float("nan"), cycles=3), phase(4, 5, cycles=2)]

    found = beside_loads.summary([each.figures() for each in phases])

    assert (found["p50_ms"], found["cycles"], found["missing"]) == (2, 6, 1)
    assert (found["load_seconds"], found["unload_seconds"]) == (1.5, 0.5)


def test_a_quiet_phase_has_no_times_of_loads() -> None:
    """A column without a value stays empty, and is no error."""
    found = beside_loads.summary([phase(1, 2).figures()])

    assert "load_seconds" not in found
    assert found["cycles"] == 0


def test_latency_over_time_goes_by_buckets() -> None:
    """Median and largest of each full bucket; the rest at the end is left out."""
    found = beside_loads.over_time(np.array([1, 2, 9, 4, 4, 5, 8]) / 1000, 3)

    assert found["p50_ms"] == pytest.approx([2, 4])
    assert found["max_ms"] == pytest.approx([9, 5])


def test_an_outcome_has_the_figures_of_every_phase_and_targets_of_the_medians() -> None:
    """Whatever loads beside the requests."""
    phases = {QUIET: [phase(1, 3), phase(1, 5)], LOADING: [phase(2, 6, cycles=1), phase(4, 8, cycles=2)]}

    found = beside_loads.outcome(phases, lambda _: [], {"seconds": 2.0}, ["What loads."])

    assert {line.name: line.values["cycles"] for line in found.lines} == {QUIET: 0, LOADING: 3}
    assert [(run["name"], run["round"]) for run in found.runs] == [
        (QUIET, 1),
        (QUIET, 2),
        (LOADING, 1),
        (LOADING, 2),
    ]
    assert found.settings == {"rate": beside_loads.RATE, "seconds": 2.0}
    assert "What loads." in found.notes
