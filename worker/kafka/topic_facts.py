"""What is known of topics, what one is to be like, and how far a group is behind in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.kafka import errors


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """What the cluster's metadata say of a topic.

    Attributes:
        name: the topic.
        partitions: how many it has; 0 with a problem.
        replication: replicas of its first partition.
        problem: why nothing is known of it (no right to see it, no leader).
        rights: what this user may do with it, by Kafka's names (READ, WRITE, DESCRIBE_CONFIGS); None: not known.
        id: what tells it from another one that is made later under its name; None: not known.
    """

    name: str
    partitions: int
    replication: int
    problem: errors.KafkaProblem | None = None
    rights: frozenset[str] | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to create.

    Attributes:
        name: the topic.
        partitions: how many; -1 leaves it to the broker.
        replication: replicas of each partition; -1 leaves it to the broker.
        config: what differs from the broker's defaults, by the broker's names.
    """

    name: str
    partitions: int = -1
    replication: int = -1
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group is behind in one partition.

    Attributes:
        committed: the group's offset; None before its first commit.
        end: the offset of the next record to be written.
    """

    committed: int | None
    end: int

    @property
    def records(self) -> int | None:
        """Records between the two, deleted ones counted; None before the first commit."""
        return None if self.committed is None else max(0, self.end - self.committed)
