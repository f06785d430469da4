"""MLServer as a contender: what it is given, and when."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import load, mlserver
from benchmarks.contender import Job
from benchmarks.mlserver_runs import due
from schemas import codec
from schemas.predict_request import PredictRequest

JOB = Job("localhost:9092", "group", "in", "out", "/models/dense/1")


def test_it_answers_the_same_requests() -> None:
    """Its JSON holds the rows that the others' Avro holds, number by number."""
    ours = [codec.decode(value, PredictRequest).inputs[0].to_numpy() for value in next(load.values(3))]

    theirs = [json.loads(value) for value in mlserver.requests(3)]

    for expected, request in zip(ours, theirs, strict=True):
        (tensor,) = request["inputs"]
        assert (tensor["name"], tensor["datatype"], tensor["shape"]) == ("x", "FP32", [1, 64])
        assert np.array_equal(np.array([tensor["data"]], np.float32), expected)
    assert len({request["id"] for request in theirs}) == 3


def test_its_settings_are_those_that_the_table_names() -> None:
    """Topics, broker, batching and processes are told to it as they are told to the reader."""
    tuning = mlserver.Tuning(max_batch_size=64, max_batch_seconds=0.5, parallel_workers=2)

    server, model = mlserver.server_settings(JOB, tuning), mlserver.model_settings(JOB, tuning)

    assert (server["kafka_topic_input"], server["kafka_topic_output"]) == ("in", "out")
    assert (server["kafka_servers"], server["parallel_workers"]) == ("localhost:9092", 2)
    assert (model["max_batch_size"], model["max_batch_time"]) == (64, 0.5)
    assert model["parameters"]["uri"] == "/models/dense/1"


def test_without_it_one_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, the message names the command that installs it."""
    monkeypatch.setattr(mlserver, "ENVIRONMENT", tmp_path)

    with pytest.raises(mlserver.NotInstalled, match="make bench-peers"):
        mlserver.command(JOB, mlserver.Tuning(), tmp_path)
    with pytest.raises(mlserver.NotInstalled, match="make bench-peers"):
        mlserver.releases()


def test_requests_follow_replies() -> None:
    """So many may be sent that as many as were asked for wait for their replies, and never more than there are."""
    assert [due(replies, 10, 100) for replies in (0, 5, 95, 100)] == [10, 15, 100, 100]
    assert due(0, 1000, 100) == 100
