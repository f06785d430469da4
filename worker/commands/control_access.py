"""The way of a command to the control topic and to the status topic."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from worker.commands.connecting import connection_of
from worker.control_topic import ControlTopic
from worker.control_view import ControlView, read_control
from worker.control_writer import ControlWriter, current_author
from worker.fleet_reader import FleetReader
from worker.kafka import clients
from worker.kafka.errors import KafkaProblem
from worker.settings import Settings

READ_SECONDS = 30.0
"""How long reading one of the two topics may take."""


@dataclass(frozen=True)
class ControlAccess:
    """Makes what a command needs; tests bring their own.

    Attributes:
        group: the consumer group of the workers that are meant.
        new_topic: a reader of the control topic.
        new_writer: a writer to it.
        new_fleet: a reader of the status topic.
    """

    group: str
    new_topic: Callable[[], ControlTopic]
    new_writer: Callable[[], ControlWriter]
    new_fleet: Callable[[], FleetReader]

    def read(self) -> ControlView:
        """The whole control topic as it is now.

        Raises:
            ControlTopicError: it is missing or misconfigured.
            KafkaProblem: it could not be read.
        """
        topic = self.new_topic()
        try:
            return read_control(topic, READ_SECONDS)
        finally:
            topic.close()

    @contextmanager
    def writing(self) -> Iterator[ControlWriter]:
        """A writer for the length of a block."""
        writer = self.new_writer()
        try:
            yield writer
        finally:
            writer.close()

    @contextmanager
    def watching(self) -> Iterator[FleetReader]:
        """The status topic, read to its end, for the length of a block.

        Raises:
            KafkaProblem: it is missing, or could not be read.
        """
        fleet = self.new_fleet()
        try:
            fleet.open(READ_SECONDS)
            yield fleet
        finally:
            fleet.close()


def access_of(settings: Settings) -> ControlAccess:
    """The access that the settings describe.

    Raises:
        InvalidProperty: a client property cannot be used.
    """
    where = connection_of(settings)
    admin = clients.admin(where)
    reader = functools.partial(clients.reader, where)

    def new_topic(*more_rights: str) -> ControlTopic:
        facts = admin if settings.topics.control_check == "checked" else None
        return ControlTopic(settings.topics.control, reader, facts, more_rights=more_rights)

    def new_writer() -> ControlWriter:
        return ControlWriter(new_topic("WRITE"), clients.producer(where, _ignore), author=current_author())

    def new_fleet() -> FleetReader:
        return FleetReader(settings.topics.status, reader, admin)

    return ControlAccess(settings.kafka.group, new_topic, new_writer, new_fleet)


def _ignore(problem: KafkaProblem) -> None:
    """What the producer reports beside: the one record that is written has a report of its own."""
