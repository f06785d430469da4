"""Stages are timed from outside, each without the stages inside it, and all of a thread's time is somewhere."""

import threading
import time

import pytest

from benchmarks import profile, stage_clock, thread_times
from benchmarks.stage_clock import OUTSIDE, StageClock
from benchmarks.stages import STAGES
from benchmarks.thread_times import ThreadTime


def spend(seconds: float) -> None:
    """Use so much of this thread's CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.tensorflow
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_made_of_functions_that_there_are(stage: str) -> None:
    """Whoever renames one is told here, not by a table with a hole."""
    for target in STAGES[stage]:
        assert callable(stage_clock.found(target).function)


def test_a_missing_function_is_told_by_its_name() -> None:
    """The error says which target it was."""
    with pytest.raises(LookupError, match=r"no worker\.poll_loop:PollLoop.stride to time"):
        StageClock().wrap("worker.poll_loop:PollLoop.stride", "poll loop")


def test_the_time_of_a_stage_is_without_that_of_the_stages_inside() -> None:
    """What is added up is what the thread has used, whatever calls whatever."""
    clock = StageClock()
    inner = clock.timed(spend, "inner")

    def around() -> None:
        inner(0.02)
        spend(0.005)

    outer = clock.timed(around, "outer")
    start = time.thread_time_ns()
    outer()
    used = time.thread_time_ns() - start
    (own,) = clock.snapshot().values()

    assert own["nanoseconds"]["inner"] >= 20_000_000
    assert own["nanoseconds"]["outer"] >= 5_000_000
    assert own["nanoseconds"]["inner"] + own["nanoseconds"]["outer"] <= used
    assert own["calls"] == {"inner": 1, "outer": 1}


def test_a_stage_that_raises_ends_as_well() -> None:
    """What comes after it is not counted as its own."""
    clock = StageClock()

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        clock.timed(fail, "failing")()
    before = clock.snapshot()
    clock.timed(lambda: spend(0.005), "next")()
    added = stage_clock.difference(before, clock.snapshot(), "nanoseconds")

    assert added["failing"] == 0
    assert added["next"] >= 5_000_000


def test_each_thread_has_its_own_count() -> None:
    """Threads do not see each other's stages; all of them are in the difference, with names."""
    clock = StageClock()
    work = clock.timed(lambda: spend(0.002), "work")
    before = clock.snapshot()
    threads = [threading.Thread(target=work, name=f"worker-{n}") for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = clock.snapshot()

    assert sorted(turn["name"] for turn in after.values()) == ["worker-0", "worker-1"]
    assert stage_clock.difference(before, after, "calls")["work"] == 2


def test_a_line_of_the_kernel_is_read_whatever_the_thread_is_called() -> None:
    """Names have blanks and brackets in them."""
    fields = "S " + " ".join(str(n) for n in range(1, 11)) + " 250 50 0 0"

    read = thread_times.parse(f"17 (a (b) c) {fields}")

    assert (read.name, read.user_seconds, read.system_seconds) == ("a (b) c", 2.5, 0.5)


def test_threads_of_one_name_are_added_up_and_the_greediest_comes_first() -> None:
    """A thread that came between the two looks counts from nothing; a better name replaces the kernel's."""
    before = {"1": ThreadTime("python", 1.0, 0.0), "2": ThreadTime("rdk:broker1", 1.0, 1.0)}
    after = {
        "1": ThreadTime("python", 1.5, 0.0),
        "2": ThreadTime("rdk:broker1", 1.25, 1.25),
        "3": ThreadTime("rdk:broker1", 1.0, 0.0),
    }

    found = thread_times.between(before, after, {"1": "poll"})

    assert list(found.values()) == [ThreadTime("rdk:broker1", 1.25, 0.25), ThreadTime("poll", 0.5, 0.0)]


def test_the_tables_share_out_what_was_used() -> None:
    """Stages in the order of a request's way, what is outside of any among them, and what the timing costs."""
    stages = {"7": {"name": "poll", "nanoseconds": {"poll": 3000, OUTSIDE: 1000}, "calls": {"poll": 5}}}
    first = profile.Look(100, {"7": ThreadTime("python", 1.0, 0.0)}, {})
    last = profile.Look(1100, {"7": ThreadTime("python", 1.003, 0.001)}, stages)

    shown = profile.text(first, last, call_ns=2000.0, plain_us=3.9)

    assert "4.00 µs CPU a record, over 1,000 records" in shown
    assert "| Python: poll | 4.000 | 100.0% | 3.000 | 1.000 |" in shown
    assert "| poll | 0.003 | 75.0% | 5.00 |" in shown
    assert f"| {OUTSIDE} | 0.001 | 25.0% | 0.00 |" in shown
    assert "about 0.010 µs a record: 5 calls at 2.00 µs. The same worker without it: 3.90 µs" in shown
