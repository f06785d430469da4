"""Replies and dead letters on their way out.

Batch threads encode and hand over; the poll thread serves the client's reports. Nothing is settled before the broker
has acknowledged it (promise 1). What the broker refuses is `worker.refusals`' business.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from operator import itemgetter

from schemas import dead_letter, reply_columns
from schemas import headers as names
from worker import reply_sizes
from worker.delivery import Answer, Delivery, Failure, Origin, Sent
from worker.kafka.producer import OnDelivery, Producer
from worker.kafka.records import Headers
from worker.polled_records import PolledRecords
from worker.producer_pool import ProducerPool
from worker.reply_routing import ANY_PARTITION, ReplyRoute
from worker.request_block import Part
from worker.topic_directory import TopicDirectory

Columns = tuple[Sequence[bytes | None], Sequence[bytes | None] | None, Sequence[Headers | None] | None]

COORDINATES_BYTES = 512  # a topic's name has 249 characters at most
ROOM_WAIT_SECONDS = 0.02

_place_of: Callable[[ReplyRoute], tuple[str, int]] = itemgetter(0, 1)
_headers_of: Callable[[ReplyRoute], Headers | None] = itemgetter(2)


class PublisherClosedError(Exception):
    """The worker ends and takes no more replies; what was not handed over is not committed."""


class Publisher:
    """Hands replies and dead letters to the producers.

    `replies`, `refusal` and `dead_letters` may be called from any thread; `serve` by the poll thread only.

    Args:
        producers: the pool.
        directory: how large a record each topic takes.
        topics: each binding's own reply topic, by binding name.
        dead_letter_topics: the dead-letter topic of each request topic.
        group: the consumer group, named in dead letters.
        on_settled: told, on the poll thread, when every record of a delivery has been acknowledged.
        on_failure: told, on the poll thread, of each record that the broker did not take.
    """

    def __init__(  # noqa: PLR0913 - the seams of one object; each is a plain value or a callable
        self,
        producers: ProducerPool,
        directory: TopicDirectory,
        *,
        topics: dict[str, str],
        dead_letter_topics: dict[str, str],
        group: str,
        on_settled: Callable[[Delivery], None],
        on_failure: Callable[[Failure], None],
        coordinates: bool = False,
    ) -> None:
        self._producers = producers
        self._directory = directory
        self._topics = topics
        self._dead_letter_topics = dead_letter_topics
        self._group = group
        self._on_settled = on_settled
        self._on_failure = on_failure
        self._coordinates = coordinates
        self._poll_thread = threading.get_ident()
        self._room = threading.Condition()
        # The poll thread must not wait; what it could not hand over is no more than the budget lets it read.
        self._backlog: deque[tuple[Producer, tuple[str, int], Columns, OnDelivery | Sequence[OnDelivery]]] = (
            deque()
        )
        self._closed = False

    def replies(self, origin: Origin, payloads: list[bytes], answer: Answer) -> None:
        """Send one reply for each request of an origin, in its order.

        Raises:
            PublisherClosedError: the worker ends.
        """
        delivery = self._delivery(origin, answer=answer)
        records, positions = origin.records, origin.positions
        keys = None if records.keys is None else [records.keys[i] for i in positions]
        if records.routes is None and not self._coordinates:
            topic = self._topics[records.binding]
            self._send_fitting(delivery, (topic, ANY_PARTITION), (payloads, keys, None), delivery.report)
            return
        routes = self._routes(records, positions)
        reports = self._reports(delivery, routes, positions)
        of_routes = list(map(_headers_of, routes))
        headers = of_routes if any(of_routes) else None
        places = list(map(_place_of, routes))
        if places.count(places[0]) == len(places):
            self._send_fitting(delivery, places[0], (payloads, keys, headers), reports)
            return
        groups: dict[tuple[str, int], list[int]] = defaultdict(list)
        for n, place in enumerate(places):
            groups[place].append(n)
        for place, members in groups.items():
            columns = (
                [payloads[n] for n in members],
                keys and [keys[n] for n in members],
                headers and [headers[n] for n in members],
            )
            self._send_fitting(delivery, place, columns, [reports[n] for n in members])

    def refusal(self, part: Part, message: str, answer: Answer) -> None:
        """Answer every request of a part with one error."""
        kind = part.columns.kind
        payloads = reply_columns.encode_errors(
            kind.model, answer.version, answer.code, message, part.columns.ids
        )
        self.replies(Origin.of_part(part), payloads, answer)

    def dead_letter(self, origin: Origin, error: Exception) -> None:
        """Send records that cannot be answered to their dead-letter topic, with the reason and their own bytes."""
        delivery = self._delivery(origin, reason=type(error).__name__)
        records, topic = origin.records, self._dead_letter_topics[origin.records.topic]
        for position in origin.positions:
            original = records.messages[position]
            kind, timestamp_ms = original.timestamp()
            coordinates = names.Coordinates(records.topic, original.partition(), original.offset())
            source = dead_letter.Origin(coordinates, timestamp_ms, kind, self._group)
            headers = [*(original.headers() or ()), *dead_letter.dead_letter_headers(source, error)]
            columns = ([records.values[position]], [original.key()], [headers])
            report = Sent(delivery, headers, position).report
            self._send(self._producers.for_topic(topic), (topic, ANY_PARTITION), columns, [report])

    def send_again(self, failure: Failure, *, alone: bool, value: bytes | None = None) -> None:
        """Send a record that was not taken once more (or *value* in its place); poll thread only."""
        message = failure.message
        topic = message.topic()
        producer = self._producers.alone() if alone else self._producers.for_topic(topic)
        before = failure.sent or Sent(failure.delivery, None, -1)
        sent = Sent(failure.delivery, before.headers, before.position, before.partition, alone=alone)
        columns = ([message.value() if value is None else value], [message.key()], [before.headers])
        self._send(producer, (topic, before.partition), columns, [sent.report])

    def serve(self, timeout_seconds: float = 0.0) -> int:
        """Take the client's reports of what was delivered and what was not; poll thread only."""
        served = 0
        for n, producer in enumerate(self._producers):
            served += producer.poll(timeout_seconds if n == 0 else 0.0)
        if served:
            with self._room:
                self._room.notify_all()
        waiting, self._backlog = self._backlog, deque()
        while waiting and not self._backlog:
            self._send(*waiting.popleft())
        self._backlog += waiting
        return served

    @property
    def backlogged(self) -> bool:
        """Whether the poll thread has records to send that the producers have no room for."""
        return bool(self._backlog)

    def outstanding(self) -> int:
        """Records handed over whose report has not been served."""
        return len(self._producers) + sum(len(columns[0]) for _, _, columns, _ in self._backlog)

    def close(self) -> None:
        """Take nothing more; threads that wait for room give up."""
        self._closed = True
        with self._room:
            self._room.notify_all()

    def close_producers(self) -> None:
        """Let go of the clients; what they still hold is given up, uncommitted."""
        for producer in self._producers:
            producer.close()

    def _delivery(
        self, origin: Origin, *, answer: Answer | None = None, reason: str | None = None
    ) -> Delivery:
        return Delivery(
            origin,
            answer=answer,
            reason=reason,
            on_settled=self._on_settled,
            on_failure=self._on_failure,
        )

    def _routes(self, records: PolledRecords, positions: Sequence[int]) -> list[ReplyRoute]:
        """The route of each reply, coordinates included where they are wanted."""
        own = ReplyRoute(self._topics[records.binding], ANY_PARTITION, None)
        if records.routes is None:
            routes = [own] * len(positions)
        else:
            routes = [route or own for route in map(records.routes.__getitem__, positions)]
        if not self._coordinates:
            return routes
        return [
            route._replace(headers=[*(route.headers or ()), _coordinates(records, position)])
            for route, position in zip(routes, positions, strict=True)
        ]

    def _reports(
        self, delivery: Delivery, routes: Sequence[ReplyRoute], positions: Sequence[int]
    ) -> list[OnDelivery]:
        """Where the client reports each reply: what another try needs is found again by position, or kept."""
        if not self._coordinates:
            return list(map(partial, repeat(delivery.report_at), positions))
        return [
            Sent(delivery, route.headers, position, route.partition).report
            for route, position in zip(routes, positions, strict=True)
        ]

    def _send_fitting(
        self,
        delivery: Delivery,
        place: tuple[str, int],
        columns: reply_sizes.ReplyColumns,
        reports: OnDelivery | list[OnDelivery],
    ) -> None:
        """Send replies, with an error in place of each that its topic cannot take."""
        payloads, keys, headers = columns
        limit = self._directory.max_message_bytes(place[0]) - reply_sizes.RECORD_OVERHEAD_BYTES
        beside = max(map(reply_sizes.key_bytes, keys)) if keys else 0
        if headers:
            beside += delivery.origin.records.header_bytes + COORDINATES_BYTES
        if max(map(len, payloads)) > limit - beside:
            fitting = reply_sizes.fitting(place[0], limit, columns)
            delivery.too_large += sum(a is not b for a, b in zip(payloads, fitting, strict=True))
            payloads = fitting
        self._send(self._producers.for_topic(place[0]), place, (payloads, keys, headers), reports)

    def _send(
        self,
        producer: Producer,
        place: tuple[str, int],
        columns: Columns,
        on_delivery: OnDelivery | Sequence[OnDelivery],
    ) -> None:
        """Hand records over, however long a batch thread has to wait for room; the poll thread comes back to it."""
        topic, partition = place
        values, keys, headers = columns
        while True:
            sent = producer.send(topic, values, keys, headers, partition, on_delivery)
            if sent == len(values):
                return
            values, keys, headers = values[sent:], keys and keys[sent:], headers and headers[sent:]
            on_delivery = on_delivery if callable(on_delivery) else on_delivery[sent:]
            if threading.get_ident() == self._poll_thread:
                self._backlog.append((producer, place, (values, keys, headers), on_delivery))
                return
            if self._closed:
                raise PublisherClosedError
            with self._room:
                self._room.wait(ROOM_WAIT_SECONDS)


def _coordinates(records: PolledRecords, position: int) -> tuple[str, bytes]:
    original = records.messages[position]
    own = names.Coordinates(records.topic, original.partition(), original.offset())
    return names.REQUEST, names.request_coordinates(own)
