"""`make bench`: runs a scenario, prints its table, and keeps its results in `benchmarks/results/`."""

import argparse
import subprocess
import sys
import traceback
from pathlib import Path

from benchmarks import catalogue, cores, report
from benchmarks.scenario import Options, Scenario

ALL = "all"


def main() -> int:
    """Measure; 1 when a scenario could not be measured, whatever its targets say otherwise."""
    names, options = _arguments()
    try:
        scenarios = [catalogue.scenario(name) for name in names]
    except catalogue.UnknownScenario as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if len(scenarios) > 1:
        failed = [scenario.NAME for scenario in scenarios if _apart(scenario, options)]
    else:
        cores.stay_beside()
        failed = [scenario.NAME for scenario in scenarios if not _measured(scenario, options)]
    if failed:
        sys.stderr.write(f"could not be measured: {', '.join(failed)}\n")
    return 1 if failed else 0


def _apart(scenario: Scenario, options: Options) -> int:
    """Measure in a process of its own, because the clients of scenarios before would take their part of the cores."""
    command = [sys.executable, "-m", "benchmarks", "--scenario", scenario.NAME]
    command += ["--rounds", str(options.rounds), "--scale", str(options.scale)]
    return subprocess.run(command, check=False).returncode


def _measured(scenario: Scenario, options: Options) -> bool:
    print(f"{scenario.NAME}: {options.rounds} rounds", flush=True)
    try:
        outcome = scenario.run(options)
    except Exception:  # noqa: BLE001 - whatever it was, the scenarios that follow are measured
        traceback.print_exc()
        return False
    print(f"\n{report.text(scenario.TITLE, outcome)}\n")
    kept = report.write(scenario, options, outcome)
    print(
        f"kept in {kept.relative_to(Path.cwd()) if kept.is_relative_to(Path.cwd()) else kept}\n", flush=True
    )
    return True


def _arguments() -> tuple[list[str], Options]:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--scenario",
        default="small_records",
        help=f"what is measured (default: small_records); {ALL} for all of: {', '.join(catalogue.names())}",
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs (default: 5)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="more or fewer records than usual (default: 1)"
    )
    given = parser.parse_args()
    if given.rounds < 1 or given.scale <= 0:
        parser.error("--rounds takes 1 or more, --scale more than 0")
    names = catalogue.names() if given.scenario == ALL else [given.scenario]
    return names, Options(given.rounds, given.scale)


if __name__ == "__main__":
    sys.exit(main())
