"""A fixed set of servables, loaded once: for programs whose models never change while they run.

Source: TensorFlow Serving's `core/static_manager.h`. What differs: it loads with loaders, as the other managers do.
"""

import threading
from typing import Self

from lifecycle import basic_manager, errors, execution, loader, servable_handle
from lifecycle.loader_harness import LoadOptions
from lifecycle.managed_servable import VersionStatus
from lifecycle.servable_id import ServableId, ServableRequest
from lifecycle.servable_state import ServableState
from lifecycle.servable_state_monitor import ServableStateMonitor

_LOOK_SECONDS = 0.05
"""How often the building thread looks for what nobody tells: a try that is due, or past its limit."""

_UNLOAD_SECONDS = 60.0
"""How long a failed build waits for the unload of what it has loaded; nobody has had a handle yet."""


class StaticManager:
    """Gives handles on what its builder has loaded, and on nothing else. Thread-safe."""

    def __init__(self, basic: basic_manager.BasicManager) -> None:
        """For `StaticManagerBuilder`: everything in the basic manager is available."""
        self._basic = basic
        self.bus = basic.bus

    def handle(self, name: str, version: int | None = None) -> servable_handle.ServableHandle:
        """A handle on a version, or on the latest.

        Raises:
            ServableNotFound: there is no such version, or the manager was closed.
        """
        return self._basic.handle(name, version)

    def handle_for(self, request: ServableRequest) -> servable_handle.ServableHandle:
        """As `handle`, for a request that may also ask for the earliest version."""
        return self._basic.handle_for(request)

    def available_handles(self) -> dict[ServableId, servable_handle.ServableHandle]:
        """A handle on each version; the caller releases them."""
        return self._basic.available_handles()

    def available_ids(self) -> tuple[ServableId, ...]:
        """All ids, ascending; none after the close."""
        return self._basic.available_ids()

    def states(self) -> tuple[VersionStatus, ...]:
        """Every version, by name and ascending version."""
        return self._basic.states()

    def close(self, timeout_seconds: float) -> tuple[ServableId, ...]:
        """Unload everything.

        Returns:
            The versions that are not unloaded after that time, since a handle is held. When there are any, a later
            release still unloads, and `close` may be called once more.
        """
        return self._basic.close(timeout_seconds)


class StaticManagerBuilder:
    """Collects loaders, then makes one manager of them. Used by one thread."""

    def __init__(
        self,
        options: execution.BasicManagerOptions | None = None,
        surroundings: execution.Surroundings | None = None,
    ) -> None:
        """Nothing is loaded before `build`.

        Args:
            options: how loads and unloads are carried out; by default in the thread that builds, one after the other,
                and tried once.
            surroundings: the bus, the clock and the executors.
        """
        self._options = options or execution.BasicManagerOptions(load=LoadOptions(retries=0))
        self._surroundings = surroundings or execution.Surroundings()
        self._loaders: dict[ServableId, loader.Loader] = {}
        self._built = False

    def add(self, servable_id: ServableId, loader: loader.Loader) -> Self:
        """One version more; gives the builder back, for the next one.

        Raises:
            AlreadyManaged: there is a loader for this version; it stays.
            RuntimeError: the manager has been built.
        """
        self._check_not_built()
        if servable_id in self._loaders:
            raise errors.AlreadyManaged(f"{servable_id} was added already")
        self._loaders[servable_id] = loader
        return self

    def build(self) -> StaticManager:
        """Load everything, and give the manager when all of it is available. A builder builds once.

        Raises:
            LoadFailed: a version could not be loaded; tells the reason of each. What was loaded is unloaded again.
            RuntimeError: the manager has been built.
        """
        self._check_not_built()
        self._built = True
        basic = basic_manager.BasicManager(self._options, self._surroundings)
        try:
            self._load_all(basic)
        except BaseException:
            basic.close(_UNLOAD_SECONDS)
            raise
        finally:
            self._loaders.clear()
        return StaticManager(basic)

    def _load_all(self, basic: basic_manager.BasicManager) -> None:
        monitor = ServableStateMonitor(basic.bus)
        try:
            for servable_id, loader in self._loaders.items():
                basic.manage(servable_id, loader)
            for servable_id in self._loaders:
                basic.load(servable_id)

            def wait(settled: threading.Event, _timeout_seconds: float | None) -> bool:
                while not settled.wait(_LOOK_SECONDS):
                    basic.step()
                return True

            wanted = [ServableRequest.specific(each.name, each.version) for each in self._loaders]
            if monitor.wait_until_reached(wanted, ServableState.AVAILABLE, None, wait):
                return
        finally:
            monitor.close()
        failed = [status for status in basic.states() if status.error is not None]
        reasons = "; ".join(str(status.error) for status in failed)
        raise errors.LoadFailed(
            f"{len(failed)} of {len(self._loaders)} versions could not be loaded: {reasons}"
        )

    def _check_not_built(self) -> None:
        if self._built:
            raise RuntimeError("this builder has built its manager; make another one")
