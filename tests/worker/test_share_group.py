"""What a worker asks of a share group before it joins."""

from collections.abc import Mapping

import pytest

from worker.kafka.errors import NotAuthorized
from worker.share_group import BEGINS, DELIVERIES, EARLIEST, LATEST, LOCK_MS, QueueTerms, ShareGroup


class Groups:
    """An admin client that knows one group's configuration."""

    def __init__(self, config: Mapping[str, str], *, may_change: bool = True) -> None:
        self.config = dict(config)
        self._may_change = may_change
        self.changes: list[Mapping[str, str]] = []

    def group_config(self, group: str) -> Mapping[str, str]:
        """See `GroupAdmin`."""
        del group
        return dict(self.config)

    def change_group_config(self, group: str, changes: Mapping[str, str]) -> None:
        """See `GroupAdmin`."""
        if not self._may_change:
            raise NotAuthorized(f"no right ALTER_CONFIGS on group {group!r}", resource=group)
        self.changes.append(changes)
        self.config.update(changes)


def test_a_group_that_would_skip_requests_begins_with_the_first() -> None:
    """What comes after the first member is a broker's default; its terms are the group's."""
    groups = Groups({BEGINS: LATEST, LOCK_MS: "8000", DELIVERIES: "3"})
    group = ShareGroup(groups, "g")

    group.look()
    group.look()

    assert groups.changes == [{BEGINS: EARLIEST}]
    assert group.terms == QueueTerms(8.0, 3)
    assert group.terms.work_seconds == 4.0


@pytest.mark.parametrize("begins", [EARLIEST, "by_duration:PT1H"])
def test_what_an_operator_has_decided_stays(begins: str) -> None:
    """Only the silent default is changed."""
    groups = Groups({BEGINS: begins}, may_change=False)
    group = ShareGroup(groups, "g")

    group.look()

    assert groups.changes == []
    assert group.terms == QueueTerms()


def test_who_may_not_change_it_is_told_what_to_grant() -> None:
    """By the rights, the group and the way to do without."""
    group = ShareGroup(Groups({BEGINS: LATEST}, may_change=False), "g")

    with pytest.raises(NotAuthorized, match=r"'g' may skip requests.*no right ALTER_CONFIGS.*share\.auto"):
        group.look()
