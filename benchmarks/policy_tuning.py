"""Finds the best of a grid of settings, on requests that it is not judged on.

The best setting has the lowest p99 of those that reach `THROUGHPUT_SHARE` of the highest throughput: nobody wants one
that lets requests pile up, and where all keep up with what comes the p99 alone decides. Where some requests are urgent,
what counts before the p99 is how many of them are finished too late.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

from benchmarks.policy_arrivals import Demand
from benchmarks.policy_device import Cost
from benchmarks.policy_settings import Setting
from benchmarks.policy_simulation import Served, simulate

THROUGHPUT_SHARE = 0.98
SHORT_SHARE = 0.25
"""All settings are tried on a run of this share of the length; the best of them on a whole one."""
KEPT_SHARE = 0.25

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run comes down to."""

    p99_seconds: float
    rows_per_second: float
    rows_a_batch: float
    urgent_missed: float = 0.0
    """How many of the urgent requests were finished too late, where there are any."""

    @classmethod
    def of(cls, served: Served) -> Self:
        """Without the requests, of which there may be a million."""
        urgent_missed = 0.0 if served.arrivals.levels is None else served.missed_share(0)
        return cls(served.p99_seconds, served.rows_per_second, served.rows_a_batch, urgent_missed)


def ranked(settings: Sequence[S], run: Callable[[S], Figures]) -> list[S]:
    """Those that reach the throughput, by what urgent requests miss, then by p99; of equal ones the first is first."""
    figures = [(setting, run(setting)) for setting in settings]
    highest = max(figure.rows_per_second for _, figure in figures)
    able = [each for each in figures if each[1].rows_per_second >= THROUGHPUT_SHARE * highest]
    found = sorted(able, key=lambda each: (each[1].urgent_missed, each[1].p99_seconds))
    return [setting for setting, _ in found]


def tuned(settings: Sequence[Setting], demand: Demand, cost: Cost, devices: int, seed: int) -> Setting:
    """The best for requests made from this seed: on a whole run, of the best `KEPT_SHARE` on a short one."""
    large_enough = able(settings, demand, cost, devices)
    short = runner(replace(demand, seconds=demand.seconds * SHORT_SHARE), cost, devices, seed)
    kept = ranked(large_enough, short)[: max(1, math.ceil(len(large_enough) * KEPT_SHARE))]
    return ranked(kept, runner(demand, cost, devices, seed))[0]


def able(settings: Sequence[Setting], demand: Demand, cost: Cost, devices: int) -> list[Setting]:
    """Without those whose largest batches are too small for the load: they would not reach the throughput.

    Raises:
        ValueError: none is large enough for the largest request.
    """
    fitting = [setting for setting in settings if setting.largest_rows >= demand.most_rows]
    if not fitting:
        raise ValueError(f"no setting takes requests of {demand.most_rows} rows")
    most = {each.largest_rows: devices * cost.rows_per_second(each.largest_rows) for each in fitting}
    wanted = THROUGHPUT_SHARE * min(demand.rows_per_second, max(most.values()))
    return [setting for setting in fitting if most[setting.largest_rows] >= wanted]


def runner(demand: Demand, cost: Cost, devices: int, seed: int) -> Callable[[Setting], Figures]:
    """Runs any setting, each on the same requests."""
    arrivals = demand.arrivals(seed)
    return lambda setting: Figures.of(simulate(arrivals, setting.batcher(arrivals, devices), cost, devices))
