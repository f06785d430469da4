"""Changes one model on the control topic, for commands: read everything, change one key, write, read back.

Nobody locks the topic. Two people who change one model at the same time both succeed, the later record
counts, and the one whose change was made without knowledge of the other's is told so.
"""

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schemas import codec
from schemas.model_config import ModelConfig
from worker import control_record
from worker.control_record import InvalidControlRecord
from worker.control_topic import ControlRecord, ControlTopic
from worker.kafka.errors import TimedOut, translate
from worker.kafka.producer import Producer
from worker.kafka.records import Message
from worker.kafka.rights import on_topic


def current_author() -> str:
    """Who is working here: user@host, or the user's number where it has no name."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # which of them depends on the Python version
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


@dataclass(frozen=True)
class ControlEntry:
    """The latest record of one model.

    Attributes:
        name: the model.
        offset: where the record lies.
        timestamp_ms: when it was written.
        config: what it says; None: it is not valid.
        problem: why it is not valid.
    """

    name: str
    offset: int
    timestamp_ms: int
    config: ModelConfig | None
    problem: str | None = None


@dataclass
class ControlView:
    """The control topic as a command sees it: the latest record of each key."""

    models: dict[str, ControlEntry] = field(default_factory=dict)
    rejected: list[tuple[int, str]] = field(default_factory=list)

    def apply(self, records: Iterable[ControlRecord]) -> None:
        """Take in more records."""
        for record in records:
            try:
                name = control_record.model_name(record.key)
            except InvalidControlRecord as error:
                self.rejected.append((record.offset, str(error)))
                continue
            if record.value is None:
                self.models.pop(name, None)
                continue
            config, problem = None, None
            try:
                config = control_record.read_config(record.value)
            except InvalidControlRecord as error:
                problem = str(error)
            self.models[name] = ControlEntry(name, record.offset, record.timestamp_ms, config, problem)


@dataclass(frozen=True)
class Written:
    """A change that the control topic has.

    Attributes:
        name: the model.
        offset: where its record lies.
        config: what was written; None: the removal.
        before: the record that the change was made from.
        between: records of the same model that came in between, which the change does not know: it has
            replaced them.
    """

    name: str
    offset: int
    config: ModelConfig | None
    before: ControlEntry | None
    between: tuple[ControlRecord, ...] = ()


class ControlWriter:
    """Reads and changes the control topic; used by one thread, for one command.

    Args:
        topic: reads it.
        producer: writes to it.
        author: who changes, as the record will say.
        timeout_seconds: how long reading everything, and writing, may take.
    """

    def __init__(
        self,
        topic: ControlTopic,
        producer: Producer,
        *,
        author: str,
        timeout_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._topic = topic
        self._producer = producer
        self._author = author
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._wall = wall

    def write(self, name: str, change: Callable[[ModelConfig | None], ModelConfig | None]) -> Written:
        """Change one model.

        Args:
            name: the model.
            change: from its present config (None: there is none, or it is not valid) to the wanted one (None:
                it is to go). Revision, author, time and history are filled in here.

        Raises:
            InvalidControlRecord: the name or the wanted config breaks a rule; nothing was written.
            ControlTopicError: the topic is missing or misconfigured.
            KafkaProblem: it could not be read, written or read back.
        """
        control_record.check_model_name(name)
        view = read_control(self._topic, self._timeout_seconds, self._clock)
        known_until = self._topic.position
        before = view.models.get(name)
        config = change(before.config if before else None)
        if config is not None:
            config = self._signed(config, before.config if before else None)
            control_record.check_config(config)
        offset = self._send(name, None if config is None else codec.encode(config))
        between = tuple(
            record
            for record in self._read_back(offset)
            if known_until <= record.offset < offset and record.key == name.encode()
        )
        return Written(name, offset, config, before, between)

    def close(self) -> None:
        """Give reader and producer back."""
        self._topic.close()
        self._producer.close()

    def _signed(self, config: ModelConfig, before: ModelConfig | None) -> ModelConfig:
        return replace(
            config,
            revision=1 if before is None else before.revision + 1,
            author=self._author,
            time=round(self._wall() * 1000),
            history=() if before is None else before.following(),
        )

    def _send(self, name: str, value: bytes | None) -> int:
        reports = []

        def delivered(error: Any, message: Message) -> None:
            reports.append((error, message))

        self._producer.send(self._topic.topic, [value], [name.encode()], partition=0, on_delivery=delivered)
        self._producer.flush(self._timeout_seconds)
        if not reports:
            raise TimedOut(f"the control topic has not taken the record within {self._timeout_seconds:g} s")
        error, message = reports[0]
        if error is not None:
            topic = self._topic.topic
            raise translate(error, topic=topic, wants=[on_topic("WRITE", topic)])
        return message.offset()

    def _read_back(self, offset: int) -> list[ControlRecord]:
        deadline = self._clock() + self._timeout_seconds
        records: list[ControlRecord] = []
        while self._topic.position <= offset:
            records += self._topic.poll(0.2)
            if self._clock() >= deadline:
                raise self._topic.problem or TimedOut(
                    f"the record was written at offset {offset}, but could not be read back in time"
                )
        return records


def read_control(
    topic: ControlTopic, timeout_seconds: float, clock: Callable[[], float] = time.monotonic
) -> ControlView:
    """The whole control topic as it is now.

    Raises:
        ControlTopicError: it is missing or misconfigured.
        KafkaProblem: it could not be read in that time.
    """
    deadline = clock() + timeout_seconds
    view = ControlView()
    topic.open()
    while not topic.caught_up:
        view.apply(topic.poll(0.2))
        if clock() >= deadline and not topic.caught_up:
            raise topic.problem or TimedOut(
                f"the control topic {topic.topic!r} could not be read to its end within {timeout_seconds:g} s"
            )
    return view


def overtaken_by(written: Written) -> Mapping[int, str]:
    """The authors of the records that a change has replaced without knowing them, by offset."""
    authors = {}
    for record in written.between:
        try:
            author = "a removal" if record.value is None else control_record.read_config(record.value).author
        except InvalidControlRecord:
            author = "a record that is not valid"
        authors[record.offset] = author or "somebody"
    return authors
