"""A worker's control side, from control records to aspired versions, loads and statuses, stepped by hand."""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.errors import PermanentLoadFailure
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader import Loader
from lifecycle.loader_harness import LoadOptions
from lifecycle.resource_tracker import ResourceTracker
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from schemas import codec
from schemas.errors import Code, WireError
from schemas.model_config import ModelConfig, PastConfig
from tests.fakes.clock import FakeClock
from tests.fakes.control import Reader, Topic, Writer
from tests.fakes.servables import FailingLoader
from tests.fuzzing.control_rules import LOADERS, NAME, may_be_applied
from tests.fuzzing.records import Record
from worker import control_record, policies
from worker.arrivals import Contents
from worker.aspirations import Aspirations, Watch
from worker.commands.model_views import config_document
from worker.control_loop import ControlLoop, ControlParts
from worker.control_topic import ControlTopic
from worker.fleet import Fleet
from worker.joining import JoinRule
from worker.lazy_demand import LazyDemand
from worker.lazy_models import LazyModels
from worker.loaders import Loaders
from worker.metrics import Metrics, new_registry
from worker.metrics_observers import ModelMetrics
from worker.model_queue_options import ModelQueueOptions
from worker.model_table import Change, DesiredModel, ModelTable
from worker.policies import ModelPolicies
from worker.servable_reports import ServableReports
from worker.settings_serving import BatchingSettings
from worker.status_topic import WHOLE_MODEL, StatusTopic
from worker.version_paths import list_directories
from worker.worker_lease import CONTROL_REJECTED, WorkerIdentity, WorkerLease

WALL_SECONDS = 1_000_000.0
TURN_SECONDS = 0.05
ROUNDS = 3
"""Of the control loop and the manager for one record, so that what it asks for is done before the next."""
DIRECTORIES: Mapping[str, Sequence[str]] = {"/a": ("1", "2", "3"), "/b": ("7", "0009", "x"), "/empty": ()}
MOST_TOLD_BYTES = 4_096
"""Of what is wrong with a control record, wherever that is told."""
MOST_STATUS_BYTES = 32_768
"""Of one status record: what is wrong, and a base path of 4,096 characters."""
MOST_SERIES = 1_000

Sabotage = Callable[[ControlParts], None]
"""Puts a fault into a worker's control side, so that a test can see it found."""


@dataclass
class Counts:
    """What came of the records so far."""

    records: int = 0
    applied: int = 0
    removed: int = 0
    refused: int = 0


