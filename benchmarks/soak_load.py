"""A load that never lets a worker wait and never runs far ahead of it, as a process of its own, until SIGTERM.

`python -m benchmarks.soak_load SOAK`, SOAK being a JSON object (`SoakLoad`). At most `WAITING` requests have no reply:
enough that the worker always finds some, and so few that the request topic may forget what is older.
"""

import itertools
import json
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import load
from benchmarks.topics import PARTITIONS
from worker.kafka import client_config, clients, errors
from worker.kafka.errors import KafkaProblem
from worker.kafka.records import Message, TopicPartition
from worker.stop_flag import StopFlag

WAITING = 80_000
"""About 26 MB, of which no partition ever has more than it keeps (`benchmarks.topics.KEEPS_LITTLE`)."""
CHUNK = 4_000
POOL = 100_000
"""Different requests, which are sent again and again."""
PAUSE_SECONDS = 0.005
LAST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SoakLoad:
    """What to send to, and where to write how many were sent.

    Attributes:
        bootstrap_servers: the broker.
        requests: the topic to write.
        replies: the topic whose records are counted.
        out: the file to write at the end, with one number.
    """

    bootstrap_servers: str
    requests: str
    replies: str
    out: str

    def command(self) -> list[str]:
        """The command line of the process."""
        return [sys.executable, "-m", "benchmarks.soak_load", json.dumps(asdict(self))]


def run(job: SoakLoad, stop: StopFlag) -> int:
    """Send until stopped; how many requests the broker has taken.

    Raises:
        KafkaProblem: the broker refused one.
        TimeoutError: it did not take the last ones.
    """
    where = client_config.connection(job.bootstrap_servers)
    pool = [value for chunk in load.values(POOL) for value in chunk]
    chunks = itertools.cycle([pool[start : start + CHUNK] for start in range(0, POOL, CHUNK)])
    reader = clients.reader(where, _Silent())
    places = [TopicPartition(job.replies, number) for number in range(PARTITIONS)]
    producer = clients.producer(where, _go_on, only_failures=True)
    sent = answered = 0
    try:
        while not stop.is_set():
            if sent - answered > WAITING - CHUNK:
                answered = sum(reader.watermarks(place)[1] for place in places)
            if sent - answered > WAITING - CHUNK:
                producer.poll(PAUSE_SECONDS)
                continue
            chunk, taken = next(chunks), 0
            while taken < CHUNK:
                taken += producer.send(job.requests, chunk[taken:], on_delivery=_not_written)
                producer.poll(0.0 if taken == CHUNK else PAUSE_SECONDS)
            sent += CHUNK
        if left := producer.flush(LAST_SECONDS):
            raise TimeoutError(f"{left} requests did not reach the broker")
    finally:
        producer.close()
        reader.close()
    return sent


class _Silent:
    """The reader's problems end the run by its time-out."""

    def on_problem(self, problem: KafkaProblem) -> None:
        """Nothing to do: the client goes on trying."""

    def on_out_of_range(self, partition: TopicPartition, offset: int) -> None:
        """Nothing is read."""


def _go_on(_problem: KafkaProblem) -> None:
    """A broker that is busy; what is not written in the end is told by its report."""


def _not_written(error: Any, record: Message) -> None:
    raise errors.translate(error, topic=record.topic())


def main() -> int:
    """Send until SIGTERM; then say how many there were."""
    stop = StopFlag()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    job = SoakLoad(**json.loads(sys.argv[1]))
    sent = run(job, stop)
    Path(job.out).write_text(str(sent), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
