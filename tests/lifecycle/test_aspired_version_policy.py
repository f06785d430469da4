"""The two policies, on plain snapshots."""

import itertools
import re

import pytest

from lifecycle import errors
from lifecycle.aspired_version_policy import (
    Action,
    ActionKind,
    AspiredVersionPolicy,
    AvailabilityPreservingPolicy,
    ResourcePreservingPolicy,
    VersionSnapshot,
    checked,
)
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


def test_loads_the_highest_new_aspired_version() -> None:
    """With nothing to unload, the highest new version is loaded first."""
    assert POLICY.next_action(versions(a1=S.READY, a2=S.NEW, a3=S.NEW)) == load(3)


def test_unloads_before_it_loads() -> None:
    """When an aspired version is ready, an un-aspired one goes before a further one comes."""
    assert POLICY.next_action(versions(u1=S.READY, u2=S.READY, a3=S.READY, a4=S.NEW)) == unload(1)


def test_unloads_the_lowest_when_none_is_aspired() -> None:
    """When nothing is aspired, everything goes, from the lowest version up."""
    assert POLICY.next_action(versions(u1=S.READY, u2=S.READY)) == unload(1)


def test_does_nothing_when_nothing_is_to_be_done() -> None:
    """Where all is as aspired, there is no action; nor is there without any version."""
    assert POLICY.next_action(versions(a1=S.READY, u2=S.DISABLED)) is None
    assert POLICY.next_action([]) is None


def test_keeps_the_old_version_while_the_new_one_loads() -> None:
    """A version that is on its way replaces nothing yet."""
    assert POLICY.next_action(versions(u1=S.READY, a2=S.LOADING)) is None


def test_keeps_the_old_version_when_the_new_one_failed() -> None:
    """A version that failed replaces nothing."""
    assert POLICY.next_action(versions(u1=S.READY, a2=S.ERROR)) is None


def test_loads_the_new_version_before_the_old_one_goes() -> None:
    """The last ready version waits for its replacement."""
    assert POLICY.next_action(versions(u1=S.READY, a2=S.NEW)) == load(2)


def test_one_ready_version_is_enough_though_others_load() -> None:
    """An old version goes when one aspired version is ready, whatever loads beside it."""
    assert POLICY.next_action(versions(u1=S.READY, a2=S.READY, a3=S.LOADING)) == unload(1)


def test_one_ready_version_is_enough_though_others_failed() -> None:
    """An old version goes when one aspired version is ready, whatever failed beside it."""
    assert POLICY.next_action(versions(u1=S.READY, a2=S.READY, a3=S.ERROR)) == unload(1)


def test_keeps_only_one_old_version_when_none_is_replaced() -> None:
    """Of several old versions the lowest go, though no aspired version is ready."""
    assert POLICY.next_action(versions(u1=S.READY, u2=S.READY, a3=S.ERROR)) == unload(1)


def test_never_loads_what_is_not_aspired() -> None:
    """A new version that was un-aspired is left alone."""
    assert POLICY.next_action(versions(u1=S.NEW)) is None


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


RESOURCE = ResourcePreservingPolicy()


def test_resource_preserving_unloads_the_lowest_un_aspired_version_first() -> None:
    """Also when no aspired version is ready."""
    assert RESOURCE.next_action(versions(u1=S.READY, u2=S.READY, a3=S.NEW)) == unload(1)
    assert RESOURCE.next_action(versions(u2=S.READY, a3=S.READY, u4=S.LOADING)) == unload(2)


def test_resource_preserving_loads_the_highest_new_version_when_nothing_is_to_go() -> None:
    """What is aspired and ready stays."""
    assert RESOURCE.next_action(versions(a1=S.READY, a2=S.NEW, a3=S.NEW)) == load(3)


def test_resource_preserving_does_nothing_when_nothing_is_to_be_done() -> None:
    """Where all is as aspired, and without any version."""
    assert RESOURCE.next_action(versions(a1=S.READY, a2=S.ERROR)) is None
    assert RESOURCE.next_action([]) is None


@pytest.mark.parametrize(
    "state", [each for each in HarnessState if each not in {S.READY, S.DISABLED, S.ERROR}]
)
def test_resource_preserving_waits_while_an_un_aspired_version_may_hold_memory(state: HarnessState) -> None:
    """Until it is gone."""
    assert RESOURCE.next_action(versions(u1=state, a2=S.NEW)) is None


@pytest.mark.parametrize("state", [S.DISABLED, S.ERROR])
def test_resource_preserving_loads_when_the_un_aspired_version_is_gone(state: HarnessState) -> None:
    """An error holds nothing."""
    assert RESOURCE.next_action(versions(u1=state, a2=S.NEW)) == load(2)


def test_resource_preserving_waits_for_all_though_one_has_failed() -> None:
    """One that is still to be unloaded holds memory beside one that failed."""
    assert RESOURCE.next_action(versions(u1=S.ERROR, u2=S.UNLOAD_REQUESTED, a3=S.NEW)) is None


@pytest.mark.parametrize("policy", [POLICY, RESOURCE], ids=["availability", "resource"])
def test_every_decision_of_ours_can_be_done(policy: AspiredVersionPolicy) -> None:
    """Any three versions in any states, aspired or not."""
    one = [(aspired, state) for aspired in "au" for state in HarnessState]
    for states in itertools.product(one, repeat=3):
        snapshot = [
            VersionSnapshot(ServableId("m", n), state, aspired == "a")
            for n, (aspired, state) in enumerate(states)
        ]
        checked(policy.next_action(snapshot), snapshot)


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (load(9), "it wants to load m/9, which is not managed"),
        (load(1), "it wants to load m/1, which is un-aspired and ready"),
        (load(2), "it wants to load m/2, which is aspired and loading"),
        (unload(2), "it wants to unload m/2, which is aspired and loading"),
        (unload(3), "it wants to unload m/3, which is aspired and ready"),
        ("load", "it returned a str; expected an Action or None"),
    ],
)
def test_what_cannot_be_done_is_told(action: Action, said: str) -> None:
    """With the version and how it is."""
    snapshot = versions(u1=S.READY, a2=S.LOADING, a3=S.READY)
    with pytest.raises(errors.PolicyFailed, match=re.escape(said)):
        checked(action, snapshot)
    assert checked(None, snapshot) is None
    assert checked(unload(1), snapshot) == unload(1)
