"""Who has how much of each device set aside."""

import threading

import pytest

from lifecycle.resource_tracker import Reservation, ResourceTracker
from lifecycle.resources import HOST, NOTHING, Device, ResourceAllocation, gpu, host
from lifecycle.servable_id import ServableId
from tests.kit.waiting import PATIENCE_SECONDS

GPU = Device("gpu", 0)
A, B, C = ServableId("a", 1), ServableId("b", 1), ServableId("c", 1)


@pytest.fixture
def tracker() -> ResourceTracker:
    """Ten bytes of the host, and twenty of a GPU."""
    return ResourceTracker({HOST: 10, GPU: 20}.get)


def reserved(tracker: ResourceTracker, servable_id: ServableId, needs: ResourceAllocation) -> Reservation:
    """What there is room for."""
    made = tracker.reserve(servable_id, needs)
    assert made is not None
    return made


def test_no_more_than_the_limit_is_set_aside(tracker: ResourceTracker) -> None:
    """To the last byte; what does not fit changes nothing."""
    reserved(tracker, A, host(7))
    assert tracker.reserve(B, host(4)) is None
    assert tracker.used() == host(7)

    reserved(tracker, B, host(3))

    assert tracker.used() == host(10)
    assert tracker.reserve(C, host(1)) is None
    reserved(tracker, C, NOTHING)


def test_each_device_has_its_own_limit(tracker: ResourceTracker) -> None:
    """All of what is needed has to fit."""
    reserved(tracker, A, host(1) + gpu(20))

    assert tracker.reserve(B, host(1) + gpu(1)) is None
    reserved(tracker, B, host(9))


def test_a_device_without_a_limit_takes_anything(tracker: ResourceTracker) -> None:
    """It is counted all the same."""
    reserved(tracker, A, gpu(1 << 50, 7))

    assert tracker.limits() == {HOST: 10}
    assert tracker.devices() == (Device("gpu", 7), HOST)
    assert tracker.used() == gpu(1 << 50, 7)


def test_what_is_released_is_free_and_only_once(tracker: ResourceTracker) -> None:
    """Two reservations of one version are two."""
    first, second = reserved(tracker, A, host(4)), reserved(tracker, A, host(4))

    tracker.release(first)
    tracker.release(first)

    assert tracker.used() == host(4)
    tracker.release(second)
    assert tracker.used() == NOTHING


def test_after_the_load_it_may_become_less_and_never_more(tracker: ResourceTracker) -> None:
    """An estimate that grows would take what another was promised."""
    first = reserved(tracker, A, host(6) + gpu(3))
    tracker.settle(first, host(8) + gpu(2))
    assert tracker.used() == host(6) + gpu(2)

    tracker.settle(first, host(1))

    assert tracker.used() == host(1)


def test_room_may_come_for_as_long_as_something_is_on_its_way(tracker: ResourceTracker) -> None:
    """A load or an unload; not for what is more than the limit."""
    assert not tracker.may_have_room(host(5))
    first = reserved(tracker, A, host(8))
    assert tracker.may_have_room(host(5))
    assert not tracker.may_have_room(host(11))

    tracker.settle(first)
    assert not tracker.may_have_room(host(5))
    tracker.unsettle(first)
    assert tracker.may_have_room(host(5))
    assert not tracker.has_room(host(5))

    tracker.release(first)
    assert tracker.has_room(host(5))


def test_a_refusal_says_what_is_needed_what_is_free_and_who_has_the_rest(tracker: ResourceTracker) -> None:
    """And what may be done, without what would not help."""
    reserved(tracker, A, host(2) + gpu(1))
    reserved(tracker, B, host(6))

    assert tracker.refusal(C, host(3) + gpu(1)) == (
        "there is no room for c/1: it needs 3 bytes of the host's memory; 2 bytes of 10 bytes is free "
        "(set aside: b/1 6 bytes, a/1 2 bytes): unload another version, or raise the limit"
    )


def test_a_refusal_of_a_new_version_names_the_policy_that_makes_room() -> None:
    """And the settings that the owner of the tracker names."""
    tracker = ResourceTracker({HOST: 10}.get, "raise host_memory_bytes")
    reserved(tracker, A, host(6))

    said = tracker.refusal(ServableId("a", 2), host(6))

    assert said.endswith(
        "unload another version, let the old version go first (the policy resource_preserving), or raise "
        "host_memory_bytes"
    )


def test_what_can_never_fit_is_told_so(tracker: ResourceTracker) -> None:
    """To unload others would not help."""
    reserved(tracker, A, host(2))

    assert tracker.refusal(B, host(11) + gpu(1)) == (
        "b/1 is too big: it needs 11 bytes of the host's memory, and models may have 10 bytes of that in all: "
        "raise the limit, or make it smaller"
    )


def test_a_refusal_names_the_largest_and_counts_the_rest() -> None:
    """Hundreds of models make no endless sentence."""
    tracker = ResourceTracker({HOST: 100}.get)
    for number in range(1, 9):
        reserved(tracker, ServableId(f"m{number}", 1), host(number))

    said = tracker.refusal(A, host(90))

    assert (
        "(set aside: m8/1 8 bytes, m7/1 7 bytes, m6/1 6 bytes, m5/1 5 bytes, m4/1 4 bytes and 3 more)" in said
    )


def test_threads_together_take_no_more_than_there_is() -> None:
    """Whoever is first; the others get nothing."""
    tracker = ResourceTracker({HOST: 100}.get)
    together = threading.Barrier(8)
    taken: list[Reservation] = []

    def take() -> None:
        together.wait(PATIENCE_SECONDS)
        for _ in range(50):
            made = tracker.reserve(A, host(3))
            if made is not None:
                taken.append(made)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)

    assert len(taken) == 33
    assert tracker.used() == host(99)


def test_room_comes_only_from_who_has_what_is_short(tracker: ResourceTracker) -> None:
    """The end of a load on a GPU leaves no room on the host."""
    tracker.settle(reserved(tracker, A, host(8)))
    reserved(tracker, B, gpu(20))

    assert not tracker.may_have_room(host(5))
    assert tracker.may_have_room(gpu(5))
