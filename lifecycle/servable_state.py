"""What outsiders may know about one version: its public state, and the event that tells of a change.

The numbers are TensorFlow Serving's (`apis/get_model_status.proto`), so that a gauge of states reads alike.
The harness has finer states of its own (`loader_harness`): those say how it is done, these say what holds.
"""

import dataclasses
import enum

from lifecycle import errors
from lifecycle.servable_id import ServableId


class ServableState(enum.IntEnum):
    """Where a version stands."""

    START = 10
    """Managed; its load has not begun."""
    LOADING = 20
    """A load was begun; it may be between two tries."""
    AVAILABLE = 30
    """A handle can be had. Published only after that is true."""
    UNLOADING = 40
    """On its way out. Published before it can no longer be had; handles taken earlier stay good."""
    END = 50
    """Unloaded; or failed, when the event has an error."""


@dataclasses.dataclass(frozen=True, slots=True)
class ServableEvent:
    """One version has reached a state. `time` is the wall clock in seconds since the epoch."""

    id: ServableId
    state: ServableState
    error: errors.LifecycleError | None
    time: float

    @property
    def available(self) -> bool:
        """Whether a handle can be had."""
        return self.state is ServableState.AVAILABLE

    @property
    def ended(self) -> bool:
        """Whether this life of the version is over; `error` says whether badly."""
        return self.state is ServableState.END

    def __str__(self) -> str:
        return f"{self.id} {self.state.name}" + (f" ({self.error})" if self.error else "")
