"""What the scheduler reports while it works. The worker counts it; this package knows no metrics."""

from typing import Any, Protocol

from batching.batch import Batch


class BatchObserver(Protocol):
    """Hears of each batch. Called on the batch threads, outside every lock: thread-safe and quick.

    An error that it raises is logged and changes nothing for the tasks.
    """

    def batch_formed(self, queue_name: str, batch: Batch[Any]) -> None:
        """Hear that a batch has left its queue, which has room again, and is about to be processed.

        To be read from the batch: `rows`, `padded_rows`, `waited_seconds` (of its first task),
        `close_reason`, and the number of its tasks. It must not be changed nor kept.
        """

    def process_failed(self, queue_name: str, batch: Batch[Any], error: BaseException) -> None:
        """Hear that the process callback raised. Its tasks are the callback's: nobody else finishes them."""


class SilentObserver:
    """Ignores everything: the default."""

    def batch_formed(self, queue_name: str, batch: Batch[Any]) -> None:
        """Ignore it."""

    def process_failed(self, queue_name: str, batch: Batch[Any], error: BaseException) -> None:
        """Ignore it."""
