"""Telling of changes, in order."""

import logging
import threading

import pytest

from lifecycle import errors
from lifecycle.event_bus import EventBus
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableEvent, ServableState
from tests.kit.waiting import PATIENCE_SECONDS

ID = ServableId("m", 1)
S = ServableState


def test_event_says_what_when_and_why() -> None:
    """An event carries id, state, error and the wall clock's time."""
    heard: list[ServableEvent] = []
    bus = EventBus(wall=lambda: 1700000000.5)
    bus.subscribe(heard.append)
    error = errors.LoadFailed("no")

    bus.publish(ID, S.END, error)

    assert heard == [ServableEvent(ID, S.END, error, 1700000000.5)]
    assert str(heard[0]) == "m/1 END (no)"


def test_nothing_is_heard_before_delivery() -> None:
    """Enqueueing calls nobody, so that it can be done under a lock."""
    heard: list[ServableEvent] = []
    bus = EventBus()
    bus.subscribe(heard.append)

    bus.enqueue(ID, S.START)
    assert heard == []
    bus.deliver()

    assert [event.state for event in heard] == [S.START]


def test_every_subscriber_hears_until_it_leaves() -> None:
    """Each subscriber hears each event from its subscription to its end."""
    bus = EventBus()
    heard: list[str] = []
    leave = bus.subscribe(lambda event: heard.append(f"a {event.state.name}"))
    bus.publish(ID, S.START)
    bus.subscribe(lambda event: heard.append(f"b {event.state.name}"))
    bus.publish(ID, S.LOADING)
    leave()
    bus.publish(ID, S.AVAILABLE)

    assert heard == ["a START", "a LOADING", "b LOADING", "b AVAILABLE"]


def test_failing_subscriber_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A subscriber that raises is logged, and the others hear all the same."""
    bus = EventBus()
    heard: list[ServableEvent] = []

    def fail(event: ServableEvent) -> None:
        raise RuntimeError("deaf")

    bus.subscribe(fail)
    bus.subscribe(heard.append)
    with caplog.at_level(logging.ERROR):
        bus.publish(ID, S.START)

    assert len(heard) == 1
    assert "m/1 START" in caplog.text


def test_subscribers_that_cause_events_do_not_change_the_order() -> None:
    """An event that is caused while another is told comes after it, for everybody."""
    bus = EventBus()
    heard: list[S] = []

    def answer(event: ServableEvent) -> None:
        if event.state is S.START:
            bus.publish(ID, S.LOADING)

    bus.subscribe(answer)
    bus.subscribe(lambda event: heard.append(event.state))

    bus.publish(ID, S.START)

    assert heard == [S.START, S.LOADING]


def test_delivery_waits_for_the_thread_that_delivers() -> None:
    """When `deliver` returns, what was enqueued before it has been told, by whichever thread."""
    bus = EventBus()
    telling = threading.Event()
    go_on = threading.Event()
    heard: list[S] = []

    def slow(event: ServableEvent) -> None:
        if event.state is S.START:
            telling.set()
            assert go_on.wait(PATIENCE_SECONDS)
        heard.append(event.state)

    bus.subscribe(slow)
    first = threading.Thread(target=lambda: bus.publish(ID, S.START))
    first.start()
    assert telling.wait(PATIENCE_SECONDS)
    bus.enqueue(ID, S.LOADING)
    second = threading.Thread(target=bus.deliver)
    second.start()
    assert heard == []

    go_on.set()
    second.join(PATIENCE_SECONDS)

    assert heard == [S.START, S.LOADING]
    first.join(PATIENCE_SECONDS)
