"""Resident memory of a worker over twenty loads and unloads of a large model."""

import statistics
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks import brokers, load, reloading
from benchmarks.contender import Job, headrace_command, new_group
from benchmarks.processes import Started, started
from benchmarks.reloading import Reloading
from benchmarks.scenario import Column, Line, Options, Outcome, Target
from benchmarks.side_by_side import export_model
from benchmarks.topics import Topics
from schemas.model_config import ModelConfig

NAME = "memory"
TITLE = "Resident memory over loads and unloads of ResNet50"

CYCLES = 20
SECOND = 1
"""The round that others are compared with, counted from 0: the first one also grows what stays for good."""
STILL_BYTES = 1 << 20
STILL_SECONDS = 0.25
LONGEST_SECONDS = 3.0
MEBIBYTE = 1 << 20

COLUMNS = (
    Column("before", "before, MiB", ",.0f"),
    Column("loaded", "loaded, MiB", ",.0f"),
    Column("second", "after the 2nd unload, MiB", ",.0f"),
    Column("last", "after the last, MiB", ",.0f"),
    Column("growth", "last by 2nd", ",.3f"),
)


def run(options: Options) -> Outcome:
    """So many workers, one after the other, each with twenty loads and unloads."""
    cycles = max(SECOND + 2, round(CYCLES * options.scale))
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        brokers.broker() as broker,
    ):
        large, small = reloading.export(Path(folder)), export_model(Path(folder))
        workers = []
        for number in range(options.rounds):
            workers.append(_worker(broker.bootstrap_servers, small, large, cycles))
            megabytes = [resident // MEBIBYTE for resident in workers[-1].unloaded]
            print(f"worker {number + 1} of {options.rounds}: after each unload {megabytes} MiB", flush=True)
    growths = [growth(worker.unloaded) for worker in workers]
    return Outcome(
        columns=COLUMNS,
        lines=[Line("headrace", summary(workers))],
        targets=[
            Target(
                f"change of resident memory from the 2nd to the {cycles}th unload",
                statistics.median(abs(each - 1) for each in growths),
                0.05,
            )
        ],
        runs=[
            {"worker": number, "before": each.before, "loaded": each.loaded, "unloaded": each.unloaded}
            for number, each in enumerate(workers, 1)
        ],
        settings={"cycles": cycles},
        notes=(
            "Each load is asked for, and its end seen, by control and status topic; the small model stays loaded.",
            "Memory is the kernel's count of resident pages (VmRSS), once it stands still after each load and unload.",
        ),
        series={"unloaded_mebibytes": [[b / MEBIBYTE for b in each.unloaded] for each in workers]},
    )


class Memory:
    """Resident bytes of one worker: before the first load, after each load, after each unload."""

    def __init__(self, before: int) -> None:
        self.before = before
        self.loaded: list[int] = []
        self.unloaded: list[int] = []


def growth(unloaded: Sequence[int]) -> float:
    """What is resident after the last unload by what was after the second."""
    return unloaded[-1] / unloaded[SECOND]


def summary(workers: Sequence[Memory]) -> dict[str, float]:
    """Medians over the workers."""

    def median(of: Callable[[Memory], float]) -> float:
        return statistics.median(of(worker) for worker in workers)

    return {
        "before": median(lambda worker: worker.before / MEBIBYTE),
        "loaded": median(lambda worker: max(worker.loaded) / MEBIBYTE),
        "second": median(lambda worker: worker.unloaded[SECOND] / MEBIBYTE),
        "last": median(lambda worker: worker.unloaded[-1] / MEBIBYTE),
        "growth": median(lambda worker: growth(worker.unloaded)),
    }


def resident_bytes(pid: int) -> int:
    """The resident memory of a process, by the kernel's count."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no memory")


def settled(look: Callable[[], int], wait: Callable[[float], object]) -> int:
    """The memory once two looks in a row agree, or after some seconds, whatever it is."""
    last = look()
    for _ in range(round(LONGEST_SECONDS / STILL_SECONDS)):
        wait(STILL_SECONDS)
        before, last = last, look()
        if abs(last - before) < STILL_BYTES:
            break
    return last


def _worker(address: str, small: Path, large: Path, cycles: int) -> Memory:
    """A new worker with topics of its own, and its memory over so many loads and unloads."""
    with Topics(address) as topics:
        topics.set_models({load.MODEL: ModelConfig(base_path=str(small.parent))})
        job = Job(address, new_group(), topics.fresh_requests(), topics.fresh_replies(), str(small))
        with (
            started(*headrace_command(job, topics)) as process,
            closing(Reloading(topics, large)) as model,
        ):
            model.wait_until_available(load.MODEL)
            return _measured(process, model, cycles)


def _measured(process: Started, model: Reloading, cycles: int) -> Memory:
    never = threading.Event()

    def look() -> int:
        process.check()
        return resident_bytes(process.pid)

    memory = Memory(settled(look, never.wait))
    for _ in range(cycles):
        model.load()
        memory.loaded.append(settled(look, never.wait))
        model.unload()
        memory.unloaded.append(settled(look, never.wait))
    return memory
