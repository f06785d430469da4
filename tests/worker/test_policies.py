"""Which policy decides for which model, and policies that other distributions bring."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.aspired_version_policy import Action, ActionKind, AspiredVersionPolicy, VersionSnapshot
from lifecycle.errors import PolicyFailed
from lifecycle.loader_harness import HarnessState
from lifecycle.servable_id import ServableId
from schemas import codec
from schemas.model_config import POLICY, ModelConfig
from schemas.version_selection import SpecificVersions
from tests.kit import distributions
from worker import policies
from worker.model_table import Change, ModelTable
from worker.policies import ModelPolicies

CONFIG = ModelConfig("/m", versions=SpecificVersions((2,)))
MODULE = """
made = []
class Lazy:
    def __init__(self):
        made.append(self)
    def next_action(self, versions):
        return None
def broken():
    raise OSError("no licence")
nothing = dict
"""
REPLACED = [
    VersionSnapshot(ServableId("m", 1), HarnessState.READY, aspired=False),
    VersionSnapshot(ServableId("m", 2), HarnessState.NEW, aspired=True),
]
LOAD, UNLOAD = Action(ActionKind.LOAD, ServableId("m", 2)), Action(ActionKind.UNLOAD, ServableId("m", 1))

Install = Callable[[str], AspiredVersionPolicy]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Gives the policy `own` that the distribution `our-policies` offers at the place named."""

    def install(value: str) -> AspiredVersionPolicy:
        distribution = distributions.install(
            tmp_path, "our-policies", {"own": value}, group="headrace.policies"
        )
        (tmp_path / "our_policies.py").write_text(MODULE)
        monkeypatch.syspath_prepend(tmp_path)
        return policies.all_policies(policies.find([distribution]))["own"]

    yield install
    sys.modules.pop("our_policies", None)


def table(config: ModelConfig | None) -> ModelTable:
    """A table with that model `m`."""
    made = ModelTable(policies=policies.SHIPPED)
    if config is not None:
        assert made.apply(b"m", codec.encode(config), 0) == (Change.SET, "m")
    return made


@pytest.mark.parametrize(
    ("named", "default", "action"),
    [
        (None, "availability_preserving", LOAD),
        (None, "resource_preserving", UNLOAD),
        ("resource_preserving", "availability_preserving", UNLOAD),
        ("availability_preserving", "resource_preserving", LOAD),
    ],
)
def test_each_model_has_the_policy_of_its_record(named: str | None, default: str, action: Action) -> None:
    """Or the worker's own, where it says nothing."""
    config = CONFIG if named is None else replace(CONFIG, parameters={POLICY: named.encode()})
    assert ModelPolicies(table(config), policies.SHIPPED, default).next_action(REPLACED) == action


def test_a_model_that_has_gone_is_unloaded_by_the_workers_own_policy() -> None:
    """Its record does not say it any more."""
    chosen = ModelPolicies(table(None), policies.SHIPPED, "availability_preserving")
    assert chosen.next_action(REPLACED[:1]) == UNLOAD
    assert chosen.next_action([]) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [(b"newest_first", "'newest_first' does not exist on this worker"), (b"\xff", "not allowed")],
)
def test_a_record_with_a_policy_that_is_not_here_is_not_applied(name: bytes, said: str) -> None:
    """It says which there are; what was desired stays."""
    made = table(CONFIG)
    wrong = codec.encode(replace(CONFIG, base_path="/other", parameters={POLICY: name}))
    assert made.apply(b"m", wrong, 1) == (Change.INVALID, "m")
    model = made.models["m"]
    assert model.config is not None
    assert model.config.base_path == "/m"
    assert said in str(model.problem)


def test_an_installed_policy_is_made_by_its_first_decision_and_once(installed: Install) -> None:
    """A worker none of whose models names it does not import it."""
    own = installed("our_policies:Lazy")
    assert "our_policies" not in sys.modules
    assert own.next_action(REPLACED) is None
    assert own.next_action(REPLACED) is None
    assert len(sys.modules["our_policies"].made) == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("our_policies:broken", "cannot be made on this worker: OSError: no licence"),
        ("our_policies:missing", "cannot be made on this worker: AttributeError"),
        ("not_there:Lazy", "cannot be made on this worker: ModuleNotFoundError"),
        ("our_policies:nothing", "is a dict, which is no policy: it has no next_action"),
    ],
)
def test_a_policy_that_cannot_be_made_says_whose_it_is(installed: Install, value: str, said: str) -> None:
    """And is tried again: what is missing may come."""
    own = installed(value)
    for _ in range(2):
        with pytest.raises(PolicyFailed, match=said) as caught:
            own.next_action(REPLACED)
        assert f"policy 'own' ({value} of our-policies 1.0)" in str(caught.value)


def test_names_of_ours_cannot_be_taken(tmp_path: Path) -> None:
    """The worker's log says so."""
    theirs = distributions.install(
        tmp_path, "theirs", {"resource_preserving": "x:y", "-": "x:z"}, group="headrace.policies"
    )
    found = policies.find([theirs])
    assert found.usable == {}
    assert (
        "policy 'resource_preserving' is headrace's own; x:y of theirs 1.0 must offer its policy"
        in found.problems[1]
    )
    assert "policy '-' is not allowed" in found.problems[0]
    assert policies.all_policies(found) == policies.SHIPPED
