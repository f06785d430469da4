"""What faults act upon: workers in numbered places, a broker, a model with two versions, and what comes later."""

import heapq
import itertools
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.kit.broker import KafkaBroker
from tests.kit.deployment import Deployment
from tests.kit.worker import RunningWorker
from worker.kafka.errors import KafkaProblem

MODEL, SLOW = "mixed", "slow"
VERSIONS = (1, 2)
_PAUSE = threading.Event()


class Scene:
    """Workers come and go by `start`, `kill` and `end`; what heals a fault is put off with `later`.

    Args:
        deployed: makes the workers.
        broker: theirs.
        base_path: of the model, with both versions.
        loader: its loader.
        workers: so many places.
    """

    def __init__(
        self, deployed: Deployment, broker: KafkaBroker, base_path: Path, *, loader: str, workers: int
    ) -> None:
        self.deployed = deployed
        self.broker = broker
        self.places: list[RunningWorker | None] = [None] * workers
        self.version = VERSIONS[0]
        self.unexpected: list[str] = []
        """Ends of workers that nobody wanted, or not in this way."""
        self._base_path = base_path
        self._loader = loader
        self._extra: list[RunningWorker] = []
        self._ending: list[RunningWorker] = []
        self._frozen: set[RunningWorker] = set()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    # Workers

    def running(self) -> list[int]:
        """Places with a worker that is not frozen."""
        return [
            n for n, worker in enumerate(self.places) if worker is not None and worker not in self._frozen
        ]

    def start(self, place: int) -> None:
        """Put a worker where none is."""
        if self.places[place] is None:
            self.places[place] = self.deployed.start_worker()

    def kill(self, place: int) -> None:
        """End a worker as a crash would."""
        worker = self._leave(place)
        worker.kill()

    def end(self, place: int) -> None:
        """Ask a worker to end; nobody waits for that."""
        self._end(self._leave(place))

    def freeze(self, place: int, seconds: float) -> None:
        """Let a worker stand still for so long."""
        worker = self.places[place]
        assert worker is not None
        worker.freeze()
        self._frozen.add(worker)
        self.later(seconds, lambda: self._thaw(worker))

    def add(self, seconds: float) -> None:
        """One worker more, for so long."""
        worker = self.deployed.start_worker()
        self._extra.append(worker)
        self.later(seconds, lambda: self._drop(worker))

    # The model and the broker

    def switch_version(self) -> None:
        """Desire the other version, and only that."""
        self.version = VERSIONS[1] if self.version == VERSIONS[0] else VERSIONS[0]
        self.desire()

    def desire(self) -> None:
        """Say on the control topic which version is desired.

        Raises:
            KafkaProblem: the broker does not take it.
        """
        self.deployed.set_model(MODEL, self._base_path, [self.version], loader=self._loader)

    # Time

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in so many seconds."""
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._order), action))

    def step(self) -> None:
        """Do what is due, and see who has ended."""
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()
        self._look_at_ends()

    def sleep(self, seconds: float) -> None:
        """Step for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.step()
            _PAUSE.wait(min(left, 0.05))

    def heal(self, within_seconds: float) -> None:
        """Undo every fault: what was to come comes now, each place has a worker, and who ends has ended.

        Raises:
            AssertionError: a worker that was asked to end does not.
        """
        while self._later:
            heapq.heappop(self._later)[2]()
        for place in range(len(self.places)):
            self.start(place)
        deadline = time.monotonic() + within_seconds
        for worker in self._ending:
            worker.wait(max(0.0, deadline - time.monotonic()))
        self._look_at_ends()

    def _leave(self, place: int) -> RunningWorker:
        worker = self.places[place]
        assert worker is not None
        self.places[place] = None
        return worker

    def _end(self, worker: RunningWorker) -> None:
        worker.terminate()
        self._ending.append(worker)

    def _thaw(self, worker: RunningWorker) -> None:
        self._frozen.discard(worker)
        if worker.exit_status is None:
            worker.thaw()

    def _drop(self, worker: RunningWorker) -> None:
        self._extra.remove(worker)
        self._end(worker)

    def _look_at_ends(self) -> None:
        for worker in [each for each in self._ending if each.exit_status is not None]:
            self._ending.remove(worker)
            if worker.exit_status and not _never_began(worker):
                self._note(worker, "was asked to end")
        for place, standing in enumerate(self.places):
            if standing is not None and standing.exit_status is not None:
                self.places[place] = None
                self._note(standing, "ended by itself")
                self.start(place)

    def _note(self, worker: RunningWorker, what: str) -> None:
        self.unexpected.append(
            f"{worker.log_file.name} {what}, with status {worker.exit_status}; its log ends:\n{worker.log_tail(15)}"
        )


def _never_began(worker: RunningWorker) -> bool:
    """Whether SIGTERM came before the process could take it: while the interpreter read its modules."""
    return worker.exit_status == -signal.SIGTERM and not worker.log()


def tried(action: Callable[[], None]) -> bool:
    """Whether something that needs the broker went well, with a broker that may be away."""
    try:
        action()
    except KafkaProblem:
        return False
    return True
