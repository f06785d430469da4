"""The demo itself: one version is served, requests flow, the other is pushed, and only the answers change."""

import contextlib
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worker.client_errors import PredictError
from worker.commands.failure import exit_code_of
from worker.demo.batch_rows import read_bars
from worker.demo.interruption import InterruptedByUserError, Interruption
from worker.demo.report import summarise
from worker.demo.screen import Screen
from worker.demo.stage import Stage, open_stage, worker_settings
from worker.demo.traffic import Traffic
from worker.demo.training import MODEL_NAME, read_held_out
from worker.demo.worker_process import Child, ChildFailedError, free_port, read_metrics, wait_until_ready
from worker.exit_codes import ExitCode
from worker.kafka.errors import KafkaProblem

VERSIONS = (1, 2)
INTERRUPTED = 130
_TICK_SECONDS = 0.01
_REPLY_SECONDS = 15.0

GO_ON = (
    ("make kafka", "a Kafka broker on this machine, where none is at hand"),
    ("headrace topics create --bootstrap-server HOST:9092", "the topics, with their settings"),
    ("headrace worker", "a worker; start as many as you like"),
    ("headrace models set NAME --base-path DIR", "serve the SavedModels DIR/1, DIR/2, ..."),
    ("headrace request NAME --json '{\"instances\": [...]}'", "ask, as one asks TensorFlow Serving"),
    ("headrace status", "who serves what"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """How the demo is played. Times are in seconds.

    `before_push` and `after_switch` are how long requests flow with either version alone; `patience` is how
    long any one step may take. A broker of somebody's is named by `bootstrap_servers`.
    """

    bootstrap_servers: str | None = None
    command_config: Path | None = None
    requests_per_second: float = 400.0
    before_push: float = 5.0
    after_switch: float = 5.0
    patience: float = 120.0


class Play:
    """One run. Everything that it starts ends with it, whatever happens."""

    def __init__(
        self,
        options: Options,
        screen: Screen,
        interruption: Interruption,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._screen = screen
        self._wait = interruption.wait
        self._clock = clock

    def run(self) -> ExitCode:
        """Play, and say whether it has shown what it promises.

        Raises:
            InterruptedByUserError: somebody wants it to end.
            ChildFailedError, KafkaProblem, PredictError: a part of it could not start.
        """
        with contextlib.ExitStack() as ending:
            folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="headrace-demo-")))
            stage = self._open_stage(ending)
            self._train(folder)
            base_path, port = folder / MODEL_NAME, free_port()
            stage.serve(MODEL_NAME, base_path, VERSIONS[0], "the demo's first version")
            client = ending.enter_context(stage.client(_REPLY_SECONDS))
            worker = self._start_worker(ending, stage, folder, port)
            traffic = Traffic(
                lambda inputs: client.submit(MODEL_NAME, inputs),
                read_held_out(folder),
                self._options.requests_per_second,
                self._clock,
            )
            self._wait_for_first_answer(traffic, worker)
            pushed_at = self._let_requests_flow(
                traffic, lambda: stage.serve(MODEL_NAME, base_path, VERSIONS[1], "the demo's better version")
            )
            report = summarise(traffic.samples, pushed_at)
            bars = read_bars(read_metrics(port), MODEL_NAME)
            problems = report.problems(VERSIONS)
            with self._screen.step("ending the worker in order"):
                worker.end()
            if worker.exit_code() != 0:
                problems.append(f"the worker ended with exit status {worker.exit_code()}")
            self._screen.report(report, bars)
            if problems:
                self._screen.failure(problems, worker.log_tail())
                return ExitCode.FAILED
        self._screen.say(
            " Both versions have answered, and no request failed while they changed places.", "bold green"
        )
        self._screen.say()
        self._screen.commands("To go on with models of your own:", GO_ON)
        return ExitCode.DONE

    def _train(self, folder: Path) -> None:
        """Train both versions in a process of its own."""
        with (
            self._screen.step("training two models on handwritten digits") as facts,
            Child(["worker.demo.training", str(folder)], folder / "training.log", {}) as training,
        ):
            began = self._clock()
            while (code := training.exit_code()) is None:
                self._wait(0.05)
                if self._clock() - began > self._options.patience:
                    raise ChildFailedError("the training takes too long", training.log_tail())
            if code != 0:
                raise ChildFailedError(f"the training ended with exit status {code}", training.log_tail())
            facts.append(_accuracies(training.log_tail(1)))

    def _open_stage(self, ending: contextlib.ExitStack) -> Stage:
        servers = self._options.bootstrap_servers
        doing = "starting an embedded broker" if servers is None else f"making topics on {servers}"
        with self._screen.step(doing) as facts:
            stage = ending.enter_context(open_stage(servers, self._options.command_config))
            facts.append(stage.settings.kafka.bootstrap_servers)
        return stage

    def _start_worker(self, ending: contextlib.ExitStack, stage: Stage, folder: Path, port: int) -> Child:
        with self._screen.step("starting a worker that serves version 1") as facts:
            settings = worker_settings(stage, port)
            worker = ending.enter_context(Child(["worker", "worker"], folder / "worker.log", settings))
            deadline = self._clock() + self._options.patience
            wait_until_ready(worker, port, self._wait, lambda: self._clock() >= deadline)
            facts.append(f"process {worker.pid}")
        return worker

    def _wait_for_first_answer(self, traffic: Traffic, worker: Child) -> None:
        """Let one request go ahead, so that what is measured is not how long a member waits to join its group."""
        with self._screen.step("asking a first time"):
            first = traffic.ask_once()
            while not first.done():
                self._wait(_TICK_SECONDS)
            error = first.exception()
        if error is not None:
            raise ChildFailedError(f"the first request failed: {error}", worker.log_tail())

    def _let_requests_flow(self, traffic: Traffic, push: Callable[[], None]) -> float:
        """The heart of it: a steady flow, and the push in the middle of it. When that was, on the clock."""
        options = self._options
        rate = f"{options.requests_per_second:,.0f} requests a second"
        with self._screen.step(f"sending {rate}, pushing version 2 meanwhile") as facts:
            self._flow(traffic, "version 1 alone", until=_after(self._clock, options.before_push))
            pushed_at = self._clock()
            push()
            late, new = _after(self._clock, options.patience), VERSIONS[1]
            self._flow(traffic, "version 2 pushed", until=lambda: late() or new in traffic.answered())
            self._flow(traffic, "version 2 answers", until=_after(self._clock, options.after_switch))
            late = _after(self._clock, 2 * _REPLY_SECONDS)
            while traffic.outstanding and not late():
                self._wait(_TICK_SECONDS)
                traffic.collect()
            facts.append(f"{len(traffic.samples):,} requests")
        return pushed_at

    def _flow(self, traffic: Traffic, what: str, until: Callable[[], bool]) -> None:
        """Send what is due until it is enough."""
        while not until():
            traffic.send_due()
            self._wait(_TICK_SECONDS)
            traffic.collect()
            answered = ", ".join(f"version {v}: {n:,}" for v, n in traffic.answered().items())
            self._screen.now(f"{what}; answered by {answered or 'none yet'}")


def run(options: Options, screen: Screen) -> int:
    """Play the demo to its exit status; what went wrong is on the screen."""
    with Interruption() as interruption:
        try:
            return Play(options, screen, interruption).run()
        except InterruptedByUserError:
            screen.say(" interrupted; everything has been cleaned up", "yellow")
            return INTERRUPTED
        except ChildFailedError as error:
            screen.failure([str(error)], error.log_tail)
        except (KafkaProblem, PredictError) as error:
            screen.failure([str(error)], "")
            return exit_code_of(error) or ExitCode.FAILED
        return ExitCode.FAILED


def _after(clock: Callable[[], float], seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have passed since now."""
    end = clock() + seconds
    return lambda: clock() >= end


def _accuracies(last_line: str) -> str:
    """What the training says about its models, for people."""
    accuracies = json.loads(last_line)["accuracies"]
    return ", ".join(f"version {version} recognises {share:.0%}" for version, share in accuracies.items())
