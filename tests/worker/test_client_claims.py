"""The client's large inputs and outputs, by a store beside the broker."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from schemas.claim import PREFIX, claims_of, with_data, without_data
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.fakes.stores import TroubledStore, claimed, new_root
from tests.kit.waiting import wait_until
from tests.worker.responder import Responder
from worker import claim_store
from worker.client import Client
from worker.client_endpoints import listen
from worker.client_errors import NoReply, NotSent, PredictError
from worker.kafka import client_config, clients
from worker.kafka.errors import KafkaProblem
from worker.kafka.mock_cluster import MockCluster
from worker.kafka.records import TopicPartition

QUICK_FETCH = {"fetch.wait.max.ms": 5}
X: dict[str, Any] = {"x": np.arange(1000, dtype=np.float32).reshape(2, 500), "scale": np.float32(2)}


class Quiet:
    """Consumer events that a test does not care about."""

    def on_problem(self, problem: KafkaProblem) -> None:
        """Nothing."""

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    """An embedded broker with the two topics."""
    with MockCluster() as made:
        made.create_topic("requests")
        made.create_topic("replies")
        yield made


@pytest.fixture(autouse=True)
def no_trouble() -> Iterator[None]:
    """The troubled store begins well, and nobody hangs in it afterwards."""
    TroubledStore.reset()
    yield
    TroubledStore.gate.set()


MakeClient = Callable[..., Client]
MakeResponder = Callable[[Callable[[PredictRequest], PredictReply]], Responder]


@pytest.fixture
def client(cluster: MockCluster) -> MakeClient:
    """Makes clients that store what has more than 1,000 bytes."""

    def make(**options: Any) -> Client:
        fixed = {"request_topic": "requests", "reply_topic": "replies", "properties": QUICK_FETCH}
        return Client(cluster.bootstrap_servers, **(fixed | {"claim_above_bytes": 1000} | options))

    return make


@pytest.fixture
def responder(cluster: MockCluster) -> MakeResponder:
    """Makes somebody who answers."""

    def make(answer: Callable[[PredictRequest], PredictReply]) -> Responder:
        where = client_config.connection(cluster.bootstrap_servers, QUICK_FETCH)
        consumer = clients.reader(where, Quiet())
        listen(consumer, "requests", clients.admin(where).topics()["requests"].partitions)
        return Responder(consumer, clients.producer(where, print), answer, "replies")

    return make


class Model:
    """Doubles `x`, fetching it where it is claimed; keeps what it was asked."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.asked: list[PredictRequest] = []

    def __call__(self, request: PredictRequest) -> PredictReply:
        """Answer."""
        self.asked.append(request)
        (x,) = (tensor for tensor in request.inputs if tensor.name == "x")
        claim = claims_of(request.parameters).get("x")
        if claim is not None:
            with claim_store.reading(claim.uri, self.root) as file:
                x = with_data(x, file.read())
        return PredictReply(request.model, 3, (Tensor.from_numpy("y", x.to_numpy() * 2),), id=request.id)


def files(root: str) -> list[str]:
    """What lies below a root of the troubled store."""
    return [path for path in TroubledStore.store if path.startswith("/" + root.removeprefix("troubled://"))]


def test_a_large_input_goes_by_claim_and_is_removed_when_it_is_answered(
    client: MakeClient, responder: MakeResponder
) -> None:
    """The small one beside it stays in the record."""
    root = new_root("troubled")
    model = Model(root)

    with responder(model), client(claims_root=root) as asking:
        first = asking.predict("m", X)
        second = asyncio.run(asking.predict_async("m", X))

    assert first["y"].tolist() == second["y"].tolist() == (X["x"] * 2).tolist()
    assert [set(request.parameters) for request in model.asked] == [{PREFIX + "x"}] * 2
    assert len(TroubledStore.opened) == 4  # written and read, twice
    assert files(root) == []


