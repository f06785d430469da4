"""Outcomes as columns are what they would be one by one: whatever arrives when, in whatever pieces."""

import random
from collections import defaultdict
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.kafka_broker import FakeMessage
from worker.delivery import Delivery, Origin
from worker.kafka.records import TopicPartition
from worker.outcomes import Outcome, Outcomes, Turn, together
from worker.polled_records import PolledRecords
from worker.reply_order import ReplyOrder
from worker.reply_routes import Place, ReplyRoutes

TOPIC = "requests"
PLACES: list[Place] = [("a", -1), ("b", 0), ("b", 1)]
PARTITIONS = 3
NOW_SECONDS = 7.0


class Bench:
    """Polls of requests, whose outcomes come in pieces; what each of them should be, by its value."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.left: list[int] = []
        self.settled: list[Delivery] = []
        self.order = ReplyOrder(lambda _, count: self.left.append(count), wall=lambda: NOW_SECONDS)
        self.expected: dict[bytes, Outcome] = {}
        self.in_order: dict[int, list[bytes]] = defaultdict(list)
        self._offset = 0

    def poll(self, size: int) -> list[Outcomes]:
        """Read records; what comes of them, in any order."""
        numbers = [self.chance.randrange(PARTITIONS) for _ in range(size)]
        offsets = range(self._offset, self._offset + size)
        self._offset += size
        messages = [
            FakeMessage(TOPIC, b"", partition=p, offset=n) for p, n in zip(numbers, offsets, strict=True)
        ]
        records = PolledRecords(TOPIC, "default", messages, 0.0)
        records.routes = ReplyRoutes(size, PLACES[0]) if self.chance.random() < 0.5 else None
        records.make_runs(None)
        self.order.follow(records)
        for partition, offset in zip(numbers, offsets, strict=True):
            self.in_order[partition].append(b"%d" % offset)
        left = self.chance.sample(range(size), size)
        found = []
        while left:
            count = self.chance.randint(1, len(left))
            chosen, left = left[:count], left[count:]
            found.append(self._answer(records, sorted(chosen) if self.chance.random() < 0.7 else chosen))
        return found

    def _answer(self, records: PolledRecords, positions: list[int]) -> Outcomes:
        delivery = Delivery(
            Origin(records, positions, "m", len(positions), 0),
            answer=None,
            reason=None,
            handed_ms=0.0,
            on_settled=self.settled.append,
            on_failure=lambda _: None,
            settles=False,
        )
        place, has_keys, has_headers = self.chance.choice(PLACES), self._toss(), self._toss()
        outcomes = []
        for position in positions:
            value = b"%d" % records.messages[position].offset()
            key = b"key " + value if has_keys and self._toss() else None
            headers = [("h", value)] if has_headers and self._toss() else None
            outcomes.append(Outcome(delivery, position, place, value, key, headers))
            self.expected[value] = outcomes[-1]
        return Outcomes.of(outcomes)

    def _toss(self) -> bool:
        return self.chance.random() < 0.6


def of_partition(turns: list[Turn]) -> dict[int, list[bytes]]:
    """The values of some turns by partition, in order."""
    found: dict[int, list[bytes]] = defaultdict(list)
    for turn in turns:
        found[turn.partition.partition] += [turn.at(n).value or b"" for n in range(len(turn))]
    return found


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_each_goes_in_its_turn_with_what_is_its_own(seed: int, sizes: list[int]) -> None:
    """Key, headers, place and report; the order is that of the requests, in each partition and each place."""
    bench = Bench(seed)
    arriving = [outcomes for size in sizes for outcomes in bench.poll(size)]
    bench.chance.shuffle(arriving)
    gone: dict[int, list[bytes]] = defaultdict(list)
    for outcomes in arriving:
        bench.order.put(outcomes)
        turns, offsets = bench.order.take(bench.chance.choice([1, 3, 1000]))
        for partition, of_one in of_partition(turns).items():
            gone[partition] += of_one
            assert offsets[TopicPartition(TOPIC, partition)] == int(of_one[-1]) + 1
        for shipment in together(turns):
            values, keys, headers = shipment.columns()
            expected = [bench.expected[value or b""] for value in values]
            for of_one in bench.in_order.values():
                assert [v for v in values if v in of_one] == [v for v in of_one if v in values]
            assert {outcome.place for outcome in expected} == {shipment.place}
            assert list(keys or [None] * len(values)) == [outcome.key for outcome in expected]
            assert list(headers or [None] * len(values)) == [outcome.headers for outcome in expected]
            for report, outcome in zip(shipment.reports(), expected, strict=True):
                if isinstance(report, partial):
                    assert report.func == outcome.delivery.report_at
                    assert report.args == (outcome.position,)
                else:
                    assert report == outcome.delivery.report
        assert sum(len(shipment.columns()[0]) for shipment in together(turns)) == sum(map(len, turns))
    rest, _ = bench.order.take()
    for partition, of_one in of_partition(rest).items():
        gone[partition] += of_one

    assert gone == bench.in_order
    assert bench.left == []
    assert bench.order.waiting == 0


@given(st.integers(0, 2**32))
def test_what_waits_is_left_when_its_partition_goes(seed: int) -> None:
    """Each is counted once: gone or left."""
    bench = Bench(seed)
    arriving = bench.poll(30)
    lacking = arriving.pop()
    for outcomes in arriving:
        bench.order.put(outcomes)
    turns, _ = bench.order.take()
    for turn in turns:
        for outcomes, chosen in turn.members():
            outcomes.delivery.acknowledged(len(chosen))

    bench.order.forget([TopicPartition(TOPIC, number) for number in range(PARTITIONS)])

    assert sum(map(len, turns)) + sum(bench.left) + len(lacking.positions) == 30
    assert len(bench.settled) == len(arriving)
    assert bench.order.take() == ([], {})
    assert bench.order.waiting == 0


def test_one_can_be_replaced() -> None:
    """The others stay what they are, also in another turn of the same poll."""
    bench = Bench(1)
    for outcomes in bench.poll(8):
        bench.order.put(outcomes)
    turns, _ = bench.order.take()
    turn = max(turns, key=len)
    before = [turn.at(n) for n in range(len(turn))]
    other = Outcome(before[0].delivery, before[1].position, ("elsewhere", -1), b"new", b"k", None)

    turn.replace(1, other)

    assert [turn.at(n) for n in range(len(turn))] == [before[0], other, *before[2:]]
    shipments = {shipment.place: shipment.columns() for shipment in together([turn])}
    assert shipments["elsewhere", -1] == ([b"new"], [b"k"], None)
    assert sum(len(columns[0]) for columns in shipments.values()) == len(before)
