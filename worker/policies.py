"""The policies that a control record may name: TensorFlow Serving's two, and those that other distributions bring.

A distribution offers one by an entry point in the group `headrace.policies`: its name is what control records say, its
object is called without arguments and returns a `lifecycle.aspired_version_policy.AspiredVersionPolicy`. It is imported
when a model that names it is first decided upon.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Protocol

from lifecycle.aspired_version_policy import (
    Action,
    AspiredVersionPolicy,
    AvailabilityPreservingPolicy,
    ResourcePreservingPolicy,
    VersionSnapshot,
)
from lifecycle.errors import PolicyFailed
from worker import control_record, entry_points
from worker.entry_points import Kind, Offer, Offers
from worker.model_table import DesiredModel

KIND = Kind("headrace.policies", "policy", control_record.check_policy_name)

SHIPPED: Mapping[str, AspiredVersionPolicy] = {
    "availability_preserving": AvailabilityPreservingPolicy(),
    "resource_preserving": ResourcePreservingPolicy(),
}
"""Those that headrace brings, by the names that control records use."""


def find(distributions: Iterable[metadata.Distribution] | None = None) -> Offers:
    """The policies that *distributions* (by default: everything installed) bring beside those of headrace."""
    return entry_points.find(KIND, SHIPPED, distributions)


class CustomPolicy:
    """A policy that another distribution brings; it is imported and made by its first decision."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._inner: AspiredVersionPolicy | None = None

    def next_action(self, versions: Sequence[VersionSnapshot]) -> Action | None:
        """What the distribution's policy says.

        Raises:
            PolicyFailed: it cannot be imported or made; besides, whatever it raises itself.
        """
        if self._inner is None:
            self._inner = self._make()
        return self._inner.next_action(versions)

    def _make(self) -> AspiredVersionPolicy:
        what = f"policy {self._offer.name!r} ({self._offer})"
        try:
            policy = self._offer.entry_point.load()()
        except Exception as error:
            raise PolicyFailed(
                f"{what} cannot be made on this worker: {type(error).__name__}: {error}"
            ) from error
        if not callable(getattr(policy, "next_action", None)):
            raise PolicyFailed(
                f"{what} is a {type(policy).__name__}, which is no policy: it has no next_action"
            )
        return policy  # type: ignore[no-any-return]


class Models(Protocol):
    """What is asked of `worker.model_table.ModelTable`."""

    def lookup(self, name: str) -> DesiredModel | None:
        """The desired model of that name."""
        ...


class ModelPolicies:
    """The policy of each model, as its control record says; itself an `AspiredVersionPolicy`.

    Args:
        models: which model wants which.
        policies: by name; a record that names another one is not applied.
        default: the name for those that say nothing, and for those that are being removed.
    """

    def __init__(self, models: Models, policies: Mapping[str, AspiredVersionPolicy], default: str) -> None:
        self._models = models
        self._policies = policies
        self._default = default

    def next_action(self, versions: Sequence[VersionSnapshot]) -> Action | None:
        """What the policy of these versions' model says."""
        model = self._models.lookup(versions[0].id.name) if versions else None
        named = None if model is None or model.config is None else model.config.policy
        return self._policies[named or self._default].next_action(versions)


def all_policies(offers: Offers) -> Mapping[str, AspiredVersionPolicy]:
    """Those of headrace and those that are installed, by name."""
    return {**SHIPPED, **{name: CustomPolicy(offer) for name, offer in offers.usable.items()}}
