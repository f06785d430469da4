"""The client against brokers: librdkafka's mock cluster everywhere, and a real one where there is one."""

import asyncio
import functools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from schemas import headers as names
from schemas.errors import Code, InvalidRequest, UnsupportedDType
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.status import Status
from schemas.tensor import Tensor
from tests.kit.waiting import PATIENCE_SECONDS
from tests.worker.responder import Answer, Responder
from worker.client import Client
from worker.client_endpoints import Endpoints, listen
from worker.client_errors import ClientClosed, NoReply, NotSent, PredictError
from worker.kafka import client_config, clients
from worker.kafka.errors import Fatal, KafkaProblem, TopicMissing
from worker.kafka.mock_cluster import MockCluster
from worker.kafka.records import TopicPartition

QUICK_FETCH = {"fetch.wait.max.ms": 5}  # the mock cluster answers a fetch only when its waiting time is over
PARTITIONS = 2
X = {"x": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)}


@dataclass(frozen=True)
class Place:
    """A broker with a request topic and a reply topic."""

    bootstrap_servers: str
    requests: str
    replies: str

    def client(self, **options: Any) -> Client:
        """A client of these topics."""
        topics = {"request_topic": self.requests, "reply_topic": self.replies}
        usual: dict[str, Any] = {"properties": QUICK_FETCH, "timeout_seconds": PATIENCE_SECONDS}
        return Client(self.bootstrap_servers, **(topics | usual | options))

    def responder(self, answer: Answer) -> Responder:
        """Somebody who answers, reading from now on."""
        where = client_config.connection(self.bootstrap_servers, QUICK_FETCH)
        consumer = clients.reader(where, Quiet())
        partitions = clients.admin(where).topics()[self.requests].partitions
        listen(consumer, self.requests, partitions)
        return Responder(consumer, clients.producer(where, print), answer, self.replies)


class Quiet:
    """Consumer events that a test does not care about."""

    def on_problem(self, problem: KafkaProblem) -> None:
        """Nothing."""

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """Nothing."""


def doubled(request: PredictRequest, version: int = 3) -> PredictReply:
    """A model that doubles its input."""
    (tensor,) = request.inputs
    output = Tensor.from_numpy("y", tensor.to_numpy() * 2)
    return PredictReply(request.model, version, (output,), id=request.id)


@pytest.fixture(scope="module")
def mock_cluster() -> Iterator[MockCluster]:
    """An embedded broker with the two topics."""
    with MockCluster() as cluster:
        cluster.create_topic("requests")
        cluster.create_topic("replies")
        yield cluster


@pytest.fixture(params=["mock", pytest.param("real", marks=pytest.mark.kafka)])
def place(request: pytest.FixtureRequest) -> Place:
    """Each kind of broker in turn."""
    if request.param == "mock":
        cluster: MockCluster = request.getfixturevalue("mock_cluster")
        return Place(cluster.bootstrap_servers, "requests", "replies")
    broker = request.getfixturevalue("kafka_broker")
    topic = request.getfixturevalue("topic")
    return Place(broker.bootstrap_servers, topic("requests", PARTITIONS), topic("replies", PARTITIONS))


@pytest.fixture
def mock_place(mock_cluster: MockCluster) -> Place:
    """The embedded broker, for what no broker differs in."""
    return Place(mock_cluster.bootstrap_servers, "requests", "replies")


def test_a_prediction_comes_back(place: Place) -> None:
    """Arrays go, arrays come, with the version that computed them."""
    with place.responder(doubled), place.client() as client:
        prediction = client.predict("double", X)

    assert (prediction.model, prediction.version) == ("double", 3)
    assert prediction["y"].dtype == np.float32
    assert prediction["y"].tolist() == [[2.0, 4.0], [6.0, 8.0]]


def test_many_requests_are_under_way_at_once(place: Place) -> None:
    """Each future gets its own answer, over all partitions of the reply topic."""
    with place.responder(doubled), place.client() as client:
        futures = [client.submit("double", {"x": np.array([[i]], np.int64)}) for i in range(2000)]

        assert [f.result(PATIENCE_SECONDS)["y"].item() for f in futures] == [2 * i for i in range(2000)]


def test_several_clients_share_a_reply_topic(place: Place) -> None:
    """Each keeps the replies to its own requests, and none takes another's."""
    with place.responder(doubled), place.client() as one, place.client() as two:
        ours = [one.submit("double", {"x": np.array([[i]])}) for i in range(50)]
        theirs = [two.submit("double", {"x": np.array([[-i]])}) for i in range(50)]

        assert [f.result(PATIENCE_SECONDS)["y"].item() for f in ours] == [2 * i for i in range(50)]
        assert [f.result(PATIENCE_SECONDS)["y"].item() for f in theirs] == [-2 * i for i in range(50)]


