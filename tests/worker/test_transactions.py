"""`delivery.mode = "exactly_once"`: replies and offsets together, whatever goes wrong."""

from collections.abc import Sequence
from typing import Any

import pytest

from lifecycle.threads import ThreadPool
from schemas.model_config import BatchingOptions
from tests.fakes.kafka import FakeError, FakeMembership
from tests.fakes.request_path import DEAD_LETTERS, GROUP, REPLIES, REQUESTS, Lab, Worker, request
from tests.fakes.servables import ManualExecutor
from worker.kafka import errors
from worker.kafka.records import Message, TopicPartition
from worker.kafka.transactional import OutcomeUnknown
from worker.poll_loop import LONGEST_REST_SECONDS
from worker.transactions import STUCK_SECONDS, Transactions

ZERO = TopicPartition(REQUESTS, 0)
PATIENT_SECONDS = 30.0


def serving(
    partitions: int = 1, *, limits: dict[str, int] | None = None, **settings: Any
) -> tuple[Lab, Worker]:
    """A worker in transactions."""
    lab = Lab({REQUESTS: partitions, REPLIES: 1, DEAD_LETTERS: 1}, limits=limits)
    lab.set_model()
    delivery = {"mode": "exactly_once", **settings.pop("delivery", {})}
    return lab, lab.worker(delivery=delivery, **settings).join()


def send(lab: Lab, count: int, partitions: int = 1, first: int = 0) -> None:
    """Requests of one row."""
    for n in range(first, first + count):
        lab.send(request(n, id=f"{n}"), partition=n % partitions)


def by_hand(worker: Worker) -> tuple[Transactions, ManualExecutor]:
    """A worker's transactions, and what they run on from now on: each when the test says so."""
    transactions, threads = worker.group.committer, ManualExecutor()
    assert isinstance(transactions, Transactions)
    transactions._executor = threads
    return transactions, threads


def held(worker: Worker) -> tuple[int, int]:
    """Rows read and not committed; requests not answered. A step later than the broker a worker knows of a commit."""
    worker.step()
    budget = worker.budget
    return budget.bindings["default"].rows, sum(use.rows for use in budget.models.values())


def test_replies_and_offsets_come_together() -> None:
    """One transaction for what is ready together, in the order of the requests."""
    lab, worker = serving()
    send(lab, 10)

    worker.until_committed(10)

    assert [reply.id for reply in lab.replies()] == [f"{n}" for n in range(10)]
    assert worker.transactional[0].transactions == 1
    assert held(worker) == (0, 0)


def test_their_thread_ends_with_the_worker() -> None:
    """Nothing of a worker that has ended is left in its process, as where one is started by another program."""
    _, worker = serving()
    transactions, pool = worker.group.committer, ThreadPool(1, "transactions")
    assert isinstance(transactions, Transactions)
    transactions._executor = pool
    assert pool.alive == 1

    worker.close()

    assert pool.alive == 0


def test_a_slow_request_holds_back_what_is_behind_it_and_nothing_before() -> None:
    """A transaction ends before the first request without an answer: offsets never pass one."""
    lab, worker = serving()
    lab.set_model(
        "patient", batching=BatchingOptions(batch_timeout_seconds=PATIENT_SECONDS, max_batch_rows=100)
    )
    send(lab, 3)
    lab.send(request(3, model="patient", id="3"))
    send(lab, 3, first=4)
    worker.run_for(5.0)

    assert lab.committed() == 3
    assert [reply.id for reply in lab.replies()] == ["0", "1", "2"]

    worker.until_committed(7)

    assert [reply.id for reply in lab.replies()] == [f"{n}" for n in range(7)]
    assert held(worker) == (0, 0)


def test_errors_and_dead_letters_are_in_the_transactions() -> None:
    """Whatever is the outcome of a request, it comes once, with the offset."""
    lab, worker = serving()
    lab.send(request(0, id="0"))
    lab.send(b"no request", key=b"k", headers=[("a", b"1")])
    lab.send(request(2, model="unknown", id="2"))
    lab.send(None)

    worker.until_committed(4)

    assert lab.codes() == {"0": 0, "2": 5}
    letters = [
        (letter.value(), letter.key(), (letter.headers() or [])[0][0]) for letter in lab.dead_letters()
    ]
    assert letters == [(b"no request", b"k", "a"), (None, None, "kafka_dlt-original-topic")]
    assert worker.transactional[0].transactions == 1


