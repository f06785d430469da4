"""An urgent model's latency while bulk work of a low priority keeps the device that both share busy."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import brokers, device_journal, device_loader, load
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.latency_figures import CORE, LARGEST, MISSING, P50, P90, P99, P999, Figures, figures, medians
from benchmarks.mixed_load import Mix, fill
from benchmarks.open_loop import measure
from benchmarks.processes import started
from benchmarks.scenario import Column, Line, Options, Outcome, Target
from benchmarks.topics import Topics
from benchmarks.turns import in_turn, listed
from schemas.model_config import PRIORITY, BatchingOptions, ModelConfig

NAME = "priorities"
TITLE = "Latency of urgent requests, 40 a second, on a device that bulk work keeps busy"

BULK = "bulk"
DEVICE, BATCH_SECONDS, BATCH_ROWS = "one", 0.005, 32
RATE = 40.0
WARMUP_SECONDS, MEASURED_SECONDS = 6.0, 25.0
REQUESTS_IN_A_BATCH, SPARE_SECONDS, MARGIN_SECONDS = 2.0, 20.0, 1.0
ALONE, FIRST, EQUAL = "alone", "beside bulk work of a lower priority", "beside bulk work of the same priority"
SHORT = f"{FIRST}, in batches half as long"
MOST_P99, LEAST_BUSY = 1.5, 0.75

BUSY = Column("busy", "device busy with bulk work, %", ",.0f")
COLUMNS = (P50, P90, P99, P999, LARGEST, MISSING, CORE, BUSY)


@dataclass(frozen=True, slots=True)
class Condition:
    """What urgent requests have beside them.

    Attributes:
        bulk: whether there is bulk work.
        priority: of the urgent model; that of bulk work is 0.
        length: of a batch of bulk work, in rows and in seconds, by that of urgent requests.
    """

    bulk: bool
    priority: int
    length: float = 1.0


CONDITIONS = {
    ALONE: Condition(bulk=False, priority=9),
    FIRST: Condition(bulk=True, priority=9),
    SHORT: Condition(bulk=True, priority=9, length=0.5),
    EQUAL: Condition(bulk=True, priority=0),
}


class Bench:
    """Runs of one worker with two bindings, of which the urgent one is measured."""

    def __init__(self, topics: Topics, folder: Path, seconds: float) -> None:
        """Write bulk requests, more than a run can answer."""
        self._topics = topics
        self._folder = folder
        self._seconds = seconds
        self._site = folder / "site"
        device_loader.offer(self._site)
        self._nothing, self._bulk = topics.fresh_requests(), topics.fresh_requests()
        mix = Mix([(BULK, "serving_default")], most_rows=BATCH_ROWS)
        requests = (WARMUP_SECONDS + seconds + SPARE_SECONDS) * REQUESTS_IN_A_BATCH / BATCH_SECONDS
        fill(topics.where.bootstrap_servers, self._bulk, mix, int(requests))

    def run(self, condition: Condition) -> Figures:
        """A new worker, measured while it answers urgent requests; what part of the time bulk work had the device."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            return self._run(condition, Path(folder))

    def _run(self, condition: Condition, folder: Path) -> Figures:
        models = {load.MODEL: (condition.priority, 1.0), BULK: (0, condition.length)}
        configs = {}
        for name, (priority, length) in models.items():
            base = folder / name
            (journal := folder / f"{name}-journal").mkdir()
            device_loader.write(
                base / "1", batch_seconds=length * BATCH_SECONDS, journal=journal, device=DEVICE
            )
            configs[name] = ModelConfig(
                base_path=str(base),
                loader=device_loader.NAME,
                batching=BatchingOptions(max_batch_rows=int(length * BATCH_ROWS)),
                parameters={PRIORITY: b"%d" % priority},
            )
        self._topics.set_models(configs)
        address = self._topics.where.bootstrap_servers
        requests, replies = self._topics.fresh_requests(), self._topics.fresh_replies()
        job = Job(address, new_group(), requests, replies, str(folder / load.MODEL / "1"))
        bindings = [
            _binding("urgent", requests, load.MODEL, replies, 0.5),
            _binding(
                "bulk",
                self._bulk if condition.bulk else self._nothing,
                BULK,
                self._topics.fresh_replies(),
                0.5,
            ),
        ]
        settings = {"bindings": bindings}
        command, environment = headrace_command(job, self._topics, settings)
        with started(command, environment | device_loader.environment(self._site)) as process:
            measured = measure(job, process, RATE, WARMUP_SECONDS, self._seconds)
            runs = device_journal.read(folder / f"{BULK}-journal", process.pid)
        # The last replies have come: what was measured lies just before, and the device has not stopped since.
        end = max((run.end for run in runs), default=0.0) - MARGIN_SECONDS
        busy = device_journal.busy_share(runs, end - self._seconds, end)
        return figures(measured) | {"busy": 100 * busy}


def run(options: Options) -> Outcome:
    """Workers with and without bulk work in turn."""
    seconds = MEASURED_SECONDS * options.scale
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        bench = Bench(topics, Path(folder), seconds)
        results = in_turn(
            {name: partial(bench.run, condition) for name, condition in CONDITIONS.items()},
            options.rounds,
            "p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms, bulk has the device {busy:.0f} %".format_map,
        )
    lines = {name: medians(of_one, COLUMNS) for name, of_one in results.items()}
    return Outcome(
        columns=COLUMNS,
        lines=[Line(name, values) for name, values in lines.items()],
        targets=targets(lines),
        runs=listed(results, dict, "name"),
        settings={"rate": RATE, "seconds": seconds, "batch_seconds": BATCH_SECONDS, "batch_rows": BATCH_ROWS},
        notes=(
            "One worker with two bindings, half of the budget each, and one batch thread.",
            f"Both models run on one device: {BATCH_SECONDS * 1000:g} ms a batch of at most {BATCH_ROWS} rows.",
            f"Urgent requests of one row need it {RATE * BATCH_SECONDS:.0%} of the time; bulk work can have the rest.",
            "No batch is broken off: an urgent request waits for the one that runs, which makes p99 so much longer.",
            "Latency counts from the moment at which a request was due; sender and broker share the other core.",
        ),
    )


def targets(lines: Mapping[str, Figures]) -> list[Target]:
    """What is asked for, of medians."""
    alone, first, short = lines[ALONE], lines[FIRST], lines[SHORT]
    urgent_percent = 100 * RATE * BATCH_SECONDS
    return [
        Target("p99 beside bulk work by that alone", first["p99_ms"] / alone["p99_ms"], MOST_P99),
        Target("the same, in batches half as long", short["p99_ms"] / alone["p99_ms"], MOST_P99),
        Target(
            "device busy, urgent requests and bulk work",
            (first["busy"] + urgent_percent) / 100,
            LEAST_BUSY,
            at_most=False,
        ),
        Target("replies missing", sum(line["missing"] for line in lines.values()), 0.0),
    ]


def _binding(name: str, requests: str, model: str, replies: str, share: float) -> dict[str, object]:
    return {
        "name": name,
        "request_topics": [requests],
        "models": [model],
        "reply_topic": replies,
        "share": share,
    }
