"""The settings of each policy: grids for those that are tuned, the worker's defaults for the one that is not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from batching.options import DEFAULT_PRIORITY, HIGHEST_PRIORITY, QueueOptions
from benchmarks.policy_arrivals import Arrivals, exact
from benchmarks.policy_batchers import Batcher, PreferredSizes, ScheduledQueues
from benchmarks.policy_device import Cost
from worker import model_queue_options
from worker.settings_serving import BatchingSettings

TENSORFLOW_ENQUEUED_BATCHES = 10
"""TensorFlow Serving's default. What is refused waits outside, so that it does not matter here."""
SIZES = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
TIMEOUT_BATCHES = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)
"""Time-outs, in full batches of the device."""
PREFERRED: Sequence[tuple[int, ...]] = (
    (1024,),
    (512,),
    (256,),
    (128,),
    (64,),
    (64, 128, 256, 512, 1024),
)
DELAY_BATCHES = (0.0, 0.125, 0.25, 0.5, 1.0)
PRIORITIES = (HIGHEST_PRIORITY, DEFAULT_PRIORITY)
"""Of urgent requests and of the others."""


class Setting(Protocol):
    """One choice of a policy's options."""

    @property
    def largest_rows(self) -> int:
        """Rows of its largest batch."""

    def batcher(self, arrivals: Arrivals, devices: int = 1) -> Batcher:
        """A batcher that is set like this, without any requests."""


@dataclass(frozen=True, slots=True)
class FixedSize:
    """TensorFlow's policy: a batch goes when it has so many rows, or its first request has waited for so long."""

    largest_rows: int
    timeout_seconds: float

    def batcher(self, arrivals: Arrivals, devices: int = 1) -> Batcher:
        """See `Setting`."""
        options = QueueOptions(self.largest_rows, self.timeout_seconds, TENSORFLOW_ENQUEUED_BATCHES)
        return ScheduledQueues(arrivals, options, devices=devices, spaced=False)


@dataclass(frozen=True, slots=True)
class IdleDevice:
    """Triton's policy: an idle device gets what waits, after a delay where that is no preferred size."""

    largest_rows: int
    preferred: tuple[int, ...]
    delay_seconds: float

    def batcher(self, arrivals: Arrivals, devices: int = 1) -> Batcher:  # noqa: ARG002 - as many as ask
        """See `Setting`."""
        return PreferredSizes(arrivals, self.largest_rows, self.preferred, self.delay_seconds)


@dataclass(frozen=True, slots=True)
class Own:
    """This project's policy with a worker's settings; the defaults in every scenario.

    Urgent requests have a priority of their own where there are any.
    """

    options: QueueOptions

    @property
    def largest_rows(self) -> int:
        """See `Setting`."""
        return self.options.max_batch_rows

    def batcher(self, arrivals: Arrivals, devices: int = 1) -> Batcher:
        """See `Setting`."""
        priorities = () if arrivals.levels is None else PRIORITIES
        return ScheduledQueues(arrivals, self.options, priorities, devices)


def own() -> Own:
    """With every setting of `batching` as it is by default."""
    return Own(model_queue_options.combine(BatchingSettings(), None).queue)


def fixed_sizes(cost: Cost, most_rows: int) -> list[Setting]:
    """TensorFlow's grid: sizes up to what the device takes, and time-outs."""
    full_seconds = cost.seconds(most_rows)
    return [
        FixedSize(size, exact(share * full_seconds))
        for size in SIZES
        if size <= most_rows
        for share in TIMEOUT_BATCHES
    ]


def idle_devices(cost: Cost, most_rows: int) -> list[Setting]:
    """Triton's grid: preferred sizes, and delays."""
    full_seconds = cost.seconds(most_rows)
    return [
        IdleDevice(most_rows, preferred, exact(share * full_seconds))
        for preferred in PREFERRED
        if preferred[-1] <= most_rows
        for share in DELAY_BATCHES
    ]
