"""Executors and the periodic step."""

import logging
import sys
import threading
from collections.abc import Iterator

import pytest

from lifecycle import threads
from lifecycle.threads import Executor, InlineExecutor, PeriodicStep, ThreadPool, new_executor
from tests.kit.waiting import PATIENCE_SECONDS, wait_until


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    """A pool of one thread."""
    made = ThreadPool(1, "test-pool")
    yield made
    assert made.close(PATIENCE_SECONDS)


@pytest.fixture(params=[0, 1, 3], ids=["inline", "one thread", "three threads"])
def executor(request: pytest.FixtureRequest) -> Executor:
    """Each kind of executor."""
    return new_executor(request.param, "test-executor")


@pytest.mark.parametrize("fails", [False, True])
def test_each_thread_is_prepared_before_its_jobs(fails: bool) -> None:
    """What is to be done at a thread's start is done first, on that thread; jobs are run even if it fails."""
    prepared: list[int] = []
    ran_on: list[int] = []

    def prepare() -> None:
        prepared.append(threading.get_ident())
        if fails:
            raise OSError("not on this system")

    made = new_executor(2, "test-executor", prepare)
    for _ in range(10):
        made.submit(lambda: ran_on.append(threading.get_ident()))

    assert made.close(PATIENCE_SECONDS)

    assert len(prepared) == 2
    assert set(ran_on) <= set(prepared)
    assert len(ran_on) == 10


def test_every_job_is_run(executor: Executor) -> None:
    """Each job given before the close has been run when the close returns."""
    done: list[int] = []
    for number in range(20):
        executor.submit(lambda number=number: done.append(number))  # type: ignore[misc]
        executor.post(lambda number=number: done.append(100 + number))  # type: ignore[misc]

    assert executor.close(PATIENCE_SECONDS)

    assert sorted(done) == [*range(20), *range(100, 120)]


