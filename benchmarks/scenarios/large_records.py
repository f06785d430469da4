"""Records of 150 KB: images in, with a model that costs nothing, beside the least that any program has to do."""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import brokers, large_side_by_side
from benchmarks.large_side_by_side import HEADRACE, OUTPUTS, LargeSideBySide
from benchmarks.scenario import Line, Options, Outcome, Target
from benchmarks.topics import PARTITIONS, Topics
from benchmarks.turns import in_turn

NAME = "large_records"
TITLE = "Records of 150 KB: an image in, and three bytes of it or all of it out"
RECORDS = 30_000
"""In the first seconds replies wait for a broker that has only just begun, in memory that has to be
cleared for them; with a third of these that was half of a run, and decided by chance."""
BASELINE = "same size"
RATE_BOUND = 0.8
ANSWERS = {"corner": "three bytes out", "image": "the image out"}
NOTES = (
    "The baseline consumes the same records and produces replies as large as headrace's, always the same bytes.",
    "The models are TensorFlow graphs of one operation: a slice, and an identity.",
    "Every run reads the same requests, in a consumer group of its own, and writes to a reply topic of its own.",
    "A run counts from the moment a tenth of its replies is on the broker to the moment all are.",
    "Peak memory is the most that the process ever had resident, TensorFlow and the interpreter included.",
)


def run(options: Options) -> Outcome:
    """Both contenders with small and with large replies, in turn."""
    records = max(500, int(RECORDS * options.scale))
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as name,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "benchmarks.image_model", str(folder)], check=True)
        bench = LargeSideBySide(topics, folder, records)
        contenders = {
            title(contender, model): partial(bench.run, contender, model)
            for model in OUTPUTS
            for contender in (BASELINE, HEADRACE)
        }
        results = in_turn(contenders, options.rounds, bench.say)
        request_bytes = bench.request_bytes
    lines = [large_side_by_side.line(each, runs, request_bytes) for each, runs in results.items()]
    return Outcome(
        columns=large_side_by_side.COLUMNS,
        lines=lines,
        targets=targets(lines),
        runs=large_side_by_side.plain(results),
        settings={
            "records": records,
            "request_bytes": request_bytes,
            "partitions": PARTITIONS,
            "budget_bytes": "default",
        },
        notes=NOTES,
    )


def title(contender: str, model: str) -> str:
    """The name of a line."""
    return f"{contender}, {ANSWERS[model]}"


def targets(lines: list[Line]) -> list[Target]:
    """Bytes a second by the baseline's, for each model."""
    by_name = {each.name: each for each in lines}
    return [
        Target(
            f"bytes/s by the baseline's, {answer}",
            by_name[title(HEADRACE, model)].values["megabytes"]
            / by_name[title(BASELINE, model)].values["megabytes"],
            RATE_BOUND,
            at_most=False,
        )
        for model, answer in ANSWERS.items()
    ]
