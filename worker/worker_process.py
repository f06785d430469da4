"""The life of a worker process: wait for what it needs, join, serve, and end in order.

The order of the end is what keeps the promises: stop reading, finish what was read, commit, leave the group; only
then are the versions unloaded and the last status sent.
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from lifecycle.aspired_versions_manager import AspiredVersionsManager
from lifecycle.threads import PeriodicStep
from schemas.worker_status import WorkerState
from worker import process_tuning
from worker.cluster_watch import ClusterWatch
from worker.control_loop import ControlLoop
from worker.control_thread import ControlThread
from worker.exit_codes import ExitCode
from worker.kafka.errors import (
    AuthenticationFailed,
    Fatal,
    InstanceIdInUse,
    InstanceIdTaken,
    KafkaProblem,
)
from worker.log import Occasionally
from worker.model_table import ModelTable
from worker.request_path import RequestPath
from worker.settings import Settings
from worker.stop_flag import StopFlag
from worker.topic_directory import TopicDirectory

if TYPE_CHECKING:
    from worker.health import HealthServer

log = logging.getLogger(__name__)

TOPICS_LOOK_SECONDS = 1.0  # asks a broker
MODELS_LOOK_SECONDS = 0.05  # asks nobody, and what has loaded should not wait for work
INSTANCE_LOOK_SECONDS = 2.0  # joins the group
CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Side:
    """What lives beside the request path for as long as the process.

    Attributes:
        control: the control loop, for its properties.
        thread: the thread that steps it.
        manager: the versions.
        table: the desired models.
        directory: what is known of the cluster's topics.
        watch: whether the cluster answers, and has what is needed.
        housekeeping: steps the watch, and lets go of the metrics of models that are gone.
        lacking: says which rights are missing for requests to be read and answered; None: none is.
    """

    control: ControlLoop
    thread: ControlThread
    manager: AspiredVersionsManager
    table: ModelTable
    directory: TopicDirectory
    watch: ClusterWatch
    housekeeping: PeriodicStep
    lacking: Callable[[], str | None] = lambda: None


class WorkerProcess:
    """One worker. `run` is called once, on the main thread, which becomes the poll thread.

    Args:
        settings: the whole tree.
        side: what lives beside the request path.
        make_request_path: builds the request path, once the topics are there and the models are loaded.
        look_beforehand: asks the broker what else has to be known before; raises KafkaProblem.
    """

    def __init__(
        self,
        settings: Settings,
        side: Side,
        make_request_path: Callable[[], RequestPath],
        *,
        look_beforehand: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._side = side
        self._make_request_path = make_request_path
        self._look_beforehand = look_beforehand
        self._clock = clock
        self._stop = StopFlag()
        self._path: RequestPath | None = None
        self._ending = False
        self._waiting = "the worker starts"
        self._alive_at = clock()
        self._occasionally = Occasionally(log, seconds=30.0, clock=clock)
        self._made_again: str | None = None
        self.health: HealthServer | None = None
        side.watch.on_made_again = self._begin_anew

    def stop(self) -> None:
        """Ask the worker to end in order; from any thread, or a signal."""
        self._stop.set()

    def _begin_anew(self, topic: str) -> None:
        """A topic was made again. The client reads on in a request topic at the old place, or not at all: end."""
        request_topics = {each for binding in self._settings.bindings for each in binding.request_topics}
        if self._path is None or topic not in request_topics or self._stop.is_set():
            return
        log.error(
            "a request topic was deleted and made again; the worker ends, to be started again and read the new one "
            "from its first record",
            extra={"topic": topic},
        )
        self._made_again = topic
        self._stop.set()

    def run(self) -> ExitCode:
        """Serve until told to stop; what the process should exit with."""
        with self._signals():
            try:
                return self._run()
            finally:
                self.close()

    def poll_age_seconds(self) -> float:
        """How long ago the loop last came round, serving or waiting; any thread."""
        path = self._path
        return self._clock() - max(self._alive_at, 0.0 if path is None else path.reading.loop.last_step)

    def stuck(self, limit_seconds: float) -> Sequence[str]:
        """Why only a restart helps: every batch thread has been in a model for so long (0: never mind). Any thread."""
        path = self._path
        if path is None or not limit_seconds or not (found := path.scheduler.all_stuck(limit_seconds)):
            return ()
        longest = found[0]
        why = (
            f"every batch thread has been in a model for more than {limit_seconds:g} s, so nothing is answered; the "
            f"longest in {longest.owner}, for {longest.seconds:.0f} s"
        )
        return (why,)

    def not_ready(self) -> Sequence[str]:
        """Why this worker takes no requests, or not all that it should; empty when it does. Any thread."""
        if self._ending:
            return ("the worker ends",)
        path = self._path
        if path is None:
            return (self._waiting,)
        reasons = self._side.watch.problems() + path.standing_still()
        if not self._side.thread.alive:
            reasons.append("the control thread has ended")
        return reasons

    def _run(self) -> ExitCode:
        if self.health is not None:
            self.health.start()
            log.info("serving /metrics, /livez and /readyz", extra={"port": self.health.port})
        self._side.thread.start()
        try:
            if not self._wait_until(self._topics_missing, TOPICS_LOOK_SECONDS):
                return ExitCode.DONE
            if not self._wait_until(self._models_missing, MODELS_LOOK_SECONDS):
                return ExitCode.DONE
            return self._serve_when_free()
        except AuthenticationFailed as problem:
            log.error("the broker does not let this worker in", extra={"problem": str(problem)})  # noqa: TRY400 - says all
            return ExitCode.UNREACHABLE
        except (InstanceIdTaken, InstanceIdInUse) as problem:
            log.error(  # noqa: TRY400 - the problem says all
                "another worker has this one's group.instance.id; this one ends, and starting it again cannot help as "
                "long as both have it. What it had not committed is repeated by others",
                extra={"problem": str(problem)},
            )
            return ExitCode.MISCONFIGURED
        except Fatal as problem:
            log.error(  # noqa: TRY400 - the problem says all
                "a Kafka client is beyond repair; the worker ends, and another repeats what was not committed",
                extra={"problem": str(problem)},
            )
            return ExitCode.TEMPORARY

    def _serve_when_free(self) -> ExitCode:
        """Serve, once no earlier worker of this one's instance id counts as a member any more.

        One that was killed does until its session is over (KIP-848); in a classic group this one takes its place.
        """
        give_up: float | None = None
        while True:
            try:
                return self._serve()
            except InstanceIdInUse as problem:
                assert self._path is not None
                self._path.close()
                self._path = None
                now = self._alive_at = self._clock()
                give_up = give_up or now + self._settings.join.instance_seconds
                if now >= give_up:
                    raise
                self._waiting = str(problem)
            self._side.control.announce(WorkerState.WAITING)
            self._occasionally.info("nothing is consumed yet", key="instance", waiting_for=self._waiting)
            if self._stop.wait(INSTANCE_LOOK_SECONDS):
                return ExitCode.DONE

    def _serve(self) -> ExitCode:
        self._path = self._make_request_path()
        process_tuning.keep_collections_small()
        self._side.control.announce(WorkerState.SERVING)
        self._path.run(self._stop)
        self._ending = True
        if self._made_again is not None:
            self._path.lose(self._made_again)
        deadline = self._clock() + self._settings.delivery.shutdown_seconds
        log.info(
            "ending: finishing what was read",
            extra={"at_most_seconds": self._settings.delivery.shutdown_seconds},
        )
        self._side.control.announce(WorkerState.DRAINING)
        self._path.finish(deadline)
        return ExitCode.DONE if self._made_again is None else ExitCode.TEMPORARY

    def _wait_until(self, missing: Callable[[], str | None], look_seconds: float) -> bool:
        """Wait until nothing is missing, saying what is; False when told to stop meanwhile."""
        while not self._stop.is_set():
            self._alive_at = self._clock()
            waiting = missing()
            if waiting is None:
                return True
            self._waiting = waiting
            self._occasionally.info("nothing is consumed yet", key=waiting, waiting_for=waiting)
            self._stop.wait(look_seconds)
        return False

    def _topics_missing(self) -> str | None:
        try:
            lacking = self._side.lacking()
            if lacking is not None:
                return lacking
            missing = self._side.watch.look()
            if missing is None:
                self._look_beforehand()
        except AuthenticationFailed:
            raise
        except KafkaProblem as problem:
            return str(problem)
        return missing

    def _models_missing(self) -> str | None:
        control = self._side.control
        if control.ready_to_join():
            return None
        return control.problem or control.waiting_for

    def close(self) -> None:
        """Let go of everything; for a worker that ends, or that is not run after all."""
        self._ending = True
        if self._path is not None:
            self._path.close()
        left = self._side.manager.close(CLOSE_SECONDS)
        if left:
            log.warning(
                "not every version is unloaded in time; the process ends all the same, and its memory goes with it",
                extra={"versions": ", ".join(map(str, left))},
            )
        self._side.thread.close(CLOSE_SECONDS)
        self._side.housekeeping.close(CLOSE_SECONDS)
        if self.health is not None:
            self.health.close()
        log.info("ended")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end in order; a second one ends at once."""

        def on_signal(number: int, _frame: FrameType | None) -> None:
            if self._stop.is_set():
                os._exit(128 + number)
            self._stop.set()

        before = {each: signal.signal(each, on_signal) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
