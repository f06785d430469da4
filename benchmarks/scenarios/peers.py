"""headrace beside MLServer's Kafka server with adaptive batching: the same model on the same broker."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks import brokers, comparison, mlserver
from benchmarks.measuring import Summary
from benchmarks.mlserver_runs import MLServerRuns
from benchmarks.scenario import Column, Line, Options, Outcome
from benchmarks.side_by_side import SideBySide, export_model
from benchmarks.topics import Topics
from benchmarks.turns import in_turn

NAME = "peers"
TITLE = "Beside MLServer: the same model on the same broker, 64 floats in, 10 out"

PEER = "MLServer"
RECORDS = {PEER: 10_000, "hand loop": 230_000, "headrace": 1_200_000}
IN_FLIGHT = 256
"""Requests that MLServer has to answer at a time: what it was cheapest with, of 64 to 5,000."""
RATE_BY_PEER, COST_BY_PEER = "rate_by_peer", "cpu_by_peer"


def run(options: Options) -> Outcome:
    """MLServer, hand loop and headrace in turn."""
    records = {name: int(count * options.scale) for name, count in RECORDS.items()}
    tuning = mlserver.Tuning()
    releases = mlserver.releases()
    with (
        tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder,
        brokers.broker() as broker,
        Topics(broker.bootstrap_servers) as topics,
    ):
        model = export_model(Path(folder))
        ours, theirs = SideBySide(topics, model, headers=False), MLServerRuns(topics, model, tuning)
        ours.prepare(max(records["hand loop"], records["headrace"]))
        contenders = {
            PEER: partial(theirs.run, records[PEER], IN_FLIGHT),
            "hand loop": partial(ours.run, "hand loop", records["hand loop"]),
            "headrace": partial(ours.run, "headrace", records["headrace"]),
        }
        results = in_turn(contenders, options.rounds, comparison.say)
    return Outcome(
        columns=[
            Column(comparison.RATE, "records/s", ",.0f"),
            Column(comparison.COST, "CPU µs a record"),
            Column(comparison.SPREAD, "spread", ".0%"),
            Column(RATE_BY_PEER, f"records/s by {PEER}'s", ",.1f"),
            Column(COST_BY_PEER, f"CPU by {PEER}'s", ".4f"),
        ],
        lines=lines(comparison.summaries(results)),
        targets=(),
        runs=comparison.runs(results),
        settings={
            "records": records,
            "in_flight": IN_FLIGHT,
            "max_batch_size": tuning.max_batch_size,
            "max_batch_seconds": tuning.max_batch_seconds,
            "parallel_workers": tuning.parallel_workers,
            **releases,
        },
        notes=_notes(tuning, releases["mlserver"], releases["tensorflow"]),
    )


def lines(contenders: Sequence[Summary]) -> list[Line]:
    """One line each; the first is what the others are compared with."""
    first = contenders[0]
    return [
        Line(
            each.name,
            {
                comparison.RATE: each.records_per_second,
                comparison.COST: each.cpu_us_per_record,
                comparison.SPREAD: each.spread,
                RATE_BY_PEER: each.records_per_second / first.records_per_second,
                COST_BY_PEER: each.cpu_us_per_record / first.cpu_us_per_record,
            },
        )
        for each in contenders
    ]


def _notes(tuning: mlserver.Tuning, release: str, tensorflow: str) -> tuple[str, ...]:
    what = (
        f"MLServer {release} with TensorFlow {tensorflow}, in an environment of its own: its Kafka server; the "
        "SavedModel in a runtime written for it, as MLServer brings none for TensorFlow; adaptive batching up to "
        f"{tuning.max_batch_size} requests or {tuning.max_batch_seconds * 1000:g} ms; models in the server's own "
        f"process (parallel_workers {tuning.parallel_workers}); no line in its log for each request."
    )
    wire = (
        "MLServer's records are the JSON of the V2 inference protocol, the others' are Avro: each contender has what "
        "it takes from Kafka."
    )
    load = (
        f"MLServer takes all that there is at once, and holds it, which costs it: it had at most {IN_FLIGHT} requests "
        "to answer at a time, the number that it was cheapest with. The others start from a backlog."
    )
    promises = (
        "They do not promise the same. MLServer's consumer is in no group and commits nothing: it begins at the end "
        "of its topic, so requests sent while it is down are never answered, those in work when it ends are lost, two "
        "servers would each answer everything, and a request that fails is logged and gets no reply. Its producer "
        "waits for the partition's leader only. headrace and the hand loop commit what has been acknowledged by all "
        "replicas in sync."
    )
    return what, wire, load, promises
