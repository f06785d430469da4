"""Issue 5, broker trouble: a broker that has no room on its disk, one that throttles, one that cannot be reached."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.broker import Broker, KafkaBroker
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.maven_jars import JavaUnavailable, do_without
from tests.kit.mixed_requests import MixedRequests, RowAnswers, wrong_replies
from tests.kit.proxy import Proxy, broker_behind_proxy
from tests.kit.quotas import limit_producers
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker

pytestmark = pytest.mark.kafka

MODEL = "mixed"
MIXED = MixedRequests(most_rows=4)


@pytest.fixture(scope="module")
def behind_proxy() -> Iterator[tuple[KafkaBroker, Proxy]]:
    """A broker of our own, and an unclean way to it."""
    try:
        broker, proxy = broker_behind_proxy()
    except JavaUnavailable as error:
        do_without("no Kafka broker of our own", error)
    with proxy, broker:
        yield broker, proxy


def wait_for_answers(worker: RunningWorker, count: int) -> None:
    """Wait until so many replies have been acknowledged."""
    wait_until(
        lambda: worker.metric("headrace_requests_total") >= count,
        lambda: f"{count} answered ({worker.metric('headrace_requests_total'):.0f} are); {worker.log_tail()}",
        every_seconds=0.1,
    )


def assert_all_answered(deployed: Deployment, requests: int, model: Path) -> None:
    """Each of the first so many requests has a right reply; some may have two."""
    deployed.wait_until_answered()
    found = deployed.account()
    sent = MIXED.first(requests)
    assert found.missing(request.id for request in sent) == []
    answers = {1: RowAnswers.of("numpy", str(model / "1"), 1)}
    assert wrong_replies(sent, found.replies.__getitem__, answers) == []
    assert found.dead_letters == []


def test_a_broker_whose_disk_is_full_is_waited_for(
    behind_proxy: tuple[KafkaBroker, Proxy], numpy_model: Path, tmp_path: Path
) -> None:
    """Kafka ends a broker that cannot write; the worker says that it is away, and goes on when there is room."""
    broker, _ = behind_proxy
    with Deployment(broker, tmp_path) as deployed:
        deployed.set_model(MODEL, numpy_model, [1])
        worker = deployed.start_worker()
        worker.wait_until_assigned(4)
        with deployed.traffic(lambda number: MIXED[number].record(MODEL)) as traffic:
            wait_for_answers(worker, 100)
            broker.fill_disk()
            broker.wait_for_its_end()
            away = f"no Kafka broker answers at {broker.bootstrap_servers}"
            wait_until(
                lambda: any(away in reason for reason in worker.not_ready()),
                lambda: f"{away} on /readyz: {worker.not_ready()}",
            )
            assert worker.get("/livez")[0] == 200
            broker.start()
            worker.wait_until_ready()
        assert_all_answered(deployed, traffic.sent, numpy_model)
        assert worker.log("the cluster answers again")
        assert worker.metric("headrace_kafka_problems_total", client="consumer", kind="BrokerUnreachable") > 0
        assert worker.stop() == 0


def test_a_throttled_worker_slows_down_and_loses_nothing(
    kafka_broker: Broker, deployment: DeploymentFactory, numpy_model: Path
) -> None:
    """It pauses once its budget is used up, and stays a member of its group."""
    client_id = f"throttled-{uuid.uuid4().hex[:8]}"
    deployed = deployment(
        {
            "kafka.producer_properties.client.id": client_id,
            "delivery.budget_rows": 512,
            "delivery.poll_records": 64,
        }
    )
    deployed.set_model(MODEL, numpy_model, [1])
    try:
        limit_producers(kafka_broker, client_id, 20_000)
    except JavaUnavailable as error:
        do_without("no command for quotas", error)
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)

    deployed.send([request.record(MODEL) for request in MIXED.first(4_000)])
    wait_until(
        lambda: worker.metric("headrace_paused_partitions") == 4,
        lambda: f"pauses: {worker.log_tail()}",
    )
    assert worker.metric("headrace_requests_total") < 4_000
    limit_producers(kafka_broker, client_id, None)

    assert_all_answered(deployed, 4_000, numpy_model)
    assert worker.metric("headrace_rebalances_total", event="revoked") == 0
    assert worker.metric("headrace_rebalances_total", event="lost") == 0
    assert worker.stop() == 0


def test_an_unclean_network_loses_nothing(
    behind_proxy: tuple[KafkaBroker, Proxy], numpy_model: Path, tmp_path: Path
) -> None:
    """Slow, cut again and again, then silent with open connections: the worker goes on by itself each time."""
    broker, proxy = behind_proxy
    with Deployment(broker, tmp_path) as deployed:
        deployed.set_model(MODEL, numpy_model, [1])
        settings = {
            "kafka.bootstrap_servers": proxy.address,
            "kafka.properties.socket.timeout.ms": 5000,
            # A group may wait longer for a silent member than it takes a slow machine to notice the silence.
            "kafka.consumer_properties.session.timeout.ms": 300_000,
        }
        worker = deployed.start_worker(settings)
        worker.wait_until_assigned(4)
        with deployed.traffic(lambda number: MIXED[number].record(MODEL)) as traffic:
            wait_for_answers(worker, 100)

            proxy.delay_seconds = 0.2
            wait_for_answers(worker, traffic.sent)
            proxy.delay_seconds = 0.0

            for _ in range(5):
                assert proxy.cut() > 0
                wait_for_answers(worker, traffic.sent)

            assert proxy.fall_silent() > 0
            away = f"no Kafka broker answers at {proxy.address}"
            wait_until(
                lambda: any(away in reason for reason in worker.not_ready()),
                lambda: f"{away} on /readyz: {worker.not_ready()}",
            )
            proxy.speak()
            wait_for_answers(worker, traffic.sent)
            worker.wait_until_ready()
        assert_all_answered(deployed, traffic.sent, numpy_model)
        assert worker.log("partitions lost; another worker repeats what was not committed") == []
        assert worker.stop() == 0
