"""What a record costs when its topic has more partitions."""

import tempfile
from pathlib import Path

from benchmarks import brokers, comparison, layout_model, prepared_worker
from benchmarks.mixed_load import Mix
from benchmarks.prepared_worker import PreparedWorker
from benchmarks.scenario import Options, Outcome
from benchmarks.turns import in_turn

NAME = "partitions"
TITLE = "Requests on 1 to 64 partitions: 64 floats in, 10 out"
PARTITIONS = (1, 4, 16, 64)
RECORDS = 700_000


def run(options: Options) -> Outcome:
    """One worker that holds all partitions, for each number of them."""
    records = int(RECORDS * options.scale)
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name, brokers.broker() as broker:
        folder = Path(name)
        layout_model.export(folder, 1)
        models, mix = layout_model.configs(folder, 1), Mix(layout_model.targets(1, 1))
        contenders = {
            _size(number): PreparedWorker(broker.bootstrap_servers, models, mix, records, number).run
            for number in PARTITIONS
        }
        results = in_turn(contenders, options.rounds, comparison.say)
    lines = [prepared_worker.line(size, 1.0, of_one) for size, of_one in results.items()]
    return Outcome(
        columns=prepared_worker.COLUMNS,
        lines=lines,
        targets=prepared_worker.flat_targets(lines),
        runs=prepared_worker.runs(results),
        settings={"records": records, "partitions": PARTITIONS, "reply_partitions": 4},
        notes=("The reply topic has four partitions in every line.",),
    )


def _size(partitions: int) -> str:
    return "1 partition" if partitions == 1 else f"{partitions} partitions"
