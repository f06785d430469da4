"""The control topic as commands see it: the latest record of each model."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from schemas.model_config import ModelConfig
from worker import control_record
from worker.control_record import InvalidControlRecord
from worker.control_topic import ControlRecord, ControlTopic
from worker.kafka.errors import TimedOut


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

    def config(self, name: str) -> ModelConfig | None:
        """A model's config; None: it is not there, or not valid."""
        entry = self.models.get(name)
        return None if entry is None else entry.config


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
