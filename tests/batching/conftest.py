"""The scheduler under test, with 0, 1 and 3 batch threads, closed and looked after."""

import threading
from collections.abc import Iterator

import pytest

from tests.batching.bench import THREAD_COUNTS, Bench


@pytest.fixture(params=THREAD_COUNTS, ids=lambda count: f"{count}-threads")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Each test that takes it runs once for each number of threads, and leaves none of them behind."""
    before = set(threading.enumerate())
    bench = Bench(request.param)
    yield bench
    bench.scheduler.close(drain=False)
    assert set(threading.enumerate()) <= before
