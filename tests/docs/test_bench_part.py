"""The results of `make bench` find their place in the README."""

from dataclasses import asdict

from benchmarks import comparison, readme
from benchmarks.measuring import Result
from benchmarks.scenario import Outcome
from tests.docs import parts


def test_results_become_a_table_and_say_what_they_were_measured_on() -> None:
    """Every contender has its row; machine and releases stand below."""
    results = {
        name: [Result(10, rate, cost)] * 2
        for name, rate, cost in (("echo", 4000.0, 2.0), ("hand loop", 1000.0, 8.0), ("headrace", 2000.0, 4.0))
    }
    outcome = Outcome(
        comparison.columns("echo", "hand loop"),
        comparison.lines(comparison.summaries(results)),
        targets=[],
        runs=comparison.runs(results),
        settings={},
    )
    shown = readme.section(
        {
            "at": "2026-01-02T03:04:05+00:00",
            "rounds": 2,
            "machine": {"cpu": "A CPU", "cores": 2, "system": "Linux", "python": "3.13.1"},
            "versions": {"headrace": "0.1.0", "tensorflow": "2.21.0"},
            **asdict(outcome),
        }
    )

    assert "| headrace | 2,000 | 4.00 | 0% | 2.00 | 0.50 | 2.00 |" in shown
    assert "2026-01-02; medians of 2 rounds; A CPU, 2 cores" in shown
    assert "tensorflow 2.21.0" in shown


def test_the_readme_has_the_place() -> None:
    """`python -m benchmarks.readme` would not find it otherwise."""
    assert parts.between(parts.README.read_text(encoding="utf-8"), "bench").strip()
    assert readme.START.strip() == "<!-- bench:start -->"
