"""What becomes of a record that the broker did not take.

- Too large: one record too large fails every record of its batch, so each is sent again in a batch of its own; the
  one that is refused there is answered with an error that says so.
- Its topic has gone: a topic that the request named makes the request a dead letter; the binding's own is waited for.
- Anything that may pass (the broker is away, a right is missing): sent again after a pause, for as long as it takes.
- The producer itself is beyond repair: the worker ends, and what was not acknowledged is served again.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from worker.delivery import Failure, Origin
from worker.kafka import errors as kafka_errors
from worker.log import Occasionally
from worker.polled_records import PolledRecords
from worker.publisher import Publisher, is_error, too_large
from worker.reply_routing import NoRouteError

log = logging.getLogger(__name__)

AGAIN_AFTER_SECONDS = 1.0


class Refusals:
    """Handles failed deliveries; every method is called by the poll thread.

    Args:
        own_topics: the bindings' reply topics and all dead-letter topics: never given up.
        limit_bytes: how large a record a topic takes.
        on_stuck: told of records that neither a reply nor a dead letter could be delivered for; their partition
            must stop.
        on_refused: counts what was refused, by the kind of problem.
        on_reproduced: counts what was sent again in a batch of its own.
    """

    def __init__(
        self,
        *,
        own_topics: frozenset[str],
        limit_bytes: Callable[[str], int],
        on_stuck: Callable[[PolledRecords, Sequence[int]], None],
        on_refused: Callable[[str], None],
        on_reproduced: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own_topics = own_topics
        self._limit_bytes = limit_bytes
        self._on_stuck = on_stuck
        self._on_refused = on_refused
        self._on_reproduced = on_reproduced
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
            problem = kafka_errors.translate(failure.error, topic=failure.message.topic())
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
            if failure.sent is None or not failure.sent.alone:
                self._on_reproduced()
                publisher.send_again(failure, alone=True)
            else:
                self._refuse_too_large(publisher, failure)
            return
        gone = isinstance(problem, kafka_errors.TopicMissing)
        if gone and failure.sent is not None and failure.message.topic() not in self._own_topics:
            self._give_up_topic(publisher, failure, failure.sent.position)
            return
        topic = failure.message.topic()
        self._occasionally.warning(
            "delivery failed; trying again", key=topic, topic=topic, problem=str(problem)
        )
        self._later.append((self._clock() + AGAIN_AFTER_SECONDS, failure))

    def _refuse_too_large(self, publisher: Publisher, failure: Failure) -> None:
        delivery, topic, value = failure.delivery, failure.message.topic(), failure.message.value() or b""
        refused = None
        if not delivery.is_dead_letter and not is_error(value):
            refused = too_large(value, self._limit_bytes(topic), topic)
        if refused is not None and len(refused) < len(value):
            publisher.send_again(failure, alone=True, value=refused)
            return
        log.error(
            "neither a reply nor the error in its place fits its topic, so the request topic's partition stops; "
            "raise max.message.bytes of the topic and start the worker again",
            extra={"topic": topic, "size_bytes": len(value), "request_topic": delivery.origin.records.topic},
        )
        self._on_stuck(delivery.origin.records, delivery.origin.positions)

    def _give_up_topic(self, publisher: Publisher, failure: Failure, position: int) -> None:
        """The topic that a request named has gone since it was read: the request becomes a dead letter."""
        delivery = failure.delivery
        topic = failure.message.topic()
        error = NoRouteError(f"the reply topic {topic!r} was there when the request was read and has gone")
        publisher.dead_letter(Origin(delivery.origin.records, [position], None, 0, 0), error)
        delivery.origin.forget(position)
        delivery.acknowledged()
