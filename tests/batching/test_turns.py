"""Turns by the time that owners have used: by hand, and what holds for any of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching.batch import Batch
from batching.batch_queue import BatchQueue
from batching.options import QueueOptions
from batching.shared_scheduler import SharedScheduler
from batching.turns import LEAST_KEPT, MOST_AHEAD_SECONDS, Turns
from tests.batching.bench import Rows
from tests.fakes.clock import FakeClock


def served(turns: Turns[str], costs: dict[str, float], times: int) -> str:
    """Who is served, where each has always another member, and its use of the device is charged."""
    order = ""
    for owner in costs:
        if owner not in turns:
            turns.add(owner, owner)
    for _ in range(times):
        member = turns.pop()
        assert member is not None
        turns.charge(member, costs[member])
        turns.add(member, member)
        order += member
    return order


def test_those_who_use_the_same_take_turns() -> None:
    """In the order in which they came."""
    assert served(Turns(), dict.fromkeys("abc", 0.25), 9) == "abcabcabc"
    assert served(Turns(), dict.fromkeys("abc", 0.0), 9) == "abcabcabc"


def test_who_uses_less_is_served_more_often() -> None:
    """As often as makes their times equal."""
    order = served(Turns(), {"a": 0.5, "b": 0.125}, 50)

    assert order.count("b") == 4 * order.count("a")
    assert "bbbbbb" not in order


def test_members_of_one_owner_share_its_turns() -> None:
    """Two queues of one model have no more of the device than one queue of another."""
    turns: Turns[str] = Turns()
    for member in ("a1", "b", "a2"):
        turns.add(member, member[0])
    order = []
    for _ in range(8):
        taken = turns.pop()
        assert taken is not None
        turns.charge(taken[0], 0.25)
        turns.add(taken, taken[0])
        order.append(taken)

    assert {member: order.count(member) for member in order} == {"a1": 2, "a2": 2, "b": 4}


def test_nobody_saves_turns_up() -> None:
    """Who comes late is served next, and then in turn."""
    turns: Turns[str] = Turns()
    assert served(turns, {"a": 0.25}, 40) == "a" * 40
    assert served(turns, {"a": 0.25, "b": 0.25}, 4) in ("baba", "abab")


def test_one_very_long_batch_is_not_paid_for_by_a_long_wait() -> None:
    """It counts as a second at most."""
    turns: Turns[str] = Turns()
    turns.add("slow", "slow")
    assert turns.pop() == "slow"
    turns.charge("slow", 1000.0)
    order = served(turns, {"slow": 0.125, "b": 0.125}, 40)

    assert order.index("slow") == MOST_AHEAD_SECONDS / 0.125


def test_marks_that_mean_nothing_are_forgotten() -> None:
    """Owners come and go; what is kept of them is bounded."""
    turns: Turns[int] = Turns()
    for owner in range(10 * LEAST_KEPT):
        turns.add(owner, owner)
        assert turns.pop() == owner
    assert len(turns._places) <= LEAST_KEPT + 1


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["add", "pop", "charge", "remove"])), max_size=60)
)
def test_each_member_is_served_once_and_in_its_owners_order(steps: list[tuple[int, str]]) -> None:
    """Whatever is charged and removed meanwhile."""
    turns: Turns[tuple[int, int]] = Turns()
    waiting: dict[int, list[tuple[int, int]]] = {owner: [] for owner in range(4)}
    for number, (owner, step) in enumerate(steps):
        if step == "add":
            turns.add((owner, number), owner)
            waiting[owner].append((owner, number))
        elif step == "charge":
            turns.charge(owner, 0.5 * (owner + 1))
        elif step == "remove" and waiting[owner]:
            turns.remove(waiting[owner].pop(), owner)
        elif step == "pop":
            member = turns.pop()
            assert (member is None) == (not any(waiting.values()))
            if member is not None:
                assert waiting[member[0]].pop(0) == member
        assert len(turns) == sum(map(len, waiting.values())) == len(list(turns))


@pytest.mark.parametrize("owners", [None, "model"])
def test_a_slow_model_leaves_a_quick_one_its_share_of_the_device(owners: str | None) -> None:
    """Of the time, not of the batches; two queues of one owner take turns by themselves."""
    clock = FakeClock()
    ran: list[str] = []
    scheduler = SharedScheduler(0, clock=clock)

    def add(name: str, seconds: float) -> BatchQueue[Rows]:
        def process(batch: Batch[Rows]) -> None:
            ran.append(name)
            clock.advance(seconds)

        options = QueueOptions(max_batch_rows=1, max_enqueued_batches=100)
        return scheduler.add_queue(name, options, process, owner=owners)

    slow, quick = add("slow", 0.5), add("quick", 0.125)
    for n in range(40):
        slow.schedule(Rows(f"{n}", 1))
        quick.schedule(Rows(f"{n}", 1))
    for _ in range(20):
        scheduler.step()

    assert ran.count("slow") == (4 if owners is None else 10)
    scheduler.close(drain=False)
