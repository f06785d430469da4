"""A callback that does not return keeps its thread, and nobody else notices: another thread stands in."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from batching.batch import Batch
from batching.batch_queue import BatchQueue
from batching.options import QueueOptions
from batching.shared_scheduler import MOST_STAND_INS, SharedScheduler
from tests.batching.bench import Rows
from tests.fakes.clock import FakeClock
from tests.kit.waiting import PATIENCE_SECONDS, wait_until

STUCK_SECONDS = 1.0


class Model:
    """A callback that returns when it may; by default at once."""

    def __init__(self, *, stuck: bool = False) -> None:
        self._may_return = threading.Semaphore(0)
        self._returns_at_once = not stuck
        self._entered = threading.Semaphore(0)
        self.names: list[str] = []

    def __call__(self, batch: Batch[Rows]) -> None:
        """Run a batch."""
        self.names.append(batch.tasks[0].name)
        self._entered.release()
        if not self._returns_at_once:
            assert self._may_return.acquire(timeout=PATIENCE_SECONDS)

    def wait_until_entered(self) -> None:
        """Wait until one batch more is with it."""
        assert self._entered.acquire(timeout=PATIENCE_SECONDS)

    def let_return(self, batches: int = 1) -> None:
        """Let so many calls return."""
        self._may_return.release(batches)

    def mend(self) -> None:
        """Let all calls return from now on."""
        self._returns_at_once = True
        self._may_return.release(100)


class House:
    """A scheduler with queues of one-row batches, each leading to a model."""

    def __init__(self, threads: int) -> None:
        self.clock = FakeClock()
        self.threads = threads
        self.scheduler = SharedScheduler(
            threads, clock=self.clock, stuck_seconds=STUCK_SECONDS, make_condition=self.clock.condition
        )
        self.models: list[Model] = []

    def queue(self, model: Model, owner: Any = None) -> BatchQueue[Rows]:
        """A queue that leads to a model."""
        self.models.append(model)
        options = QueueOptions(max_batch_rows=1, max_enqueued_batches=100)
        return self.scheduler.add_queue(f"q{len(self.models)}", options, model, owner)

    def later(self, seconds: float = STUCK_SECONDS) -> None:
        """Let time pass, and look."""
        self.clock.advance(seconds)
        self.scheduler.relieve()

    def names_of_threads(self) -> list[str]:
        """The threads that stand in."""
        return sorted(t.name for t in threading.enumerate() if "stands-in" in t.name)

    def wait_for_stand_ins(self, count: int) -> None:
        """Wait until so many threads stand in."""
        wait_until(
            lambda: len(self.names_of_threads()) == count,
            lambda: f"{count} stand in: {self.names_of_threads()}",
            every_seconds=0.01,
        )


@pytest.fixture(params=[1, 3])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """With one and three threads; at its end every thread has ended."""
    before = set(threading.enumerate())
    made = House(request.param)
    yield made
    for model in made.models:
        model.mend()
    made.scheduler.close(drain=True)
    assert set(threading.enumerate()) <= before


def schedule(queue: BatchQueue[Rows], names: list[str]) -> None:
    """Put batches into a queue."""
    for name in names:
        queue.schedule(Rows(name, 1))


def test_a_stuck_model_holds_up_no_other(house: House) -> None:
    """It has as many threads as there are, and no more; the other's batches are processed by those who stand in."""
    stuck, well = Model(stuck=True), Model()
    to_stuck, to_well = house.queue(stuck), house.queue(well)
    schedule(to_stuck, [f"s{n}" for n in range(10)])
    for _ in range(house.threads):
        stuck.wait_until_entered()
    schedule(to_well, ["a"])
    house.scheduler.relieve()
    assert house.names_of_threads() == []

    house.later()
    well.wait_until_entered()
    schedule(to_well, ["b", "c"])
    well.wait_until_entered()
    well.wait_until_entered()

    assert well.names == ["a", "b", "c"]
    assert len(stuck.names) == house.threads
    assert {each.name for each in house.scheduler.stuck(STUCK_SECONDS)} == {"q1"}


