"""Reads what came of requests, reply and dead-letter topics whole, and accounts for every one of them."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import confluent_kafka
import numpy as np
import numpy.typing as npt

from schemas import dead_letter
from schemas.codec import Codec, default_codec
from schemas.predict_reply import PredictReply
from tests.kit.waiting import PATIENCE_SECONDS
from worker.kafka import client_config, leaders
from worker.kafka.client_config import Connection
from worker.kafka.records import Headers, Message


def read_topic(where: Connection, topic: str, partitions: int) -> list[Message]:
    """Every record that is on a topic now, partition by partition.

    Raises:
        AssertionError: it could not be read in time.
    """
    # The last offsets may have no record: compacted away, or the mark of a transaction. The client tells their end.
    config = {**client_config.reader_config(where), "enable.partition.eof": True, "log_level": 0}
    consumer: Any = confluent_kafka.Consumer(config)
    problems: list[str] = []
    try:
        places = [confluent_kafka.TopicPartition(topic, number) for number in range(partitions)]
        bounds = [leaders.watermarks(consumer, place, PATIENCE_SECONDS) for place in places]
        left = {number for number, (low, high) in enumerate(bounds) if low < high}
        consumer.assign([confluent_kafka.TopicPartition(topic, number, bounds[number][0]) for number in left])
        found: list[Message] = []
        end = time.monotonic() + PATIENCE_SECONDS
        while left:
            assert time.monotonic() < end, f"{topic} could not be read: {problems}"
            for message in consumer.consume(10_000, 0.05):
                error, number, offset = message.error(), message.partition(), message.offset()
                if error is None:
                    if offset < bounds[number][1]:
                        found.append(message)
                    offset += 1
                elif error.code() != confluent_kafka.KafkaError._PARTITION_EOF:
                    problems.append(str(error))
                    continue
                if offset >= bounds[number][1]:
                    left.discard(number)
    finally:
        consumer.close()
    found.sort(key=lambda message: (message.partition(), message.offset()))
    times = Counter((message.partition(), message.offset()) for message in found)
    twice = [place for place, count in times.items() if count > 1]
    assert not twice, f"{topic}: the client returned {len(twice)} records twice, the first at {min(twice)}"
    return found


@dataclass(frozen=True)
class Reply:
    """One record of a reply topic.

    Attributes:
        value: the reply itself.
        partition: where it lies.
        offset: where it lies there.
        timestamp_ms: when its record was made, by the worker's clock.
        key: the record's key, which is the request's.
        headers: the record's headers.
    """

    value: PredictReply
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    headers: Headers

    @property
    def code(self) -> int:
        """0, or the code of the error."""
        return 0 if self.value.error is None else self.value.error.code

    @property
    def message(self) -> str:
        """The error's sentence; empty without one."""
        return "" if self.value.error is None else self.value.error.message

    @cached_property
    def outputs(self) -> Mapping[str, npt.NDArray[Any]]:
        """The outputs as arrays."""
        return {tensor.name: tensor.to_numpy() for tensor in self.value.outputs}


@dataclass(frozen=True)
class DeadLetter:
    """One record of a dead-letter topic.

    Attributes:
        value: the original's bytes.
        key: the original's key.
        headers: the original's headers, then those that were added.
    """

    value: bytes | None
    key: bytes | None
    headers: Headers

    def header(self, name: str) -> bytes | None:
        """The last header of that name."""
        return dict(self.headers).get(name)

    @property
    def reason(self) -> str:
        """The sentence that says why."""
        return (self.header(dead_letter.EXCEPTION_MESSAGE) or b"").decode()

    @property
    def kind(self) -> str:
        """The error's name, without its module."""
        return (self.header(dead_letter.EXCEPTION_FQCN) or b"").decode().rpartition(".")[2]

    @property
    def original(self) -> tuple[str, int, int]:
        """Topic, partition and offset of the original."""
        topic = (self.header(dead_letter.ORIGINAL_TOPIC) or b"").decode()
        partition = int.from_bytes(self.header(dead_letter.ORIGINAL_PARTITION) or b"", "big", signed=True)
        return topic, partition, int.from_bytes(self.header(dead_letter.ORIGINAL_OFFSET) or b"", "big")

    @property
    def original_headers(self) -> Headers:
        """The headers that the original had."""
        return list(dead_letter.split(self.headers)[0])


@dataclass(frozen=True)
class Account:
    """What came of requests: the replies by request id, in the order of each partition, and the dead letters."""

    replies: Mapping[str, Sequence[Reply]] = field(default_factory=dict)
    dead_letters: Sequence[DeadLetter] = ()

    def the_reply(self, request_id: str) -> Reply:
        """The reply to a request that has exactly one.

        Raises:
            AssertionError: it has none, or several.
        """
        found = self.replies.get(request_id, ())
        assert len(found) == 1, f"request {request_id!r} has {len(found)} replies: {found}"
        return found[0]

    def missing(self, request_ids: Iterable[str]) -> list[str]:
        """The requests without a reply."""
        return [each for each in request_ids if each not in self.replies]

    def repeated(self) -> dict[str, int]:
        """The requests with several replies, and how many those are."""
        return {each: len(found) for each, found in self.replies.items() if len(found) > 1}

    def strangers(self, request_ids: Iterable[str]) -> list[str]:
        """The ids in replies that no request had."""
        return sorted(self.replies.keys() - set(request_ids))

    def all_replies(self) -> Iterable[Reply]:
        """Every reply."""
        return (reply for found in self.replies.values() for reply in found)

    def codes(self) -> Counter[int]:
        """How many replies have each code."""
        return Counter(reply.code for reply in self.all_replies())

    def versions(self) -> Counter[int | None]:
        """How many replies name each version."""
        return Counter(reply.value.version for reply in self.all_replies())

    def errors(self) -> Counter[str]:
        """How many replies say each error."""
        return Counter(f"{reply.code}: {reply.message}" for reply in self.all_replies() if reply.code)


def account(
    replies: Iterable[Message], dead_letters: Iterable[Message] = (), codec: Codec | None = None
) -> Account:
    """Sort replies by the request that they answer; *codec* reads them, by default this release's."""
    reader = codec or default_codec()
    by_id: dict[str, list[Reply]] = {}
    for message in replies:
        value = reader.decode(message.value() or b"", PredictReply)
        reply = Reply(
            value,
            message.partition(),
            message.offset(),
            message.timestamp()[1],
            message.key(),
            list(message.headers() or ()),
        )
        by_id.setdefault(value.id, []).append(reply)
    letters = [DeadLetter(m.value(), m.key(), list(m.headers() or ())) for m in dead_letters]
    return Account(by_id, letters)


def difference(found: Mapping[str, npt.NDArray[Any]], wanted: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """How outputs differ from what they should be; None when they are right.

    Integers and strings must be equal, floats within rtol 1e-5 and atol 1e-6 (the promise of the issue).
    """
    if found.keys() != wanted.keys():
        return f"outputs {sorted(found)} instead of {sorted(wanted)}"
    for name, right in wanted.items():
        array = found[name]
        if array.shape != right.shape or array.dtype != right.dtype:
            return f"{name}: {array.dtype}{array.shape} instead of {right.dtype}{right.shape}"
        same = (
            np.allclose(array, right, rtol=1e-5, atol=1e-6)
            if right.dtype.kind == "f"
            else np.array_equal(array, right)
        )
        if not same:
            return f"{name}: other values"
    return None
