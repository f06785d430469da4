"""What headers ask for, and what comes back by them."""

from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.kafka_broker import FakeMessage
from tests.fakes.request_path import EPOCH_SECONDS, REPLIES, REQUESTS, Lab, request
from worker.admission import FEW, Admission
from worker.polled_records import MANY_RECORDS, PolledRecords
from worker.reply_routes import ANY_PARTITION, ReplyRoutes
from worker.reply_routing import ReplyRouting
from worker.reply_sizes import header_bytes
from worker.topic_directory import TopicDirectory

INVALID_ARGUMENT, DEADLINE_EXCEEDED = 3, 4
NOW_MS = int(EPOCH_SECONDS * 1000)


def test_correlation_ids_come_back_byte_for_byte() -> None:
    """Each reply carries its own request's, and no header that nobody asked for."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="spring"), headers=[("kafka_correlationId", b"\x00\xff\x80"), ("other", b"x")])
    lab.send(request(1, id="plain"), headers=[("correlation_id", b"42")])
    lab.send(request(1, id="none"))

    worker.until_committed(3)

    assert [record.headers() for record in lab.broker.records(REPLIES)] == [
        [("kafka_correlationId", b"\x00\xff\x80")],
        [("correlation_id", b"42")],
        None,
    ]


def test_trace_headers_are_carried_over() -> None:
    """The W3C trace context by default, and whatever else the settings name."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(delivery={"carried_headers": ["traceparent", "tenant"]}).join()
    lab.send(request(1, id="r"), headers=[("tenant", b"t"), ("tracestate", b"s"), ("traceparent", b"00-1")])

    worker.until_committed(1)

    assert lab.broker.records(REPLIES)[0].headers() == [("tenant", b"t"), ("traceparent", b"00-1")]


def test_errors_carry_the_headers_of_their_requests() -> None:
    """A requester finds an error by the same correlation id."""
    lab = Lab()
    worker = lab.worker().join()
    lab.send(request(1, id="r"), headers=[("kafka_correlationId", b"c")])

    worker.until_committed(1)

    assert lab.codes() == {"r": 5}
    assert lab.broker.records(REPLIES)[0].headers() == [("kafka_correlationId", b"c")]


def test_a_reply_goes_to_the_partition_that_was_named() -> None:
    """Spring's header of four bytes; requests of one block go to different ones."""
    lab = Lab({REQUESTS: 1, REPLIES: 3, f"{REQUESTS}-dlt": 1})
    lab.set_model()
    worker = lab.worker().join()
    for n in range(6):
        lab.send(request(n, id=f"{n}"), headers=[("kafka_replyPartition", (n % 3).to_bytes(4, "big"))])

    worker.until_committed(6)

    ids = [reply.id for reply in lab.replies()]
    places = dict(zip(ids, (record.partition() for record in lab.broker.records(REPLIES)), strict=True))
    assert places == {f"{n}": n % 3 for n in range(6)}


@pytest.mark.parametrize(
    "header",
    [("kafka_replyPartition", b"\x00\x00\x00\x09"), ("kafka_replyPartition", b"1"), ("reply_to", b"\xff")],
    ids=["no such partition", "not four bytes", "not text"],
)
def test_a_route_that_leads_nowhere_makes_a_dead_letter(header: tuple[str, bytes]) -> None:
    """Who cannot be answered is not run; the neighbours are."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="bad"), headers=[header])
    lab.send(request(1, id="good"))

    worker.until_committed(2)

    assert lab.codes() == {"good": 0}
    assert len(lab.dead_letters()) == 1


def test_headers_beyond_their_limit_make_a_dead_letter() -> None:
    """Headers are carried, so they are bounded; the dead letter keeps them."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(limits={"header_bytes": 1024}).join()
    lab.send(request(1, id="bad"), headers=[("traceparent", b"t" * 2000)])
    lab.send(request(1, id="good"))

    worker.until_committed(2)

    assert lab.codes() == {"good": 0}
    (letter,) = lab.dead_letters()
    assert (letter.headers() or [])[0] == ("traceparent", b"t" * 2000)


def test_a_request_past_its_deadline_is_not_run() -> None:
    """The time counts from the record's timestamp; a backlog of requests nobody waits for costs no run."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    timeout = [("headrace-timeout-ms", b"1000")]
    lab.send(request(1, id="late"), headers=timeout, timestamp_ms=NOW_MS - 1001)
    lab.send(request(1, id="in time"), headers=timeout, timestamp_ms=NOW_MS - 500)
    lab.send(request(1, id="no deadline"), timestamp_ms=NOW_MS - 3_600_000)

    worker.until_committed(3)

    assert lab.codes() == {"late": DEADLINE_EXCEEDED, "in time": 0, "no deadline": 0}
    assert sum(rows for _, rows in lab.servable().runs) == 2


def test_each_of_many_requests_has_its_own_deadline() -> None:
    """Also in a poll of so many that not each is asked for its timestamp for the metrics."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    timeout = [("headrace-timeout-ms", b"1000")]
    late = {f"r{n}": n % 3 == 1 for n in range(2 * MANY_RECORDS)}
    for name, is_late in late.items():
        lab.send(request(1, id=name), headers=timeout, timestamp_ms=NOW_MS - (1001 if is_late else 500))

    worker.until_committed(len(late))

    assert lab.codes() == {name: DEADLINE_EXCEEDED if is_late else 0 for name, is_late in late.items()}


