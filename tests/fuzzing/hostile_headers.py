"""Polls whose records carry headers as clients write them, and as nobody should."""

import random
from collections.abc import Sequence

from schemas import dead_letter
from schemas import headers as names
from tests.fakes.request_path import DEAD_LETTERS, EPOCH_SECONDS, REPLIES, REQUESTS
from tests.fuzzing.expectations import ECHOED, HEADER_BYTES, OTHER_REPLIES, PARTITIONS
from tests.fuzzing.hostile_requests import RequestSource
from tests.fuzzing.records import Record
from worker.kafka.records import Headers

REPLY_TOPICS = (names.REPLY_TOPIC, names.PLAIN_REPLY_TOPIC)
KNOWN = (
    *REPLY_TOPICS,
    names.REPLY_PARTITION,
    names.TIMEOUT_MS,
    names.PRIORITY,
    names.REQUEST,
    *sorted(ECHOED),
    dead_letter.ORIGINAL_PARTITION,
    dead_letter.EXCEPTION_FQCN,
)
CLIENTS: tuple[tuple[str, ...], ...] = (
    (names.PLAIN_CORRELATION_ID,),
    (names.PLAIN_CORRELATION_ID, names.TIMEOUT_MS),
    (names.REPLY_TOPIC, names.CORRELATION_ID),
    (names.REPLY_TOPIC, names.REPLY_PARTITION, names.CORRELATION_ID, names.TRACEPARENT),
    (names.PLAIN_REPLY_TOPIC, names.TRACEPARENT, names.TRACESTATE, "tenant", names.TIMEOUT_MS),
    ("a", "b", names.PRIORITY),
)
"""The headers that one client writes into each of its requests."""
GOOD_TOPICS = (REPLIES.encode(), OTHER_REPLIES.encode())
BAD_TOPICS = (
    None,
    b"",
    b"\xff\xfe",
    b".",
    b"..",
    b"replies-missing",
    b"replies-\xc3\xa9",
    b"replies-a\n",
    b"replies-a\0",
    b"replies-a ",
    b" replies-a",
    b"REPLIES-A",
    b"replies-" + b"x" * 241,
    b"replies-" + b"x" * 242,
    b"replies-" + b"x" * 60_000,
    b"headrace.control",
    b"headrace.status",
    REQUESTS.encode(),
    DEAD_LETTERS.encode(),
    b"__consumer_offsets",
)
BAD_PARTITIONS = (
    None,
    b"",
    b"0",
    b"\0\0\0",
    b"\0\0\0\0\0",
    b"\0\0\0\x04",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\x80\0\0\0",
)
TIMEOUTS = (b"0", b"1", b"5000", b"60000", b"60000", b"600000", b"999999999999", b"000000000001")
BAD_TIMEOUTS = (
    None,
    b"",
    b"-1",
    b"+1",
    b" 1",
    b"1 ",
    b"1.0",
    b"1e9",
    b"0x10",
    b"1_000",
    b"\xd9\xa1",
    b"\xb2",
    b"9" * 13,
    b"9" * 5_000,
    b"nan",
)
TIMESTAMPS_MS = (None, None, 0, -1, 1, -(2**63), 2**63 - 1, 10**15, int(EPOCH_SECONDS * 1000) - 10_000)
CORRELATION_BYTES = (0, 1, 16, 16, 16, 36, 300)
LONG_CORRELATION_BYTES = (5_000, 39_000, 50_000)


class HeaderSource:
    """Makes polls from one source of chance."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._requests = RequestSource(rng)

    def poll(self) -> list[Record]:
        """Requests, most of them good, of one client or of many, with more or less that is wrong in the headers."""
        rng = self._rng
        values = [record.value for record in self._requests.poll()]
        alike = [self._requests.fitting_value() for _ in range(3)]
        fitting = rng.choice((0.5, 0.95, 1.0))
        values = [rng.choice(alike) if rng.random() < fitting else value for value in values]
        clients = rng.choices(CLIENTS, k=rng.choice((1, 1, 2, 6)))
        wrong = rng.choice((0.0, 0.05, 0.3, 0.9))
        stamped = rng.random() < 0.2
        return [
            Record(
                value,
                self._requests.some_key(),
                self._headers(rng.choice(clients), wrong),
                rng.choice(TIMESTAMPS_MS) if stamped else None,
            )
            for value in values
        ]

    def _headers(self, client: Sequence[str], wrong: float) -> Headers | None:  # noqa: PLR0911 - a case for each way
        rng = self._rng
        if rng.random() >= wrong:
            return [(name, self._good(name)) for name in client] if rng.random() < 0.95 else None
        match rng.randrange(8):
            case 0 | 1:  # one of the client's is wrong
                at = rng.randrange(len(client))
                return [(name, (self._bad if n == at else self._good)(name)) for n, name in enumerate(client)]
            case 2:  # one is there twice, or in another place
                found = [(name, self._good(name)) for name in (*client, rng.choice(client))]
                rng.shuffle(found)
                return found
            case 3:  # any names that mean something
                return [(name, self._any(name)) for name in rng.choices(KNOWN, k=rng.randrange(1, 6))]
            case 4:  # names that mean nothing, by the hundred
                many = [(self._name(), rng.randbytes(3)) for _ in range(rng.choice((100, 500)))]
                return [*many, *((name, self._good(name)) for name in client)]
            case 5:  # as many bytes as there may be, or a few more or less
                found = [(name, self._good(name)) for name in client]
                size = sum(len(name) + len(value or b"") for name, value in found)
                filling = max(0, HEADER_BYTES - size - 1 + rng.choice((-1, 0, 0, 1, 1_000)))
                return [*found, ("f", rng.randbytes(filling))]
            case 6:
                return [(name, rng.choice((None, b""))) for name in client]
            case _:
                return [(self._name(), self._any(rng.choice(KNOWN))) for _ in range(rng.randrange(4))]

    def _name(self) -> str:
        """A name that nobody knows."""
        rng = self._rng
        odd = (
            "",
            " ",
            "\0",
            "é",
            "\udcff",
            "reply_to ",
            "Reply_To",
            "kafka_replytopic",
            "x" * 3_000,
            "\N{SNOWMAN}",
        )
        return rng.choice(odd) if rng.random() < 0.1 else rng.randbytes(4).hex()

    def _any(self, name: str) -> bytes | None:
        return (self._good if self._rng.random() < 0.5 else self._bad)(name)

    def _good(self, name: str) -> bytes | None:
        rng = self._rng
        if name in REPLY_TOPICS:
            return rng.choice(GOOD_TOPICS)
        if name == names.REPLY_PARTITION:
            return names.reply_partition(rng.randrange(min(PARTITIONS.values())))
        if name == names.TIMEOUT_MS:
            return rng.choice(TIMEOUTS)
        if name == names.PRIORITY:
            return b"%d" % rng.randrange(10)
        return rng.randbytes(rng.choice(CORRELATION_BYTES))

    def _bad(self, name: str) -> bytes | None:
        rng = self._rng
        if name in REPLY_TOPICS:
            return rng.choice(BAD_TOPICS)
        if name == names.REPLY_PARTITION:
            return rng.choice(BAD_PARTITIONS)
        if name == names.TIMEOUT_MS:
            return rng.choice(BAD_TIMEOUTS)
        return rng.choice((None, b"", b"\xff" * 9, rng.randbytes(rng.choice(LONG_CORRELATION_BYTES))))
