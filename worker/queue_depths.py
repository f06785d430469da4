"""How much waits in the batch queues, by model, version and signature: what the scheduler's snapshot says, summed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from batching.queue_statistics import SchedulerStatistics


class QueueName(NamedTuple):
    """What the queues of one signature of one version have in common; they differ in layout, outputs and options."""

    model: str
    version: str
    signature: str

    @classmethod
    def of(cls, queue_name: str) -> "QueueName":
        """From the name of a queue, as `worker.batch_queues` makes it: `model/version:signature`."""
        model, _, rest = queue_name.partition("/")
        version, _, signature = rest.partition(":")
        return cls(model, version, signature)


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits at one moment.

    Attributes:
        tasks: blocks of requests; one that was cut counts once for each of its parts.
        rows: of all of them.
        oldest_seconds: how long the oldest has waited; 0 where none does.
    """

    tasks: int = 0
    rows: int = 0
    oldest_seconds: float = 0.0


NOTHING = Depth()


def depths(statistics: SchedulerStatistics) -> Mapping[QueueName, Depth]:
    """What waits in the queues of each signature, the empty ones too."""
    found: dict[QueueName, Depth] = {}
    for queue in statistics.queues:
        name = QueueName.of(queue.name)
        before = found.get(name, NOTHING)
        found[name] = Depth(
            before.tasks + queue.enqueued_tasks,
            before.rows + queue.enqueued_rows,
            max(before.oldest_seconds, queue.oldest_seconds),
        )
    return found
