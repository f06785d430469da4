"""Promises 1 and 2 under any sequence of faults: two workers, one group, whatever goes wrong between them."""

import random

import pytest

from schemas import codec
from schemas.predict_reply import PredictReply
from tests.fakes.kafka_broker import FakeError
from tests.fakes.lab_servable import POISON
from tests.fakes.request_path import DEAD_LETTERS, GROUP, REPLIES, REQUESTS, Lab, Worker, request
from worker.kafka.records import TopicPartition

PARTITIONS, REQUESTS_SENT, SMALL_LIMIT = 3, 240, 2_000
SETTINGS = {
    "delivery": {"budget_rows": 40, "poll_records": 16, "revoke_drain_seconds": 1.0},
    "batching": {"max_batch_rows": 8, "max_enqueued_batches": 2},
}


class Storm:
    """A broker with faults in a random order, all of which pass."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lab = Lab({REQUESTS: PARTITIONS, REPLIES: 2, DEAD_LETTERS: 1})
        self.lab.set_model()
        self.workers = [
            self.lab.worker(producer_limits={"queue_records": 20}, **SETTINGS).join() for _ in range(2)
        ]
        self.ids: dict[TopicPartition, list[str]] = {
            TopicPartition(REQUESTS, n): [] for n in range(PARTITIONS)
        }

    def send(self, number: int) -> None:
        """Put one record of a random kind on a random partition."""
        where = self.random.randrange(PARTITIONS)
        name = f"{number}"
        kind = self.random.randrange(10)
        if kind == 0:
            self.lab.send(f"garbage {name}".encode(), partition=where)
        elif kind == 1:
            self.lab.send(request(POISON, id=name), partition=where)
        elif kind == 2:
            self.lab.send(request(1, id=name, model="nobody"), partition=where)
        elif kind == 3:
            self.lab.send(request(5_000, id=name, signature="text"), partition=where)
        elif kind == 4:
            self.lab.send(request(1, id=name), name.encode() * 1_000, partition=where)
        else:
            rows = self.random.randrange(1, 9)
            self.lab.send(request(*range(rows), id=name), partition=where)
        self.ids[TopicPartition(REQUESTS, where)].append(name)

    def trouble(self) -> None:
        """Let one thing go wrong, or right again."""
        broker = self.lab.broker
        what = self.random.randrange(8)
        if what == 0:
            broker.stalled = not broker.stalled
        elif what == 1:
            broker.unreachable = not broker.unreachable
        elif what == 2:
            error = self.random.choice(
                ["NOT_LEADER_FOR_PARTITION", "_MSG_TIMED_OUT", "TOPIC_AUTHORIZATION_FAILED"]
            )
            broker.refuse(
                self.random.choice([REPLIES, DEAD_LETTERS]), FakeError(error), self.random.randrange(1, 9)
            )
        elif what == 3:
            limit = self.random.choice([SMALL_LIMIT, 1_048_588])
            broker.configs[REPLIES]["max.message.bytes"] = str(limit)
        elif what == 4 and not broker.unreachable:
            self.random.choice(self.workers).directory.step()
        elif what == 5 and not broker.unreachable:
            broker.evict(self.random.choice(self.workers).consumer)
        elif what == 6:
            partition = self.random.choice(list(self.ids))
            broker.move(GROUP, partition, self.random.choice(self.workers).consumer)
        else:
            self.lab.clock.advance(self.random.random())

    def calm(self) -> None:
        """Let everything be right."""
        self.lab.broker.stalled = self.lab.broker.unreachable = False
        self.lab.broker.configs[REPLIES]["max.message.bytes"] = "1048588"

    def step(self) -> None:
        """One of the workers comes round."""
        worker: Worker = self.random.choice(self.workers)
        if self.lab.broker.unreachable and len(worker.consumer.assignment()) < PARTITIONS:
            worker.group.loop.pump(0.0)  # a partition that comes asks the broker where to begin
            return
        worker.step()

    def outcomes(self) -> dict[str, int]:
        """How many replies and dead letters each record has."""
        found: dict[str, int] = {}
        for reply in self.lab.broker.records(REPLIES):
            name = codec.decode(reply.value() or b"", PredictReply).id
            found[name] = found.get(name, 0) + 1
        for letter in self.lab.dead_letters():
            headers = dict(letter.headers() or ())
            partition = int.from_bytes(headers["kafka_dlt-original-partition"] or b"", "big")
            offset = int.from_bytes(headers["kafka_dlt-original-offset"] or b"", "big")
            name = self.ids[TopicPartition(REQUESTS, partition)][offset]
            found[name] = found.get(name, 0) + 1
        return found

    def assert_what_is_committed_has_its_outcome(self) -> None:
        """Promise 1."""
        outcomes = self.outcomes()
        for partition, names in self.ids.items():
            for offset in range(self.lab.committed(partition.partition)):
                assert outcomes.get(names[offset]), f"{partition}@{offset} is committed and has no outcome"


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_lost_and_nothing_is_committed_too_early(seed: int) -> None:
    """At each moment what is committed has its outcome; in the end everything has one, and nothing stands still."""
    storm = Storm(seed)
    for number in range(REQUESTS_SENT):
        storm.send(number)
        for _ in range(storm.random.randrange(4)):
            storm.trouble()
            storm.step()
        if number % 20 == 0:
            storm.assert_what_is_committed_has_its_outcome()
    storm.calm()

    def all_committed() -> bool:
        return all(storm.lab.committed(p.partition) == len(names) for p, names in storm.ids.items())

    for _ in range(20_000):
        if all_committed():
            break
        for worker in storm.workers:
            worker.step()

    assert all_committed()
    storm.assert_what_is_committed_has_its_outcome()
    assert set(storm.outcomes()) == {name for names in storm.ids.values() for name in names}
    for worker in storm.workers:
        worker.step(5)  # hears of its last commit
        assert worker.path.reading.stopped == {}
        budget = worker.budget
        assert {(use.rows, use.size_bytes) for use in budget.bindings.values()} <= {(0, 0)}
        assert worker.finish()
        worker.close()
    assert storm.lab.manager.close(0.0) == ()


@pytest.mark.parametrize("seed", range(5))
def test_without_a_lost_partition_nothing_is_repeated(seed: int) -> None:
    """Stalls, refusals and rebalances in order repeat nothing: each record has one outcome."""
    storm = Storm(seed)
    for number in range(REQUESTS_SENT):
        storm.send(number)
        for _ in range(storm.random.randrange(3)):
            storm.lab.broker.stalled = False  # what is revoked can be drained
            if storm.random.randrange(4) == 0:
                partition = storm.random.choice(list(storm.ids))
                storm.lab.broker.move(GROUP, partition, storm.random.choice(storm.workers).consumer)
            storm.step()
            storm.lab.broker.stalled = storm.random.random() < 0.5

    storm.calm()
    for _ in range(3_000):
        for worker in storm.workers:
            worker.step()

    assert set(storm.outcomes().values()) == {1}
    assert len(storm.outcomes()) == REQUESTS_SENT
