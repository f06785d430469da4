"""The control topic: read whole, then followed.

It is the truth about the desired models, so it is not believed before its configuration has been checked: one
partition (or the order of records would not be one), compacted and never deleted (or a late reader would miss
models). Nothing here relies on a topic's being created by itself.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from worker.kafka.consumer import Consumer, ConsumerEvents
from worker.kafka.errors import KafkaProblem, OffsetOutOfRange, TopicMissing
from worker.kafka.records import OFFSET_BEGINNING, Message, TopicPartition
from worker.kafka.topic_facts import TopicInfo
from worker.kafka.topic_rights import TopicFinder, require

LEAST_MESSAGE_BYTES = 262_144
"""A config with its ten predecessors has room in this; Kafka's default is four times as much."""

_POLL_RECORDS = 1000
_ASK_SECONDS = 5.0
_ASK_ID_SECONDS = 10.0


class ControlTopicError(Exception):
    """The control topic cannot be used as it is. The message says why and which command helps."""


class ControlTopicMissing(ControlTopicError):
    """There is no such topic; it is worth waiting for."""


class ControlTopicMisconfigured(ControlTopicError):
    """The topic exists and must not be believed."""


class TopicFacts(TopicFinder, Protocol):
    """Asks the broker about topics; `worker.kafka.admin.Admin` does."""

    def topic_config(self, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """The configuration of these topics. Raises KafkaProblem."""
        ...

    def topic_ids(self, names: Sequence[str]) -> Mapping[str, str | KafkaProblem]:
        """What tells each from another one of its name, or why that is not known. Raises KafkaProblem."""
        ...


@dataclass(frozen=True, slots=True)
class ControlRecord:
    """One record as it came. `timestamp_ms` is the broker's or the writer's, as the topic is set; 0: none."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


def configuration_problems(partitions: int, config: Mapping[str, str]) -> tuple[str, ...]:
    """What is wrong with a control topic, one clause each; empty when it may be believed."""
    problems = []
    if partitions != 1:
        problems.append(f"it has {partitions} partitions instead of 1")
    policies = {policy.strip() for policy in config.get("cleanup.policy", "delete").split(",")}
    if policies != {"compact"}:
        problems.append(f"cleanup.policy is {config.get('cleanup.policy', 'delete')!r} instead of 'compact'")
    if (size := int(config.get("max.message.bytes", LEAST_MESSAGE_BYTES))) < LEAST_MESSAGE_BYTES:
        problems.append(f"max.message.bytes is {size} instead of at least {LEAST_MESSAGE_BYTES}")
    return tuple(problems)


def check_control_topic(facts: TopicFacts, topic: str, *rights: str) -> TopicInfo:
    """Make sure that the topic exists and may be believed, and that this user has these rights on it; what it is.

    Raises:
        NotAuthorized: a right is missing.
        ControlTopicMissing: there is no such topic.
        ControlTopicMisconfigured: the message names each wrong setting.
        KafkaProblem: the broker could not be asked.
    """
    info = require(facts, topic, *rights, "DESCRIBE_CONFIGS")
    if info is None:
        raise ControlTopicMissing(
            f"the control topic {topic!r} does not exist; make it with: headrace topics create"
        )
    problems = configuration_problems(info.partitions, facts.topic_config([topic])[topic])
    if problems:
        raise ControlTopicMisconfigured(
            f"the control topic {topic!r} cannot be trusted: {'; '.join(problems)}; delete it and make "
            "it anew with `headrace topics create` (models must then be set again), or name another with "
            "the setting topics.control"
        )
    return info


class ControlTopic:
    """Reads one control topic; owned by one thread, and its consumer's events.

    `open` it first, and again after an error: it then goes on where it was.

    Attributes:
        position: the offset after the last record that was given out.
        caught_up: whether everything that was there when it was first opened has been given out.
        problem: what the consumer has reported since the last record came; None when all is well.
    """

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        topic: str,
        new_consumer: Callable[[ConsumerEvents], Consumer],
        facts: TopicFacts | None,
        *,
        timeout_seconds: float = 5.0,
        quiet_seconds: float = 10.0,
        more_rights: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read *topic* through a consumer of its own; without *facts* its configuration is not checked.

        *more_rights* are those that the caller needs on it besides READ: their absence is told when it is opened.
        """
        self._more_rights = tuple(more_rights)
        self._partition = TopicPartition(topic, 0)
        self._new_consumer = new_consumer
        self._facts = facts
        self._timeout_seconds = timeout_seconds
        self._quiet_seconds = quiet_seconds
        self._clock = clock
        self._consumer: Consumer | None = None
        self._end: int | None = None
        self._last_arrival = 0.0
        self._ask_at = 0.0
        self._id: str | None = None
        self._ask_id_at = 0.0
        self.position = 0
        self.caught_up = False
        self.problem: KafkaProblem | None = None

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._partition.topic

    def open(self) -> None:
        """Check the topic's configuration and begin at its first record, or where reading had come to.

        Raises:
            ControlTopicError: it is missing or misconfigured.
            KafkaProblem: the broker could not be asked.
        """
        self.close()
        if self._facts is not None:
            info = check_control_topic(self._facts, self.topic, "READ", *self._more_rights)
            before, self._id = self._id, info.id
            if before not in {None, self._id}:
                self.position = 0  # another topic: all of it is news, also where it ends as the old one did
        consumer = self._consumer = self._new_consumer(self)
        low, high = consumer.watermarks(self._partition, self._timeout_seconds)
        if not low <= self.position <= high:
            self.position = low  # also after the topic was made anew: then all of it is news
        if self._end is None:
            self._end = high
        self._last_arrival = self._clock()
        self._ask_id_at = self._clock() + _ASK_ID_SECONDS
        self.problem = None
        consumer.assign({self._partition: self.position})
        self._look_whether_caught_up(consumer)

    def poll(self, timeout_seconds: float) -> Sequence[ControlRecord]:
        """The next records, in order; waits at most *timeout_seconds* when there is none. Requires: open.

        Raises:
            KafkaProblem: reading cannot go on; `open` again.
        """
        assert self._consumer is not None
        messages = self._consumer.poll(_POLL_RECORDS, timeout_seconds)
        if messages:
            self._last_arrival = self._clock()
            self.problem = None
            self.position = messages[-1].offset() + 1
        elif self.problem is None:
            self._ask_whether_it_is_the_same()
        elif isinstance(self.problem, TopicMissing):
            raise self.problem
        elif self._clock() >= self._ask_at:
            self._ask_whether_it_has_passed(self._consumer)
        self._look_whether_caught_up(self._consumer)
        return [ControlRecord(m.offset(), m.key(), m.value(), _milliseconds(m)) for m in messages]

    def close(self) -> None:
        """Give the consumer back; `open` makes a new one."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def on_problem(self, problem: KafkaProblem) -> None:
        """For the consumer: keep what is wrong, for whoever logs it."""
        if self.problem is None:
            self._ask_at = self._clock() + _ASK_SECONDS
        self.problem = problem

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """For the consumer: the topic was made anew, or lost its beginning; all that is there is news."""
        assert self._consumer is not None
        self.problem = OffsetOutOfRange(f"the control topic has no offset {offset} any more; reading it anew")
        self.position = 0
        self._consumer.seek(partition, OFFSET_BEGINNING)

    def _ask_whether_it_has_passed(self, consumer: Consumer) -> None:
        """A consumer that reads on says nothing, and no record may come for days."""
        self._ask_at = self._clock() + _ASK_SECONDS
        try:
            consumer.watermarks(self._partition, _ASK_SECONDS / 5)
        except KafkaProblem as problem:
            self.problem = problem
        else:
            self.problem = None
            self._last_arrival = self._clock()

    def _ask_whether_it_is_the_same(self) -> None:
        """In a topic that was deleted and made again the client goes on at the old place, and says nothing."""
        if self._facts is None or self._clock() < self._ask_id_at:
            return
        self._ask_id_at = self._clock() + _ASK_ID_SECONDS
        found = self._facts.topic_ids([self.topic])[self.topic]
        if isinstance(found, KafkaProblem):
            raise found
        if found != self._id:
            raise TopicMissing(
                f"the control topic {self.topic!r} was made again; reading it from its beginning",
                resource=self.topic,
            )

    def _look_whether_caught_up(self, consumer: Consumer) -> None:
        if self.caught_up or self._end is None:
            return
        if self.position >= self._end:
            self.caught_up = True
        elif self.problem is None and self._clock() - self._last_arrival >= self._quiet_seconds:
            # Compaction may have removed the last offsets before the end, so that no record will ever carry
            # them. Silence alone may also mean a broker that is away: only one that answers is believed.
            consumer.watermarks(self._partition, self._timeout_seconds)
            self.caught_up = True


def _milliseconds(message: Message) -> int:
    kind, milliseconds = message.timestamp()
    return milliseconds if kind else 0
