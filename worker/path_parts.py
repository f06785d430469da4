"""The parts of the request path that do not care how its requests are read, and what keeps them moving."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from worker.batch_queues import BatchQueues
from worker.budget import Budget
from worker.failing import Failing
from worker.intake import Intake
from worker.offset_tracker import OffsetTracker
from worker.publisher import Publisher
from worker.refusals import Refusals
from worker.run_sizes import RunSizes
from worker.settlement import Settlement
from worker.shadowing import Shadowing
from worker.topic_directory import TopicDirectory


@dataclass(frozen=True, slots=True)
class PathParts:
    """What every way to read shares; the poll thread calls it.

    Attributes:
        intake: takes what was read.
        queues: blocks on their way to batches.
        sizes: how many rows models are run with that have run out of memory.
        shadowing: gives some requests to another version as well.
        publisher: replies on their way out.
        refusals: what the broker did not take.
        tracker: what was read and has no acknowledged outcome yet.
        budget: how much may be read.
        settlement: keeps the books.
        failing: which bindings are not read, because their requests fail.
        directory: what is known of topics.
        binding_of: request topic to binding name.
        own_topics: the bindings' reply topics and all dead-letter topics.
        step_batches: runs one due batch in this thread and says whether there was one; None where batch threads do.
        clock: monotonic.
    """

    intake: Intake
    queues: BatchQueues
    sizes: RunSizes
    shadowing: Shadowing
    publisher: Publisher
    refusals: Refusals
    tracker: OffsetTracker
    budget: Budget
    settlement: Settlement
    failing: Failing
    directory: TopicDirectory
    binding_of: Mapping[str, str]
    own_topics: frozenset[str]
    step_batches: Callable[[], bool] | None
    clock: Callable[[], float]

    def pump(self, timeout_seconds: float, serve_commits: Callable[[], None] = lambda: None) -> None:
        """Move what is in flight along, waiting at most so long for the first acknowledgement.

        Raises:
            Fatal: a producer is of no use any more.
        """
        if self.step_batches is not None:
            while not self.publisher.backlogged and self.step_batches():
                pass
        self.publisher.serve(timeout_seconds)
        serve_commits()
        self.refusals.step(self.publisher)
        self.queues.step()
        self.intake.step()
        self.failing.step()
        self.shadowing.step()

    def on_its_way(self) -> bool:
        """Whether anything that was read is still waited for."""
        return bool(self.budget.models or self.publisher.outstanding() or self.refusals.waiting)
