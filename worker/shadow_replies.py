"""What comes of requests that a shadow was given: counted, and written to the shadow's topic where it has one.

Beside everything that is promised of replies: by producers of its own, outside of transactions, and what fails is
counted and given up. Nobody waits for it, and it is settled nowhere.
"""

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from schemas import reply_columns
from schemas.errors import Code
from worker.delivery import Answer, Origin
from worker.kafka import errors as kafka_errors
from worker.kafka.records import Message
from worker.kafka.rights import SOMEBODY, on_topic
from worker.log import Occasionally
from worker.metrics_shadow import ShadowMetrics
from worker.model_table import ModelTable
from worker.producer_pool import MakeProducer, ProducerPool
from worker.reply_routes import ANY_PARTITION
from worker.reply_sizes import RECORD_OVERHEAD_BYTES, header_bytes, key_bytes
from worker.request_block import Part
from worker.shadow_room import REQUEST_BYTES, ShadowRoom
from worker.topic_directory import TopicDirectory

log = logging.getLogger(__name__)

AGAIN_AFTER_SECONDS = 30.0
"""Producers that are of no use any more are made anew after so long."""


class ShadowReplies:
    """A `worker.delivery.Replies`; `prepare`, `serve` and `close` belong to the poll thread.

    Args:
        table: says which topic a model's shadow has.
        directory: which topics there are, and what they take.
        make: makes a producer.
        size_bytes: of replies that the broker has not acknowledged; more are given up.
        user: whom the broker takes the producers for.
    """

    def __init__(  # noqa: PLR0913 - its seams, each by its name
        self,
        table: ModelTable,
        directory: TopicDirectory,
        make: MakeProducer,
        metrics: ShadowMetrics,
        *,
        size_bytes: int,
        user: str = SOMEBODY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._directory = directory
        self._make = make
        self._metrics = metrics
        self._size_bytes = size_bytes
        self._user = user
        self._clock = clock
        self._occasionally = Occasionally(log, seconds=60.0, clock=clock)
        # Together, as what is acknowledged by earlier producers is no room of the later ones.
        self._way: tuple[ProducerPool, ShadowRoom] | None = None
        self._next_try = -AGAIN_AFTER_SECONDS

    def prepare(self, topic: str) -> None:
        """Be ready to write to a topic."""
        self._directory.watch((topic,))
        if self._way is not None or self._clock() < self._next_try:
            return
        self._next_try = self._clock() + AGAIN_AFTER_SECONDS
        try:
            batch_bytes = self._directory.max_message_bytes(topic)
            pool = ProducerPool(self._make, self._directory, batch_bytes=batch_bytes, clock=self._clock)
        except kafka_errors.KafkaProblem as problem:
            self._say(topic, problem)
        else:
            self._way = pool, ShadowRoom(self._size_bytes)

    def batch(self, answered: Iterable[tuple[Origin, list[bytes]]], answer: Answer) -> None:
        """Count replies, and write them where the shadow has a topic."""
        for origin, payloads in answered:
            self._reply(origin, payloads, answer)

    def refusal(self, part: Part, message: str, answer: Answer) -> None:
        """The same with one error for each request; one whose deadline has passed was not the shadow's to answer."""
        if answer.code is Code.DEADLINE_EXCEEDED:
            self._metrics.dropped(answer.model, "expired", len(part))
            return
        payloads = reply_columns.encode_errors(
            answer.model, answer.version, answer.code, message, part.columns.ids
        )
        self._reply(Origin.of_part(part), payloads, answer)

    def leave(self, part: Part) -> None:
        """Count requests that are another worker's now, and its shadow's."""
        self._metrics.dropped(part.columns.kind.model, "left", len(part))

    def serve(self) -> None:
        """Take the reports of what was written and what was not."""
        if self._way is None:
            return
        pool, _ = self._way
        try:
            pool.serve(0.0)
        except kafka_errors.KafkaProblem as problem:
            self._say("", problem)
            self._next_try = self._clock() + AGAIN_AFTER_SECONDS
            self.close()

    def close(self) -> None:
        """Let go of the producers; what they still hold is given up."""
        if self._way is not None:
            (pool, _), self._way = self._way, None
            pool.close()

    def _reply(self, origin: Origin, payloads: list[bytes], answer: Answer) -> None:
        self._metrics.answered(answer.model, answer.version, answer.code.name, len(payloads))
        desired = self._table.lookup(answer.model)
        if desired is None or desired.shadow is None or desired.shadow.topic is None:
            return
        self._write(desired.shadow.topic, origin, payloads, answer.model)

    def _write(self, topic: str, origin: Origin, payloads: list[bytes], model: str) -> None:
        known, way = self._directory.find(topic), self._way
        if known is None or way is None:
            self._failed(
                model, topic, kafka_errors.TopicMissing.__name__ if way else "NoProducer", len(payloads)
            )
            return
        pool, room = way
        records, positions = origin.records, origin.positions
        limit = known.max_message_bytes - RECORD_OVERHEAD_BYTES
        values, keys, headers, size_bytes = [], [], [], 0
        for position, payload in zip(positions, payloads, strict=True):
            key = None if records.keys is None else records.keys[position]
            carried = None if records.routes is None else records.routes.headers[position]
            if len(payload) + key_bytes(key) + header_bytes(carried) > limit:
                self._failed(model, topic, kafka_errors.MessageTooLarge.__name__, 1)
                continue
            values.append(payload)
            keys.append(key)
            headers.append(carried)
            size_bytes += len(payload) + REQUEST_BYTES
        if not values:
            return
        if not room.take(size_bytes):
            self._failed(model, topic, kafka_errors.QueueFull.__name__, len(values))
            return
        report = partial(self._reported, model, room)
        producer = pool.for_replies(topic, len(values))
        sent = producer.send(topic, values, keys, headers if any(headers) else None, ANY_PARTITION, report)
        if sent < len(values):
            room.give_back(sum(len(value) + REQUEST_BYTES for value in values[sent:]))
            self._failed(model, topic, kafka_errors.QueueFull.__name__, len(values) - sent)

    def _reported(self, model: str, room: ShadowRoom, error: Any, message: Message) -> None:
        """The client's report of one reply."""
        room.give_back(len(message.value() or b"") + REQUEST_BYTES)
        if error is None:
            return
        topic = message.topic()
        wants = [on_topic("WRITE", topic)]
        problem = kafka_errors.translate(error, topic=topic, wants=wants, user=self._user)
        self._metrics.reply_failed(model, type(problem).__name__, 1)
        self._say(topic, problem)

    def _failed(self, model: str, topic: str, reason: str, count: int) -> None:
        self._metrics.reply_failed(model, reason, count)
        self._say(topic, reason)

    def _say(self, topic: str, problem: object) -> None:
        self._occasionally.warning(
            "replies of a shadow are not written; requests do not notice",
            key=topic,
            topic=topic,
            problem=str(problem),
        )
