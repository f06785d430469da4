"""How the settings say which topics a request may name for its reply, put together for `worker.admission`."""

from collections.abc import Iterable

from worker.admission import Admission
from worker.reply_routing import ReplyRouting
from worker.settings import Settings
from worker.topic_directory import TopicDirectory


def admission_of(settings: Settings, directory: TopicDirectory, answer_topics: Iterable[str]) -> Admission:
    """The admission of every binding; *answer_topics* are all reply topics of bindings and dead-letter topics."""
    request_topics = {topic for b in settings.bindings for topic in b.request_topics}
    forbidden = frozenset(answer_topics) | request_topics | {settings.topics.control, settings.topics.status}
    routings = {
        b.name: ReplyRouting(
            b.reply_topic,
            b.allowed_reply_topics,
            forbidden=forbidden - {b.reply_topic},
            carried=settings.delivery.carried_headers,
            directory=directory,
            most_priority=b.most_priority,
        )
        for b in settings.bindings
    }
    return Admission(
        routings,
        header_bytes=settings.limits.header_bytes,
        coordinates=settings.delivery.request_coordinates,
        most_seconds={b.name: b.most_seconds for b in settings.bindings if b.most_seconds},
    )
