"""How much of its time a device works, where a batch takes it longer than Python takes for the same batch."""

import tempfile
from functools import partial
from pathlib import Path

from benchmarks import brokers, device_replicas
from benchmarks.device_replicas import BATCH_ROWS, BATCH_SECONDS, MEASURED_SECONDS, DeviceReplicas
from benchmarks.scenario import Options, Outcome, Target
from benchmarks.topics import Topics
from benchmarks.turns import in_turn

NAME = "device"
TITLE = "A device that takes 10 ms a batch of at most 32 rows"
BUSY = 0.97
THREADS = (1, 2, 3)


def run(options: Options) -> Outcome:
    """One worker under load, for each number of batch threads."""
    seconds = MEASURED_SECONDS * options.scale
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        bench = DeviceReplicas(topics, Path(folder), 1, seconds)
        contenders = {
            name: partial(bench.run, 1, {"batching.threads": number}) for name, number in _names().items()
        }
        results = in_turn(contenders, options.rounds, device_replicas.say)
    lines = [device_replicas.line(name, of_one) for name, of_one in results.items()]
    return Outcome(
        columns=device_replicas.COLUMNS,
        lines=lines,
        targets=[
            Target(f"device busy, {line.name}", line.values["busy"], BUSY, at_most=False)
            for line in lines[1:]
        ],
        runs=device_replicas.runs(results),
        settings={"batch_seconds": BATCH_SECONDS, "batch_rows": BATCH_ROWS, "seconds": seconds},
        notes=(
            "Device busy is the part of the time in which the device has work, by its own journal.",
            "Such a device answers 3,200 records/s at most.",
        ),
    )


def _names() -> dict[str, int]:
    return {f"batching.threads = {number}": number for number in THREADS}
