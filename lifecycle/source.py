"""Who says which versions are aspired, to whom, and in which form.

Source: TensorFlow Serving's `core/source.h` and `core/target.h`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

from lifecycle import errors, loader
from lifecycle.servable_id import ServableId


@dataclasses.dataclass(frozen=True, slots=True)
class AspiredVersion:
    """One version that is wanted: with the way to load it, or with the reason why there is none.

    Attributes:
        id: which version.
        loader_factory: makes a loader, cheaply; a loader is for one life, and a version may have several.
        error: why there is no loader; the version is then shown as failed.
    """

    id: ServableId
    loader_factory: Callable[[], loader.Loader] | None = None
    error: errors.LifecycleError | None = None

    def __post_init__(self) -> None:
        if (self.loader_factory is None) == (self.error is None):
            raise ValueError(f"{self.id} needs either a loader factory or an error")


AspiredVersionsCallback = Callable[[str, Sequence[AspiredVersion]], None]
"""Called with a servable's name and the complete list of its aspired versions.

1. The list is complete: a version that is not in it is no longer aspired; an empty list unloads the servable.
2. What was aspired and still is keeps the loader that it has; the new factory is for its next life. So a
   version that is to come from elsewhere is left out first, and aspired again once it is gone.
3. Calls for one name are applied in their order; one that was not yet begun may be passed over for the next.
4. The call only takes note; it never waits for a load or an unload.
"""


class Source(Protocol):
    """Says which versions are aspired: once, or whenever that changes, from any thread."""

    def set_aspired_versions_callback(self, callback: AspiredVersionsCallback) -> None:
        """Be told whom to tell; called once, before anything is said. It may call back at once."""
        ...


class Target(Protocol):
    """Is told which versions are aspired; a manager is one."""

    def set_aspired_versions(self, name: str, versions: Sequence[AspiredVersion]) -> None:
        """An `AspiredVersionsCallback`."""
        ...


def connect(source: Source, target: Target) -> None:
    """Let a source speak to a target."""
    source.set_aspired_versions_callback(target.set_aspired_versions)
