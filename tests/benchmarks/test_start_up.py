"""What the scenario of a worker's start makes of its runs."""

from benchmarks.scenarios import start_up
from benchmarks.scenarios.start_up import AT_ONCE, BY_ROW, IN_A_ROW, LOCAL, STORED, Start


def test_a_start_is_compared_with_loads_one_after_the_other_of_the_same_files() -> None:
    """Medians of the seconds; the target is of the storage that takes its time."""
    results = {
        f"{LOCAL}, {AT_ONCE}": [Start(10.0, 9.0)],
        f"{LOCAL}, {IN_A_ROW}": [Start(11.0, 9.5)],
        f"{STORED}, {AT_ONCE}": [Start(20.0, 9.0), Start(90.0, 9.0), Start(19.0, 8.0)],
        f"{STORED}, {IN_A_ROW}": [Start(60.0, 10.0)],
    }

    found = start_up.lines(results)

    assert {line.name: line.values[BY_ROW] for line in found} == {
        f"{LOCAL}, {AT_ONCE}": 1.1,
        f"{LOCAL}, {IN_A_ROW}": 1.0,
        f"{STORED}, {AT_ONCE}": 3.0,
        f"{STORED}, {IN_A_ROW}": 1.0,
    }
    assert found[2].values["cpu_seconds"] == 9.0
    (target,) = start_up.targets(found)
    assert (target.measured, target.met) == (3.0, True)