@pytest.mark.parametrize(
    "problem",
    [
        errors.TimedOut("no answer"),
        errors.Retriable("the coordinator moves"),
        errors.NotAuthorized("not allowed"),
        errors.Fatal("of no use any more"),
        errors.Fenced("another one has come"),
        OutcomeUnknown("nobody answered"),
    ],
)
def test_a_transaction_that_failed_is_tried_again(problem: errors.KafkaProblem) -> None:
    """As it was, by a new producer where the old one is of no use: each request is answered once."""
    lab, worker = serving()
    worker.transactional[0].inject(problem)
    send(lab, 5)
    worker.step(3)
    send(lab, 5, first=5)

    worker.until_committed(10)

    assert [reply.id for reply in lab.replies()] == [f"{n}" for n in range(10)]
    assert held(worker) == (0, 0)
    useless = isinstance(problem, errors.Fatal | OutcomeUnknown)
    assert [producer.closed for producer in worker.transactional] == ([True, False] if useless else [False])


@pytest.mark.parametrize("problem", [errors.Fatal("gone"), OutcomeUnknown("nobody answered")])
def test_a_transaction_that_was_committed_unseen_is_not_repeated(problem: errors.KafkaProblem) -> None:
    """The group's offsets tell that it was."""
    lab, worker = serving()
    worker.transactional[0].inject(problem, after_commit=True)
    send(lab, 5)
    worker.step(3)
    send(lab, 5, first=5)

    worker.until_committed(10)
    worker.run_for(5.0)

    assert [reply.id for reply in lab.replies()] == [f"{n}" for n in range(10)]
    assert held(worker) == (0, 0)


def test_a_broker_that_is_away_is_waited_for() -> None:
    """Nothing is written, nothing is lost, and nothing twice."""
    lab, worker = serving()
    lab.broker.stalled = True
    send(lab, 5)
    worker.run_for(20.0)
    assert (lab.committed(), lab.replies()) == (0, [])

    lab.broker.stalled = False
    worker.until_committed(5)

    assert [reply.id for reply in lab.replies()] == [f"{n}" for n in range(5)]


def test_a_reply_that_the_topic_does_not_take_becomes_an_error() -> None:
    """Only that one: its neighbours in the batch are answered."""
    lab, worker = serving()
    send(lab, 2)
    lab.send(request(*range(500), id="large"))
    send(lab, 2, first=2)
    lab.broker.configs[REPLIES]["max.message.bytes"] = "600"  # less than was known of it

    worker.until_committed(5)

    assert lab.codes() == {"0": 0, "1": 0, "large": 8, "2": 0, "3": 0}
    assert held(worker) == (0, 0)


def test_a_topic_that_is_not_written_to_for_a_while_stops_nothing_for_good() -> None:
    """A right that is taken away and given back."""
    lab, worker = serving()
    lab.broker.refuse(REPLIES, FakeError("TOPIC_AUTHORIZATION_FAILED"), records=3)
    send(lab, 3)

    worker.until_committed(3)

    assert lab.codes() == {"0": 0, "1": 0, "2": 0}
    assert len(lab.replies()) == 3


def test_a_partition_whose_dead_letter_fits_nowhere_stops_and_no_other() -> None:
    """Its offset never passes the request that nothing could be said about."""
    lab, worker = serving(partitions=2)
    lab.send(request(0, id="0"), partition=0)
    lab.send(b"\x00" * 5000, partition=0)
    lab.send(request(1, id="1"), partition=1)
    lab.broker.configs[DEAD_LETTERS]["max.message.bytes"] = "1000"
    worker.run_for(5.0)
    lab.send(request(2, id="2"), partition=0)
    lab.send(request(3, id="3"), partition=1)
    worker.run_for(10.0)

    assert lab.committed(0) <= 1
    assert lab.committed(1) == 2
    assert {"1", "3"} <= lab.codes().keys()
    assert "2" not in lab.codes()
    assert worker.path.reading.stopped.keys() == {ZERO}
    assert held(worker) == (0, 0)
    assert worker.finish()


