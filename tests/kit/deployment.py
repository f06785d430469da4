"""A deployment for one test: topics of its own, a group of its own, workers, and a person's ways to talk to them."""

import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from schemas import codec
from schemas.errors import WireError
from schemas.model_config import BatchingOptions, ModelConfig
from schemas.predict_request import PredictRequest
from schemas.servable_status import ServableStatus
from schemas.version_selection import LatestVersions, SpecificVersions, VersionSelection
from tests.kit.broker import Broker, ForeignBroker
from tests.kit.sending import Sender, Traffic
from tests.kit.topic_changes import patient_admin
from tests.kit.verifier import Account, account, read_topic
from tests.kit.waiting import PATIENCE_SECONDS, wait_until
from tests.kit.worker import HEADRACE, RunningWorker, run_command
from worker import app
from worker.commands.control_access import ControlAccess, access_of
from worker.control_writer import Written
from worker.kafka.records import Headers, Message
from worker.kafka.topic_facts import TopicSpec
from worker.settings_loading import load_settings
from worker.topic_plan import planned_dead_letter_topics, planned_topics

MISSED_SOON: Mapping[str, object] = {
    "kafka.consumer_properties.session.timeout.ms": 6000,
    "kafka.consumer_properties.heartbeat.interval.ms": 300,
}
"""A member that was killed is missed after 6 seconds instead of 45; brokers allow no less by default."""


