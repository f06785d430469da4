"""The control thread: steps a worker's control loop."""

import logging
import threading
import time
from collections.abc import Callable

from worker.control_loop import ControlLoop
from worker.kafka.errors import Fatal
from worker.lazy_demand import LazyDemand

_log = logging.getLogger(__name__)


class ControlThread:
    """Steps a control loop on a thread of its own until it is closed."""

    def __init__(
        self,
        loop: ControlLoop,
        clock: Callable[[], float] = time.monotonic,
        wait_seconds: float = 0.1,
        demand: LazyDemand | None = None,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._demand = demand
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it runs; it ends when closed, or when the status producer is beyond repair."""
        return self._thread.is_alive()

    def close(self, timeout_seconds: float) -> None:
        """Step no more, say goodbye, and end; at most that long, twice."""
        self._closing.set()
        if self._demand is not None:
            self._demand.nudge()
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            _log.warning("the control thread has not ended in time; its status ends with its lease")
            return
        self._loop.close(timeout_seconds)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._step()
            except Fatal:
                _log.exception(
                    "the status producer is beyond repair; this worker's status ends with its lease"
                )
                return
            except Exception:  # noqa: BLE001 - one bad step must not end the thread that renews the lease
                _log.exception("the control loop failed in one step; it goes on")
                self._closing.wait(1.0)
            if self._loop.problem is not None:
                self._closing.wait(self._wait_seconds)

    def _step(self) -> None:
        """Wait for control records; or, where there are lazy models, for whoever asks for one."""
        if self._demand is None or not self._demand.watched or not self._loop.initial_read_done:
            self._loop.step(self._clock(), self._wait_seconds)
        else:
            self._demand.wait(self._wait_seconds)
            self._loop.step(self._clock())
