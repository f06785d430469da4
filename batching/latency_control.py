"""Moves the time-out and the size of one queue's batches to keep a latency objective, or says that it cannot.

A feedback control in small steps, one after each window of batches. Above the objective the wait is halved first, then
the size, unless the device is behind with full batches, which larger ones may help. Well below it the size grows first,
where batches are full, and then the wait, where the device is busy; now and then less wait is tried. Each step is a
trial: one that did not do what it was for is taken back and not tried again for a while that doubles, so that the
options come to rest.
"""

import enum
import math
from collections.abc import Collection
from dataclasses import dataclass

from batching.latency_window import LatencyWindow

WELL_BELOW = 0.7
"""Of the objective: below it there is latency to spend on throughput. Between it and 1 nothing is changed."""
LEAST_GAIN = 0.02
"""Of the rows that a second of the device does: a step for throughput that brings less is taken back."""
LEAST_RELIEF = 0.05
"""Of the p99: a step for latency that brings less has not helped."""
LEAST_CHANGE = 0.03
"""Of the rows that are done in a second: below it, and below what chance brings, it is the same throughput."""
BUSY = 0.5
"""Part of the time that batches run, from which on it is worth while to wait for larger ones."""
MOSTLY = 0.9
"""Part of the batches that are full, and of the time that they run, from which on the device is behind."""
TIMEOUT_STEPS = 20
"""Steps of the time-out from 0 to the objective; below one of them it is 0."""
FIRST_PAUSE, LONGEST_PAUSE = 4, 256
"""Windows in which a step that failed is not tried again: at first, and at most."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is to be kept, and within what.

    Attributes:
        p99_seconds: the objective: what 99 of 100 rows take at most, from when they are queued to the end of the run.
        max_batch_rows: the largest size.
        allowed_batch_rows: the sizes there are, ascending, up to the largest; empty: any.
        max_timeout_seconds: the longest wait; no longer than the objective.
    """

    p99_seconds: float
    max_batch_rows: int
    allowed_batch_rows: tuple[int, ...] = ()
    max_timeout_seconds: float | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes to choose from, ascending: those that are allowed, otherwise the largest and its halves."""
        if self.allowed_batch_rows:
            return self.allowed_batch_rows
        return tuple(
            sorted({max(1, self.max_batch_rows >> n) for n in range(self.max_batch_rows.bit_length())})
        )

    @property
    def longest_wait(self) -> float:
        """The longest time-out, in seconds."""
        most = self.max_timeout_seconds
        return self.p99_seconds if most is None else min(most, self.p99_seconds)


@dataclass(frozen=True, slots=True)
class Choice:
    """Options of a queue: rows of a full batch, and seconds that one waits for more."""

    rows: int
    timeout_seconds: float


class Verdict(enum.Enum):
    """Whether the objective is kept."""

    UNKNOWN = "unknown"
    """There were too few batches to say."""
    KEPT = "kept"
    MISSED = "missed"
    """Not in the last window; there are steps left to try."""
    CANNOT = "cannot"
    """No options within the bounds keep it, as far as was tried."""


class _Step(enum.Enum):
    LESS_WAIT = enum.auto()
    FEWER_ROWS = enum.auto()
    CATCH_UP = enum.auto()
    """More rows, because the device is behind."""
    MORE_ROWS = enum.auto()
    MORE_WAIT = enum.auto()
    PROBE_LESS_WAIT = enum.auto()
    """Requesters who wait for their answers before they ask again ask more when they wait less."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one window said."""

    p99_seconds: float
    rows_per_run_second: float
    rows_per_second: float
    rows: int
    busy: float
    full: float
    usual_rows: float

    def compare(self, before: "_Seen") -> int:
        """Whether more (1), fewer (-1) or as many rows were done in a second as before."""
        least = max(LEAST_CHANGE, 3 / math.sqrt(min(self.rows, before.rows)))
        if self.rows_per_second > before.rows_per_second * (1 + least):
            return 1
        return -(self.rows_per_second < before.rows_per_second * (1 - least))


