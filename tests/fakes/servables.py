"""Servables and loaders for tests, each named for its fault; and what drives a manager by hand."""

import collections
import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lifecycle import servable_state, signature
from lifecycle.aspired_versions_manager import AspiredVersionsManager
from lifecycle.basic_manager import BasicManager
from lifecycle.resources import ResourceAllocation, host
from lifecycle.servable_id import ServableId
from tests.kit.waiting import PATIENCE_SECONDS

Array = npt.NDArray[np.generic]


class AddingServable:
    """Adds a number to `x`, giving `y`; and tells the number as `number`."""

    def __init__(self, number: float) -> None:
        self.number = number
        x = signature.TensorSpec("x", "DT_FLOAT", (None, 2))
        y = signature.TensorSpec("y", "DT_FLOAT", (None, 2))
        number_spec = signature.TensorSpec("number", "DT_FLOAT", (None,))
        self.signatures: Mapping[str, signature.Signature] = {
            "serving_default": signature.Signature(
                "serving_default", "tensorflow/serving/predict", {"x": x}, {"y": y, "number": number_spec}
            )
        }

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Run the one signature."""
        x = np.asarray(inputs["x"], np.float32)
        number = np.float32(self.number)
        results: dict[str, Array] = {"y": x + number, "number": np.full(len(x), number, np.float32)}
        return {name: results[name] for name in outputs or results}


class FakeLoader:
    """Loads an `AddingServable` at once, and remembers what was asked of it, by which thread."""

    def __init__(self, number: float = 0.0) -> None:
        self._servable = AddingServable(number)
        self._loaded = False
        self.calls: list[str] = []
        self.called_by: list[int] = []

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self.called_by.append(threading.get_ident())

    def load(self) -> None:
        """Load."""
        self._called("load")
        self._loaded = True

    def unload(self) -> None:
        """Unload."""
        self._called("unload")
        if not self._loaded:
            raise AssertionError("unload of what is not loaded")
        self._loaded = False

    @property
    def servable(self) -> AddingServable:
        """The servable."""
        if not self._loaded:
            raise AssertionError("servable of what is not loaded")
        return self._servable


class FailingLoader(FakeLoader):
    """Fails its first loads, one with each given error."""

    def __init__(self, *failures: Exception, number: float = 0.0) -> None:
        super().__init__(number)
        self._failures = collections.deque(failures)

    def load(self) -> None:
        """Fail, or load when no failure is left."""
        if self._failures:
            self._called("load")
            raise self._failures.popleft()
        super().load()


class BrokenLoader(FakeLoader):
    """Fails each load."""

    def load(self) -> None:
        """Fail."""
        self._called("load")
        raise OSError("no such model")


class StalledLoader(FakeLoader):
    """Loads only once it is let go; loading it needs a thread."""

    def __init__(self, number: float = 0.0, failure: Exception | None = None) -> None:
        super().__init__(number)
        self._failure = failure
        self.loading = threading.Event()
        self.go_on = threading.Event()
        self.unloaded = threading.Event()

    def load(self) -> None:
        """Wait, then load or fail."""
        self.loading.set()
        assert self.go_on.wait(PATIENCE_SECONDS), "nobody let the stalled loader go"
        if self._failure is not None:
            self._called("load")
            raise self._failure
        super().load()

    def unload(self) -> None:
        """Unload."""
        super().unload()
        self.unloaded.set()


class UnloadFailingLoader(FakeLoader):
    """Loads well and fails to unload."""

    def unload(self) -> None:
        """Fail."""
        super().unload()
        raise RuntimeError("cannot let go")


class SizedLoader(FakeLoader):
    """Says what it needs of the host's memory: before its load, and after it; first with each given error."""

    def __init__(self, before: int, after: int | None = None, *failures: Exception) -> None:
        super().__init__()
        self._before = before
        self._after = before if after is None else after
        self._failures = collections.deque(failures)

    def estimate_resources(self) -> ResourceAllocation:
        """Fail, or say it when no failure is left."""
        self._called("estimate")
        if self._failures:
            raise self._failures.popleft()
        return host(self._after if self._loaded else self._before)


class StalledSizedLoader(SizedLoader):
    """The same, whose load goes on, and fails if it is to, only once it is let go."""

    def __init__(self, before: int, after: int | None = None, failure: Exception | None = None) -> None:
        super().__init__(before, after)
        self._failure = failure
        self.loading = threading.Event()
        self.go_on = threading.Event()

    def load(self) -> None:
        """Wait, then load or fail."""
        self.loading.set()
        assert self.go_on.wait(PATIENCE_SECONDS), "nobody let the stalled loader go"
        if self._failure is not None:
            raise self._failure
        super().load()


class ManualExecutor:
    """Keeps every job until the test runs it: the executor of somebody else's choosing of moments."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], None]] = []
        self.lent = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Keep the job."""
        self.jobs.append(job)

    post = submit

    def run_posted(self) -> None:
        """Nothing: the test decides."""

    def run(self, index: int = 0) -> None:
        """Run one kept job, in the caller."""
        self.jobs.pop(index)()

    def lend_thread(self) -> None:
        """Count."""
        self.lent += 1

    def return_thread(self) -> None:
        """Count."""
        self.lent -= 1

    def resize(self, threads: int) -> None:
        """Nothing: the test decides."""

    def close(self, timeout_seconds: float) -> bool:
        """Run everything that is kept."""
        while self.jobs:
            self.run()
        return True


class Driver:
    """Hears every event of a manager, and steps it until something holds, with or without threads."""

    def __init__(self, manager: BasicManager | AspiredVersionsManager) -> None:
        self._manager = manager
        self._heard = threading.Condition()
        self.events: list[servable_state.ServableEvent] = []
        manager.bus.subscribe(self._hear)

    def _hear(self, event: servable_state.ServableEvent) -> None:
        with self._heard:
            self.events.append(event)
            self._heard.notify_all()

    def states(self, servable_id: ServableId) -> list[servable_state.ServableState]:
        """The states that a version has gone through, in order."""
        return [event.state for event in self.events if event.id == servable_id]

    def last(self, servable_id: ServableId) -> servable_state.ServableEvent | None:
        """A version's last event."""
        return next((event for event in reversed(self.events) if event.id == servable_id), None)

    def until(self, holds: Callable[[], bool]) -> None:
        """Step until it holds; fails after a long real time, which only a defect takes."""
        for _ in range(int(PATIENCE_SECONDS / 0.01)):
            self._manager.step()
            if holds():
                return
            with self._heard:
                self._heard.wait(0.01)  # an event, or the end of a job without one
        raise AssertionError(f"it never held; events: {[str(event) for event in self.events]}")

    def until_state(self, servable_id: ServableId, state: servable_state.ServableState) -> None:
        """Step until the version's last event tells that state."""

        def holds() -> bool:
            last = self.last(servable_id)
            return last is not None and last.state is state

        self.until(holds)
