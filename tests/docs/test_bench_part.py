"""The results of `make bench` find their places in the pages."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import catalogue, comparison, pages
from benchmarks.measuring import Result
from benchmarks.scenario import Outcome, Target


def kept() -> dict[str, Any]:
    """A results file."""
    results = {
        name: [Result(10, rate, cost)] * 2
        for name, rate, cost in (("echo", 4000.0, 2.0), ("hand loop", 1000.0, 8.0), ("headrace", 2000.0, 4.0))
    }
    outcome = Outcome(
        comparison.columns("echo", "hand loop"),
        comparison.lines(comparison.summaries(results)),
        targets=[Target("CPU by echo's", 2.0, 1.8)],
        runs=comparison.runs(results),
        settings={},
        notes=["A note."],
    )
    return {
        "title": "Small records",
        "at": "2026-01-02T03:04:05+00:00",
        "rounds": 2,
        "machine": {"cpu": "A CPU", "cores": 2, "system": "Linux", "python": "3.13.1"},
        "versions": {"headrace": "0.1.0", "tensorflow": "2.21.0"},
        **asdict(outcome),
    }


def test_results_become_a_table_and_say_what_they_were_measured_on() -> None:
    """Every contender has its row; machine and releases stand below."""
    shown = pages.section(kept(), whole=False)

    assert "| headrace | 2,000 | 4.00 | 0% | 2.00 | 0.50 | 2.00 |" in shown
    assert "2026-01-02; medians of 2 rounds; A CPU, 2 cores" in shown
    assert "tensorflow 2.21.0" in shown
    assert "NOT met" not in shown


def test_a_page_is_filled_where_it_says(tmp_path: Path) -> None:
    """A place for the whole has targets, notes and plot; one without results stays as it is."""
    results, images = tmp_path / "results", tmp_path / "docs" / "images"
    for folder in (results, images):
        folder.mkdir(parents=True)
    (results / "small_records.json").write_text(json.dumps(kept()))
    (images / "small_records.png").write_bytes(b"")
    text = (
        "<!-- bench:small_records:whole -->\nold\n<!-- bench:end -->\nbetween\n"
        "<!-- bench:peers:whole -->\nkept\n<!-- bench:end -->\n"
    )

    filled = pages.filled(tmp_path / "docs" / "performance.md", text, results, images)

    assert "- NOT met: CPU by echo's: 2, asked for at most 1.8" in filled
    assert "A note." in filled
    assert "![Small records](images/small_records.png)" in filled
    assert "old" not in filled
    assert "between\n<!-- bench:peers:whole -->\nkept\n" in filled


def test_each_place_in_the_pages_is_a_scenarios() -> None:
    """A misspelt name would never be filled."""
    for page in pages.PAGES:
        names = {match.group(2) for match in pages.PLACE.finditer(page.read_text(encoding="utf-8"))}
        assert names
        assert names <= set(catalogue.names())
