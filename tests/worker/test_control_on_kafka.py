"""Control and status topics on a real broker: commands on one side, control loops with NumPy models on the other."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.backoff import Backoff
from lifecycle.execution import BasicManagerOptions
from lifecycle.loader_harness import LoadOptions
from tests.conftest import TopicFactory
from tests.kit import numpy_models
from tests.kit.broker import Broker
from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from worker.aspirations import Aspirations
from worker.commands.cli import run
from worker.control_loop import ControlLoop, ControlParts
from worker.control_thread import ControlThread
from worker.control_topic import ControlTopic
from worker.exit_codes import ExitCode
from worker.joining import JoinRule
from worker.kafka import client_config, clients
from worker.kafka.topic_facts import TopicSpec
from worker.loaders import Loaders
from worker.model_table import ModelTable
from worker.servable_reports import ServableReports
from worker.status_topic import StatusTopic
from worker.worker_lease import WorkerIdentity, WorkerLease

pytestmark = pytest.mark.kafka

CONTROL = {"cleanup.policy": "compact"}
STATUS = {"cleanup.policy": "compact,delete", "message.timestamp.type": "LogAppendTime"}


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for a condition that other threads and processes bring about."""
    wait_until(holds, "what was waited for", every_seconds=0.02)


class Deployment:
    """A control topic and a status topic on a broker, workers' control sides, and the command line."""

    def __init__(self, broker: Broker, control: str, status: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.control, self.status = control, status
        self._broker = broker
        self._capsys = capsys
        self.where = client_config.connection(broker.bootstrap_servers)

    @contextmanager
    def worker(self, name: str) -> Iterator[tuple[ControlLoop, AspiredVersionsManager]]:
        """A worker's control side, with its threads."""
        loaders, table = Loaders(), ModelTable(Loaders())
        options = AspiredVersionsManagerOptions(
            step_interval_seconds=0.02,
            reload_failed_when_aspired_again=True,
            basic=BasicManagerOptions(
                load_threads=1, unload_threads=1, load=LoadOptions(retry_wait=Backoff(0.1))
            ),
        )
        manager = AspiredVersionsManager(options)
        aspirations = Aspirations(table, manager, loaders)
        out = StatusTopic(clients.producer(self.where, lambda problem: None), self.status)
        reports = ServableReports(name, table, manager, aspirations.follows, out)
        manager.bus.subscribe(reports.heard)
        lease = WorkerLease(WorkerIdentity(name, "headrace", "host", "1.0"), out)
        topic = ControlTopic(self.control, partial(clients.reader, self.where), clients.admin(self.where))
        loop = ControlLoop(ControlParts(topic, table, aspirations, manager, reports, out, lease, JoinRule()))
        thread = ControlThread(loop)
        thread.start()
        try:
            yield loop, manager
        finally:
            thread.close(PATIENCE_SECONDS)
            manager.close(PATIENCE_SECONDS)

    def headrace(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command: its exit status and what it printed."""
        where = ["--bootstrap-server", self._broker.bootstrap_servers]
        topics = ["--set", f"topics.control={self.control}", "--set", f"topics.status={self.status}"]
        code = run([*arguments, *where, *topics])
        printed = self._capsys.readouterr()
        return code, printed.out, printed.err

    def json(self, *arguments: str) -> Any:
        """What a command that succeeds prints for programs."""
        code, out, err = self.headrace(*arguments, "--output", "json")
        assert code == ExitCode.DONE, err
        return json.loads(out)

    def states(self) -> Mapping[tuple[str, int | None, str], str]:
        """What `headrace status` says of (model, version, worker)."""
        shown = self.json("status")["servables"]
        return {(s["model"], s["version"], s["worker"]): s["state"] for s in shown}


@pytest.fixture
def deployment(kafka_broker: Broker, topic: TopicFactory, capsys: pytest.CaptureFixture[str]) -> Deployment:
    """Topics as they should be, and known to the broker."""
    made = Deployment(kafka_broker, topic("control", 1, CONTROL), topic("status", 1, STATUS), capsys)
    admin = clients.admin(made.where)
    # The controller has them when the call returns; the broker hears of it a moment later.
    eventually(lambda: {made.control, made.status} <= admin.topics().keys())
    return made


def numpy_set(name: str, base_path: Path, versions: str) -> tuple[str, ...]:
    """`models set` of a NumPy model."""
    return ("models", "set", name, "--base-path", str(base_path), "--versions", versions, "--loader", "numpy")


def test_a_model_is_set_awaited_changed_listed_and_removed(deployment: Deployment, tmp_path: Path) -> None:
    """Two workers follow; each command ends when both have."""
    for version in (1, 2):
        numpy_models.write_dense(tmp_path, version)
    wait = ("--wait", "--timeout", str(PATIENCE_SECONDS))
    with ExitStack() as stack:
        first = stack.enter_context(deployment.worker("first"))
        second = stack.enter_context(deployment.worker("second"))
        # A command counts the workers that live when it looks.
        eventually(lambda: len(deployment.json("status")["workers"]) == 2)

        written = deployment.json(*numpy_set("m", tmp_path, "1"), "--comment", "first", *wait)
        assert written["workers"] == {"first": [1], "second": [1]}
        assert written["config"]["revision"] == 1
        eventually(lambda: all(loop.ready_to_join() for loop, _ in (first, second)))

        written = deployment.json(*numpy_set("m", tmp_path, "1,2"), "--label", "stable=1", *wait)
        assert written["workers"] == {"first": [1, 2], "second": [1, 2]}
        assert written["changed"]["versions"] == {"from": "1", "to": "1,2"}
        served = deployment.json("models", "wait", "m", "--version", "2", "--timeout", str(PATIENCE_SECONDS))
        assert served["workers"] == {"first": [2], "second": [2]}

        written = deployment.json(*numpy_set("m", tmp_path, "latest:1"), *wait)
        assert written["workers"] == {"first": [2], "second": [2]}
        (listed,) = deployment.json("models", "list")
        assert (listed["revision"], listed["versions"], listed["author"].count("@")) == (3, "latest:1", 1)
        assert [past["comment"] for past in listed["history"]] == ["", "first"]
        eventually(lambda: set(deployment.states()) == {("m", 2, "first"), ("m", 2, "second")})

        assert deployment.json("models", "remove", "m", *wait)["config"] is None
        assert [manager.available_ids() for _, manager in (first, second)] == [(), ()]
        assert deployment.json("models", "list") == []
    assert deployment.json("status") == {"workers": [], "servables": []}


def test_a_missing_path_fails_with_worker_and_reason_and_heals(
    deployment: Deployment, tmp_path: Path
) -> None:
    """The other model is not touched."""
    numpy_models.write_dense(tmp_path / "good")
    with deployment.worker("w") as (loop, manager):
        deployment.json(*numpy_set("good", tmp_path / "good", "1"), "--wait")
        code, _, err = deployment.headrace(*numpy_set("m", tmp_path / "bad", "1"), "--wait")
        assert code == ExitCode.FAILED
        assert "'m' has failed on worker w: version 1: the base path cannot be listed" in err
        assert deployment.states() == {("good", 1, "w"): "AVAILABLE", ("m", 1, "w"): "END"}
        assert loop.ready_to_join()

        numpy_models.write_dense(tmp_path / "bad")
        eventually(lambda: len(manager.available_ids()) == 2)
        deployment.json("models", "wait", "good")
        eventually(lambda: deployment.headrace("models", "wait", "m", "--timeout", "5")[0] == ExitCode.DONE)


def test_a_worker_started_late_reads_the_same_models(deployment: Deployment, tmp_path: Path) -> None:
    """Removed ones are not among them, and what came last holds."""
    for version in (1, 2):
        numpy_models.write_dense(tmp_path, version)
    with deployment.worker("early") as (_, early):
        for name in ("m", "n", "gone"):
            for versions in ("1", "2"):
                deployment.json(*numpy_set(name, tmp_path, versions))
        deployment.json("models", "remove", "gone")
        deployment.json("models", "wait", "n")
        with deployment.worker("late") as (loop, late):
            eventually(loop.ready_to_join)
            eventually(lambda: late.available_ids() == early.available_ids())
            assert [str(each) for each in late.available_ids()] == ["m/2", "n/2"]


@pytest.mark.parametrize(
    ("partitions", "config", "said"),
    [
        (4, CONTROL, "it has 4 partitions instead of 1"),
        (1, {"cleanup.policy": "delete"}, "cleanup.policy is 'delete' instead of 'compact'"),
    ],
)
def test_a_misconfigured_control_topic_is_refused_by_workers_and_commands(
    kafka_broker: Broker,
    topic: TopicFactory,
    capsys: pytest.CaptureFixture[str],
    partitions: int,
    config: Mapping[str, str],
    said: str,
) -> None:
    """With what is wrong and what to do."""
    control = topic("wrong", partitions, config)
    deployment = Deployment(kafka_broker, control, topic("status", 1, STATUS), capsys)
    eventually(lambda: {control, deployment.status} <= clients.admin(deployment.where).topics().keys())
    code, _, err = deployment.headrace("models", "list")
    assert code == ExitCode.MISCONFIGURED
    assert said in err
    assert "headrace topics create" in err

    with deployment.worker("w") as (loop, _):
        eventually(lambda: said in str(loop.problem))
        assert not loop.ready_to_join()
        eventually(lambda: any(said in str(w["problem"]) for w in deployment.json("status")["workers"]))


def test_a_missing_control_topic_is_waited_for(
    kafka_broker: Broker, topic: TopicFactory, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nobody makes it by asking for it; once it is there the worker goes on."""
    numpy_models.write_dense(tmp_path)
    control = f"test-missing-{uuid.uuid4().hex[:12]}"
    deployment = Deployment(kafka_broker, control, topic("status", 1, STATUS), capsys)
    with deployment.worker("w") as (loop, _):
        eventually(lambda: "does not exist" in str(loop.problem))
        code, _, err = deployment.headrace(*numpy_set("m", tmp_path, "1"))
        assert (code, "headrace topics create" in err) == (ExitCode.MISCONFIGURED, True)
        admin = clients.admin(deployment.where)
        assert control not in admin.topics()

        assert admin.create_topics([TopicSpec(control, 1, 1, CONTROL)]) == {control: None}
        eventually(lambda: control in admin.topics())
        deployment.json(*numpy_set("m", tmp_path, "1"), "--wait")
        eventually(loop.ready_to_join)
        assert loop.problem is None
    admin.delete_topics([control])
