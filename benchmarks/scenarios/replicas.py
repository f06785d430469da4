"""What four replicas answer by what one does, each with a device of its own, on eight partitions."""

import tempfile
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import brokers, device_replicas
from benchmarks.device_replicas import BATCH_ROWS, BATCH_SECONDS, MEASURED_SECONDS, PARTITIONS, DeviceReplicas
from benchmarks.scenario import Options, Outcome, Target
from benchmarks.topics import Topics
from benchmarks.turns import in_turn

NAME = "replicas"
TITLE = "Replicas on eight partitions, each with a device that takes 10 ms a batch of at most 32 rows"
REPLICAS = (1, 2, 4)
BY_ONE = 3.8


def run(options: Options) -> Outcome:
    """One, two and four workers in a group, in turn, all on one core."""
    seconds = MEASURED_SECONDS * options.scale
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        bench = DeviceReplicas(topics, Path(folder), max(REPLICAS), seconds)
        contenders = {_name(number): partial(bench.run, number) for number in REPLICAS}
        results = in_turn(contenders, options.rounds, device_replicas.say)
    rates = {name: [each.records_per_second for each in of_one] for name, of_one in results.items()}
    by_one = median(rates[_name(max(REPLICAS))]) / median(rates[_name(1)])
    return Outcome(
        columns=device_replicas.COLUMNS,
        lines=[device_replicas.line(name, of_one) for name, of_one in results.items()],
        targets=[Target("records/s, four replicas by one", by_one, BY_ONE, at_most=False)],
        runs=device_replicas.runs(results),
        settings={
            "batch_seconds": BATCH_SECONDS,
            "batch_rows": BATCH_ROWS,
            "partitions": PARTITIONS,
            "seconds": seconds,
        },
        notes=(
            "Every replica has as many partitions as the others before a run is measured.",
            "All replicas run on one core, for their devices do not use it.",
        ),
    )


def _name(replicas: int) -> str:
    return "1 replica" if replicas == 1 else f"{replicas} replicas"
