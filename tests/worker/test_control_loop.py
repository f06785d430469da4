"""The control loop, stepped by hand: a control topic, a status topic and a broker in memory, the real manager."""

import itertools
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.errors import PermanentLoadFailure
from lifecycle.event_bus import EventBus
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader import Loader
from lifecycle.loader_harness import LoadOptions
from lifecycle.resource_tracker import ResourceTracker
from lifecycle.resources import HOST
from lifecycle.servable_id import ServableId
from lifecycle.threads import Executor
from schemas import codec
from schemas.errors import Code
from schemas.model_config import LAZY, LOADING, ModelConfig
from schemas.queue_report import QueueReport
from schemas.servable_status import ServableState, ServableStatus
from schemas.version_selection import LatestVersions, SpecificVersions
from schemas.worker_status import WorkerState, WorkerStatus
from tests.fakes import lazy_world
from tests.fakes.clock import FakeClock
from tests.fakes.control import Reader, Topic, Writer
from tests.fakes.kafka_broker import FakeError
from tests.fakes.servables import FailingLoader, ManualExecutor, SizedLoader
from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from worker.arrivals import Arrivals, Contents
from worker.aspirations import Aspirations, Watch
from worker.control_loop import COUNT_SECONDS, REPEAT_SECONDS, ControlLoop, ControlParts
from worker.control_thread import ControlThread
from worker.control_topic import ControlTopic
from worker.convergence import Converged, Waiting, Wanted, look
from worker.fleet import Fleet
from worker.joining import JoinRule
from worker.kafka.errors import BrokerUnreachable
from worker.lazy_demand import LazyDemand
from worker.lazy_models import LazyModels
from worker.loaders import Loaders
from worker.metrics_requests import Requests
from worker.model_table import ModelTable, Sleep
from worker.servable_reports import LAZY as LAZY_MESSAGE
from worker.servable_reports import MESSAGE_BYTES, ServableReports
from worker.status_topic import WHOLE_MODEL, StatusTopic
from worker.worker_lease import CONTROL_PROBLEM, CONTROL_REJECTED, WorkerIdentity, WorkerLease

WALL_SECONDS = 1_000_000.0
CONFIG = ModelConfig("/a", loader="fake", versions=SpecificVersions((1,)))


class Observer:
    """Remembers what it was told of."""

    def __init__(self) -> None:
        self.told: list[tuple[int, bool]] = []

    def control_applied(self, offset: int, *, refused: bool = False) -> None:
        """A record."""
        self.told.append((offset, refused))


