"""The histogram that takes arrays, beside the client library's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from worker.metrics_histogram import MOST_KEPT, BlockHistogram

BOUNDS = (0.1, 1.0, 2.5, 10.0)


@given(st.lists(st.floats(min_value=0, max_value=20), min_size=1, max_size=50))
def test_shows_what_the_library_would_show(values: list[float]) -> None:
    """Prometheus cannot tell it from the client library's histogram, values on a bound included."""
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    reference = Histogram("a", "b", ["c"], buckets=BOUNDS, registry=theirs).labels("d")
    histogram = BlockHistogram("a", "b", ["c"], BOUNDS, ours).labels("d")
    for value in values:
        reference.observe(value)
    histogram.observe_many(np.array(values), len(values))

    assert samples(ours) == samples(theirs)


@given(st.lists(st.integers(-1, 20), min_size=1, max_size=50), st.integers(1, 9))
def test_a_value_may_stand_for_several(values: list[int], each: int) -> None:
    """As if each had been there as often as it stands for, the last one for what is left."""
    some, all_of_them = (
        BlockHistogram("a", "b", ["c"], BOUNDS, CollectorRegistry()).labels("d") for _ in range(2)
    )
    known = np.array(values[::each], np.float64)
    some.observe_many(known, len(values), each)
    all_of_them.observe_many(np.repeat(known, each)[: len(values)], len(values))

    assert some.snapshot() == all_of_them.snapshot()


def test_one_value_counts_as_an_array_of_one() -> None:
    """Both ways of counting agree."""
    registry = CollectorRegistry()
    histogram = BlockHistogram("a", "b", ["c"], BOUNDS, registry)
    histogram.labels("one").observe(2.5)
    histogram.labels("many").observe_many(np.array([2.5]), 1)

    assert histogram.labels("one").snapshot() == histogram.labels("many").snapshot() == ([0, 0, 1, 1, 1], 2.5)


def test_blocks_count_whenever_somebody_looks() -> None:
    """What is kept to be sorted in later is there for each look, and is never counted twice."""
    histogram = BlockHistogram("a", "b", ["c"], BOUNDS, CollectorRegistry()).labels("d")
    for looks in range(1, 4):
        for _ in range(MOST_KEPT // 1000 + 1):
            histogram.observe_many(np.full(1000, 0.5), 1000)
        histogram.observe_many(np.array([-1.0]), 1)
        counts, total = histogram.snapshot()

        values = looks * (MOST_KEPT // 1000 + 1) * 1000
        assert counts == [looks, values + looks, values + looks, values + looks, values + looks]
        assert total == values * 0.5


def test_refuses_a_wrong_number_of_labels() -> None:
    """A series without one of its labels would be another series."""
    histogram = BlockHistogram("a", "b", ["c"], BOUNDS, CollectorRegistry())

    with pytest.raises(ValueError, match="has the labels"):
        histogram.labels("x", "y")


def test_the_text_format_can_be_written() -> None:
    """The exposition takes it as it is."""
    registry = CollectorRegistry()
    BlockHistogram("a", "b", ["c"], BOUNDS, registry).labels("d").observe(0.5)

    assert b'a_bucket{c="d",le="1.0"} 1.0' in generate_latest(registry)


def samples(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    """Every sample but the time of creation, floats rounded as sums differ in their last bit."""
    return {
        (sample.name, str(sorted(sample.labels.items()))): round(sample.value, 9)
        for family in registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
