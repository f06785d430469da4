"""What takes the place of a record that a transaction was refused for (`worker.refusals` is at-least-once's)."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from worker import dead_letters
from worker.kafka import errors as kafka_errors
from worker.outcomes import Outcome
from worker.polled_records import PolledRecords
from worker.publisher import Publisher
from worker.refusals import fits_nowhere, no_way_to, refused_for_good
from worker.reply_sizes import RECORD_OVERHEAD_BYTES, is_error, too_large
from worker.topic_directory import TopicDirectory


class Replacements:
    """Finds it; called by the poll thread. The arguments are those of `worker.refusals.Refusals`."""

    def __init__(
        self,
        publisher: Publisher,
        *,
        own_topics: frozenset[str],
        directory: TopicDirectory,
        on_stuck: Callable[[PolledRecords, Sequence[int], str], None],
        on_dead_letter: Callable[[str, str], None],
        on_refused: Callable[[str], None],
    ) -> None:
        self._publisher = publisher
        self._own_topics = own_topics
        self._directory = directory
        self._on_stuck = on_stuck
        self._on_dead_letter = on_dead_letter
        self._on_refused = on_refused

    def of(self, outcome: Outcome, problem: kafka_errors.KafkaProblem) -> Outcome:
        """An error that fits, a dead letter, or the same again where that may pass, or its partition has stopped."""
        self._on_refused(type(problem).__name__)
        topic = outcome.place[0]
        if isinstance(problem, kafka_errors.MessageTooLarge):
            self._directory.look_again()
        if refused_for_good(problem, is_dead_letter=outcome.delivery.is_dead_letter):
            if outcome.delivery.is_dead_letter:
                return self._shorter(outcome, topic, problem)
            return self._smaller(outcome, topic)
        if isinstance(problem, kafka_errors.TopicMissing):
            self._directory.look_again()
        why = None if topic in self._own_topics else no_way_to(topic, problem)
        return outcome if why is None else self._dead_letter(outcome, why)

    def _shorter(self, outcome: Outcome, topic: str, problem: kafka_errors.KafkaProblem) -> Outcome:
        """A dead letter with fewer headers; where there are none to spare, its partition stops."""
        shorter = dead_letters.shorter(outcome.headers)
        if shorter is not None:
            return replace(outcome, headers=shorter)
        records, position = outcome.delivery.origin.records, outcome.position
        if records.ours_at([position])[0]:  # else its partition has gone, or stands still behind another
            dead_letters.log_refused(records, position, topic, outcome.headers, problem)
            self._on_stuck(records, [position], dead_letters.REFUSED)
        return outcome

    def _smaller(self, outcome: Outcome, topic: str) -> Outcome:
        """An error in place of a reply, or a dead letter where not even that fits."""
        delivery, value = outcome.delivery, outcome.value or b""
        size_bytes = len(value)
        limit = self._directory.max_message_bytes(topic) - RECORD_OVERHEAD_BYTES
        if not is_error(value):
            # None: the topic takes less than was known of it.
            refused = too_large(value, limit if size_bytes > limit else None, topic)
            if len(refused) < size_bytes:
                delivery.too_large += 1
                return replace(outcome, value=refused)
        return self._dead_letter(outcome, fits_nowhere(topic, size_bytes))

    def _dead_letter(self, outcome: Outcome, error: Exception) -> Outcome:
        """A request that cannot be answered any more."""
        records = outcome.delivery.origin.records
        letter = self._publisher.dead_letter_outcome(records, outcome.position, error)
        self._on_dead_letter(records.topic, type(error).__name__)
        outcome.delivery.origin.forget(outcome.position)
        outcome.delivery.acknowledged()
        return letter
