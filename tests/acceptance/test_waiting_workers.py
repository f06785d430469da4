"""Acceptance 5: a worker says what it needs and does not find, consumes nothing meanwhile, and goes on by itself."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.broker import Broker, KafkaBroker, free_port
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.maven_jars import JavaUnavailable, do_without
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker
from worker.kafka.errors import TopicMissing
from worker.kafka.topic_facts import TopicSpec
from worker.topic_plan import Purpose, planned_topics

pytestmark = pytest.mark.kafka

MODEL = "three"
NOT_YET = "nothing is consumed yet"
NOT_FOLLOWED = "the control topic cannot be followed; trying again, no request is read until then"


def ask(deployed: Deployment) -> None:
    """Send the request that waits for the worker to begin."""
    x = Tensor.from_numpy("x", numpy_models.pixels(1))
    deployed.send([PredictRequest(MODEL, inputs=(x,), id="early")])


def set_model(deployed: Deployment, folder: Path) -> None:
    """Make the model and say that it is wanted."""
    if not (folder / MODEL).exists():
        numpy_models.write_three_signatures(folder / MODEL)
    deployed.set_model(MODEL, folder / MODEL)


def remake_control_topic(deployed: Deployment, partitions: int, config: Mapping[str, str]) -> None:
    """Delete the control topic, if it is there, and make it anew."""
    admin = deployed.admin
    problem = admin.delete_topics([deployed.control])[deployed.control]
    assert problem is None or isinstance(problem, TopicMissing), problem
    spec = TopicSpec(deployed.control, partitions, 1, dict(config))
    wait_until(lambda: admin.create_topics([spec])[deployed.control] is None, "the control topic made anew")


def mend_control_topic(deployed: Deployment) -> None:
    """Make the control topic as `headrace topics create` does."""
    (plan,) = [t for t in planned_topics(deployed.settings) if t.purpose is Purpose.CONTROL]
    remake_control_topic(deployed, plan.partitions, plan.config)


def assert_said(worker: RunningWorker, event: str, field: str, words: str) -> None:
    """A line of the log says so, and the readiness page too."""

    def said() -> bool:
        return any(words in str(entry.get(field)) for entry in worker.log(event))

    wait_until(said, lambda: f"{event!r} with {words!r}; the log:\n{worker.log_tail()}")
    wait_until(
        lambda: any(words in reason for reason in worker.not_ready()),
        lambda: f"{words!r} on /readyz: {worker.not_ready()}",
    )
    assert worker.get("/readyz")[0] == 503
    assert worker.get("/livez")[0] == 200


def assert_nothing_is_consumed(deployed: Deployment, worker: RunningWorker) -> None:
    """The worker runs, has not joined its group, and has committed nothing."""
    assert worker.exit_status is None
    assert_joined_nothing(deployed, worker)
    assert worker.metric("headrace_records_consumed_total") == 0


def assert_joined_nothing(deployed: Deployment, worker: RunningWorker) -> None:
    """The group has no offsets, and the worker has not asked to be a member."""
    assert deployed.admin.committed(deployed.group) == {}
    assert worker.log("joining the group") == []


def assert_it_goes_on(deployed: Deployment, worker: RunningWorker) -> None:
    """The same process answers what was asked before it could, and ends in order."""
    worker.wait_until_ready()
    deployed.wait_until_answered()
    assert deployed.account().the_reply("early").code == 0
    assert worker.stop() == 0


MISCONFIGURED = {
    "two partitions": (2, {"cleanup.policy": "compact"}, "it has 2 partitions instead of 1"),
    "delete policy": (1, {"cleanup.policy": "delete"}, "cleanup.policy is 'delete' instead of 'compact'"),
    "compact and delete": (1, {"cleanup.policy": "compact,delete"}, "instead of 'compact'"),
}


@pytest.mark.parametrize("what", MISCONFIGURED)
def test_a_misconfigured_control_topic_is_not_believed(
    deployment: DeploymentFactory, tmp_path: Path, what: str
) -> None:
    """What is wrong with it and what to do is said; made anew as it should be, it is followed."""
    partitions, config, words = MISCONFIGURED[what]
    deployed = deployment()
    remake_control_topic(deployed, partitions, config)
    ask(deployed)
    worker = deployed.start_worker()

    assert_said(worker, NOT_FOLLOWED, "problem", words)
    assert_said(worker, NOT_YET, "waiting_for", "headrace topics create")
    assert_nothing_is_consumed(deployed, worker)

    mend_control_topic(deployed)
    set_model(deployed, tmp_path)
    assert_it_goes_on(deployed, worker)


def test_a_missing_control_topic_is_waited_for(deployment: DeploymentFactory, tmp_path: Path) -> None:
    """It is not made by asking for it; the command that makes it is named; once it is there it is followed."""
    deployed = deployment()
    admin = deployed.admin
    assert admin.delete_topics([deployed.control])[deployed.control] is None
    ask(deployed)
    worker = deployed.start_worker()

    words = f"the control topic '{deployed.control}' does not exist; make it with: headrace topics create"
    assert_said(worker, NOT_FOLLOWED, "problem", words)
    assert_said(worker, NOT_YET, "waiting_for", words)
    assert_nothing_is_consumed(deployed, worker)
    assert deployed.control not in admin.topics()

    mend_control_topic(deployed)
    set_model(deployed, tmp_path)
    assert_it_goes_on(deployed, worker)


def test_an_empty_control_topic_is_waited_for(deployment: DeploymentFactory, tmp_path: Path) -> None:
    """Without a model it could only answer NOT_FOUND: it waits for the first one, and says so."""
    deployed = deployment()
    ask(deployed)
    worker = deployed.start_worker()

    assert_said(worker, NOT_YET, "waiting_for", "no model is configured")
    assert_nothing_is_consumed(deployed, worker)

    set_model(deployed, tmp_path)
    assert_it_goes_on(deployed, worker)


def test_a_worker_that_waits_ends_when_it_is_asked_to(deployment: DeploymentFactory) -> None:
    """It need not have begun to be ended in order."""
    deployed = deployment()
    worker = deployed.start_worker()
    assert_said(worker, NOT_YET, "waiting_for", "no model is configured")

    assert worker.stop() == 0

    assert_joined_nothing(deployed, worker)


@pytest.mark.parametrize("kind", ["requests", "replies", "dead_letters"])
def test_a_missing_topic_of_a_binding_is_waited_for(
    deployment: DeploymentFactory, tmp_path: Path, kind: str
) -> None:
    """Request, reply and dead-letter topics are looked for before anything is read; the missing one is named."""
    deployed = deployment()
    set_model(deployed, tmp_path)
    name = getattr(deployed, kind)
    admin = deployed.admin
    assert admin.delete_topics([name])[name] is None
    worker = deployed.start_worker()

    assert_said(
        worker,
        NOT_YET,
        "waiting_for",
        f"topics that do not exist: {name}; make them with: headrace topics create",
    )
    assert_nothing_is_consumed(deployed, worker)

    spec = TopicSpec(name, deployed.partitions, 1)
    wait_until(lambda: admin.create_topics([spec])[name] is None, f"{name} made anew")
    ask(deployed)
    assert_it_goes_on(deployed, worker)


def test_a_broker_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """A worker that is started first says whom it cannot reach, and begins when the broker has come."""
    try:
        broker = KafkaBroker()
    except JavaUnavailable as error:
        do_without("no Kafka broker of our own", error)
    with broker, Deployment(broker, tmp_path) as deployed:
        set_model(deployed, tmp_path)
        ask(deployed)
        broker.stop()
        worker = deployed.start_worker()

        assert_said(worker, NOT_YET, "waiting_for", f"no Kafka broker answers at {broker.bootstrap_servers}")
        assert worker.exit_status is None
        assert worker.log("joining the group") == []

        broker.start()
        assert_it_goes_on(deployed, worker)


def test_a_worker_that_waits_for_a_broker_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    """It says whom it cannot reach, and need not reach anybody to end in order."""
    address = f"127.0.0.1:{free_port()}"
    worker = RunningWorker({"kafka.bootstrap_servers": address}, tmp_path / "worker.log")
    try:
        assert_said(worker, NOT_YET, "waiting_for", f"no Kafka broker answers at {address}")

        assert worker.stop() == 0
    finally:
        worker.close()


def test_any_of_the_brokers_to_start_from_is_enough(
    kafka_broker: Broker, deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """Nobody listens at the first address, as while a broker of a cluster is away."""
    addresses = f"127.0.0.1:{free_port()},{kafka_broker.bootstrap_servers}"
    deployed = deployment({"kafka.bootstrap_servers": addresses})
    set_model(deployed, tmp_path)
    ask(deployed)

    assert_it_goes_on(deployed, deployed.start_worker())
