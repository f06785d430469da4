"""The batch queues of a worker: one for each version, signature, wanted outputs, tensor layout and priority.

Queues are made when a block first needs one and closed when too many layouts come by, the longest unused first. Options
are part of what tells queues apart, priority among them, so a model whose options change gets new queues and the old
ones empty themselves.
"""

import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from batching import errors as batching_errors
from batching.batch import Batch
from batching.batch_queue import BatchQueue
from batching.options import DEFAULT_PRIORITY, QueueOptions
from batching.shared_scheduler import SharedScheduler
from lifecycle.servable_id import ServableId
from lifecycle.signature import Signature
from worker import batch_sizes
from worker.queue_control import QueueControls
from worker.queue_depths import QueueName
from worker.queue_key import QueueKey
from worker.ragged_inputs import RaggedInputs
from worker.request_block import RequestBlock
from worker.run_options import RunOptions

MAX_QUEUES = 4096
MAX_BATCH_BYTES = 64 << 20


class Processing(Protocol):
    """Does what is to be done with what was queued; called on the scheduler's threads."""

    def process(self, batch: Batch[RequestBlock], signature: Signature, options: RunOptions) -> None:
        """Finish every request of a batch, then let go of its version."""
        ...

    def expire(self, block: RequestBlock, signature: Signature) -> None:
        """Finish requests whose deadlines have passed, then let go of their version."""
        ...


