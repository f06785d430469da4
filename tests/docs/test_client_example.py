"""The README's Python program runs, word for word, against a broker."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.status import Status
from schemas.tensor import Tensor
from tests.docs.pages import blocks
from tests.docs.parts import README
from tests.worker.responder import Responder
from worker import client, client_endpoints
from worker.client_endpoints import Endpoints
from worker.kafka import client_config, clients
from worker.kafka.client_config import PropertyValue
from worker.kafka.errors import KafkaProblem
from worker.kafka.mock_cluster import MockCluster
from worker.kafka.records import TopicPartition

QUICK_FETCH = {"fetch.wait.max.ms": 5}


def digits(request: PredictRequest) -> PredictReply:
    """A model that sees in each image the digit of its first pixel, and knows no labels."""
    if request.label is not None:
        error = Status(
            Code.INVALID_ARGUMENT, f"model 'digits' has no label '{request.label}'; its labels: none"
        )
        return PredictReply(request.model, None, (), error=error, id=request.id)
    (pixels,) = request.inputs
    seen = Tensor.from_numpy("digit", pixels.to_numpy()[:, 0].astype(np.int64))
    return PredictReply(request.model, 2, (seen,), id=request.id)


class Quiet:
    """Consumer events that do not matter here."""

    def on_problem(self, problem: KafkaProblem) -> None:
        """Nothing."""

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """Nothing."""


def test_the_readme_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints the version and what was seen, gathers many answers, and shows an error with its code."""
    (program,) = (block.text for block in blocks(README) if block.language == "python")
    images = np.tile(np.arange(10, dtype=np.float32).repeat(64).reshape(10, 64), (50, 1))
    (tmp_path / "models").mkdir()
    np.savez(tmp_path / "models" / "held_out.npz", pixels=images)
    monkeypatch.chdir(tmp_path)
    with MockCluster() as cluster:
        cluster.create_topic("headrace.requests")
        cluster.create_topic("headrace.replies")
        where = client_config.connection(cluster.bootstrap_servers, QUICK_FETCH)
        reader = clients.reader(where, Quiet())
        client_endpoints.listen(
            reader, "headrace.requests", clients.admin(where).topics()["headrace.requests"].partitions
        )

        def connect(_servers: str, reply_topic: str, _properties: Mapping[str, PropertyValue]) -> Endpoints:
            return client_endpoints.connect(cluster.bootstrap_servers, reply_topic, QUICK_FETCH)

        def connected(servers: str) -> client.Client:
            return client.Client(servers, connect=connect)

        names: dict[str, object] = {"connected": connected}
        with Responder(reader, clients.producer(where, print), digits):
            exec(compile(program.replace("Client(", "connected("), "README.md", "exec"), names)

    answers = names["answers"]
    assert isinstance(answers, list)
    assert [answer.tolist() for answer in answers[:3]] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert len(answers) == 100
    assert capsys.readouterr().out.splitlines() == [
        "2 [0 1 2 3 4 5 6 7]",
        "INVALID_ARGUMENT model 'digits' has no label 'nightly'; its labels: none",
    ]
