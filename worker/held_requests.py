"""Requests that wait for something expected to come: a model that is loading, a reply topic that is being created.

They wait beside the flow, not in it: others of their binding go on, within the share of the budget that one model
may hold.
"""

import dataclasses
from collections.abc import Callable

from worker.kafka.records import TopicPartition
from worker.request_block import Part


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """Requests that wait.

    Attributes:
        part: the requests.
        until: when the wait ends (monotonic).
        retry: tries to let them go on; False: they go on waiting.
        give_up: answers them when the wait has ended.
    """

    part: Part
    until: float
    retry: Callable[[Part], bool]
    give_up: Callable[[Part], None]


class HeldRequests:
    """What is held; owned by the poll thread.

    Args:
        expire: answers requests whose own deadline has passed.
        leave: lets go of requests that are another worker's to answer by now.
        retry_seconds: the pause between two looks.
    """

    def __init__(
        self,
        expire: Callable[[Part], None],
        leave: Callable[[Part], None],
        *,
        retry_seconds: float = 0.05,
    ) -> None:
        self._expire = expire
        self._leave = leave
        self._retry_seconds = retry_seconds
        self._held: list[Held] = []
        self._next = 0.0

    def hold(self, held: Held) -> None:
        """Begin to wait."""
        self._held.append(held)

    def step(self, now: float, now_ms: float) -> None:
        """Let go on what can, answer what has waited too long or is past its own deadline."""
        if not self._held or now < self._next:
            return
        self._next = now + self._retry_seconds
        waiting, self._held = self._held, []
        for held in waiting:
            ours, left = held.part.ours()
            for part in left:
                self._leave(part)
            for each in ours:
                self._look(dataclasses.replace(held, part=each), now, now_ms)

    def _look(self, held: Held, now: float, now_ms: float) -> None:
        live, late = held.part.unexpired(now_ms)
        for part in late:
            self._expire(part)
        for part in live:
            if held.retry(part):
                continue
            if now >= held.until:
                held.give_up(part)
            else:
                self._held.append(dataclasses.replace(held, part=part))

    def models_in(self, partition: TopicPartition) -> set[str]:
        """The models that requests of a partition wait for, or would go to; rarely asked."""
        found: set[str] = set()
        for part in (held.part for held in self._held):
            read_from = part.records.partitions
            if part.records.topic == partition.topic and any(
                read_from[position] == partition.partition for position in part.columns.indices
            ):
                found.add(part.columns.kind.model)
        return found

    @property
    def rows(self) -> int:
        """Rows that wait."""
        return sum(held.part.rows for held in self._held)

    def __len__(self) -> int:
        return len(self._held)
