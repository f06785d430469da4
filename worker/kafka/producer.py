"""The producer that the worker is written against: what it promises, without the client library.

`worker.kafka.confluent_producer` keeps these promises on real brokers, `tests/fakes/kafka.py` in memory; both
pass `tests/contracts/test_producer.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from worker.kafka.records import Headers, Message

OnDelivery = Callable[[Any, Message], None]
"""Called with the client's error (None: acknowledged), for `errors.translate`, and the record."""


class Producer(Protocol):
    """Writes records: acknowledged by all in-sync replicas, idempotent, partitioned by key as in Java.

    `send` may be called by any thread; `poll`, `flush`, `purge` and `close` belong to the thread that serves
    the reports, because `on_delivery` runs inside them (and inside `send`, for a record that the client
    itself refuses).

    Laws:
    1. Each record handed over gets exactly one report, unless only failures are reported (then at most one).
    2. The report of a record says nothing about other records, not even of the same partition.
    3. A record is held until the broker has acknowledged it, or its failure has been reported. So when `len` is 0
       after a `poll`, everything handed over before that poll is on the broker, but for what was reported.
    """

    def send(
        self,
        topic: str,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers | None] | None = None,
        partition: int = -1,
        on_delivery: OnDelivery | Sequence[OnDelivery] | None = None,
    ) -> int:
        """Hand records over; how many were taken. Fewer than all: the local queue is full, keep the rest.

        *keys* and *headers*, where given, are as long as *values*, and so is *on_delivery* where it is not
        one callable for all. A record that the client refuses at once (too large) counts as taken and is
        reported as any other failure.

        Raises:
            Fatal: this producer is of no use any more; what it holds is reported as failed.
        """
        ...

    def poll(self, timeout_seconds: float = 0.0) -> int:
        """Serve reports that have come, waiting at most that long for the first; how many events were served.

        Raises:
            Fatal: this producer is of no use any more.
        """
        ...

    def flush(self, timeout_seconds: float) -> int:
        """Send without lingering and serve reports until none is left or time is up; how many are left."""
        ...

    def __len__(self) -> int:
        """Records without a report served, and reports not yet served."""
        ...

    def purge(self) -> None:
        """Give up what is queued and on the way; each is reported as failed (it may have been written)."""
        ...

    def close(self) -> None:
        """Give up what is left, and the connections. Calling it again does nothing."""
        ...