class World:
    """A worker's control side without threads."""

    def __init__(
        self,
        join: JoinRule | None = None,
        executor: Executor | None = None,
        new_arrivals: Callable[[], Arrivals] | None = None,
        resources: ResourceTracker | None = None,
        loads: Executor | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.topic = Topic("control")
        self.status = Topic("status")
        self.directories: dict[str, list[str]] = {"/a": ["1", "2"]}
        self.failures: list[Exception] = []
        self.size = 0
        self.requests: dict[tuple[str, int], Requests] = {}
        self.queues: dict[tuple[str, int], tuple[QueueReport, ...]] = {}
        self.observer = Observer()
        self.table = ModelTable({"fake"})
        options = AspiredVersionsManagerOptions(
            reload_failed_when_aspired_again=True, basic=BasicManagerOptions(load=LoadOptions(retries=1))
        )
        surroundings = Surroundings(EventBus(self.wall), self.clock, load_executor=loads, resources=resources)
        self.manager = AspiredVersionsManager(options, surroundings)
        loaders = Loaders({"fake": self._loader})
        aspirations = Aspirations(
            self.table,
            self.manager,
            loaders,
            directories=self._list,
            executor=executor,
            watch=Watch(new_arrivals=new_arrivals),
        )
        self.writer = Writer(self.status)
        out = StatusTopic(self.writer, "status", self.clock)
        reports = ServableReports(
            "w",
            self.table,
            self.manager,
            aspirations.follows,
            out,
            self.wall,
            requests=lambda: self.requests,
            queues=lambda: self.queues,
        )
        self.manager.bus.subscribe(reports.heard)
        lease = WorkerLease(WorkerIdentity("w", "g", "h", "1.0"), out, self.wall)
        self.demand = LazyDemand(self.clock)
        tracker = resources or ResourceTracker(lambda _: None)
        lazy = LazyModels(
            self.table, self.manager, tracker, self.demand, lazy_world.Counts(), clock=self.clock
        )
        control = ControlTopic("control", lambda e: Reader(self.topic, e), self.topic, clock=self.clock)
        parts = ControlParts(
            control,
            self.table,
            aspirations,
            self.manager,
            reports,
            out,
            lease,
            join or JoinRule(),
            self.observer,
            lazy,
        )
        self.settled = 0
        self.loop = ControlLoop(parts, on_settled=self._count_settled, clock=self.clock)

    def _count_settled(self) -> None:
        self.settled += 1

    def wall(self) -> float:
        """The wall clock goes with the monotonic one."""
        return WALL_SECONDS + self.clock()

    def scan(self, path: str) -> Contents:
        """Every directory was written when this test began."""
        return Contents(((path, 1, 0),), int(WALL_SECONDS * 1e9))

    def _loader(self, path: str, version: int) -> Loader:
        if self.size:
            return SizedLoader(self.size)
        return FailingLoader(*[self.failures.pop(0)] if self.failures else [])

    def _list(self, path: str) -> Iterable[str]:
        if path not in self.directories:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.directories[path]

    def set(self, config: ModelConfig = CONFIG, key: bytes | None = b"m") -> int:
        """A control record is written."""
        return self.topic.add(key, codec.encode(config)).offset()

    def step(self, seconds: float = 0.0, times: int = 4) -> None:
        """Time passes; then loop and manager work until nothing is left to do."""
        self.clock.advance(seconds)
        for _ in range(times):
            self.loop.step(self.clock())
            self.manager.step()
        self.loop.step(self.clock())
        self.writer.poll()

    def fleet(self) -> Fleet:
        """What the status topic says."""
        fleet = Fleet()
        for record in self.status.records:
            fleet.apply(record.key(), record.value(), record.timestamp()[1])
        return fleet

    def said(self, model: str = "m") -> dict[int, ServableStatus]:
        """What it says of a model, by version."""
        return {s.version: s for s in self.fleet().servables("w", model)}

    def all_said(self, model: str = "m", version: int = 1) -> list[ServableStatus]:
        """Everything that was ever said of a version, in order."""
        key = f"w/{model}/{version}".encode()
        values = [r.value() for r in self.status.records if r.key() == key]
        return [codec.decode(value, ServableStatus) for value in values if value]

    def worker(self) -> WorkerStatus:
        """What it says of the worker."""
        return self.fleet().members["w"].status

    def states_said(self, version: int = 1) -> list[str]:
        """The states that were ever said of a version, in order; None is a removal."""
        key = f"w/m/{version}".encode()
        values = [r.value() for r in self.status.records if r.key() == key]
        return [str(codec.decode(v, ServableStatus).state) if v else "-" for v in values]


def test_what_is_on_the_control_topic_is_loaded_and_then_the_worker_may_join() -> None:
    """Each record counts once; the last word on each model holds."""
    world = World()
    world.set(replace(CONFIG, versions=SpecificVersions((2,))))
    world.set()
    world.step()

    assert world.manager.available_ids() == (ServableId("m", 1),)
    assert world.loop.initial_read_done
    assert world.loop.applied_offset == 1
    assert world.loop.ready_to_join()
    assert world.observer.told == [(0, False), (1, False)]


def test_before_its_models_are_available_a_worker_says_that_it_waits() -> None:
    """And does not join."""
    world = World()
    world.set()
    world.loop.step(0.0)

    assert not world.loop.ready_to_join()
    assert world.loop.waiting_for == "m/1"
    world.writer.poll()
    assert world.worker().state is WorkerState.WAITING


def test_once_it_may_join_it_says_so_once() -> None:
    """So that loads that come later are few at a time."""
    world = World()
    world.set()
    world.loop.step(0.0)
    assert world.settled == 0
    world.step()
    assert world.settled == 1
    world.set(key=b"later")
    world.step(1.0)
    assert world.settled == 1


def test_once_it_may_join_it_may() -> None:
    """A model that comes later does not take that back."""
    world = World()
    world.set()
    world.step()
    world.topic.add(b"other", codec.encode(replace(CONFIG, base_path="/missing")))
    world.loop.step(0.0)

    assert world.loop.ready_to_join()


def test_an_empty_control_topic_is_waited_on() -> None:
    """No model is configured."""
    world = World()
    world.step()

    assert world.loop.initial_read_done
    assert world.loop.waiting_for == "no model is configured"
    world.set()
    world.step()
    assert world.loop.ready_to_join()


def test_a_worker_that_is_told_to_joins_without_models() -> None:
    """It answers NOT_FOUND."""
    world = World(JoinRule(without_models=True))
    world.step()

    assert world.loop.ready_to_join()


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        (Topic("control", partitions=0), "does not exist; make it with: headrace topics create"),
        (Topic("control", partitions=4), "it has 4 partitions instead of 1"),
        (Topic("control", config={"cleanup.policy": "delete"}), "cleanup.policy is 'delete'"),
    ],
)
def test_a_control_topic_that_cannot_be_used_is_said_clearly_and_waited_for(
    topic: Topic, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is consumed until it is right; then the worker goes on by itself."""
    world = World()
    good = world.topic.partitions, world.topic.config
    world.topic.partitions, world.topic.config = topic.partitions, topic.config
    world.set()
    world.step()

    assert said in str(world.loop.problem)
    assert not world.loop.ready_to_join()
    assert said.encode() in world.worker().parameters[CONTROL_PROBLEM]
    assert sum("cannot be followed" in r.message for r in caplog.records) == 1

    world.topic.partitions, world.topic.config = good
    world.step(10.0)

    assert world.loop.problem is None
    assert world.loop.ready_to_join()
    assert CONTROL_PROBLEM not in world.worker().parameters


def test_a_broker_that_is_not_there_yet_is_waited_for() -> None:
    """However long it takes."""
    world = World()
    world.topic.problem = BrokerUnreachable("no broker answers")
    for _ in range(100):
        world.step(10.0, times=1)
    assert world.loop.problem == "no broker answers"

    world.topic.problem = None
    world.set()
    world.step(10.0)
    assert world.loop.ready_to_join()


def test_a_broker_that_goes_away_takes_nothing_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """Models serve on; the problem is said once in a while, and its end."""
    caplog.set_level(logging.INFO)
    world = World()
    world.set()
    world.step()
    world.topic.problem = BrokerUnreachable("no broker answers")
    for _ in range(20):
        world.step(1.0)
    assert world.manager.available_ids() == (ServableId("m", 1),)
    assert sum("the models stay as they are" in r.message for r in caplog.records) == 1

    world.topic.problem = None
    world.step(5.0)
    assert world.loop.problem is None
    assert "the control topic can be followed again" in caplog.messages


@pytest.mark.parametrize(
    ("key", "value"), [(None, None), (b"", b""), (b"\xff", b"x"), (b"m", b"garbage"), (b"m", b"\xc3\x01")]
)
def test_no_control_record_can_stop_the_worker(key: bytes | None, value: bytes | None) -> None:
    """What served goes on, the next record is applied."""
    world = World()
    world.set()
    world.step()
    world.topic.add(key, value)
    world.step()
    assert world.manager.available_ids() == (ServableId("m", 1),)
    assert world.loop.applied_offset == 1
    assert world.observer.told[-1] == (1, True)

    world.set(replace(CONFIG, versions=SpecificVersions((2,))))
    world.step()
    assert world.manager.available_ids() == (ServableId("m", 2),)


def test_a_record_that_names_no_model_is_visible_in_the_workers_status() -> None:
    """There is no model to show it with."""
    world = World()
    world.topic.add(None, None)
    world.step()

    assert world.worker().parameters[CONTROL_REJECTED].startswith(b"control record 0: the record has no key")


def test_an_invalid_record_is_visible_beside_the_versions_that_go_on() -> None:
    """Under the model as a whole; a valid record takes it away."""
    world = World()
    world.set()
    world.step()
    world.topic.add(b"m", b"garbage")
    world.step()

    said = world.said()
    assert said[1].state is ServableState.AVAILABLE
    assert said[1].control_offset == 0
    assert (said[WHOLE_MODEL].code, said[WHOLE_MODEL].control_offset) == (Code.INVALID_ARGUMENT, 1)

    world.set()
    world.step()
    assert set(world.said()) == {1}


def test_each_change_of_state_is_said_in_its_order() -> None:
    """From its start to its end."""
    world = World()
    world.set()
    world.step()
    world.set(replace(CONFIG, versions=SpecificVersions((2,))))
    world.step()
    world.topic.add(b"m", None)
    world.step()

    assert world.states_said(1) == [
        *["START", "LOADING", "AVAILABLE"],
        *["UNLOADING", "END", "-"],
    ]
    assert world.states_said(2)[-2:] == ["END", "-"]
    assert world.said() == {}


def test_an_available_version_says_its_signatures_and_the_record_that_it_follows() -> None:
    """Clients and `models wait` read both."""
    world = World()
    world.set()
    world.step()
    (signature,) = world.said()[1].signatures
    assert (signature.name, [i.name for i in signature.inputs]) == ("serving_default", ["x"])
    assert [o.name for o in signature.outputs] == ["y", "number"]
    assert signature.inputs[0].shape == (None, 2)

    offset = world.set(replace(CONFIG, comment="nothing new"))
    world.step()
    said = world.said()[1]
    assert (said.control_offset, said.signatures, said.load_seconds) == (offset, (signature,), 0.0)


def test_a_version_says_what_memory_it_has_and_one_without_room_why() -> None:
    """The second one fails alone, with a code of its own."""
    world = World(resources=ResourceTracker({HOST: 10}.get))
    world.size = 6
    world.set()
    world.step()
    world.set(key=b"n")
    world.step()

    loaded, refused = world.said()[1], world.said("n")[1]
    assert (loaded.state, loaded.memory_bytes) == (ServableState.AVAILABLE, {"host": 6})
    assert (refused.state, refused.code, refused.memory_bytes) == (
        ServableState.END,
        Code.RESOURCE_EXHAUSTED,
        {},
    )
    assert refused.message.startswith(
        "there is no room for n/1: it needs 6 bytes of the host's memory; 4 bytes of 10"
    )


def test_a_version_that_waits_for_memory_says_what_it_waits_for() -> None:
    """As long as it waits: what has the memory is on its way out, and a handle holds it up."""
    world = World(resources=ResourceTracker({HOST: 10}.get))
    world.size = 6
    world.set()
    world.step()
    handle = world.manager.handle("m")
    world.topic.add(b"m", None)
    world.step()
    world.set(key=b"n")
    world.step()

    waiting = world.said("n")[1]
    assert (waiting.state, waiting.code) == (ServableState.START, Code.OK)
    assert waiting.message.startswith(
        "it waits until something else has ended: there is no room for n/1: it needs 6 bytes of the host's memory; "
        "4 bytes of 10 bytes is free (set aside: m/1 6 bytes)"
    )
    assert not world.manager.pending_names()

    handle.release()
    world.step()
    loaded = world.said("n")[1]
    assert (loaded.state, loaded.message) == (ServableState.AVAILABLE, "")
    later = [s for s in world.all_said("n") if s.state is not ServableState.START]
    assert {status.message for status in later} == {""}


def test_the_requests_of_a_version_are_said_once_a_minute_where_they_have_changed() -> None:
    """Beside what was said before; nothing of versions that have none or are not available, nor twice."""
    world = World()
    world.set()
    world.set(replace(CONFIG, versions=SpecificVersions((2,))), key=b"idle")
    world.step()
    world.requests = {("m", 1): Requests(7, 2), ("m", 3): Requests(1), ("", 1): Requests(0, 9)}
    world.step(COUNT_SECONDS - 1)
    assert world.said()[1].requests_answered is None

    world.step(1.0)
    said = world.said()[1]
    assert (said.requests_answered, said.requests_failed, said.load_seconds) == (7, 2, 0.0)
    assert list(world.said()) == [1]
    assert world.said("idle")[2].requests_answered is None

    world.step(COUNT_SECONDS)
    world.requests = {("m", 1): Requests(8, 2)}
    world.step(COUNT_SECONDS)
    world.step(1.0)
    assert world.said()[1].requests_answered == 8
    counts = [s.requests_answered for s in world.all_said() if s.requests_answered is not None]
    assert counts == [7, 8]

    world.set(replace(CONFIG, comment="nothing new"))
    world.step()
    assert world.said()[1].requests_answered == 8


def test_the_queues_of_a_version_are_said_once_a_minute_where_they_have_changed() -> None:
    """Beside its requests; the last word of a version that is idle stays, and other news does not take it away."""
    world = World()
    world.set()
    world.step()
    busy, idle = QueueReport("serving_default", 1, 4, 0.5, batches=3, rows=12), QueueReport("serving_default")
    world.queues = {("m", 1): (busy,), ("m", 3): (busy,)}
    world.requests = {("m", 1): Requests(7, 2)}
    world.step(COUNT_SECONDS)
    assert (world.said()[1].queues, world.said()[1].requests_answered) == ((busy,), 7)
    assert list(world.said()) == [1]

    world.queues = {("m", 1): (idle,)}
    for _ in range(3):
        world.step(COUNT_SECONDS)
    world.step(1.0)
    assert [said.queues for said in world.all_said() if said.queues] == [(busy,), (idle,)]

    world.set(replace(CONFIG, comment="nothing new"))
    world.step()
    assert world.said()[1].queues == (idle,)


def test_a_look_that_takes_its_time_is_reported_as_soon_as_it_ends() -> None:
    """A version that stays as it is follows the new record then, not only with the next sign of life."""
    looks = ManualExecutor()
    world = World(executor=looks)
    world.set()
    world.step()
    looks.run()
    world.step()
    offset = world.set(replace(CONFIG, comment="nothing new"))
    world.step()
    assert world.said()[1].control_offset == 0

    looks.run()
    world.step()
    assert world.said()[1].control_offset == offset


def test_a_missing_path_is_said_with_its_reason_and_heals() -> None:
    """The neighbours are not touched."""
    world = World()
    world.set(replace(CONFIG, base_path="/missing"))
    world.set(key=b"other")
    world.step()
    said = world.said()
    assert (said[1].state, said[1].code) == (ServableState.END, Code.NOT_FOUND)
    assert said[1].message == "the base path cannot be listed: No such file or directory (base path /missing)"
    assert world.said("other")[1].state is ServableState.AVAILABLE
    assert world.loop.ready_to_join()

    world.directories["/missing"] = ["1"]
    world.step(0.5)
    assert world.said()[1].state is ServableState.AVAILABLE


def test_a_version_that_is_being_copied_is_said_to_be_on_its_way() -> None:
    """With the reason; the worker waits for it, and so does whoever waits for the model."""
    world = World(new_arrivals=lambda: Arrivals(8.0, world.scan, world.clock, world.wall))
    offset = world.set(replace(CONFIG, versions=LatestVersions(1)))
    world.step()
    assert set(world.said()) == {2}
    status = world.said()[2]
    assert (status.state, status.code, status.control_offset) == (ServableState.START, Code.OK, offset)
    assert "its files are still changing" in status.message
    assert not world.loop.ready_to_join()

    for _ in range(3):
        world.step(4.0)
    assert world.said()[2].state is ServableState.AVAILABLE
    assert world.said()[2].message == ""
    assert world.loop.ready_to_join()


LAZY_CONFIG = replace(CONFIG, parameters={LOADING: LAZY.encode()})


@pytest.mark.parametrize("join", [JoinRule(), JoinRule(when="all")])
def test_a_lazy_model_is_said_to_sleep_and_nobody_waits_for_it(join: JoinRule) -> None:
    """Neither the worker that joins nor whoever waits for the record; once it is asked for it is as any other."""
    world = World(join)
    offset = world.set(LAZY_CONFIG)
    world.step()
    said = world.said()[1]
    assert (said.state, said.code, said.message) == (ServableState.START, Code.OK, LAZY_MESSAGE)
    assert said.asleep
    assert world.loop.ready_to_join()
    wanted = Wanted("m", offset, CONFIG.versions)
    assert look(world.fleet(), "g", wanted, world.clock() * 1000) == Converged({"w": (1,)})

    world.demand.want("m")
    world.loop.step(world.clock())
    world.manager.step()
    world.step()
    said = world.said()[1]
    assert (said.state, said.message, said.asleep) == (ServableState.AVAILABLE, "", False)
    assert world.states_said() == ["START", "START", "LOADING", "AVAILABLE"]


def test_a_lazy_model_that_loads_is_waited_for() -> None:
    """It says no more that it sleeps."""
    loads = ManualExecutor()
    world = World(loads=loads)
    offset = world.set(LAZY_CONFIG)
    world.step()
    world.demand.want("m")
    world.step()
    said = world.said()[1]
    assert (said.state, said.message, said.asleep) == (ServableState.START, "", False)
    wanted = Wanted("m", offset, CONFIG.versions)
    assert look(world.fleet(), "g", wanted, 0.0) == Waiting(("w: version 1 is START",))


def test_a_lazy_model_whose_path_is_missing_says_so() -> None:
    """It is looked for as any other, so that nobody finds out only by asking."""
    world = World()
    world.set(replace(LAZY_CONFIG, base_path="/missing"))
    world.step()
    said = world.said()[1]
    assert (said.state, said.code, said.asleep) == (ServableState.END, Code.NOT_FOUND, False)


def test_the_thread_is_woken_by_whoever_asks_for_a_lazy_model() -> None:
    """It does not wait for its next turn, which here is far off; nor does its end."""
    world = World()
    world.set(LAZY_CONFIG)
    world.step()
    thread = ControlThread(world.loop, world.clock, wait_seconds=1e6, demand=world.demand)
    thread.start()
    world.demand.want("m")

    def sleep() -> Sleep | None:
        return world.table.models["m"].sleep

    wait_until(lambda: sleep() is not Sleep.ASLEEP, "a model that is woken")
    thread.close(PATIENCE_SECONDS)
    assert not thread.alive


def test_a_base_path_without_versions_is_said_of_the_whole_model() -> None:
    """No version has a name yet."""
    world = World()
    world.directories["/a"] = []
    world.set(replace(CONFIG, versions=LatestVersions(1)))
    world.step()

    (status,) = world.said().values()
    assert status.version == WHOLE_MODEL
    assert "holds no version" in status.message


def test_a_load_that_will_be_tried_again_already_says_why_it_failed() -> None:
    """And the worker does not wait for the next try."""
    world = World()
    world.failures = [OSError("disk on fire")]
    world.set()
    world.step()
    world.step(5.0)

    said = world.said()[1]
    assert said.state is ServableState.LOADING
    assert "disk on fire" in said.message
    assert world.loop.ready_to_join()

    world.step(60.0)
    said = world.said()[1]
    assert (said.state, said.code, said.message) == (ServableState.AVAILABLE, Code.OK, "")


def test_the_lease_is_renewed_in_time_and_at_once_when_something_is_new() -> None:
    """Five seconds apart while nothing happens."""
    world = World()
    world.set()
    world.step()

    def count() -> int:
        return sum(r.key() == b"w" for r in world.status.records)

    before = count()
    for _ in range(20):
        world.step(0.5)
    assert count() == before + 2

    world.loop.announce(WorkerState.SERVING)
    world.step()
    assert count() == before + 3
    status = world.worker()
    assert (status.state, status.lease_ms, status.control_offset) == (WorkerState.SERVING, 15_000, 0)
    assert (status.group, status.host, status.release) == ("g", "h", "1.0")


def test_what_was_lost_is_said_again() -> None:
    """With the next sign of life."""
    world = World()
    world.status.refused = FakeError("_MSG_TIMED_OUT")
    world.set()
    world.step()
    assert world.said() == {}

    world.status.refused = None
    world.step(5.0)
    assert world.said()[1].state is ServableState.AVAILABLE


def test_everything_is_said_again_before_the_topic_forgets_it() -> None:
    """The status topic deletes what is older than a day."""
    world = World()
    world.set()
    world.step()
    world.status.records.clear()
    world.step(REPEAT_SECONDS)

    assert world.said()[1].state is ServableState.AVAILABLE


def test_a_worker_that_leaves_takes_its_keys_away() -> None:
    """Its last word is that it has stopped."""
    world = World()
    world.set()
    world.step()
    world.loop.close(1.0)

    fleet = world.fleet()
    assert dict(fleet.members) == {}
    assert list(fleet.servables()) == []
    assert world.writer.closed
    last = [r.value() for r in world.status.records if r.key() == b"w"][-2]
    assert last is not None
    assert codec.decode(last, WorkerStatus).state is WorkerState.STOPPED


def test_a_late_start_on_the_compacted_topic_brings_the_same_models() -> None:
    """Nothing but each key's last record is needed."""
    first, late = World(), World()
    for version in (1, 2):
        first.set(replace(CONFIG, versions=SpecificVersions((version,))))
    first.set(key=b"gone")
    first.topic.add(b"gone", None)
    first.set(key=b"other")
    first.step()
    first.topic.compact()
    late.topic.records, late.topic.end = list(first.topic.records), first.topic.end
    late.step()

    assert late.manager.available_ids() == first.manager.available_ids()
    assert dict(late.table.models) == dict(first.table.models)


def test_the_thread_steps_until_it_is_closed() -> None:
    """Then the worker's keys are gone."""
    world = World()
    world.set()
    thread = ControlThread(world.loop, world.clock, wait_seconds=0.0)
    thread.start()
    for _ in itertools.count():
        world.manager.step()
        if world.loop.ready_to_join():
            break
    thread.close(10.0)

    assert not thread.alive
    assert dict(world.fleet().members) == {}


def test_a_record_that_is_wrong_in_thousands_of_ways_is_told_of_and_the_lease_renewed() -> None:
    """A sentence too long for a status record once ended every step before the worker's sign of life."""
    world = World()
    world.set()
    world.step()
    labels = {f"label-{n}-{'x' * 100}": n + 2 for n in range(1000)}
    offset = world.set(replace(CONFIG, labels=labels))
    world.step()

    said = world.said()
    assert (said[1].state, said[WHOLE_MODEL].code) == (ServableState.AVAILABLE, Code.INVALID_ARGUMENT)
    assert "characters more" in said[WHOLE_MODEL].message
    assert world.worker().control_offset == offset


def test_a_loader_that_fails_with_an_endless_sentence_is_reported_in_short() -> None:
    """Also where the sentence is no text that UTF-8 has."""
    world = World()
    world.failures = [PermanentLoadFailure("broken \udce9 " + "x" * 200_000)]
    world.set()
    world.step()

    said = world.said()[1]
    assert (said.state, said.code) == (ServableState.END, Code.FAILED_PRECONDITION)
    assert "broken ? xxx" in said.message
    assert len(said.message) <= MESSAGE_BYTES