class ControlRig:
    """One worker's control side; lives as long as its owner wants."""

    def __init__(self, sabotage: Sabotage | None = None) -> None:
        self.counts = Counts()
        self._clock = FakeClock()
        self._topic, self._status = Topic("control"), Topic("status")
        self._fleet = Fleet()
        self._table = ModelTable(LOADERS, policies.SHIPPED)
        options = AspiredVersionsManagerOptions(
            reload_failed_when_aspired_again=True,
            policy=ModelPolicies(self._table, policies.SHIPPED, "availability_preserving"),
            basic=BasicManagerOptions(load=LoadOptions(retries=0)),
        )
        self._manager = AspiredVersionsManager(options, Surroundings(clock=self._clock))
        loaders = Loaders({"fake": _fake, "failing": _failing})
        watch = Watch(1.0, scan=_empty)
        self._aspirations = Aspirations(self._table, self._manager, loaders, directories=_list, watch=watch)
        self._writer = Writer(self._status)
        out = StatusTopic(self._writer, "status", self._clock)
        self._reports = ServableReports(
            "w", self._table, self._manager, self._aspirations.follows, out, self._wall
        )
        self._metrics = Metrics(new_registry())
        demand, tracker = LazyDemand(self._clock), ResourceTracker(lambda _: None)
        lazy = LazyModels(self._table, self._manager, tracker, demand, self._metrics.lazy, clock=self._clock)
        self._manager.bus.subscribe(self._reports.heard)
        self._manager.bus.subscribe(ModelMetrics(self._metrics))
        parts = ControlParts(
            ControlTopic(
                "control", lambda events: Reader(self._topic, events), self._topic, clock=self._clock
            ),
            self._table,
            self._aspirations,
            self._manager,
            self._reports,
            out,
            WorkerLease(WorkerIdentity("w", "g", "h", "1.0"), out, self._wall),
            JoinRule(),
            self._metrics.control,
            lazy,
        )
        if sabotage is not None:
            sabotage(parts)
        self._wrong: str | None = None
        self._watch(self._table)
        self._loop = ControlLoop(parts, clock=self._clock)
        self._queue_options = ModelQueueOptions(BatchingSettings(), self._table)
        self._loop.step(self._clock())

    def poll(self, records: Sequence[Record]) -> str | None:
        """Put records on the control topic, for the worker to read together; what is wrong with what came of them."""
        if not records:
            return None
        self.counts.records += len(records)
        before = {name: model.config for name, model in self._table.models.items()}
        serving = {s.id for s in self._manager.states() if s.state is ServableState.AVAILABLE and s.aspired}
        offset = -1
        for record in records:
            offset = self._topic.add(record.key, record.value).offset()
        try:
            self._step()
            self._topic.records.clear()
            wrong = self._wrong_statuses()
            return self._wrong or wrong or next(self._differences(offset, before, serving), None)
        except Exception:  # noqa: BLE001 - whatever it raises is what was looked for
            return f"the records up to {offset} made something raise:\n{traceback.format_exc()}"

    def strange_labels(self) -> str | None:
        """Too many series of metrics; None when all is well."""
        series = self.sizes()["series of metrics"][0]
        return (
            None if series <= MOST_SERIES else f"there are {series} series of metrics, at most {MOST_SERIES}"
        )

    def sizes(self) -> dict[str, tuple[int, int]]:
        """How large what is kept from record to record is, and how large it may be."""
        models = self._table.models
        versions = sum(len(model.versions) for model in models.values())
        streams = len(models) + sum(name not in models for name in self._aspirations._streams)
        families = self._metrics.registry.collect()
        return {
            "rejected records kept": (len(self._table.rejected), 100),
            "streams": (streams, 2 * len(models) + 16),
            "statuses": (len(self._reports._said), versions + len(models) + 64),
            "series of metrics": (sum(len(family.samples) for family in families), MOST_SERIES),
        }

    def _watch(self, table: Any) -> None:
        """Look at what each record does to the table, in the moment in which it does it."""
        right = table.apply

        def apply(key: bytes | None, value: bytes | None, offset: int) -> tuple[Change, str]:
            before = self._table.models
            result: tuple[Change, str] = right(key, value, offset)
            self._wrong = self._wrong or next(self._wrong_change(key, value, offset, before), None)
            return result

        table.apply = apply

    def _step(self) -> None:
        self._clock.advance(TURN_SECONDS)
        for _ in range(ROUNDS):
            self._loop.step(self._clock())
            self._manager.step()
        self._loop.step(self._clock())
        self._writer.poll()

    def _wrong_statuses(self) -> str | None:
        """What was told since the last time, folded into the fleet."""
        wrong = None
        for record in self._status.records:
            size = len(record.value() or b"")
            if size > MOST_STATUS_BYTES:
                wrong = f"the status {record.key()!r} has {size:,} bytes"
            self._fleet.apply(record.key(), record.value(), record.timestamp()[1])
        self._status.records.clear()
        unreadable = self._fleet.unreadable
        return wrong or (f"{unreadable} statuses cannot be read" if unreadable else None)

    def _wrong_change(
        self, key: bytes | None, value: bytes | None, offset: int, before: Mapping[str, DesiredModel]
    ) -> Iterator[str]:
        """What is wrong with what one record has done to the table."""
        name, after = _name(key), self._table.models
        for other in before.keys() | after.keys():
            if other != name and before.get(other) is not after.get(other):
                yield f"record {offset} for {name!r} changed {other!r}"
        if name is None:
            self.counts.refused += 1
            last = self._table.rejected[-1]
            if last.offset != offset or not 0 < len(last.reason.encode()) <= MOST_TOLD_BYTES:
                yield f"record {offset} names no model; the last that was rejected is {last}"
        elif value is None:
            self.counts.removed += 1
            if name in after:
                yield f"record {offset} removes {name!r}, which is still there"
        else:
            yield from self._wrong_model(after.get(name), before.get(name), value, offset)

    def _wrong_model(
        self, model: DesiredModel | None, before: DesiredModel | None, value: bytes, offset: int
    ) -> Iterator[str]:
        if model is None:
            yield f"record {offset} holds a value, and its model is gone"
            return
        try:
            config = codec.decode(value, ModelConfig)
        except WireError:
            config = None
        if config is not None and len(value) <= control_record.MOST_BYTES and may_be_applied(config):
            self.counts.applied += 1
            same = model.config == config or _encoded(model.config) == _encoded(config)
            if not (same and model.record_valid):
                yield f"record {offset} is right, and {model.name!r} has the problem {model.problem!r}"
            pasts: list[ModelConfig | PastConfig] = [config, *config.history]
            for one in pasts:
                config_document(one)  # what `headrace models list` shows
            self._queue_options.of(ServableId(model.name, 1), "serving_default")
            return
        self.counts.refused += 1
        kept = (before.config, before.versions) if before else (None, ())
        if model.record_valid or model.config is not kept[0] or model.versions != kept[1]:
            yield f"record {offset} is wrong, and what is desired of {model.name!r} changed to {model}"
        problem = model.problem or ""
        if f"control record {offset} " not in problem or len(problem.encode()) > MOST_TOLD_BYTES:
            yield f"record {offset} is wrong, and its model's problem is {problem[:200]!r} ({len(problem):,} long)"

    def _differences(
        self, offset: int, before: Mapping[str, ModelConfig | None], serving: set[ServableId]
    ) -> Iterator[str]:
        """What is wrong with what is told and served now, after the record at *offset*."""
        worker = self._fleet.members.get("w")
        if worker is None or worker.status.control_offset != offset:
            yield f"the worker's status does not follow record {offset}"
            return
        models, rejected = self._table.models, self._table.rejected
        told = worker.status.parameters.get(CONTROL_REJECTED, b"")
        if rejected and told != f"control record {rejected[-1].offset}: {rejected[-1].reason}".encode():
            yield f"record {rejected[-1].offset} names no model; the worker tells {told[:200]!r}"
        said = {s.model: s for s in self._fleet.servables("w") if s.version == WHOLE_MODEL}
        for name, model in models.items():
            status = said.get(name)
            if not model.record_valid and (
                status is None or (status.code, status.message) != (Code.INVALID_ARGUMENT, model.problem)
            ):
                yield f"{name!r} has the problem {model.problem!r}, and its status says {status}"
        kept = {name for name, config in before.items() if name in models and models[name].config is config}
        gone = {one for one in serving - set(self._manager.available_ids()) if one.name in kept}
        if gone:
            yield f"the models {kept} are desired as they were, and {gone} went"

    def _wall(self) -> float:
        return WALL_SECONDS + self._clock()


def _empty(_directory: str) -> Contents:
    return Contents((), 0)


def _name(key: bytes | None) -> str | None:
    """The model that a key names; None for none."""
    try:
        name = (key or b"").decode()
    except UnicodeDecodeError:
        return None
    return name if NAME.fullmatch(name) else None


def _encoded(config: ModelConfig | None) -> bytes | None:
    """A config in a form in which what is no number equals itself."""
    return None if config is None else codec.encode(config)


def _fake(_path: str, _version: int) -> Loader:
    return FailingLoader()


def _failing(_path: str, version: int) -> Loader:
    return FailingLoader(PermanentLoadFailure(f"version {version} is broken: \udce9" + "x" * 20_000))


def _list(path: str) -> Iterable[str]:
    return DIRECTORIES[path] if path in DIRECTORIES else list_directories(path)
