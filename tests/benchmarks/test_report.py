"""Results are printed for people, and kept so that nothing is lost."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.scenario import Column, Line, Options, Outcome, Target

OUTCOME = Outcome(
    columns=[Column("rate", "records/s", ",.0f"), Column("cost", "µs", ",.2f")],
    lines=[Line("echo", {"rate": 4000.0, "cost": 2.0}), Line("headrace", {"rate": 2000.0})],
    targets=[Target("records/s by echo's", 0.5, 0.6, at_most=False), Target("cost by echo's", 1.75, 1.8)],
    runs=[{"contender": "echo", "round": 1, "rate": 4000.0}],
    settings={"records": 10},
    notes=["Everything is made up."],
    series={"points": [1, 2]},
)


class MadeUp:
    """A scenario that has been measured already."""

    NAME = "made_up"
    TITLE = "Made up"

    def run(self, options: Options) -> Outcome:
        """See `Scenario`."""
        return replace(OUTCOME, settings={"rounds": options.rounds})


def test_the_table_has_a_row_a_line_and_leaves_missing_values_empty() -> None:
    """A line without a value in a column has an empty cell there."""
    rows = report.table(OUTCOME.columns, OUTCOME.lines).splitlines()

    assert rows == [
        "|  | records/s | µs |",
        "| --- | --: | --: |",
        "| echo | 4,000 | 2.00 |",
        "| headrace | 2,000 |  |",
    ]


def test_targets_say_whether_they_are_met_what_was_measured_and_the_bound() -> None:
    """A floor and a ceiling read differently."""
    shown = report.text("Made up", OUTCOME)

    assert "- NOT met: records/s by echo's: 0.5, asked for at least 0.6" in shown
    assert "- met: cost by echo's: 1.75, asked for at most 1.8" in shown
    assert shown.endswith("Everything is made up.")


def test_what_is_kept_reads_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has the outcome, the machine, the releases and how long was measured."""
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setenv("HEADRACE_BATCHING__THREADS", "2")
    kept = report.write(MadeUp(), Options(rounds=3, scale=0.5), OUTCOME)
    content = json.loads(kept.read_text(encoding="utf-8"))

    assert kept.name == "made_up.json"
    assert report.read(content) == OUTCOME
    assert (content["rounds"], content["scale"], content["title"]) == (3, 0.5, "Made up")
    assert content["environment"]["HEADRACE_BATCHING__THREADS"] == "2"
    assert content["machine"]["cores"]
    assert "medians of 3 rounds" in report.measured_on(content)
    assert "; one run; " in report.measured_on({**content, "rounds": 1})
    assert "Apache Kafka" in report.measured_on(content)


def test_secrets_of_the_environment_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that is set for a broker stays out of the file."""
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setenv("HEADRACE_KAFKA__PROPERTIES", '{"sasl.password": "xyzzy"}')

    assert "xyzzy" not in report.write(MadeUp(), Options(), OUTCOME).read_text(encoding="utf-8")