@pytest.mark.parametrize("timestamp_ms", [0, NOW_MS + 3_600_000], ids=["missing", "from the future"])
def test_a_timestamp_that_says_nothing_counts_from_the_poll(timestamp_ms: int) -> None:
    """A record without a timestamp, or with one from a clock that is ahead, gets its whole time."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="r"), headers=[("headrace-timeout-ms", b"1000")], timestamp_ms=timestamp_ms)

    worker.until_committed(1)

    assert lab.codes() == {"r": 0}


@pytest.mark.parametrize("value", [b"soon", b"-1", b"", None, b"9" * 13, b"\xd9\xa1"])
def test_an_unreadable_deadline_is_an_invalid_argument(value: bytes | None) -> None:
    """It is said, not guessed; and answered on the way that the other headers name."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker().join()
    lab.send(request(1, id="bad"), headers=[("headrace-timeout-ms", value), ("correlation_id", b"c")])
    lab.send(request(1, id="good"))

    worker.until_committed(2)

    assert lab.codes() == {"bad": INVALID_ARGUMENT, "good": 0}
    assert "1 to 12 ASCII digits were expected" in lab.messages()["bad"]


def test_on_demand_replies_say_which_request_they_answer() -> None:
    """For requests without an id: topic, partition and offset, beside what is carried anyway."""
    lab = Lab({REQUESTS: 2, REPLIES: 1, f"{REQUESTS}-dlt": 1})
    lab.set_model()
    worker = lab.worker(delivery={"request_coordinates": True}).join()
    lab.send(request(1), partition=1)
    lab.send(request(2), headers=[("correlation_id", b"c")], partition=1)
    lab.send(request(3, model="nobody"), partition=0)

    worker.until_committed(2, 1)
    worker.until_committed(1, 0)

    found = sorted(
        dict(record.headers() or ())["headrace-request"] or b"" for record in lab.broker.records(REPLIES)
    )
    assert found == [f"{REQUESTS}/0/0".encode(), f"{REQUESTS}/1/0".encode(), f"{REQUESTS}/1/1".encode()]


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(
                    [
                        "kafka_replyTopic",
                        "reply_to",
                        "kafka_correlationId",
                        "correlation_id",
                        "traceparent",
                        "x",
                    ]
                ),
                st.sampled_from([b"headrace.replies", b"team-a", b"nobody", b"1", b"22", b"", None]),
            ),
            max_size=3,
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_record_is_routed_as_if_it_were_alone(polled: list[list[tuple[str, bytes | None]]]) -> None:
    """What records before it asked for changes nothing, although records like them are recognised by comparison."""

    def admitted(polls: list[list[list[tuple[str, bytes | None]]]]) -> list[object]:
        admission = Admission(
            {
                "default": ReplyRouting(
                    REPLIES, ["team-.*"], forbidden=(), carried=["traceparent"], directory=known
                )
            },
            header_bytes=60,
        )
        found: list[object] = []
        for poll in polls:
            messages = [FakeMessage(REQUESTS, b"v", headers=headers or None, partition=0) for headers in poll]
            records = PolledRecords(REQUESTS, "default", messages, 0.0)
            exceptions = admission.admit(records)
            routes = records.routes or ReplyRoutes(len(records), (REPLIES, ANY_PARTITION))
            asked = [routes.at(n) for n in range(len(records))]
            found += [
                repr(exceptions.no_route.get(n) or exceptions.invalid.get(n) or asked[n])
                for n in range(len(records))
            ]
            assert records.header_bytes >= max((header_bytes(route.headers) for route in asked), default=0)
        return found

    known = TopicDirectory(_TwoTopics())
    known.refresh()

    many = polled * FEW  # so many alike that they are admitted together

    assert admitted([many]) == admitted([[each] for each in many])


class _TwoTopics:
    """A cluster with the reply topic and one more."""

    def partition_counts(self) -> Mapping[str, int]:
        """One partition each."""
        return {REPLIES: 1, "team-a": 1}

    def max_message_bytes(self, topics: Iterable[str]) -> Mapping[str, int]:
        """Kafka's default."""
        return {}


@pytest.mark.parametrize("records", [1, 3 * FEW])
def test_headers_that_mean_nothing_here_leave_the_fast_way_open(records: int) -> None:
    """Replies without headers cost less, so a record has routes only where its headers ask for something."""
    messages = [FakeMessage(REQUESTS, b"v", headers=[("other", b"x")], partition=0)] * records
    routing = ReplyRouting(REPLIES, (), forbidden=(), carried=(), directory=TopicDirectory(_TwoTopics()))
    polled = PolledRecords(REQUESTS, "default", messages, 0.0)

    assert not Admission({"default": routing}, header_bytes=60).admit(polled)

    assert polled.routes is None
