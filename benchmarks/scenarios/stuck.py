"""A model's latency while another model, in a binding of its own, is stuck with 100,000 requests behind it."""

import tempfile
from functools import partial
from pathlib import Path

from benchmarks import brokers, device_loader, load
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.latency_figures import CORE, LARGEST, MISSING, P50, P90, P99, P999, Figures, figures, medians
from benchmarks.mixed_load import Mix, fill
from benchmarks.open_loop import Measured, measure
from benchmarks.processes import started
from benchmarks.scenario import Line, Options, Outcome, Target
from benchmarks.side_by_side import export_model
from benchmarks.topics import Topics
from benchmarks.turns import in_turn, listed
from schemas.model_config import ModelConfig

NAME = "stuck"
TITLE = "Latency at 1,000 requests a second beside a model that never returns, with 100,000 requests waiting for it"

STUCK, STUCK_SECONDS = "stuck", 86_400.0
WAITING = 100_000
RATE = 1000.0
WARMUP_SECONDS, MEASURED_SECONDS = 8.0, 10.0
ALONE, BESIDE = "alone", "beside a stuck model"
MOST_P99 = 1.5

COLUMNS = (P50, P90, P99, P999, LARGEST, MISSING, CORE)


class Bench:
    """Runs of one worker with two bindings, of which one is measured."""

    def __init__(self, topics: Topics, folder: Path, seconds: float) -> None:
        """Make models and topics, and write the requests that wait."""
        self._topics = topics
        self._seconds = seconds
        self._site = folder / "site"
        device_loader.offer(self._site)
        base_path = folder / STUCK
        device_loader.write(base_path / "1", batch_seconds=STUCK_SECONDS, journal=folder)
        self._model = export_model(folder)
        topics.set_models(
            {
                load.MODEL: ModelConfig(base_path=str(self._model.parent)),
                STUCK: ModelConfig(base_path=str(base_path), loader=device_loader.NAME),
            }
        )
        self._nothing, self._waiting = topics.fresh_requests(), topics.fresh_requests()
        mix = Mix([(STUCK, "serving_default")])
        fill(topics.where.bootstrap_servers, self._waiting, mix, WAITING)

    def run(self, name: str) -> Measured:
        """A new worker, measured while it answers one binding; the other has nothing to do, or is stuck."""
        address = self._topics.where.bootstrap_servers
        other = self._waiting if name == BESIDE else self._nothing
        # Of its own: a new group would answer what the run before has asked, by the same ids.
        requests, replies = self._topics.fresh_requests(), self._topics.fresh_replies()
        job = Job(address, new_group(), requests, replies, str(self._model))
        bindings = [
            _binding("measured", requests, load.MODEL, replies),
            _binding("other", other, STUCK, self._topics.fresh_replies()),
        ]
        # A warm-up would never return either, and the model never be there.
        settings = {"bindings": bindings, "lifecycle.warmup": False}
        command, environment = headrace_command(job, self._topics, settings)
        with started(command, environment | device_loader.environment(self._site)) as process:
            return measure(job, process, RATE, WARMUP_SECONDS, self._seconds)


def run(options: Options) -> Outcome:
    """Workers with and without the stuck model in turn."""
    seconds = MEASURED_SECONDS * options.scale
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        bench = Bench(topics, Path(folder), seconds)
        results = in_turn(
            {name: partial(bench.run, name) for name in (ALONE, BESIDE)},
            options.rounds,
            lambda measured: "p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms".format_map(figures(measured)),
        )
    found = {name: [figures(measured) for measured in of_one] for name, of_one in results.items()}
    lines = {name: medians(of_one, COLUMNS) for name, of_one in found.items()}
    return Outcome(
        columns=COLUMNS,
        lines=[Line(name, values) for name, values in lines.items()],
        targets=targets(lines[ALONE], lines[BESIDE]),
        runs=listed(found, dict, "name"),
        settings={"rate": RATE, "seconds": seconds, "waiting": WAITING},
        notes=(
            "One worker with two bindings, half of the budget each; one batch thread, and who stands in for it.",
            "The stuck model waits without holding the interpreter, and never returns.",
            "Latency counts from the moment at which a request was due; sender and broker share the other core.",
        ),
    )


def targets(alone: Figures, beside: Figures) -> list[Target]:
    """What is asked for, of medians."""
    return [
        Target("p99 beside a stuck model by that alone", beside["p99_ms"] / alone["p99_ms"], MOST_P99),
        Target("replies missing", alone["missing"] + beside["missing"], 0.0),
    ]


def _binding(name: str, requests: str, model: str, replies: str) -> dict[str, object]:
    return {
        "name": name,
        "request_topics": [requests],
        "models": [model],
        "reply_topic": replies,
        "share": 0.5,
    }
