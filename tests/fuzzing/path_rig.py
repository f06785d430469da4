"""A worker's whole request path on an in-memory Kafka, given polls of records: what is wrong with what came of them.

No thread and no waiting: the clock is the rig's, and batches run in the poll loop.
"""

import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas import codec, dead_letter
from schemas import headers as header_names
from schemas.layout_cache import MOST_BYTES
from schemas.predict_reply import PredictReply
from schemas.wire_limits import WireLimits
from tests.fakes.kafka_broker import FakeMessage
from tests.fakes.request_path import DEAD_LETTERS, REPLIES, REQUESTS, Lab, Worker
from tests.fuzzing import hostile_claims, served
from tests.fuzzing.agreement import Reference
from tests.fuzzing.expectations import (
    ALLOWED,
    HEADER_BYTES,
    PARTITIONS,
    REPLY_BYTES,
    Expected,
    expected,
    readable,
)
from tests.fuzzing.records import Record
from worker import batch_queues, read_ahead, reply_routing, router
from worker.kafka.records import TopicPartition

REQUEST_PARTITIONS = 2
RECORD_BYTES = 200_000
MOST_LAYOUTS = 4096
TURN_SECONDS = 0.25
MOST_TURNS = 400
"""Of the loop for one poll: a hundred seconds of the rig's clock, when a request is held for ten at most."""
MOST_SERIES = 1_000
"""Series of all metrics together; which labels there may be is checked one by one."""
LABELS: Mapping[str, frozenset[str]] = {
    "model": frozenset({"", *served.VERSIONS}),
    "version": frozenset({"", "1", "2"}),
    "signature": frozenset({"", *served.SIGNATURES}),
    "topic": frozenset({REQUESTS}),
    "binding": frozenset({"default"}),
}
"""What these labels of a metric may say, whatever requesters write."""

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "at least once": {},
    "coordinates": {"request_coordinates": True},
    "replies in order": {"reply_order": "partition"},
    "exactly once": {"mode": "exactly_once"},
}
"""Kinds of workers, by the settings of delivery in which they differ."""

Place = tuple[int, int]
"""A partition of the request topic, and an offset."""

Sabotage = Callable[[Worker], None]
"""Puts a fault into a worker, so that a test can see it found."""


@dataclass
class Counts:
    """What came of the records so far."""

    records: int = 0
    answered: int = 0
    refused: int = 0
    dead: int = 0


