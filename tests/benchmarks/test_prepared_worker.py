"""What is made of the runs of one worker at several sizes."""

import pytest

from benchmarks import prepared_worker
from benchmarks.measuring import Result
from benchmarks.scenario import Line
from benchmarks.scenarios import mixed_layouts


def line(name: str, cost: float, rate: float = 1.0) -> Line:
    """A line with that cost a record and that rate of rows."""
    return Line(name, {"cpu_us_per_record": cost, "rows_per_second": rate})


def test_a_line_has_medians_by_record_and_by_row() -> None:
    """The middle run counts, and a record of four rows costs four times its row."""
    results = [Result(100, rate, cost) for rate, cost in ((10.0, 8.0), (30.0, 2.0), (20.0, 4.0))]
    found = prepared_worker.line("a", 4.0, results)
    assert found.values == pytest.approx(
        {
            "records_per_second": 20.0,
            "rows_per_second": 80.0,
            "cpu_us_per_record": 4.0,
            "cpu_us_per_row": 1.0,
            "spread": 1.5,
        }
    )


@pytest.mark.parametrize(
    ("costs", "met"),
    [
        ((10.0, 11.9, 9.0), True),
        ((10.0, 12.1, 9.0), False),
        ((10.0, 11.9, 7.9), False),
        ((10.0, 7.9, 12.1), False),
    ],
)
def test_flat_means_within_a_fifth_of_the_first_size(costs: tuple[float, ...], met: bool) -> None:
    """A size that costs more than 1.2, or less than 0.8, of the first one's is not flat."""
    targets = prepared_worker.flat_targets([line(str(n), cost) for n, cost in enumerate(costs)])
    assert all(target.met for target in targets) is met


@pytest.mark.parametrize(
    ("rate", "cost", "met"), [(60.0, 15.0, True), (40.0, 15.0, False), (60.0, 25.0, False)]
)
def test_mixed_layouts_are_compared_by_rows_and_by_cpu(rate: float, cost: float, met: bool) -> None:
    """Of many rows the rows/s count, of one row the CPU, each at least half of one layout's."""
    lines = [
        line(mixed_layouts.ONE_MIXED, 100.0, rate=100.0),
        line(mixed_layouts.ALL_MIXED, 900.0, rate=rate),
        line(mixed_layouts.ONE_SINGLE, 10.0, rate=100.0),
        line(mixed_layouts.ALL_SINGLE, cost, rate=1.0),
    ]
    found = mixed_layouts.targets({each.name: each for each in lines})
    assert all(target.met for target in found) is met
