"""Replies by a producer that reports failures only.

A report of each record costs as much as handing it over. Here a record that the broker has acknowledged is not
reported at all: that *all* of them were is known when the client holds nothing any more, because it holds a record
until its acknowledgement, and a failed one until its report has been served (law 3 of `worker.kafka.producer`). The
acknowledgement of a later record says nothing about earlier ones, so nothing less will do.

Under load a client is never empty by itself. So a lane closes now and then: replies take the usual way, with reports
of their own, until it has become empty. Nobody waits for that, and a lane that does not become empty, because a
partition of its topic has no leader, delays nothing that is sent later.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from worker.delivery import Delivery
from worker.kafka.producer import Producer
from worker.kafka.records import Message

LONGEST_OPEN_SECONDS = 0.1
"""What has been unsettled for longer closes its lane: how late an answered request may be known as such."""


class Handed:
    """Records of one delivery that a lane takes in one call; its reports are their callbacks."""

    __slots__ = ("_delivery", "_failures", "records", "since")

    def __init__(self, delivery: Delivery, since: float) -> None:
        self._delivery = delivery
        self.records = 0
        self.since = since
        # From the poll thread, and from the sending one where the client refuses a record at once: appending needs
        # no lock.
        self._failures: list[None] = []

    def report(self, error: Any, message: Message) -> None:
        """The client's report of a failed reply that its key, its value and its id say all about."""
        self._failures.append(None)
        self._delivery.failed(error, message, self._delivery.sent_of(message))

    def report_at(self, position: int, error: Any, message: Message) -> None:
        """The client's report of the failed reply to the request at a position."""
        self._failures.append(None)
        self._delivery.failed(error, message, self._delivery.sent_at(position))

    def settle(self) -> None:
        """The producer holds none of them any more: those that have not failed are safe."""
        if acknowledged := self.records - len(self._failures):
            self._delivery.acknowledged(acknowledged)


class QuietLane:
    """One producer that reports failures only, and what it has been given.

    `begin` and `sent` may be called from any thread, `serve` by the poll thread.

    Args:
        producer: made to report only failures.
        most_records: so many unsettled records close the lane.
    """

    def __init__(
        self, producer: Producer, *, most_records: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.producer = producer
        self._most_records = most_records
        self._clock = clock
        self._handed: deque[Handed] = deque()
        self._lock = threading.Lock()  # guards _unsettled
        self._unsettled = 0
        self.open = True
        """Whether more may be sent; written by the poll thread. What is sent all the same is settled later."""

    def begin(self, delivery: Delivery) -> Handed:
        """Records of a delivery are about to be sent."""
        return Handed(delivery, self._clock())

    def sent(self, handed: Handed, records: int) -> None:
        """So many records have been taken. Called after the call that sent them: before, nothing may be settled."""
        if not records:
            return
        handed.records = records
        with self._lock:
            self._unsettled += records
        self._handed.append(handed)

    def close_if_used(self) -> None:
        """Take nothing more until what was sent is settled, if anything is; poll thread only."""
        if self._handed:
            self.open = False

    def serve(self) -> int:
        """Take the reports of failures; settle what was sent before, if the client is empty now.

        Raises:
            Fatal: the producer is of no use any more.
        """
        before = len(self._handed)
        served = self.producer.poll(0.0)
        if before and len(self.producer) == 0:
            for _ in range(before):
                self._settle(self._handed.popleft())
            self.open = True
            return served + before
        if before:
            waited_seconds = self._clock() - self._handed[0].since
            if self._unsettled >= self._most_records or waited_seconds >= LONGEST_OPEN_SECONDS:
                self.open = False
        return served

    def __len__(self) -> int:
        """Records handed over and not settled."""
        return max(self._unsettled, len(self.producer))

    def __bool__(self) -> bool:
        return True  # an empty lane is still one

    def _settle(self, handed: Handed) -> None:
        with self._lock:
            self._unsettled -= handed.records
        handed.settle()
