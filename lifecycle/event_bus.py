"""Tells whoever wants to know of every change of state, in the order in which the changes happened."""

import collections
import logging
import threading
import time
from collections.abc import Callable

from lifecycle import errors, servable_state
from lifecycle.servable_id import ServableId

_log = logging.getLogger(__name__)

Subscriber = Callable[[servable_state.ServableEvent], None]


class EventBus:
    """Carries `ServableEvent`s from a manager to its subscribers; thread-safe.

    A manager calls `enqueue` under the lock under which it changes a state, and `deliver` after letting the
    lock go. So every subscriber sees the events of all versions in one order, the order of the changes, and
    no subscriber runs under the manager's lock. When `deliver` returns, what the caller has enqueued is
    delivered; only a subscriber that itself causes an event gets it later, after the one that it is
    handling.

    Subscribers run on the thread that delivers, which may be a load thread or the thread that releases a
    handle: they must not block. One that raises is logged and does not keep the event from the others.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._lock = threading.Lock()  # guards _waiting and _subscribers
        self._waiting: collections.deque[servable_state.ServableEvent] = collections.deque()
        self._subscribers: tuple[Subscriber, ...] = ()
        self._delivering = threading.Lock()  # held by the one thread that delivers
        self._deliverer: int | None = None

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Hear of every event from now on; call what is returned to hear no more."""
        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers = tuple(each for each in self._subscribers if each is not subscriber)

        return unsubscribe

    def publish(
        self,
        servable_id: ServableId,
        state: servable_state.ServableState,
        error: errors.LifecycleError | None = None,
    ) -> None:
        """Enqueue and deliver in one: for those who hold no lock."""
        self.enqueue(servable_id, state, error)
        self.deliver()

    def enqueue(
        self,
        servable_id: ServableId,
        state: servable_state.ServableState,
        error: errors.LifecycleError | None = None,
    ) -> servable_state.ServableEvent:
        """Fix the place of an event in the order; calls nobody, so it may be called under a lock."""
        with self._lock:
            event = servable_state.ServableEvent(servable_id, state, error, self._wall())
            self._waiting.append(event)
        return event

    def deliver(self) -> None:
        """Hand every enqueued event to every subscriber. Requires: the caller holds no lock."""
        if self._deliverer == threading.get_ident():
            return
        with self._delivering:
            self._deliverer = threading.get_ident()
            try:
                self._deliver_waiting()
            finally:
                self._deliverer = None

    def _deliver_waiting(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                event = self._waiting.popleft()
                subscribers = self._subscribers
            for subscriber in subscribers:
                try:
                    subscriber(event)
                except Exception:  # noqa: BLE001 - a subscriber's fault is not the publisher's
                    _log.exception("a subscriber failed on the event %s", event)
