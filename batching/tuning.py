"""Which options a queue should have, by how long batches of each size were measured to run; pure.

A batch costs its run, and what is done with it besides. Throughput grows with the rows as long as a larger run costs
less than it has more rows; from there on larger batches only make their requests wait. A request waits for the batch
that runs when it comes, and for its own.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batching import errors

ENOUGH = 0.95
"""Of the best throughput: what more there is does not make up for twice the wait."""
MOST_PADDING = 1.2
"""The cost of a run at the next larger size, as a multiple: up to that a size of its own is not worth a program."""
BATCH_SECONDS = 0.0003
"""What a batch costs besides its run: taken, joined, cut, answered. Blocks of 64 rows cost twice as much a row as such
of 256 (docs/settings.md, `delivery.poll_records`), which makes it about 128 rows' worth, some 2 to 3 µs each."""
FIRST_RUN_TIMES, FIRST_RUN_SECONDS = 2.0, 0.005
"""A size's first run shows a program being compiled when it takes so many times as long as later ones, and so much
longer: one that only allocates takes less than 5 ms more."""
STEEP = 4.0
"""How many times cheaper a row of a large batch has to be before a free device is kept waiting for it."""
LEAST_WAIT_SECONDS, WAIT_STEP_SECONDS = 0.001, 0.0001
"""Shorter waits gather next to nothing; and to which steps waits are rounded down."""

MAX_BATCH_ROWS, BATCH_TIMEOUT, ALLOWED_ROWS = "max_batch_rows", "batch_timeout_seconds", "allowed_batch_rows"


@dataclass(frozen=True, slots=True)
class SizeCost:
    """How long batches of one size ran.

    Attributes:
        rows: of each batch.
        seconds: the median of its runs.
        p99_seconds: what 99 of 100 runs did not exceed.
    """

    rows: int
    seconds: float
    p99_seconds: float

    @property
    def rows_per_second(self) -> float:
        """Of runs one after the other, with nothing between them."""
        return self.rows / self.seconds


@dataclass(frozen=True, slots=True)
class FirstRun:
    """A size that had never been run before.

    Attributes:
        rows: of the batch.
        seconds: of its first run.
        again_seconds: the median of those right after.
    """

    rows: int
    seconds: float
    again_seconds: float


@dataclass(frozen=True, slots=True)
class Objective:
    """What is wanted of the options.

    Attributes:
        p99_seconds: what a request may take, from when it is queued to the end of its run; None: most throughput.
        request_rows: rows of the largest request; a smaller batch has no room for it.
    """

    p99_seconds: float | None = None
    request_rows: int = 1


@dataclass(frozen=True, slots=True)
class Advice:
    """Options, and why each has its value.

    Attributes:
        max_batch_rows: as `QueueOptions` has them.
        batch_timeout_seconds: likewise.
        allowed_batch_rows: likewise.
        reasons: a sentence for each of these three, by its name.
    """

    max_batch_rows: int
    batch_timeout_seconds: float
    allowed_batch_rows: tuple[int, ...]
    reasons: Mapping[str, str]


def advise(
    costs: Sequence[SizeCost],
    first_runs: Sequence[FirstRun] = (),
    objective: Objective | None = None,
    batch_seconds: float = BATCH_SECONDS,
) -> Advice:
    """The options for a function that costs so much.

    Without a p99: the smallest size that has nearly all throughput there is, and no wait. With one: the largest size of
    which two runs fit into it, and a wait where time is left and waiting pays.

    Args:
        costs: of each size that was measured, at least one, in any order.
        first_runs: of some sizes that were not run before; none: nothing is known of them.
        objective: what is wanted; None: most throughput, requests of one row.
        batch_seconds: what a batch costs besides its run, in seconds.

    Raises:
        ObjectiveOutOfReach: no size that was measured does it; the message says what would be needed.
        ValueError: nothing was measured.
    """
    wanted = objective or Objective()
    sizes = sorted(costs, key=lambda each: each.rows)
    if not sizes:
        raise ValueError("there are no costs; expected those of at least one size")
    roomy = [each for each in sizes if each.rows >= wanted.request_rows]
    if not roomy:
        raise errors.ObjectiveOutOfReach(
            f"requests of {wanted.request_rows:,} rows need a batch that has room for them, and {sizes[-1].rows:,} "
            "rows are the largest that was measured; measure larger ones, or send smaller requests"
        )
    chosen, why = _largest(sizes, roomy, wanted, batch_seconds)
    wait, why_wait = _wait(sizes, chosen, wanted)
    allowed, why_allowed = _allowed([each for each in sizes if each.rows <= chosen.rows], first_runs)
    return Advice(
        chosen.rows,
        wait,
        allowed,
        {MAX_BATCH_ROWS: why, BATCH_TIMEOUT: why_wait, ALLOWED_ROWS: why_allowed},
    )


def needed_seconds(costs: Sequence[SizeCost], rows: int) -> float:
    """What a request needs at most when batches have up to so many rows: the p99 of the run before, and of its own.

    A batch may have any size up to the largest, so the slowest of these counts.
    """
    return 2 * max(each.p99_seconds for each in costs if each.rows <= rows)


