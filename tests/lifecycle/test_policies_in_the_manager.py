"""Policies in the whole manager: the one that saves memory, and those that fail."""

import functools
from collections.abc import Sequence

import pytest

from lifecycle import errors
from lifecycle.aspired_version_policy import (
    Action,
    ActionKind,
    AspiredVersionPolicy,
    AvailabilityPreservingPolicy,
    ResourcePreservingPolicy,
    VersionSnapshot,
)
from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.backoff import Backoff
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader_harness import LoadOptions
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from lifecycle.source import AspiredVersion
from tests.fakes.clock import FakeClock
from tests.fakes.servables import Driver, FakeLoader
from tests.kit.waiting import PATIENCE_SECONDS

S = ServableState
RENEW_SECONDS = 30.0


class CountedLoader(FakeLoader):
    """Knows how many of its kind are loaded at a time."""

    loaded = 0
    most = 0

    def load(self) -> None:
        """One more."""
        super().load()
        CountedLoader.loaded += 1
        CountedLoader.most = max(CountedLoader.most, CountedLoader.loaded)

    def unload(self) -> None:
        """One less."""
        super().unload()
        CountedLoader.loaded -= 1


class BadPolicy:
    """Raises, or says what cannot be done, for the model `bad`; for others it is the default."""

    def __init__(self, says: Action | BaseException) -> None:
        self.says: Action | BaseException | None = says
        self._default = AvailabilityPreservingPolicy()

    def next_action(self, versions: Sequence[VersionSnapshot]) -> Action | None:
        """See the class."""
        if self.says is None or versions[0].id.name != "bad":
            return self._default.next_action(versions)
        if isinstance(self.says, BaseException):
            raise self.says
        return self.says


class Stage:
    """A manager with a policy."""

    def __init__(self, policy: AspiredVersionPolicy, threads: int = 0) -> None:
        self.clock = FakeClock()
        basic = BasicManagerOptions(threads, threads, LoadOptions(retries=0))
        options = AspiredVersionsManagerOptions(
            policy=policy, basic=basic, retry_failed=Backoff(RENEW_SECONDS)
        )
        self.manager = AspiredVersionsManager(options, Surroundings(clock=self.clock))
        self.driver = Driver(self.manager)

    def aspire(self, name: str, *versions: int) -> None:
        """Aspire these versions, with new loaders."""
        ids = [ServableId(name, version) for version in versions]
        made = [AspiredVersion(each, functools.partial(CountedLoader, each.version)) for each in ids]
        self.manager.set_aspired_versions(name, made)

    def available(self) -> list[str]:
        """What a handle can be had of."""
        return [str(each) for each in self.manager.available_ids()]


@pytest.mark.parametrize("threads", [0, 2])
def test_resource_preserving_never_has_two_versions_loaded(threads: int) -> None:
    """The old one goes first, after its last handle; then the new one comes."""
    CountedLoader.loaded = CountedLoader.most = 0
    stage = Stage(ResourcePreservingPolicy(), threads)
    stage.aspire("m", 1)
    stage.driver.until(lambda: stage.available() == ["m/1"])
    handle = stage.manager.handle("m")

    stage.aspire("m", 2)
    stage.driver.until_state(ServableId("m", 1), S.UNLOADING)
    for _ in range(5):
        stage.manager.step()
    assert stage.available() == []
    handle.release()
    stage.driver.until(lambda: stage.available() == ["m/2"])

    assert CountedLoader.most == 1
    assert stage.manager.close(PATIENCE_SECONDS) == ()


BAD = [
    (ValueError("a bug"), "its policy failed: ValueError: a bug"),
    (SystemExit("a bug"), "its policy failed: SystemExit: a bug"),
    (Action(ActionKind.LOAD, ServableId("other", 1)), "wants to load other/1, which is not managed"),
    (Action(ActionKind.UNLOAD, ServableId("bad", 1)), "wants to unload bad/1, which is aspired and new"),
]


@pytest.mark.parametrize(("says", "reason"), BAD, ids=["raises", "exits", "another model", "not ready"])
def test_a_policy_that_fails_fails_the_new_versions_of_its_model(
    says: Action | BaseException, reason: str
) -> None:
    """With the reason; other models are loaded in the same step; later it gets another chance."""
    policy = BadPolicy(says)
    stage = Stage(policy)
    stage.aspire("bad", 1)
    stage.aspire("good", 1)
    stage.manager.step()

    assert stage.available() == ["good/1"]
    (status,) = [each for each in stage.manager.states() if each.id.name == "bad"]
    assert (status.state, type(status.error)) == (S.END, errors.PolicyFailed)
    assert reason in str(status.error)
    assert "bad/1" in str(status.error)

    policy.says = None
    stage.manager.step()
    assert stage.available() == ["good/1"]
    stage.clock.advance(RENEW_SECONDS)
    stage.manager.step()
    stage.manager.step()
    assert stage.available() == ["bad/1", "good/1"]
    stage.manager.close(PATIENCE_SECONDS)


def test_a_policy_that_fails_later_keeps_what_nothing_replaces_and_nothing_else() -> None:
    """Unloading goes as by default; a model that nobody wants any more goes."""
    policy = BadPolicy(ValueError("a bug"))
    policy.says = None
    stage = Stage(policy)
    stage.aspire("bad", 1)
    stage.manager.step()
    policy.says = ValueError("a bug")

    stage.aspire("bad", 2)
    for _ in range(3):
        stage.manager.step()
    assert stage.available() == ["bad/1"]

    stage.aspire("bad", 1, 2)  # what is kept is taken back
    stage.manager.step()
    assert [(str(each.id), each.aspired) for each in stage.manager.states()] == [
        ("bad/1", True),
        ("bad/2", True),
    ]

    stage.aspire("bad")
    for _ in range(3):
        stage.manager.step()
    assert (stage.available(), stage.manager.states()) == ([], ())
    stage.manager.close(PATIENCE_SECONDS)
