"""What the managed versions of one lazy model come to; pure."""

from collections.abc import Mapping

from lifecycle.managed_servable import VersionStatus
from lifecycle.servable_state import ServableState
from worker.model_table import DesiredModel

Versions = Mapping[int, VersionStatus]


def is_whole(model: DesiredModel, versions: Versions) -> bool:
    """Whether each desired version is available or has failed, so that requests go where they would always go."""
    wanted = [version for version in model.versions if version not in model.failures]
    return all(version in versions and _is_settled(versions[version]) for version in wanted)


def _is_settled(status: VersionStatus) -> bool:
    return status.aspired and (status.state is ServableState.AVAILABLE or status.error is not None)


def is_in_use(versions: Versions) -> bool:
    """Whether a request is with one of them."""
    return any(each.handles for each in versions.values())


def is_going(versions: Versions) -> bool:
    """Whether what is left of a model that sleeps has to go before it is loaded anew.

    What the manager has been told to let go of, and keeps because a policy says so, need not.
    """
    kept = ServableState.END, ServableState.AVAILABLE
    return any(each.aspired or each.state not in kept for each in versions.values())


def is_alive(versions: Versions) -> bool:
    """Whether one of them is loaded, or on its way in or out."""
    return any(each.state is not ServableState.END for each in versions.values())
