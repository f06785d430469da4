"""Changes models on the control topic, for commands: read everything, change some keys, write, read back.

Nobody locks the topic. Two people who change one model at the same time both succeed, the later record
counts, and the one whose change was made without knowledge of the other's is told so.
"""

import functools
import getpass
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schemas import codec
from schemas.model_config import ModelConfig
from worker import control_record
from worker.control_record import InvalidControlRecord
from worker.control_topic import ControlRecord, ControlTopic
from worker.control_view import ControlEntry, ControlView, read_control
from worker.kafka.errors import KafkaProblem, TimedOut, translate
from worker.kafka.producer import Producer
from worker.kafka.records import Message
from worker.kafka.rights import on_topic

Plan = Callable[[ControlView], Mapping[str, ModelConfig | None]]
"""From what is there to what is to be written, by model (None: the model is to go)."""


def current_author() -> str:
    """Who is working here: user@host, or the user's number where it has no name."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # which of them depends on the Python version
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


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


@dataclass(frozen=True)
class Changes:
    """What has come of changing some models.

    Attributes:
        view: the control topic from which the changes were made.
        written: those that the control topic has, in the plan's order.
        refused: why it has not taken the others, by model.
    """

    view: ControlView
    written: tuple[Written, ...] = ()
    refused: Mapping[str, KafkaProblem] = field(default_factory=dict)


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
        control_record.check_model_name(name)  # before anything is read: a slip of the hand needs no broker
        changes = self.write_all(lambda view: {name: change(view.config(name))})
        for problem in changes.refused.values():
            raise problem
        return changes.written[0]

    def write_all(self, plan: Plan, *, sign: bool = True) -> Changes:
        """Change the models that *plan* names, having read the topic once.

        Args:
            plan: what to write; as in `write`, what signs a config is filled in here.
            sign: whether it is; otherwise a config is written as it is.

        Raises:
            InvalidControlRecord: a name or a config breaks a rule; nothing was written.
            ControlTopicError: the topic is missing or misconfigured.
            KafkaProblem: it could not be read, or not be read back.
        """
        view = read_control(self._topic, self._timeout_seconds, self._clock)
        known_until = self._topic.position
        configs: dict[str, ModelConfig | None] = {}
        for name, config in plan(view).items():
            control_record.check_model_name(name)
            configs[name] = self._signed(config, view.config(name)) if config is not None and sign else config
        for config in configs.values():
            if config is not None:
                control_record.check_config(config)
        sent = self._send(
            {name: None if config is None else codec.encode(config) for name, config in configs.items()}
        )
        offsets = {name: outcome for name, outcome in sent.items() if isinstance(outcome, int)}
        between: dict[bytes | None, list[ControlRecord]] = {}
        for record in self._read_back(max(offsets.values(), default=-1)):
            if record.offset >= known_until:
                between.setdefault(record.key, []).append(record)
        written = tuple(
            Written(
                name,
                offset,
                configs[name],
                view.models.get(name),
                tuple(record for record in between.get(name.encode(), ()) if record.offset < offset),
            )
            for name, offset in offsets.items()
        )
        refused = {name: outcome for name, outcome in sent.items() if isinstance(outcome, KafkaProblem)}
        return Changes(view, written, refused)

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

    def _send(self, values: Mapping[str, bytes | None]) -> dict[str, int | KafkaProblem]:
        """Each record's offset, or why the topic has not taken it."""
        topic = self._topic.topic
        late = f"the control topic has not taken the record within {self._timeout_seconds:g} s"
        outcomes: dict[str, int | KafkaProblem] = {name: TimedOut(late) for name in values}

        def delivered(name: str, error: Any, message: Message) -> None:
            outcomes[name] = (
                message.offset()
                if error is None
                else translate(error, topic=topic, wants=[on_topic("WRITE", topic)])
            )

        deadline = self._clock() + self._timeout_seconds
        names = list(values)
        while names:
            taken = self._producer.send(
                topic,
                [values[name] for name in names],
                [name.encode() for name in names],
                partition=0,
                on_delivery=[functools.partial(delivered, name) for name in names],
            )
            names = names[taken:]
            if names and self._clock() >= deadline:
                return outcomes
            if names:
                self._producer.poll(0.2)
        self._producer.flush(self._timeout_seconds)
        return outcomes

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
