"""Makes aspired versions of what a source knows, such as paths: it stands between a source and a manager.

Source: TensorFlow Serving's `core/source_adapter.h`, there `UnarySourceAdapter`.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Generic

from lifecycle import errors, loader, source_port
from lifecycle.servable_id import ServableId
from lifecycle.source import AspiredVersion, AspiredVersionsCallback, ServableData, T

_log = logging.getLogger(__name__)

LoaderFactory = Callable[[], loader.Loader]
"""Makes a loader, cheaply, for each life of one version."""


class SourceAdapter(Generic[T]):
    """Turns data into loader factories, one version at a time. Thread-safe; a `source.Target` and a `source.Source`.

    1. Every version of a list is passed on, in its place.
    2. One that cannot be converted is passed on with the reason and holds up no other; a manager shows it as failed.
    3. One that comes with an error keeps it, and is not converted.

    So an adapter whose function only raises tells a manager why a servable is not served: it belongs behind the port
    of a router to which unknown names go.
    """

    def __init__(self, convert: Callable[[ServableId, T], LoaderFactory]) -> None:
        """Nothing is converted before it is told of it.

        Args:
            convert: makes the loader factory of a version from its data. It is called in the thread that speaks, once
                for each version of each list, and raises where that is not possible; a `LifecycleError` is told as it
                is.
        """
        self._convert = convert
        self._port: source_port.SourcePort[AspiredVersion] = source_port.SourcePort()

    def set_aspired_versions_callback(self, callback: AspiredVersionsCallback[AspiredVersion]) -> None:
        """Speak to this target, and begin with what was kept for it; raises as `SourcePort`."""
        self._port.set_aspired_versions_callback(callback)

    def set_aspired_versions(self, name: str, versions: Sequence[ServableData[T]]) -> None:
        """Convert the complete list of one name and pass it on; raises what the target raises."""
        self._port.say(name, [self._adapted(version) for version in versions])

    def _adapted(self, version: ServableData[T]) -> AspiredVersion:
        if version.data is None:
            return AspiredVersion(version.id, error=version.error)
        try:
            return AspiredVersion(version.id, self._convert(version.id, version.data))
        except errors.LifecycleError as error:
            return AspiredVersion(version.id, error=error)
        except Exception as error:  # noqa: BLE001 - a conversion may raise anything; it fails this version alone
            _log.warning("making a loader factory for %s failed", version.id, exc_info=True)
            why = f"no loader for {version.id}: {type(error).__name__}: {error}"
            return AspiredVersion(version.id, error=errors.LoadFailed(why))
