"""What becomes of the offsets of committed transactions when Kafka's only broker is killed; headrace has no part in it.

`python -m tests.chaos.only_kafka --minutes 5`: some threads commit an offset in a transaction, abort the next one, and
ask for the offset, again and again, while the broker is killed and started. An offset whose commit is confirmed must
be there. Kafka 4.3 loses some: it writes no end of a transaction to a partition without a leader (`run.FORGOTTEN`), as
those of `__consumer_offsets` are for a moment after a start, and the end of the aborted transaction takes what was
committed before with it.
"""

import argparse
import random
import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.chaos.run import FORGOTTEN, OFFSETS
from tests.kit.broker import KafkaBroker

TOPIC = "requests"
CALL_SECONDS = 30
QUIET_SECONDS = 20.0
NEVER = 1_000_000
"""Added to the offset of a transaction that is aborted; nobody may ever see it."""


class _Stopped(Exception):
    """It is over."""


class Committer:
    """One producer of transactions, and one group without members, which has one offset."""

    def __init__(self, servers: str, number: int, stop: threading.Event) -> None:
        client = {"bootstrap.servers": servers, "log_level": 0, "reconnect.backoff.max.ms": 500}
        self._producer_config = {**client, "transactional.id": f"only-kafka-{number}"}
        self._consumer = Consumer(
            {**client, "group.id": f"only-kafka-{number}", "isolation.level": "read_committed"}
        )
        self._number = number
        self._stop = stop
        self.done: Counter[str] = Counter()
        self.lost: list[str] = []

    def run(self) -> None:
        """Until told to stop; whatever cannot be known for certain is begun anew, with a new producer."""
        try:
            while True:
                producer = Producer(self._producer_config)
                try:
                    self._until_done(producer.init_transactions, CALL_SECONDS)
                    self._commit_and_abort(producer)
                except KafkaException:
                    self.done["began anew"] += 1
        except _Stopped:
            self._consumer.close()

    def _commit_and_abort(self, producer: Producer) -> None:
        offset = max(0, self._committed())
        while True:
            self._transaction(producer, offset + 1, producer.commit_transaction)
            offset += 1
            self.done["committed"] += 1
            self._transaction(producer, offset + NEVER, producer.abort_transaction)
            found = self._committed()
            if found != offset:
                self.lost.append(f"group {self._number}: {offset} was committed, {found} is there")
                offset = max(0, found)

    def _transaction(self, producer: Producer, offset: int, end: Callable[[float], Any]) -> None:
        producer.begin_transaction()
        places = [TopicPartition(TOPIC, self._number, offset)]
        group = self._consumer.consumer_group_metadata()
        self._until_done(producer.send_offsets_to_transaction, places, group, CALL_SECONDS)
        self._until_done(end, CALL_SECONDS)

    def _committed(self) -> int:
        places = [TopicPartition(TOPIC, self._number)]
        while True:
            (found,) = self._until_done(self._consumer.committed, places, CALL_SECONDS)
            if found.error is None:
                return int(found.offset)

    def _until_done(self, call: Callable[..., Any], *arguments: object) -> Any:
        while not self._stop.is_set():
            try:
                return call(*arguments)
            except KafkaException as problem:
                error: KafkaError = problem.args[0]
                unclear = error.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT)
                if not (error.retriable() or unclear):
                    raise
        raise _Stopped


def main() -> int:
    """Kill and start, and say what was lost; 0 whatever came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.only_kafka", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long (default: 5)")
    parser.add_argument("--producers", type=int, default=16, help="how many there are (default: 16)")
    parser.add_argument("--seed", type=int, help="decides when the broker is killed (default: chance)")
    options = parser.parse_args()
    seed = secrets.randbits(32) if options.seed is None else options.seed
    chance, stop, kills = random.Random(seed), threading.Event(), 0
    with KafkaBroker() as broker:
        servers = broker.bootstrap_servers
        admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        admin.create_topics([NewTopic(TOPIC, options.producers, 1)])[TOPIC].result()
        committers = [Committer(servers, number, stop) for number in range(options.producers)]
        for committer in committers:
            # Where the broker has forgotten a transaction a call hangs longer than it may: nobody waits for it.
            threading.Thread(target=committer.run, daemon=True).start()
        end = time.monotonic() + options.minutes * 60
        while time.monotonic() < end:
            stop.wait(chance.uniform(2.0, 6.0))
            broker.kill()
            broker.start()
            kills += 1
        stop.wait(QUIET_SECONDS)
        stop.set()
        done = sum((committer.done for committer in committers), Counter())
        lost = [line for committer in committers for line in committer.lost]
        forgot = (
            "ends of transactions left out of offsets"
            if broker.has_logged(FORGOTTEN, OFFSETS)
            else "none left out"
        )
    sys.stdout.write(
        f"seed {seed}: {kills} kills, {dict(done)}; {forgot}; {len(lost)} committed offsets lost\n"
    )
    sys.stdout.writelines(f"{line}\n" for line in lost)
    return 0


if __name__ == "__main__":
    sys.exit(main())
