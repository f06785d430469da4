"""The batch queues of versions, as `headrace status` shows them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas.queue_report import QueueReport
    from schemas.servable_status import ServableStatus

QUEUE_COLUMNS = (
    *("model", "version", "signature", "worker", "waiting rows", "oldest"),
    *("batches", "rows each", "padding", "wait", "run"),
)


def queue_rows(servables: "Iterable[ServableStatus]") -> "Iterator[tuple[object, ...]]":
    """A row of the table for each signature whose worker tells of its queues."""
    for each in servables:
        for queue in each.queues:
            yield (
                each.model,
                each.version,
                queue.signature,
                each.worker,
                f"{queue.waiting_rows:,}",
                _time(queue.oldest_seconds if queue.waiting_tasks else None),
                f"{queue.batches:,}",
                None if queue.mean_rows is None else f"{queue.mean_rows:,.1f}",
                None if queue.padding_share is None else f"{queue.padding_share:.0%}",
                _time(queue.mean_wait_seconds),
                _time(queue.mean_run_seconds),
            )


def queue_document(queue: "QueueReport") -> dict[str, Any]:
    """For programs: what waits, and means over the batches since the report before; null where there was none."""
    return {
        "signature": queue.signature,
        "waiting_tasks": queue.waiting_tasks,
        "waiting_rows": queue.waiting_rows,
        "oldest_seconds": queue.oldest_seconds,
        "batches": queue.batches,
        "mean_rows": queue.mean_rows,
        "padding_share": queue.padding_share,
        "mean_wait_seconds": queue.mean_wait_seconds,
        "mean_run_seconds": queue.mean_run_seconds,
    }


def _time(seconds: float | None) -> str | None:
    """As people read it: milliseconds below a second."""
    if seconds is None:
        return None
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:,.1f} s"
