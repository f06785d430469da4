"""A worker's models with lazy ones among them, stepped by hand: the real table, manager, aspirations and router."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.backoff import Backoff
from lifecycle.errors import PermanentLoadFailure
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader import Loader
from lifecycle.loader_harness import LoadOptions
from lifecycle.resource_tracker import ResourceTracker
from lifecycle.resources import HOST
from lifecycle.servable_handle import ServableHandle
from lifecycle.servable_state import ServableEvent, ServableState
from lifecycle.threads import Executor
from schemas import codec
from schemas.dtype import DType
from schemas.model_config import LAZY, LOADING, ModelConfig
from schemas.request_kind import RequestKind, TensorLayout
from schemas.version_selection import SpecificVersions
from tests.fakes.clock import FakeClock
from tests.fakes.servables import FailingLoader, SizedLoader
from worker.aspirations import Aspirations
from worker.lazy_demand import LazyDemand
from worker.lazy_models import LazyLimits, LazyModels
from worker.loaders import Loaders
from worker.model_table import ModelTable
from worker.router import Divided, Hold, Outcome, Refused, Routed, Router

if TYPE_CHECKING:
    from lifecycle.servable_id import ServableId

STEP_SECONDS = 0.05
ALL, OTHERS = "all", "others"
"""The bindings: of all models, and of those whose names begin with `other`."""
PARAMETERS: Mapping[str, bytes] = {LOADING: LAZY.encode()}


class Counts:
    """What was told of lazy models."""

    def __init__(self) -> None:
        self.models_awake = 0
        self.wakes = 0
        self.unloads: Counter[str] = Counter()

    def awake(self, models: int) -> None:
        """So many are awake."""
        self.models_awake = models

    def woken(self) -> None:
        """One more."""
        self.wakes += 1

    def put_to_sleep(self, reason: str) -> None:
        """One less."""
        self.unloads[reason] += 1


class LazyWorld:
    """Ten bytes of memory, and what is to be in it.

    Attributes:
        sizes: what each version of a model needs; 1 where nothing is said.
        broken: models that cannot be loaded.
        missing: models without a directory.
        unloaded: what has gone since the last time that a test has cleared it.
    """

    def __init__(
        self,
        memory: int = 10,
        limits: LazyLimits | None = None,
        *,
        loads: Executor | None = None,
        unloads: Executor | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.sizes: dict[str, int] = {}
        self.broken: set[str] = set()
        self.missing: set[str] = set()
        self.unloaded: list[ServableId] = []
        self.counts = Counts()
        self.tracker = ResourceTracker({HOST: memory}.get)
        self.table = ModelTable()
        self.manager = AspiredVersionsManager(
            AspiredVersionsManagerOptions(
                retry_failed=Backoff(60.0),
                reload_failed_when_aspired_again=True,
                basic=BasicManagerOptions(load=LoadOptions(retries=0)),
            ),
            Surroundings(
                clock=self.clock, load_executor=loads, unload_executor=unloads, resources=self.tracker
            ),
        )
        self.manager.bus.subscribe(self._hear)
        self.demand = LazyDemand(self.clock)
        self.lazy = LazyModels(
            self.table, self.manager, self.tracker, self.demand, self.counts, limits=limits, clock=self.clock
        )
        self.manager.make_room_by(self.lazy.may_make_room)
        self.aspirations = Aspirations(
            self.table, self.manager, Loaders({"sized": self._loader}), directories=self._list
        )
        bindings = {ALL: ("*",), OTHERS: ("other*",)}
        self.router = Router(self.table, self.manager, bindings, self.demand)
        self._offset = -1

    def _hear(self, event: ServableEvent) -> None:
        if event.state is ServableState.UNLOADING:
            self.unloaded.append(event.id)

    def _loader(self, path: str, _version: int) -> Loader:
        name = path.split("/")[1]
        if name in self.broken:
            return FailingLoader(PermanentLoadFailure("the weights are cut short"))
        return SizedLoader(self.sizes.get(name, 1))

    def _list(self, path: str) -> Iterable[str]:
        if path.strip("/") in self.missing:
            raise FileNotFoundError(2, "No such file or directory", path)
        return ["1", "2", "3"]

    # What is desired

    def set_eager(self, *names: str, versions: tuple[int, ...] = (1,), **fields: Any) -> None:
        """Records of models that are loaded at once, unless their *fields* say otherwise."""
        for name in names:
            config = ModelConfig(f"/{name}", "sized", SpecificVersions(versions), **fields)
            self._apply(name, codec.encode(config))

    def set_lazy(self, *names: str, parameters: Mapping[str, bytes] | None = None, **fields: Any) -> None:
        """Records of lazy models."""
        self.set_eager(*names, parameters={**PARAMETERS, **(parameters or {})}, **fields)

    def remove(self, name: str) -> None:
        """A removal."""
        self._apply(name, None)

    def _apply(self, name: str, value: bytes | None) -> None:
        self._offset += 1
        self.table.apply(name.encode(), value, self._offset)
        self.aspirations.changed(name)
        self.lazy.changed(name, self.clock())

    # Time, and requests

    def step(self, times: int = 1, seconds: float = STEP_SECONDS) -> None:
        """Everybody comes round so many times, and so much time passes before each."""
        for _ in range(times):
            self.clock.advance(seconds)
            self.lazy.step(self.clock())
            self.aspirations.step(self.clock())
            self.manager.step()

    def route(
        self, name: str, version: int | None = None, label: str | None = None, binding: str = ALL
    ) -> Outcome:
        """What becomes of a request; a handle is the caller's to release."""
        inputs = (TensorLayout("x", DType.DT_FLOAT, (2,)),)
        return self.router.route(RequestKind(name, version, label, "serving_default", (), inputs), binding)

    def handle(self, name: str, **asked: Any) -> ServableHandle | None:
        """The handle that answers a request now; None: it waits. A refusal is an error."""
        outcome = self.route(name, **asked)
        assert not isinstance(outcome, Refused | Divided), outcome
        return outcome.handle if isinstance(outcome, Routed) else None

    def ask(self, name: str, within_seconds: float = 60.0, **asked: Any) -> int:
        """A request that waits until it is answered, asking with each step; the version that answers."""
        end = self.clock() + within_seconds
        while (handle := self.handle(name, **asked)) is None:
            assert self.clock() < end, f"{name} is not there: {self.states()}"
            self.step()
        handle.release()
        return handle.id.version

    def ask_all(self, *names: str, within_seconds: float = 60.0) -> None:
        """Requests for several models at once, which all wait until they are answered."""
        waiting = set(names)

        def none_waits() -> bool:
            waiting.difference_update([name for name in sorted(waiting) if self.answers(name)])
            return not waiting

        self.until(none_waits, within_seconds)

    def until(self, holds: Callable[[], bool], within_seconds: float = 60.0) -> None:
        """Step until something holds."""
        end = self.clock() + within_seconds
        while not holds():
            assert self.clock() < end, f"it never held: {self.states()}"
            self.step()

    def answers(self, name: str, **asked: Any) -> bool:
        """Whether a request is answered now. A refusal is an error."""
        handle = self.handle(name, **asked)
        if handle is not None:
            handle.release()
        return handle is not None

    def waits(self, name: str, **asked: Any) -> bool:
        """Whether a request has to wait; it does not stay."""
        outcome = self.route(name, **asked)
        if isinstance(outcome, Routed):
            outcome.handle.release()
        return isinstance(outcome, Hold)

    # What is there

    def states(self) -> dict[str, ServableState]:
        """The state of each managed version."""
        return {str(each.id): each.state for each in self.manager.states()}

    def available(self) -> set[str]:
        """The models of which a version is available."""
        return {each.name for each in self.manager.available_ids()}
