"""Issue 5, acceptance 2: three brokers, replication 3, min ISR 2: any one may be killed.

What is checked is that each node is served without, however long the others take to notice: on a machine that stands
still, they do. How long serving stopped is logged (`--log-cli-level=INFO` shows it), along with how long the
brokers took no requests either. Typical figures are in docs/operating.md.
"""

import itertools
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit import numpy_models
from tests.kit.broker import KafkaBroker
from tests.kit.cluster import KafkaCluster
from tests.kit.deployment import Deployment
from tests.kit.maven_jars import JavaUnavailable, do_without
from tests.kit.mixed_requests import MixedRequests, RowAnswers, wrong_replies
from tests.kit.sending import Traffic
from tests.kit.verifier import Account, read_topic
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

MODEL = "mixed"
PARTITIONS = 6
LOG = logging.getLogger(__name__)
MIXED = MixedRequests(most_rows=4)


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    """Three brokers, all in sync."""
    try:
        made = KafkaCluster(3)
    except JavaUnavailable as error:
        do_without("no Kafka broker of our own", error)
    with made:
        made.wait_until_in_sync()
        yield made


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base path of a NumPy model of three signatures."""
    base = tmp_path_factory.mktemp("models") / MODEL
    numpy_models.write_three_signatures(base)
    return base


@dataclass(frozen=True)
class Scene:
    """What goes on while a node is killed."""

    cluster: KafkaCluster
    traffic: Traffic
    workers: list[RunningWorker]

    def wait_until_answered(self) -> None:
        """Wait until as many replies are acknowledged as requests were sent up to now."""
        sent = self.traffic.sent
        wait_until(
            lambda: self.answered() >= sent,
            lambda: f"{sent} answered ({self.answered():.0f} are); {self.workers[0].log_tail()}",
            within_seconds=120.0,
            every_seconds=0.2,
        )

    def answered(self) -> float:
        """Replies that brokers have acknowledged."""
        return sum(worker.metric("headrace_requests_total") for worker in self.workers)

    def kill_and_start(self, node: KafkaBroker) -> None:
        """Kill a node, serve without it, and have it back."""
        node.kill()
        self.wait_until_answered()
        node.start()
        self.cluster.wait_until_in_sync()


def deploy(cluster: KafkaCluster, folder: Path, model: Path, **settings: object) -> Deployment:
    """Topics with a replica on each node; when a record came, the broker says that has it."""
    deployed = Deployment(
        cluster,
        folder,
        settings,
        partitions=PARTITIONS,
        topic_config={
            topic: {"message.timestamp.type": "LogAppendTime"} for topic in ("requests", "replies")
        },
        replication=3,
    )
    deployed.set_model(MODEL, model, [1])
    return deployed


def serve_through(deployed: Deployment, cluster: KafkaCluster, nodes: list[KafkaBroker]) -> int:
    """Kill these nodes in turn under steady traffic to each partition; how many requests there were."""
    workers = [deployed.start_worker() for _ in range(2)]
    for worker in workers:
        worker.wait_until_assigned(PARTITIONS // 2)
    with deployed.traffic(
        lambda number: MIXED[number].record(MODEL),
        at_once=24,
        pause_seconds=0.1,
        key=lambda number: f"key {number % 24}".encode(),
    ) as traffic:
        scene = Scene(cluster, traffic, workers)
        wait_until(lambda: traffic.sent > 0, "the first requests")
        scene.wait_until_answered()
        cluster.wait_until_in_sync()
        for node in nodes:
            scene.kill_and_start(node)
    deployed.wait_until_answered()
    assert [worker.stop() for worker in workers] == [0, 0]
    return traffic.sent


def longest_stops(moments: Sequence[tuple[int, int]]) -> Mapping[int, float]:
    """For each partition, the longest time without a record, in seconds.

    Args:
        moments: each record's partition and the time when its broker had it, in milliseconds.
    """
    times: dict[int, list[int]] = defaultdict(list)
    for partition, moment in moments:
        times[partition].append(moment)
    return {
        partition: max(after - before for before, after in itertools.pairwise(sorted(each))) / 1000
        for partition, each in times.items()
    }


def tell_stops(deployed: Deployment, found: Account) -> None:
    """Log how long replies stood still, and requests."""
    requests = read_topic(deployed.where, deployed.requests, PARTITIONS)
    asked = longest_stops([(message.partition(), message.timestamp()[1]) for message in requests])
    answered = longest_stops([(reply.partition, reply.timestamp_ms) for reply in found.all_replies()])
    assert len(answered) == PARTITIONS
    LOG.info(
        "seconds without requests: %.1f, without replies: %.1f", max(asked.values()), max(answered.values())
    )


def assert_nothing_lost(found: Account, requests: int, model: Path) -> None:
    """Each request has a right reply."""
    sent = MIXED.first(requests)
    assert found.missing(request.id for request in sent) == []
    answers = {1: RowAnswers.of("numpy", str(model / "1"), 1)}
    assert wrong_replies(sent, found.replies.__getitem__, answers) == []
    assert found.dead_letters == []


def test_killing_any_broker_loses_nothing_and_the_others_serve_on(
    cluster: KafkaCluster, model: Path, tmp_path: Path
) -> None:
    """Leaders, the group's coordinator and the controller go with it; no worker ends, and none leaves its group."""
    with deploy(cluster, tmp_path, model) as deployed:
        requests = serve_through(deployed, cluster, cluster.nodes)

        found = deployed.account()
        tell_stops(deployed, found)
        assert_nothing_lost(found, requests, model)
        for worker in deployed.workers:
            assert worker.log("partitions lost; another worker repeats what was not committed") == []


def test_killing_a_broker_repeats_nothing_where_delivery_is_exactly_once(
    cluster: KafkaCluster, model: Path, tmp_path: Path
) -> None:
    """The node that coordinates transactions, too, may be the one."""
    with deploy(cluster, tmp_path, model, **{"delivery.mode": "exactly_once"}) as deployed:
        requests = serve_through(deployed, cluster, cluster.nodes[:1])

        found = deployed.account()
        tell_stops(deployed, found)
        assert_nothing_lost(found, requests, model)
        assert found.repeated() == {}
