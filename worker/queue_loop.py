"""The one loop that owns a member of a share group.

A queue deals out records and wants every one of them back, done or not, before it deals out more, and before the
group's lock on them ends. So this loop takes some, has them answered, says so, and takes the next; what is not answered
in time is released, for whichever member comes first.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence

from worker.kafka.errors import Fatal, KafkaProblem
from worker.kafka.share import Delivered, ShareMember
from worker.log import Occasionally
from worker.path_parts import PathParts
from worker.polled_records import PolledRecords
from worker.queue_turns import Turn, turns

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.2
SOON_SECONDS = 0.005
WORKING_SECONDS = 0.002
FULL = 1.0


class QueueLoop:
    """Takes, answers and acknowledges until told to stop; runs on one thread.

    Args:
        work_seconds: how long what was taken may be worked on; less than the group's lock time.
        deliveries: the group's limit of deliveries.
        on_step: called after every step, for gauges.
        on_idle: called when nothing was taken and nothing is on its way.
        on_released: told how many requests were given back unanswered.
        on_acknowledged: told whether the group has heard what was done.
    """

    def __init__(  # noqa: PLR0913 - the loop is where everything meets
        self,
        *,
        member: ShareMember,
        parts: PathParts,
        work_seconds: float,
        deliveries: int,
        on_step: Callable[[float], None] = lambda _now: None,
        on_idle: Callable[[], None] = lambda: None,
        on_released: Callable[[int], None] = lambda _count: None,
        on_acknowledged: Callable[[bool], None] = lambda _ok: None,
    ) -> None:
        self._member = member
        self._parts = parts
        self._work_seconds = work_seconds
        self._deliveries = deliveries
        self._on_step = on_step
        self._on_idle = on_idle
        self._on_released = on_released
        self._on_acknowledged = on_acknowledged
        self._clock = parts.clock
        self._occasionally = Occasionally(log, seconds=10.0, clock=parts.clock)
        self._polls: list[PolledRecords] = []  # of the turn that is worked on
        self._turn: Turn | None = None
        self._turns: deque[Turn] = deque()
        self._end = 0.0
        self._topics: Sequence[str] = ()
        self._subscribed: list[str] = []
        self.last_step = self._clock()
        """When the loop last came round; monotonic, read from any thread."""

    def join(self, topics: Sequence[str]) -> None:
        """Begin to take from these topics, with the next step."""
        self._topics = topics
        self._subscribe()

    def follow(self, records: PolledRecords) -> None:
        """Records of the turn have been read; they note which of them are done."""
        records.settled = bytearray(len(records))
        self._polls.append(records)

    def step(self) -> None:
        """Come round once: at most a poll's wait.

        Raises:
            Fatal: the member or a producer is of no use any more.
        """
        if self._turn is not None:
            self._parts.pump(WORKING_SECONDS)
            self._look()
        elif self._full() or not self._subscribe():
            self._parts.pump(WORKING_SECONDS)
        else:
            self._take()
            self._parts.pump(0.0)
        self.last_step = self._clock()
        self._on_step(self.last_step)

    def finish(self, deadline: float) -> bool:
        """Take nothing more, answer what is worked on, until *deadline* (monotonic); whether all of it was.

        What was taken and not begun is released at once.

        Raises:
            Fatal: as `step`.
        """
        self._release(self._not_begun())
        while self._turn is not None and self._clock() < min(deadline, self._end):
            self._parts.pump(WORKING_SECONDS)
            self._look()
            self.last_step = self._clock()
        done = self._turn is None
        if not done:
            self._give_back()
        self._commit()
        return done

    def _full(self) -> bool:
        """Whether requests that were given back, and are still with their models, fill the budget."""
        budget = self._parts.budget
        return max(map(budget.fullness, budget.bindings), default=0.0) >= FULL

    def _subscribe(self) -> bool:
        """Take from the topics whose bindings are to be read; whether there are any."""
        still = self._parts.failing.paused
        wanted = [topic for topic in self._topics if self._parts.binding_of[topic] not in still]
        if wanted and wanted != self._subscribed:
            self._member.subscribe(wanted)
            self._subscribed = wanted
        return bool(wanted)

    def _take(self) -> None:
        idle = not self._parts.on_its_way()
        messages = self._member.poll(IDLE_SECONDS if idle else SOON_SECONDS)
        if not messages:
            if idle:
                self._on_idle()
            return
        self._end = self._clock() + self._work_seconds
        self._turns.extend(turns(messages, self._deliveries))
        self._begin()

    def _begin(self) -> None:
        """The next turn, where there is one and time for it."""
        if self._clock() >= self._end:
            self._release(self._not_begun())
        if not self._turns:
            return
        self._turn = self._turns.popleft()
        self._parts.intake.take(self._turn.messages, self._turn.refusal)

    def _look(self) -> None:
        """Go on when the turn is done, or its time."""
        assert self._turn is not None
        if self._done(self._turn):
            self._member.accept(self._turn.messages)
            self._forget()
            self._on_acknowledged(True)  # noqa: FBT003 - went well
            if self._turns:
                # Before what may end this worker begins, the group knows what is done.
                self._commit()
                self._begin()
        elif self._clock() >= self._end:
            self._give_back()

    def _done(self, turn: Turn) -> bool:
        if self._parts.tracker.unsettled():
            return False
        # A refused request has a reply and a dead letter, of which only one settles it.
        return turn.refusal is None or not (
            self._parts.publisher.outstanding() or self._parts.refusals.waiting
        )

    def _give_back(self) -> None:
        """Release what is not answered, and what was not begun."""
        left: list[Delivered] = []
        for records in self._polls:
            settled = records.settled
            assert settled is not None, "noted for each poll that is followed"
            messages: list[Delivered] = list(records.messages)  # type: ignore[arg-type]  # a queue's own
            self._member.accept(m for m, done in zip(messages, settled, strict=True) if done)
            left += (m for m, done in zip(messages, settled, strict=True) if not done)
        waiting = self._not_begun()
        self._forget()
        self._release(left + waiting)
        if left:
            self._occasionally.warning(
                "requests were not answered in half the lock time and go back to the queue; a model is slow or "
                "stuck, or the share group's share.record.lock.duration.ms is too short for it",
                key="released",
                requests=len(left) + len(waiting),
                after_seconds=self._work_seconds,
            )

    def _not_begun(self) -> list[Delivered]:
        """What was taken for turns that have not begun, and now never do."""
        messages = [message for turn in self._turns for message in turn.messages]
        self._turns.clear()
        return messages

    def _release(self, messages: list[Delivered]) -> None:
        if messages:
            self._member.release(messages)
            self._on_released(len(messages))

    def _forget(self) -> None:
        tracker = self._parts.tracker
        self._parts.settlement.forgotten(tracker.forget(tracker.partitions))
        self._polls.clear()
        self._turn = None

    def _commit(self) -> None:
        try:
            self._member.commit()
        except Fatal:
            raise
        except KafkaProblem as problem:
            self._on_acknowledged(False)  # noqa: FBT003 - did not
            self._occasionally.warning(
                "the queue may not know what was answered, so some of it may be answered again",
                key="acknowledge",
                problem=str(problem),
            )
