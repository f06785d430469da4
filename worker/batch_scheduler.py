"""The scheduler of requests' batches, as the settings say it: its threads, and how many batches run at a time."""

from collections.abc import Callable

from batching.in_flight import AdaptiveLimit, InFlightLimit, SerialDeviceLimit
from batching.shared_scheduler import SharedScheduler
from worker.metrics_observers import BatchMetrics
from worker.metrics_queues import QueueMetrics
from worker.queue_depths import depths
from worker.settings_serving import BatchingSettings


def limit_of(own: BatchingSettings) -> InFlightLimit | None:
    """What says how many of the threads may be with a batch at a time; None: all."""
    if own.scheduler == "adaptive":
        return AdaptiveLimit(own.threads)
    if own.scheduler == "serial_device":
        return SerialDeviceLimit(own.threads)
    return None


def batch_scheduler(
    own: BatchingSettings, metrics: QueueMetrics, clock: Callable[[], float]
) -> SharedScheduler:
    """A running scheduler that *metrics* watches; whoever asks for it closes it."""
    limit = limit_of(own)
    scheduler = SharedScheduler(
        own.threads,
        clock=clock,
        observer=BatchMetrics(metrics),
        name="batch",
        overlap_seconds=own.overlap_seconds,
        stuck_seconds=own.stuck_seconds,
        in_flight=limit,
    )
    metrics.watch(lambda: depths(scheduler.statistics()))
    metrics.watch_limit((lambda: max(1, own.threads)) if limit is None else (lambda: limit.now))
    return scheduler