def test_failing_job_is_logged_and_harms_no_other(
    executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that raises is told of in the log; the next one is run."""
    done: list[str] = []

    def fail() -> None:
        raise RuntimeError("a bad job")

    with caplog.at_level(logging.ERROR):
        executor.submit(fail)
        executor.submit(lambda: done.append("next"))
        assert executor.close(PATIENCE_SECONDS)

    assert done == ["next"]
    assert "a bad job" in caplog.text


def test_job_that_exits_takes_no_thread_of_a_pool(pool: ThreadPool) -> None:
    """Nor does one that prepares them: the only thread is there for the next job."""
    done: list[str] = []

    def leave() -> None:
        sys.exit("this is for the whole process")

    prepared = ThreadPool(1, "test-pool", leave)
    for each in (pool, prepared):
        each.submit(leave)
        each.submit(lambda: done.append("done"))
    assert prepared.close(PATIENCE_SECONDS)
    wait_until(lambda: len(done) == 2, "the jobs behind it")

    assert pool.alive == 1


def test_inline_runs_in_the_caller() -> None:
    """Without threads, a submitted job is done when `submit` returns, by the caller."""
    ran_by: list[int] = []

    InlineExecutor().submit(lambda: ran_by.append(threading.get_ident()))

    assert ran_by == [threading.get_ident()]


def test_inline_keeps_what_is_posted() -> None:
    """A posted job never runs in the one that posts it, but in the one that asks for posted jobs."""
    subject = InlineExecutor()
    done: list[str] = []
    subject.post(lambda: done.append("posted"))
    assert done == []

    subject.run_posted()
    subject.run_posted()

    assert done == ["posted"]


def test_closed_pool_takes_no_job() -> None:
    """A job that would never be run is refused."""
    subject = ThreadPool(1, "test-pool")
    subject.close(PATIENCE_SECONDS)

    with pytest.raises(RuntimeError, match="test-pool is closed"):
        subject.submit(lambda: None)


def test_pool_needs_a_thread() -> None:
    """A pool of no threads would keep its jobs for ever."""
    with pytest.raises(ValueError, match="threads of test-pool is 0"):
        ThreadPool(0, "test-pool")


def test_close_gives_up_on_a_hanging_job() -> None:
    """When a job does not end in time, the close says so and returns."""
    subject = ThreadPool(1, "test-pool")
    go_on = threading.Event()
    subject.submit(lambda: (go_on.wait(PATIENCE_SECONDS), None)[1])

    assert not subject.close(0.0)

    go_on.set()
    assert subject.close(PATIENCE_SECONDS)


def test_lent_thread_takes_the_place_of_a_hanging_one(pool: ThreadPool) -> None:
    """With a thread lent, jobs go on behind one that hangs; once that ends, the thread is taken back."""
    go_on, done = threading.Event(), threading.Event()

    def hang() -> None:
        go_on.wait(PATIENCE_SECONDS)
        pool.return_thread()

    pool.submit(hang)

    pool.lend_thread()
    pool.submit(done.set)

    assert done.wait(PATIENCE_SECONDS)
    go_on.set()
    both = threading.Barrier(2)
    met: list[str] = []

    def meet() -> None:
        try:
            both.wait(0.05)
            met.append("two at a time")
        except threading.BrokenBarrierError:
            met.append("alone")

    pool.submit(meet)
    pool.submit(meet)
    assert pool.close(PATIENCE_SECONDS)
    assert met == ["alone", "alone"]


def test_step_without_interval_has_no_thread() -> None:
    """With an interval of 0 nothing happens by itself, and closing is harmless."""
    before = threading.active_count()
    subject = PeriodicStep(lambda: None, 0.0, "test-step")
    subject.wake()

    assert threading.active_count() == before
    assert subject.close(0.0)


def test_step_comes_by_itself() -> None:
    """With an interval, steps come without being asked for."""
    twice = threading.Semaphore(0)
    subject = PeriodicStep(twice.release, 0.001, "test-step")

    assert twice.acquire(timeout=PATIENCE_SECONDS)
    assert twice.acquire(timeout=PATIENCE_SECONDS)
    assert subject.close(PATIENCE_SECONDS)


def test_step_comes_when_woken() -> None:
    """A wake makes a step long before the interval is over."""
    stepped = threading.Event()
    subject = PeriodicStep(stepped.set, 3600.0, "test-step")

    subject.wake()

    assert stepped.wait(PATIENCE_SECONDS)
    assert subject.close(PATIENCE_SECONDS)


@pytest.mark.parametrize("failure", [RuntimeError("a bad step"), SystemExit(3)])
def test_failing_step_is_not_the_last(failure: BaseException) -> None:
    """A step that raises is logged, and the next one comes."""
    steps = threading.Semaphore(0)

    def fail() -> None:
        steps.release()
        raise failure

    subject = PeriodicStep(fail, 0.001, "test-step")

    assert steps.acquire(timeout=PATIENCE_SECONDS)
    assert steps.acquire(timeout=PATIENCE_SECONDS)
    assert subject.close(PATIENCE_SECONDS)


def test_steps_rest_between_each_other_and_a_close_does_not_wait_for_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However often it is woken: a step that takes long, as with many versions, would take the core from all others."""
    monkeypatch.setattr(threads, "REST", 1e9)
    monkeypatch.setattr(threads, "MOST_REST_SECONDS", 2 * PATIENCE_SECONDS)
    steps = threading.Semaphore(0)
    subject = PeriodicStep(steps.release, 0.001, "test-step")
    assert steps.acquire(timeout=PATIENCE_SECONDS)

    subject.wake()

    assert not steps.acquire(timeout=0.2), "no second step while it rests"
    assert subject.close(PATIENCE_SECONDS)


def test_close_gives_up_on_a_hanging_step() -> None:
    """When the running step does not end in time, the close says so."""
    begun, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        go_on.wait(PATIENCE_SECONDS)

    subject = PeriodicStep(hang, 0.001, "test-step")
    assert begun.wait(PATIENCE_SECONDS)

    assert not subject.close(0.0)

    go_on.set()
    assert subject.close(PATIENCE_SECONDS)


def test_negative_interval_is_refused() -> None:
    """An interval below 0 is named at construction."""
    with pytest.raises(ValueError, match="interval_seconds of test-step is -1"):
        PeriodicStep(lambda: None, -1.0, "test-step")


def test_a_pool_grows_and_shrinks(pool: ThreadPool) -> None:
    """More jobs run at a time at once; with fewer threads those that are running end first."""
    pool.resize(3)
    gate, running = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        running.release()
        assert gate.wait(PATIENCE_SECONDS)

    for _ in range(4):
        pool.submit(job)
    for _ in range(3):
        assert running.acquire(timeout=PATIENCE_SECONDS)
    assert not running.acquire(blocking=False)

    pool.resize(1)
    gate.set()
    assert running.acquire(timeout=PATIENCE_SECONDS)
    wait_until(lambda: pool.alive == 1, "two of three threads that end")
    with pytest.raises(ValueError, match="is 0; expected 1 or more"):
        pool.resize(0)
    pool.close(PATIENCE_SECONDS)
    pool.resize(5)
    assert pool.alive == 0