def _largest(
    sizes: Sequence[SizeCost], roomy: Sequence[SizeCost], wanted: Objective, batch_seconds: float
) -> tuple[SizeCost, str]:
    """The cost of the size to close batches at, and why."""

    def throughput(cost: SizeCost) -> float:
        return cost.rows / (cost.seconds + batch_seconds)

    most = wanted.p99_seconds
    if most is None:
        best = max(roomy, key=throughput)
        chosen = next(each for each in roomy if throughput(each) >= ENOUGH * throughput(best))
        return chosen, (
            f"{_rows(chosen.rows)}: the smallest size with {ENOUGH:.0%} of the best throughput, which is "
            f"{_rate(throughput(best))} at {_rows(best.rows)}; {_besides(batch_seconds)}"
        )
    in_time = [each for each in roomy if needed_seconds(sizes, each.rows) <= most]
    if not in_time:
        raise errors.ObjectiveOutOfReach(_out_of_reach(sizes, roomy[0], most))
    best = max(in_time, key=throughput)
    chosen = next(each for each in reversed(in_time) if throughput(each) >= ENOUGH * throughput(best))
    return chosen, (
        f"{_rows(chosen.rows)}: the largest size of which the run before a request and its own, "
        f"{_ms(needed_seconds(sizes, chosen.rows))} by their p99, fit into {_ms(most)}"
        + (
            ""
            if chosen is in_time[-1]
            else f", but for larger ones that give less than {_rate(throughput(best))}"
        )
    )


def _out_of_reach(sizes: Sequence[SizeCost], smallest: SizeCost, most: float) -> str:
    needed = needed_seconds(sizes, smallest.rows)
    return (
        f"no size that was measured keeps a p99 of {_ms(most)}: a request waits for the run before its own, and "
        f"already with batches of {_rows(smallest.rows)} two runs take {_ms(needed)} by their p99; needed is an "
        f"objective of {_ms(_rounded_up(needed))} or more, or a model and device that run {_rows(smallest.rows)} "
        f"within {_ms(most / 2)}"
    )


def _wait(sizes: Sequence[SizeCost], chosen: SizeCost, wanted: Objective) -> tuple[float, str]:
    """How long a batch that is not full should wait for more, and why."""
    if wanted.p99_seconds is None:
        return 0.0, (
            "0: without a p99 to keep nothing says how long a request may wait, and batches fill by themselves while "
            "the device is busy"
        )
    cheaper = chosen.rows_per_second / sizes[0].rows_per_second
    if cheaper < STEEP:
        return 0.0, (
            f"0: a row of a full batch is {_times(cheaper)} cheaper than in one of {_rows(sizes[0].rows)}; below "
            f"{STEEP:g} times a device that is free should not wait for more"
        )
    left = wanted.p99_seconds - needed_seconds(sizes, chosen.rows)
    wait = round(int(min(left, chosen.seconds) / WAIT_STEP_SECONDS) * WAIT_STEP_SECONDS, 4)
    if wait < LEAST_WAIT_SECONDS or wait > left:
        return 0.0, (
            f"0: beside two runs the objective leaves {_ms(left)} and a full batch runs for {_ms(chosen.seconds)}; "
            f"waits of less than {_ms(LEAST_WAIT_SECONDS)} gather next to nothing"
        )
    return wait, (
        f"{_ms(wait)}: a row of a full batch is {_times(cheaper)} cheaper than in one of {_rows(sizes[0].rows)}, and "
        f"beside two runs the objective leaves {_ms(left)}; longer than the run of a full batch nothing needs to wait"
    )


def _allowed(sizes: Sequence[SizeCost], first_runs: Sequence[FirstRun]) -> tuple[tuple[int, ...], str]:
    """The sizes to pad to (none: any size), and why."""
    if not first_runs:
        return (), "any size: too few sizes were measured to tell whether a new one costs more at first"
    first = statistics.median(each.seconds for each in first_runs)
    again = statistics.median(each.again_seconds for each in first_runs)
    seen = f"a size that was never run before took {_ms(first)} at first and {_ms(again)} then"
    if not is_compiled(first_runs):
        return (), f"any size: {seen}, so that new sizes need no program of their own"
    kept = [sizes[-1]]
    for each in reversed(sizes[:-1]):
        if kept[0].seconds > MOST_PADDING * each.seconds:
            kept.insert(0, each)
    return tuple(each.rows for each in kept), (
        f"{', '.join(f'{each.rows:,}' for each in kept)}: {seen}; sizes are left out where the next larger one costs "
        f"at most {MOST_PADDING - 1:.0%} more"
    )


def is_compiled(first_runs: Sequence[FirstRun]) -> bool:
    """Whether the first run of a size costs so much more than later ones that there should be few sizes."""
    if not first_runs:
        return False
    longer = statistics.median(each.seconds - each.again_seconds for each in first_runs)
    times = statistics.median(each.seconds / each.again_seconds for each in first_runs)
    return longer >= FIRST_RUN_SECONDS and times >= FIRST_RUN_TIMES


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.3g} ms" if seconds < 1 else f"{seconds * 1000:,.0f} ms"


def _rounded_up(seconds: float) -> float:
    """To three digits and no less, so that what is shown is enough."""
    step = 10.0 ** (math.floor(math.log10(seconds)) - 2)
    return math.ceil(seconds / step) * step


def _times(factor: float) -> str:
    return f"{factor:,.0f} times" if factor >= 10 else f"{factor:.1f} times"


def _rate(rows_per_second: float) -> str:
    return f"{rows_per_second:,.0f} rows/s"


def _besides(batch_seconds: float) -> str:
    return f"a batch is taken to cost {_ms(batch_seconds)} besides its run"
