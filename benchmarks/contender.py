"""What a contender is: a process that answers requests from one topic on another until it is told to end.

The two baselines run as `python -m benchmarks.baseline NAME JOB`, JOB being a JSON object; headrace runs as a user
runs it, with `headrace worker`. All use the same client settings (`worker.kafka.client_config`).
"""

import json
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from operator import methodcaller
from typing import Any

import confluent_kafka

from worker.kafka import client_config

COMMIT_SECONDS = 0.5

_error, _partition, _offset = methodcaller("error"), methodcaller("partition"), methodcaller("offset")


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
    """

    bootstrap_servers: str
    group: str
    requests: str
    replies: str
    model: str
    headers: bool = False

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
        config = client_config.producer_config(where)
        del config[
            "delivery.report.only.error"
        ]  # the client wants no text here; its default is what is meant
        self.producer: Any = confluent_kafka.Producer(config)
        self.consumer.subscribe([job.requests])
        self.topic = job.replies
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


def stop_event() -> threading.Event:
    """Set by SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return stop


def headrace_command(job: Job) -> tuple[list[str], dict[str, str]]:
    """The command line and environment of a worker for that job."""
    environment = {
        "HEADRACE_KAFKA__BOOTSTRAP_SERVERS": job.bootstrap_servers,
        "HEADRACE_KAFKA__GROUP": job.group,
        "HEADRACE_BINDINGS": json.dumps([{"request_topics": [job.requests], "reply_topic": job.replies}]),
        "HEADRACE_HTTP__PORT": "0",
        "HEADRACE_LOG__LEVEL": "warning",
    }
    return [sys.executable, "-m", "worker", "worker"], environment


def baseline_command(name: str, job: Job) -> tuple[list[str], dict[str, str]]:
    """The command line of a baseline for that job."""
    return [sys.executable, "-m", "benchmarks.baseline", name, job.text()], {"TF_CPP_MIN_LOG_LEVEL": "2"}
