"""What each way of delivery costs: the same requests and the same model, by one setting after the other."""

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks import brokers, comparison, layout_model, measuring, prepared_worker
from benchmarks.measuring import Summary
from benchmarks.mixed_load import Mix
from benchmarks.prepared_worker import PreparedWorker
from benchmarks.scenario import Column, Line, Options, Outcome, Target
from benchmarks.turns import in_turn

NAME = "delivery"
TITLE = "Ways of delivery: 64 floats in, 10 out"
RECORDS = 1_200_000
AT_LEAST_ONCE, EXACTLY_ONCE = "at least once", "exactly once"
WAYS: Mapping[str, Mapping[str, object]] = {
    AT_LEAST_ONCE: {},
    "at least once, replies in order": {"delivery.reply_order": "partition"},
    EXACTLY_ONCE: {"delivery.mode": "exactly_once"},
    "queue": {"delivery.mode": "queue"},
}
"""The settings of each."""
LEAST_RATE = 0.6
"""What exactly once is to answer, by at least once."""

RATE_BY_FIRST = "rate_by_first"
COLUMNS = (
    Column(comparison.RATE, "records/s", ",.0f"),
    Column(comparison.COST, "CPU µs a record"),
    Column(comparison.SPREAD, "spread", ".0%"),
    Column(RATE_BY_FIRST, f"records/s by {AT_LEAST_ONCE}"),
    Column(comparison.COST_BY_FIRST, f"CPU by {AT_LEAST_ONCE}"),
)


def run(options: Options) -> Outcome:
    """One worker, by each way in turn."""
    records = int(RECORDS * options.scale)
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name, brokers.broker() as broker:
        folder = Path(name)
        layout_model.export(folder, 1)
        models, mix = layout_model.configs(folder, 1), Mix(layout_model.targets(1, 1))
        worker = PreparedWorker(broker.bootstrap_servers, models, mix, records)
        contenders = {way: partial(worker.run, settings) for way, settings in WAYS.items()}
        results = in_turn(contenders, options.rounds, comparison.say)
    lines = by_first([measuring.summary(way, of_one) for way, of_one in results.items()])
    rate = next(line for line in lines if line.name == EXACTLY_ONCE).values[RATE_BY_FIRST]
    return Outcome(
        columns=COLUMNS,
        lines=lines,
        targets=[Target("records/s, exactly once by at least once", rate, LEAST_RATE, at_most=False)],
        runs=prepared_worker.runs(results),
        settings={"records": records, "ways": {way: dict(settings) for way, settings in WAYS.items()}},
        notes=(
            "A run counts from the moment a tenth of its replies is on the broker to the moment all are.",
            "The mark that ends a transaction counts as a reply: four of them for some ten thousand replies.",
        ),
    )


def by_first(ways: Sequence[Summary]) -> list[Line]:
    """A line for each, compared with the first."""
    first = ways[0]
    return [
        Line(
            way.name,
            {
                comparison.RATE: way.records_per_second,
                comparison.COST: way.cpu_us_per_record,
                comparison.SPREAD: way.spread,
                RATE_BY_FIRST: way.records_per_second / first.records_per_second,
                comparison.COST_BY_FIRST: way.cpu_us_per_record / first.cpu_us_per_record,
            },
        )
        for way in ways
    ]
