"""`headrace request` from its arguments to its exit status, with an embedded broker and somebody who answers."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle import signature
from schemas import codec
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.servable_status import ServableState, ServableStatus
from schemas.signature_spec import SignatureSpec, TensorSpec
from schemas.status import Status
from schemas.tensor import Tensor
from schemas.worker_status import WorkerState, WorkerStatus
from tests.kit.waiting import PATIENCE_SECONDS
from tests.worker.responder import Answer, Responder
from worker import request_lines
from worker.client_endpoints import listen
from worker.commands import cli
from worker.kafka import client_config, clients
from worker.kafka.mock_cluster import MockCluster
from worker.status_topic import key_of

PROPERTIES = {"fetch.wait.max.ms": 5}
SPECS = tuple(TensorSpec(name, dtype, (None,)) for name, dtype in (("a", "DT_INT64"), ("b", "DT_DOUBLE")))
SIGNATURES = (
    SignatureSpec("serving_default", "predict", SPECS, ()),
    SignatureSpec("one", "predict", SPECS[:1], ()),
)


class Ignore:
    """Consumer events that a test does not care about."""

    def on_problem(self, problem: Any) -> None:
        """Nothing."""

    def on_out_of_range(self, partition: Any, offset: int) -> None:
        """Nothing."""


class Deployment:
    """A broker whose status topic says that a worker serves the model `sum`, and whoever answers for it."""

    def __init__(self, cluster: MockCluster) -> None:
        self.where = client_config.connection(cluster.bootstrap_servers, PROPERTIES)
        self.asked: list[PredictRequest] = []
        for topic in ("headrace.requests", "headrace.replies", "headrace.status"):
            cluster.create_topic(topic)
        self.say(
            WorkerStatus("w", "headrace", "host", "1", 0, WorkerState.SERVING, 3_600_000, 0),
            ServableStatus("w", "sum", 7, ServableState.AVAILABLE, signatures=SIGNATURES),
        )

    def say(self, *records: WorkerStatus | ServableStatus) -> None:
        """Write to the status topic."""
        producer = clients.producer(self.where, print)
        producer.send("headrace.status", [codec.encode(r) for r in records], [key_of(r) for r in records])
        producer.flush(PATIENCE_SECONDS)
        producer.close()

    def answering(self, answer: Answer) -> Responder:
        """Somebody who answers, reading from now on."""

        def remember(request: PredictRequest) -> PredictReply | bytes | None:
            self.asked.append(request)
            return answer(request)

        consumer = clients.reader(self.where, Ignore())
        listen(consumer, "headrace.requests", 4)
        return Responder(consumer, clients.producer(self.where, print), remember)

    def request(self, *arguments: str) -> int:
        """Run the command line."""
        cluster = ["--bootstrap-server", self.where.bootstrap_servers, "--set"]
        return cli.run(["request", *arguments, *cluster, f"kafka.properties={json.dumps(PROPERTIES)}"])


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    """An embedded broker."""
    with MockCluster() as running:
        yield running


@pytest.fixture
def deployment(cluster: MockCluster) -> Deployment:
    """The deployment, with nothing asked yet."""
    return Deployment(cluster)


def add(request: PredictRequest) -> PredictReply:
    """The model: the sum of its inputs, row by row."""
    total = sum(tensor.to_numpy().astype(np.float64) for tensor in request.inputs)
    return PredictReply(
        request.model, request.version or 7, (Tensor.from_numpy("sum", total),), id=request.id
    )


def test_rows_are_answered_in_rows(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers become what the signature wants; standard output is the reply and nothing else."""
    with deployment.answering(add):
        code = deployment.request("sum", "--json", '{"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 0.5}]}')

    printed = capsys.readouterr()
    assert code == 0
    assert json.loads(printed.out) == {"predictions": [3.0, 3.5]}
    assert "version 7 of sum answered in" in printed.err
    assert [(t.name, t.dtype.name) for t in deployment.asked[0].inputs] == [
        ("a", "DT_INT64"),
        ("b", "DT_DOUBLE"),
    ]


