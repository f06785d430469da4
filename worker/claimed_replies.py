"""Replies that are too large for their topic, on their way by claims: written beside the flow, then sent."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from schemas import reply_columns
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from worker import claim_places
from worker.claim_fetch import Retries
from worker.claim_roots import ClaimError
from worker.claim_threads import HANGS, ClaimObserver, ClaimThreads
from worker.claim_writing import Write
from worker.delivery import Delivery, PublisherClosedError
from worker.kafka.records import Headers
from worker.log import Occasionally
from worker.reply_routes import Place
from worker.reply_sizes import OWN_CODEC

log = logging.getLogger(__name__)

ROOM_WAIT_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class LargeReply:
    """One reply that its topic does not take as it is.

    Attributes:
        delivery: what it belongs to.
        position: its request's position in the poll.
        place: where it goes.
        payload: as it was encoded, or as it is sent.
        key: its key.
        headers: its headers.
        room_bytes: what its topic takes beside key and headers.
        again: whether it was sent before, in its turn, and refused.
    """

    delivery: Delivery
    position: int
    place: Place
    payload: bytes
    key: bytes | None
    headers: Headers | None
    room_bytes: int
    again: bool = False


class ClaimedReplies:
    """Large replies; `put` and `close` may be called from any thread, `step` by the poll thread, which makes this.

    Args:
        folder: where this group's data goes.
        most_bytes: replies of so many bytes may wait together; past that, batch threads wait, never the
            poll thread.
        wall: wall clock in seconds, for names.
    """

    def __init__(  # noqa: PLR0913 - its seams, each by its name
        self,
        threads: ClaimThreads,
        folder: str,
        *,
        most_bytes: int,
        observer: ClaimObserver,
        clock: Callable[[], float],
        wall: Callable[[], float],
        retries: Retries | None = None,
    ) -> None:
        self._threads = threads
        self._new_place = lambda: claim_places.new_place(folder, wall())
        self._most_bytes = most_bytes
        self._observer = observer
        self._clock = clock
        self._retries = retries or Retries()
        self._occasionally = Occasionally(log, seconds=10.0, clock=clock)
        self._poll_thread = threading.get_ident()
        self._arrived: deque[LargeReply] = deque()
        self._writing: list[tuple[LargeReply, Write]] = []
        self._changed = threading.Condition()  # guards _bytes
        self._bytes = 0
        self._closed = False

    def put(self, reply: LargeReply) -> None:
        """Have the data of a reply written; a batch thread waits while too much waits already.

        Raises:
            PublisherClosedError: the worker ends.
        """
        size = len(reply.payload)
        with self._changed:
            while self._bytes and self._bytes + size > self._most_bytes and not self._closed:
                if threading.get_ident() == self._poll_thread:
                    break
                self._changed.wait(ROOM_WAIT_SECONDS)
            if self._closed:
                raise PublisherClosedError
            self._bytes += size
        self._arrived.append(reply)

    def step(self) -> list[tuple[LargeReply, bytes]]:
        """The replies that can be sent by now, with their values: an error where writing failed."""
        while self._arrived:
            reply = self._arrived.popleft()
            write = Write(
                reply.payload, reply.room_bytes, self._new_place, retries=self._retries, clock=self._clock
            )
            self._writing.append((reply, write))
            self._threads.begin(write)
        self._threads.step()
        if not self._writing:
            return []
        done: list[tuple[LargeReply, bytes]] = []
        for each in list(self._writing):
            reply, write = each
            if not write.ended and not self._threads.is_late(write):
                continue
            self._writing.remove(each)
            done.append((reply, self._outcome(reply, write)))
            with self._changed:
                self._bytes -= len(reply.payload)
                self._changed.notify_all()
        return done

    def close(self) -> None:
        """Take nothing more; threads that wait for room give up."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _outcome(self, reply: LargeReply, write: Write) -> bytes:
        if write.ended and write.value is not None:
            assert write.started is not None, "it has ended"
            self._observer.claim_done("write", self._clock() - write.started, write.size_bytes)
            return write.value
        if not write.ended:
            self._threads.give_up(write)
            failure = ClaimError(Code.UNAVAILABLE, "its data could not be stored in time", HANGS)
        else:
            failure = write.failure or ClaimError(Code.UNAVAILABLE, "its data could not be stored")
        self._observer.claim_failed("write", failure.code.name)
        if failure.problem:
            self._occasionally.warning(
                "the data of a reply cannot be written; look at claims.write_root, and at fsspec's configuration for "
                "its store",
                problem=failure.problem,
            )
        if failure.code is Code.RESOURCE_EXHAUSTED:
            reply.delivery.too_large += 1
        else:
            reply.delivery.unstored += 1
        return _refusal(reply, failure)


def _refusal(reply: LargeReply, failure: ClaimError) -> bytes:
    """The error in place of a reply whose data cannot be written."""
    asked = OWN_CODEC.decode(reply.payload, PredictReply)
    message = (
        f"the reply has {len(reply.payload)} bytes and topic {reply.place[0]!r} takes {max(0, reply.room_bytes)}; "
        f"{failure} (claims.write_root); ask for fewer rows or outputs, or try again"
    )
    return reply_columns.encode_error(asked.model, asked.version, failure.code, message, asked.id.encode())
