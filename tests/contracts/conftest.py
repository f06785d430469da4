"""The fake and the real world of a Kafka contract, and what each of its tests has for itself."""

import uuid
from collections.abc import Iterator

import pytest

from tests.kit.broker import Broker
from tests.kit.kafka_worlds import FakeWorld, RealWorld, Witness, World
from worker.kafka import client_config, clients
from worker.kafka.producer import Producer

_QUICK = {"heartbeat.interval.ms": 200, "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 100}


@pytest.fixture(scope="session")
def feeder(kafka_broker: Broker) -> Iterator[Producer]:
    """One producer for all tests: each new one takes half a second to get its id from the broker.

    It waits for a flush, so that what is sent and then flushed is one batch, however slowly it was handed over.
    """
    where = client_config.connection(kafka_broker.bootstrap_servers)
    producer = clients.producer(where, Witness().on_problem, {"linger.ms": 60_000})
    yield producer
    producer.close()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.kafka)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The fake and the real broker."""
    made: World
    if request.param == "fake":
        made = FakeWorld()
    else:
        broker, topic = request.getfixturevalue("kafka_broker"), request.getfixturevalue("topic")
        # Nobody polls during a transaction, so nobody is missed too soon.
        made = RealWorld(broker, topic, _QUICK, request.getfixturevalue("feeder"), missed_seconds=6.0)
    yield made
    made.close()


@pytest.fixture
def group() -> str:
    """A group of this test alone."""
    return f"group-{uuid.uuid4().hex[:8]}"
