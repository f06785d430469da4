"""`make profile`: where a worker's microseconds go, by thread and by stage of a request's way.

First a worker is measured as it is, then one whose stages are timed from outside (`benchmarks.stages`), on the same
requests. The first table is the kernel's count by thread and covers everything that the process uses, the threads of
librdkafka (`rdk:`) and TensorFlow (`tf_`) among it; the second one shares out what Python's own threads have used. A
stage's time does not include the stages that it calls. What the timing costs is said below.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import brokers, cores, measuring, report, stage_clock, thread_times
from benchmarks.contender import headrace_command
from benchmarks.processes import Started, started
from benchmarks.scenario import Column, Line
from benchmarks.side_by_side import SideBySide, export_model
from benchmarks.stages import STAGES
from benchmarks.thread_times import ThreadTime
from benchmarks.topics import Topics

RECORDS = 1_000_000
WARM_SHARE = 0.2
SNAPSHOT_SECONDS = 10.0
SCENARIOS = {"small_records": False, "with_headers": True}
SHARE, COST = Column("share", "share", ".1%"), Column("us", "µs CPU a record", ".3f")
THREAD_COLUMNS = (
    COST,
    SHARE,
    Column("user", "in the program", ".3f"),
    Column("system", "in the kernel", ".3f"),
)
STAGE_COLUMNS = (COST, SHARE, Column("calls", "calls per 1,000 records", ",.2f"))


@dataclass(frozen=True, slots=True)
class Look:
    """A worker at one moment: replies on the topic, the kernel's count by thread, its own by stage."""

    replies: int
    threads: Mapping[str, ThreadTime]
    stages: Mapping[str, Any]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make profile", description=__doc__)
    parser.add_argument("--scenario", choices=SCENARIOS, default="small_records", help="what is asked")
    parser.add_argument("--scale", type=float, default=1.0, help="more or fewer than 1,000,000 records")
    given = parser.parse_args()
    records = int(RECORDS * given.scale)
    cores.stay_beside()
    with (
        tempfile.TemporaryDirectory(prefix="headrace-profile-") as folder,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        bench = SideBySide(topics, export_model(Path(folder)), headers=SCENARIOS[given.scenario])
        bench.prepare(records)
        plain = bench.run("headrace", records)
        first, last, call_ns = _profiled(bench, topics, Path(folder) / "stages.json", records)
    print(text(first, last, call_ns, plain.cpu_us_per_record))
    return 0


def _profiled(bench: SideBySide, topics: Topics, file: Path, records: int) -> tuple[Look, Look, float]:
    """A worker with its stages timed: when it is warm, and when it is done; and nanoseconds for timing a call."""
    before = topics.end(bench.replies)
    _, environment = headrace_command(bench.job(), topics)
    with started([sys.executable, "-m", "benchmarks.profiled_worker", str(file)], environment) as process:
        looks = []
        for share in (WARM_SHARE, 1.0):
            measuring.watch(process, lambda: topics.end(bench.replies) - before, int(records * share))
            content = _snapshot(process, file)
            replies = topics.end(bench.replies) - before
            looks.append(Look(replies, thread_times.read(process.pid), content["threads"]))
    return looks[0], looks[1], content["nanoseconds_a_call"]


def _snapshot(process: Started, file: Path) -> dict[str, Any]:
    """Have the worker write its stages' times now, and read them."""
    file.unlink(missing_ok=True)
    os.kill(process.pid, signal.SIGUSR1)
    pause = threading.Event()
    for _ in range(int(SNAPSHOT_SECONDS / 0.005)):
        if file.exists():
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return content
        process.check()
        pause.wait(0.005)
    raise TimeoutError(f"the worker did not write {file.name} within {SNAPSHOT_SECONDS:g} s")


def text(first: Look, last: Look, call_ns: float, plain_us: float) -> str:
    """Both tables and what the timing costs, as Markdown; *plain_us*: a record's cost without the timing."""
    records = last.replies - first.replies
    names = {number: f"Python: {stages['name']}" for number, stages in last.stages.items()}
    threads = thread_times.between(first.threads, last.threads, names)
    total = sum(each.user_seconds + each.system_seconds for each in threads.values())
    calls = sum(stage_clock.difference(first.stages, last.stages, "calls").values())
    overhead = (
        f"Timing costs about {calls * call_ns / records / 1000:.3f} µs a record: {calls:,} calls at "
        f"{call_ns / 1000:.2f} µs. The same worker without it: {plain_us:.2f} µs a record."
    )
    parts = (
        f"## By thread: {total / records * 1e6:.2f} µs CPU a record, over {records:,} records",
        report.table(THREAD_COLUMNS, thread_lines(threads, records)),
        "## Python's threads by stage",
        report.table(STAGE_COLUMNS, stage_lines(first, last, records)),
        overhead,
    )
    return "\n\n".join(parts)


def thread_lines(threads: Mapping[str, ThreadTime], records: int) -> list[Line]:
    """A line a thread, in µs a record; those that used nothing are left out."""
    total = sum(each.user_seconds + each.system_seconds for each in threads.values())
    lines = []
    for each in threads.values():
        seconds = each.user_seconds + each.system_seconds
        if seconds > 0:
            values = {COST.key: seconds / records * 1e6, SHARE.key: seconds / total}
            values["user"] = each.user_seconds / records * 1e6
            values["system"] = each.system_seconds / records * 1e6
            lines.append(Line(each.name, values))
    return [*lines, Line("together", {COST.key: total / records * 1e6, SHARE.key: 1.0})]


def stage_lines(first: Look, last: Look, records: int) -> list[Line]:
    """A line a stage, in the order of a request's way; shares are of what all stages have used."""
    used = stage_clock.difference(first.stages, last.stages, "nanoseconds")
    calls = stage_clock.difference(first.stages, last.stages, "calls")
    total = sum(used.values())
    lines = [
        Line(
            stage,
            {
                COST.key: used[stage] / records / 1000,
                SHARE.key: used[stage] / total,
                "calls": calls[stage] / records * 1000,
            },
        )
        for stage in (*STAGES, stage_clock.OUTSIDE)
    ]
    return [*lines, Line("together", {COST.key: total / records / 1000, SHARE.key: 1.0})]


if __name__ == "__main__":
    sys.exit(main())
