"""Loads a version when it is first asked for, and unloads what was used longest ago when there is no more room.

Source: TensorFlow Serving's `core/caching_manager.h`. What differs: how many versions are in memory can be
limited (there nothing is ever unloaded), and a version that could not be loaded is tried again.
"""

import contextlib
import dataclasses
import threading

from lifecycle import basic_manager, errors, execution, loader_factory, residents, servable_handle
from lifecycle.loader_harness import LoadOptions
from lifecycle.managed_servable import VersionStatus
from lifecycle.resources import ResourceAllocation
from lifecycle.servable_id import ServableId, ServableRequest
from lifecycle.servable_state import ServableEvent, ServableState
from lifecycle.shared_load import SharedLoad

_LOOK_SECONDS = 0.05
"""How often a call that waits looks for what nobody tells: a released handle, a due try, a load past its limit."""


@dataclasses.dataclass(frozen=True, slots=True)
class CachingManagerOptions:
    """How much is kept in memory, and how long calls wait.

    Attributes:
        most_loaded: versions in memory at a time, 1 or more; those that are being loaded or unloaded count. None
            is without limit (as in TensorFlow Serving).
        room_wait_seconds: how long a call waits for room, which a release or an ended unload makes; 0 or more.
        retry_failed_seconds: how long calls for a version that could not be loaded get the same error at once; the
            first call after that loads it anew. 0 or more.
        basic: how loads and unloads are carried out. Without threads, each call loads what it asks for by itself.
            More than one try is seldom wanted: calls wait for all of them.
    """

    most_loaded: int | None
    room_wait_seconds: float = 10.0
    retry_failed_seconds: float = 1.0
    basic: execution.BasicManagerOptions = dataclasses.field(
        default_factory=lambda: execution.BasicManagerOptions(load=LoadOptions(retries=0))
    )

    def __post_init__(self) -> None:
        if self.most_loaded is not None and self.most_loaded < 1:
            raise ValueError(f"most_loaded is {self.most_loaded}; expected 1 or more, or None")
        for name in ("room_wait_seconds", "retry_failed_seconds"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more")


class CachingManager:
    """Gives handles on whatever exists. Thread-safe.

    1. The calling thread waits while its version is loaded. Calls for one version share a load; different versions
       are loaded beside each other.
    2. Never more than `most_loaded` versions are in memory, loads past their time limit apart. When another one is
       asked for, that one goes whose last handle was taken longest ago, of those on which none is held.
    3. An error is told to every call that waits for that load, for a short time to later ones, and then the load is
       tried again.
    4. Where memory is limited (`Surroundings.resources`), a load that does not fit has others go in the same order.
       When all are in use, it fails at once.
    5. Nothing else is ever unloaded, before `close`.

    No subscriber of the bus may ask for a handle, and no loader for its own version: they would wait for themselves.
    """

    def __init__(
        self,
        factory: loader_factory.LoaderFactory,
        options: CachingManagerOptions,
        surroundings: execution.Surroundings | None = None,
    ) -> None:
        surroundings = surroundings or execution.Surroundings()
        self._factory = factory
        self._options = options
        self._clock = surroundings.clock
        self._basic = basic_manager.BasicManager(options.basic, surroundings, self._make_room)
        self.bus = self._basic.bus
        self._changed = threading.Condition()  # guards all below; never held while an event is delivered
        self._residents = residents.Residents(options.most_loaded)
        self._loads: dict[ServableId, SharedLoad] = {}
        self._failed: dict[ServableId, tuple[float, errors.LifecycleError]] = {}  # told until then
        self._closed = False
        self._unsubscribe = self.bus.subscribe(self._hear)

    def handle(self, name: str, version: int | None = None) -> servable_handle.ServableHandle:
        """A handle on a version, or on the latest that exists; waits for its load where it is not loaded.

        Raises:
            ServableNotFound: there is no such version.
            LoadFailed: it could not be loaded.
            NoRoom: all of the versions in memory stayed in use.
            ManagerClosed: the manager was closed.
            Exception: what the factory raises when it is asked for the versions.
        """
        return self.handle_for(ServableRequest.of(name, version))

    def handle_for(self, request: ServableRequest) -> servable_handle.ServableHandle:
        """As `handle`, for a request that may also ask for the earliest version that exists."""
        servable_id = loader_factory.version_meant(request, self._factory)
        with self._changed:
            self._check_open(servable_id)
            if self._residents.use(servable_id):
                return self._basic.handle(servable_id.name, servable_id.version)
            load = self._loads.get(servable_id)
            first = load is None
            if load is None:
                self._check_failed(servable_id)
                load = self._loads[servable_id] = SharedLoad()
            load.callers += 1
        try:
            if first:
                self._begin(servable_id, load)
            return self._wait_for(servable_id, load)
        finally:
            with self._changed:
                spare = load.part()
            if spare is not None:
                spare.release()

    def available_handles(self) -> dict[ServableId, servable_handle.ServableHandle]:
        """A handle on each version that is loaded; the caller releases them. It counts as no use."""
        return self._basic.available_handles()

    def available_ids(self) -> tuple[ServableId, ...]:
        """The ids of what is loaded, ascending."""
        return self._basic.available_ids()

    def states(self) -> tuple[VersionStatus, ...]:
        """Every version that is loaded, or on its way in or out; and those that failed by hanging past their limit."""
        return self._basic.states()

    def step(self) -> None:
        """Do what is due. Calls that wait do it, too; without any, only tries that are due need somebody to do it."""
        self._basic.step()

    def close(self, timeout_seconds: float) -> tuple[ServableId, ...]:
        """Load nothing more, cancel every load, unload everything; calls that wait end with `ManagerClosed`.

        Returns:
            The versions that are not unloaded after that time: a handle is held, or their loader hangs. When
            there are any, a later release still unloads, and `close` may be called once more.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        left = self._basic.close(timeout_seconds)
        if not left:
            self._unsubscribe()
        return left

    def _check_open(self, servable_id: ServableId) -> None:
        if self._closed:
            raise errors.ManagerClosed(f"the manager is closed and gives no handle on {servable_id}")

    def _check_failed(self, servable_id: ServableId) -> None:
        if servable_id in self._failed:
            until, error = self._failed[servable_id]
            if self._clock() < until:
                raise error.with_traceback(None)
            del self._failed[servable_id]

    def _begin(self, servable_id: ServableId, load: SharedLoad) -> None:
        """Load it, in this thread or by the executor; what cannot even begin is told to all who wait."""
        try:
            self._forget_hung(servable_id)
            loader = loader_factory.new_loader(servable_id, self._factory)
            self._enter(servable_id, load)
            self._basic.manage(servable_id, loader)
            self._basic.load(servable_id)
        except BaseException as error:
            if isinstance(error, errors.LifecycleError):
                self._give_up(servable_id, load, error)
            elif not load.begun:
                why = f"the load of {servable_id} was interrupted before it began"
                self._give_up(servable_id, load, errors.LoadCancelled(why))
            raise

    def _forget_hung(self, servable_id: ServableId) -> None:
        with contextlib.suppress(errors.NotManaged):
            status = self._basic.status(servable_id)
            if status.state is ServableState.END:
                if status.running and status.error is not None:
                    raise status.error.with_traceback(None)  # another loader would only hang as well
                self._basic.stop_managing(servable_id)

    def _enter(self, servable_id: ServableId, load: SharedLoad) -> None:
        """Wait for room, and make it where that is possible."""
        deadline = self._clock() + self._options.room_wait_seconds
        with self._changed:
            self._residents.ask(servable_id)
        try:
            while not load.begun:
                self._try_to_enter(servable_id, load, deadline)
        finally:
            with self._changed:
                self._residents.withdraw(servable_id)

    def _try_to_enter(self, servable_id: ServableId, load: SharedLoad, deadline: float) -> None:
        with self._changed:
            self._check_open(servable_id)
            if self._residents.enter(servable_id):
                load.begun = True
                self._changed.notify_all()  # it is the next one's turn
                return
            evicted = self._residents.evict(self._in_use)
            if evicted is None:
                if self._clock() >= deadline:
                    raise errors.NoRoom(self._no_room(servable_id))
                self._changed.wait(_LOOK_SECONDS)
        if evicted is not None:
            # A close may unload it as well.
            with contextlib.suppress(errors.IllegalTransition, errors.NotManaged):
                self._basic.unload(evicted)
        self._basic.step()

    def _in_use(self, servable_id: ServableId) -> bool:
        return self._basic.status(servable_id).handles > 0

    def _make_room(self, _servable_id: ServableId, _needs: ResourceAllocation) -> bool:
        """Unload what was used longest ago, for a load whose memory is not there; False when all are in use."""
        with self._changed:
            evicted = self._residents.evict_one(self._in_use)
        if evicted is None:
            return False
        with contextlib.suppress(
            errors.IllegalTransition, errors.NotManaged
        ):  # a close may unload it as well
            self._basic.unload(evicted)
        return True

    def _no_room(self, servable_id: ServableId) -> str:
        inside = [f"{each.id} ({each.state.name}, {each.handles} handles)" for each in self._basic.states()]
        return (
            f"no room to load {servable_id}: {self._options.most_loaded} versions may be in memory, and none could be "
            f"unloaded within {self._options.room_wait_seconds:g} s; there are {', '.join(inside)}: release handles "
            "sooner, or raise most_loaded"
        )

    def _give_up(self, servable_id: ServableId, load: SharedLoad, error: errors.LifecycleError) -> None:
        with self._changed:
            del self._loads[servable_id]
            load.fail(error)
            self._changed.notify_all()

    def _wait_for(self, servable_id: ServableId, load: SharedLoad) -> servable_handle.ServableHandle:
        while True:
            with self._changed:
                handle = load.answer()
                if handle is not None:
                    return handle
                self._check_open(servable_id)
                self._changed.wait(_LOOK_SECONDS)
            self._basic.step()

    def _hear(self, event: ServableEvent) -> None:
        """Look how the version is now; the event only says that it is time to."""
        try:
            status = self._basic.status(event.id)
        except errors.NotManaged:
            return
        if status.state is ServableState.AVAILABLE:
            self._note_available(event.id)
        elif status.state is ServableState.END:
            if not status.running:
                with contextlib.suppress(errors.NotManaged):
                    # Before the end is noted: after that, another life may begin.
                    self._basic.stop_managing(event.id)
            self._note_end(event.id, status.error)

    def _note_available(self, servable_id: ServableId) -> None:
        with self._changed:
            load = self._loads.get(servable_id)
            if load is None or not load.begun:
                return
            if load.callers:
                try:
                    load.succeed(self._basic.handle(servable_id.name, servable_id.version))
                except errors.ServableNotFound:  # closed meanwhile; its end is heard next
                    return
            del self._loads[servable_id]
            self._residents.settle(servable_id)
            self._changed.notify_all()

    def _note_end(self, servable_id: ServableId, error: errors.LifecycleError | None) -> None:
        with self._changed:
            load = self._loads.get(servable_id)
            if load is not None and load.begun:
                del self._loads[servable_id]
                why = error or errors.ManagerClosed(f"{servable_id} was unloaded by the close")
                load.fail(why)
                now = self._clock()
                self._failed = {each: told for each, told in self._failed.items() if now < told[0]}
                self._failed[servable_id] = (now + self._options.retry_failed_seconds, why)
            self._residents.leave(servable_id)
            self._changed.notify_all()
