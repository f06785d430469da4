"""Puts the results of the last `make bench` into the README: `python -m benchmarks.readme`."""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.measuring import Result, Summary

PAGE = Path(__file__).parents[1] / "README.md"
START, END = "<!-- bench:start -->\n", "<!-- bench:end -->"


def section(results: dict[str, Any]) -> str:
    """The table, and what it was measured on."""
    contenders = [
        Summary(**{**each, "runs": tuple(Result(**run) for run in each["runs"])})
        for each in results["contenders"]
    ]
    machine, versions = results["machine"], results["versions"]
    releases = ", ".join(f"{name} {release}" for name, release in versions.items())
    rounds = len(contenders[0].runs)
    return (
        f"{report.table(contenders)}\n\n"
        f"{results['at'][:10]}; medians of {rounds} rounds; {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['system']}, Python {machine['python']}; {releases}. Broker, load and contender share the machine.\n"
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
