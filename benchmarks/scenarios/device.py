"""How much of its time a device works under load, where each batch takes it longer than Python needs for one."""

import tempfile
from collections.abc import Mapping
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
NEVER_SECONDS = 86_400
AS_IT_IS = "by default"
CONTENDERS: Mapping[str, Mapping[str, object]] = {
    AS_IT_IS: {},
    "without overlap": {"batching.overlap_seconds": NEVER_SECONDS},
    "two batch threads instead": {"batching.overlap_seconds": NEVER_SECONDS, "batching.threads": 2},
}
"""The worker settings of each, beside the usual ones."""


def run(options: Options) -> Outcome:
    """One worker under load, as it is by default and with other settings."""
    seconds = MEASURED_SECONDS * options.scale
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        bench = DeviceReplicas(topics, Path(folder), 1, seconds)
        contenders = {name: partial(bench.run, 1, settings) for name, settings in CONTENDERS.items()}
        results = in_turn(contenders, options.rounds, device_replicas.say)
    lines = {name: device_replicas.line(name, of_one) for name, of_one in results.items()}
    return Outcome(
        columns=device_replicas.COLUMNS,
        lines=list(lines.values()),
        targets=[Target("device busy, by default", lines[AS_IT_IS].values["busy"], BUSY, at_most=False)],
        runs=device_replicas.runs(results),
        settings={"batch_seconds": BATCH_SECONDS, "batch_rows": BATCH_ROWS, "seconds": seconds},
        notes=(
            "Device busy is the part of the time in which the device worked, by its own journal.",
            f"Such a device answers {BATCH_ROWS / BATCH_SECONDS:,.0f} records/s at most.",
            "Without overlap (batching.overlap_seconds) it waits, between two batches, for the thread that replies.",
        ),
    )
