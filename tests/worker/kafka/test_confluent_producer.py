"""What the producer does about a client that has a fatal error to tell."""

from collections.abc import Callable
from typing import Any

import confluent_kafka
import pytest

from worker.kafka import errors
from worker.kafka.confluent_producer import ConfluentProducer
from worker.kafka.errors import KafkaProblem

REASON = "Failed to acquire idempotence PID: Cluster authorization failed"


class Client:
    """Raises a fatal error once, from the call that serves it first, as the client library does; holds one record."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._told = False

    def poll(self, _seconds: float) -> int:
        """Serve."""
        return self._serve("poll", 0)

    def flush(self, _seconds: float) -> int:
        """Serve; the record stays."""
        return self._serve("flush", 1)

    def purge(self) -> None:
        """Throw the record away."""
        self.calls.append("purge")

    def close(self) -> None:
        """The end."""
        self.calls.append("close")

    def __len__(self) -> int:
        return 1

    def _serve(self, name: str, result: int) -> int:
        self.calls.append(name)
        if not self._told:
            self._told = True
            code = confluent_kafka.KafkaError.CLUSTER_AUTHORIZATION_FAILED
            raise confluent_kafka.KafkaException(confluent_kafka.KafkaError(code, REASON, True))
        return result


def producer_of(
    client: Client, on_problem: Callable[[KafkaProblem], None] = lambda _problem: None
) -> ConfluentProducer:
    """A producer with that client in place of its own, which has nothing to do."""
    producer = ConfluentProducer({"bootstrap.servers": "127.0.0.1:1"}, on_problem)
    own: Any = producer.client
    own.close()
    producer._client = client
    return producer


def test_a_fatal_error_is_raised_by_poll_in_our_words() -> None:
    """Now and from then on."""
    producer = producer_of(Client())

    for _ in range(2):
        with pytest.raises(errors.Fatal, match="IDEMPOTENT_WRITE on the cluster"):
            producer.poll()


def test_a_flush_that_meets_a_fatal_error_ends_with_what_is_left() -> None:
    """Nothing more will be taken; the next poll says why."""
    producer = producer_of(Client())

    assert producer.flush(60.0) == 1
    with pytest.raises(errors.Fatal):
        producer.poll()


def test_a_producer_with_a_fatal_error_is_closed_like_any_other() -> None:
    """Whoever closes it has been told why, or has no more use for it: a command shows its own reason."""
    client = Client()

    producer_of(client).close()

    assert client.calls == ["purge", "poll", "close"]