class Deployment:
    """Topics, group, workers. A context manager: leaving it ends every worker.

    Args:
        broker: where.
        folder: where logs and models go.
        settings: by dotted name, for every worker and command; `start_worker` takes more for one.
        binding: fields of the one binding besides its topics.
        partitions: of the request topic and of the reply topic.
        topic_config: by `control`, `status`, `requests`, `replies` or `dead_letters`: what those topics have
            besides what `headrace topics create` gives them.
        replication: replicas of each partition.
    """

    def __init__(
        self,
        broker: Broker,
        folder: Path,
        settings: Mapping[str, object] | None = None,
        *,
        binding: Mapping[str, object] | None = None,
        partitions: int = 4,
        topic_config: Mapping[str, Mapping[str, str]] | None = None,
        replication: int = 1,
    ) -> None:
        name = f"test-{uuid.uuid4().hex[:8]}"
        self.control, self.status = f"{name}.control", f"{name}.status"
        self.requests, self.replies = f"{name}.requests", f"{name}.replies"
        self.dead_letters = f"{self.requests}-dlt"
        self.group = name
        self.partitions = partitions
        self.workers: list[RunningWorker] = []
        own_binding = {"request_topics": [self.requests], "reply_topic": self.replies, **(binding or {})}
        self.flags: dict[str, object] = {
            "kafka.bootstrap_servers": broker.bootstrap_servers,
            "kafka.group": self.group,
            "topics.control": self.control,
            "topics.status": self.status,
            "bindings": [own_binding],
            "status.interval_seconds": 0.5,
            "lifecycle.quiet_seconds": 0,  # tests write a model and serve it at once
            **(settings or {}),
        }
        self.settings = load_settings(self.flags, environ={}).settings
        self.where = app.connection(self.settings)
        self._folder = folder
        self._broker = broker
        self.admin = patient_admin(self.where)
        self._sender = Sender(self.where)
        self._access: ControlAccess = access_of(self.settings)
        self._create_topics(topic_config or {}, replication)

    # Workers

    def start_worker(
        self, settings: Mapping[str, object] | None = None, program: Sequence[str] = HEADRACE
    ) -> RunningWorker:
        """Start a worker process with the deployment's settings and these; ids are w1, w2 and so on."""
        number = len(self.workers) + 1
        log_file = self._folder / f"{self.group}-w{number}.log"
        own = {"worker_id": f"w{number}", **self.flags, **(settings or {})}
        worker = RunningWorker(own, log_file, program)
        self.workers.append(worker)
        return worker

    def command(
        self, *arguments: str, timeout_seconds: float = 2 * PATIENCE_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run `headrace ARGUMENTS` with the deployment's settings, as a person does."""
        return run_command(arguments, self.flags, timeout_seconds)

    # Models

    def set_model(
        self, name: str, base_path: Path | str, versions: Sequence[int] | None = None, **fields: Any
    ) -> Written:
        """Say what is desired of a model by the writer that `headrace models set` uses; *versions* None: latest.

        The loader is NumPy's unless *fields* (those of a `ModelConfig`) say otherwise.
        """
        selection: VersionSelection = (
            LatestVersions(1) if versions is None else SpecificVersions(tuple(versions))
        )
        config = ModelConfig(base_path=str(base_path), loader="numpy", versions=selection)
        return self._write(name, replace(config, **fields))

    def remove_model(self, name: str) -> Written:
        """Take a model away: a tombstone."""
        return self._write(name, None)

    def _write(self, name: str, config: ModelConfig | None) -> Written:
        with self._access.writing() as writer:
            return writer.write(name, lambda _before: config)

    # Requests

    def send(
        self,
        values: Sequence[bytes | PredictRequest],
        *,
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers | None] | None = None,
        topic: str | None = None,
        partition: int = -1,
    ) -> list[Message]:
        """Write requests (records as they are, or raw bytes), and wait until the broker has them; the reports.

        Raises:
            KafkaProblem: one was refused.
        """
        reports = self._sender.begin(
            topic or self.requests, values, keys=keys, headers=headers, partition=partition
        )
        self._sender.finish()
        return reports

    def begin_sending(self, values: Sequence[bytes | PredictRequest]) -> None:
        """Hand requests over, which are then sent in the background; `send` waits for them too."""
        self._sender.begin(self.requests, values)

    def traffic(self, request: Callable[[int], bytes | PredictRequest], **options: Any) -> Traffic:
        """Requests without a pause for the length of a `with` block."""
        return Traffic(self.where, self.requests, request, **options)

    # What came of them

    def unanswered(self) -> int:
        """Records of the request topic that the group has not committed; out of a queue, requests without a reply.

        A share group commits nothing that could be asked for. There each request needs an id of its own.
        """
        if self.settings.delivery.mode == "queue":
            sent = self.records_written(self.requests)
            written = self.replies_written() + self.records_written(self.dead_letters)
            return max(0, sent - written) or sent - self._done()
        found = self.admin.lag(self.group, [self.requests]).values()
        return sum(lag.end if lag.committed is None else lag.records or 0 for lag in found)

    def _done(self) -> int:
        """Requests with a reply, and records that became dead letters without one."""
        found = self.account()
        return len(found.replies) + sum(letter.kind != "DeliveryLimitError" for letter in found.dead_letters)

    def wait_until_answered(self, within_seconds: float = 2 * PATIENCE_SECONDS) -> None:
        """Wait until every request is committed, which promises that it has its reply or dead letter (or see above)."""

        def what() -> str:
            tails = "\n".join(f"--- {w.log_file.name}\n{w.log_tail(15)}" for w in self.workers)
            return f"all answered ({self.unanswered()} requests are not); the workers' logs end:\n{tails}"

        pause = 1.0 if self.settings.delivery.mode == "queue" else 0.1
        wait_until(lambda: self.unanswered() == 0, what, within_seconds=within_seconds, every_seconds=pause)

    def replies_written(self) -> int:
        """How many records the reply topic has had."""
        return self.records_written(self.replies, self.partitions)

    def records_written(self, topic: str, partitions: int = 1) -> int:
        """How many records a topic has had: the sum of its partitions' ends."""
        found = self.admin.lag("nobody", [topic])
        assert len(found) >= partitions
        return sum(lag.end for lag in found.values())

    def account(self, reply_topics: Mapping[str, int] | None = None) -> Account:
        """Read reply topic(s) and dead-letter topic whole; *reply_topics* gives others, with their partitions."""
        topics = {self.replies: self.partitions} if reply_topics is None else reply_topics
        replies = [
            message for topic, count in topics.items() for message in read_topic(self.where, topic, count)
        ]
        return account(replies, read_topic(self.where, self.dead_letters, self.partitions))

    def status_events(self, model: str | None = None) -> list[ServableStatus]:
        """Every servable status that was ever said and is still there, in the order in which it was said."""
        found = []
        for message in read_topic(self.where, self.status, 1):
            try:
                status = codec.decode(message.value() or b"", ServableStatus)
            except WireError:
                continue  # a worker's own status, or a tombstone
            if model in {None, status.model}:
                found.append(status)
        return found

    def wait_for_state(
        self,
        model: str,
        version: int,
        state: str,
        *,
        worker: str | None = None,
        within_seconds: float = PATIENCE_SECONDS,
    ) -> ServableStatus:
        """Wait until a worker's (any worker's, by default) latest word on a version is this state."""
        with self._access.watching() as reader:

            def look() -> list[ServableStatus]:
                reader.poll(0.1)
                return [
                    each
                    for each in reader.fleet.servables(worker, model)
                    if each.version == version and str(each.state) == state
                ]

            return wait_until(
                look,
                lambda: f"{model}/{version} {state}; said is {list(reader.fleet.servables(worker, model))}",
                within_seconds=within_seconds,
                every_seconds=0.0,
            )[0]

    def wait_until_gone(self, model: str, version: int, within_seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until no worker says anything of a version any more."""
        with self._access.watching() as reader:

            def gone() -> bool:
                reader.poll(0.1)
                return all(each.version != version for each in reader.fleet.servables(None, model))

            wait_until(
                gone,
                lambda: f"nothing said of {model}/{version}: {list(reader.fleet.servables(None, model))}",
                within_seconds=within_seconds,
                every_seconds=0.0,
            )

    def close(self) -> None:
        """End every worker, and take the topics away from a broker that is not ours."""
        for worker in self.workers:
            worker.close()
        self._sender.close()
        if isinstance(self._broker, ForeignBroker):
            self.admin.delete_topics(
                [self.control, self.status, self.requests, self.replies, self.dead_letters]
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _create_topics(self, extra: Mapping[str, Mapping[str, str]], replication: int) -> None:
        more = {getattr(self, purpose): config for purpose, config in extra.items()}
        planned = planned_topics(self.settings, self.partitions)
        planned += planned_dead_letter_topics(self.settings, {}, self.partitions)
        specs = [
            TopicSpec(t.name, t.partitions, replication, {**t.config, **more.get(t.name, {})})
            for t in planned
        ]
        for problem in self.admin.create_topics(specs).values():
            if problem is not None:
                raise problem


DeploymentFactory = Callable[..., Deployment]
"""Makes deployments that end with the test; the arguments are `Deployment`'s, without broker and folder."""


def batching(rows: int) -> BatchingOptions:
    """Batches of at most so many rows, for `set_model(..., batching=...)`."""
    return BatchingOptions(max_batch_rows=rows)
