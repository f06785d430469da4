"""When a batch goes to a device: TensorFlow's and Triton's policies, tuned for each load, beside headrace as it is.

A simulation on a clock of its own, with a device that costs what the benchmarks' model does. Each baseline is tuned by
grid search on one seed and judged on others; headrace has the worker's defaults everywhere.
"""

import itertools
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from batching import merging
from benchmarks import dense_model, policy_device, policy_settings, policy_tuning
from benchmarks.policy_arrivals import Demand, Pattern
from benchmarks.policy_device import Cost, Fit
from benchmarks.policy_settings import Setting
from benchmarks.policy_tuning import Figures
from benchmarks.scenario import Column, Line, Options, Outcome, Target
from benchmarks.side_by_side import export_model

NAME = "policies"
TITLE = "When a batch goes: TensorFlow's and Triton's policies, tuned, and headrace as it is"

MOST_BATCH_ROWS = 1024
"""The device's largest batch, for everybody: a worker's default."""
BATCHES: Mapping[int, int] = {1: 300, 64: 1000}
"""How long a run is, in full batches, by the most rows of a request: fewer and larger ones leave more to chance."""
LOADS = (0.3, 0.6, 0.9, 1.2)
"""Of the rows that the devices do at best, with full batches all the time."""
REQUEST_ROWS = tuple(BATCHES)
DEVICES = (1, 2)
TRAINING_SEED = 0
URGENT_SHARE, URGENT_BATCHES = 0.1, 3.0
"""How many of the requests are urgent where some are, and in how many full batches' time they have to be finished."""

TENSORFLOW, TRITON, OWN = "TensorFlow's policy", "Triton's policy", "headrace"
MOST_P99, LEAST_RATE = 1.02, 0.98
P99, RATE = "p99_ms", "rows_per_second"
P99_RATIO, RATE_RATIO = "p99_by_better", "rate_by_better"
KEYS: Mapping[str, str] = {TENSORFLOW: "tensorflow", TRITON: "triton", OWN: "own"}

