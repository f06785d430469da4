"""When to pause a binding's partitions and when to go on.

Two watermarks, because a pause is dear: the client throws away what it had fetched ahead. A binding pauses when its
budget is used up and resumes when it is well below.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from worker.kafka.records import TopicPartition


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """Partitions to pause and partitions to resume now."""

    pause: tuple[TopicPartition, ...]
    resume: tuple[TopicPartition, ...]


def bindings_to_pause(
    fullness: Mapping[str, float], low_watermark: float, paused: AbstractSet[str]
) -> frozenset[str]:
    """The bindings that should be paused, given those that are: full ones, and paused ones not yet well below.

    *fullness* is how much of each binding's budget is used, *low_watermark* what is well below; 1.0 is full.
    """
    return frozenset(
        name for name, full in fullness.items() if full >= (low_watermark if name in paused else 1.0)
    )


def change(
    assigned: Iterable[TopicPartition],
    binding_of: Mapping[str, str],
    *,
    paused_bindings: AbstractSet[str],
    stopped: AbstractSet[TopicPartition],
    paused: AbstractSet[TopicPartition],
) -> Change:
    """What to pause and resume so that exactly the paused bindings' and the stopped partitions stand still.

    Args:
        assigned: the partitions that this worker holds.
        binding_of: request topic to binding name.
        paused_bindings: bindings whose budget is used up.
        stopped: partitions that an operator must see to; they stay paused.
        paused: what is paused at the client now.
    """
    pause, resume = [], []
    for partition in assigned:
        still = partition in stopped or binding_of[partition.topic] in paused_bindings
        if still and partition not in paused:
            pause.append(partition)
        elif not still and partition in paused:
            resume.append(partition)
    return Change(tuple(pause), tuple(resume))