def test_nobody_stands_in_while_nothing_waits(house: House) -> None:
    """A model that takes its time alone costs no thread."""
    slow = Model(stuck=True)
    queue = house.queue(slow)
    schedule(queue, ["s"] * 5)
    for _ in range(house.threads):
        slow.wait_until_entered()

    house.later()
    house.later()

    assert house.names_of_threads() == []


def test_who_stands_in_ends_when_the_stuck_one_is_back(house: House) -> None:
    """And the model that was stuck is served again, in the order of its queue."""
    stuck, well = Model(stuck=True), Model()
    to_stuck, to_well = house.queue(stuck), house.queue(well)
    schedule(to_stuck, [f"s{n}" for n in range(8)])
    for _ in range(house.threads):
        stuck.wait_until_entered()
    schedule(to_well, ["a"])
    house.later()
    well.wait_until_entered()
    house.wait_for_stand_ins(house.threads)

    stuck.mend()
    for _ in range(8 - house.threads):
        stuck.wait_until_entered()
    schedule(to_well, ["b"])
    well.wait_until_entered()

    def nobody_stands_in() -> bool:
        house.later()  # a look may find a thread that has yet to leave its callback: then the next one does it
        return house.names_of_threads() == []

    wait_until(nobody_stands_in, lambda: f"nobody stands in: {house.names_of_threads()}", every_seconds=0.01)
    assert sorted(stuck.names) == [f"s{n}" for n in range(8)]


def test_queues_of_one_owner_are_stuck_together(house: House) -> None:
    """A model with many signatures and layouts takes no more threads than one with a single queue."""
    stuck, well = Model(stuck=True), Model()
    queues = [house.queue(stuck, owner="model") for _ in range(6)]
    to_well = house.queue(well, owner="other")
    for queue in queues:
        schedule(queue, ["s", "s"])
    for _ in range(house.threads):
        stuck.wait_until_entered()
    schedule(to_well, ["a"])
    house.later()
    well.wait_until_entered()
    late = house.queue(stuck, owner="model")
    schedule(late, ["late"])
    schedule(to_well, ["b"])
    well.wait_until_entered()

    assert len(stuck.names) == house.threads
    assert "late" not in stuck.names


def test_every_thread_is_stuck_only_where_none_is_free(house: House) -> None:
    """Not while one thread waits for batches, stand-ins included; and not before the time is over."""
    stuck, well = Model(stuck=True), Model()
    to_stuck, to_well = house.queue(stuck), house.queue(well)
    assert house.scheduler.all_stuck(0.0) == []
    schedule(to_stuck, [f"s{n}" for n in range(10)])
    for _ in range(house.threads):
        stuck.wait_until_entered()

    house.clock.advance(5.0)
    assert len(house.scheduler.all_stuck(5.0)) == house.threads
    assert house.scheduler.all_stuck(6.0) == []
    assert {each.name for each in house.scheduler.all_stuck(5.0)} == {"q1"}

    schedule(to_well, ["a"])
    house.later()
    well.wait_until_entered()
    house.wait_for_stand_ins(house.threads)
    assert house.scheduler.all_stuck(5.0) == []
    assert len(house.scheduler.stuck(5.0)) == house.threads


def test_there_is_a_bound_on_those_who_stand_in() -> None:
    """Past so many stuck models a batch waits, and the scheduler can still be closed."""
    house = House(1)
    models = [Model(stuck=True) for _ in range(MOST_STAND_INS + 3)]
    for number, model in enumerate(models):
        schedule(house.queue(model), [str(number)])

    def stuck() -> int:
        return sum(len(model.names) for model in models)

    for stand_ins in range(MOST_STAND_INS):
        wait_until(lambda n=stand_ins: stuck() == n + 1, "the next one stuck", every_seconds=0.01)  # type: ignore[misc]
        house.later()
    for _ in range(6):
        house.later()
    house.wait_for_stand_ins(MOST_STAND_INS)
    assert sum(len(model.names) for model in models) == MOST_STAND_INS + 1

    for model in models:
        model.mend()
    house.scheduler.close(drain=True)
    assert sum(len(model.names) for model in models) == len(models)
    assert house.names_of_threads() == []
