"""What becomes of a record that the broker did not take.

- Too large: one record too large fails every record of its batch, so each is sent again in a batch of its own; the
  one that is refused there goes by claim, or is answered with an error that says so. Where not even the error fits,
  because key, headers or id are too large, the request becomes a dead letter: it cannot be answered.
- A dead letter that is too large, or refused for good for another reason, is sent again alone, then without the
  headers that it can do without. Refused once more, its partition stops until an operator acts: nothing is skipped.
- Its topic has gone, or may not be written to: a topic that the request named makes the request a dead letter; the
  binding's own is waited for.
- Anything that may pass (the broker is away, a right is missing): sent again after a pause, for as long as it takes.
- The producer itself is beyond repair: the worker ends, and what was not acknowledged is served again.
"""

import dataclasses
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from schemas import codec
from schemas.errors import WireError
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from worker import dead_letters
from worker.claimed_replies import ClaimedReplies, LargeReply
from worker.delivery import Failure, Origin, Sent
from worker.kafka import errors as kafka_errors
from worker.kafka.rights import SOMEBODY, on_topic
from worker.log import Occasionally
from worker.polled_records import PolledRecords
from worker.publisher import Publisher
from worker.reply_routing import NoRouteError
from worker.reply_sizes import RECORD_OVERHEAD_BYTES, is_error, too_large
from worker.topic_directory import TopicDirectory

log = logging.getLogger(__name__)

AGAIN_AFTER_SECONDS = 1.0
UNKNOWN_ROOM_BYTES = 16_384
"""What is taken to fit a topic whose limit is not known yet, when a reply has claims in place of its data."""
UNKNOWN_REQUEST = "a reply is refused, and which request it answers cannot be told"


class ReplyTooLargeError(Exception):
    """Neither a reply nor the error in its place fits its topic: the request is a dead letter."""


