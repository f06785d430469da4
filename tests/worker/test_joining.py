"""When a worker joins its request group."""

from dataclasses import replace

import pytest

from lifecycle.errors import LifecycleError, LoadFailed
from lifecycle.loader_harness import HarnessState
from lifecycle.managed_servable import VersionStatus
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from schemas.model_config import ModelConfig
from worker.joining import JoinRule, waits_for
from worker.model_table import DesiredModel, Sleep

CONFIG = ModelConfig("/m")
SETTLED = JoinRule()
ALL = JoinRule(when="all")


def model(*versions: int, problem: str | None = None, failures: dict[int, str] | None = None) -> DesiredModel:
    """A desired model."""
    return DesiredModel("m", CONFIG, 0, 0, versions=versions, problem=problem, failures=failures or {})


def status(version: int, state: ServableState, error: LifecycleError | None = None) -> VersionStatus:
    """A managed version."""
    return VersionStatus(
        ServableId("m", version), state, HarnessState.NEW, True, error, 0.0, None, 1, 0, running=False
    )


def waits(
    rule: JoinRule, desired: DesiredModel | None, *statuses: VersionStatus, waited: float = 0.0
) -> str | None:
    """What the worker waits for."""
    models = {} if desired is None else {"m": desired}
    return waits_for(rule, models, {s.id: s for s in statuses}, waited)


@pytest.mark.parametrize("rule", [SETTLED, ALL])
def test_it_joins_when_each_version_is_available(rule: JoinRule) -> None:
    """Under either rule."""
    assert waits(rule, model(1), status(1, ServableState.AVAILABLE)) is None


@pytest.mark.parametrize("state", [ServableState.START, ServableState.LOADING, ServableState.UNLOADING])
def test_it_waits_for_a_version_that_is_on_its_way(state: ServableState) -> None:
    """Also for one that no manager knows yet."""
    assert waits(SETTLED, model(1), status(1, state)) == "m/1"
    assert waits(SETTLED, model(1)) == "m/1"


@pytest.mark.parametrize("rule", [SETTLED, ALL])
def test_it_waits_for_a_first_version_whose_files_are_still_being_copied(rule: JoinRule) -> None:
    """But not for a newer one beside a version that serves."""
    copied = replace(model(), arriving=(5,))
    assert waits(rule, copied) == "m/5 (its files are still changing)"
    assert waits(SETTLED, copied, waited=600.0) is None
    assert waits(rule, replace(model(4), arriving=(5,)), status(4, ServableState.AVAILABLE)) is None


@pytest.mark.parametrize("state", [ServableState.LOADING, ServableState.END])
def test_a_version_whose_first_load_ended_badly_is_settled(state: ServableState) -> None:
    """Retries go on after joining."""
    failed = status(1, state, LoadFailed("no"))

    assert waits(SETTLED, model(1), failed) is None
    assert waits(ALL, model(1), failed) == "m/1"


def test_a_version_that_is_missing_is_settled() -> None:
    """It is looked for on and on, which nobody waits for but `all`."""
    missing = model(1, failures={1: "gone"}, problem="gone")

    assert waits(SETTLED, missing) is None
    assert waits(ALL, missing) == "m/1"


def test_a_model_without_any_version_waits_for_its_first_look_only() -> None:
    """Its problem settles it, unless all must be available."""
    assert waits(SETTLED, model()) == "m (its base path is being looked at)"
    assert waits(SETTLED, model(problem="empty")) is None
    assert waits(ALL, model(problem="empty")) == "m (empty)"


def test_it_does_not_join_while_no_model_is_configured_unless_told_to() -> None:
    """It could only answer NOT_FOUND."""
    assert waits(SETTLED, None, waited=1e9) == "no model is configured"
    assert waits(JoinRule(without_models=True), None) is None


def test_settled_gives_up_waiting_after_its_time() -> None:
    """It then joins with what it has; `all` never does."""
    loading = status(1, ServableState.LOADING)

    assert waits(SETTLED, model(1), loading, waited=599.0) == "m/1"
    assert waits(SETTLED, model(1), loading, waited=600.0) is None
    assert waits(ALL, model(1), loading, waited=1e9) == "m/1"


def test_of_many_versions_a_few_are_named() -> None:
    """A log line stays a line."""
    assert waits(SETTLED, model(5, 4, 3, 2, 1)) == "m/5, m/4, m/3 and 2 more"


@pytest.mark.parametrize("rule", [SETTLED, ALL])
def test_it_waits_for_no_lazy_model_that_sleeps_but_for_what_its_versions_are(rule: JoinRule) -> None:
    """Otherwise a request for one of them would be refused; one that was woken before is waited for."""
    assert waits(rule, replace(model(1, 2), sleep=Sleep.ASLEEP)) is None
    looked_at = replace(model(), sleep=Sleep.ASLEEP)
    assert waits(rule, looked_at) == "m (its base path is being looked at)"
    assert waits(rule, replace(model(1), sleep=Sleep.WAKING)) == "m/1"
