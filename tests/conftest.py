"""What every test may ask for, and what no test may leave behind.

Light on purpose: nothing here imports a library that a test has not asked for. An error in a thread fails its
test by pytest itself, whose warning about it is an error here.
"""

import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from typing import Protocol

import pytest
from hypothesis import HealthCheck, settings

from tests.kit.broker import Broker, ForeignBroker, KafkaBroker
from tests.kit.maven_jars import JavaUnavailable, do_without
from tests.kit.waiting import PATIENCE_SECONDS

_NO_BROKER = "no Kafka broker"

# Nothing is timed: machines that share their cores are slow now and then.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


class TopicFactory(Protocol):
    """Makes topics with names of their own."""

    def __call__(
        self, hint: str = "topic", partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        """A new topic; *hint* is part of its name."""
        ...


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[Broker]:
    """A real Kafka broker: TEST_BOOTSTRAP_SERVERS, or one of our own for this run. Without either: skip."""
    if address := os.environ.get("TEST_BOOTSTRAP_SERVERS"):
        yield ForeignBroker(address)
        return
    try:
        broker = KafkaBroker()
    except JavaUnavailable as error:
        do_without(_NO_BROKER, error)
    with broker:
        yield broker


@pytest.fixture
def topic(kafka_broker: Broker) -> Iterator[TopicFactory]:
    """Makes topics on the broker; on a broker that is not ours they are deleted after the test."""
    from tests.kit.topic_changes import patient_admin
    from worker.kafka import client_config
    from worker.kafka.topic_facts import TopicSpec

    admin = patient_admin(client_config.connection(kafka_broker.bootstrap_servers))
    made: list[str] = []

    def make(hint: str = "topic", partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        name = f"test-{hint}-{uuid.uuid4().hex[:12]}"
        problem = admin.create_topics([TopicSpec(name, partitions, 1, dict(config or {}))])[name]
        if problem is not None:
            raise problem
        made.append(name)
        return name

    yield make
    if made and isinstance(kafka_broker, ForeignBroker):
        admin.delete_topics(made)


@pytest.fixture(autouse=True)
def _no_leaked_threads() -> Iterator[None]:
    """A test ends the threads that it starts; one that is just ending is given a moment."""
    before = set(threading.enumerate())
    yield
    started = [thread for thread in threading.enumerate() if thread not in before]
    for thread in started:
        thread.join(PATIENCE_SECONDS)
    leaked = [thread.name for thread in started if thread.is_alive()]
    if leaked:
        pytest.fail(f"threads left running: {', '.join(leaked)}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line that the tests with a broker did not run."""
    skipped = [r for r in terminalreporter.stats.get("skipped", []) if _NO_BROKER in str(r.longrepr)]
    if skipped:
        reason = str(skipped[0].longrepr[2]).removeprefix("Skipped: ").splitlines()[0]
        line = f"{len(skipped)} Kafka tests skipped, {reason}; TEST_BOOTSTRAP_SERVERS names one to use"
        terminalreporter.write_line(line)