def test_columns_are_answered_in_columns(
    deployment: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """From a file, with everything in one document for programs."""
    file = tmp_path / "request.json"
    file.write_text('{"signature_name": "one", "inputs": [1, 2]}')

    with deployment.answering(add):
        code = deployment.request("sum", "--file", str(file), "--version", "6", "--output", "json")

    document = json.loads(capsys.readouterr().out)
    assert code == 0
    assert {name: document[name] for name in ("model", "version", "outputs")} == {
        "model": "sum",
        "version": 6,
        "outputs": [1.0, 2.0],
    }
    assert document["milliseconds"] > 0
    assert (deployment.asked[0].signature, deployment.asked[0].version) == ("one", 6)


def test_a_reply_can_be_kept_as_a_golden_request(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """The request and its reply on one line, which is read as it was written."""
    asked = '{"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 0.1}]}'
    with deployment.answering(add):
        assert deployment.request("sum", "--json", asked, "--output", "golden") == 0
        assert (
            deployment.request("sum", "--json", '{"inputs": [1]}', "--signature", "one", "--output", "golden")
            == 0
        )

    rows, columns = capsys.readouterr().out.splitlines()
    assert json.loads(columns) == {"signature_name": "one", "inputs": [1], "outputs": [1.0]}
    (found,) = request_lines.golden([rows], "f")
    inputs = {
        name: signature.TensorSpec(name, dtype, (None,))
        for name, dtype in (("a", "DT_INT64"), ("b", "DT_DOUBLE"))
    }
    outputs = {"sum": signature.TensorSpec("sum", "DT_DOUBLE", (None,))}
    known = signature.Signature("serving_default", "", inputs, outputs)
    assert found.request.inputs(known)["b"].tolist() == [2.0, 0.1]
    assert found.expected(known)["sum"].values.tolist() == [3.0, 3.1]


def test_standard_input_is_a_file(
    deployment: Deployment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the name of `-`."""
    text = io.TextIOWrapper(io.BytesIO(b'{"inputs": {"a": [1], "b": [1]}}'))
    monkeypatch.setattr(sys, "stdin", text)

    with deployment.answering(add):
        assert deployment.request("sum", "--file", "-", "--label", "stable", "--key", "k") == 0

    assert json.loads(capsys.readouterr().out) == {"outputs": [2.0]}
    assert deployment.asked[0].label == "stable"


def test_a_request_may_be_urgent(deployment: Deployment) -> None:
    """The command says so by the header that programs use."""
    with deployment.answering(add) as responder:
        told = ("--json", '{"inputs": {"a": [1], "b": [1]}}')
        assert deployment.request("sum", *told, "--priority", "9") == 0
        assert deployment.request("sum", *told) == 0

    asked = [dict(message.headers() or ()).get("headrace-priority") for message in responder.seen]
    assert asked == [b"9", None]


def test_an_error_reply_is_exit_status_1(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """The worker's code and message, on standard error."""
    refused = PredictReply("sum", error=Status(Code.UNAVAILABLE, "version 7 is loading"))

    with deployment.answering(lambda _: refused):
        code = deployment.request("sum", "--json", '{"instances": [{"a": 1, "b": 2}]}')

    printed = capsys.readouterr()
    assert (code, printed.out) == (1, "")
    assert "UNAVAILABLE: version 7 is loading" in printed.err


def test_no_reply_says_what_to_look_at(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """What the status topic says about workers and model."""
    code = deployment.request("sum", "--json", '{"instances": [{"a": 1, "b": 2}]}', "--timeout", "0.2")

    assert code == 1
    assert "no reply within 0.2 s" in (said := capsys.readouterr().err)
    assert "1 worker is alive and can serve it" in said

    code = deployment.request("other", "--json", '{"instances": [{"x": 1}]}', "--timeout", "0.2")

    assert code == 1
    assert "none knows the model 'other'; see `headrace models list`" in capsys.readouterr().err


def test_types_are_guessed_where_no_worker_reports_the_model(deployment: Deployment) -> None:
    """The request is sent all the same: the status topic may lag, or not be there."""
    with deployment.answering(add):
        assert deployment.request("other", "--json", '{"instances": [{"x": 1.5}]}') == 0
        assert (
            deployment.request("other", "--json", '{"inputs": {"x": [1]}}', "--status-topic", "nowhere") == 0
        )

    assert [request.inputs[0].dtype.name for request in deployment.asked] == ["DT_FLOAT", "DT_INT32"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json", "{"], "the request is not usable: the document: line 1 column 2"),
        (
            ["--json", '{"instances": [{"a": 1.5, "b": 1}]}'],
            "instances[0].a: expected a whole number (DT_INT64)",
        ),
        (["--json", '{"instances": [1]}'], "the signature has the inputs 'a', 'b'"),
        (
            ["--json", '{"instances": [1]}', "--signature", "two"],
            "has no signature 'two'; it has one, serving_default",
        ),
        (
            ["--json", '{"instances": [1], "signature_name": "one"}', "--signature", "two"],
            "--signature is 'two'",
        ),
        (["--json", "{}", "--file", "-"], "either with --json or with --file"),
        ([], "either with --json or with --file"),
        (
            ["--json", '{"inputs": {"a": 1, "b": 1}}', "--version", "1", "--label", "x"],
            "version 1 and label 'x' are both set",
        ),
    ],
)
def test_what_cannot_be_asked_is_exit_status_2(
    deployment: Deployment, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """With the place in the JSON, and nothing sent."""
    assert deployment.request("sum", *arguments) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_the_binding_that_serves_the_model_is_used(
    deployment: Deployment, cluster: MockCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its topics; a model that none serves is refused."""
    for topic in ("vision.requests", "vision.replies"):
        cluster.create_topic(topic)
    vision = {"name": "v", "models": ["vision-*"], "request_topics": ["vision.requests"]}
    bindings = ["--set", f"bindings={json.dumps([vision | {'reply_topic': 'vision.replies'}])}"]
    consumer = clients.reader(deployment.where, Ignore())
    listen(consumer, "vision.requests", 4)

    with Responder(consumer, clients.producer(deployment.where, print), add, "vision.replies"):
        assert deployment.request("vision-cats", "--json", '{"inputs": {"x": [1, 2]}}', *bindings) == 0

    assert json.loads(capsys.readouterr().out) == {"outputs": [1.0, 2.0]}
    assert deployment.request("sum", "--json", '{"inputs": {"x": 1}}', *bindings) == 2
    assert "no binding of the settings serves the model 'sum'" in capsys.readouterr().err


def test_no_broker_is_exit_status_3(capsys: pytest.CaptureFixture[str]) -> None:
    """Said with the address."""
    code = cli.run(["request", "sum", "--json", '{"inputs": {"a": 1}}', "--bootstrap-server", "127.0.0.1:1"])

    assert code == 3
    assert "no Kafka broker answers at 127.0.0.1:1" in " ".join(capsys.readouterr().err.split())
