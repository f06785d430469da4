"""How one queue forms its batches; the names and meanings are those of TensorFlow's `QueueOptions`."""

import enum
import math
from dataclasses import dataclass

from batching import errors, padding

LOWEST_PRIORITY, HIGHEST_PRIORITY = 0, 9
DEFAULT_PRIORITY = 4
"""Ten priorities, the greater the sooner, and 4 for who says nothing: those of the Java Message Service."""


class Filling(enum.StrEnum):
    """What a batch that is not full takes of lower priorities' queues when it leaves; the values are for settings."""

    NONE = "none"
    """Nothing: each batch holds tasks of one priority."""
    ALLOWED = "allowed"
    """As many rows as it would be padded by, so that they cost it nothing."""
    MAX = "max"
    """As many as there is room for up to `max_batch_rows`: more a batch, and a longer run for those that are urgent."""
    MERGE = "merge"
    """Likewise, and it does not wait for more than that: queues of a family that all say this are due as soon as they
    have a full batch together, or any of them is due, and what leaves takes the highest priority first."""


class PaddingPolicy(enum.StrEnum):
    """What becomes of a batch whose rows lie between two allowed sizes when its time has come; values for settings.

    TensorFlow's `batch_padding_policy` (`shared_batch_scheduler.h`). `batching.padding_policy` has the rules.
    """

    PAD_UP = "pad_up"
    """It is padded to the larger size."""
    BATCH_DOWN = "batch_down"
    """It leaves with the smaller size; what is more than that waits on at the front of its queue."""
    MINIMIZE_COST = "minimize_cost"
    """Whichever of the two costs less a row, by how long batches of both sizes have run; padded until both have."""


class TimeoutAction(enum.StrEnum):
    """What becomes of a task that has waited for `queue_timeout_seconds`; the values are for settings.

    Triton's queue policy (`timeout_action`).
    """

    REJECT = "reject"
    """It leaves the queue, as at a deadline of its own, and never runs."""
    DELAY = "delay"
    """It goes behind all of its queue that have not waited for so long, and still before lower priorities."""


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """Options of one queue; checked at construction, immutable, safe to share.

    Raises:
        InvalidOptions: a value is out of its range.
    """

    max_batch_rows: int = 1024
    """Rows at which a batch is full, at least 1. No batch is ever larger. The default is TensorFlow Serving's
    1000, as a power of two."""

    batch_timeout_seconds: float = 0.0
    """How long a batch waits for more, counted from its first task, at least 0. The default 0 never waits: a
    free thread takes what is there, and batches grow by themselves while all threads are busy."""

    max_enqueued_batches: int = 8
    """Batches that may wait, at least 1 (0 acts as 1, as in TensorFlow); those being processed are not
    counted. 8 keeps some threads busy without a backlog that grows old; a full queue refuses, it never
    drops."""

    allowed_batch_rows: tuple[int, ...] = ()
    """Sizes that the device may see, ascending and ending at `max_batch_rows`; empty: any size."""

    priority: int = DEFAULT_PRIORITY
    """0 to 9. While a batch of a queue with a higher one is due, none of this queue is taken, but for ageing."""

    ageing_seconds: float = 10.0
    """How long past its time-out a batch lets higher priorities go first, at least 0: then it is taken before all that
    became due later, so that nothing starves. Has no effect while every queue of a scheduler has the same priority."""

    filling: Filling = Filling.MAX
    """What a batch takes of the queues of lower priorities in the same family (`SharedScheduler.add_queue`), if any.
    The default is TensorFlow's. Without it small batches of urgent tasks, one after the other, can keep a device from
    all others that it would have had time for."""

    padding_policy: PaddingPolicy = PaddingPolicy.PAD_UP
    """Whether a batch between two of `allowed_batch_rows` is padded up or cut down; without such sizes it is neither.
    By default it is padded: all that waits leaves at once."""

    shared_room: bool = False
    """Whether the queues of a family that say so have one room: `max_enqueued_batches` of a queue, in rows, then bounds
    what waits in all of them, and for a task that finds too little, tasks of strictly lower priorities are evicted: the
    newest of the lowest first, and none where that would not be enough. By default each has a room of its own."""

    queue_timeout_seconds: float = math.inf
    """How long a task may wait until `timeout_action`, more than 0 and at least `batch_timeout_seconds`; by default for
    ever. A task's own deadline counts besides: when it passes the task leaves, whatever the action."""

    timeout_action: TimeoutAction = TimeoutAction.REJECT
    """What becomes of a task then: it is handed to the queue's `expired`, or goes behind those that came later, for
    `ageing_seconds` at most. Where all are late they are in their order again."""

    @property
    def rejects(self) -> bool:
        """Whether tasks leave the queue when they have waited for too long."""
        return self.queue_timeout_seconds < math.inf and self.timeout_action is TimeoutAction.REJECT

    @property
    def delays(self) -> bool:
        """Whether tasks let later ones go first when they have waited for too long."""
        return self.queue_timeout_seconds < math.inf and self.timeout_action is TimeoutAction.DELAY

    def __post_init__(self) -> None:
        if self.max_batch_rows < 1:
            raise errors.InvalidOptions(f"max_batch_rows must be at least 1, not {self.max_batch_rows}")
        if not (math.isfinite(self.batch_timeout_seconds) and self.batch_timeout_seconds >= 0):
            raise errors.InvalidOptions(
                f"batch_timeout_seconds must be finite and at least 0, not {self.batch_timeout_seconds}"
            )
        if not LOWEST_PRIORITY <= self.priority <= HIGHEST_PRIORITY:
            raise errors.InvalidOptions(
                f"priority must be {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}, not {self.priority}"
            )
        if not (math.isfinite(self.ageing_seconds) and self.ageing_seconds >= 0):
            raise errors.InvalidOptions(
                f"ageing_seconds must be finite and at least 0, not {self.ageing_seconds}"
            )
        if not (self.queue_timeout_seconds > 0 and self.queue_timeout_seconds >= self.batch_timeout_seconds):
            raise errors.InvalidOptions(
                f"queue_timeout_seconds must be more than 0 and at least batch_timeout_seconds, "
                f"{self.batch_timeout_seconds}, not {self.queue_timeout_seconds}; leave it out for no limit"
            )
        if self.max_enqueued_batches < 0:
            raise errors.InvalidOptions(
                f"max_enqueued_batches must be at least 0, not {self.max_enqueued_batches}"
            )
        object.__setattr__(self, "max_enqueued_batches", max(1, self.max_enqueued_batches))
        object.__setattr__(self, "allowed_batch_rows", tuple(self.allowed_batch_rows))
        padding.check_allowed(self.allowed_batch_rows, self.max_batch_rows)
