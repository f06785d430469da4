"""How many batches may be with their callbacks at a time, where that is not as many as there are threads.

The limits that TensorFlow's adaptive and serial-device schedulers move, for the one scheduler that there is here: its
order, priorities, turns and deadlines stay as they are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from batching.errors import InvalidOptions

START = 3
"""As TensorFlow begins: enough to overlap, and not far from what most devices want."""
BATCHES = 100
"""Batches that are looked at together. TensorFlow takes 1,000, which is a minute or more of large ones."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A batch that is done.

    Attributes:
        in_flight: how many were with their callbacks, this one among them.
        enqueued_at: when each of its tasks was queued, by the scheduler's clock.
        ended_at: when its run ended.
        seconds: of its run.
        idle_seconds: of these, how long its thread used no processor: it waited for the device.
    """

    in_flight: int
    enqueued_at: Sequence[float]
    ended_at: float
    seconds: float
    idle_seconds: float


class InFlightLimit(Protocol):
    """Says how many, by what has become of batches. Guarded by the lock of the scheduler that it is given to."""

    @property
    def now(self) -> int:
        """At least 1."""
        ...

    def ran(self, batch: Ran) -> None:
        """Take in that a batch is done."""
        ...


class AdaptiveLimit:
    """Climbs to the limit at which tasks wait least, by their mean time from queue to end.

    A step up or down is a trial over so many batches, of whose tasks only those count that came after it: others have
    waited under another limit. One that made the mean at least 2 % lower is kept, and the next
    goes the same way; one that did not is taken back, the next one goes the other way, and there are ever longer pauses
    between trials, so that the limit comes to rest. After each pause the mean of the present limit is taken anew: loads
    change.

    Args:
        most: the limit is at most so many, and at least 1; give the scheduler as many threads.
        start: at first.
        batches: looked at together, at least 1.

    Raises:
        InvalidOptions: a number is out of its range.
    """

    LEAST_GAIN = 0.02
    FIRST_PAUSE, LONGEST_PAUSE = 1, 64
    STEP = 0.125

    def __init__(self, most: int, start: int = START, batches: int = BATCHES) -> None:
        _check(most, start, batches)
        self._most = most
        self._limit = min(start, most)
        self._batches = batches
        self._seen = 0
        self._waits = 0.0
        self._tasks = 0
        self._since = -math.inf
        self._mean: float | None = None  # of the limit that a trial is compared with
        self._before: int | None = None  # that limit, while there is a trial
        self._up = True
        self._failed = 0
        self._pause = 0  # groups of batches until the next trial

    @property
    def now(self) -> int:
        """The limit, or that of the trial."""
        return self._limit

    def ran(self, batch: Ran) -> None:
        """Take in a batch, and decide where a group of them is complete."""
        waits = [batch.ended_at - at for at in batch.enqueued_at if at >= self._since]
        if not waits:
            return
        self._seen += 1
        self._tasks += len(waits)
        self._waits += sum(waits)
        if self._seen < self._batches:
            return
        mean, limit = self._waits / self._tasks, self._limit
        self._seen, self._tasks, self._waits = 0, 0, 0.0
        self._decide(mean)
        if limit != self._limit:
            self._since = batch.ended_at

    def _decide(self, mean: float) -> None:
        if self._before is not None and self._mean is not None:
            if mean <= self._mean * (1 - self.LEAST_GAIN):
                self._failed = 0
            else:
                self._limit = self._before
                self._up = not self._up
                self._failed += 1
                # Both ways have failed: there is no hurry.
                if self._failed > 1:
                    self._pause = min(self.FIRST_PAUSE << (self._failed - 2), self.LONGEST_PAUSE)
                self._before = None
                return  # the next group tells the mean of this limit again
            self._before = None
        self._mean = mean
        if self._pause:
            self._pause -= 1
            return
        self._try_next()

    def _try_next(self) -> None:
        """Begin a trial one step on; the other way where there is no room."""
        step = max(1, round(self._limit * self.STEP))
        for up in (self._up, not self._up):
            wanted = min(self._most, self._limit + step) if up else max(1, self._limit - step)
            if wanted != self._limit:
                self._up, self._before, self._limit = up, self._limit, wanted
                return


class SerialDeviceLimit:
    """Keeps a device that does one batch at a time in work, with as few in flight as that takes.

    What a batch does on its thread overlaps with the runs of others; what it does on the device does not. So the device
    never stands still as long as about two batches are at it, one that runs and one that is next, and more only wait
    there in the order in which they came, out of reach of priorities. How many are at it is the time in which their
    threads wait, by the time that they run.

    Args:
        most, start, batches: as `AdaptiveLimit`.
        target: how many are to be at the device on average, above 0.

    Raises:
        InvalidOptions: a number is out of its range.
    """

    def __init__(self, most: int, start: int = START, batches: int = BATCHES, target: float = 2.0) -> None:
        _check(most, start, batches)
        if not target > 0:
            raise InvalidOptions(f"target must be more than 0, not {target}")
        self._most = most
        self._target = target
        self._limit = min(start, most)
        self._batches = batches
        self._seen = 0
        self._at_device = 0.0

    @property
    def now(self) -> int:
        """The limit."""
        return self._limit

    def ran(self, batch: Ran) -> None:
        """Take in a batch, and move the limit by one towards the target where a group of them is complete."""
        share = min(1.0, max(0.0, batch.idle_seconds / batch.seconds)) if batch.seconds > 0 else 0.0
        self._seen += 1
        self._at_device += share * batch.in_flight
        if self._seen < self._batches:
            return
        missing = self._target - self._at_device / self._seen
        self._seen, self._at_device = 0, 0.0
        if abs(missing) > 0.5:  # as near as whole batches come
            self._limit = min(self._most, max(1, self._limit + (1 if missing > 0 else -1)))


def _check(most: int, start: int, batches: int) -> None:
    for name, value in (("most", most), ("start", start), ("batches", batches)):
        if value < 1:
            raise InvalidOptions(f"{name} must be at least 1, not {value}")
