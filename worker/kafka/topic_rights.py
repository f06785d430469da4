"""Whether a user has the rights on topics that are about to be needed: told before, all at once and by name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from worker.kafka.errors import NotAuthorized, TopicMissing
from worker.kafka.rights import Resource, Right, lacks, on_topic
from worker.kafka.topic_facts import TopicInfo


class TopicFinder(Protocol):
    """Asks the broker about topics; `worker.kafka.admin.Admin` does."""

    @property
    def user(self) -> str:
        """Whom the broker takes us for."""
        ...

    def find(self, names: Sequence[str]) -> Mapping[str, TopicInfo]:
        """These topics, but for those that do not exist. Raises KafkaProblem."""
        ...


def require(finder: TopicFinder, topic: str, *operations: str) -> TopicInfo | None:
    """One topic, which this user may do all that with; None: it does not exist.

    Raises:
        NotAuthorized: a right is missing.
        KafkaProblem: the broker could not be asked.
    """
    info = finder.find([topic]).get(topic)
    if info is None or isinstance(info.problem, TopicMissing):
        return None
    missing = _lacking(info, [on_topic(operation, topic) for operation in operations])
    if missing:
        raise NotAuthorized(lacks(finder.user, missing), resource=topic)
    if info.problem is not None:
        raise info.problem
    return info


def lacking(finder: TopicFinder, rights: Iterable[Right]) -> list[Right]:
    """Those of the rights on topics that this user lacks, as far as the broker tells.

    Raises:
        KafkaProblem: the broker could not be asked.
    """
    wanted: dict[str, list[Right]] = {}
    for right in rights:
        if right.resource is Resource.TOPIC:
            wanted.setdefault(right.name, []).append(right)
    found = finder.find(list(wanted))
    return [right for name, info in found.items() for right in _lacking(info, wanted[name])]


def _lacking(info: TopicInfo, rights: Sequence[Right]) -> list[Right]:
    if isinstance(info.problem, NotAuthorized):
        return list(rights)
    if info.rights is None:  # a broker that does not say
        return []
    return [right for right in rights if right.operation not in info.rights]