class Refusals:
    """Handles failed deliveries; every method is called by the poll thread.

    Args:
        own_topics: the bindings' reply topics and all dead-letter topics: never given up.
        directory: how large a record a topic takes; asked to look again when a topic takes less, or has gone.
        on_stuck: told of records that neither a reply nor a dead letter could be delivered for, and why; their
            partition must stop.
        on_dead_letter: counts what became a dead letter, by request topic and the kind of error.
        on_refused: counts what was refused, by the kind of problem.
        on_reproduced: counts what was sent again in a batch of its own.
        claims: takes replies that are too large; None: an error takes their place.
        user: whom the broker takes the producers for.
    """

    def __init__(  # noqa: PLR0913 - whom it tells of what, each by its name
        self,
        *,
        own_topics: frozenset[str],
        directory: TopicDirectory,
        on_stuck: Callable[[PolledRecords, Sequence[int], str], None],
        on_dead_letter: Callable[[str, str], None],
        on_refused: Callable[[str], None],
        on_reproduced: Callable[[], None],
        claims: ClaimedReplies | None = None,
        user: str = SOMEBODY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._claims = claims
        self._own_topics = own_topics
        self._directory = directory
        self._on_stuck = on_stuck
        self._on_dead_letter = on_dead_letter
        self._on_refused = on_refused
        self._on_reproduced = on_reproduced
        self._user = user
        self._clock = clock
        self._failures: deque[Failure] = deque()
        self._later: deque[tuple[float, Failure]] = deque()
        self._occasionally = Occasionally(log, seconds=10.0, clock=clock)

    def note(self, failure: Failure) -> None:
        """A record failed; only noted here, because this runs inside the client's call."""
        self._failures.append(failure)

    def step(self, publisher: Publisher) -> None:
        """Deal with what has failed since the last step, and with what waits for another try.

        Raises:
            Fatal: the producer cannot go on; nothing more can be delivered by this process.
        """
        now = self._clock()
        while self._failures:
            failure = self._failures.popleft()
            topic = failure.message.topic()
            wants = [on_topic("WRITE", topic)]
            problem = kafka_errors.translate(failure.error, topic=topic, wants=wants, user=self._user)
            self._on_refused(type(problem).__name__)
            self._handle(publisher, failure, problem)
        while self._later and self._later[0][0] <= now:
            _, failure = self._later.popleft()
            publisher.send_again(failure, alone=failure.sent is not None and failure.sent.alone)

    @property
    def waiting(self) -> int:
        """Records that wait for another try."""
        return len(self._failures) + len(self._later)

    def _handle(self, publisher: Publisher, failure: Failure, problem: kafka_errors.KafkaProblem) -> None:
        if isinstance(problem, kafka_errors.Fatal):
            raise problem
        if isinstance(problem, kafka_errors.MessageTooLarge):
            self._directory.look_again()
        if refused_for_good(problem, is_dead_letter=failure.delivery.is_dead_letter):
            if failure.sent is None or not failure.sent.alone:
                self._on_reproduced()
                publisher.send_again(failure, alone=True)
            elif failure.delivery.is_dead_letter:
                self._refuse_dead_letter(publisher, failure, failure.sent, problem)
            else:
                self._refuse_too_large(publisher, failure)
            return
        topic = failure.message.topic()
        if isinstance(problem, kafka_errors.TopicMissing):
            self._directory.look_again()
        if failure.sent is not None and topic not in self._own_topics:
            why = no_way_to(topic, problem)
            if why is not None:
                self._give_up(publisher, failure, failure.sent.position, why)
                return
        self._occasionally.warning(
            "delivery failed; trying again", key=topic, topic=topic, problem=str(problem)
        )
        self._later.append((self._clock() + AGAIN_AFTER_SECONDS, failure))

    def _refuse_dead_letter(
        self, publisher: Publisher, failure: Failure, sent: Sent, problem: kafka_errors.KafkaProblem
    ) -> None:
        delivery = failure.delivery
        records = delivery.origin.records
        if records.ours_at([sent.position])[0]:  # else its partition has gone, or stands still behind another
            shorter = dead_letters.shorter(sent.headers)
            if shorter is not None:
                again = Sent(delivery, shorter, sent.position, sent.partition, alone=True)
                publisher.send_again(dataclasses.replace(failure, sent=again), alone=True)
                return
            dead_letters.log_refused(records, sent.position, failure.message.topic(), sent.headers, problem)
            self._on_stuck(records, [sent.position], dead_letters.REFUSED)
        delivery.origin.forget(sent.position)  # it has no outcome here
        delivery.acknowledged()

    def _refuse_too_large(self, publisher: Publisher, failure: Failure) -> None:
        delivery, topic, value = failure.delivery, failure.message.topic(), failure.message.value() or b""
        limit = self._directory.max_message_bytes(topic) - RECORD_OVERHEAD_BYTES
        # None: the topic takes less than was known of it.
        known = limit if len(value) > limit else None
        room = UNKNOWN_ROOM_BYTES if known is None else known
        if self._claims is not None and len(value) > room and not is_error(value):
            sent = failure.sent or Sent(delivery, None, -1)
            place = topic, sent.partition
            key = failure.message.key()
            self._claims.put(
                LargeReply(delivery, sent.position, place, value, key, sent.headers, room, again=True)
            )
            return
        refused = None if is_error(value) else too_large(value, known, topic)
        if refused is not None and len(refused) < len(value):
            delivery.too_large += 1
            publisher.send_again(failure, alone=True, value=refused)
            return
        position = _position(failure)
        if position is not None:
            self._give_up(publisher, failure, position, fits_nowhere(topic, len(value)))
            return
        log.error(
            "a reply is refused, and which request it answers cannot be told, so the request topic's partition stops; "
            "raise max.message.bytes of the reply topic and start the worker again",
            extra={
                "topic": topic,
                "size_bytes": len(value),
                "request_topic": delivery.origin.records.topic,
            },
        )
        self._on_stuck(delivery.origin.records, delivery.origin.own, UNKNOWN_REQUEST)

    def _give_up(self, publisher: Publisher, failure: Failure, position: int, error: Exception) -> None:
        """A request that cannot be answered any more becomes a dead letter."""
        delivery = failure.delivery
        records = delivery.origin.records
        publisher.dead_letter(Origin.uncounted(records, [position]), error)
        self._on_dead_letter(records.topic, type(error).__name__)
        delivery.origin.forget(position)
        delivery.acknowledged()


def no_way_to(topic: str, problem: kafka_errors.KafkaProblem) -> NoRouteError | None:
    """Why a request becomes a dead letter that named its reply topic itself; None: it does not, the problem may pass.

    Whoever asks is not to stop a partition by the name of a topic that this worker may not write to.
    """
    if isinstance(problem, kafka_errors.TopicMissing):
        return NoRouteError(f"the reply topic {topic!r} was there when the request was read and has gone")
    if isinstance(problem, kafka_errors.NotAuthorized):
        return NoRouteError(f"the reply topic {topic!r} is one that this worker may not write to")
    return None


def fits_nowhere(topic: str, size_bytes: int) -> ReplyTooLargeError:
    """Why a request becomes a dead letter whose reply was refused, and whose error would be."""
    return ReplyTooLargeError(
        f"topic {topic!r} takes neither the reply nor an error in its place ({size_bytes} bytes, and "
        "the request's key and headers); raise the topic's max.message.bytes"
    )


def refused_for_good(problem: kafka_errors.KafkaProblem, *, is_dead_letter: bool) -> bool:
    """Whether a record as it is will be refused each time; of replies only those that are too large."""
    kinds = (kafka_errors.MessageTooLarge, kafka_errors.RecordInvalid)
    return isinstance(problem, kinds if is_dead_letter else kinds[0])


def _position(failure: Failure) -> int | None:
    """Which request of its poll a refused reply belongs to.

    Replies that are sent many at a time have no record of that; then it is the request with the reply's id and key.
    Of several such requests any will do, since nobody can tell their replies apart.
    """
    if failure.sent is not None and failure.sent.position >= 0:
        return failure.sent.position
    origin, message = failure.delivery.origin, failure.message
    records = origin.records
    if len(origin.own) == 1:
        return origin.own[0]
    reply_id = codec.decode(message.value() or b"", PredictReply).id
    for position in origin.own:
        if records.keys is not None and records.keys[position] != message.key():
            continue
        try:
            request = codec.decode(records.values[position] or b"", PredictRequest)
        except WireError:
            continue  # in a schema that only this worker's own catalogue knows
        if request.id == reply_id:
            return position
    return None
