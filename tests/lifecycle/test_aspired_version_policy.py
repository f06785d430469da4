"""The availability-preserving policy, on plain snapshots."""

import itertools

import pytest

from lifecycle.aspired_version_policy import Action, ActionKind, AvailabilityPreservingPolicy, VersionSnapshot
from lifecycle.loader_harness import HarnessState
from lifecycle.servable_id import ServableId

S = HarnessState
POLICY = AvailabilityPreservingPolicy()


def versions(**each: HarnessState) -> list[VersionSnapshot]:
    """Snapshots from `a1=state` (version 1, aspired) and `u2=state` (version 2, un-aspired)."""
    return [VersionSnapshot(ServableId("m", int(k[1:])), state, k[0] == "a") for k, state in each.items()]


def load(version: int) -> Action:
    """Load that version."""
    return Action(ActionKind.LOAD, ServableId("m", version))


def unload(version: int) -> Action:
    """Unload that version."""
    return Action(ActionKind.UNLOAD, ServableId("m", version))


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        pytest.param(versions(a1=S.READY, a2=S.NEW, a3=S.NEW), load(3), id="loads the highest new aspired"),
        pytest.param(
            versions(u1=S.READY, u2=S.READY, a3=S.READY, a4=S.NEW), unload(1), id="unloads un-aspired first"
        ),
        pytest.param(
            versions(u1=S.READY, u2=S.READY), unload(1), id="unloads the lowest when none is aspired"
        ),
        pytest.param(versions(a1=S.READY, u2=S.DISABLED), None, id="nothing to do"),
        pytest.param(versions(u1=S.READY, a2=S.LOADING), None, id="waits for a load"),
        pytest.param(versions(u1=S.READY, a2=S.ERROR), None, id="keeps what a failed version cannot replace"),
        pytest.param(
            versions(u1=S.READY, a2=S.READY, a3=S.LOADING),
            unload(1),
            id="one ready is enough, others loading",
        ),
        pytest.param(
            versions(u1=S.READY, a2=S.READY, a3=S.ERROR), unload(1), id="one ready is enough, others failed"
        ),
        pytest.param(
            versions(u1=S.READY, u2=S.READY, a3=S.ERROR),
            unload(1),
            id="keeps one of two when none replaces them",
        ),
        pytest.param(versions(u1=S.READY, a2=S.NEW), load(2), id="loads before it unloads"),
        pytest.param(versions(u1=S.NEW), None, id="never loads what is not aspired"),
        pytest.param([], None, id="no version at all"),
    ],
)
def test_next_action(snapshot: list[VersionSnapshot], expected: Action | None) -> None:
    """The policy gives the action that the two rules of its class say."""
    assert POLICY.next_action(snapshot) == expected


STATES = [S.NEW, S.LOADING, S.READY, S.QUIESCING, S.DISABLED, S.ERROR]
KINDS = list(itertools.product(STATES, [True, False]))


def test_every_snapshot_keeps_the_rules() -> None:
    """Of three versions in any states: only what can be done is asked for, and the last ready one stays."""
    for kinds in itertools.product(KINDS, repeat=3):
        snapshot = [VersionSnapshot(ServableId("m", number), *kind) for number, kind in enumerate(kinds)]
        action = POLICY.next_action(snapshot)
        if action is None:
            continue
        subject = snapshot[action.id.version]
        if action.kind is ActionKind.LOAD:
            assert (subject.state, subject.aspired) == (S.NEW, True)
            continue
        assert (subject.state, subject.aspired) == (S.READY, False)
        others_ready = [each for each in snapshot if each is not subject and each.state is S.READY]
        assert others_ready or not any(each.aspired for each in snapshot)
