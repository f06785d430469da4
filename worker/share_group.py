"""What a share group promises its members, and where it begins: asked of the broker before a worker joins."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from worker.kafka.errors import NotAuthorized

BEGINS, EARLIEST, LATEST = "share.auto.offset.reset", "earliest", "latest"
LOCK_MS, DELIVERIES = "share.record.lock.duration.ms", "share.delivery.count.limit"
WORK_SHARE = 0.5
"""What is taken is worked on for so much of the lock time at most: the rest is for telling the broker."""


@dataclass(frozen=True, slots=True)
class QueueTerms:
    """What a share group promises.

    Attributes:
        lock_seconds: for how long nobody else gets what a member has taken.
        deliveries: how often a record is delivered at most.
    """

    lock_seconds: float = 30.0
    deliveries: int = 5

    @property
    def work_seconds(self) -> float:
        """How long what was taken may be worked on."""
        return self.lock_seconds * WORK_SHARE


class GroupAdmin(Protocol):
    """What is asked of the cluster; `worker.kafka.admin.Admin` does it."""

    def group_config(self, group: str) -> Mapping[str, str]:
        """A group's whole configuration."""

    def change_group_config(self, group: str, changes: Mapping[str, str]) -> None:
        """Change some of it."""


class ShareGroup:
    """One share group, whose terms are known once it has been looked at."""

    def __init__(self, admin: GroupAdmin, name: str) -> None:
        self._admin = admin
        self._name = name
        self.terms = QueueTerms()

    def look(self) -> None:
        """Ask for the terms, and have the group begin with the first request, as every other way of delivery does.

        A broker lets a new share group begin with what comes after its first member, which skips what was sent before.

        Raises:
            KafkaProblem: no answer, or a right is missing; the message says which.
        """
        try:
            config = self._admin.group_config(self._name)
            if config.get(BEGINS) == LATEST:
                self._admin.change_group_config(self._name, {BEGINS: EARLIEST})
        except NotAuthorized as problem:
            raise NotAuthorized(
                f"the share group {self._name!r} may skip requests: {problem}; instead of ALTER_CONFIGS, somebody may "
                f"set {BEGINS} of the group to {EARLIEST}",
                error_name=problem.error_name,
                resource=self._name,
            ) from problem
        usual = QueueTerms()  # of a broker that keeps one of them for all groups, and does not tell
        self.terms = QueueTerms(
            int(config.get(LOCK_MS, usual.lock_seconds * 1000)) / 1000,
            int(config.get(DELIVERIES, usual.deliveries)),
        )
