"""One queue's place among those of a scheduler: whose it is, what it is waiting for, how its batches have run."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic

from batching import errors
from batching.batch import NEVER, Batch
from batching.options import Filling, PaddingPolicy
from batching.run_line import RunLine
from batching.task import T
from batching.task_queue import TaskQueue

IDLE_WEIGHT = 0.25


@dataclass(slots=True, eq=False)
class Lane(Generic[T]):
    """One queue's place in the order. Owned by the dispatcher, guarded by its lock."""

    queue: TaskQueue[T]
    process: Callable[[Batch[T]], None]
    family: Hashable = None
    """Queues of one family share a callback, and may fill each other's batches; None: the lane has none."""
    relatives: list["Lane[T]"] = field(default_factory=list, repr=False)
    """The lanes of its family, itself among them, from the highest priority to the lowest; empty without one."""
    owner: Hashable = None
    """Whose threads are counted together when batches are stuck, and whose time; None: the lane stands for itself."""
    held: bool = False
    """Whether its batches wait, because its owner's are stuck."""
    in_round: bool = False
    available_batches: int = 0
    """What the order has counted for it."""
    timed_at: float | None = None
    """Time of its entry in the heap that counts; an entry with another time is out of date."""
    ages_at: float | None = None
    """Time of its entry among those that age; as above."""
    running_batches: int = 0
    dispatched_batches: int = 0
    expired: Callable[[T], None] | None = None
    """Whom to hand tasks that are out of time; None: its tasks have no deadline."""
    expires_at: float = NEVER
    """Time of its entry that counts among those of deadlines."""
    expiring_tasks: int = 0
    """Tasks out of time that have not been handed over yet, or are just being."""
    expired_tasks: int = 0
    evicted: Callable[[T], None] | None = None
    """Whom to hand tasks that have gone for those of a higher priority; None: it shares no room."""
    evicted_tasks: int = 0
    idle_seconds: float = 0.0
    """How long one of its batches keeps its thread waiting, of late: for a device, a lock, or a turn on a core."""
    runs: RunLine = field(default_factory=RunLine, repr=False)
    """How long its batches run, of late."""

    def __post_init__(self) -> None:
        if self.owner is None:
            self.owner = self
        queue, options = self.queue, self.queue.options
        if options.shared_room and self.evicted is None:
            raise errors.InvalidOptions(f"queue {queue.name!r} shares its room, and has no `evicted` to tell")
        if options.rejects and self.expired is None:
            raise errors.InvalidOptions(
                f"queue {queue.name!r} rejects what is late, and has no `expired` to tell"
            )

    @property
    def priority(self) -> int:
        """That of its queue."""
        return self.queue.options.priority

    @property
    def merges(self) -> bool:
        """Whether its tasks leave together with those of its relatives that say so, too."""
        return self.queue.options.filling is Filling.MERGE and bool(self.relatives)

    @property
    def shares_room(self) -> bool:
        """Whether what waits in it is counted with what waits in those of its relatives that say so, too."""
        return self.queue.options.shared_room

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        at_work = self.queue.enqueued_batches or self.running_batches or self.expiring_tasks
        return self.queue.closed and not at_work

    def note_run(self, idle_seconds: float, rows: int, seconds: float) -> None:
        """Take in how long a batch has kept its thread waiting, where one among many counts little, and has run.

        The latter only where tasks may have deadlines or batches are cut down by their costs, and not of one that
        failed, which has no *rows*.
        """
        self.idle_seconds += (idle_seconds - self.idle_seconds) * IDLE_WEIGHT
        if not rows:
            return
        self.runs.note(rows, seconds)
        by_cost = self.queue.options.padding_policy is PaddingPolicy.MINIMIZE_COST
        if by_cost or self.expired is not None:
            self.queue.costs.note(rows, seconds)
