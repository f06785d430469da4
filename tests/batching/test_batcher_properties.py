"""What holds for any sequence of calls of a batcher, with 0, 1 and 3 batch threads."""

import threading
from collections import Counter
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching import errors
from batching.arrays import Array
from batching.batcher import Batcher
from batching.options import QueueOptions
from tests.batching.bench import THREAD_COUNTS, Bench
from tests.kit.waiting import PATIENCE_SECONDS

MAX_BATCH_ROWS = 8
TIMEOUT_SECONDS = 0.25
MOST_LAYOUTS = 2


@dataclass(frozen=True)
class Given:
    """A task comes; perhaps one of its rows makes the function raise."""

    rows: int
    layout: int
    fails: bool


@dataclass(frozen=True)
class Cancel:
    """One of the tasks so far is cancelled, whatever has become of it."""

    which: int


@dataclass(frozen=True)
class Pause:
    """Time goes by."""


@dataclass(frozen=True)
class Burst:
    """Things happen while no thread is free."""

    events: "tuple[Given | Cancel, ...]"


TASKS = st.builds(Given, st.integers(1, 20), st.integers(0, 2), st.sampled_from([False] * 7 + [True]))
HAPPENINGS = st.one_of(TASKS, st.builds(Cancel, st.integers(0, 30)))
EVENTS = st.lists(
    st.one_of(HAPPENINGS, st.builds(Pause), st.builds(Burst, st.lists(HAPPENINGS, max_size=8).map(tuple))),
    max_size=20,
)


class Run:
    """Plays events against a batcher whose function checks each call and answers by row number."""

    def __init__(self, threads: int, allowed: tuple[int, ...], most_bytes: int | None) -> None:
        self.bench = Bench(threads)
        self.allowed = allowed
        self.tasks: list[tuple[Array, futures.Future[Any]]] = []
        self.ended: Counter[int] = Counter()
        self.cancelled: set[int] = set()
        self.failing: set[int] = set()
        self.seen: Counter[int] = Counter()
        self.lock = threading.Lock()
        self.next_row = 0
        options = QueueOptions(MAX_BATCH_ROWS, TIMEOUT_SECONDS, 3, allowed)
        self.batcher: Batcher[Array, dict[str, Array]] = Batcher(
            self.function,
            options,
            scheduler=self.bench.scheduler,
            most_layouts=MOST_LAYOUTS,
            max_enqueued_bytes=most_bytes,
        )
        self.most_bytes = most_bytes

    def function(self, x: Array) -> dict[str, Array]:
        """Answer each row by its number; raise for those that fail."""
        rows = x.reshape(len(x), -1)[:, 0]
        assert 1 <= len(x) <= MAX_BATCH_ROWS
        assert not self.allowed or len(x) in self.allowed
        distinct = np.unique(rows)
        assert rows[len(distinct) :].tolist() == [rows[-1]] * (len(x) - len(distinct)), (
            "padding is the last row"
        )
        with self.lock:
            self.seen.update(distinct.tolist())
        if self.failing.intersection(distinct.tolist()):
            raise FloatingPointError("too hard")
        return {"row": rows + 0.0, "wide": x * 2}

    def play(self, events: "tuple[Given | Cancel | Pause | Burst, ...]") -> None:
        """Play all events."""
        for event in events:
            match event:
                case Given():
                    self.give(event)
                    self.check_bytes()
                case Cancel():
                    self.cancel(event)
                case Pause():
                    self.bench.advance(TIMEOUT_SECONDS)
                case Burst():
                    with self.bench.all_threads_busy():
                        self.play(event.events)

    def give(self, event: Given) -> None:
        """Submit rows with numbers of their own, in one of several layouts."""
        numbers = np.arange(self.next_row, self.next_row + event.rows)
        self.next_row += event.rows
        if event.fails:
            self.failing.add(int(numbers[len(numbers) // 2]))
        x = numbers if not event.layout else np.repeat(numbers[:, None], event.layout, axis=1)
        try:
            pending = self.batcher.submit(x)
        except errors.QueueFull:
            return
        except errors.TaskTooLarge:
            assert self.most_bytes is not None
            assert x.nbytes > self.most_bytes
            return
        index = len(self.tasks)
        self.tasks.append((x, pending))
        pending.add_done_callback(lambda _: self.ended.update([index]))

    def cancel(self, event: Cancel) -> None:
        """Cancel a task; it says whether that was in time."""
        if self.tasks:
            index = event.which % len(self.tasks)
            if self.tasks[index][1].cancel():
                self.cancelled.add(index)

    def check_bytes(self) -> None:
        """What waits, cancelled or not, has no more bytes than it may."""
        queues = self.bench.scheduler.statistics().queues
        rows_of = {"int64[]": 8, "int64[1]": 8, "int64[2]": 16}
        waiting = sum(
            size * queue.enqueued_rows
            for queue in queues
            for name, size in rows_of.items()
            if queue.name.endswith(name)
        )
        assert self.most_bytes is None or waiting <= self.most_bytes

    def check(self) -> None:
        """Each task ended once: cancelled without having run, by its own row's error, or with its own rows.

        Only where many fail may others fail with them, as not all are searched for.
        """
        assert self.ended == Counter(range(len(self.tasks)))
        assert self.failing or set(self.seen.values()) <= {1}, "no row is run twice for nothing"
        for index, (x, pending) in enumerate(self.tasks):
            assert pending.cancelled() == (index in self.cancelled)
            numbers = x.reshape(len(x), -1)[:, 0]
            if index in self.cancelled:
                assert not any(self.seen[number] for number in numbers.tolist())
            elif pending.exception(0) is None:
                assert all(self.seen[number] for number in numbers.tolist())
                assert not self.failing.intersection(numbers.tolist())
                assert pending.result(0)["row"].tolist() == numbers.tolist()
                assert pending.result(0)["wide"].tolist() == (2 * x).tolist()
            else:
                assert isinstance(pending.exception(0), FloatingPointError)
                assert len(self.failing) > 2 or self.failing.intersection(numbers.tolist())


@pytest.mark.parametrize("threads", THREAD_COUNTS)
@given(
    events=EVENTS.map(tuple),
    allowed=st.sampled_from([(), (2, 4, 8)]),
    most_bytes=st.sampled_from([None, 40, 200]),
)
def test_any_sequence_of_calls_ends_each_task_once(
    threads: int,
    events: "tuple[Given | Cancel | Pause | Burst, ...]",
    allowed: tuple[int, ...],
    most_bytes: int | None,
) -> None:
    """Whatever comes, is cancelled or fails: once, with its own rows in its order, and no call is too large."""
    run = Run(threads, allowed, most_bytes)
    run.play(events)
    run.batcher.close()
    futures.wait([pending for _, pending in run.tasks], PATIENCE_SECONDS)
    if most_bytes is not None:  # all that was taken has been given back
        assert run.batcher._queues._byte_room is not None
        run.batcher._queues._byte_room.take(most_bytes)
    run.bench.scheduler.close()

    run.check()
