"""Share groups on the in-memory Kafka: who has which record, for how long, and how often it was dealt out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.fakes.kafka_broker import FakeBroker, FakeMessage
from worker.kafka import errors
from worker.kafka.consumer import ConsumerEvents
from worker.kafka.records import TopicPartition
from worker.kafka.share import Delivered

Place = tuple[TopicPartition, int]
LONGEST_WAIT_SECONDS = 0.2


@dataclass(slots=True)
class _State:
    """One record of a group.

    Attributes:
        deliveries: how often it was dealt out.
        locked_until: when it is anybody's again; None where nobody has it.
        owner: who has it.
        done: whether it never comes again.
    """

    deliveries: int = 0
    locked_until: float | None = None
    owner: object = None
    done: bool = False


class FakeShareGroup:
    """One share group.

    Attributes:
        lock_seconds: how long nobody else gets what a member has taken.
        deliveries: how often a record is dealt out at most.
        unreachable: while true, its members are neither told nor given anything.
    """

    def __init__(
        self,
        broker: FakeBroker,
        clock: Callable[[], float],
        *,
        lock_seconds: float = 30.0,
        deliveries: int = 5,
    ) -> None:
        self._broker = broker
        self._clock = clock
        self.lock_seconds = lock_seconds
        self.deliveries = deliveries
        self._states: dict[Place, _State] = {}
        self.unreachable = False

    def deal(self, member: object, topics: Iterable[str], most: int) -> list[FakeMessage]:
        """Records for a member, which nobody else has."""
        now = self._clock()
        found: list[FakeMessage] = []
        for topic in topics:
            for record in self._broker.records(topic):
                state = self._states.setdefault(_place(record), _State())
                if state.locked_until is not None and state.locked_until <= now:
                    self._release(state)
                if state.done or state.locked_until is not None or len(found) >= most:
                    continue
                state.deliveries += 1
                state.locked_until, state.owner = now + self.lock_seconds, member
                found.append(record.delivered(state.deliveries))
        return found

    def settle(self, member: object, place: Place, *, accepted: bool) -> bool:
        """A member is done with a record, or not; whether it was still its own."""
        state = self._states[place]
        if state.owner is not member or state.locked_until is None or state.locked_until <= self._clock():
            return False
        if accepted:
            state.done, state.locked_until, state.owner = True, None, None
        else:
            self._release(state)
        return True

    def left(self, topic: str) -> int:
        """How many records of a topic are not done."""
        places = map(_place, self._broker.records(topic))
        return sum(not self._states.get(place, _State()).done for place in places)

    def dropped(self, topic: str) -> int:
        """How many records of a topic were dealt out as often as can be, and were never accepted."""
        return sum(
            state.done and state.deliveries >= self.deliveries and state.owner == "nobody"
            for (partition, _), state in self._states.items()
            if partition.topic == topic
        )

    def _release(self, state: _State) -> None:
        state.locked_until, state.owner = None, None
        if state.deliveries >= self.deliveries:
            state.done, state.owner = True, "nobody"


class FakeShareMember:
    """A `worker.kafka.share.ShareMember` of a `FakeShareGroup`."""

    def __init__(
        self,
        group: FakeShareGroup,
        events: ConsumerEvents,
        *,
        max_records: int = 500,
        wait: Callable[[float], object] = lambda _seconds: None,
    ) -> None:
        self._group = group
        self._events = events
        self._max_records = max_records
        self._wait = wait
        self._topics: tuple[str, ...] = ()
        self._open: set[Place] = set()
        self._pending: dict[Place, bool] = {}
        self.commits = 0
        """How often it told the group by `commit`."""

    def subscribe(self, topics: Sequence[str]) -> None:
        """See `ShareMember.subscribe`."""
        self._topics = tuple(topics)

    def poll(self, timeout_seconds: float) -> Sequence[Delivered]:
        """See `ShareMember.poll`."""
        assert not self._open, f"polled with {len(self._open)} records that were not acknowledged"
        if not self._group.unreachable:
            problem = self._tell()
            if problem is not None:
                self._events.on_problem(problem)
            if found := self._group.deal(self, self._topics, self._max_records):
                self._open.update(map(_place, found))
                return found
        self._wait(min(timeout_seconds, LONGEST_WAIT_SECONDS))
        return ()

    def accept(self, messages: Iterable[Delivered]) -> None:
        """See `ShareMember.accept`."""
        self._acknowledge(messages, accepted=True)

    def release(self, messages: Iterable[Delivered]) -> None:
        """See `ShareMember.release`."""
        self._acknowledge(messages, accepted=False)

    def commit(self, timeout_seconds: float = 5.0) -> None:
        """See `ShareMember.commit`."""
        if self._group.unreachable:
            raise errors.TimedOut("no answer", error_name="_TIMED_OUT")
        self.commits += 1
        problem = self._tell()
        if problem is not None:
            raise problem

    def close(self) -> None:
        """See `ShareMember.close`."""
        self._tell()
        for place in self._open:
            self._group.settle(self, place, accepted=False)
        self._open.clear()

    def die(self) -> None:
        """End without a word: what it has comes again when its locks have ended."""
        self._open.clear()
        self._pending.clear()

    def _acknowledge(self, messages: Iterable[Delivered], *, accepted: bool) -> None:
        for message in messages:
            place = _place(message)
            self._open.remove(place)
            self._pending[place] = accepted

    def _tell(self) -> errors.KafkaProblem | None:
        late = [
            p for p, accepted in self._pending.items() if not self._group.settle(self, p, accepted=accepted)
        ]
        self._pending.clear()
        if not late:
            return None
        return errors.Retriable(
            f"{len(late)} records are not this member's any more", error_name="INVALID_RECORD_STATE"
        )


def _place(message: Delivered) -> Place:
    return TopicPartition(message.topic(), message.partition()), message.offset()
