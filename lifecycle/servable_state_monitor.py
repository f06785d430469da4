"""The latest state of every version, as told by an event bus; and waiting until versions have got somewhere.

Source: TensorFlow Serving's `core/servable_state_monitor.h`.
"""

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence

from lifecycle import event_bus
from lifecycle.servable_id import Pick, ServableId, ServableRequest
from lifecycle.servable_state import ServableEvent, ServableState

Reached = Mapping[ServableId, ServableEvent]
"""For each request that was waited for, the version that has settled it, and how."""

Notify = Callable[[bool, Reached], None]
"""Told once: whether each request has reached its goal (False: one has ended first), and by which version."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    requests: tuple[ServableRequest, ...]
    goal: ServableState
    notify: Notify


class ServableStateMonitor:
    """Remembers the last event of each version. Thread-safe.

    It knows only what happens after it is made: make it before the manager is told anything.
    """

    def __init__(self, bus: event_bus.EventBus) -> None:
        self._lock = threading.Lock()  # guards the two below
        self._latest: dict[str, dict[int, ServableEvent]] = {}
        self._waiters: list[_Waiter] = []
        self._unsubscribe = bus.subscribe(self._hear)

    def latest(self, servable_id: ServableId) -> ServableEvent | None:
        """The last event of a version; None when there was none."""
        with self._lock:
            return self._latest.get(servable_id.name, {}).get(servable_id.version)

    def versions(self, name: str) -> dict[int, ServableEvent]:
        """The last event of each version of a name, by descending version; also of those that have ended."""
        with self._lock:
            return dict(sorted(self._latest.get(name, {}).items(), reverse=True))

    def live(self) -> dict[ServableId, ServableEvent]:
        """The last event of each version that has not ended, by name and descending version."""
        with self._lock:
            events = [event for versions in self._latest.values() for event in versions.values()]
        events.sort(key=lambda event: (event.id.name, -event.id.version))
        return {event.id: event for event in events if not event.ended}

    def forget_ended(self, name: str) -> None:
        """Drop the ended versions of a name: for who removes a servable for good."""
        with self._lock:
            left = {v: event for v, event in self._latest.get(name, {}).items() if not event.ended}
            if left:
                self._latest[name] = left
            else:
                self._latest.pop(name, None)

    def notify_when_reached(
        self, requests: Sequence[ServableRequest], goal: ServableState, notify: Notify
    ) -> Callable[[], None]:
        """Call `notify` once, when each request has reached the goal or has ended; at once if that is so now.

        A request for the latest or earliest version is settled by any version of that name. What is returned
        gives up waiting.
        """
        waiter = _Waiter(tuple(requests), goal, notify)
        with self._lock:
            reached = self._reached(waiter)
            if reached is None:
                self._waiters.append(waiter)
        if reached is not None:
            _tell(waiter, reached)

        def give_up() -> None:
            with self._lock:
                self._waiters = [each for each in self._waiters if each is not waiter]

        return give_up

    def wait_until_reached(
        self,
        requests: Sequence[ServableRequest],
        goal: ServableState,
        timeout_seconds: float | None,
        wait: Callable[[threading.Event, float | None], bool] = threading.Event.wait,
    ) -> bool:
        """Wait until each request has reached its goal; False when one has ended instead, or time is over.

        `wait` waits for the event at most so many seconds: a test may step a manager in it.
        """
        told = threading.Event()
        answer: list[bool] = []

        def notify(all_reached: bool, reached: Reached) -> None:  # noqa: FBT001 - the form of a Notify
            del reached
            answer.append(all_reached)
            told.set()

        give_up = self.notify_when_reached(requests, goal, notify)
        wait(told, timeout_seconds)
        give_up()
        return answer == [True]

    def close(self) -> None:
        """Hear no more."""
        self._unsubscribe()

    def _hear(self, event: ServableEvent) -> None:
        settled = []
        with self._lock:
            self._latest.setdefault(event.id.name, {})[event.id.version] = event
            for waiter in tuple(self._waiters):
                reached = self._reached(waiter)
                if reached is not None:
                    self._waiters.remove(waiter)
                    settled.append((waiter, reached))
        for waiter, reached in settled:
            _tell(waiter, reached)

    def _reached(self, waiter: _Waiter) -> Reached | None:
        reached: dict[ServableId, ServableEvent] = {}
        for request in waiter.requests:
            versions = self._latest.get(request.name, {})
            if request.pick is Pick.SPECIFIC:
                versions = {v: event for v, event in versions.items() if v == request.version}
            arrived = [event for event in versions.values() if event.state is waiter.goal]
            ended = [event for event in versions.values() if event.ended]
            if not arrived and not ended:
                return None
            event = max(arrived or ended, key=lambda each: each.id)
            reached[event.id] = event
        return reached


def _tell(waiter: _Waiter, reached: Reached) -> None:
    waiter.notify(all(event.state is waiter.goal for event in reached.values()), reached)
