"""Offsets: only what has been acknowledged is ever committable, in one unbroken row from the front."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.records import TopicPartition
from worker.offset_tracker import OffsetTracker, Run

P0 = TopicPartition("requests", 0)
P1 = TopicPartition("requests", 1)


def run(partition: TopicPartition, next_offset: int, records: int) -> Run:
    """A run of so many records, a row and ten bytes each."""
    return Run(partition, next_offset, records, records, records * 10)


def test_nothing_is_committable_before_anything_settles() -> None:
    """A run that was only read cannot be committed."""
    tracker = OffsetTracker()
    tracker.assign([P0])
    tracker.add(run(P0, 10, 10))

    assert tracker.committable() == {}
    assert tracker.unsettled() == 10


def test_a_finished_run_behind_an_unfinished_one_waits() -> None:
    """Results out of order do not move the committable offset past a hole."""
    tracker = OffsetTracker()
    first, second = run(P0, 5, 5), run(P0, 9, 4)
    for each in (first, second):
        tracker.add(each)
    second.settle(4)

    assert tracker.committable() == {}

    first.settle(5)

    assert tracker.committable() == {P0: 9}


def test_partitions_do_not_wait_for_each_other() -> None:
    """A slow request on one partition does not hold back another's commit."""
    tracker = OffsetTracker()
    slow, quick = run(P0, 1, 1), run(P1, 1, 1)
    tracker.add(slow)
    tracker.add(quick)
    quick.settle(1)

    assert tracker.committable() == {P1: 1}


def test_commit_covers_runs_once() -> None:
    """A committed run is handed back once, for its budget, and is not committable again."""
    tracker = OffsetTracker()
    done = run(P0, 3, 3)
    tracker.add(done)
    done.settle(3)

    assert tracker.committed({P0: 3}) == [done]
    assert tracker.committed({P0: 3}) == []
    assert tracker.committable() == {}
    assert tracker.position(P0) == 3


def test_a_late_result_of_a_forgotten_partition_is_never_committable() -> None:
    """After a partition is lost its runs may settle, but nothing is committed for it."""
    tracker = OffsetTracker()
    tracker.assign([P0])
    late = run(P0, 3, 3)
    tracker.add(late)

    assert tracker.forget([P0]) == [late]

    late.settle(3)

    assert tracker.committable() == {}
    assert tracker.committed({P0: 3}) == []


def test_settling_more_than_was_read_is_a_fault() -> None:
    """A record that is settled twice is noticed, not committed past."""
    single = run(P0, 1, 1)
    single.settle(1)

    with pytest.raises(AssertionError, match="1 records settled"):
        single.settle(1)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20), st.data())
def test_committable_is_the_longest_settled_prefix(sizes: list[int], data: st.DataObject) -> None:
    """Whatever settles in whatever order, the committable offset is the end of the settled front."""
    tracker = OffsetTracker()
    runs, offset = [], 0
    for size in sizes:
        offset += size
        runs.append(run(P0, offset, size))
        tracker.add(runs[-1])
    settled = data.draw(st.sets(st.integers(0, len(runs) - 1)))
    for n in settled:
        runs[n].settle(sizes[n])
    front = 0
    while front in settled:
        front += 1

    assert tracker.committable() == ({P0: runs[front - 1].next_offset} if front else {})


def test_what_is_dropped_is_never_committed_and_what_was_finished_before_it_is() -> None:
    """A partition stands still from its first unfinished run on; the others do not notice."""
    tracker = OffsetTracker()
    tracker.assign([P0, P1])
    done, stuck, behind, other = run(P0, 5, 5), run(P0, 9, 4), run(P0, 12, 3), run(P1, 3, 3)
    for each in (done, stuck, behind, other):
        tracker.add(each)
    for each in (done, behind, other):
        each.settle(each.unsettled)

    assert tracker.drop(P0) == [stuck, behind]
    assert [each.ours for each in (done, stuck, behind, other)] == [True, False, False, True]
    assert tracker.committable() == {P0: 5, P1: 3}
    assert tracker.unsettled() == 0
    assert set(tracker.partitions) == {P0, P1}
    stuck.settle(4)
    tracker.committed(tracker.committable())
    assert tracker.committable() == {}


def test_of_a_partition_that_is_not_followed_nothing_is_dropped() -> None:
    """Nor is it followed from then on."""
    tracker = OffsetTracker()

    assert tracker.drop(P0) == []
    assert tracker.partitions == ()


def test_the_head_is_what_the_next_commit_waits_for() -> None:
    """Everything before its offset is settled; its number falls as the first unfinished run is settled."""
    tracker = OffsetTracker()
    tracker.assign([P0])
    assert tracker.head(P0) == (None, 0)
    first, second = run(P0, 5, 5), run(P0, 9, 4)
    for each in (first, second):
        tracker.add(each)

    assert (tracker.head(P0), tracker.position(P0)) == ((0, 5), 0)
    first.settle(2)
    assert tracker.head(P0) == (0, 3)
    first.settle(3)
    assert (tracker.head(P0), tracker.position(P0)) == ((5, 4), 0)
    second.settle(4)
    assert tracker.head(P0) == (9, 0)
    assert tracker.uncommitted(P0)

    tracker.committed({P0: 9})
    assert (tracker.head(P0), tracker.position(P0)) == ((9, 0), 9)
    assert not tracker.uncommitted(P0)
