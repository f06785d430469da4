"""headrace alone: everything between the poll and the producer's `send`, with Kafka and models that cost nothing.

TensorFlow Serving's figure of 100,000 requests/s a core is of this kind: without transport, without TensorFlow.
"""

import itertools
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import confluent_kafka

from benchmarks import idle_path
from benchmarks.idle_path import IdlePath
from benchmarks.scenario import Column, Line, Options, Outcome, Target
from worker import process_tuning
from worker.kafka.records import Message

NAME = "framework"
TITLE = "The framework alone: no Kafka, no TensorFlow"

RECORDS, MOST_POLLS = 400_000, 10_000
"""Records of one run of one case, unless so many polls come first."""
DIFFERENT_RECORDS = 32_768
"""Records made beforehand, so that no run lives in the processor's caches."""
MODELS, SIGNATURES = 16, 2
_READ: tuple[Callable[[Message], Any], ...] = (
    confluent_kafka.Message.value,
    confluent_kafka.Message.key,
    confluent_kafka.Message.headers,
    confluent_kafka.Message.partition,
    confluent_kafka.Message.timestamp,
)
"""What a poll asks of each message."""

COLUMNS = (
    Column("net_us", "CPU µs a record"),
    Column("records_per_second", "records/s a core", ",.0f"),
    Column("spread", "spread", ".0%"),
    Column("messages_us", "messages µs a record"),
    Column("whole_us", "both"),
)

NOTES = (
    "Decode, admit, route, queue, batch, handle, split, encode, settle and metrics, in one thread.",
    "The model returns rows that it had before; the producer takes what it is given and acknowledges it.",
    "The messages are the client library's own; reading them is Kafka's part, measured alone and subtracted.",
    "CPU time of the process; one row of 64 floats in, one of 10 out, ids of 12 bytes.",
)


@dataclass(frozen=True, slots=True)
class Case:
    """What is polled: so many records at a time, of one layout or of all of them in turn."""

    poll_records: int
    layouts: int

    @property
    def name(self) -> str:
        """As a line of the table."""
        if self.layouts == 1:
            return f"one layout, blocks of {self.poll_records:,}"
        return f"{self.layouts} layouts record by record, polls of {self.poll_records:,}"


CASES = tuple(
    [Case(size, 1) for size in (1, 8, 64, 512, 2048)]
    + [Case(size, MODELS * SIGNATURES) for size in (512, 2048, 8192)]
)
FLOORS: Mapping[Case, float] = {
    Case(512, 1): 2_000_000,
    Case(2048, 1): 2_000_000,
    Case(8192, MODELS * SIGNATURES): 600_000,
}
"""Records/s a core that are asked for; of many layouts in the polls that a worker takes by default."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One run of one case, in µs of CPU a record: all of it, and what reading the client's messages costs alone."""

    whole_us: float
    messages_us: float

    @property
    def net_us(self) -> float:
        """Without the messages."""
        return self.whole_us - self.messages_us


class _Running:
    """One case, ready to run again and again."""

    def __init__(self, case: Case, scale: float) -> None:
        self.case = case
        wanted = idle_path.layouts(MODELS, SIGNATURES) if case.layouts > 1 else idle_path.layouts(1, 1)
        size = case.poll_records
        values = idle_path.requests(wanted, max(1, DIFFERENT_RECORDS // size) * size)
        polls = [values[start : start + size] for start in range(0, len(values), size)]
        self._path = IdlePath(wanted, polls)
        self._steps = max(1, int(min(RECORDS // size, MOST_POLLS) * scale))
        self._messages: Iterator[Sequence[Message]] = itertools.cycle(self._path.polls)

    def warm_up(self) -> None:
        """Learn the layouts, and meet every record once."""
        for _ in range(min(self._steps, len(self._path.polls))):
            self._path.step()

    def run(self) -> Cost:
        """Once."""
        records = self._steps * self.case.poll_records
        before = self._path.replies
        whole_us = _cpu_us(self._path.step, self._steps)
        if self._path.replies - before != records:
            raise AssertionError(f"{self._path.replies - before} replies to {records} requests")
        return Cost(whole_us / records, _cpu_us(self._read, self._steps) / records)

    def _read(self) -> None:
        messages = next(self._messages)
        for read in _READ:
            deque(map(read, messages), maxlen=0)


def run(options: Options) -> Outcome:
    """Each case in each round."""
    process_tuning.share_the_interpreter()
    running = [_Running(case, options.scale) for case in CASES]
    for each in running:
        each.warm_up()
    process_tuning.keep_collections_small()
    costs: dict[Case, list[Cost]] = {case: [] for case in CASES}
    for number in range(options.rounds):
        for each in running:
            costs[each.case].append(each.run())
            print(
                f"round {number + 1} of {options.rounds}: {each.case.name}: "
                f"{costs[each.case][-1].net_us:.2f} µs CPU a record",
                flush=True,
            )
    lines = {case: Line(case.name, summary(of_case)) for case, of_case in costs.items()}
    return Outcome(
        COLUMNS,
        list(lines.values()),
        [
            Target(
                f"{case.name}: records/s a core",
                lines[case].values["records_per_second"],
                floor,
                at_most=False,
            )
            for case, floor in FLOORS.items()
        ],
        [
            {"case": case.name, "whole_us": cost.whole_us, "messages_us": cost.messages_us}
            for case, of_case in costs.items()
            for cost in of_case
        ],
        {"rounds": options.rounds, "scale": options.scale, "records": RECORDS},
        NOTES,
    )


def summary(costs: Sequence[Cost]) -> dict[str, float]:
    """Medians over the runs of a case; the spread is the largest net cost less the smallest, by the median."""
    net = [cost.net_us for cost in costs]
    middle = statistics.median(net)
    return {
        "net_us": middle,
        "records_per_second": 1e6 / middle,
        "spread": (max(net) - min(net)) / middle,
        "messages_us": statistics.median(cost.messages_us for cost in costs),
        "whole_us": statistics.median(cost.whole_us for cost in costs),
    }


def _cpu_us(step: Callable[[], None], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        step()
    return (time.process_time() - start) * 1e6
