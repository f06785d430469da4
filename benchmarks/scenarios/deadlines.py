"""Who lets urgent requests be late among bulk work: TensorFlow's and Triton's policies, tuned, and headrace as it is.

The simulation of the scenario `policies`, with a deadline for one request in ten. The baselines know no priorities and
are tuned to miss as few deadlines as they can; headrace has a queue of a higher priority for urgent requests.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.policy_device import Fit
from benchmarks.scenario import Column, Line, Options, Outcome, Target
from benchmarks.scenarios import policies
from benchmarks.scenarios.policies import CASES, KEYS, LEAST_RATE, OWN, TENSORFLOW, TRITON, Case, Judged

NAME = "deadlines"
TITLE = "Urgent requests among bulk work: TensorFlow's and Triton's policies, tuned, and headrace as it is"

MOST_MISSED = 0.1
MISSED, MISSED_RATIO = "missed", "missed_by_better"

COLUMNS = (
    *(Column(f"{KEYS[name]}_{MISSED}", f"{name}: too late, %", ",.3f") for name in KEYS),
    Column(MISSED_RATIO, "too late by the better's", ",.3f"),
    Column(policies.RATE_RATIO, "rows/s by the better's", ",.3f"),
)


def run(options: Options) -> Outcome:
    """Measure what batches cost, and then simulate every case."""
    fit = policies.measured_cost(options.scale)
    print(f"a batch costs {policies.said(fit.cost)}", flush=True)
    return compared(fit, CASES, options)


def compared(fit: Fit, cases: Sequence[Case], options: Options) -> Outcome:
    """Tune and judge in each case; nothing here depends on the machine but the fit."""
    judged = []
    for number, case in enumerate(cases, 1):
        judged.append(policies.judge(replace(case, urgent=True), fit.cost, options))
        print(f"{number} of {len(cases)}: {case.name}: {told(judged[-1])}", flush=True)
    return Outcome(
        COLUMNS,
        [line(each) for each in judged],
        targets(judged),
        policies.runs(judged),
        policies.kept_settings(fit, options),
        notes(fit),
        series(judged),
    )


def missed(judged: Judged, name: str) -> float:
    """The share of urgent requests that a policy finished too late: the median over the seeds."""
    return statistics.median(run.urgent_missed for run in judged.runs[name])


def ratio(judged: Judged) -> float:
    """Ours by that of the better baseline; 0 where we missed none, whatever they did."""
    own, better = missed(judged, OWN), min(missed(judged, TENSORFLOW), missed(judged, TRITON))
    fewest = 1 / 1_000_000  # a baseline that misses none is taken to miss one in a million
    return own / max(better, fewest)


def told(judged: Judged) -> str:
    """In words."""
    return ", ".join(f"{name} {missed(judged, name):.3%}" for name in KEYS)


def line(judged: Judged) -> Line:
    """Of the table."""
    values = {f"{KEYS[name]}_{MISSED}": 100 * missed(judged, name) for name in KEYS}
    values[MISSED_RATIO] = ratio(judged)
    values[policies.RATE_RATIO] = judged.line.values[policies.RATE_RATIO]
    return Line(judged.case.name, values)


def targets(judged: Sequence[Judged]) -> list[Target]:
    """The worst case of each pattern and number of devices, for deadlines and for throughput."""
    found = []
    for what, of_these in policies.worst_of(judged):
        most = max(map(ratio, of_these))
        rate = min(each.line.values[policies.RATE_RATIO] for each in of_these)
        found.append(Target(f"{what}: deadlines missed by the better baseline's", most, MOST_MISSED))
        found.append(Target(f"{what}: rows/s by the better baseline's", rate, LEAST_RATE, at_most=False))
    return found


def notes(fit: Fit) -> list[str]:
    """What one must know."""
    return [
        "The simulation of `policies`: the real batching code, made-up requests, a clock of its own.",
        f"A batch costs {policies.said(fit.cost)}, as fitted to the benchmarks' model in this run.",
        f"{policies.URGENT_SHARE:.0%} of the requests, by chance, are urgent; the others have no deadline.",
        f"They are to be finished within the time of {policies.URGENT_BATCHES:g} full batches.",
        "Loads are of all requests together, urgent and not.",
        "TensorFlow's and Triton's policies are tuned for each line, on another seed, to miss as few as they can.",
        "headrace has its defaults in all lines, and priority 9 for urgent requests.",
        "A line in which nobody is late says only that.",
    ]


def series(judged: Sequence[Judged]) -> dict[str, Any]:
    """The share that is too late by load, of each panel; percent."""
    return {"missed": policies.by_panel(judged, lambda each, name: 100 * missed(each, name))}
