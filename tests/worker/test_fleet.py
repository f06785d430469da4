"""The status topic, folded by key; and its reader."""

from collections.abc import Sequence

import pytest

from schemas import codec
from schemas.predict_request import PredictRequest
from schemas.servable_status import ServableState, ServableStatus
from schemas.worker_status import WorkerState, WorkerStatus
from tests.fakes.clock import FakeClock
from tests.fakes.control import Reader, Topic
from tests.fakes.kafka_broker import FakeMessage
from worker.fleet import Fleet
from worker.fleet_reader import FleetReader
from worker.kafka.errors import BrokerUnreachable, TopicMissing

WORKER = WorkerStatus("w", "g", "host", "1.0", 3, WorkerState.SERVING, 15_000, 0)
SERVABLE = ServableStatus("w", "m", 1, ServableState.AVAILABLE)


def test_the_last_word_of_each_key_counts_and_a_removal_ends_it() -> None:
    """A worker and its versions are apart."""
    fleet = Fleet()
    fleet.apply(b"w", codec.encode(WORKER), 1000)
    fleet.apply(b"w/m/1", codec.encode(SERVABLE), 1000)
    fleet.apply(b"w/m/1", codec.encode(SERVABLE), 2000)
    fleet.apply(b"w/m/-1", codec.encode(SERVABLE), 2000)
    assert (len(fleet.members), len(list(fleet.servables()))) == (1, 2)

    fleet.apply(b"w", None, 3000)
    fleet.apply(b"w/m/1", None, 3000)
    assert (len(fleet.members), len(list(fleet.servables()))) == (0, 1)


def test_a_worker_is_live_until_its_lease_by_the_brokers_time_has_run_out() -> None:
    """Then it is still known, and not live."""
    fleet = Fleet()
    fleet.apply(b"w", codec.encode(WORKER), 1000)

    assert set(fleet.live(15_999.0)) == {"w"}
    assert set(fleet.live(16_000.0)) == set()
    assert set(fleet.live(1000.0, "other")) == set()
    assert set(fleet.members) == {"w"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b""),
        (b"\xff", b""),
        (b"w", b"garbage"),
        (b"w", codec.encode(PredictRequest("m"))),
        (b"w/m/one", codec.encode(SERVABLE)),
        (b"w/m", codec.encode(SERVABLE)),
    ],
)
def test_what_cannot_be_read_is_counted_and_passed_over(key: bytes | None, value: bytes) -> None:
    """A newer release may write what this one does not know."""
    fleet = Fleet()
    fleet.apply(key, value, 0)

    assert fleet.unreadable == 1


def reader(topic: Topic, clock: FakeClock | None = None, wall_ms: float = 1_000_000.0) -> FleetReader:
    """A reader of that topic."""
    return FleetReader(
        topic.name,
        lambda events: Reader(topic, events),
        topic,
        clock=clock or FakeClock(),
        wall=lambda: wall_ms / 1000,
    )


def test_the_whole_topic_is_read_then_followed() -> None:
    """`poll` brings what is new."""
    topic = Topic("status")
    topic.add(b"w", codec.encode(WORKER))
    following = reader(topic)
    following.open()
    assert set(following.fleet.members) == {"w"}

    topic.add(b"w/m/1", codec.encode(SERVABLE))
    assert following.poll(0.0) == 1
    assert [s.model for s in following.fleet.servables()] == ["m"]


def test_a_missing_status_topic_is_told() -> None:
    """With the command that makes it."""
    with pytest.raises(TopicMissing, match="headrace topics create"):
        reader(Topic("status", partitions=0)).open()


class Ticking(FakeClock):
    """Each look at it takes a second."""

    def __call__(self) -> float:
        """The time, one second later each time."""
        self.advance(1.0)
        return super().__call__()


def test_an_end_that_no_record_reaches_is_believed_after_a_silence() -> None:
    """Retention has taken the last offsets away."""
    topic = Topic("status")
    topic.add(b"w", codec.encode(WORKER))
    topic.add(b"x", None)
    topic.compact()
    following = reader(topic, Ticking())
    following.open()

    assert set(following.fleet.members) == {"w"}


def test_a_topic_that_cannot_be_read_in_time_is_an_error_with_its_reason() -> None:
    """Silence is not taken for an end while something is wrong."""

    class Away(Reader):
        def poll(self, max_records: int, timeout_seconds: float) -> Sequence[FakeMessage]:
            """The broker is away."""
            self._events.on_problem(BrokerUnreachable("gone"))
            return []

    topic = Topic("status")
    topic.add(b"w", codec.encode(WORKER))

    following = FleetReader("status", lambda events: Away(topic, events), topic, clock=Ticking())
    with pytest.raises(BrokerUnreachable, match="gone"):
        following.open(10.0)


def test_the_brokers_time_is_that_of_a_record_that_has_just_come() -> None:
    """The own clock may be an hour ahead."""
    topic = Topic("status", now_ms=1_000_000)
    topic.add(b"w", codec.encode(WORKER))
    following = reader(topic, wall_ms=4_600_000.0)
    following.open()
    assert set(following.fleet.live(following.now_ms())) == set()

    following.await_life(0.0)
    topic.now_ms = 1_005_000
    topic.add(b"w", codec.encode(WORKER))
    following.await_life(5.0)
    assert set(following.fleet.live(following.now_ms())) == {"w"}
