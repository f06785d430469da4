"""Threads of the request path are run as soon as they wake; those that load take their turns as usual."""

import os
import sys
import threading
from collections.abc import Callable

import pytest

from worker import thread_slices

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows slices")


def on_a_thread(do: Callable[[], float]) -> float:
    """What a new thread finds, so that the test's own is left as it is."""
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.append(do()))
    thread.start()
    thread.join()
    return found[0]


def needs_slices() -> float:
    """The system's own slice, or a skipped test where threads cannot name one."""
    usual = on_a_thread(thread_slices.slice_seconds)
    if not usual:
        pytest.skip("this kernel does not let threads name their slice")
    return usual


def test_a_thread_gets_a_short_slice_and_its_threads_too() -> None:
    """The clients' own threads are started by the poll thread, and get what it has."""
    needs_slices()

    def child() -> float:
        assert thread_slices.run_soon()
        return on_a_thread(thread_slices.slice_seconds)

    assert on_a_thread(child) == thread_slices.SERVING_SECONDS


def test_a_loading_thread_goes_back_to_the_usual() -> None:
    """It was started by a thread with a short slice."""
    usual = needs_slices()

    def child() -> float:
        assert thread_slices.run_soon()
        assert thread_slices.run_as_usual()
        return thread_slices.slice_seconds()

    assert on_a_thread(child) == usual


def test_the_priority_stays_as_it_was() -> None:
    """An operator who runs the worker with another priority keeps it."""
    needs_slices()

    def child() -> float:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 7)
        thread_slices.run_soon()
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert on_a_thread(child) == 7


def test_another_policy_is_left_alone() -> None:
    """A thread that was given the policy for work in batches is not taken out of it."""

    def child() -> float:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        assert not thread_slices.run_soon()
        return os.sched_getscheduler(0)

    assert on_a_thread(child) == os.SCHED_BATCH
