"""Where a source speaks to its target; what is said before there is one waits for it."""

import threading
from collections.abc import Sequence
from typing import Generic

from lifecycle.source import AspiredVersionsCallback, V


class SourcePort(Generic[V]):
    """The side of an adapter or a router that faces one target. Thread-safe; a `source.Source`.

    1. Lists are passed on one at a time, so that those for one name arrive in the order in which they were said. The
       target's call takes note and returns; it must not speak to this source.
    2. Until a target is connected, the last list of each name is kept for it. (TensorFlow Serving holds the thread that
       speaks until then.)
    """

    def __init__(self) -> None:
        self._passing = threading.Lock()  # held while the target is told; guards the two below
        self._callback: AspiredVersionsCallback[V] | None = None
        self._kept: dict[str, Sequence[V]] = {}

    def set_aspired_versions_callback(self, callback: AspiredVersionsCallback[V]) -> None:
        """Speak to this target, and begin with what was kept for it.

        Raises:
            RuntimeError: there is a target already; a router speaks to several.
            Exception: what the target raises; it is not connected then, and nothing that was kept is lost.
        """
        with self._passing:
            if self._callback is not None:
                raise RuntimeError(
                    "this source has a target already; put a router between it and several targets"
                )
            for name, versions in self._kept.items():
                callback(name, versions)
            self._callback = callback
            self._kept.clear()

    def say(self, name: str, versions: Sequence[V]) -> None:
        """Tell the target the complete list of one name; raises what the target raises."""
        with self._passing:
            if self._callback is None:
                self._kept[name] = tuple(versions)
            else:
                self._callback(name, versions)
