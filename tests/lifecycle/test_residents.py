"""Who is in memory, and who makes room."""

from collections.abc import Callable, Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lifecycle.residents import Residents
from lifecycle.servable_id import ServableId

A, B, C, D = (ServableId(name, 1) for name in "abcd")


def nothing(servable_id: ServableId) -> bool:
    """Nothing is in use."""
    return False


def with_settled(most: int | None, *settled: ServableId) -> Residents:
    """Residents that were loaded in this order."""
    made = Residents(most)
    for each in settled:
        made.ask(each)
        assert made.enter(each)
        made.settle(each)
    return made


def test_there_is_room_up_to_the_limit() -> None:
    """What is being loaded counts, and what leaves counts until it has left."""
    residents = with_settled(2, A)
    residents.ask(B)
    assert residents.enter(B)
    residents.ask(C)
    assert not residents.enter(C)

    assert residents.evict(nothing) == A
    assert not residents.enter(C)
    residents.leave(A)
    assert residents.enter(C)


def test_what_was_used_longest_ago_leaves_first() -> None:
    """A use counts, and so does the load."""
    residents = with_settled(3, A, B, C)
    residents.use(A)
    residents.ask(D)

    assert residents.evict(nothing) == B


def test_nothing_leaves_that_is_in_use() -> None:
    """The next one leaves instead; when all are in use, none."""
    residents = with_settled(2, A, B)
    residents.ask(C)

    assert residents.evict({A, B}.__contains__) is None
    assert residents.evict({A}.__contains__) == B


@pytest.mark.parametrize("most", [3, None])
def test_nothing_leaves_while_there_is_room(most: int | None) -> None:
    """Nor without anybody who asks."""
    residents = with_settled(most, A, B)
    assert residents.evict(nothing) is None
    residents.ask(C)

    assert residents.evict(nothing) is None
    assert residents.enter(C)


def test_as_many_leave_as_have_asked() -> None:
    """Two who ask need not wait for one unload after the other."""
    residents = with_settled(2, A, B)
    residents.ask(C)
    residents.ask(D)

    assert [residents.evict(nothing), residents.evict(nothing), residents.evict(nothing)] == [A, B, None]


def test_who_asks_first_enters_first() -> None:
    """Nobody overtakes; one who asks no more holds up nobody."""
    residents = with_settled(1, A)
    for each in (B, C):
        residents.ask(each)
    residents.evict(nothing)
    residents.leave(A)

    assert not residents.enter(C)
    residents.withdraw(B)
    assert residents.enter(C)


def test_next_life_waits_for_the_last_one() -> None:
    """What leaves cannot enter again before it is out, and its end is not taken for that of its next life."""
    residents = with_settled(2, A, B)
    residents.ask(C)
    assert residents.evict(nothing) == A
    residents.withdraw(C)

    residents.ask(A)
    assert not residents.use(A)
    assert not residents.enter(A)
    residents.leave(A)
    assert residents.enter(A)


def test_next_life_waits_though_there_is_room() -> None:
    """A version is never in memory twice, with however much room."""
    residents = with_settled(2, A)
    for each in (B, C):
        residents.ask(each)
    assert residents.enter(B)
    assert residents.evict(nothing) == A
    residents.withdraw(C)
    residents.leave(B)  # its load has failed

    residents.ask(A)
    assert not residents.enter(A)
    residents.leave(A)
    assert residents.enter(A)


IDS = (A, B, C, D)


class AnyResidents(RuleBasedStateMachine):
    """Every order of asking, entering, using and leaving, beside a plain list of who was used when."""

    def __init__(self) -> None:
        super().__init__()
        self.most: int | None = None
        self.residents = Residents(None)
        self.asking: list[ServableId] = []
        self.entering: set[ServableId] = set()
        self.settled: list[ServableId] = []  # used longest ago first
        self.leaving: set[ServableId] = set()

    @initialize(most=st.none() | st.integers(1, 3))
    def limit(self, most: int | None) -> None:
        """So many."""
        self.most, self.residents = most, Residents(most)

    @property
    def inside(self) -> int:
        """How many are in memory."""
        return len(self.entering) + len(self.settled) + len(self.leaving)

    def some(self, choice: st.DataObject, ids: Sequence[ServableId]) -> ServableId:
        """One of these."""
        return choice.draw(st.sampled_from(sorted(ids)))

    @rule(each=st.sampled_from(IDS))
    def ask(self, each: ServableId) -> None:
        """One that is not in memory is wanted."""
        if each not in (*self.asking, *self.entering, *self.settled):
            self.residents.ask(each)
            self.asking.append(each)

    @precondition(lambda self: self.asking)
    @rule(choice=st.data())
    def enter(self, choice: st.DataObject) -> None:
        """The first one enters as soon as there is room, and no other does."""
        each = self.some(choice, self.asking)
        room = self.most is None or self.inside < self.most
        may = each == self.asking[0] and each not in self.leaving and room

        assert self.residents.enter(each) is may
        if may:
            self.asking.remove(each)
            self.entering.add(each)

    @precondition(lambda self: self.asking)
    @rule(choice=st.data())
    def withdraw(self, choice: st.DataObject) -> None:
        """One gives up."""
        each = self.some(choice, self.asking)
        self.residents.withdraw(each)
        self.asking.remove(each)

    @precondition(lambda self: self.entering)
    @rule(choice=st.data(), loaded=st.booleans())
    def end_load(self, choice: st.DataObject, *, loaded: bool) -> None:
        """A load succeeds or fails."""
        each = self.some(choice, tuple(self.entering))
        self.entering.remove(each)
        if loaded:
            self.residents.settle(each)
            self.settled.append(each)
        else:
            self.residents.leave(each)

    @rule(each=st.sampled_from(IDS))
    def use(self, each: ServableId) -> None:
        """A handle is taken, if it can be."""
        assert self.residents.use(each) is (each in self.settled)
        if each in self.settled:
            self.settled.remove(each)
            self.settled.append(each)

    @rule(in_use=st.sets(st.sampled_from(IDS)))
    def evict(self, in_use: set[ServableId]) -> None:
        """The one that leaves is idle, was used longest ago, and is needed; otherwise none leaves."""
        idle = [each for each in self.settled if each not in in_use]
        after = self.inside - len(self.leaving) + len(self.asking)
        needed = self.most is not None and after > self.most
        contains: Callable[[ServableId], bool] = in_use.__contains__

        evicted = self.residents.evict(contains)

        assert evicted == (idle[0] if needed and idle else None)
        if evicted is not None:
            self.settled.remove(evicted)
            self.leaving.add(evicted)

    @precondition(lambda self: self.leaving)
    @rule(choice=st.data())
    def leave(self, choice: st.DataObject) -> None:
        """An unload ends."""
        each = self.some(choice, tuple(self.leaving))
        self.residents.leave(each)
        self.leaving.remove(each)

    @invariant()
    def never_too_many(self) -> None:
        """The limit is kept at every moment."""
        assert self.most is None or self.inside <= self.most


TestAnyResidents = AnyResidents.TestCase
TestAnyResidents.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
