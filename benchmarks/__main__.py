"""`make bench`: the contenders in turn, several rounds, on one broker."""

import argparse
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks import load, measuring, report
from benchmarks.contender import Job, baseline_command, headrace_command
from schemas import codec
from schemas.model_config import ModelConfig
from tests.kit.broker import FULL_SPEED, Broker, ForeignBroker, KafkaBroker
from worker.kafka import client_config, clients
from worker.kafka.admin import Admin, TopicSpec
from worker.kafka.errors import KafkaProblem
from worker.kafka.records import TopicPartition

PARTITIONS = 4
TIMEOUT_SECONDS = 300.0
WORKER_CORE, OTHER_CORE = 0, 1
RECORDS = {"echo": 1_000_000, "hand loop": 200_000, "headrace": 1_000_000}
"""Replies that a contender is measured over: a few seconds each, however fast it is."""

SCENARIOS = {"small_records": False, "with_headers": True}
"""What is measured; whether requests name a reply topic and carry a correlation id in their headers."""

Command = Callable[[Job], tuple[list[str], dict[str, str]]]
COMMANDS: Mapping[str, Command] = {
    "echo": lambda job: baseline_command("echo", job),
    "hand loop": lambda job: baseline_command("hand loop", job),
    "headrace": headrace_command,
}


class Bench:
    """One broker, one topic of requests, and runs on it."""

    def __init__(self, bootstrap_servers: str, model: Path, scale: float, *, headers: bool) -> None:
        self._where = client_config.connection(bootstrap_servers)
        self._admin = clients.admin(self._where)
        self._model = model
        self.records = {name: int(count * scale) for name, count in RECORDS.items()}
        self._headers = headers
        self._requests = f"bench-requests-{uuid.uuid4().hex[:8]}"
        self._replies = f"bench-replies-{uuid.uuid4().hex[:8]}"

    def prepare(self) -> None:
        """Make the topics, set the model, write the requests."""
        fresh = {
            "headrace.control": {"cleanup.policy": "compact"},
            "headrace.status": {"cleanup.policy": "compact"},
        }
        specs = [TopicSpec(name, 1, 1, config) for name, config in fresh.items()]
        specs += [TopicSpec(name, PARTITIONS, 1) for name in (self._requests, self._replies)]
        specs.append(TopicSpec(f"{self._requests}-dlt", 1, 1))
        _made(self._admin, specs)
        config = ModelConfig(base_path=str(self._model.parent))
        producer = clients.producer(self._where, _raise)
        producer.send("headrace.control", [codec.encode(config)], [load.MODEL.encode()])
        producer.flush(30.0)
        producer.close()
        reply_topic = self._replies if self._headers else None
        load.fill(self._where.bootstrap_servers, self._requests, max(self.records.values()), reply_topic)

    def run(self, name: str) -> measuring.Result:
        """One contender, once, in a group of its own; its replies follow those of the runs before."""
        job = Job(
            self._where.bootstrap_servers,
            f"bench-{uuid.uuid4().hex[:8]}",
            self._requests,
            self._replies,
            str(self._model),
            self._headers,
        )
        reader = clients.reader(self._where, _Silent())

        def end() -> int:
            return sum(reader.watermarks(TopicPartition(self._replies, p))[1] for p in range(PARTITIONS))

        before = end()
        with _process(*COMMANDS[name](job)) as process:
            samples = measuring.watch(process, lambda: end() - before, self.records[name], TIMEOUT_SECONDS)
        reader.close()
        return measuring.result(samples, self.records[name])


@contextmanager
def _broker() -> Iterator[Broker]:
    """The broker of TEST_BOOTSTRAP_SERVERS, or one of our own beside the contenders' core."""
    if address := os.environ.get("TEST_BOOTSTRAP_SERVERS"):
        yield ForeignBroker(address)
        return
    with KafkaBroker(jvm_options=FULL_SPEED) as broker:
        os.sched_setaffinity(broker.pid, {OTHER_CORE})
        yield broker


@contextmanager
def _process(command: list[str], environment: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(command, env={**os.environ, **environment})
    os.sched_setaffinity(process.pid, {WORKER_CORE})
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Silent:
    """A reader's problems end the run by its time-out."""

    def on_problem(self, problem: KafkaProblem) -> None:
        """Nothing to do: the client goes on trying."""

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """Nothing is read."""


def _raise(problem: KafkaProblem) -> None:
    raise problem


def _made(admin: Admin, specs: list[TopicSpec]) -> None:
    for problem in admin.create_topics(specs).values():
        if problem is not None:
            raise problem


def in_turn(scale: float, rounds: int, *, headers: bool) -> list[measuring.Summary]:
    """64 floats in, 10 out: echo, hand loop and headrace in turn."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        model = Path(folder) / load.MODEL / "1"
        subprocess.run([sys.executable, "-m", "benchmarks.dense_model", str(model)], check=True)
        with _broker() as broker:
            bench = Bench(broker.bootstrap_servers, model, scale, headers=headers)
            bench.prepare()
            runs: dict[str, list[measuring.Result]] = {name: [] for name in COMMANDS}
            for number in range(rounds):
                for name, results in runs.items():
                    results.append(bench.run(name))
                    last = results[-1]
                    print(
                        f"round {number + 1} of {rounds}: {name}: {last.records_per_second:,.0f} records/s, "
                        f"{last.cpu_us_per_record:.2f} µs CPU a record",
                        flush=True,
                    )
    return [measuring.summary(name, results) for name, results in runs.items()]


def main() -> None:
    """Measure, print the table, keep the results."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender runs (default: 5)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="more or fewer records than usual (default: 1)"
    )
    parser.add_argument(
        "--scenario",
        choices=SCENARIOS,
        default="small_records",
        help="what is measured (default: small_records)",
    )
    options = parser.parse_args()
    os.sched_setaffinity(0, {OTHER_CORE})
    summaries = in_turn(options.scale, options.rounds, headers=SCENARIOS[options.scenario])
    print()
    print(report.table(summaries))
    path = report.write(options.scenario, summaries, {"rounds": options.rounds, "scale": options.scale})
    print(f"\nkept in {path.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
