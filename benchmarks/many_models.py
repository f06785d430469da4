"""Many small models: their files, their config, and how far a worker has come with them.

Two hundred SavedModels, ten of them broken; or a thousand of NumPy, whose loads take so little that what is measured is
how many there are.
"""

import functools
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import layout_model
from benchmarks.processes import finish
from benchmarks.reloading import LOOK_SECONDS, Cycle
from benchmarks.topics import Topics
from schemas.errors import Code
from schemas.servable_status import ServableState, ServableStatus
from worker.fleet_reader import FleetReader
from worker.kafka import clients
from worker.settings import environment_name

MODELS, BROKEN = 200, 10
SMALL_MODELS = 1_000
STATE_SECONDS = 300.0
RETRIES: Mapping[str, object] = {"lifecycle.load_retries": 0}
"""A worker's settings: a model whose files are broken has then failed once it was tried, and not a minute later."""


def export(folder: Path) -> dict[str, Path]:
    """Write the SavedModels under a folder; base paths by name. Every twentieth is broken, in one of three ways."""
    layout_model.export(folder, MODELS)
    paths = {name: folder / name for name in layout_model.names(MODELS)}
    for number, path in enumerate(list(paths.values())[:: MODELS // BROKEN]):
        version = path / layout_model.VERSION
        match number % 3:
            case 0:
                shutil.rmtree(version)
            case 1:
                (version / "saved_model.pb").unlink()
            case 2:
                os.truncate(version / "saved_model.pb", 1_000)
    return paths


def export_small(folder: Path) -> dict[str, Path]:
    """Write the models of NumPy under a folder; base paths by name."""
    layout_model.export_numpy(folder, SMALL_MODELS)
    return {name: folder / name for name in layout_model.names(SMALL_MODELS)}


def write_file(file: Path, paths: Mapping[str, Path], loader: str = "saved_model") -> None:
    """Write what `headrace models apply` takes."""
    tables = (
        f'[models.{name}]\nbase_path = "{path}"\nloader = "{loader}"\nversions = "latest:1"\n'
        for name, path in paths.items()
    )
    file.write_text("\n".join(tables), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Progress:
    """How many models are available, and how many have failed."""

    available: int = 0
    failed: int = 0


SETTLED = Progress(MODELS - BROKEN, BROKEN)
"""When each of the two hundred is as it will stay."""

SMALL_SETTLED = Progress(SMALL_MODELS)
"""When each of the thousand is."""


def progress(said: Iterable[ServableStatus]) -> Progress:
    """How far one worker has come, by what the status topic has of it."""
    available, failed = set[str](), set[str]()
    for status in said:
        if status.code != Code.OK:
            failed.add(status.model)
        elif status.state is ServableState.AVAILABLE:
            available.add(status.model)
    return Progress(len(available - failed), len(failed))


class ManyModels:
    """The models on the control topic of a worker, the only one of its status topic; for one thread at a time."""

    def __init__(self, topics: Topics, file: Path, names: Iterable[str], settled: Progress = SETTLED) -> None:
        """*file* is what `write_file` has written, *names* the models' names, *settled* how they will stay."""
        self._topics = topics
        self._settled = settled
        self._file = file
        self._names = frozenset(names)
        self._status = FleetReader(
            topics.status, functools.partial(clients.reader, topics.where), clients.admin(topics.where)
        )
        self._status.open()

    def apply(self) -> None:
        """Have them set by one `headrace models apply`, as an operator does.

        Raises:
            ChildProcessError: the command failed.
        """
        topics = self._topics
        settings = {
            "kafka.bootstrap_servers": topics.where.bootstrap_servers,
            "topics.control": topics.control,
            "topics.status": topics.status,
        }
        environment = {environment_name(name): value for name, value in settings.items()}
        finish([sys.executable, "-m", "worker", "models", "apply", str(self._file)], environment)

    def wait_until_settled(self, began: float) -> float:
        """Wait until each model is as it will stay, available or failed; seconds since *began*.

        Raises:
            TimeoutError: that takes too long.
        """
        return self._wait(lambda: self._progress() == self._settled, began)

    def remove(self) -> None:
        """Take them off the control topic."""
        self._topics.set_models(dict.fromkeys(self._names))

    def cycle(self) -> Cycle:
        """Once there and back.

        Raises:
            ChildProcessError: the command failed.
            TimeoutError: something takes too long.
        """
        began = time.monotonic()
        self.apply()
        loaded = self.wait_until_settled(began)
        began = time.monotonic()
        self.remove()
        return Cycle(loaded, self._wait(lambda: not any(self._said()), began))

    def close(self) -> None:
        """Close the client."""
        self._status.close()

    def _said(self) -> Iterable[ServableStatus]:
        return (status for status in self._status.fleet.servables() if status.model in self._names)

    def _progress(self) -> Progress:
        return progress(self._said())

    def _wait(self, over: Callable[[], bool], began: float) -> float:
        while not over():
            if time.monotonic() > began + STATE_SECONDS:
                raise TimeoutError(f"the models are not settled in {STATE_SECONDS:g} s: {self._progress()}")
            self._status.poll(LOOK_SECONDS)
        return time.monotonic() - began