def test_a_small_request_goes_as_ever(client: MakeClient, responder: MakeResponder) -> None:
    """No store is asked."""
    root = new_root("troubled")
    model = Model(root)

    with responder(model), client(claims_root=root) as asking:
        asking.predict("m", {"x": np.zeros((2, 2), np.float32)})

    assert [dict(request.parameters) for request in model.asked] == [{}]
    assert TroubledStore.opened == []


def test_what_nobody_answered_is_removed_too(client: MakeClient) -> None:
    """After the time-out nobody needs it."""
    root = new_root("troubled")

    with client(claims_root=root, timeout_seconds=0.2) as asking:
        with pytest.raises(NoReply):
            asking.predict("m", X)
        wait_until(lambda: files(root) == [], "nothing is left")


def test_a_store_that_takes_nothing_is_told(client: MakeClient) -> None:
    """The request was not sent, and why."""
    root = new_root("troubled")
    TroubledStore.errors.append(PermissionError("key=AKIA123"))

    with client(claims_root=root) as asking, pytest.raises(NotSent, match="input 'x' could not be stored"):
        asking.predict("m", X)


def by_claim(root: str, **changes: Any) -> Callable[[PredictRequest], PredictReply]:
    """A model whose output lies elsewhere; *changes* are of the claim."""

    def answer(request: PredictRequest) -> PredictReply:
        y = Tensor.from_numpy("y", np.array([7.0, 8.0]))
        stored = claimed(PredictRequest("m", inputs=(y,)), root, **changes)
        return PredictReply(request.model, 3, (without_data(y),), None, request.id, stored.parameters)

    return answer


def test_a_claimed_output_is_fetched(client: MakeClient, responder: MakeResponder) -> None:
    """The prediction looks as if the data had come in the reply."""
    root = new_root("troubled")

    with responder(by_claim(root)), client(trusted_roots=[root]) as asking:
        prediction = asking.predict("m", {"x": [1.0]})

    assert prediction["y"].tolist() == [7.0, 8.0]
    assert prediction.version == 3
    assert len(files(root)) == 1  # not ours to remove


@pytest.mark.parametrize(
    ("trusted", "changes", "code"),
    [
        (False, {}, Code.FAILED_PRECONDITION),
        (True, {"uri": "memory://elsewhere/x"}, Code.INVALID_ARGUMENT),
        (True, {"checksum": "sha256:" + "0" * 64}, Code.INVALID_ARGUMENT),
        (True, {"stored": False}, Code.NOT_FOUND),
    ],
)
def test_an_output_that_cannot_be_trusted_is_an_error(
    client: MakeClient, responder: MakeResponder, trusted: bool, changes: dict[str, Any], code: Code
) -> None:
    """Never an array of something else."""
    root = new_root("troubled")

    roots = [root] if trusted else []
    with responder(by_claim(root, **changes)), client(trusted_roots=roots) as asking:
        failure = asking.submit("m", {"x": [1.0]}).exception(30.0)

    assert isinstance(failure, PredictError)
    assert failure.code is code


def test_a_claimed_output_keeps_its_deadline(client: MakeClient, responder: MakeResponder) -> None:
    """A store that hangs is no reason to wait longer; what comes after that finds nobody."""
    root = new_root("troubled")
    answer = by_claim(root)

    def shut(request: PredictRequest) -> PredictReply:
        reply = answer(request)
        TroubledStore.gate.clear()
        return reply

    with responder(shut), client(trusted_roots=[root], timeout_seconds=1.0) as asking:
        with pytest.raises(NoReply):
            asking.predict("m", {"x": [1.0]})
        TroubledStore.gate.set()


def test_other_parameters_of_a_reply_mean_nothing(client: MakeClient, responder: MakeResponder) -> None:
    """A later release may say more."""
    root = new_root("troubled")
    model = Model(root)

    with responder(lambda r: replace(model(r), parameters={"colour": b"blue"})), client() as asking:
        assert asking.predict("m", {"x": [1.0]})["y"].tolist() == [2.0]
