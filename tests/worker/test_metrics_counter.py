"""The counter of blocks, beside the client library's own."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest

from worker.metrics import new_registry
from worker.metrics_counter import BlockCounter


@given(st.lists(st.tuples(st.sampled_from(["one", "two", ""]), st.integers(0, 10_000)), max_size=50))
def test_shows_what_the_library_would_show(counted: list[tuple[str, int]]) -> None:
    """Prometheus cannot tell it from the client library's counter."""
    new_registry()  # turns off the library's time series of when a counter was made
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    reference = Counter("a_total", "b", ["c"], registry=theirs)
    counter = BlockCounter("a_total", "b", ["c"], ours)
    for label, count in counted:
        reference.labels(label).inc(count)
        counter.labels(label).add(count)

    assert generate_latest(ours) == generate_latest(theirs)


def test_labels_that_are_no_texts_are_shown_as_texts() -> None:
    """A version is a number, and none where no version answered."""
    registry = CollectorRegistry()
    counter = BlockCounter("a_total", "b", ["version"], registry)
    counter.labels(3).add(2)
    counter.labels(None).add(1)

    assert registry.get_sample_value("a_total", {"version": "3"}) == 2
    assert registry.get_sample_value("a_total", {"version": ""}) == 1


def test_refuses_a_wrong_number_of_labels() -> None:
    """A series without one of its labels would be another series."""
    with pytest.raises(ValueError, match="has the labels"):
        BlockCounter("a_total", "b", ["c"], CollectorRegistry()).labels("x", "y")


def test_a_name_is_given_once() -> None:
    """The registry knows its series by name, as it does the library's."""
    registry = CollectorRegistry()
    BlockCounter("a_total", "b", ["c"], registry)

    with pytest.raises(ValueError, match="Duplicated"):
        Counter("a_total", "b", ["c"], registry=registry)


def test_threads_lose_no_count() -> None:
    """Batch threads count at the same time."""
    counter = BlockCounter("a_total", "b", [], CollectorRegistry())

    def count() -> None:
        for _ in range(20_000):
            counter.labels().add(1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counter.labels().value == 80_000