def test_a_dead_letter_too_large_by_its_headers_goes_with_fewer() -> None:
    """In a transaction too; of two that have one value it is the larger that is cut."""
    lab, worker = serving()
    lab.send(b"g" * 600, b"small")
    lab.send(b"g" * 600, b"large" * 20, [("own", b"1" * 100)])
    lab.send(request(2, id="2"))
    lab.broker.configs[DEAD_LETTERS]["max.message.bytes"] = "1200"

    worker.until_committed(3)

    small, large = lab.dead_letters()
    assert "kafka_dlt-exception-message" in dict(small.headers() or ())
    assert [name for name, _ in large.headers() or ()] == [
        "own",
        "kafka_dlt-original-topic",
        "kafka_dlt-original-partition",
        "kafka_dlt-original-offset",
        "kafka_dlt-exception-fqcn",
    ]
    assert lab.codes() == {"2": 0}
    assert held(worker) == (0, 0)


def test_a_request_without_a_route_gives_its_share_back() -> None:
    """It was counted against its model when it was read; as a dead letter it is no more."""
    lab, worker = serving()
    for n in range(10):
        lab.send(request(n, id=f"{n}"), headers=[("reply_to", b"forbidden")])

    worker.until_committed(10)

    assert len(lab.dead_letters()) == 10
    assert held(worker) == (0, 0)


def test_a_dead_letter_that_is_refused_for_another_reason_stops_its_partition() -> None:
    """One that the broker will never take is not tried for ever."""
    lab, worker = serving(partitions=2)
    lab.broker.refuse(DEAD_LETTERS, FakeError("INVALID_RECORD"), records=1000)
    lab.send(b"garbage", partition=0)
    lab.send(request(1, id="1"), partition=1)
    worker.run_for(10.0)

    assert (lab.committed(0), lab.committed(1)) == (0, 1)
    assert worker.path.reading.stopped.keys() == {ZERO}


def test_what_a_moved_partition_has_waiting_is_its_heirs() -> None:
    """The old owner finishes what it can in its time; what is left is answered once, by the new one."""
    lab, first = serving(delivery={"revoke_drain_seconds": 1, "poll_records": 4})
    send(lab, 8)
    lab.broker.stalled = True
    first.step(3)
    second = lab.worker(delivery={"mode": "exactly_once"}).join()
    lab.broker.move(GROUP, ZERO, second.consumer)
    first.run_for(3.0)
    lab.broker.stalled = False
    for _ in range(300):
        first.step()
        second.step()

    assert lab.committed() == 8
    assert sorted(lab.codes()) == [f"{n}" for n in range(8)]
    assert held(first) == (0, 0)


def test_a_member_that_the_group_has_moved_past_commits_nothing() -> None:
    """Its transaction is refused whole, and what it held is left to the heir."""
    lab, worker = serving()
    heir = lab.worker(delivery={"mode": "exactly_once"}).join()
    lab.broker.stalled = True
    send(lab, 5)
    worker.step(3)
    lab.broker.evict(worker.consumer)
    lab.broker.stalled = False
    worker.run_for(5.0)
    heir.until_committed(5)
    worker.run_for(5.0)

    assert sorted(lab.codes()) == [f"{n}" for n in range(5)]
    assert held(worker) == (0, 0)


def test_the_end_waits_for_the_last_transaction() -> None:
    """A worker that ends in order leaves nothing to be done again."""
    lab, worker = serving(delivery={"transaction_seconds": 10.0})
    send(lab, 3)
    worker.step(2)
    send(lab, 3, first=3)
    worker.step(2)

    assert worker.finish()
    assert lab.committed() == 6
    assert sorted(lab.codes()) == [f"{n}" for n in range(6)]


def test_transactions_have_a_pause_between_them_and_the_first_has_none() -> None:
    """A reply that comes alone goes at once; many share a transaction."""
    lab, worker = serving(delivery={"transaction_seconds": 1.0, "poll_records": 1})
    began = lab.clock()
    for n in range(40):
        lab.send(request(n, id=f"{n}"))
        worker.run_for(0.1)
        if n == 0:
            assert lab.committed() == 1
    worker.until_committed(40)

    assert worker.transactional[0].transactions <= 2 + (lab.clock() - began)


