"""When a worker may join its request group: promise 6 as a pure decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lifecycle.managed_servable import VersionStatus
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from worker.model_table import DesiredModel, Sleep


@dataclass(frozen=True)
class JoinRule:
    """When to join; the fields are those of the settings group `join`.

    Attributes:
        when: `settled`: each desired version is available, or its first load has ended badly; `all`: each is
            available.
        without_models: whether to join while no model is configured.
        timeout_seconds: how long `settled` waits after the control topic has been read.
    """

    when: Literal["settled", "all"] = "settled"
    without_models: bool = False
    timeout_seconds: float = 600.0


def waits_for(
    rule: JoinRule,
    models: Mapping[str, DesiredModel],
    states: Mapping[ServableId, VersionStatus],
    waited_seconds: float,
) -> str | None:
    """What a worker that has read the whole control topic still waits for; None: it may join.

    Args:
        rule: the settings.
        models: the desired models; of a lazy one that sleeps, only its versions have to be known.
        states: the managed versions; one whose load has failed and will be repeated shows its error.
        waited_seconds: the time since the control topic was read.
    """
    if not models:
        return None if rule.without_models else "no model is configured"
    if rule.when == "settled" and waited_seconds >= rule.timeout_seconds:
        return None
    waiting = [reason for model in models.values() for reason in _reasons(rule, model, states)]
    if not waiting:
        return None
    more = f" and {len(waiting) - 3} more" if len(waiting) > 3 else ""
    return ", ".join(waiting[:3]) + more


def _reasons(rule: JoinRule, model: DesiredModel, states: Mapping[ServableId, VersionStatus]) -> list[str]:
    reasons = []
    if not model.versions:
        if model.arriving:
            reasons.append(f"{model.name}/{model.arriving[0]} (its files are still changing)")
        elif model.problem is None:
            reasons.append(f"{model.name} (its base path is being looked at)")
        elif rule.when == "all":
            reasons.append(f"{model.name} ({model.problem})")
    for version in model.versions if model.sleep is not Sleep.ASLEEP else ():
        status = states.get(ServableId(model.name, version))
        if status is not None and status.state is ServableState.AVAILABLE:
            continue
        failed = version in model.failures or (status is not None and status.error is not None)
        if not failed or rule.when == "all":
            reasons.append(f"{model.name}/{version}")
    return reasons
