"""The table for people and the JSON file for machines."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.measuring import Summary

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("headrace", "confluent-kafka", "fastavro", "numpy", "tensorflow")


def machine() -> dict[str, Any]:
    """What the run was on."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
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
    return {name: metadata.version(name) for name in LIBRARIES}


def table(summaries: Sequence[Summary]) -> str:
    """Markdown: each contender, absolute and as a ratio to the first and to the second."""
    first, second = summaries[0], summaries[1]
    heads = ["", "records/s", "CPU µs a record", "spread"]
    heads += [f"CPU by {first.name}'s", f"CPU by {second.name}'s", f"records/s by {second.name}'s"]
    lines = [f"| {' | '.join(heads)} |", "| --- | --: | --: | --: | --: | --: | --: |"]
    lines += [
        f"| {s.name} | {s.records_per_second:,.0f} | {s.cpu_us_per_record:.2f} | {s.spread:.0%} "
        f"| {s.cpu_us_per_record / first.cpu_us_per_record:.2f} "
        f"| {s.cpu_us_per_record / second.cpu_us_per_record:.2f} "
        f"| {s.records_per_second / second.records_per_second:.2f} |"
        for s in summaries
    ]
    return "\n".join(lines)


def write(scenario: str, summaries: Sequence[Summary], settings: Mapping[str, Any]) -> Path:
    """Keep a run's results; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{scenario}.json"
    content = {
        "scenario": scenario,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "settings": dict(settings),
        "contenders": [asdict(s) for s in summaries],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path
