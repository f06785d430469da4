"""`make soak`: one worker at full load for a long time, and what its memory does meanwhile.

Resident memory is looked at each second. The line through what is seen after the warm-up has a slope, which is what a
month would show. At the end every request that was sent must have its reply.
"""

import argparse
import re
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from benchmarks import brokers, cores, load, measuring, report
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.processes import Started, started
from benchmarks.scenario import Column, Line, Options, Outcome, Scenario, Target
from benchmarks.scenarios.memory import MEBIBYTE, resident_bytes
from benchmarks.side_by_side import export_model
from benchmarks.soak_load import WAITING, SoakLoad
from benchmarks.topics import KEEPS_LITTLE, PARTITIONS, Topics
from benchmarks.trend import Trend, trend
from schemas.model_config import ModelConfig
from tests.kit.broker import free_port
from tests.kit.maven_jars import JavaUnavailable

NAME = "soak"
TITLE = "Resident memory at full load"

MINUTES = 30.0
LEAST_MINUTES = 1.0
WARMUP_SHARE, LONGEST_WARMUP_SECONDS = 0.25, 180.0
"""Before samples count: layouts are learnt, buffers and threads' heaps reach their size, the broker compiles itself."""
LOOK_SECONDS = 1.0
START_SECONDS, LAST_SECONDS, PAGE_SECONDS = 120.0, 120.0, 30.0
MOST_MIB_PER_HOUR = 10.0