@dataclass(frozen=True, slots=True)
class _Trial:
    step: _Step
    before: Choice
    seen: _Seen


class LatencyControl:
    """Chooses for one queue. Pure: times are given to it; its owner guards it.

    Args:
        bounds: the objective, and what may be chosen.
        start: the options to begin with; brought within the bounds.
        now: seconds of the clock by which all times are said.
        window_seconds: time for which options are watched at least.
        window_batches: batches likewise. Rows, likewise, are 100: below, there is no p99.

    Attributes:
        bounds: as given.
        choice: what is chosen now; a new object where it changes.
        verdict: whether the objective is kept.
        p99_seconds: of the last window; 0 before there was one.
    """

    WINDOW_ROWS = 100

    def __init__(
        self,
        bounds: Bounds,
        start: Choice,
        now: float,
        *,
        window_seconds: float = 2.0,
        window_batches: int = 20,
    ) -> None:
        self.bounds = bounds
        self._sizes = bounds.sizes
        fitting = [size for size in self._sizes if size <= start.rows]
        rows = fitting[-1] if fitting else self._sizes[0]
        self.choice = Choice(rows, min(max(0.0, start.timeout_seconds), bounds.longest_wait))
        self.verdict = Verdict.UNKNOWN
        self.p99_seconds = 0.0
        self._window_seconds = window_seconds
        self._window_batches = window_batches
        self._window = LatencyWindow(now)
        self._windows = 0
        self._changed_at: float | None = None  # what was queued before was batched by other options
        self._trial: _Trial | None = None
        self._above = 0  # windows one after the other
        self._not_before: dict[_Step, int] = {}
        self._pauses: dict[_Step, int] = {}

    def ran(
        self, tasks: Collection[tuple[float, int]], ended_at: float, run_seconds: float, *, full: bool
    ) -> None:
        """Take in a batch: when each task was queued and its rows, when it ended, and how long it ran."""
        if self._changed_at is not None:
            if (
                ended_at - self._changed_at < self._window_seconds
                and min(at for at, _ in tasks) < self._changed_at
            ):
                return
            self._changed_at = None
            self._window = LatencyWindow(ended_at)
            return
        self._window.add([(ended_at - at, rows) for at, rows in tasks], run_seconds, full=full)

    def step(self, now: float) -> bool:
        """Decide, where enough has been seen; whether there is a new verdict, and perhaps a choice."""
        window = self._window
        if (
            now - window.began_at < self._window_seconds
            or window.batches < self._window_batches
            or window.rows < self.WINDOW_ROWS
        ):
            return False
        seen = _Seen(
            window.p99_seconds(),
            window.rows_per_run_second(),
            window.rows_per_second(now),
            window.rows,
            window.busy(now),
            window.full / window.batches,
            window.usual_rows(),
        )
        self._window = LatencyWindow(now)
        self._windows += 1
        self.p99_seconds = seen.p99_seconds
        above = seen.p99_seconds > self.bounds.p99_seconds
        self._above = self._above + 1 if above else 0
        if not above:
            self.verdict = Verdict.KEPT
        elif self.verdict is not Verdict.CANNOT:
            self.verdict = Verdict.MISSED
        trial, self._trial = self._trial, None
        if trial is not None and not self._worth_it(trial, seen):
            self._put_off(trial.step)
            self._choose(trial.before, now)
            return True
        if trial is not None:
            self._pauses[trial.step] = max(FIRST_PAUSE, self._pauses.get(trial.step, 0) // 2)
        if above and (trial is not None or self._above > 1):
            self._lower(seen, now)
        elif not above:
            self._raise(seen, now)
        return True

    def _worth_it(self, trial: _Trial, seen: _Seen) -> bool:
        """Whether a step has done what it was for."""
        before = trial.seen
        above = seen.p99_seconds > self.bounds.p99_seconds
        change = seen.compare(before)
        match trial.step:
            case _Step.LESS_WAIT | _Step.FEWER_ROWS:
                if not above or seen.p99_seconds < before.p99_seconds * (1 - LEAST_RELIEF):
                    return True
                # Waiting less is not taken back for nothing: it is the way to waiting not at all.
                return trial.step is _Step.LESS_WAIT and change >= 0
            case _Step.CATCH_UP:
                return not above or change > 0
            case _Step.PROBE_LESS_WAIT:
                return not above and change > 0
            case _:
                better = seen.rows_per_run_second > before.rows_per_run_second * (1 + LEAST_GAIN)
                return not above and (change > 0 or (change == 0 and better))

    def _lower(self, seen: _Seen, now: float) -> None:
        """Above the objective: the next step that may help."""
        rows, wait = self.choice.rows, self.choice.timeout_seconds
        behind = seen.full > MOSTLY and seen.busy > MOSTLY and rows < self._sizes[-1]
        if wait > 0 and self._may(_Step.LESS_WAIT):
            self._try(_Step.LESS_WAIT, Choice(rows, self._half(wait)), seen, now)
        elif behind and self._may(_Step.CATCH_UP):
            self._try(_Step.CATCH_UP, Choice(self._larger(), wait), seen, now)
        elif rows > self._sizes[0] and self._may(_Step.FEWER_ROWS):
            self._try(_Step.FEWER_ROWS, Choice(self._smaller(seen), wait), seen, now)
        else:
            self.verdict = Verdict.CANNOT

    def _raise(self, seen: _Seen, now: float) -> None:
        """Within it: the next step that may bring throughput."""
        rows, wait = self.choice.rows, self.choice.timeout_seconds
        to_spend = seen.p99_seconds < WELL_BELOW * self.bounds.p99_seconds
        often_full = seen.full > BUSY
        worth_waiting = to_spend and not often_full and seen.busy >= BUSY
        larger = often_full and (to_spend or seen.busy > MOSTLY) and rows < self._sizes[-1]
        if larger and self._may(_Step.MORE_ROWS):
            self._try(_Step.MORE_ROWS, Choice(self._larger(), wait), seen, now)
        elif worth_waiting and wait < self.bounds.longest_wait and self._may(_Step.MORE_WAIT):
            longer = min(self.bounds.longest_wait, wait + self.bounds.p99_seconds / TIMEOUT_STEPS)
            self._try(_Step.MORE_WAIT, Choice(rows, longer), seen, now)
        elif wait > 0 and self._may(_Step.PROBE_LESS_WAIT):
            self._try(_Step.PROBE_LESS_WAIT, Choice(rows, self._half(wait)), seen, now)

    def _half(self, wait: float) -> float:
        return wait / 2 if wait / 2 >= self.bounds.p99_seconds / TIMEOUT_STEPS else 0.0

    def _larger(self) -> int:
        return self._sizes[self._sizes.index(self.choice.rows) + 1]

    def _smaller(self, seen: _Seen) -> int:
        """The next size that makes a difference: below the batches that there are."""
        most = min(float(self.choice.rows), seen.usual_rows)
        return max((size for size in self._sizes if size < most), default=self._sizes[0])

    def _may(self, step: _Step) -> bool:
        return self._windows >= self._not_before.get(step, 0)

    def _put_off(self, step: _Step) -> None:
        pause = self._pauses.get(step, FIRST_PAUSE)
        self._not_before[step] = self._windows + pause
        self._pauses[step] = min(2 * pause, LONGEST_PAUSE)

    def _try(self, step: _Step, choice: Choice, seen: _Seen, now: float) -> None:
        self._trial = _Trial(step, self.choice, seen)
        self._choose(choice, now)

    def _choose(self, choice: Choice, now: float) -> None:
        self.choice = choice
        self._changed_at = now
