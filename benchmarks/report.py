"""What a scenario measured, as a table for people and as a JSON file for machines; and read back from that file."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import brokers
from benchmarks.scenario import Column, Line, Options, Outcome, Scenario, Target
from worker.settings import ENVIRONMENT_PREFIX
from worker.settings_secrets import is_secret

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("headrace", "confluent-kafka", "fastavro", "numpy", "tensorflow")


def text(title: str, outcome: Outcome) -> str:
    """Title, table, targets and notes, as Markdown."""
    parts = [f"## {title}", table(outcome.columns, outcome.lines)]
    if outcome.targets:
        parts.append("\n".join(map(target, outcome.targets)))
    parts += outcome.notes
    return "\n\n".join(parts)


def table(columns: Sequence[Column], lines: Sequence[Line]) -> str:
    """Markdown: a row for each line."""
    rows = [
        f"|  | {' | '.join(column.title for column in columns)} |",
        f"| --- |{' --: |' * len(columns)}",
    ]
    rows += [f"| {line.name} | {' | '.join(_cell(line, column) for column in columns)} |" for line in lines]
    return "\n".join(rows)


def target(asked: Target) -> str:
    """One target in a line: met or not, what was measured and what was asked for."""
    verdict = "met" if asked.met else "NOT met"
    relation = "at most" if asked.at_most else "at least"
    return (
        f"- {verdict}: {asked.text}: {_number(asked.measured)}, asked for {relation} {_number(asked.bound)}"
    )


def write(scenario: Scenario, options: Options, outcome: Outcome) -> Path:
    """Keep a run's results; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{scenario.NAME}.json"
    content = {
        "scenario": scenario.NAME,
        "title": scenario.TITLE,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "rounds": options.rounds,
        "scale": options.scale,
        "environment": _environment(),
        **asdict(outcome),
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def read(content: Mapping[str, Any]) -> Outcome:
    """The outcome that `write` has kept."""
    return Outcome(
        columns=[Column(**each) for each in content["columns"]],
        lines=[Line(**each) for each in content["lines"]],
        targets=[Target(**each) for each in content["targets"]],
        **{name: content[name] for name in ("runs", "settings", "notes", "series")},
    )


def measured_on(content: Mapping[str, Any]) -> str:
    """When and on what, of a file's content, in a line."""
    its = content["machine"]
    releases = ", ".join(f"{name} {release}" for name, release in content["versions"].items())
    rounds = content["rounds"]
    counted = "one run" if rounds == 1 else f"medians of {rounds} rounds"
    return (
        f"{content['at'][:10]}; {counted}; {its['cpu']}, {its['cores']} cores, "
        f"{its['system']}, Python {its['python']}; {releases}."
    )


def machine() -> dict[str, Any]:
    """What the run was on."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """The releases of what takes part."""
    return {name: metadata.version(name) for name in LIBRARIES} | {"Apache Kafka": brokers.release()}


def _environment() -> dict[str, str]:
    """Settings that were in the environment; of client properties, which may be secret, only that they were set."""
    return {
        name: "set" if is_secret(name) or name.endswith("PROPERTIES") else value
        for name, value in os.environ.items()
        if name.startswith(ENVIRONMENT_PREFIX)
    }


def _cell(line: Line, column: Column) -> str:
    value = line.values.get(column.key)
    return "" if value is None else format(value, column.form)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
