"""A large model that a worker loads and unloads by the control topic, once or again and again, as operators make it."""

import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import finish
from benchmarks.topics import Topics
from schemas.errors import Code
from schemas.model_config import ModelConfig
from schemas.servable_status import ServableState, ServableStatus
from worker.fleet_reader import FleetReader
from worker.kafka import clients
from worker.status_topic import WHOLE_MODEL

MODEL = "resnet50"
STATE_SECONDS = 120.0
LOOK_SECONDS = 0.05


def export(folder: Path) -> Path:
    """Write ResNet50 under *folder*, in a process of its own; its base path."""
    finish([sys.executable, "-m", "benchmarks.resnet_model", str(folder / MODEL / "1")])
    return folder / MODEL


@dataclass(frozen=True, slots=True)
class Cycle:
    """One load and one unload: seconds from the control record until the status topic says that it is done."""

    load_seconds: float
    unload_seconds: float


class Reloading:
    """One worker's life with a model that comes and goes; for one thread at a time.

    Args:
        topics: with the control and the status topic of the worker, which is the only one.
        base_path: where the model's versions are.
    """

    def __init__(self, topics: Topics, base_path: Path) -> None:
        self._topics = topics
        self._config = ModelConfig(base_path=str(base_path))
        self._status = FleetReader(
            topics.status, functools.partial(clients.reader, topics.where), clients.admin(topics.where)
        )
        self._status.open()

    def load(self) -> float:
        """Have the model loaded and warmed up; returns after how many seconds it was.

        Raises:
            TimeoutError: it is not available in time.
            RuntimeError: it failed.
        """
        return self._set(self._config, "available")

    def unload(self) -> float:
        """Have the model unloaded; returns after how many seconds it was.

        Raises:
            TimeoutError: it is not gone in time.
            RuntimeError: it failed.
        """
        return self._set(None, "gone")

    def wait_until_available(self, model: str) -> None:
        """Wait for another model, which is there already or on its way; raises as `load`."""
        self._wait(model, "available", time.monotonic() + STATE_SECONDS)

    def cycle(self) -> Cycle:
        """Once there and back; raises as `load`."""
        return Cycle(self.load(), self.unload())

    def close(self) -> None:
        """Close the client."""
        self._status.close()

    def _set(self, config: ModelConfig | None, wanted: str) -> float:
        began = time.monotonic()
        self._topics.set_models({MODEL: config})
        self._wait(MODEL, wanted, began + STATE_SECONDS)
        return time.monotonic() - began

    def _wait(self, model: str, wanted: str, end: float) -> None:
        while (state := stage(list(self._status.fleet.servables(None, model)))) != wanted:
            if time.monotonic() > end:
                raise TimeoutError(f"{model} is not {wanted} in time; it is {state or 'on its way'}")
            self._status.poll(LOOK_SECONDS)


@contextmanager
def again_and_again(once: Callable[[], Cycle]) -> Iterator[list[Cycle]]:
    """Load and unload on another thread for the length of a block, which begins during the first load.

    What *once* raises is raised at the block's end.
    """
    cycles: list[Cycle] = []
    failed: list[Exception] = []
    stop = threading.Event()

    def run() -> None:
        try:
            while not stop.is_set():
                cycles.append(once())
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits for this one
            failed.append(error)

    thread = threading.Thread(target=run, name="reloading")
    thread.start()
    try:
        yield cycles
    finally:
        stop.set()
        thread.join()
    for error in failed:
        raise error


def stage(said: list[ServableStatus]) -> str:
    """How far a model of one version is by its statuses: "gone", "available", or "" between the two.

    Raises:
        RuntimeError: a version has failed, or none was found.
    """
    for status in said:
        if status.code != Code.OK:
            raise RuntimeError(f"{status.model} failed: {status.message}")
    states = [status.state for status in said if status.version != WHOLE_MODEL]
    if not states:
        return "gone"
    return "available" if states == [ServableState.AVAILABLE] else ""
