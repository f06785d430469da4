"""What tells the batch queues of a worker apart."""

from batching.options import QueueOptions
from lifecycle.servable_id import ServableId
from schemas.request_kind import TensorLayout
from worker.run_options import RunOptions

Facts = tuple[ServableId, str, tuple[str, ...], tuple[TensorLayout, ...], RunOptions, QueueOptions]


class QueueKey:
    """What tells queues apart. Its hash is computed once: it is looked up several times a block.

    Attributes:
        facts: version, signature, wanted outputs, tensor layout, how batches are run, how they are gathered.
    """

    __slots__ = ("_hash", "facts")

    def __init__(self, *facts: *Facts) -> None:
        self.facts = facts
        self._hash = hash(facts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QueueKey) and self.facts == other.facts
