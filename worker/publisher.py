"""Replies and dead letters on their way out.

Batch threads encode and hand over; the poll thread serves the client's reports. Nothing is settled before the broker
has acknowledged it (promise 1). What the broker refuses is `worker.refusals`' business.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from schemas import reply_columns
from worker import reply_sizes
from worker.claimed_replies import ClaimedReplies, LargeReply
from worker.dead_letters import DeadLetters
from worker.delivery import Answer, Delivery, Failure, Origin, PublisherClosedError, Sent
from worker.kafka.producer import OnDelivery, Producer
from worker.kafka.records import TopicPartition
from worker.outcomes import Outcome, Outcomes, columns_of
from worker.polled_records import PolledRecords
from worker.producer_pool import ProducerPool
from worker.reply_fitting import ReplyFitting, Way
from worker.reply_order import ReplyOrder
from worker.reply_routes import Place
from worker.reply_ways import Gathered, reports_of, rest, ways
from worker.request_block import Part
from worker.topic_directory import TopicDirectory

ROOM_WAIT_SECONDS = 0.02
QUIET_RECORDS = 32
"""Fewer replies have reports of their own: what that costs goes unnoticed beside the rest of a small batch."""


class Publisher:
    """Hands replies and dead letters to the producers.

    `replies`, `batch`, `refusal` and `dead_letter` may be called from any thread; `serve` by the poll thread only.

    Args:
        producers: the pool.
        directory: how large a record each topic takes.
        topics: each binding's own reply topic, by binding name.
        dead_letters: where records go that cannot be answered, and what is added to them.
        on_settled: told, on the poll thread, when every record of a delivery has been acknowledged.
        on_failure: told, on the poll thread, of each record that the broker did not take.
        order: keeps the replies in the order of their requests; None: each goes as soon as it is there.
        transactional: whether others take them out of the order, and settle them.
        claims: takes replies that are too large for their topic; None: an error takes their place.
    """

    def __init__(  # noqa: PLR0913 - the seams of one object; each is a plain value or a callable
        self,
        producers: ProducerPool,
        directory: TopicDirectory,
        *,
        topics: dict[str, str],
        dead_letters: DeadLetters,
        on_settled: Callable[[Delivery], None],
        on_failure: Callable[[Failure], None],
        order: ReplyOrder | None = None,
        transactional: bool = False,
        claims: ClaimedReplies | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._producers = producers
        self._order = order
        self._transactional = transactional
        self._claims = claims
        self._fitting = ReplyFitting(directory, claims)
        self._topics = topics
        self._dead_letters = dead_letters
        self._on_settled = on_settled
        self._on_failure = on_failure
        self._wall = wall
        self._poll_thread = threading.get_ident()
        self._room = threading.Condition()
        self._waiting = 0  # threads that wait for room
        # The poll thread must not wait; what it could not hand over is no more than the budget lets it read.
        self._backlog: deque[
            tuple[Producer, Place, reply_sizes.Columns, OnDelivery | Sequence[OnDelivery]]
        ] = deque()
        self._left: deque[Delivery] = deque()
        self._closed = False

    def replies(self, origin: Origin, payloads: list[bytes], answer: Answer) -> None:
        """Send one reply for each request of an origin, in its order.

        Raises:
            PublisherClosedError: the worker ends.
        """
        delivery = self._delivery(origin, answer=answer)
        for place, columns, members, told_by in self._ways(delivery, payloads):
            if self._order is None:
                self._send_replies(delivery, place, columns, told_by)
            else:
                self._order.put(Outcomes(delivery, members, place, columns))

    def batch(self, answered: Iterable[tuple[Origin, list[bytes]]], answer: Answer) -> None:
        """Send the replies to the requests of one batch; those of few requests each leave together.

        One by one, each would be a request to the broker that the next has to wait for.

        Raises:
            PublisherClosedError: the worker ends.
        """
        gathered: dict[Place, Gathered] = {}
        for origin, payloads in answered:
            if len(payloads) >= QUIET_RECORDS or self._order is not None:
                self.replies(origin, payloads, answer)
                continue
            delivery = self._delivery(origin, answer=answer)
            for place, columns, _, told_by in self._ways(delivery, payloads):
                reports = reports_of(delivery.report, delivery.report_at, told_by)
                gathered.setdefault(place, Gathered()).add(columns, reports)
        for place, together in gathered.items():
            producer = self._producers.for_replies(place[0], len(together.payloads))
            self._send(producer, place, together.columns(), together.reports)

    def refusal(self, part: Part, message: str, answer: Answer) -> None:
        """Answer every request of a part with one error."""
        kind = part.columns.kind
        payloads = reply_columns.encode_errors(
            kind.model, answer.version, answer.code, message, part.columns.ids
        )
        self.replies(Origin.of_part(part), payloads, answer)

    def dead_letter(self, origin: Origin, error: Exception, *, besides: bool = False) -> None:
        """Send records to their dead-letter topic, with the reason; *besides* an answer, that settles them."""
        delivery = self._delivery(origin, reason=type(error).__name__, besides=besides)
        letters = [self._dead_letters.outcome(delivery, position, error) for position in origin.positions]
        if self._order is not None and self._transactional:
            self._order.put(Outcomes.of(letters))
            return
        for letter in letters:
            sent, columns = Sent(delivery, letter.headers, letter.position), columns_of([letter])
            self._send(self._producers.for_topic(letter.place[0]), letter.place, columns, [sent.report])
        if self._order is not None:
            self._order.put(Outcomes(delivery, origin.positions, None))

    def dead_letter_outcome(self, records: PolledRecords, position: int, error: Exception) -> Outcome:
        """The dead letter of one record that was to be answered, to be sent in its turn."""
        delivery = self._delivery(Origin.uncounted(records, [position]), reason=type(error).__name__)
        return self._dead_letters.outcome(delivery, position, error)

    def leave(self, part: Part) -> None:
        """Requests that are another worker's to answer, because their partition has gone there; nothing is sent."""
        self._left.append(self._delivery(Origin.of_part(part)))

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
        served = self._producers.serve(timeout_seconds)
        if served and self._waiting:
            with self._room:
                self._room.notify_all()
        if self._claims is not None:
            for done in self._claims.step():
                self._send_claimed(*done)
        while self._left:
            self._on_settled(self._left.popleft())
        waiting, self._backlog = self._backlog, deque()
        while waiting and not self._backlog:
            self._send(*waiting.popleft())
        self._backlog += waiting
        if self._order is not None and not self._transactional:
            for place, columns, reports in self._order.release():
                self._send(self._producers.for_topic(place[0]), place, columns, reports)
        return served

    def follow(self, records: PolledRecords) -> None:
        """Records have been read, of which every one will have its outcome; poll thread only."""
        if self._order is not None:
            self._order.follow(records)

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Partitions are another worker's; poll thread only."""
        if self._order is not None:
            self._order.forget(partitions)

    def settle_soon(self) -> None:
        """Have acknowledgements known as soon as they come, at some cost: the budget runs short; poll thread only."""
        self._producers.settle_soon()

    @property
    def backlogged(self) -> bool:
        """Whether records wait on the poll thread for room in the producers."""
        return bool(self._backlog)

    def outstanding(self) -> int:
        """Records handed over whose report has not been served."""
        return len(self._producers) + sum(len(columns[0]) for _, _, columns, _ in self._backlog)

    def close(self) -> None:
        """Take nothing more; threads that wait for room give up."""
        self._closed = True
        if self._claims is not None:
            self._claims.close()
        with self._room:
            self._room.notify_all()

    def close_producers(self) -> None:
        """Let go of the clients; what they still hold is given up, uncommitted."""
        self._producers.close()

    def _delivery(
        self,
        origin: Origin,
        *,
        answer: Answer | None = None,
        reason: str | None = None,
        besides: bool = False,
    ) -> Delivery:
        return Delivery(
            origin,
            answer=answer,
            reason=reason,
            handed_ms=self._wall() * 1000,
            settles=not (self._transactional or besides),
            on_settled=self._on_settled,
            on_failure=self._on_failure,
        )

    def _ways(self, delivery: Delivery, payloads: list[bytes]) -> Iterator[Way]:
        """The places that the replies to a delivery's requests go to, with what each takes."""
        own_topic = self._topics[delivery.origin.records.binding]
        return self._fitting.fitting(delivery, ways(delivery.origin, payloads, own_topic))

    def _send_claimed(self, reply: LargeReply, value: bytes) -> None:
        """Send a reply whose data has been written by now, or the error in its place; poll thread only."""
        delivery, position, place = reply.delivery, reply.position, reply.place
        delivery.handed_ms = self._wall() * 1000
        if self._order is not None and not reply.again:
            outcome = Outcome(delivery, position, place, value, reply.key, reply.headers)
            self._order.put(Outcomes.of([outcome]))
            return
        sent = Sent(delivery, reply.headers, position, place[1])
        columns = ([value], [reply.key], [reply.headers])
        self._send(self._producers.for_topic(place[0]), place, columns, [sent.report])

    def _send_replies(
        self,
        delivery: Delivery,
        place: Place,
        columns: reply_sizes.ReplyColumns,
        positions: Sequence[int] | None,
    ) -> None:
        """Send replies to one place, many at a time without reports of their own.

        *positions* tell which request each of them answers, so that one that fails can be sent again with its headers:
        the client's report has none. None where there are none, or the reply's id tells.
        """
        lane = self._producers.lane(place[0]) if len(columns[0]) >= QUIET_RECORDS else None
        if lane is not None:
            handed = lane.begin(delivery)
            reports = reports_of(handed.report, handed.report_at, positions)
            sent = lane.producer.send(place[0], *columns, place[1], reports)
            lane.sent(handed, sent)
            if sent == len(columns[0]):
                return
            columns, positions = rest(columns, sent), positions and positions[sent:]
        reports = reports_of(delivery.report, delivery.report_at, positions)
        self._send(self._producers.for_replies(place[0], len(columns[0])), place, columns, reports)

    def _send(
        self,
        producer: Producer,
        place: Place,
        columns: reply_sizes.Columns,
        on_delivery: OnDelivery | Sequence[OnDelivery],
    ) -> None:
        """Hand records over, however long a batch thread has to wait for room; the poll thread comes back to it."""
        if self._backlog and self._order is not None and threading.get_ident() == self._poll_thread:
            self._backlog.append((producer, place, columns, on_delivery))  # nothing overtakes what waits
            return
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
                self._waiting += 1
                self._room.wait(ROOM_WAIT_SECONDS)
                self._waiting -= 1
