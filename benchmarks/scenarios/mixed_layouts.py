"""32 layouts (16 models, 2 signatures each) mixed record by record, beside one layout with the same rows a record."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks import brokers, comparison, layout_model, prepared_worker
from benchmarks.mixed_load import Mix
from benchmarks.prepared_worker import PreparedWorker
from benchmarks.scenario import Line, Options, Outcome, Target
from benchmarks.turns import in_turn

NAME = "mixed_layouts"
TITLE = "32 layouts mixed record by record: 16 models with 2 signatures each, 64 floats in a row, 10 out"
MODELS = 16
MOST_ROWS = 64
RECORDS_OF_MANY_ROWS, RECORDS_OF_ONE_ROW = 60_000, 600_000
"""About two seconds each; records of 1 to 64 rows have 8 KB on average."""
ONE_MIXED, ALL_MIXED = "one layout, 1 to 64 rows", "32 layouts, 1 to 64 rows"
ONE_SINGLE, ALL_SINGLE = "one layout, 1 row", "32 layouts, 1 row"
LEAST = 0.5


def run(options: Options) -> Outcome:
    """One layout and 32, with 1 to 64 rows and with one row a record."""
    many, single = (int(n * options.scale) for n in (RECORDS_OF_MANY_ROWS, RECORDS_OF_ONE_ROW))
    one, all_of_them = layout_model.targets(1, 1), layout_model.targets(MODELS)
    sizes = {
        ONE_MIXED: (1, Mix(one, MOST_ROWS), many),
        ALL_MIXED: (MODELS, Mix(all_of_them, MOST_ROWS), many),
        ONE_SINGLE: (1, Mix(one), single),
        ALL_SINGLE: (MODELS, Mix(all_of_them), single),
    }
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name, brokers.broker() as broker:
        folder = Path(name)
        layout_model.export(folder, MODELS)
        workers = {
            size: PreparedWorker(broker.bootstrap_servers, layout_model.configs(folder, models), mix, records)
            for size, (models, mix, records) in sizes.items()
        }
        contenders = {size: worker.run for size, worker in workers.items()}
        results = in_turn(contenders, options.rounds, comparison.say)
    lines = [prepared_worker.line(size, workers[size].rows_each, of_one) for size, of_one in results.items()]
    return Outcome(
        columns=prepared_worker.COLUMNS,
        lines=lines,
        targets=targets({line.name: line for line in lines}),
        runs=prepared_worker.runs(results),
        settings={"models": MODELS, "records": {size: of_one[2] for size, of_one in sizes.items()}},
        notes=(
            "Models and signatures are drawn at random for each record; the rows are the same in both contenders.",
            "One layout is a worker with one model, 32 layouts one with 16; a run counts from a tenth of the replies.",
        ),
    )


def targets(lines: Mapping[str, Line]) -> list[Target]:
    """Rows a second of the records with many rows; CPU of those with one."""
    rates = {name: line.values["rows_per_second"] for name, line in lines.items()}
    costs = {name: line.values["cpu_us_per_record"] for name, line in lines.items()}
    return [
        Target(
            "1 to 64 rows: rows/s of 32 layouts by one's",
            rates[ALL_MIXED] / rates[ONE_MIXED],
            LEAST,
            at_most=False,
        ),
        Target(
            "1 row: CPU a record of one layout by that of 32",
            costs[ONE_SINGLE] / costs[ALL_SINGLE],
            LEAST,
            at_most=False,
        ),
    ]
