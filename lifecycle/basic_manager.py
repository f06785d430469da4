"""The mechanism: loads and unloads single versions as it is told, and gives out handles on what is loaded.

Source: TensorFlow Serving's `core/basic_manager.h`. What differs: handles are counted for each version, so
that quiescing holds neither a lock nor a thread; waits between tries hold no thread either; a load has a
time limit.
"""

import contextlib

from lifecycle import errors, execution, loader, loader_harness, servable_handle
from lifecycle.loader_harness import HarnessState
from lifecycle.managed_servable import ManagedServable, VersionStatus
from lifecycle.resources import ResourceAllocation
from lifecycle.servable_id import ServableId, ServableRequest
from lifecycle.servable_state import ServableState


class BasicManager:
    """Manages versions one by one, on demand. Thread-safe; it decides under its lock and acts outside it.

    A life goes: `manage`, `load`, `unload`, `stop_managing`. Whatever takes time goes on by itself on the
    load and unload threads, except for what depends on the time: somebody calls `step` now and then, from
    any thread.

    1. A handle can be had from before AVAILABLE is published until after UNLOADING is published.
    2. No loader is unloaded under a handle, and never by the thread that releases the last one.
    3. No lock and no thread is held while a version waits for its handles or for its next try.
    4. A version that fails stays managed and visible until `stop_managing`.

    It never decides by itself to load or unload anything.
    """

    def __init__(
        self,
        options: execution.BasicManagerOptions | None = None,
        surroundings: execution.Surroundings | None = None,
        make_room: execution.MakeRoom | None = None,
    ) -> None:
        """Nothing is managed yet; *make_room* is called without a lock when a load does not fit."""
        self._options = options or execution.BasicManagerOptions()
        self._execution = execution.Execution(self._options, surroundings or execution.Surroundings())
        if make_room is not None:
            self._execution.make_room = make_room
        self.bus = self._execution.bus
        self._serving = self._execution.serving
        self._changed = self._execution.changed  # guards the two below and every harness
        self._managed: dict[ServableId, ManagedServable] = {}
        self._closed = False

    def handle(self, name: str, version: int | None = None) -> servable_handle.ServableHandle:
        """A handle on a version, or on the latest available one; meets no lock but that of the version.

        Raises:
            ServableNotFound: no such version is available.
        """
        return self._serving.take(name, version)

    def handle_for(self, request: ServableRequest) -> servable_handle.ServableHandle:
        """As `handle`, for a request that may also ask for the earliest version."""
        return self._serving.take_for(request)

    def available_handles(self) -> dict[ServableId, servable_handle.ServableHandle]:
        """A handle on each available version; the caller releases them."""
        return self._serving.take_all()

    def available_ids(self) -> tuple[ServableId, ...]:
        """The ids of which a handle can be had, ascending."""
        return self._serving.ids()

    def manage(
        self,
        servable_id: ServableId,
        loader: loader.Loader,
        earlier_error: errors.LifecycleError | None = None,
    ) -> None:
        """Take a version into management; nothing is loaded yet.

        Args:
            servable_id: the version.
            loader: a loader of its own.
            earlier_error: why its life before this one failed; shown until it is available.

        Raises:
            AlreadyManaged: it is managed; the first loader stays.
            ManagerClosed: the manager was closed.
        """
        with self._changed:
            managed = self._add(servable_id, loader)
            managed.earlier_error = earlier_error
            self._execution.note(managed, ServableState.START)
        self.bus.deliver()

    def manage_failed(self, servable_id: ServableId, error: errors.LifecycleError) -> None:
        """Take a version into management for which there is only a reason why not; raises as `manage`."""
        with self._changed:
            managed = self._add(servable_id, None)
            managed.harness.fail(error)
            self._execution.note(managed, ServableState.END)
        self.bus.deliver()

    def stop_managing(self, servable_id: ServableId) -> None:
        """Forget a version of which nothing is loaded or under way; a new one is published as ended.

        Raises:
            NotManaged: it is not managed.
            IllegalTransition: it is neither new nor ended.
        """
        with self._changed:
            managed = self._find(servable_id)
            state = managed.harness.state
            if state not in loader_harness.AT_REST:
                raise errors.IllegalTransition(
                    f"{servable_id} is {state.value!r} and cannot be forgotten yet"
                )
            del self._managed[servable_id]
            if state is HarnessState.NEW:
                self._execution.note(managed, ServableState.END)
        self.bus.deliver()

    def load(self, servable_id: ServableId) -> None:
        """Load a new version; how it ends is published.

        Raises:
            NotManaged: it is not managed.
            IllegalTransition: it is not new.
            ManagerClosed: the manager was closed.
        """
        with self._changed:
            self._check_open(servable_id)
            managed = self._find(servable_id)
            self._execution.request(managed)
        self._execution.load(managed)

    def set_load_threads(self, threads: int) -> None:
        """Load so many at a time from now on, 1 or more; loads that are under way go on.

        A manager that loads in its caller stays so.
        """
        self._execution.set_load_threads(threads)

    def refuse(self, servable_id: ServableId, error: errors.LifecycleError) -> None:
        """End a new version without loading it, for a reason that the caller knows.

        Raises:
            NotManaged: it is not managed.
            IllegalTransition: it is not new.
        """
        with self._changed:
            managed = self._find(servable_id)
            if managed.harness.state is not HarnessState.NEW:
                raise errors.IllegalTransition(
                    f"{servable_id} is {managed.harness.state.value!r} and cannot be refused any more"
                )
            managed.harness.fail(error)
            self._execution.note(managed, ServableState.END)
        self.bus.deliver()

    def cancel_load(self, servable_id: ServableId) -> None:
        """No further try to load it; if the one that is running succeeds, it is unloaded and never available.

        A version that is not loading is left alone. A wait between two tries ends at once.

        Raises:
            NotManaged: it is not managed.
        """
        with self._changed:
            managed = self._find(servable_id)
            if managed.harness.cancel_load():
                self._execution.note(managed, ServableState.END)
        self._execution.announce()

    def hasten(self, servable_id: ServableId) -> None:
        """Where a load waits for its next try, that begins with the next `step`; otherwise nothing is changed.

        Raises:
            NotManaged: it is not managed.
        """
        with self._changed:
            self._find(servable_id).harness.hasten()

    def room_has_come(self, servable_id: ServableId) -> bool:
        """Whether there is room now for what has ended for want of it.

        Raises:
            NotManaged: it is not managed.
        """
        with self._changed:
            managed = self._find(servable_id)
            return isinstance(managed.harness.error, errors.ResourceExhausted) and self._execution.has_room(
                managed
            )

    def waiting_for_room(self) -> tuple[tuple[ServableId, ResourceAllocation], ...]:
        """The loads that wait for room, in the order of asking, and what each needs."""
        with self._changed:
            return self._execution.waiting_for_room()

    def unload(self, servable_id: ServableId) -> None:
        """Give out no more handles on it, and unload it once the last one is released.

        Raises:
            NotManaged: it is not managed.
            IllegalTransition: it is not available.
        """
        with self._changed:
            managed = self._find(servable_id)
            managed.harness.request_unload()
            managed.harness.start_quiescing()
            self._execution.note(managed, ServableState.UNLOADING)
        self.bus.deliver()
        self._execution.unload(managed)

    def step(self) -> None:
        """Do what is due: fail loads past their limit, begin due tries, run unloads that have no thread."""
        with self._changed:
            managed = tuple(self._managed.values())
        self._execution.begin_due(managed)

    def states(self) -> tuple[VersionStatus, ...]:
        """Every managed version, by name and ascending version."""
        with self._changed:
            return tuple(self._managed[each].status() for each in sorted(self._managed))

    def status(self, servable_id: ServableId) -> VersionStatus:
        """One managed version.

        Raises:
            NotManaged: it is not managed.
        """
        with self._changed:
            return self._find(servable_id).status()

    def managed_names(self) -> tuple[str, ...]:
        """The names of which any version is managed, ascending."""
        with self._changed:
            return tuple(sorted({each.name for each in self._managed}))

    def harness_states(self) -> dict[ServableId, HarnessState]:
        """The state of each managed version."""
        with self._changed:
            return {each: managed.harness.state for each, managed in self._managed.items()}

    def close(self, timeout_seconds: float) -> tuple[ServableId, ...]:
        """Cancel every load, unload everything, and end the threads; nothing is managed anew.

        Returns:
            The versions that are not unloaded after that time: a handle is held, or their loader hangs. When
            there are any, a later release still unloads, and `close` may be called once more.
        """
        deadline = self._execution.clock() + timeout_seconds
        with self._changed:
            self._closed = True
            begun = tuple(self._managed)
        for servable_id in begun:
            with contextlib.suppress(errors.NotManaged):  # another thread may forget it meanwhile
                self.cancel_load(servable_id)
        left = self._unload_all(deadline)
        self._execution.close(deadline, late_unloads=bool(left))
        return left

    def _unload_all(self, deadline: float) -> tuple[ServableId, ...]:
        while True:
            for servable_id, state in self.harness_states().items():
                if state is HarnessState.READY:
                    # Another thread may unload it, too, or forget it after that.
                    with contextlib.suppress(errors.IllegalTransition, errors.NotManaged):
                        self.unload(servable_id)
            self.step()
            with self._changed:
                states = self.harness_states()
                left = tuple(each for each, state in states.items() if state not in loader_harness.AT_REST)
                if not left:
                    return ()
                if HarnessState.READY in states.values():
                    continue
                remaining = deadline - self._execution.clock()
                if remaining <= 0 or not self._changed.wait(remaining):
                    return left

    def _add(self, servable_id: ServableId, loader: loader.Loader | None) -> ManagedServable:
        self._check_open(servable_id)
        if servable_id in self._managed:
            raise errors.AlreadyManaged(f"{servable_id} is already being managed")
        harness = loader_harness.LoaderHarness(servable_id, self._options.load)
        managed = self._managed[servable_id] = ManagedServable(harness, loader)
        return managed

    def _find(self, servable_id: ServableId) -> ManagedServable:
        managed = self._managed.get(servable_id)
        if managed is None:
            raise errors.NotManaged(f"{servable_id} is not being managed")
        return managed

    def _check_open(self, servable_id: ServableId) -> None:
        if self._closed:
            raise errors.ManagerClosed(f"the manager is closed and takes no more of {servable_id}")
