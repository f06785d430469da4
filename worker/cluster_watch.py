"""Whether the cluster answers, and has the topics that the worker needs: looked at beside the flow.

Nothing hangs on it but what people are told. Requests wait in Kafka, or in the worker, until what is missing is back.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from worker.kafka.errors import KafkaProblem
from worker.log import Occasionally
from worker.settings import Settings
from worker.topic_directory import TopicDirectory

log = logging.getLogger(__name__)


class ClusterWatch:
    """Refreshes the topic directory, and says what is wrong.

    Args:
        directory: what is known of the cluster's topics.
        needed: the topics that must exist.
        answers: those of them that are written to, whose limits must be known.
        topic_ids: asks what tells topics from later ones of their names; raises KafkaProblem. None: nobody can tell.

    Attributes:
        on_made_again: told of a needed topic that was deleted and made again, on the background thread.
    """

    def __init__(
        self,
        directory: TopicDirectory,
        needed: Collection[str],
        answers: Collection[str],
        *,
        topic_ids: Callable[[Sequence[str]], Mapping[str, str | KafkaProblem]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._needed = tuple(sorted(needed))
        self._occasionally = Occasionally(log, seconds=30.0, clock=clock)
        self._told: tuple[str, ...] = ()
        self._topic_ids = topic_ids
        self._ids: dict[str, str] = {}
        self.on_made_again: Callable[[str], None] = lambda _topic: None
        directory.watch(answers)

    def look(self) -> str | None:
        """Ask the cluster now: what is wrong, None when nothing is; for a thread that may wait.

        Raises:
            KafkaProblem: the cluster could not be asked.
        """
        self._directory.refresh()
        self._compare_ids()
        return self.missing()

    def missing(self) -> str | None:
        """Which needed topics did not exist at the last look, and what to do; None when they all did. Any thread."""
        missing = self._directory.missing(self._needed)
        if not missing:
            return None
        return f"topics that do not exist: {', '.join(missing)}; make them with: headrace topics create"

    def problems(self) -> list[str]:
        """Why requests cannot be read or answered now, as of the last look. Any thread."""
        problem = self._directory.problem or self.missing()
        return [] if problem is None else [problem]

    def step(self) -> None:
        """Look again when it is time, and log what has changed; called by one background thread."""
        before = self._directory.problem
        try:
            if not self._directory.step():
                return
        except KafkaProblem as problem:
            self._occasionally.warning(
                "the cluster does not answer; trying again, and what is read and answered waits",
                key=type(problem).__name__,
                problem=str(problem),
            )
            return
        if before is not None:
            log.info("the cluster answers again")
        self._tell_missing()
        self._compare_ids()

    def _tell_missing(self) -> None:
        missing = self._directory.missing(self._needed)
        for topic in sorted(set(missing) - set(self._told)):
            log.error(
                "a topic does not exist; what needs it waits until it is made again: headrace topics create",
                extra={"topic": topic},
            )
        for topic in sorted(set(self._told) - set(missing)):
            log.info("the topic exists again", extra={"topic": topic})
        self._told = missing
        if missing:
            self._directory.look_again()

    def _compare_ids(self) -> None:
        if self._topic_ids is None:
            return
        try:
            found = self._topic_ids(
                sorted(set(self._needed).difference(self._directory.missing(self._needed)))
            )
        except KafkaProblem:
            return  # it says more at the next look
        for topic, its_id in found.items():
            if isinstance(its_id, str) and self._ids.setdefault(topic, its_id) != its_id:
                self._ids[topic] = its_id
                self.on_made_again(topic)


def answer_topics(settings: Settings) -> frozenset[str]:
    """The topics that the bindings' answers go to: replies, dead letters."""
    return frozenset(t for b in settings.bindings for t in (b.reply_topic, *b.dead_letter_topics()))


def needed_topics(settings: Settings) -> frozenset[str]:
    """The topics of the bindings: requests, replies, dead letters."""
    requests = {topic for binding in settings.bindings for topic in binding.request_topics}
    return answer_topics(settings) | requests