class BatchQueues:
    """Puts blocks into their queues; owned by the poll thread.

    A full queue is never a reply: what does not fit waits here, in order, and `step` offers it again. A request is out
    of time when its deadline passes, here and in its queue, whatever the device is busy with.

    Args:
        scheduler: runs the batches of all queues.
        inference: answers their requests.
        options_of: the batching options of a version's signature as they are now; called for each block.
        max_batch_bytes: bytes of a batch's inputs, for rows so large that there are fewer than the options allow.
        max_request_rows_of: rows of requests that are run in parts, where they are more than a batch's; gets the names
            of model and signature.
        wall: wall clock in seconds, for deadlines.
        controls: change the options where a model has a latency objective.
        ragged_of: how requests of unlike lengths are padded to share batches; called for each block.
    """

    def __init__(  # noqa: PLR0913 - its seams and bounds, each by its name
        self,
        scheduler: SharedScheduler,
        inference: Processing,
        options_of: Callable[[ServableId, str], QueueOptions],
        *,
        max_batch_bytes: int = MAX_BATCH_BYTES,
        max_request_rows_of: Callable[[str, str], int] = lambda *_: 0,
        max_queues: int = MAX_QUEUES,
        wall: Callable[[], float] = time.time,
        controls: QueueControls | None = None,
        ragged_of: Callable[[RequestBlock, Signature], RaggedInputs | None] = lambda *_: None,
    ) -> None:
        self._scheduler = scheduler
        self._inference = inference
        self._options_of = options_of
        self._max_batch_bytes = max_batch_bytes
        self._max_request_rows_of = max_request_rows_of
        self._max_queues = max_queues
        self._queues: OrderedDict[QueueKey, BatchQueue[RequestBlock]] = OrderedDict()
        self._waiting: OrderedDict[QueueKey, deque[tuple[RequestBlock, Signature]]] = OrderedDict()
        self._wall = wall
        self._controls = controls
        self._ragged_of = ragged_of
        self._next_deadline = math.inf  # of what waits here, or earlier

    def options(self, servable_id: ServableId, signature: Signature) -> QueueOptions:
        """How requests for a signature of a version are batched now; the control thread may change it any time."""
        options = self._options_of(servable_id, signature.name)
        if signature.batchable:
            return options
        return replace(options, max_batch_rows=1, batch_timeout_seconds=0.0, allowed_batch_rows=())

    def most_rows(self, servable_id: ServableId, signature: Signature, options: QueueOptions) -> int:
        """Rows of the largest request that is taken for a signature of a version with these options."""
        return max(options.max_batch_rows, self._max_request_rows_of(servable_id.name, signature.name))

    def put(
        self, block: RequestBlock, signature: Signature, options: QueueOptions, *, in_parts: bool = False
    ) -> None:
        """Queue a block, or as much of it as fits; the rest waits its turn behind what waits already.

        No request of the block has more rows than a batch of these options; or each has, and is run *in_parts*.
        """
        ragged = self._ragged_of(block, signature)
        row_bytes = block.kind.row_bytes if ragged is None else ragged.row_bytes(block.kind)
        part: QueueOptions | None = None
        if in_parts:
            part = batch_sizes.within_bytes(options, row_bytes, self._max_batch_bytes, 1)
            most_rows = self.most_rows(block.handle.id, signature, options)
            options = replace(options, max_batch_rows=most_rows, allowed_batch_rows=())
        if row_bytes * options.max_batch_rows > self._max_batch_bytes:
            options = batch_sizes.within_bytes(
                options, row_bytes, self._max_batch_bytes, block.largest_rows()
            )
        if part is not None:
            run = RunOptions(part.allowed_batch_rows, part.max_batch_rows, ragged)
        else:
            if self._controls is not None:
                options = self._controls.options(block, signature, options)
            run = RunOptions(options.allowed_batch_rows, ragged=ragged)
        if any(part.records.deadlines_ms is not None for part in block):
            block.keep_time((self._wall() - self._scheduler.now()) * 1000)
        inputs = block.kind.inputs if ragged is None else ragged.inputs
        key = QueueKey(block.handle.id, signature.name, block.kind.outputs, inputs, run, options)
        left: RequestBlock | None = block
        if key not in self._waiting:
            left = self._put_whole(key, block, signature)
        if left is None:
            return
        blocks = self._waiting.setdefault(key, deque())
        blocks.append((left, signature))
        self._next_deadline = min(self._next_deadline, left.deadline)
        if len(blocks) == 1:
            self._offer(key, blocks)

    def step(self) -> None:
        """Offer what waits again, and let nobody wait for a model that is stuck with another's requests."""
        self._scheduler.relieve()
        if self._controls is not None:
            self._controls.step()
        if self._next_deadline < math.inf:
            self._look_at_deadlines(self._scheduler.now())
        for key in list(self._waiting):
            self._offer(key, self._waiting[key])

    @property
    def waiting(self) -> bool:
        """Whether any block waits for room in its queue."""
        return bool(self._waiting)

    def enqueued_rows(self) -> Mapping[str, int]:
        """Rows that wait in queues or for one, by model."""
        rows: Counter[str] = Counter()
        for key, queue in self._queues.items():
            rows[key.facts[0].name] += queue.enqueued_rows
        for name, outside in self.rows_outside().items():
            rows[name.model] += outside
        return rows

    def rows_outside(self) -> dict[QueueName, int]:
        """Rows that wait for room in a queue."""
        rows: dict[QueueName, int] = {}
        for key, blocks in self._waiting.items():
            servable_id, signature, *_ = key.facts
            name = QueueName(servable_id.name, str(servable_id.version), signature)
            rows[name] = rows.get(name, 0) + sum(block.rows for block, _ in blocks)
        return rows

    def stuck(self, seconds: float) -> dict[str, float]:
        """Models that have been with one batch for so long, and how long the longest has been."""
        longest: dict[str, float] = {}
        for stuck in self._scheduler.stuck(seconds):
            assert isinstance(stuck.owner, ServableId)
            longest[stuck.owner.name] = max(stuck.seconds, longest.get(stuck.owner.name, 0.0))
        return longest

    def drop_waiting(self) -> None:
        """Let go of blocks that no queue has taken; for the end of the worker, their records stay uncommitted."""
        for blocks in self._waiting.values():
            for block, _ in blocks:
                block.handle.release()
        self._waiting.clear()

    def _put_whole(self, key: QueueKey, block: RequestBlock, signature: Signature) -> RequestBlock | None:
        """Queue a block if it fits as it is; most do. What is still to be queued."""
        queue = self._queue(key, signature)
        if block.rows > min(queue.capacity_rows, queue.options.max_batch_rows):
            return block
        return self._schedule(queue, block, signature)

    def _schedule(
        self, queue: BatchQueue[RequestBlock], block: RequestBlock, signature: Signature
    ) -> RequestBlock | None:
        """Queue a block, as long as there is room; what is still to be queued. What is out of time is answered."""
        left: RequestBlock | None = block
        while left is not None:
            try:
                queue.schedule(left, deadline=left.deadline if left.deadline < math.inf else None)
            except batching_errors.QueueFull:
                return left
            except batching_errors.DeadlineExceeded:
                left = self._expire(left, signature, self._scheduler.now())
            else:
                return None
        return None

    def _expire(self, block: RequestBlock, signature: Signature, now: float) -> RequestBlock | None:
        """Answer what of a block is out of time; what is not."""
        late, rest = block.expire(now)
        if late is not None:
            self._inference.expire(late, signature)
        return rest

    def _look_at_deadlines(self, now: float) -> None:
        """Answer what has run out of time while it waited for room."""
        if now < self._next_deadline:
            return
        self._next_deadline = math.inf
        for key, blocks in list(self._waiting.items()):
            kept: deque[tuple[RequestBlock, Signature]] = deque()
            for block, signature in blocks:
                left = self._expire(block, signature, now) if block.deadline <= now else block
                if left is not None:
                    kept.append((left, signature))
                    self._next_deadline = min(self._next_deadline, left.deadline)
            if kept:
                self._waiting[key] = kept
            else:
                del self._waiting[key]

    def _offer(self, key: QueueKey, blocks: deque[tuple[RequestBlock, Signature]]) -> None:
        """Queue what waits, in order, as far as there is room; a block larger than the room is cut."""
        while blocks:
            block, signature = blocks[0]
            queue = self._queue(key, signature)
            # A batch at a time: how many batches more would need depends on where requests can be cut.
            room = min(queue.capacity_rows, queue.options.max_batch_rows)
            if block.rows > room:
                pieces = block.split(room) if room else None
                if pieces is None:
                    return
                blocks.popleft()
                blocks.extendleft((piece, signature) for piece in reversed(pieces))
                block = pieces[0]
            left = self._schedule(queue, block, signature)
            if left is not None:
                blocks[0] = left, signature
                return
            blocks.popleft()
        del self._waiting[key]

    def _queue(self, key: QueueKey, signature: Signature) -> BatchQueue[RequestBlock]:
        queue = self._queues.get(key)
        if queue is not None:
            self._queues.move_to_end(key)
            return queue
        if len(self._queues) >= self._max_queues:
            self._make_room()
        servable_id, of_signature, _, _, run, options = key.facts

        def process(batch: Batch[RequestBlock]) -> None:
            began_at = self._scheduler.now()
            self._inference.process(batch, signature, run)
            if self._controls is not None:
                self._controls.ran(servable_id, of_signature, batch, began_at)

        def expired(block: RequestBlock) -> None:
            self._inference.expire(block, signature)

        # Those that differ in nothing but priority may fill each other's batches.
        family = (*key.facts[:-1], replace(options, priority=DEFAULT_PRIORITY))
        queue = self._scheduler.add_queue(
            f"{servable_id}:{of_signature}", options, process, servable_id, family, expired
        )
        self._queues[key] = queue
        return queue

    def _make_room(self) -> None:
        for key in self._queues:
            if key not in self._waiting and self._queues[key].enqueued_rows == 0:
                self._close(key)
                return

    def _close(self, key: QueueKey) -> None:
        self._queues.pop(key).close(wait=False)
