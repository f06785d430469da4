"""The latest states, and waiting for them."""

import threading

import pytest

from lifecycle import errors
from lifecycle.event_bus import EventBus
from lifecycle.servable_id import ServableId, ServableRequest
from lifecycle.servable_state import ServableState
from lifecycle.servable_state_monitor import Reached, ServableStateMonitor

S = ServableState
FAILED = errors.LoadFailed("no")


def m(version: int) -> ServableId:
    """A version of m."""
    return ServableId("m", version)


@pytest.fixture
def bus() -> EventBus:
    """A bus."""
    return EventBus(wall=lambda: 5.0)


@pytest.fixture
def monitor(bus: EventBus) -> ServableStateMonitor:
    """A monitor that hears everything."""
    return ServableStateMonitor(bus)


class Notified:
    """Hears how a wait ended."""

    def __init__(self) -> None:
        self.calls: list[tuple[bool, dict[str, S]]] = []

    def hear(self, all_reached: bool, reached: Reached) -> None:
        """Write down."""
        self.calls.append((all_reached, {str(each): event.state for each, event in reached.items()}))


def test_latest_state_is_remembered(bus: EventBus, monitor: ServableStateMonitor) -> None:
    """The last event of a version stands, also after its end; of what never was there is none."""
    bus.publish(m(1), S.START)
    bus.publish(m(1), S.END, FAILED)

    latest = monitor.latest(m(1))
    assert latest is not None
    assert (latest.state, latest.error, latest.time) == (S.END, FAILED, 5.0)
    assert monitor.latest(m(2)) is None
    assert monitor.latest(ServableId("n", 1)) is None


def test_versions_are_shown_from_the_highest(bus: EventBus, monitor: ServableStateMonitor) -> None:
    """The versions of a name, those that ended too, by descending number."""
    for version in (2, 10, 1):
        bus.publish(m(version), S.START)
    bus.publish(m(10), S.END)

    assert [(version, event.state) for version, event in monitor.versions("m").items()] == [
        (10, S.END),
        (2, S.START),
        (1, S.START),
    ]
    assert monitor.versions("n") == {}


def test_live_versions_are_those_not_ended(bus: EventBus, monitor: ServableStateMonitor) -> None:
    """The map of the living leaves out what has ended; a version that starts again is back in it."""
    bus.publish(m(1), S.AVAILABLE)
    bus.publish(m(2), S.LOADING)
    bus.publish(m(2), S.END, FAILED)
    assert list(monitor.live()) == [m(1)]

    bus.publish(m(2), S.START)

    assert list(monitor.live()) == [m(2), m(1)]


def test_ended_versions_can_be_forgotten(bus: EventBus, monitor: ServableStateMonitor) -> None:
    """Only the ended versions of the one name go."""
    bus.publish(m(1), S.END)
    bus.publish(m(2), S.AVAILABLE)
    bus.publish(ServableId("n", 1), S.END)

    monitor.forget_ended("m")
    monitor.forget_ended("n")

    assert list(monitor.versions("m")) == [2]
    assert monitor.versions("n") == {}


def test_notice_comes_once_when_all_have_arrived(bus: EventBus, monitor: ServableStateMonitor) -> None:
    """Nothing is told before each request has reached its goal, and it is told once."""
    told = Notified()
    monitor.notify_when_reached(
        [ServableRequest.specific("m", 1), ServableRequest.latest("n")], S.AVAILABLE, told.hear
    )

    bus.publish(m(1), S.AVAILABLE)
    bus.publish(m(2), S.AVAILABLE)
    assert told.calls == []
    bus.publish(ServableId("n", 7), S.AVAILABLE)
    bus.publish(ServableId("n", 8), S.AVAILABLE)

    assert told.calls == [(True, {"m/1": S.AVAILABLE, "n/7": S.AVAILABLE})]


def test_notice_tells_of_an_end(bus: EventBus, monitor: ServableStateMonitor) -> None:
    """A version that ends instead settles its request, with False."""
    told = Notified()
    monitor.notify_when_reached(
        [ServableRequest.specific("m", 1), ServableRequest.specific("m", 2)], S.AVAILABLE, told.hear
    )

    bus.publish(m(1), S.END, FAILED)
    assert told.calls == []
    bus.publish(m(2), S.AVAILABLE)

    assert told.calls == [(False, {"m/1": S.END, "m/2": S.AVAILABLE})]


def test_notice_comes_at_once_when_it_is_so_already(bus: EventBus, monitor: ServableStateMonitor) -> None:
    """What was reached before the question counts; no request at all is reached."""
    told = Notified()
    bus.publish(m(1), S.AVAILABLE)

    monitor.notify_when_reached([ServableRequest.specific("m", 1)], S.AVAILABLE, told.hear)
    monitor.notify_when_reached([], S.AVAILABLE, told.hear)

    assert [each for each, _ in told.calls] == [True, True]


def test_end_can_be_the_goal(bus: EventBus, monitor: ServableStateMonitor) -> None:
    """To wait for an end is to succeed when it comes."""
    told = Notified()
    monitor.notify_when_reached([ServableRequest.specific("m", 1)], S.END, told.hear)

    bus.publish(m(1), S.END)

    assert [each for each, _ in told.calls] == [True]


def test_given_up_notice_never_comes(bus: EventBus, monitor: ServableStateMonitor) -> None:
    """Who gives up is not told."""
    told = Notified()
    give_up = monitor.notify_when_reached([ServableRequest.latest("m")], S.AVAILABLE, told.hear)

    give_up()
    bus.publish(m(1), S.AVAILABLE)

    assert told.calls == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [(S.AVAILABLE, True), (S.END, False), (S.LOADING, False)],
    ids=str,
)
def test_wait_tells_how_it_ended(
    bus: EventBus, monitor: ServableStateMonitor, state: ServableState, *, expected: bool
) -> None:
    """A wait is True when the goal is reached, False after an end, and False when time is over."""

    def wait(event: threading.Event, timeout_seconds: float | None) -> bool:
        assert timeout_seconds == 7.0
        bus.publish(m(1), state)
        return event.is_set()

    assert monitor.wait_until_reached([ServableRequest.latest("m")], S.AVAILABLE, 7.0, wait) is expected


def test_closed_monitor_hears_no_more(bus: EventBus, monitor: ServableStateMonitor) -> None:
    """After the close nothing changes."""
    monitor.close()

    bus.publish(m(1), S.START)

    assert monitor.latest(m(1)) is None