def test_an_error_reply_is_an_error_here(place: Place) -> None:
    """Its code and message are the worker's."""
    refused = PredictReply(
        "double", error=Status(Code.NOT_FOUND, "model 'double' is not on the control topic")
    )

    with (
        place.responder(lambda _: refused),
        place.client() as client,
        pytest.raises(PredictError, match="not on the control topic") as caught,
    ):
        client.predict("double", X)

    assert caught.value.code is Code.NOT_FOUND


def test_a_request_says_what_it_was_told_to_say(mock_place: Place) -> None:
    """Version, signature, outputs, key and headers reach the record; time-out and reply topic too."""
    asked: list[PredictRequest] = []

    def remember(request: PredictRequest) -> PredictReply:
        asked.append(request)
        return doubled(request)

    with mock_place.responder(remember) as responder, mock_place.client() as client:
        fields: dict[str, Any] = {
            "version": 7,
            "signature": "twice",
            "outputs": ["y"],
            "timeout_seconds": 12.5,
            "priority": 7,
        }
        client.predict("double", X, key="customer", headers=[("traceparent", b"00-1-2-01")], **fields)
        client.predict("double", X, label="stable", key=b"\xff")

    first, second = asked
    assert (first.version, first.label, first.signature, first.outputs) == (7, None, "twice", ("y",))
    assert (second.version, second.label, second.signature, second.outputs) == (
        None,
        "stable",
        "serving_default",
        (),
    )
    assert [message.key() for message in responder.seen] == [b"customer", b"\xff"]
    headers = dict(responder.seen[0].headers() or ())
    assert headers[names.TIMEOUT_MS] == b"12500"
    assert headers[names.PRIORITY] == b"7"
    assert names.PRIORITY not in dict(responder.seen[1].headers() or ())
    assert headers[names.PLAIN_REPLY_TOPIC] == b"replies"
    assert headers["traceparent"] == b"00-1-2-01"
    assert len(headers[names.PLAIN_CORRELATION_ID] or b"") == 16


def test_the_default_reply_topic_is_not_named(mock_place: Place, mock_cluster: MockCluster) -> None:
    """Workers send there by themselves, and their allow-list need not be asked."""
    mock_cluster.create_topic("headrace.replies")
    place = Place(mock_place.bootstrap_servers, "requests", "headrace.replies")

    with place.responder(doubled) as responder, place.client(reply_topic=None) as client:
        client.predict("double", X)

    assert names.PLAIN_REPLY_TOPIC not in dict(responder.seen[0].headers() or ())


def test_tensors_may_be_given_as_they_are(mock_place: Place) -> None:
    """A Tensor keeps its dtype, and is sent under the name that it is given under."""
    tensor = Tensor.from_numpy("other", np.array([[4]], np.uint8))

    with mock_place.responder(doubled), mock_place.client() as client:
        prediction = client.predict("double", {"x": tensor})

    assert prediction["y"].dtype == np.uint8
    assert prediction["y"].tolist() == [[8]]


def test_no_reply_is_a_timeout(mock_place: Place) -> None:
    """After the request's own time-out, and the next request is served as ever."""
    silent = threading.Event()

    def answer(request: PredictRequest) -> PredictReply | None:
        return doubled(request) if silent.is_set() else None

    with mock_place.responder(answer), mock_place.client() as client:
        with pytest.raises(NoReply, match=r"0\.2 s"):
            client.predict("double", X, timeout_seconds=0.2)
        silent.set()
        assert client.predict("double", X).version == 3


def test_a_reply_that_cannot_be_read_is_told(mock_place: Place) -> None:
    """Whoever wrote it: the call ends, with the reason."""
    with (
        mock_place.responder(lambda _: b"garbage"),
        mock_place.client() as client,
        pytest.raises(PredictError, match="the reply cannot be read") as caught,
    ):
        client.predict("double", X)

    assert caught.value.code is Code.DATA_LOSS


def test_foreign_records_on_the_reply_topic_are_passed_over(mock_place: Place) -> None:
    """Without headers, without a value, with another's correlation id: nobody is disturbed."""
    where = client_config.connection(mock_place.bootstrap_servers)
    with mock_place.responder(doubled), mock_place.client() as client:
        producer = clients.producer(where, print)
        strange = [
            None,
            [(names.PLAIN_CORRELATION_ID, None)],
            [(names.PLAIN_CORRELATION_ID, b"someone else's")],
        ]
        producer.send("replies", [b"x", None, b"z"], None, strange)
        producer.flush(PATIENCE_SECONDS)
        producer.close()

        assert client.predict("double", X).version == 3


def test_predictions_can_be_awaited(mock_place: Place) -> None:
    """The event loop is free meanwhile."""

    async def ask(client: Client) -> list[int]:
        answers = await asyncio.gather(
            *(client.predict_async("double", {"x": np.array([[i]])}) for i in range(20))
        )
        return [answer["y"].item() for answer in answers]

    with mock_place.responder(doubled), mock_place.client() as client:
        assert asyncio.run(ask(client)) == [2 * i for i in range(20)]