COLUMNS = (
    *(Column(f"{KEYS[name]}_{P99}", f"{name}: p99, ms", ",.3f") for name in KEYS),
    Column(P99_RATIO, "p99 by the better's", ",.3f"),
    *(Column(f"{KEYS[name]}_{RATE}", f"{name}: rows/s", ",.0f") for name in KEYS),
    Column(RATE_RATIO, "rows/s by the better's", ",.3f"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One load on some devices."""

    pattern: Pattern
    most_rows: int
    devices: int
    load: float
    urgent: bool = False
    """Whether some requests have a deadline, and a priority for it."""

    @property
    def panel(self) -> str:
        """All but the load, as a plot's title."""
        rows = "1 row" if self.most_rows == 1 else f"1 to {self.most_rows} rows"
        return f"{self.pattern}, {rows}, {self.devices} device{'s' if self.devices > 1 else ''}"

    @property
    def name(self) -> str:
        """As a line of the table."""
        return f"{self.panel}, {self.load:.0%}"

    def demand(self, cost: Cost, scale: float) -> Demand:
        """The requests."""
        batch_seconds = cost.seconds(MOST_BATCH_ROWS)
        best = self.devices * cost.rows_per_second(MOST_BATCH_ROWS)
        seconds = BATCHES[self.most_rows] * scale * batch_seconds
        demand = Demand(self.pattern, self.most_rows, self.load * best, seconds, batch_seconds)
        if not self.urgent:
            return demand
        return replace(demand, urgent_share=URGENT_SHARE, urgent_seconds=URGENT_BATCHES * batch_seconds)


CASES = tuple(
    Case(pattern, most_rows, devices, load)
    for devices, most_rows, pattern, load in itertools.product(DEVICES, REQUEST_ROWS, Pattern, LOADS)
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A case: how each policy was set, and its runs on the seeds that judge."""

    case: Case
    settings: Mapping[str, Setting]
    runs: Mapping[str, Sequence[Figures]]

    def p99_ms(self, name: str) -> float:
        """The median over the seeds."""
        return statistics.median(run.p99_seconds for run in self.runs[name]) * 1000

    def rate(self, name: str) -> float:
        """Rows a second: the median over the seeds."""
        return statistics.median(run.rows_per_second for run in self.runs[name])

    @property
    def line(self) -> Line:
        """Of the table. The better baseline is found for each column by itself."""
        p99 = {name: self.p99_ms(name) for name in KEYS}
        rates = {name: self.rate(name) for name in KEYS}
        values = {f"{KEYS[name]}_{P99}": p99[name] for name in KEYS}
        values |= {f"{KEYS[name]}_{RATE}": rates[name] for name in KEYS}
        values[P99_RATIO] = p99[OWN] / min(p99[TENSORFLOW], p99[TRITON])
        values[RATE_RATIO] = rates[OWN] / max(rates[TENSORFLOW], rates[TRITON])
        return Line(self.case.name, values)


def run(options: Options) -> Outcome:
    """Measure what batches cost, and then simulate every case."""
    fit = measured_cost(options.scale)
    print(f"a batch costs {said(fit.cost)}", flush=True)
    return compared(fit, CASES, options)


def measured_cost(scale: float) -> Fit:
    """Of the benchmarks' model, as a worker calls it, on this thread."""
    from lifecycle.saved_model_loader import SavedModelLoader
    from lifecycle.saved_model_session import SessionOptions

    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        loader = SavedModelLoader(export_model(Path(folder)), options=SessionOptions(intra_op_threads=1))
        loader.load()
        servable = loader.servable
        inputs = {size: _input(size) for size in policy_device.SIZES}
        times_each = max(3, round(policy_device.TIMES_EACH * min(scale, 1.0)))
        fit = policy_device.measure(
            lambda size: servable.run("serving_default", {"x": inputs[size]}, ()), times_each
        )
        loader.unload()
    return fit


def _input(rows: int) -> merging.Array:
    """Rows of random numbers, placed as a batch's are."""
    array = merging.empty((rows, dense_model.INPUTS), np.dtype(np.float32))
    array[:] = np.random.default_rng(rows).standard_normal(array.shape)
    return array


def compared(fit: Fit, cases: Sequence[Case], options: Options) -> Outcome:
    """Tune and judge in each case; nothing here depends on the machine but the fit."""
    judged = []
    for number, case in enumerate(cases, 1):
        judged.append(judge(case, fit.cost, options))
        values = judged[-1].line.values
        print(
            f"{number} of {len(cases)}: {case.name}: p99 {values[P99_RATIO]:.3f}, "
            f"rows/s {values[RATE_RATIO]:.3f} of the better's",
            flush=True,
        )
    lines = [each.line for each in judged]
    return Outcome(
        COLUMNS,
        lines,
        targets(judged),
        runs(judged),
        kept_settings(fit, options),
        notes(fit),
        series(judged),
    )


def runs(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Each run by itself, to be kept."""
    return [
        {
            "case": each.case.name,
            "policy": name,
            "setting": repr(each.settings[name]),
            "seed": seed,
            **asdict(run),
        }
        for each in judged
        for name, runs in each.runs.items()
        for seed, run in enumerate(runs, TRAINING_SEED + 1)
    ]


def kept_settings(fit: Fit, options: Options) -> dict[str, Any]:
    """What the runs were made with, to be kept."""
    return {
        "cost": asdict(fit),
        "most_batch_rows": MOST_BATCH_ROWS,
        "batches": {str(rows): count * options.scale for rows, count in BATCHES.items()},
        "training_seed": TRAINING_SEED,
    }


def judge(case: Case, cost: Cost, options: Options) -> Judged:
    """Tune the baselines on one seed, and run everybody on the others."""
    demand = case.demand(cost, options.scale)
    grids = {
        TENSORFLOW: policy_settings.fixed_sizes(cost, MOST_BATCH_ROWS),
        TRITON: policy_settings.idle_devices(cost, MOST_BATCH_ROWS),
    }
    settings: dict[str, Setting] = {
        name: policy_tuning.tuned(grid, demand, cost, case.devices, TRAINING_SEED)
        for name, grid in grids.items()
    }
    settings[OWN] = policy_settings.own()
    runs: dict[str, list[Figures]] = {name: [] for name in settings}
    for seed in range(TRAINING_SEED + 1, TRAINING_SEED + 1 + options.rounds):
        run_one = policy_tuning.runner(demand, cost, case.devices, seed)
        for name, setting in settings.items():
            runs[name].append(run_one(setting))
    return Judged(case, settings, runs)


def targets(judged: Sequence[Judged]) -> list[Target]:
    """The worst case of each pattern and number of devices, for p99 and for throughput."""
    found = []
    for what, of_these in worst_of(judged):
        values = [each.line.values for each in of_these]
        p99 = max(each[P99_RATIO] for each in values)
        rate = min(each[RATE_RATIO] for each in values)
        found.append(Target(f"{what}: p99 by the better baseline's", p99, MOST_P99))
        found.append(Target(f"{what}: rows/s by the better baseline's", rate, LEAST_RATE, at_most=False))
    return found


def worst_of(judged: Sequence[Judged]) -> Iterator[tuple[str, Sequence[Judged]]]:
    """The cases of each pattern and number of devices, and what the worst of them is called."""
    for devices, pattern in itertools.product(DEVICES, Pattern):
        found = [each for each in judged if (each.case.devices, each.case.pattern) == (devices, pattern)]
        if found:
            s = "s" if devices > 1 else ""
            yield f"{pattern}, {devices} device{s}, the worst of {len(found)} loads", found


def notes(fit: Fit) -> list[str]:
    """What one must know."""
    off, able = f"{fit.largest_error:.0%}", f"{policy_tuning.THROUGHPUT_SHARE:.0%}"
    return [
        "A simulation on a clock of its own, with the real batching code and made-up requests.",
        f"A batch costs {said(fit.cost)}, as fitted to the benchmarks' model in this run, {off} off at most.",
        f"Loads are of what devices do with batches of {MOST_BATCH_ROWS:,} rows all the time; none is larger.",
        "TensorFlow's policy is a largest size and a time-out, by our scheduler with those options.",
        "Triton's: an idle device gets a preferred size, or after a delay what there is.",
        "Both are tuned for each line by themselves, on another seed than those that judge.",
        f"The best setting has the lowest p99 of those with {able} of the highest throughput.",
        "headrace has its defaults in all lines, and as many batch threads as there are devices.",
        "Nothing is refused: what a full queue does not take waits before it.",
        "Latency counts from when a request came; throughput is what is finished when the last request comes.",
        "Requests of which some are urgent: `deadlines`.",
    ]


def said(cost: Cost) -> str:
    """A cost in words."""
    return f"{cost.call_seconds * 1e6:.0f} µs and {cost.row_seconds * 1e6:.3f} µs a row"


def series(judged: Sequence[Judged]) -> dict[str, Any]:
    """The p99 by load of each panel."""
    return {"p99_ms": by_panel(judged, Judged.p99_ms)}


def by_panel(judged: Sequence[Judged], value: Callable[[Judged, str], float]) -> dict[str, dict[str, Any]]:
    """A value of each policy by load, for a plot of each panel."""
    panels: dict[str, dict[str, Any]] = {}
    for each in judged:
        panel = panels.setdefault(each.case.panel, {"loads": [], **{name: [] for name in KEYS}})
        panel["loads"].append(each.case.load)
        for name in KEYS:
            panel[name].append(value(each, name))
    return panels
