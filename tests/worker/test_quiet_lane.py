"""Replies whose acknowledgement is not reported one by one."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas import codec
from schemas.predict_reply import PredictReply
from tests.fakes.clock import FakeClock
from tests.fakes.kafka import FakeProducer
from tests.fakes.kafka_broker import FakeBroker, FakeError, FakeMessage
from tests.fakes.request_path import EPOCH_SECONDS, REPLIES, Lab, request
from worker.delivery import Delivery, Failure, Origin
from worker.polled_records import PolledRecords
from worker.publisher import QUIET_RECORDS
from worker.quiet_lane import LONGEST_OPEN_SECONDS, QuietLane

MANY = 3 * QUIET_RECORDS


class Bench:
    """A lane to a topic, and what became of the deliveries that were sent by it."""

    def __init__(self, most_records: int = 1000) -> None:
        self.clock = FakeClock()
        self.broker = FakeBroker(lambda: EPOCH_SECONDS)
        self.topic = self.broker.create_topic("replies")
        self.lane = QuietLane(
            FakeProducer(self.broker, only_failures=True), most_records=most_records, clock=self.clock
        )
        self.settled: list[Delivery] = []
        self.failures: list[Failure] = []

    def send(self, count: int) -> Delivery:
        """Replies to so many requests."""
        messages = [FakeMessage("requests", b"v", partition=0)] * count
        origin = Origin(
            PolledRecords("requests", "default", messages, 0.0), list(range(count)), "m", count, 0
        )
        delivery = Delivery(
            origin,
            answer=None,
            reason=None,
            handed_ms=0.0,
            on_settled=self.settled.append,
            on_failure=self.failures.append,
        )
        handed = self.lane.begin(delivery)
        sent = self.lane.producer.send(self.topic, [b"r"] * count, on_delivery=handed.report)
        self.lane.sent(handed, sent)
        return delivery


def test_nothing_is_settled_while_the_client_holds_anything() -> None:
    """Not even what was sent long before: an acknowledgement says nothing about other records."""
    bench = Bench()
    bench.broker.stalled = True
    first = bench.send(3)

    bench.lane.serve()
    assert bench.settled == []
    assert len(bench.lane) == 3

    bench.broker.stalled = False
    bench.lane.serve()
    assert bench.settled == [first]
    assert len(bench.lane) == 0


def test_what_failed_is_not_settled() -> None:
    """A delivery waits for each of its records, however the others fared."""
    bench = Bench()
    bench.broker.refuse(bench.topic, FakeError("NOT_LEADER_FOR_PARTITION"), records=5)
    delivery = bench.send(5)

    bench.lane.serve()

    assert (bench.settled, delivery.pending) == ([], 5)
    assert [failure.delivery for failure in bench.failures] == [delivery] * 5


@pytest.mark.parametrize("reason", ["records", "time"])
def test_a_lane_that_is_never_empty_closes_until_it_is(reason: str) -> None:
    """So that what has been answered is known in a bounded time and number of requests."""
    bench = Bench(most_records=10)
    bench.broker.stalled = True
    bench.send(10 if reason == "records" else 9)
    if reason == "time":
        bench.lane.serve()
        assert bench.lane.open
        bench.clock.advance(LONGEST_OPEN_SECONDS)

    bench.lane.serve()
    assert not bench.lane.open

    bench.broker.stalled = False
    bench.lane.serve()
    assert bench.lane.open


def test_what_is_sent_while_reports_are_taken_waits_for_the_next_time() -> None:
    """Between the look at what has been sent and the look at the client, more may have been sent and written."""
    bench = Bench()
    late: list[Delivery] = []

    class Interrupted(FakeProducer):
        def poll(self, timeout_seconds: float = 0.0) -> int:
            served = super().poll(timeout_seconds)
            if not late:
                late.append(bench.send(2))
                super().poll()
            return served

    bench.lane = QuietLane(Interrupted(bench.broker, only_failures=True), most_records=10, clock=bench.clock)
    first = bench.send(2)

    bench.lane.serve()
    assert bench.settled == [first]

    bench.lane.serve()
    assert bench.settled == [first, *late]


def lab(**settings: Any) -> Lab:
    """A model, and requests for one large block."""
    found = Lab(**settings)
    found.set_model()
    return found


def test_a_large_block_has_no_report_for_each_reply() -> None:
    """And is committed all the same."""
    one = lab()
    worker = one.worker().join()
    for n in range(MANY):
        one.send(request(n, id=f"{n}"))

    worker.until_committed(MANY)

    assert one.codes() == {f"{n}": 0 for n in range(MANY)}


def test_nothing_is_committed_before_the_broker_has_it() -> None:
    """With the broker stalled the offsets stay, however long."""
    one = lab()
    worker = one.worker().join()
    worker.step()
    one.broker.stalled = True
    for n in range(MANY):
        one.send(request(n, id=f"{n}"))

    worker.run_for(10.0)
    assert one.committed() == 0

    one.broker.stalled = False
    worker.until_committed(MANY)
    assert len(one.codes()) == MANY


@pytest.mark.parametrize("id_of", [lambda _: "", str], ids=["no ids", "ids"])
def test_replies_of_a_large_block_that_fail_are_sent_again_with_their_own_headers(
    id_of: Callable[[int], str],
) -> None:
    """Also with equal ids, keys and values, where only the correlation id tells the replies apart."""
    one = lab()
    worker = one.worker().join()
    one.broker.refuse(REPLIES, FakeError("NOT_LEADER_FOR_PARTITION"), records=MANY // 2)
    for n in range(MANY):
        one.send(request(1, id=id_of(n)), b"k", [("correlation_id", b"%d" % n)])

    worker.until_committed(MANY)

    found = {
        int(dict(m.headers() or ())["correlation_id"] or b""): codec.decode(m.value() or b"", PredictReply).id
        for m in one.broker.records(REPLIES)
    }
    assert len(one.broker.records(REPLIES)) == MANY
    assert found == {n: id_of(n) for n in range(MANY)}


def test_a_lane_that_stays_full_delays_nothing_sent_later() -> None:
    """What does not fit into its queue, or comes while it is closed, takes the usual way."""
    one = lab()
    worker = one.worker(producer_limits={"queue_records": QUIET_RECORDS}).join()
    for n in range(10 * MANY):
        one.send(request(n, id=f"{n}"))

    worker.until_committed(10 * MANY)

    assert one.codes() == {f"{n}": 0 for n in range(10 * MANY)}


def test_a_lane_that_somebody_waits_for_closes_until_it_is_empty() -> None:
    """Only where something was sent: an empty lane has nothing to wait for."""
    bench = Bench()
    opened = []
    bench.lane.close_if_used()
    opened.append(bench.lane.open)
    delivery = bench.send(3)

    bench.lane.close_if_used()

    opened.append(bench.lane.open)
    bench.lane.serve()
    opened.append(bench.lane.open)
    assert opened == [True, False, True]
    assert bench.settled == [delivery]


def test_many_unanswered_rows_are_settled_without_waiting_for_more_records() -> None:
    """Requests of many rows fill the budget with few records: their lane closes by rows, and reading goes on."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(delivery={"budget_rows": 40 * MANY, "model_share": 1.0}).join()
    for n in range(MANY):
        lab.send(request(*[1.0] * 20, id=f"{n}"))
    lab.broker.stalled = True
    worker.step(3)
    (lane,) = worker.path._publisher._producers._lanes.values()

    assert len(lane) == MANY
    assert not lane.open
