"""The counted reference under which a version is never unloaded.

Counts are kept per servable version, each with a lock of its own, so that a long request on one version
delays nobody else's load or unload. (TensorFlow Serving swaps one map for all versions and waits for its
readers.)
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lifecycle import servable
from lifecycle.servable_id import ServableId


class ServableHandle:
    """Keeps one version loaded until it is released. Made by a manager, or by `another`; a context manager.

    It may be passed between threads. Releasing it twice is harmless. One that is forgotten keeps its version
    loaded for ever: the count in the manager's `states()` shows it.
    """

    __slots__ = ("_pins", "_released", "id")

    def __init__(self, pins: "Pins") -> None:
        self.id = pins.id
        self._pins = pins
        self._released = False

    @property
    def servable(self) -> servable.Servable:
        """The servable. Requires: the handle is not released."""
        held = self._pins.servable
        if self._released or held is None:
            raise RuntimeError(f"the handle on {self.id} was released; its servable may be gone")
        return held

    def another(self) -> "ServableHandle":
        """One more handle on the same version, also when it is on its way out. Requires: not released."""
        return self._pins.take_beside(self)

    def release(self) -> None:
        """Let go. The last release allows the unload, which never runs on the releasing thread."""
        self._pins.let_go(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pins.let_go(self)

    def __repr__(self) -> str:
        return f"<ServableHandle {self.id}{' released' if self._released else ''}>"


class Pins:
    """The handles on one version: taken until closed, then counted down to zero. Thread-safe.

    It holds the servable for its handles, so that a released handle that somebody still keeps does not keep
    the servable in memory, and the memory is freed by the unload's thread.
    """

    __slots__ = ("_held", "_lock", "_on_idle", "_open", "id", "servable")

    def __init__(self, servable_id: ServableId, held: servable.Servable) -> None:
        self.id = servable_id
        self.servable: servable.Servable | None = held
        self._lock = threading.Lock()  # guards the three below and every handle's _released
        self._held = 0
        self._open = True
        self._on_idle: Callable[[], None] | None = None

    @property
    def held(self) -> int:
        """How many handles are not released."""
        return self._held

    def take(self) -> ServableHandle | None:
        """A new handle; None when closed."""
        handle = ServableHandle(self)
        with self._lock:
            if not self._open:
                return None
            self._held += 1
        return handle

    def take_beside(self, handle: ServableHandle) -> ServableHandle:
        """A new handle next to one that is not released."""
        second = ServableHandle(self)
        with self._lock:
            if handle._released:  # noqa: SLF001 - a handle's count lives here, beside the lock that guards it
                raise RuntimeError(f"the handle on {self.id} was released; ask the manager for a new one")
            self._held += 1
        return second

    def let_go(self, handle: ServableHandle) -> None:
        """Count a handle down; the last one after `close` calls `on_idle`, outside the lock."""
        with self._lock:
            if handle._released:  # noqa: SLF001 - as above
                return
            handle._released = True  # noqa: SLF001 - as above
            self._held -= 1
            on_idle = self._on_idle if self._held == 0 else None
        if on_idle is not None:
            on_idle()

    def close(self, on_idle: Callable[[], None]) -> bool:
        """Give out no more handles.

        Returns:
            True when none is held: `on_idle` is then never called. Otherwise False, and the thread that
            releases the last handle calls `on_idle` once: it must only schedule what is to be done.
        """
        with self._lock:
            self._open = False
            if self._held == 0:
                return True
            self._on_idle = on_idle
            return False
