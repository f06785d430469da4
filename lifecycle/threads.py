"""The only module of this package that starts threads: executors (of loads, unloads, calls), and a periodic step.

Zero threads is a valid number everywhere: then the caller's thread does the work, and tests go step by step.
"""

import collections
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

_log = logging.getLogger(__name__)

REST = 4.0
MOST_REST_SECONDS = 0.05

Job = Callable[[], None]


class Executor(Protocol):
    """Runs jobs, each once, begun in the order in which they were given. Thread-safe.

    A job that raises is logged; the executor goes on.
    """

    def submit(self, job: Job) -> None:
        """Run the job soon; an executor without threads runs it at once, in the caller."""
        ...

    def post(self, job: Job) -> None:
        """Run the job soon, never in the caller; an executor without threads keeps it for `run_posted`."""
        ...

    def run_posted(self) -> None:
        """Run what was posted and has no thread to run it."""
        ...

    def lend_thread(self) -> None:
        """One of the running jobs hangs: have one more thread, so that it holds up nobody else."""
        ...

    def return_thread(self) -> None:
        """A job for which a thread was lent has ended after all."""
        ...

    def resize(self, threads: int) -> None:
        """Have that many threads, 1 or more, besides those that are lent; one without threads stays so.

        Where there are more, those that are free end at once and the others after their job.
        """
        ...

    def close(self, timeout_seconds: float) -> bool:
        """Take no more jobs and wait for those given; False when some are unfinished after the time-out."""
        ...


def new_executor(threads: int, name: str, on_start: Callable[[], object] | None = None) -> Executor:
    """An executor with that many threads, each of which first calls *on_start*; 0 runs jobs in the caller."""
    return ThreadPool(threads, name, on_start) if threads else InlineExecutor()


class InlineExecutor:
    """An executor without threads."""

    def __init__(self) -> None:
        self._posted: collections.deque[Job] = collections.deque()  # append and popleft are atomic

    def submit(self, job: Job) -> None:
        """Run the job now."""
        _run(job)

    def post(self, job: Job) -> None:
        """Keep the job for `run_posted`."""
        self._posted.append(job)

    def run_posted(self) -> None:
        """Run each kept job, in the caller."""
        while self._posted:
            try:
                job = self._posted.popleft()
            except IndexError:  # another thread was faster
                return
            _run(job)

    def lend_thread(self) -> None:
        """Nothing to lend: a hanging job hangs its caller."""

    def return_thread(self) -> None:
        """Nothing was lent."""

    def resize(self, threads: int) -> None:
        """There are none, and stay none."""

    def close(self, timeout_seconds: float) -> bool:
        """Run what is kept; `timeout_seconds` has no use here, since the caller runs each job to its end."""
        del timeout_seconds
        self.run_posted()
        return True


class ThreadPool:
    """So many threads, started at once, and more while some are lent.

    Not the standard library's pool, because that one waits for a hanging job when the interpreter ends, and
    cannot replace its thread. These threads are daemons: a loader that never returns does not keep the
    process.
    """

    def __init__(self, threads: int, name: str, on_start: Callable[[], object] | None = None) -> None:
        self._name = name
        self._on_start = on_start
        self._changed = threading.Condition()  # guards all below
        self._jobs: collections.deque[Job] = collections.deque()
        self._allowed = 0
        self._alive = 0
        self._closed = False
        self._size = 0
        self.resize(threads)

    @property
    def alive(self) -> int:
        """How many threads there are, those that are about to end included."""
        with self._changed:
            return self._alive

    def submit(self, job: Job) -> None:
        """Queue the job.

        Raises:
            RuntimeError: the pool is closed.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError(f"{self._name} is closed and takes no more jobs")
            self._jobs.append(job)
            self._changed.notify()

    post = submit

    def run_posted(self) -> None:
        """Nothing is kept: the threads run it."""

    def lend_thread(self) -> None:
        """Start one thread more."""
        with self._changed:
            self._allowed += 1
            self._alive += 1
        threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def return_thread(self) -> None:
        """Let one thread end, the first that is free."""
        with self._changed:
            self._allowed -= 1
            self._changed.notify_all()

    def resize(self, threads: int) -> None:
        """As in the protocol; a closed pool grows no more.

        Raises:
            ValueError: less than one.
        """
        if threads < 1:
            raise ValueError(f"threads of {self._name} is {threads}; expected 1 or more")
        with self._changed:
            more = threads - self._size
            self._size = threads
            if more <= 0 or self._closed:
                self._allowed += more
                self._changed.notify_all()
                return
        for _ in range(more):
            self.lend_thread()

    def close(self, timeout_seconds: float) -> bool:
        """Take no more jobs; wait until each has been run and the threads have ended, or the time is over."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._alive == 0, timeout_seconds)

    def _work(self) -> None:
        if self._on_start is not None:
            _run(self._on_start, BaseException)  # what it returns is nobody's
        while (job := self._next_job()) is not None:
            _run(job, BaseException)  # or one that calls sys.exit would take this thread from all the others
            del job  # what a job holds, such as a loader, is not kept by an idle thread

    def _next_job(self) -> Job | None:
        with self._changed:
            while not self._jobs and not self._closed and self._alive <= self._allowed:
                self._changed.wait()
            if self._jobs and self._alive <= self._allowed:
                return self._jobs.popleft()
            self._alive -= 1
            self._changed.notify_all()
            return None


def _run(job: Callable[[], object], contained: type[BaseException] = Exception) -> None:
    """The outermost frame of a thread, or near it: one job's fault is not the next one's."""
    try:
        job()
    except contained:
        _log.exception("a job failed")


class PeriodicStep:
    """Calls `step` every `interval_seconds`, and at once when woken, on a thread of its own.

    With an interval of 0 there is no thread, and the owner steps by hand. A step that raises is logged, and
    the next one comes in its time. After a step the thread rests for `REST` times as long, up to
    `MOST_REST_SECONDS`, woken or not.
    """

    def __init__(self, step: Callable[[], object], interval_seconds: float, name: str) -> None:
        if not interval_seconds >= 0:
            raise ValueError(f"interval_seconds of {name} is {interval_seconds}; expected 0 or more")
        self._step = step
        self._interval_seconds = interval_seconds
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        if interval_seconds:
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Step soon instead of at the end of the interval; calls that come close together make one step."""
        self._wake.set()

    def close(self, timeout_seconds: float) -> bool:
        """Step no more; False when a step is still running after the time-out."""
        self._closed.set()
        self._wake.set()
        if self._thread is None or self._thread is threading.current_thread():
            return True
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._interval_seconds)
            self._wake.clear()
            if self._closed.is_set():
                return
            began = time.monotonic()
            _run(self._call_step, BaseException)
            # A manager's step looks at each version, and each change of one wakes it: with a thousand that load, steps
            # without a rest would take a third of the time that the loads take.
            self._closed.wait(min(MOST_REST_SECONDS, REST * (time.monotonic() - began)))

    def _call_step(self) -> None:
        self._step()
