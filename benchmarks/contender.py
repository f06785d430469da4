"""What a contender is: a process that answers requests from one topic on another until it is told to end.

The two baselines run as `python -m benchmarks.baseline NAME JOB`, JOB being a JSON object; headrace runs as a user
runs it, with `headrace worker`. All use the same client settings (`worker.kafka.client_config`).
"""

import json
import os
import signal
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import confluent_kafka

from benchmarks.topics import Topics
from worker import huge_pages, process_tuning
from worker.freed_memory import FreedMemory
from worker.kafka import client_config
from worker.settings import environment_name
from worker.stop_flag import StopFlag

COMMIT_SECONDS = 0.5
FREED_BYTES = 64 << 20

# Through the class: a fifth of what calling a method by its name costs.
_error, _partition, _offset = (
    confluent_kafka.Message.error,
    confluent_kafka.Message.partition,
    confluent_kafka.Message.offset,
)


@dataclass(frozen=True, slots=True)
class Job:
    """What a contender is to do.

    Attributes:
        bootstrap_servers: the broker.
        group: its consumer group, new in each run.
        requests: the topic to read.
        replies: the topic to write.
        model: the SavedModel's version directory.
        headers: whether replies carry their request's headers.
        reply_bytes: the size of each reply of the baseline that answers with bytes of no meaning.
    """

    bootstrap_servers: str
    group: str
    requests: str
    replies: str
    model: str
    headers: bool = False
    reply_bytes: int = 0

    def text(self) -> str:
        """As an argument of a process."""
        return json.dumps(asdict(self))


class Clients:
    """A consumer and a producer as the baselines use them: everything committed is acknowledged."""

    def __init__(self, job: Job) -> None:
        where = client_config.connection(job.bootstrap_servers)
        self.consumer: Any = confluent_kafka.Consumer(
            {**client_config.group_consumer_config(where, job.group), "auto.offset.reset": "earliest"}
        )
        config: dict[str, Any] = dict(client_config.producer_config(where, only_failures=True))
        # The Python client does this one itself, and takes no text for it.
        config["delivery.report.only.error"] = True
        self.producer: Any = confluent_kafka.Producer(config)
        self.consumer.subscribe([job.requests])
        self.topic = job.replies
        self._headers = job.headers
        self._requests = job.requests
        self._read: dict[int, int] = {}

    def consume(self, count: int) -> list[Any]:
        """The next messages; remembered for the next commit."""
        first = self.consumer.poll(0.1)
        messages = [] if first is None else [first, *self.consumer.consume(count - 1, 0)]
        for error in filter(None, map(_error, messages)):
            raise confluent_kafka.KafkaException(error)
        self._read.update(zip(map(_partition, messages), map(_offset, messages), strict=True))
        return messages

    def send(self, messages: list[Any], values: Iterable[bytes]) -> None:
        """A reply to each message, with its headers where the job says so.

        Only failures are reported; `commit` waits until nothing is on its way any more.
        """
        produce, topic, with_headers = self.producer.produce, self.topic, self._headers
        for message, value in zip(messages, values, strict=True):
            while True:
                try:
                    if with_headers:
                        produce(topic, value, on_delivery=on_delivery, headers=message.headers())
                    else:
                        produce(topic, value, on_delivery=on_delivery)
                    break
                except BufferError:
                    self.producer.poll(0.05)
        self.producer.poll(0)

    def commit(self) -> None:
        """Wait until every reply is acknowledged, then commit what was read."""
        if self.producer.flush(30.0):
            raise TimeoutError("replies are not acknowledged")
        offsets = [confluent_kafka.TopicPartition(self._requests, p, o + 1) for p, o in self._read.items()]
        if offsets:
            self.consumer.commit(offsets=offsets, asynchronous=False)
        self._read.clear()


def on_delivery(error: Any, _message: Any) -> None:
    """A reply that is not delivered ends the run."""
    if error is not None:
        raise confluent_kafka.KafkaException(error)


def tune_process() -> None:
    """Give a baseline's process what headrace gives its own; called before it begins."""
    FreedMemory(FREED_BYTES).keep()
    process_tuning.keep_collections_small()


def stop_event() -> StopFlag:
    """Set by SIGTERM."""
    stop = StopFlag()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return stop


def headrace_command(
    job: Job, topics: Topics | None = None, settings: Mapping[str, object] | None = None
) -> tuple[list[str], dict[str, str]]:
    """The command line and environment of a worker for that job; *settings* by their dotted names come on top.

    *topics* has the control and the status topic; without it they have their usual names.
    Settings in the environment of `make bench` reach the worker too, so that their effect can be measured.
    """
    binding = {"request_topics": [job.requests], "reply_topic": job.replies}
    own: dict[str, object] = {
        "kafka.bootstrap_servers": job.bootstrap_servers,
        "kafka.group": job.group,
        "bindings": [binding],
        "http.port": 0,
        "log.level": "warning",
    }
    if topics is not None:
        own |= {"topics.control": topics.control, "topics.status": topics.status}
    own.update(settings or {})
    environment = {environment_name(name): _text(value) for name, value in own.items()}
    return [sys.executable, "-m", "worker", "worker"], environment


def baseline_command(name: str, job: Job) -> tuple[list[str], dict[str, str]]:
    """The command line and environment of a baseline for that job; it has huge pages where headrace gets them."""
    command = [sys.executable, "-m", "benchmarks.baseline", name, job.text()]
    return command, huge_pages.asking(os.environ)


def new_group() -> str:
    """A consumer group that nobody has used, so that a run begins with the first request."""
    return f"bench-{uuid.uuid4().hex[:8]}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
