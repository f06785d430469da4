"""What cannot be decoded: dead letters, and what can be answered all the same."""

import pytest

from schemas import codec, dead_letter
from schemas.predict_reply import PredictReply
from tests.fakes.kafka_broker import FakeMessage
from tests.fakes.request_path import DEAD_LETTERS, EPOCH_SECONDS, GROUP, REPLIES, REQUESTS, Lab, request

GOOD = codec.encode(request(1, 2, id="r"))
BROKEN = {
    "garbage": (b"not a request at all", "UnknownFraming"),
    "empty": (b"", "EmptyValue"),
    "tombstone": (None, "EmptyValue"),
    "truncated": (GOOD[:-9], "Truncated"),
    "trailing bytes": (GOOD + b"\x00", "TrailingBytes"),
    "unknown schema": (b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08" + GOOD[10:], "UnknownSchema"),
    "another record": (codec.encode(PredictReply("m")), "WrongRecord"),
    "JSON": (b'{"model": "m"}', "FramingNotAccepted"),
    "registry frame": (b"\x00\x00\x00\x00\x01" + GOOD[10:], "FramingNotAccepted"),
}


def headers_of(letter: FakeMessage) -> dict[str, bytes | None]:
    """A dead letter's headers."""
    return dict(letter.headers() or ())


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_be_decoded_becomes_a_dead_letter(what: str) -> None:
    """The original's bytes, key and headers, and why; its neighbours of the same poll are answered."""
    value, reason = BROKEN[what]
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="before"))
    lab.send(value, b"key", [("mine", b"\xff"), ("kafka_correlationId", b"c")])
    lab.send(request(1, id="behind"))

    worker.until_committed(3)

    (letter,) = lab.dead_letters()
    assert (letter.value(), letter.key()) == (value, b"key")
    assert (letter.headers() or [])[:2] == [("mine", b"\xff"), ("kafka_correlationId", b"c")]
    assert (headers_of(letter)[dead_letter.EXCEPTION_FQCN] or b"").decode().endswith(f".{reason}")
    assert headers_of(letter)[dead_letter.EXCEPTION_MESSAGE]
    assert lab.codes() == {"before": 0, "behind": 0}
    assert worker.metric("headrace_dead_letters_total", topic=REQUESTS, reason=reason) == 1


def test_a_dead_letter_says_where_it_came_from() -> None:
    """Topic, partition, offset, timestamp and group, as Spring's tools read them."""
    lab = Lab({REQUESTS: 2, REPLIES: 1, DEAD_LETTERS: 1})
    worker = lab.worker().join()
    lab.send(b"first", partition=1)
    lab.send(b"second", partition=1)

    worker.until_committed(2, 1)

    found = headers_of(lab.dead_letters()[1])
    assert found[dead_letter.ORIGINAL_TOPIC] == REQUESTS.encode()
    assert found[dead_letter.ORIGINAL_PARTITION] == (1).to_bytes(4, "big")
    assert found[dead_letter.ORIGINAL_OFFSET] == (1).to_bytes(8, "big")
    assert found[dead_letter.ORIGINAL_TIMESTAMP] == int(EPOCH_SECONDS * 1000).to_bytes(8, "big")
    assert found[dead_letter.ORIGINAL_TIMESTAMP_TYPE] == b"CreateTime"
    assert found[dead_letter.ORIGINAL_CONSUMER_GROUP] == GROUP.encode()


def test_a_tensor_that_lies_is_answered() -> None:
    """The record was decoded, so the requester is known: INVALID_ARGUMENT with its headers, no dead letter."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    body = codec.encode(request(1, 2, id="bad"))
    # Two rows of two floats are announced; the shape's first dimension is made three.
    lying = body.replace(b"\x04\x04\x04\x00", b"\x04\x06\x04\x00", 1)
    assert lying != body
    lab.send(lying, headers=[("correlation_id", b"c")])
    lab.send(request(1, id="good"))

    worker.until_committed(2)

    assert lab.codes() == {"bad": 3, "good": 0}
    assert lab.dead_letters() == []
    assert [record.headers() for record in lab.broker.records(REPLIES)].count([("correlation_id", b"c")]) == 1


def test_a_version_and_a_label_together_are_an_invalid_argument() -> None:
    """A request names one of them at most."""
    lab = Lab()
    lab.set_model(labels={"stable": 1})
    worker = lab.worker().join()
    lab.send(_both())

    worker.until_committed(1)

    assert lab.codes() == {"bad": 3}


def _both() -> bytes:
    """Version 1 and label "s": no writer of ours would make it."""
    encoded = codec.encode(request(1, id="bad", label="s"))
    # model "m", then version null, then label: the version's branch becomes long, of value 1.
    at = 10 + len(b"\x02m")
    assert encoded[at : at + 4] == b"\x00\x02\x02s"
    return encoded[:at] + b"\x02\x02" + encoded[at + 1 :]


def test_a_record_larger_than_the_limit_becomes_a_dead_letter() -> None:
    """It is not looked into."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(limits={"record_bytes": 1024}).join()
    large = codec.encode(request(*range(200), id="large"))
    lab.send(large)
    lab.send(request(1, id="good"))

    worker.until_committed(2)

    assert [letter.value() for letter in lab.dead_letters()] == [large]
    assert lab.codes() == {"good": 0}


def test_more_rows_than_the_limit_are_refused_by_an_answer() -> None:
    """RESOURCE_EXHAUSTED is for a request that is larger than a limit, and for nothing else."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(limits={"rows": 4}).join()
    lab.send(request(1, 2, 3, 4, 5, id="large"))
    lab.send(request(1, 2, 3, 4, id="fits"))

    worker.until_committed(2)

    assert lab.codes() == {"large": 8, "fits": 0}


def test_records_of_several_topics_are_told_apart() -> None:
    """A binding with two request topics: each dead letter goes to its own topic's."""
    lab = Lab(dict.fromkeys(("a", "b", "a-dlt", "b-dlt", REPLIES), 1))
    lab.set_model()
    worker = lab.worker(bindings=[{"request_topics": ["a", "b"]}]).join()
    for topic in ("a", "b"):
        lab.send(f"garbage {topic}".encode(), topic=topic)
        lab.send(request(1, id=topic), topic=topic)

    worker.until_committed(2, topic="a")
    worker.until_committed(2, topic="b")

    assert lab.codes() == {"a": 0, "b": 0}
    assert [m.value() for m in lab.dead_letters("a-dlt")] == [b"garbage a"]
    assert [m.value() for m in lab.dead_letters("b-dlt")] == [b"garbage b"]


def test_a_header_whose_name_is_no_text_makes_a_dead_letter_of_its_record_alone() -> None:
    """The client library cannot give such headers: where the reply should go is not known. Value and key are kept."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="before"), headers=[("correlation_id", b"b")])
    lab.send(request(1, id="bad"), b"key", [("\udcff", b"x"), ("correlation_id", b"c")])
    lab.send(request(1, id="behind"))

    worker.until_committed(3)

    (letter,) = lab.dead_letters()
    assert (letter.value(), letter.key()) == (codec.encode(request(1, id="bad")), b"key")
    assert (headers_of(letter)[dead_letter.EXCEPTION_FQCN] or b"").endswith(b".NoRouteError")
    assert b"not UTF-8" in (headers_of(letter)[dead_letter.EXCEPTION_MESSAGE] or b"")
    assert lab.codes() == {"before": 0, "behind": 0}
