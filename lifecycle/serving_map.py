"""Which versions a handle can be had of, in a map that is read without a lock.

Source: TensorFlow Serving's `BasicManager::ServingMap`, which holds ready servables only.
"""

import threading
from collections.abc import Mapping

from lifecycle import errors, servable_handle
from lifecycle.servable_id import Pick, ServableId, ServableRequest


class _Stream:
    """The available versions of one name, ascending; never empty, never changed."""

    __slots__ = ("by_version", "earliest", "latest")

    def __init__(self, by_version: Mapping[int, servable_handle.Pins]) -> None:
        self.by_version = {version: by_version[version] for version in sorted(by_version)}
        self.earliest = self.by_version[min(by_version)]
        self.latest = self.by_version[max(by_version)]


class ServingMap:
    """The available versions by name. Thread-safe.

    Readers look at an immutable mapping that writers replace as a whole (one copied entry a name), so that a
    request meets no lock but that of its own version, and sees all of a change or nothing.
    """

    def __init__(self) -> None:
        self._writing = threading.Lock()  # guards the replacing of _streams
        self._streams: Mapping[str, _Stream] = {}

    def add(self, pins: servable_handle.Pins) -> None:
        """From now on handles can be had of one version more."""
        with self._writing:
            stream = self._streams.get(pins.id.name)
            versions = {} if stream is None else stream.by_version
            grown = _Stream({**versions, pins.id.version: pins})
            self._streams = {**self._streams, pins.id.name: grown}

    def remove(self, servable_id: ServableId) -> None:
        """From now on no new reader finds that version. Requires: it was added."""
        with self._writing:
            left = dict(self._streams[servable_id.name].by_version)
            del left[servable_id.version]
            streams = dict(self._streams)
            if left:
                streams[servable_id.name] = _Stream(left)
            else:
                del streams[servable_id.name]
            self._streams = streams

    def take(self, name: str, version: int | None) -> servable_handle.ServableHandle:
        """A handle on a version, or on the latest.

        Raises:
            ServableNotFound: no such version is available.
        """
        while True:
            handle = self._find(name, version).take()
            if handle is not None:
                return handle
            # The version was closed after this thread had read the map; the map that it reads next is
            # without it.

    def take_for(self, request: ServableRequest) -> servable_handle.ServableHandle:
        """As `take`, for a request that may also ask for the earliest version."""
        while True:
            stream = self._streams.get(request.name)
            earliest = request.pick is Pick.EARLIEST and stream is not None
            pins = stream.earliest if earliest and stream else self._find(request.name, request.version)
            handle = pins.take()
            if handle is not None:
                return handle

    def take_all(self) -> dict[ServableId, servable_handle.ServableHandle]:
        """A handle on each available version."""
        taken = (pins.take() for stream in self._streams.values() for pins in stream.by_version.values())
        return {handle.id: handle for handle in taken if handle is not None}

    def ids(self) -> tuple[ServableId, ...]:
        """The available versions, ascending."""
        streams = self._streams.values()
        return tuple(sorted(pins.id for stream in streams for pins in stream.by_version.values()))

    def _find(self, name: str, version: int | None) -> servable_handle.Pins:
        stream = self._streams.get(name)
        if stream is None:
            raise errors.ServableNotFound(f"servable {name!r} has no available version")
        if version is None:
            return stream.latest
        pins = stream.by_version.get(version)
        if pins is None:
            available = ", ".join(map(str, stream.by_version))
            raise errors.ServableNotFound(
                f"version {version} of servable {name!r} is not available; available: {available}"
            )
        return pins
