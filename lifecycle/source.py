"""Who says which versions are aspired, to whom, and in which form.

Source: TensorFlow Serving's `core/source.h`, `core/target.h` and `core/servable_data.h`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from lifecycle import errors, loader
from lifecycle.servable_id import ServableId

T = TypeVar("T")


class Version(Protocol):
    """What a list of versions is made of: `AspiredVersion` for a manager, `ServableData` before there are loaders."""

    @property
    def id(self) -> ServableId:
        """Which version."""
        ...


V = TypeVar("V", bound=Version)
V_co = TypeVar("V_co", bound=Version, covariant=True)
V_contra = TypeVar("V_contra", bound=Version, contravariant=True)


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


@dataclasses.dataclass(frozen=True)  # with slots, Python 3.11 could not call `ServableData[str]`
class ServableData(Generic[T]):
    """One version that is wanted, before it has a loader: with what leads to one, or the reason why nothing does.

    Attributes:
        id: which version.
        data: its directory, say; what a `source_adapter.SourceAdapter` makes a loader of.
        error: why there are no data.
    """

    id: ServableId
    data: T | None = None
    error: errors.LifecycleError | None = None

    def __post_init__(self) -> None:
        if (self.data is None) == (self.error is None):
            raise ValueError(f"{self.id} needs either data or an error")


AspiredVersionsCallback = Callable[[str, Sequence[V]], None]
"""Called with a servable's name and the complete list of its aspired versions.

1. The list is complete: a version that is not in it is no longer aspired; an empty list unloads the servable.
2. What was aspired and still is keeps the loader that it has; the new factory is for its next life. So a
   version that is to come from elsewhere is left out first, and aspired again once it is gone.
3. Calls for one name are applied in their order; one that was not yet begun may be passed over for the next.
4. The call only takes note; it never waits for a load or an unload.
"""


class Source(Protocol[V_co]):
    """Says which versions are aspired: once, or whenever that changes, from any thread."""

    def set_aspired_versions_callback(self, callback: AspiredVersionsCallback[V_co]) -> None:
        """Be told whom to tell; called once, before anything is said. It may call back at once."""
        ...


class Target(Protocol[V_contra]):
    """Is told which versions are aspired; a manager is one."""

    def set_aspired_versions(self, name: str, versions: Sequence[V_contra]) -> None:
        """An `AspiredVersionsCallback`."""
        ...


def connect(source: Source[V], target: Target[V]) -> None:
    """Let a source speak to a target."""
    source.set_aspired_versions_callback(target.set_aspired_versions)
