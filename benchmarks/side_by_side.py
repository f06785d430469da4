"""Echo, hand loop and headrace on one topic of requests, the whole way: 64 floats in, 10 out."""

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import baseline, brokers, comparison, load, measuring
from benchmarks.contender import Job, baseline_command, headrace_command, new_group
from benchmarks.processes import finish, started
from benchmarks.scenario import Options, Outcome, Target
from benchmarks.topics import Topics
from benchmarks.turns import in_turn
from schemas.model_config import ModelConfig

HEADRACE = "headrace"
RECORDS: Mapping[str, int] = {
    baseline.ECHO: 2_300_000,
    baseline.HAND_LOOP: 460_000,
    HEADRACE: 2_300_000,
}
"""Replies of one run. Nine tenths of them are measured: more than two million of the fast ones, and of the slow one
in five rounds together."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is asked for, as ratios; of the rate nothing, where it is None."""

    cost_by_echo: float = 1.8
    cost_by_hand_loop: float = 0.2
    rate_by_hand_loop: float | None = 4.0
    hand_loop_by_echo: float = 9.0


class SideBySide:
    """One broker, one topic of requests, and runs on it."""

    def __init__(self, topics: Topics, model: Path, *, headers: bool) -> None:
        """*model* is the version directory of the model that answers."""
        self._topics = topics
        self._model = model
        self._headers = headers
        self._requests = topics.fresh_requests()
        self.replies = topics.fresh_replies()
        """The topic that answers are counted on."""

    def prepare(self, records: int) -> None:
        """Set the model, and write that many requests."""
        self._topics.set_models({load.MODEL: ModelConfig(base_path=str(self._model.parent))})
        reply_topic = self.replies if self._headers else None
        load.fill(self._topics.where.bootstrap_servers, self._requests, records, reply_topic)

    def job(self) -> Job:
        """What a contender is to do, in a group of its own."""
        return Job(
            self._topics.where.bootstrap_servers,
            new_group(),
            self._requests,
            self.replies,
            str(self._model),
            self._headers,
        )

    def _command(self, name: str) -> tuple[list[str], dict[str, str]]:
        if name == HEADRACE:
            return headrace_command(self.job(), self._topics)
        return baseline_command(name, self.job())

    def run(self, name: str, records: int) -> measuring.Result:
        """One contender, once; its replies follow those of the runs before."""
        before = self._topics.end(self.replies)
        with started(*self._command(name)) as process:
            samples = measuring.watch(process, lambda: self._topics.end(self.replies) - before, records)
        return measuring.result(samples, records)


def export_model(folder: Path) -> Path:
    """Write the benchmarks' model under *folder*, in a process of its own; its version directory."""
    model = folder / load.MODEL / "1"
    finish([sys.executable, "-m", "benchmarks.dense_model", str(model)])
    return model


def measure(options: Options, bounds: Bounds, *, headers: bool) -> Outcome:
    """All contenders in turn; *headers* gives every request a reply topic and a correlation id."""
    records = {name: int(count * options.scale) for name, count in RECORDS.items()}
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        bench = SideBySide(topics, export_model(Path(folder)), headers=headers)
        bench.prepare(max(records.values()))
        contenders = {name: partial(bench.run, name, count) for name, count in records.items()}
        results = in_turn(contenders, options.rounds, comparison.say)
    summaries = comparison.summaries(results)
    lines = comparison.lines(summaries)
    return Outcome(
        columns=comparison.columns(baseline.ECHO, baseline.HAND_LOOP),
        lines=lines,
        targets=targets({line.name: line.values for line in lines}, bounds),
        runs=comparison.runs(results),
        settings={"records": records, "partitions": 4, "headers": headers},
        notes=(
            "A run counts from the moment a tenth of its replies is on the broker to the moment all are.",
            "CPU is that of the whole process, by the kernel's count.",
            "Spread is that of CPU a record: the largest less the smallest, by the median.",
        ),
    )


def targets(by_name: Mapping[str, Mapping[str, float]], bounds: Bounds) -> list[Target]:
    """What is asked for, of the values of each contender's line."""
    own, hand_loop = by_name[HEADRACE], by_name[baseline.HAND_LOOP]
    asked = [
        Target("CPU a record by echo's", own[comparison.COST_BY_FIRST], bounds.cost_by_echo),
        Target("CPU a record by the hand loop's", own[comparison.COST_BY_SECOND], bounds.cost_by_hand_loop),
        Target(
            "the hand loop's CPU a record by echo's",
            hand_loop[comparison.COST_BY_FIRST],
            bounds.hand_loop_by_echo,
        ),
    ]
    if bounds.rate_by_hand_loop is not None:
        rate = own[comparison.RATE_BY_SECOND]
        asked.append(Target("records/s by the hand loop's", rate, bounds.rate_by_hand_loop, at_most=False))
    return asked
