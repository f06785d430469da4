"""Static members (`group.instance.id`): one that is started again gets its partitions back, and nobody else notices."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.kit.broker import KafkaBroker
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.maven_jars import JavaUnavailable, do_without
from tests.kit.mixed_requests import MixedRequest, MixedRequests, RowAnswers, wrong_replies
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker
from worker.exit_codes import ExitCode

pytestmark = pytest.mark.kafka

MODEL = "mixed"
INSTANCE = "kafka.consumer_properties.group.instance.id"
PROTOCOLS: Mapping[str, Mapping[str, object]] = {
    "classic": {},
    "broker-side": {"kafka.consumer_properties.group.protocol": "consumer"},
}
SMALL_STEPS = {"delivery.budget_rows": 16_384, "delivery.poll_records": 256}
SHORT_SESSIONS = {
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "500",
}


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment on a broker of its own, which gives up members of the new protocol after six seconds."""
    try:
        broker = KafkaBroker(config=SHORT_SESSIONS)
    except JavaUnavailable as error:
        do_without("no Kafka broker of our own", error)
    with broker, Deployment(broker, tmp_path, {**SMALL_STEPS, **PROTOCOLS["broker-side"]}) as deployed:
        yield deployed


def start_two(deployed: Deployment, model: Path) -> list[RunningWorker]:
    """Two workers with ids of their own, each of which has two of the four partitions."""
    deployed.set_model(MODEL, model, [1])
    workers = [deployed.start_worker({INSTANCE: each}) for each in ("one", "two")]
    for worker in workers:
        worker.wait_until_assigned(2)
    return workers


def moves(worker: RunningWorker) -> list[tuple[str, str]]:
    """What the group gave this worker and took from it, in order."""
    return [(entry["event"], entry["partitions"]) for entry in worker.log() if "partitions" in entry]


def assert_right(deployed: Deployment, requests: list[MixedRequest], answers: RowAnswers) -> None:
    """Every request has its right reply."""
    deployed.wait_until_answered(120.0)
    found = deployed.account()
    assert found.missing([request.id for request in requests]) == []
    assert wrong_replies(requests, found.replies.__getitem__, {1: answers}) == []


@pytest.mark.parametrize(
    ("protocol", "ending"), [("classic", "kill"), ("classic", "stop"), ("broker-side", "stop")]
)
def test_a_member_that_is_started_again_gets_its_partitions_back(
    deployment: DeploymentFactory, busy_model: Path, numpy_answers: RowAnswers, protocol: str, ending: str
) -> None:
    """The other one has no rebalance at all, in the middle of the work; nothing is missing or wrong."""
    deployed = deployment({**SMALL_STEPS, **PROTOCOLS[protocol]})
    first, second = start_two(deployed, busy_model)
    before = moves(second)
    mixed = MixedRequests()

    with deployed.traffic(lambda number: mixed[number].record(MODEL), at_once=20) as traffic:
        wait_until(lambda: first.unanswered() > 0, "a worker with unanswered requests", every_seconds=0.01)
        getattr(first, ending)()
        again = deployed.start_worker({INSTANCE: "one"})
        again.wait_until_assigned(2)
        wait_until(lambda: again.metric("headrace_requests_total") > 100, "answers by the one started again")

    assert_right(deployed, mixed.first(traffic.sent), numpy_answers)
    assert [event for event, _ in moves(again)] == ["partitions assigned"]
    assert moves(second) == before
    if ending == "stop":
        assert deployed.account().repeated() == {}


def test_a_killed_member_of_the_new_protocol_comes_back_when_its_session_is_over(
    impatient: Deployment, busy_model: Path, numpy_answers: RowAnswers
) -> None:
    """The broker takes nobody else of its id before; the worker waits, says for what, and joins then."""
    first, second = start_two(impatient, busy_model)
    requests = MixedRequests().first(10_000)
    impatient.begin_sending([request.record(MODEL) for request in requests])
    wait_until(lambda: first.unanswered() > 0, "a worker with unanswered requests", every_seconds=0.01)
    first.kill()

    again = impatient.start_worker({INSTANCE: "one"})
    wait_until(lambda: "group.instance.id" in str(again.not_ready()), "what it waits for")
    again.wait_until_assigned(2)

    assert_right(impatient, requests, numpy_answers)
    assert [worker.stop() for worker in (again, second)] == [0, 0]


def test_a_second_worker_of_one_id_ends_the_first_in_a_classic_group(
    deployment: DeploymentFactory, busy_model: Path, numpy_answers: RowAnswers
) -> None:
    """The first ends, by a status that says that starting it again is of no use; the second goes on in its place."""
    deployed = deployment(SMALL_STEPS)
    first, other = start_two(deployed, busy_model)
    before = moves(other)
    requests = MixedRequests().first(10_000)
    deployed.begin_sending([request.record(MODEL) for request in requests])
    wait_until(lambda: first.unanswered() > 0, "a worker with unanswered requests", every_seconds=0.01)

    second = deployed.start_worker({INSTANCE: "one"})

    assert first.wait(60.0) == ExitCode.MISCONFIGURED
    (told,) = [entry for entry in first.log() if entry["event"].startswith("another worker has this one's")]
    assert "group.instance.id (kafka.consumer_properties)" in told["problem"]
    second.wait_until_assigned(2)
    assert_right(deployed, requests, numpy_answers)
    assert moves(other) == before
    assert [worker.stop() for worker in (second, other)] == [0, 0]


def test_a_second_worker_of_one_id_ends_itself_in_a_group_of_the_new_protocol(
    deployment: DeploymentFactory, busy_model: Path, numpy_answers: RowAnswers
) -> None:
    """It waits for as long as it may, and ends; the first does not notice."""
    deployed = deployment({**SMALL_STEPS, **PROTOCOLS["broker-side"], "join.instance_seconds": 3})
    first, other = start_two(deployed, busy_model)
    before = moves(first), moves(other)

    second = deployed.start_worker({INSTANCE: "one"})

    assert second.wait(60.0) == ExitCode.MISCONFIGURED
    (told,) = [entry for entry in second.log() if entry["event"].startswith("another worker has this one's")]
    assert "group.instance.id (kafka.consumer_properties)" in told["problem"]
    requests = MixedRequests().first(1000)
    deployed.send([request.record(MODEL) for request in requests])
    assert_right(deployed, requests, numpy_answers)
    assert (moves(first), moves(other)) == before
