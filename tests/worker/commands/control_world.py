"""A control and a status topic in memory, and workers that say what a test has them say."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from schemas import codec
from schemas.model_config import ModelConfig
from schemas.servable_status import ServableState, ServableStatus
from schemas.version_selection import SpecificVersions
from schemas.worker_status import WorkerState, WorkerStatus
from tests.fakes.clock import FakeClock
from tests.fakes.control import Reader, Topic, Writer
from tests.fakes.kafka_broker import FakeMessage
from worker.commands.control_access import ControlAccess
from worker.control_topic import ControlTopic
from worker.control_writer import ControlWriter
from worker.fleet_reader import FleetReader
from worker.status_topic import key_of

CONFIG = ModelConfig("/models/m", versions=SpecificVersions((1,)), comment="why")
WALL_SECONDS = 1000.0


class Worker(Reader):
    """A reader of the status topic in front of a worker that does one thing whenever it is asked for news."""

    def __init__(self, world: "World", events: Any) -> None:
        super().__init__(world.status, events)
        self._world = world

    def poll(self, max_records: int, timeout_seconds: float) -> Sequence[FakeMessage]:
        """The worker does its next thing."""
        if self._world.news:
            self._world.say(*self._world.news.pop(0))
        return super().poll(max_records, timeout_seconds)


class World:
    """Both topics, and what workers will say."""

    def __init__(self) -> None:
        self.control = Topic("control", now_ms=1_000_000)
        self.status = Topic("status", now_ms=1_000_000)
        self.news: list[Sequence[WorkerStatus | ServableStatus]] = []

    def say(self, *records: WorkerStatus | ServableStatus) -> None:
        """A worker says something."""
        for record in records:
            self.status.add(key_of(record), codec.encode(record))

    def access(self) -> ControlAccess:
        """The way of a command to it."""

        def topic() -> ControlTopic:
            return ControlTopic("control", lambda e: Reader(self.control, e), self.control, clock=FakeClock())

        return ControlAccess(
            "g",
            topic,
            lambda: ControlWriter(topic(), Writer(self.control), author="ann@host", wall=lambda: 1.0),
            lambda: FleetReader("status", lambda e: Worker(self, e), self.status, wall=lambda: WALL_SECONDS),
        )


def worker(name: str = "w", *, applied: int = 0, **fields: Any) -> WorkerStatus:
    """A worker's word on itself."""
    return replace(WorkerStatus(name, "g", "host", "1.0", applied, WorkerState.SERVING, 15_000, 0), **fields)


def version(number: int = 1, *, state: str = "AVAILABLE", on: str = "w", **fields: Any) -> ServableStatus:
    """A worker's word on a version, of the model `m` unless it is said."""
    status = ServableStatus(on, "m", number, ServableState(state), control_offset=0, time=1_000_000)
    return replace(status, **fields)


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    """What was printed for programs."""
    return json.loads(capsys.readouterr().out)
