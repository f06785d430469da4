"""An embedded broker for demonstrations: librdkafka's mock cluster, for any client of this machine.

It makes topics on first use and no other way, knows groups, commits and transactions, and drops records
beyond about 5 MB a partition. Never for durability, and never for measuring.
"""

from types import TracebackType
from typing import Any, Self

import confluent_kafka

from worker.kafka import errors


class MockCluster:
    """Brokers inside this process, while the `with` block lasts. They stop answering when it ends.

    Attributes:
        bootstrap_servers: their address, on the loopback interface.
    """

    def __init__(self, brokers: int = 1, start_timeout_seconds: float = 10.0) -> None:
        self._owner: Any = confluent_kafka.Producer(
            {"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": str(brokers), "log_level": "0"}
        )
        try:
            found = self._owner.list_topics(timeout=start_timeout_seconds).brokers.values()
        except confluent_kafka.KafkaException as error:
            raise errors.translate(error) from error
        self.bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in found)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def create_topic(self, name: str, timeout_seconds: float = 5.0) -> None:
        """Make a topic by asking for it (4 partitions; the mock takes no other wish)."""
        try:
            self._owner.list_topics(name, timeout=timeout_seconds)
        except confluent_kafka.KafkaException as error:
            raise errors.translate(error, topic=name) from error

    def close(self) -> None:
        """Stop the brokers. Calling it again does nothing."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.purge()
            owner.close()
