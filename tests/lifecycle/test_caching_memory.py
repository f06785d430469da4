"""Loading on demand under a limit of memory, with every combination of inline and pooled executors."""

from collections.abc import Iterator

import pytest

from lifecycle import errors
from lifecycle.caching_manager import CachingManager, CachingManagerOptions
from lifecycle.execution import BasicManagerOptions, Surroundings
from lifecycle.loader_harness import LoadOptions
from lifecycle.resource_tracker import ResourceTracker
from lifecycle.resources import HOST, NOTHING, host
from lifecycle.servable_id import ServableId
from tests.fakes.clock import FakeClock
from tests.fakes.servables import SizedLoader
from tests.fakes.shelf import Shelf
from tests.kit.waiting import PATIENCE_SECONDS

A, B, C, D = (ServableId(name, 1) for name in "abcd")
SIZES = {A: 4, B: 4, C: 5, D: 11}


class Stage:
    """A caching manager without a limit of versions, and ten bytes of memory."""

    def __init__(self, threads: tuple[int, int]) -> None:
        self.tracker = ResourceTracker({HOST: 10}.get)
        shelf = Shelf({each.name: [1] for each in SIZES})
        shelf.prepared = {each: [SizedLoader(size) for _ in range(9)] for each, size in SIZES.items()}
        self.clock = FakeClock()
        options = CachingManagerOptions(
            None, 60.0, 10.0, BasicManagerOptions(*threads, LoadOptions(retries=0))
        )
        self.manager = CachingManager(shelf, options, Surroundings(clock=self.clock, resources=self.tracker))

    def use(self, *ids: ServableId) -> None:
        """Take a handle on each, one after the other, and release it."""
        for each in ids:
            self.manager.handle(each.name).release()


@pytest.fixture(params=[(0, 0), (4, 0), (0, 2), (4, 2)], ids=lambda each: f"load{each[0]}-unload{each[1]}")
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """With so many load and unload threads; 0 is inline."""
    made = Stage(request.param)
    yield made
    assert made.manager.close(PATIENCE_SECONDS) == ()
    assert made.tracker.used() == NOTHING


def test_what_was_used_longest_ago_makes_room(stage: Stage) -> None:
    """As many as are needed, and no more."""
    stage.use(A, B, A)
    assert stage.tracker.used() == host(8)

    stage.use(C)

    assert stage.manager.available_ids() == (A, C)
    stage.use(B)
    assert stage.manager.available_ids() == (B, C)


def test_nothing_is_unloaded_for_what_can_never_fit(stage: Stage) -> None:
    """It fails alone, with its reason, and those in memory stay there."""
    stage.use(A, B)

    with pytest.raises(
        errors.ResourceExhausted, match="d/1 is too big: it needs 11 bytes of the host's memory"
    ):
        stage.manager.handle("d")

    assert stage.manager.available_ids() == (A, B)


def test_what_is_in_use_makes_no_room(stage: Stage) -> None:
    """The call fails at once; after a while it is tried anew, and then there is room."""
    with stage.manager.handle("a"), stage.manager.handle("b"):
        with pytest.raises(errors.ResourceExhausted, match=r"a/1 4 bytes|b/1 4 bytes"):
            stage.manager.handle("c")
        assert stage.manager.available_ids() == (A, B)

    stage.clock.advance(11.0)

    stage.use(C)
    assert stage.manager.available_ids() == (B, C)