@pytest.mark.parametrize("committed", [False, True])
def test_a_transaction_that_hangs_in_the_client_is_left_alone(*, committed: bool) -> None:
    """Another producer, on another thread, goes on; what the first had committed by then is not repeated."""
    lab, worker = serving()
    transactions, threads = by_hand(worker)
    send(lab, 5)
    worker.step(3)
    (hanging,) = threads.jobs
    threads.jobs.clear()
    if committed:
        hanging()
        attempt = transactions._attempt
        assert attempt is not None
        attempt.done.clear()  # it has, and its thread does not come back
    worker.run_for(STUCK_SECONDS + 1)
    assert len(worker.transactional) == 2
    assert threads.lent == 1

    worker.step()
    while threads.jobs:
        threads.run()
        worker.step()

    assert lab.committed() == 5
    assert [reply.id for reply in lab.replies()] == [f"{n}" for n in range(5)]
    assert held(worker) == (0, 0)
    assert not worker.transactional[0].closed  # to close it would hang as well


def test_a_transaction_whose_calls_come_back_is_waited_for() -> None:
    """Brokers may take their time, and so may the process itself: only a call that does not return is given up."""
    lab, worker = serving()
    _, threads = by_hand(worker)
    send(lab, 5)
    worker.step(3)

    for _ in range(4):
        worker.transactional[0].last_call = lab.clock()
        worker.run_for(STUCK_SECONDS - 1)
    lab.clock.advance(10 * STUCK_SECONDS)  # the process is stopped, and goes on
    worker.run_for(STUCK_SECONDS - 1)
    while threads.jobs:
        threads.run()
        worker.step()

    assert len(worker.transactional) == 1
    assert lab.committed() == 5


def test_who_loses_partitions_waits_for_the_transaction_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A group may still take it, from one that comes back as the member that it was: until then nothing is read."""
    monkeypatch.setattr(FakeMembership, "is_current", True)
    lab, worker = serving()
    _, threads = by_hand(worker)
    send(lab, 5)
    worker.step(3)
    assert len(threads.jobs) == 1
    listener = worker.group._listener
    pump, pumped = listener._pump, []

    def slowly(seconds: float) -> None:
        pumped.append(seconds)
        if len(pumped) == 3:
            threads.run()
        pump(seconds)

    monkeypatch.setattr(listener, "_pump", slowly)
    lab.broker.evict(worker.consumer)

    worker.step(3)
    while threads.jobs:
        threads.run()
        worker.step(3)

    assert len(pumped) == 3
    assert lab.committed() == 5
    assert [reply.id for reply in lab.replies()] == [f"{n}" for n in range(5)]


def test_nothing_more_is_read_while_the_next_transaction_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read then would only fill the budget; but a member that never polls is none for long."""
    monkeypatch.setattr("worker.transactions.MOST_REQUESTS", 5)
    lab, worker = serving()
    committer, threads = by_hand(worker)
    send(lab, 5)
    worker.step(3)
    send(lab, 5, first=5)
    worker.run_for(1.0)
    assert committer.is_behind
    polls: list[float] = []
    poll = worker.consumer.poll

    def counted(max_records: int, timeout_seconds: float) -> Sequence[Message]:
        polls.append(lab.clock())
        return poll(max_records, timeout_seconds)

    monkeypatch.setattr(worker.consumer, "poll", counted)
    send(lab, 5, first=10)

    worker.run_for(1.0)

    assert 1 <= len(polls) <= 1.0 / LONGEST_REST_SECONDS + 1
    while threads.jobs:
        threads.run()
        worker.step(3)
    assert lab.committed() == 15
    assert not committer.is_behind


def test_a_request_that_has_no_place_for_its_answer_holds_nothing_when_it_is_a_dead_letter() -> None:
    """Its rows count against its model until then; kept, they would pause the binding in the end."""
    lab, worker = serving()
    lab.send(request(1, 2, 3, id="nowhere"), headers=[("reply_to", b"elsewhere")])
    send(lab, 1)

    worker.until_committed(2)

    assert len(lab.dead_letters()) == 1
    assert [reply.id for reply in lab.replies()] == ["0"]
    assert held(worker) == (0, 0)
