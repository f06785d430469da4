"""Gives a share of the requests to another version as well, once they are on their way to the one that answers them.

A request waits for none of it, and nothing that becomes of it reaches whoever asked: a shadow's requests have queues,
threads, producers and bounds of their own, count in no budget and settle no offset. Where anything is missing (the
version, memory, time) they are dropped and counted.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batching.shared_scheduler import SharedScheduler
from lifecycle.servable_id import ServableId
from schemas.errors import Code
from schemas.request_kind import RequestKind
from worker import thread_slices
from worker.answering import Enqueuing
from worker.attempts import Attempts
from worker.batch_queues import BatchQueues
from worker.inference import Inference
from worker.log import Occasionally
from worker.metrics_shadow import ShadowMetrics
from worker.model_queue_options import ModelQueueOptions
from worker.model_table import ModelTable
from worker.path_clients import Clients
from worker.request_block import Part
from worker.router import Outcome, Refused, Routed, Router
from worker.run_sizes import RunSizes
from worker.settings_serving import BatchingSettings
from worker.shadow_replies import ShadowReplies
from worker.shadow_room import ShadowRoom, weight
from worker.shadow_runs import ShadowRuns
from worker.topic_directory import TopicDirectory
from worker.traffic_shares import ShadowShare

log = logging.getLogger(__name__)

END_SECONDS = 1.0
"""What a shadow is in the middle of when the worker ends may take so long, and is given up then."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What shadows share with the requests that somebody waits for.

    Attributes:
        own: the settings of batches.
        table: the desired models.
        router: finds versions.
        options: the batching options of models.
        directory: what is known of topics.
        clients: makes producers.
        metrics: counts.
        busy: whether regular batches wait for a thread.
    """

    own: BatchingSettings
    table: ModelTable
    router: Router
    options: ModelQueueOptions
    directory: TopicDirectory
    clients: Clients
    metrics: ShadowMetrics
    busy: Callable[[], bool]


class _Answers:
    """What takes the place of errors: a request that a shadow cannot be given is counted."""

    def __init__(self, room: ShadowRoom, metrics: ShadowMetrics) -> None:
        self._room = room
        self._metrics = metrics

    def refuse_routed(
        self,
        part: Part,
        routed: Routed,
        code: Code,  # noqa: ARG002 - nobody is told
        message: str,  # noqa: ARG002 - likewise
    ) -> None:
        """Count requests that no batch of the version takes."""
        self._room.give_back(weight(part))
        self._metrics.dropped(routed.handle.id.name, "refused", len(part))


class _Running:
    """Threads and queues of shadows, made when the first one has a request."""

    def __init__(
        self,
        around: Surroundings,
        replies: ShadowReplies,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        own = around.own
        self.room = ShadowRoom(own.shadow_bytes)
        self.scheduler = SharedScheduler(
            min(1, own.threads), clock=clock, name="shadow", stuck_seconds=own.stuck_seconds
        )
        occasionally = Occasionally(log, seconds=60.0)

        def on_failure(servable_id: ServableId, signature: str, error: Exception) -> None:
            occasionally.warning(
                "a shadow fails to run; requests do not notice",
                key=str(servable_id),
                model=str(servable_id),
                signature=signature,
                problem=repr(error),
            )

        inference = Inference(
            replies,
            around.metrics,
            wall=wall,
            attempts=Attempts(most=1),
            sizes=RunSizes(own.out_of_memory_seconds, clock),
            on_failure=on_failure,
        )
        self.runs = ShadowRuns(
            inference,
            around.table,
            self.room,
            around.metrics,
            busy=around.busy,
            # A thread that wakes for a request then has the core before this one's turn is over.
            begin=thread_slices.run_as_usual if own.threads else lambda: None,
        )
        self.queues = BatchQueues(
            self.scheduler,
            self.runs,
            around.options.of,
            max_batch_bytes=own.max_batch_bytes,
            max_request_rows_of=around.options.max_request_rows,
            wall=wall,
            ragged_of=around.options.ragged_of,
        )
        self.enqueuing = Enqueuing(self.queues, _Answers(self.room, around.metrics))

    def close(self) -> None:
        """Drop what waits."""
        self.runs.close()
        self.queues.drop_waiting()
        for block in self.scheduler.close(drain=False, wait=False):
            block.handle.release()
        self.scheduler.join(END_SECONDS)


class Shadowing:
    """Owned by the poll thread. A worker of whose models none has a shadow has nothing of it but this object."""

    def __init__(
        self,
        around: Surroundings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._around = around
        self._clock = clock
        self._wall = wall
        self._replies = ShadowReplies(
            around.table,
            around.directory,
            around.clients.producer,
            around.metrics,
            size_bytes=around.own.shadow_bytes,
            user=around.clients.user,
            clock=clock,
        )
        self._running: _Running | None = None
        self._occasionally = Occasionally(log, seconds=60.0)

    def take(
        self, kind: RequestKind, parts: Sequence[Part], share: ShadowShare, answering: ServableId
    ) -> None:
        """Give its share of these requests to the shadow, unless it is what answers them; raises nothing."""
        try:
            self._take(kind, parts, share, answering)
        except Exception as error:
            self._occasionally.warning(
                "requests could not be given to a shadow; they are answered as ever",
                model=kind.model,
                problem=repr(error),
            )
            log.debug("what went wrong with a shadow", exc_info=error)

    def step(self) -> None:
        """Move what is under way along."""
        running = self._running
        if running is None:
            return
        running.queues.step()
        self._replies.serve()
        if not self._around.own.threads:
            while not self._around.busy() and running.scheduler.step():
                pass

    def stuck(self, seconds: float) -> dict[str, float]:
        """Models whose shadow has been with one batch for so long, and how long the longest has been."""
        return {} if self._running is None else self._running.queues.stuck(seconds)

    def close(self) -> None:
        """Drop what waits, and let go of threads and producers."""
        if self._running is not None:
            self._running.close()
        self._replies.close()

    def _take(
        self, kind: RequestKind, parts: Sequence[Part], share: ShadowShare, answering: ServableId
    ) -> None:
        asked = share.kind(kind)
        outcome = self._around.router.route(asked, parts[0].records.binding)
        if isinstance(outcome, Routed) and outcome.handle.id == answering:
            outcome.handle.release()
            return
        picked = [part for each in parts if (part := self._picked(each, share)) is not None]
        why = self._why_not(outcome, picked)
        if why is None and isinstance(outcome, Routed):
            if share.topic is not None:
                self._replies.prepare(share.topic)
            self._ready().enqueuing.enqueue(asked, picked, outcome)
            return
        if isinstance(outcome, Routed):
            outcome.handle.release()
        if picked and why is not None:
            self._around.metrics.dropped(kind.model, why, sum(map(len, picked)))

    def _picked(self, part: Part, share: ShadowShare) -> Part | None:
        """The requests of a part that are the shadow's."""
        positions = share.chosen(part.sticky_keys())
        claimed = part.records.claimed
        if claimed is not None and positions:
            # Their data has its room among the requests' until the last who has it lets go.
            own = [n for n in positions if part.columns.indices[n] not in claimed]
            if len(own) < len(positions):
                self._around.metrics.dropped(part.columns.kind.model, "claimed", len(positions) - len(own))
            positions = own
        return part.apart(positions) if positions else None

    def _why_not(self, outcome: Outcome, picked: Sequence[Part]) -> str | None:
        """Why requests are dropped, empty where there are none; None: they are not, and their room is taken."""
        if not picked:
            return ""
        if isinstance(outcome, Refused) and outcome.code is Code.INVALID_ARGUMENT:
            return "refused"
        if not isinstance(outcome, Routed):
            return "absent"
        return None if self._ready().room.take(sum(map(weight, picked))) else "full"

    def _ready(self) -> _Running:
        if self._running is None:
            self._running = _Running(self._around, self._replies, self._clock, self._wall)
        return self._running
