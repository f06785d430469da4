"""Puts the results of the last `make bench` into the README: `python -m benchmarks.readme`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import report

PAGE = Path(__file__).parents[1] / "README.md"
START, END = "<!-- bench:start -->\n", "<!-- bench:end -->"


def section(content: Mapping[str, Any]) -> str:
    """The table of a results file, and what it was measured on."""
    outcome = report.read(content)
    return (
        f"{report.table(outcome.columns, outcome.lines)}\n\n"
        f"{report.measured_on(content)} Broker, load and contender share the machine.\n"
    )


def main() -> None:
    """Write the section between its markers."""
    results = json.loads((report.RESULTS / "small_records.json").read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    before, start, rest = text.partition(START)
    if not start or END not in rest:
        sys.exit(f"{PAGE.name} has no place for the results; it is marked {START.strip()} and {END}")
    PAGE.write_text(before + start + section(results) + rest[rest.index(END) :], encoding="utf-8")
    sys.stdout.write(f"wrote the results of {results['at']} into {PAGE.name}\n")


if __name__ == "__main__":
    main()
