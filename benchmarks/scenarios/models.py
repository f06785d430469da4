"""What a record costs when more models are loaded, whether they are asked or not."""

import tempfile
from pathlib import Path

from benchmarks import brokers, comparison, layout_model, prepared_worker
from benchmarks.mixed_load import Mix
from benchmarks.prepared_worker import PreparedWorker
from benchmarks.scenario import Options, Outcome
from benchmarks.turns import in_turn

NAME = "models"
TITLE = "1 to 256 loaded models: 64 floats in, 10 out"
MODELS = (1, 16, 64, 256)
RECORDS = 700_000


def run(options: Options) -> Outcome:
    """Requests for one model of many, and for all of them."""
    records = int(RECORDS * options.scale)
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name, brokers.broker() as broker:
        folder = Path(name)
        layout_model.export_numpy(folder, max(MODELS))
        sizes = {f"1 of {models} models asked": (models, 1) for models in MODELS}
        asked_alone = list(sizes)
        sizes[f"all {max(MODELS)} models asked"] = (max(MODELS), max(MODELS))
        contenders = {
            size: PreparedWorker(
                broker.bootstrap_servers,
                layout_model.configs(folder, loaded, "numpy"),
                Mix(layout_model.targets(asked, 1)),
                records,
            ).run
            for size, (loaded, asked) in sizes.items()
        }
        results = in_turn(contenders, options.rounds, comparison.say)
    lines = [prepared_worker.line(size, 1.0, of_one) for size, of_one in results.items()]
    return Outcome(
        columns=prepared_worker.COLUMNS,
        lines=lines,
        targets=prepared_worker.flat_targets([line for line in lines if line.name in asked_alone]),
        runs=prepared_worker.runs(results),
        settings={"records": records, "loader": "numpy"},
        notes=(
            "The models are one dense layer in NumPy: 256 SavedModels would take minutes to load in each run.",
            "What a model that is not asked costs a request does not depend on what the model is made of.",
            "All models asked: drawn at random for each record; no target, for batches are then 256 times smaller.",
        ),
    )