COLUMNS = (
    Column("minutes", "minutes", ",.1f"),
    Column("start", "start, MiB", ",.0f"),
    Column("end", "end, MiB", ",.0f"),
    Column("most", "most, MiB", ",.0f"),
    Column("slope", "MiB an hour"),
    Column("uncertainty", "give or take"),
    Column("answered", "requests answered", ",.0f"),
    Column("errors", "errors", ",.0f"),
    Column("missing", "missing", ",.0f"),
    Column("records_per_second", "records/s", ",.0f"),
    Column("core_percent", "% of a core", ",.0f"),
    Column("waiting", "waiting, median", ",.0f"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: seconds since the first one, the worker's resident bytes and CPU time, and records on both topics."""

    seconds: float
    resident_bytes: int
    cpu_seconds: float
    requests: int
    replies: int


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it: the samples that count, how many requests there were, and what became of all of them."""

    samples: Sequence[Sample]
    sent: int
    answered: int
    dead_letters: int
    errors: int

    def trend(self) -> Trend:
        """MiB an hour."""
        hours = [each.seconds / 3600 for each in self.samples]
        return trend(hours, [each.resident_bytes / MEBIBYTE for each in self.samples])

    def values(self) -> dict[str, float]:
        """What the table shows."""
        first, last, line = self.samples[0], self.samples[-1], self.trend()
        seconds = last.seconds - first.seconds
        return {
            "minutes": seconds / 60,
            "start": first.resident_bytes / MEBIBYTE,
            "end": last.resident_bytes / MEBIBYTE,
            "most": max(each.resident_bytes for each in self.samples) / MEBIBYTE,
            "slope": line.slope,
            "uncertainty": line.uncertainty,
            "answered": self.answered,
            "errors": self.errors,
            "missing": self.sent - self.answered - self.dead_letters,
            "records_per_second": (last.replies - first.replies) / seconds,
            "core_percent": (last.cpu_seconds - first.cpu_seconds) / seconds * 100,
            "waiting": statistics.median(each.requests - each.replies for each in self.samples),
        }


def run(options: Options) -> Outcome:
    """A worker and its load on a broker whose topics keep little; `options.scale` is of `MINUTES`."""
    seconds = MINUTES * 60 * options.scale
    warmup = min(seconds * WARMUP_SHARE, LONGEST_WARMUP_SECONDS)
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        soaked = _soak(topics, Path(folder), warmup, seconds)
    values = soaked.values()
    return Outcome(
        columns=COLUMNS,
        lines=[Line("headrace", values)],
        targets=[
            Target(
                "growth, MiB an hour, less its uncertainty",
                max(0.0, values["slope"] - values["uncertainty"]),
                MOST_MIB_PER_HOUR,
            ),
            Target("requests without a reply or dead letter", values["missing"], 0.0),
            Target("error replies", values["errors"], 0.0),
        ],
        runs=[values],
        settings={"seconds": seconds, "warmup_seconds": warmup, "most_waiting": WAITING},
        notes=(
            f"Memory is the kernel's count of resident pages (VmRSS), each second after {warmup:.0f} s of this load.",
            "The slope is that of the least-squares line through the means of twenty equal parts of the time.",
            "Give or take: half of the slope's 95 % confidence interval.",
            "The load never lets the worker wait; requests and replies are kept by the broker for some seconds only.",
        ),
        series={
            "seconds": [each.seconds for each in soaked.samples],
            "resident_mebibytes": [round(each.resident_bytes / MEBIBYTE, 1) for each in soaked.samples],
        },
    )


def _soak(topics: Topics, folder: Path, warmup_seconds: float, seconds: float) -> Soaked:
    model = export_model(folder)
    topics.set_models({load.MODEL: ModelConfig(base_path=str(model.parent))})
    requests, replies = topics.fresh_requests(PARTITIONS, KEEPS_LITTLE), topics.fresh_replies()
    address, out = topics.where.bootstrap_servers, folder / "sent"
    job, port = Job(address, new_group(), requests, replies, str(model)), free_port()
    with started(*headrace_command(job, topics, {"http.port": port})) as worker:
        sending = SoakLoad(address, requests, replies, str(out))
        with started(sending.command(), core=cores.OTHER_CORE) as sender:
            watch = _Watch(topics, job, worker, sender)
            watch.wait_for_replies(1, START_SECONDS)
            print(f"{NAME}: the worker answers; {warmup_seconds:.0f} s of warm-up", flush=True)
            watch.samples_for(warmup_seconds)
            samples = watch.samples_for(seconds, tell_seconds=60.0)
        sent = int(out.read_text(encoding="utf-8"))
        print(f"{NAME}: {sent:,} requests were sent; waiting for the last replies", flush=True)
        page = watch.wait_for_the_rest(sent, port)
    answered = topics.end(replies)
    topics.delete(requests, replies, f"{requests}-dlt")
    return Soaked(samples, sent, answered, _sum(page, "dead_letters"), _errors(page))


class _Watch:
    """Looks at the worker and at both topics."""

    def __init__(self, topics: Topics, job: Job, worker: Started, sender: Started) -> None:
        self._topics = topics
        self._job = job
        self._worker = worker
        self._sender = sender
        self._pause = threading.Event()

    def wait_for_replies(self, count: int, within_seconds: float) -> None:
        """Wait until there are so many."""
        end = time.monotonic() + within_seconds
        while self._topics.end(self._job.replies) < count:
            self._worker.check()
            self._sender.check()
            if time.monotonic() > end:
                raise TimeoutError(f"no reply within {within_seconds:g} s")
            self._pause.wait(LOOK_SECONDS / 10)

    def samples_for(self, seconds: float, tell_seconds: float | None = None) -> list[Sample]:
        """A look each second, for so long; a line now and then so that whoever waits sees that it goes on."""
        start, found = time.monotonic(), [self._look(0.0)]
        while (now := time.monotonic() - start) < seconds:
            self._pause.wait(min(LOOK_SECONDS, seconds - now))
            found.append(self._look(time.monotonic() - start))
            if tell_seconds and found[-1].seconds // tell_seconds > found[-2].seconds // tell_seconds:
                mebibytes, replies = found[-1].resident_bytes / MEBIBYTE, found[-1].replies
                print(
                    f"{found[-1].seconds / 60:5.1f} min: {mebibytes:,.1f} MiB, {replies:,} replies",
                    flush=True,
                )
        return found

    def wait_for_the_rest(self, sent: int, port: int) -> str:
        """Wait until each request has its reply or dead letter, or for some time; the worker's metrics then."""
        end = time.monotonic() + LAST_SECONDS
        while True:
            self._worker.check()
            page = _metrics(port)
            settled = self._topics.end(self._job.replies) + _sum(page, "dead_letters")
            if settled >= sent or time.monotonic() > end:
                return page
            self._pause.wait(LOOK_SECONDS)

    def _look(self, seconds: float) -> Sample:
        self._worker.check()
        self._sender.check()
        resident, cpu = resident_bytes(self._worker.pid), measuring.cpu_seconds(self._worker.pid)
        replies, requests = self._topics.end(self._job.replies), self._topics.end(self._job.requests)
        return Sample(round(seconds, 3), resident, round(cpu, 2), requests, replies)


def _metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PAGE_SECONDS) as answer:
        return str(answer.read().decode())


def _sum(page: str, name: str, *, without: str = "") -> int:
    """The sum of a counter's samples, but for those with a label."""
    samples = re.findall(rf"^headrace_{name}_total(\{{.*\}})? (\S+)$", page, re.MULTILINE)
    return int(sum(float(value) for labels, value in samples if not without or without not in labels))


def _errors(page: str) -> int:
    return _sum(page, "requests", without='code="OK"')


def main() -> int:
    """Soak, print the table, keep the results; 1 when a target was missed, 2 when it could not be run."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument(
        "--minutes",
        type=float,
        default=MINUTES,
        help=f"at full load, after the warm-up (default: {MINUTES:g})",
    )
    given = parser.parse_args()
    if given.minutes < LEAST_MINUTES:
        parser.error(f"--minutes takes {LEAST_MINUTES:g} or more")
    cores.stay_beside()
    options = Options(rounds=1, scale=given.minutes / MINUTES)
    try:
        outcome = run(options)
    except JavaUnavailable as error:
        sys.stderr.write(f"cannot be run here: {error}\n")
        return 2
    print(f"\n{report.text(TITLE, outcome)}\n")
    kept = report.write(cast("Scenario", sys.modules[__name__]), options, outcome)
    print(f"kept in {kept}", flush=True)
    return 0 if all(target.met for target in outcome.targets) else 1


if __name__ == "__main__":
    sys.exit(main())