@dataclass
class Outcomes:
    """What came of the records of one poll: replies by key and id, dead letters by partition and offset."""

    replies: dict[tuple[bytes | None, str], list[tuple[PredictReply, FakeMessage]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    dead: dict[Place, list[FakeMessage]] = field(default_factory=lambda: defaultdict(list))


class PathRig:
    """One worker of one variant; lives as long as its owner wants."""

    def __init__(self, variant: str, sabotage: Sabotage | None = None) -> None:
        self.variant = variant
        self.counts = Counts()
        self._lab = Lab(
            {REQUESTS: REQUEST_PARTITIONS, **PARTITIONS, DEAD_LETTERS: 1}, limits={REPLIES: REPLY_BYTES}
        )
        served.serve(self._lab.table, self._lab.manager)
        self._worker = self._lab.worker(
            producer_limits={"message_max_bytes": 2_000_000},
            bindings=[{"allowed_reply_topics": [ALLOWED]}],
            batching={"max_batch_rows": served.MOST_ROWS},
            limits={"record_bytes": RECORD_BYTES, "header_bytes": HEADER_BYTES},
            delivery=VARIANTS[variant],
            claims={
                "roots": [hostile_claims.ROOT],
                "request_bytes": hostile_claims.REQUEST_BYTES,
                "threads": 0,
            },
        ).join()
        limits = self._worker.settings.limits
        self._reference = Reference(
            WireLimits(
                record_bytes=limits.record_bytes, tensors=limits.tensors, rows=limits.rows, dims=limits.dims
            )
        )
        self._coordinates = bool(VARIANTS[variant].get("request_coordinates"))
        if sabotage is not None:
            sabotage(self._worker)

    def poll(self, records: Sequence[Record]) -> str | None:
        """Give the worker a poll; what is wrong with what came of it, None when nothing is."""
        now_ms = self._lab.wall() * 1000
        awaited: dict[Place, Expected] = {}
        sent: dict[Place, Record] = {}
        for number, record in enumerate(records):
            partition = number % REQUEST_PARTITIONS
            offset = self._lab.send(
                record.value,
                record.key,
                record.headers,
                partition=partition,
                timestamp_ms=record.timestamp_ms,
            )
            stamp_ms = now_ms if record.timestamp_ms is None else record.timestamp_ms
            stamp_ms = stamp_ms if 0 < stamp_ms <= now_ms else int(now_ms)
            verdict = self._reference.read(record.value)
            sent[partition, offset] = record
            awaited[partition, offset] = expected(record, verdict, stamp_ms, now_ms)
        self.counts.records += len(records)
        try:
            wrong = self._until_committed()
        except Exception:  # noqa: BLE001 - whatever it raises is what was looked for
            return f"the loop raised:\n{traceback.format_exc()}"
        outcomes = self._take_outcomes()
        return wrong or self._left_behind() or next(self._differences(sent, awaited, outcomes), None)

    def strange_labels(self) -> str | None:
        """A label of a metric that a requester has made up, or too many series; None when all is well."""
        series = 0
        for family in self._worker.metrics.registry.collect():
            for sample in family.samples:
                series += 1
                for label, value in sample.labels.items():
                    if label in LABELS and value not in LABELS[label]:
                        return f"{sample.name} has the {label} {value[:200]!r}, which no model has"
        return (
            None if series <= MOST_SERIES else f"there are {series} series of metrics, at most {MOST_SERIES}"
        )

    def sizes(self) -> dict[str, tuple[int, int]]:
        """How large what is kept from poll to poll is, and how large it may be."""
        intake = self._worker.path._intake
        layouts, of_router = intake._decoder._layouts, intake._router
        remembered = intake._admission._routings["default"]._remembered
        ahead = intake._budget._ahead
        families = self._worker.metrics.registry.collect()
        return {
            "layouts": (len(layouts), MOST_LAYOUTS),
            "bytes of layouts": (layouts._bytes, MOST_BYTES),
            "kinds checked": (len(of_router._checked), router.MAX_CHECKED_KINDS),
            "model names seen": (len(of_router._served), router.MAX_CHECKED_KINDS),
            "models' rates": (len(ahead._windows), read_ahead.MOST_MODELS),
            "reply topics remembered": (len(remembered), reply_routing.MOST_REMEMBERED_TOPICS + 1),
            "queues": (len(self._worker.path._queues._queues), batch_queues.MAX_QUEUES),
            "series of metrics": (sum(len(family.samples) for family in families), MOST_SERIES),
        }

    def _until_committed(self) -> str | None:
        """Step until every offset is committed; what is wrong when that takes too long."""
        broker = self._lab.broker
        ends = {n: broker.end(TopicPartition(REQUESTS, n)) for n in range(REQUEST_PARTITIONS)}
        for _ in range(MOST_TURNS):
            self._worker.step()
            if self._worker.path.reading.stopped:
                return f"partitions have stopped: {self._worker.path.reading.stopped}"
            if all(self._lab.committed(partition) == end for partition, end in ends.items()):
                self._worker.step()  # hears of its last commit
                return None
            self._lab.clock.advance(TURN_SECONDS)
        reached = {partition: self._lab.committed(partition) for partition in ends}
        return f"not all was committed: {reached} of {ends}"

    def _left_behind(self) -> str | None:
        """What is still counted although nothing is on its way."""
        path = self._worker.path
        held = {name: (use.rows, use.size_bytes) for name, use in path._budget.bindings.items()}
        left = {
            "the bindings' budgets": {name: use for name, use in held.items() if use != (0, 0)},
            "the models' shares": dict(path._budget.models),
            "refused records": path._refusals.waiting,
            "held requests": path._intake.holds,
            "outstanding records": path._publisher.outstanding(),
            "bytes of claims": sum(path._budget._claimed.values()),
        }
        return next((f"{what} are not empty: {value}" for what, value in left.items() if value), None)

    def _take_outcomes(self) -> Outcomes:
        """What the broker has got since the last time; it forgets it."""
        broker, outcomes = self._lab.broker, Outcomes()
        for message in broker.records(DEAD_LETTERS):
            added = dict(
                message.headers() or ()
            )  # of several with one name the last: ours are behind the record's
            partition = int.from_bytes(added[dead_letter.ORIGINAL_PARTITION] or b"", "big")
            offset = int.from_bytes(added[dead_letter.ORIGINAL_OFFSET] or b"", "big")
            outcomes.dead[partition, offset].append(message)
        for topic in PARTITIONS:
            for message in broker.records(topic):
                reply = codec.decode(message.value(), PredictReply)
                outcomes.replies[message.key(), reply.id].append((reply, message))
        for topic, partitions in {REQUESTS: REQUEST_PARTITIONS, DEAD_LETTERS: 1, **PARTITIONS}.items():
            for number in range(partitions):
                partition_of = TopicPartition(topic, number)
                broker.delete_records(partition_of, broker.end(partition_of))
        broker.commits.clear()
        return outcomes

    def _differences(
        self, sent: Mapping[Place, Record], awaited: Mapping[Place, Expected], outcomes: Outcomes
    ) -> Iterator[str]:
        yield from _wrong_letters(sent, awaited, outcomes.dead)
        answerable: dict[tuple[bytes | None, str], dict[Place, Expected]] = defaultdict(dict)
        for place, one in awaited.items():
            if place not in outcomes.dead and one.reply is not None:
                answerable[one.reply][place] = one
        for identity in answerable.keys() | outcomes.replies.keys():
            replies, asked = outcomes.replies.get(identity, []), answerable.get(identity, {})
            what = f"the requests at {list(asked)} with the key and the id {_short(identity)}"
            if len(replies) != len(asked):
                yield f"{len(replies)} replies to {what}"
                continue
            for reply, message in replies:
                yield from self._wrong_reply(reply, message, asked, what)
        self.counts.dead += len(outcomes.dead)

    def _wrong_reply(
        self, reply: PredictReply, message: FakeMessage, asked: Mapping[Place, Expected], what: str
    ) -> Iterator[str]:
        """A reply must be right for one of those requests that it may answer: several may have one key and id."""
        headers = list(message.headers() or ())
        if self._coordinates:
            name, value = headers.pop()
            found = header_names.parse_request_coordinates(value)
            place = (found.partition, found.offset)
            if name != header_names.REQUEST or found.topic != REQUESTS or place not in asked:
                yield f"a reply to {what} has the header {name} {value!r}"
                return
            asked = {place: asked[place]}
        where = (message.topic(), message.partition())
        wrong = [one.difference(reply, where, headers) for one in asked.values()]
        if None not in wrong:
            yield f"a reply to {what}: {wrong[0]}"
        self.counts.answered += 1
        self.counts.refused += reply.error is not None


def _wrong_letters(
    sent: Mapping[Place, Record], awaited: Mapping[Place, Expected], dead: Mapping[Place, list[FakeMessage]]
) -> Iterator[str]:
    """Dead letters that should not be, or are not as they should be, and those that are missing."""
    for place, letters in dead.items():
        record = sent.get(place)
        if record is None or len(letters) != 1:
            yield f"{len(letters)} dead letters for the record at {place}, which is {record}"
            continue
        (letter,) = letters
        headers = letter.headers() or ()
        kept = list(record.headers or ()) if readable(record.headers) else []
        error = (dict(headers[len(kept) :])[dead_letter.EXCEPTION_FQCN] or b"").decode().rpartition(".")[2]
        if error not in awaited[place].dead:
            yield f"the record at {place} is a dead letter for {error}, not one of {sorted(awaited[place].dead)}"
        if (letter.value(), letter.key(), list(headers[: len(kept)])) != (record.value, record.key, kept):
            yield f"the dead letter of the record at {place} is not what was sent"
    for place, one in awaited.items():
        if one.must_be_dead and place not in dead:
            yield f"the record at {place} should be a dead letter ({sorted(one.dead)}), and there is none"


def _short(identity: tuple[bytes | None, str]) -> tuple[object, object]:
    key, request_id = identity
    return key if key is None else key[:60], request_id[:60]
