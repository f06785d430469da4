"""Garbage is collected when it disturbs nobody, and memory is used again."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from worker import process_tuning


class Cycle:
    """An object that only a collection frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def by_hand() -> Iterator[None]:
    """No collection but the one that a test asks for."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_cycles_are_collected_while_the_worker_is_idle() -> None:
    """Under load there is no collection, so what was left over goes when nobody waits for it."""
    left = weakref.ref(Cycle())
    kept = [[] for _ in range(process_tuning.YOUNG_WHEN_IDLE)]  # type: ignore[var-annotated]

    process_tuning.collect_while_idle()

    assert left() is None
    assert len(kept) == process_tuning.YOUNG_WHEN_IDLE


def test_an_idle_worker_with_nothing_to_collect_does_not_collect() -> None:
    """Being idle for a night costs nothing."""
    left = weakref.ref(Cycle())

    process_tuning.collect_while_idle()

    assert left() is not None
