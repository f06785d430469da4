"""The whole request path on an in-memory Kafka, stepped by hand: no thread, no broker, no waiting.

Time passes where the real thing would wait for it: in a poll that brings nothing.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lifecycle.aspired_versions_manager import AspiredVersionsManager
from lifecycle.execution import Surroundings
from lifecycle.servable_id import ServableId
from lifecycle.source import AspiredVersion
from lifecycle.threads import Executor, InlineExecutor
from schemas import codec
from schemas.catalog import Catalog
from schemas.model_config import ModelConfig
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from schemas.version_selection import SpecificVersions
from tests.fakes.clock import FakeClock
from tests.fakes.kafka import FakeAdmin, FakeConsumer, FakeProducer
from tests.fakes.kafka_broker import FakeBroker, FakeMessage
from tests.fakes.kafka_share import FakeShareGroup, FakeShareMember
from tests.fakes.kafka_transactions import FakeTransactionalProducer
from tests.fakes.lab_servable import LabLoader, LabServable
from worker.budget import Budget
from worker.cluster import Cluster
from worker.group_reading import GroupReading
from worker.kafka.consumer import ConsumerEvents
from worker.kafka.records import Headers, TopicPartition
from worker.metrics import Metrics, new_registry
from worker.model_table import ModelTable
from worker.path_clients import Clients
from worker.producer_pool import ProducerKind
from worker.request_path import RequestPath
from worker.settings import Settings
from worker.share_group import QueueTerms
from worker.stop_flag import StopFlag
from worker.topic_directory import TopicDirectory

if TYPE_CHECKING:
    from worker.kafka.admin import Admin

EPOCH_SECONDS = 1_700_000_000.0
GROUP, REQUESTS, REPLIES, DEAD_LETTERS = (
    "headrace",
    "headrace.requests",
    "headrace.replies",
    "headrace.requests-dlt",
)
MOST_STEPS = 100_000
PLAN: Mapping[str, int] = {REQUESTS: 1, REPLIES: 1, DEAD_LETTERS: 1}

__all__ = ["DEAD_LETTERS", "GROUP", "REPLIES", "REQUESTS", "Lab", "Worker", "record", "request"]


def request(*rows: float, model: str = "m", **fields: Any) -> PredictRequest:
    """A request of one row for each of these numbers; *fields* are those of a `PredictRequest`."""
    x = np.array([[number, number] for number in rows], np.float32).reshape(len(rows), 2)
    return PredictRequest(model, **{"inputs": (Tensor.from_numpy("x", x),), **fields})


def record(versions: Sequence[int], **fields: Any) -> bytes:
    """A control record; *fields* are those of a `ModelConfig`."""
    return codec.encode(ModelConfig("/models", versions=SpecificVersions(tuple(versions)), **fields))


class _Producer(FakeProducer):
    """A producer of the request path: time passes while it waits for reports."""

    def __init__(self, broker: FakeBroker, clock: FakeClock, **limits: Any) -> None:
        super().__init__(broker, **limits)
        self._clock = clock

    def poll(self, timeout_seconds: float = 0.0) -> int:
        """Serve reports, or let the time pass."""
        served = super().poll(timeout_seconds)
        if not served:
            self._clock.advance(timeout_seconds)
        return served


class Lab:
    """A broker, its topics, the models and the time; `worker` adds members of the group.

    Args:
        topics: what there is at the start, with the numbers of partitions.
        limits: `max.message.bytes` by topic.
        load_executor: runs loads; by default they run at once.
    """

    def __init__(
        self,
        topics: Mapping[str, int] = PLAN,
        *,
        limits: Mapping[str, int] | None = None,
        load_executor: Executor | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.broker = FakeBroker(self.wall)
        for name, partitions in topics.items():
            limit = (limits or {}).get(name)
            config = {} if limit is None else {"max.message.bytes": str(limit)}
            self.broker.create_topic(name, partitions, config)
        self.queue = FakeShareGroup(self.broker, self.clock)
        self.table = ModelTable()
        self.manager = AspiredVersionsManager(
            surroundings=Surroundings(clock=self.clock, load_executor=load_executor or InlineExecutor())
        )
        self.servables: dict[ServableId, LabServable] = {}
        self._control_offset = 0
        self._sent = 0

    def wall(self) -> float:
        """The wall clock."""
        return EPOCH_SECONDS + self.clock()

    def worker(self, *, producer_limits: Mapping[str, Any] | None = None, **settings: Any) -> "Worker":
        """A worker that has not joined yet; *settings* are groups of `Settings`."""
        return Worker(self, producer_limits or {}, settings)

    # Models

    def set_model(
        self,
        name: str = "m",
        versions: Sequence[int] = (1,),
        *,
        failures: Mapping[int, Exception] | None = None,
        **fields: Any,
    ) -> None:
        """Put a model on the control topic, and load what can be loaded; *failures* by version."""
        self.table.apply(name.encode(), record(versions, **fields), self._control_offset)
        self._control_offset += 1
        aspired = []
        for version in versions:
            servable_id = ServableId(name, version)
            servable = self.servables.setdefault(servable_id, LabServable(version))
            make = functools.partial(LabLoader, servable, (failures or {}).get(version))
            aspired.append(AspiredVersion(servable_id, make))
        self.manager.set_aspired_versions(name, aspired)
        self.settle_models()

    def settle_models(self) -> None:
        """Let the manager do what it can do at once."""
        for _ in range(30):
            self.manager.step()

    def servable(self, name: str = "m", version: int = 1) -> LabServable:
        """A version's servable."""
        return self.servables[ServableId(name, version)]

    # Requests and what came of them

    def send(
        self,
        value: PredictRequest | bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        *,
        topic: str = REQUESTS,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> int:
        """Put a record on a request topic; its offset."""
        encoded = codec.encode(value) if isinstance(value, PredictRequest) else value
        if partition is None:
            partition = self._sent % self.broker.partitions_of(topic)
        self._sent += 1
        return self.broker.append(topic, encoded, key, headers, partition, timestamp_ms)

    def replies(self, topic: str = REPLIES) -> list[PredictReply]:
        """Every reply, partition by partition."""
        return [codec.decode(m.value() or b"", PredictReply) for m in self.broker.records(topic)]

    def codes(self, topic: str = REPLIES) -> dict[str, int]:
        """The code of each reply by its id; two replies to one id are an error."""
        replies = self.replies(topic)
        codes = {reply.id: reply.error.code if reply.error else 0 for reply in replies}
        assert len(codes) == len(replies), f"answered twice: {[reply.id for reply in replies]}"
        return codes

    def messages(self, topic: str = REPLIES) -> dict[str, str]:
        """The message of each error reply by its id."""
        return {reply.id: reply.error.message for reply in self.replies(topic) if reply.error}

    def dead_letters(self, topic: str = DEAD_LETTERS) -> list[FakeMessage]:
        """Every dead letter."""
        return self.broker.records(topic)

    def committed(self, partition: int = 0, topic: str = REQUESTS) -> int:
        """The group's offset in a partition."""
        return self.broker.committed(GROUP).get(TopicPartition(topic, partition), 0)


class Worker:
    """A member of the group: its request path, stepped by hand."""

    def __init__(self, lab: Lab, producer_limits: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self._lab = lab
        self._limits = dict(producer_limits)
        batching = {"threads": 0, **settings.get("batching", {})}
        self.settings = Settings(**{**settings, "batching": batching})
        self.producers: list[_Producer] = []
        self.transactional: list[FakeTransactionalProducer] = []
        self.made: FakeConsumer | None = None
        self.share_members: list[FakeShareMember] = []
        # The fake admin client is asked what the real one is.
        self.directory = TopicDirectory(Cluster(cast("Admin", FakeAdmin(lab.broker))), clock=lab.clock)
        bindings = self.settings.bindings
        self.directory.watch({t for b in bindings for t in (b.reply_topic, *b.dead_letter_topics())})
        self.directory.refresh()
        self.metrics = Metrics(new_registry())
        self.idle_turns = 0
        self.path = RequestPath(
            self.settings,
            Clients(
                self._make_consumer,
                self._make_producer,
                self._make_transactional,
                self._make_share_member,
                lambda: QueueTerms(lab.queue.lock_seconds, lab.queue.deliveries),
            ),
            table=lab.table,
            manager=lab.manager,
            directory=self.directory,
            catalog=Catalog.published(),
            metrics=self.metrics,
            clock=lab.clock,
            wall=lab.wall,
            on_idle=self._idle,
        )
        self.left = False

    def _make_transactional(self, _batch_bytes: int) -> FakeTransactionalProducer:
        self.transactional.append(FakeTransactionalProducer(self._lab.broker))
        return self.transactional[-1]

    @property
    def consumer(self) -> FakeConsumer:
        """The member of the group."""
        assert self.made is not None
        return self.made

    @property
    def group(self) -> GroupReading:
        """How it reads as a member of a consumer group."""
        assert isinstance(self.path.reading, GroupReading)
        return self.path.reading

    @property
    def budget(self) -> Budget:
        """How much it may hold."""
        return self.path._budget

    def join(self) -> "Worker":
        """Join the group, without a step yet."""
        stop = StopFlag()
        stop.set()
        self.path.run(stop)
        return self

    def step(self, times: int = 1) -> None:
        """Come round so many times."""
        for _ in range(times):
            self.path.reading.loop.step()

    def until(self, holds: Callable[[], bool], what: str = "") -> None:
        """Step until something holds."""
        for _ in range(MOST_STEPS):
            if holds():
                return
            self.step()
        raise AssertionError(f"it never held: {what}")

    def run_for(self, seconds: float) -> None:
        """Step until so much time has passed."""
        end = self._lab.clock() + seconds
        self.until(lambda: self._lab.clock() >= end)

    def until_committed(self, offset: int, partition: int = 0, topic: str = REQUESTS) -> None:
        """Step until everything before an offset is committed."""
        self.until(
            lambda: self._lab.committed(partition, topic) >= offset,
            f"{offset} committed, {self._lab.committed(partition, topic)} is",
        )

    def finish(self, within_seconds: float = 25.0) -> bool:
        """End in order; whether everything was answered and committed."""
        self.left = True
        return self.path.finish(self._lab.clock() + within_seconds)

    def close(self) -> None:
        """End, whatever the state."""
        self.path.close()

    def metric(self, name: str, **labels: str) -> float:
        """A sample of the metrics; 0 where there is none."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def _idle(self) -> None:
        self.idle_turns += 1

    def _make_consumer(self, events: ConsumerEvents) -> FakeConsumer:
        self.made = FakeConsumer(self._lab.broker, events, GROUP, self._lab.clock.advance)
        return self.made

    def _make_share_member(self, events: ConsumerEvents) -> FakeShareMember:
        self.share_members.append(
            FakeShareMember(
                self._lab.queue,
                events,
                max_records=self.settings.delivery.queue_records,
                wait=self._lab.clock.advance,
            )
        )
        return self.share_members[-1]

    def _make_producer(self, kind: ProducerKind) -> _Producer:
        # One record a batch is what the smallest batch size amounts to here.
        size = 1 if kind.batch_records == 1 else kind.batch_bytes
        limits = {"batch_bytes": size, "only_failures": kind.only_failures, **self._limits}
        producer = _Producer(self._lab.broker, self._lab.clock, **limits)
        self.producers.append(producer)
        return producer
