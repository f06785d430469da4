"""Issue 5, broker trouble: topics that are deleted, made again or given partitions while a worker serves them."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.mixed_requests import MixedRequests, RowAnswers, wrong_replies
from tests.kit.sending import Sender
from tests.kit.topic_changes import add_partitions
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker
from worker.exit_codes import ExitCode
from worker.kafka.topic_facts import TopicSpec
from worker.topic_plan import Purpose, planned_topics

pytestmark = pytest.mark.kafka

MODEL = "mixed"
MIXED = MixedRequests(most_rows=4)


SOON = {
    # The client takes a topic that it has known for less than 30 seconds for one that is only just being made.
    "kafka.producer_properties.topic.metadata.propagation.max.ms": 1000,
    "kafka.properties.topic.metadata.refresh.interval.ms": 1000,
}
"""What has changed about a topic is noticed within seconds."""


def serve(deployment: DeploymentFactory, model: Path) -> tuple[Deployment, RunningWorker]:
    """A worker that serves, and has answered requests 0 to 99."""
    deployed: Deployment = deployment(SOON)
    deployed.set_model(MODEL, model, [1])
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)
    ask(deployed, range(100))
    deployed.wait_until_answered()
    return deployed, worker


def ask(deployed: Deployment, numbers: Iterable[int]) -> None:
    """Send the requests of these numbers."""
    deployed.send([MIXED[number].record(MODEL) for number in numbers])


def delete(deployed: Deployment, topic: str) -> None:
    """Take a topic away, and wait until it has gone."""
    admin = deployed.admin
    assert admin.delete_topics([topic])[topic] is None
    wait_until(lambda: topic not in admin.topics(), f"{topic} gone")


def make(deployed: Deployment, topic: str) -> None:
    """Make a topic of the deployment again."""
    admin = deployed.admin
    spec = TopicSpec(topic, deployed.partitions, 1)
    wait_until(lambda: admin.create_topics([spec])[topic] is None, f"{topic} made again")


def wait_until_missed(worker: RunningWorker, topic: str) -> None:
    """The worker says in its log and on `/readyz` which topic it misses, and goes on running."""
    wait_until(
        lambda: any(topic in reason and "topics create" in reason for reason in worker.not_ready()),
        lambda: f"{topic} on /readyz: {worker.not_ready()}; {worker.log_tail()}",
    )
    told = worker.log(
        "a topic does not exist; what needs it waits until it is made again: headrace topics create"
    )
    assert [line["topic"] for line in told] == [topic]
    assert worker.get("/livez")[0] == 200
    assert worker.exit_status is None


def assert_answered(deployed: Deployment, numbers: Iterable[int], model: Path) -> None:
    """Each of these requests has a right reply on the reply topic that is there now."""
    found = deployed.account()
    requests = [MIXED[number] for number in numbers]
    ids = [request.id for request in requests]
    assert found.missing(ids) == []
    answers = {1: RowAnswers.of("numpy", str(model / "1"), 1)}
    assert wrong_replies(requests, found.replies.__getitem__, answers) == []
    assert found.dead_letters == []


def test_a_worker_ends_when_a_request_topic_is_made_again_and_the_next_serves_it_from_its_first_record(
    deployment: DeploymentFactory, numpy_model: Path
) -> None:
    """Nothing is committed for the new one by whoever read the old one; the status says: start it again."""
    deployed, worker = serve(deployment, numpy_model)

    delete(deployed, deployed.requests)
    wait_until_missed(worker, deployed.requests)
    wait_until(lambda: worker.metric("headrace_assigned_partitions") == 0, "nothing assigned")
    make(deployed, deployed.requests)
    with_new_metadata(deployed, range(100, 200))

    assert worker.wait() == ExitCode.TEMPORARY
    (told,) = [line for line in worker.log() if "deleted and made again" in line["event"]]
    assert told["topic"] == deployed.requests
    assert told["level"] == "error"
    deployed.start_worker().wait_until_assigned(4)
    deployed.wait_until_answered()
    assert_answered(deployed, range(200), numpy_model)


def test_replies_wait_for_a_reply_topic_that_is_made_again(
    deployment: DeploymentFactory, numpy_model: Path
) -> None:
    """What was answered meanwhile is kept and delivered; nothing is committed before."""
    deployed, worker = serve(deployment, numpy_model)

    delete(deployed, deployed.replies)
    ask(deployed, range(100, 400))
    wait_until_missed(worker, deployed.replies)
    failed = worker.wait_for_log("delivery failed; trying again")
    assert failed["topic"] == deployed.replies
    assert "does not exist" in failed["problem"]
    assert deployed.unanswered() == 300
    make(deployed, deployed.replies)

    deployed.wait_until_answered()
    assert_answered(deployed, range(100, 400), numpy_model)
    worker.wait_until_ready()
    assert worker.metric("headrace_replies_refused_total", reason="TopicMissing") > 0
    assert worker.stop() == 0


def test_partitions_that_are_added_are_served_from_their_first_record(
    deployment: DeploymentFactory, numpy_model: Path
) -> None:
    """What is written to them before the worker has heard of them is answered too."""
    deployed, worker = serve(deployment, numpy_model)

    add_partitions(deployed.where, deployed.requests, 6)
    with_new_metadata(deployed, range(100, 200), partition=5)

    worker.wait_until_assigned(6)
    deployed.wait_until_answered()
    assert_answered(deployed, range(200), numpy_model)
    assert worker.stop() == 0


def test_a_control_topic_made_again_is_followed_from_its_first_record(
    deployment: DeploymentFactory, numpy_model: Path
) -> None:
    """Models go on serving without it; what is said on the new one counts, though its offsets begin anew."""
    deployed, worker = serve(deployment, numpy_model)
    admin = deployed.admin

    delete(deployed, deployed.control)
    (plan,) = [t for t in planned_topics(deployed.settings) if t.purpose is Purpose.CONTROL]
    spec = TopicSpec(plan.name, plan.partitions, 1, plan.config)
    wait_until(lambda: admin.create_topics([spec])[plan.name] is None, "the control topic made again")
    ask(deployed, range(100, 200))
    deployed.set_model("other", numpy_model, [1])

    deployed.wait_for_state("other", 1, "AVAILABLE")
    deployed.wait_until_answered()
    assert_answered(deployed, range(200), numpy_model)
    assert worker.stop() == 0


def with_new_metadata(deployed: Deployment, numbers: Iterable[int], partition: int = -1) -> None:
    """Send requests by a sender that knows nothing of the topic as it was."""
    sender = Sender(deployed.where)
    try:
        records = [MIXED[number].record(MODEL) for number in numbers]
        sender.begin(deployed.requests, records, partition=partition)
        sender.finish()
    finally:
        sender.close()