def test_closing_fails_what_is_outstanding(mock_place: Place) -> None:
    """No future hangs, and nothing can be sent afterwards; closing again does nothing."""
    client = mock_place.client()
    future = client.submit("double", X)

    client.close()
    client.close()

    assert isinstance(future.exception(0), ClientClosed)
    with pytest.raises(ClientClosed, match="closed"):
        client.submit("double", X)


def test_a_callback_may_close_the_client(mock_place: Place) -> None:
    """It runs on the client's own thread, which cannot wait for itself."""
    closed = threading.Event()
    with mock_place.responder(doubled):
        client = mock_place.client()

        def close(_: object) -> None:
            client.close()
            closed.set()

        client.submit("double", X).add_done_callback(close)
        assert closed.wait(PATIENCE_SECONDS)
        client.close()


@pytest.mark.parametrize(
    ("inputs", "fields", "error"),
    [
        ({"x": np.zeros(1, "datetime64[s]")}, {}, UnsupportedDType),
        (X, {"version": 1, "label": "stable"}, InvalidRequest),
        (X, {"timeout_seconds": 0}, ValueError),
        (X, {"timeout_seconds": float("nan")}, ValueError),
        (X, {"priority": 10}, ValueError),
        (X, {"verson": 1}, TypeError),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(
    mock_place: Place, inputs: Any, fields: Any, error: type[Exception]
) -> None:
    """A mistake in a request is raised where it is made, and leaves nothing outstanding."""
    with mock_place.client() as client:
        with pytest.raises(error):
            client.submit("double", inputs, **fields)
        assert len(client._calls) == 0


def test_a_missing_reply_topic_is_told_at_once(place: Place) -> None:
    """Replies could never come."""
    with pytest.raises(TopicMissing, match="no-such-topic"):
        place.client(reply_topic="no-such-topic")


@pytest.mark.kafka
def test_a_request_that_the_broker_refuses_is_not_sent(kafka_broker: Any, topic: Callable[..., str]) -> None:
    """The delivery report fails the future, long before the time-out; a neighbour is served."""
    small = topic("small", config={"max.message.bytes": "2000"})
    place = Place(kafka_broker.bootstrap_servers, small, topic("replies"))

    with place.responder(doubled), place.client() as client:
        error = client.submit("double", {"x": np.random.default_rng(0).random((1, 4000))}).exception(
            PATIENCE_SECONDS
        )
        assert isinstance(error, NotSent)
        assert isinstance(error.__cause__, KafkaProblem)
        assert client.predict("double", X).version == 3


class ForTest:
    """A producer and a consumer that do as a test says."""

    def __init__(self, *, full: bool = False, broken: Exception | None = None) -> None:
        self.full = full
        self.broken = broken
        self.closed = 0
        self._tick = threading.Event()

    def send(self, *_: Any, **__: Any) -> int:
        """Take the record or not."""
        return 0 if self.full else 1

    def poll(self, *arguments: Any) -> list[Any]:
        """Nothing, or the end; the consumer's has two arguments."""
        if self.broken is not None and arguments:
            raise self.broken
        self._tick.wait(0.01 if arguments else 0)
        return []

    def purge(self) -> None:
        """Nothing to give up."""

    def close(self) -> None:
        """Count."""
        self.closed += 1


def connected(both: Any) -> Callable[..., Endpoints]:
    """What a client calls to connect."""
    return lambda *_: Endpoints(both, both)


def test_a_full_local_queue_is_waited_for_up_to_the_timeout() -> None:
    """Then it is an error, and nothing stays outstanding."""
    with Client(connect=connected(ForTest(full=True))) as client:
        with pytest.raises(NotSent, match="full"):
            client.predict("double", X, timeout_seconds=0.1)
        assert len(client._calls) == 0


def test_room_in_the_local_queue_ends_the_wait() -> None:
    """The record goes as soon as reports have made room."""
    kafka = ForTest(full=True)
    with Client(connect=connected(kafka)) as client:
        timer = threading.Timer(0.05, functools.partial(setattr, kafka, "full", False))
        timer.start()
        future = client.submit("double", X)
        timer.join()

    assert isinstance(future.exception(0), ClientClosed)


@pytest.mark.parametrize("broken", [Fatal("fenced"), RuntimeError("a defect")])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_client_that_cannot_go_on_fails_its_calls(broken: Exception) -> None:
    """Outstanding and later calls fail with the reason; connections are given up."""
    kafka = ForTest()
    client = Client(connect=connected(kafka))
    future = client.submit("double", X)
    kafka.broken = broken

    assert isinstance(future.exception(PATIENCE_SECONDS), ClientClosed)
    with pytest.raises(ClientClosed, match="the client has stopped"):
        client.submit("double", X)
    client.close()
    assert kafka.closed == 2


def test_importing_the_client_does_not_import_tensorflow() -> None:
    """A producer of requests needs no models."""
    code = "import sys, worker.client; sys.exit(any(m.startswith('tensorflow') for m in sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
