"""Which lazy models go for loads that wait; `tests/worker/test_lazy_models.py` has the same with everything around."""

from lifecycle.resources import HOST, Device, ResourceAllocation, gpu, host
from lifecycle.servable_id import ServableId
from worker.lazy_room import Candidate, leaving_for

A, B = ServableId("a", 1), ServableId("b", 1)
GPU = Device("gpu")


def candidate(
    name: str,
    asked_at: float = 0.0,
    memory: ResourceAllocation | None = None,
    *,
    in_use: bool = False,
    place: int | None = None,
) -> Candidate:
    """A model of one byte."""
    return Candidate(name, in_use, asked_at, memory or host(1), place)


def test_what_was_asked_for_longest_ago_goes_first_and_no_more_than_is_needed() -> None:
    """However they are listed."""
    there = [candidate("young", 3.0), candidate("old", 1.0), candidate("middle", 2.0)]
    assert leaving_for([(A, host(2))], {HOST: 0}, there) == {"old": A, "middle": A}
    assert leaving_for([(A, host(2))], {HOST: 1}, there) == {"old": A}
    assert leaving_for([(A, host(2))], {HOST: 2}, there) == {}


def test_what_is_in_use_goes_last() -> None:
    """Its memory would not come at once."""
    there = [candidate("busy", 1.0, in_use=True), candidate("idle", 2.0)]
    assert leaving_for([(A, host(1))], {HOST: 0}, there) == {"idle": A}
    assert leaving_for([(A, host(2))], {HOST: 0}, there) == {"idle": A, "busy": A}


def test_nothing_goes_in_vain() -> None:
    """A load that would not fit even so has nothing unloaded for it, and takes nothing from one behind it."""
    there = [candidate("old", 1.0), candidate("young", 2.0)]
    assert leaving_for([(A, host(3))], {HOST: 0}, there) == {}
    assert leaving_for([(A, host(3)), (B, host(1))], {HOST: 0}, there) == {"old": B}


def test_loads_that_wait_do_not_count_on_the_same_room() -> None:
    """The second has what the first leaves, and no more."""
    there = [candidate("old", 1.0), candidate("young", 2.0)]
    assert leaving_for([(A, host(1)), (B, host(1))], {HOST: 1}, there) == {"old": B}
    assert leaving_for([(A, host(1)), (B, host(1))], {HOST: 0}, there) == {"old": A, "young": B}


def test_what_has_nothing_of_what_is_short_stays() -> None:
    """Room in the host's memory is of no use to who needs a GPU's."""
    there = [candidate("host", 1.0), candidate("gpu", 2.0, gpu(4))]
    free = {HOST: 0, GPU: 0}
    assert leaving_for([(A, gpu(3))], free, there) == {"gpu": A}
    assert leaving_for([(A, gpu(3) + host(1))], free, there) == {"host": A, "gpu": A}


def test_a_model_does_not_go_for_itself() -> None:
    """Its other versions are wanted as well."""
    assert leaving_for([(A, host(1))], {HOST: 0}, [candidate("a")]) == {}


def test_of_two_that_wait_for_each_other_the_first_in_the_line_gets_the_room() -> None:
    """And what goes for it needs none any more."""
    line = [(ServableId("a", 2), host(1)), (ServableId("b", 2), host(1))]
    there = [candidate("a", 2.0, place=0), candidate("b", 1.0, place=1)]
    assert leaving_for(line, {HOST: 0}, there) == {"b": line[0][0]}


def test_of_what_waits_itself_nothing_goes_for_a_load_that_stands_behind_it() -> None:
    """Though the one in front cannot be helped yet: they would take from each other for ever."""
    line = [(ServableId("a", 2), host(5)), (ServableId("b", 2), host(1))]
    assert leaving_for(line, {HOST: 0}, [candidate("a", place=0)]) == {}
    assert leaving_for(line[::-1], {HOST: 0}, [candidate("a", place=1)]) == {"a": line[1][0]}
