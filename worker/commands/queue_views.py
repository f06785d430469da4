"""The batch queues of versions, as `headrace status` shows them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from schemas.queue_report import QueueReport
    from schemas.servable_status import ServableStatus

QUEUE_COLUMNS = (
    *("model", "version", "signature", "worker", "waiting rows", "oldest"),
    *("batches", "rows each", "padding", "wait", "run", "p99"),
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
                _objective(queue),
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
        "objective": _objective_document(queue),
    }


def _objective(queue: "QueueReport") -> str | None:
    """What was measured, what is to be kept, and by which options; None without an objective."""
    if not queue.objective_seconds:
        return None
    measured = "?" if queue.objective_kept is None else _time(queue.p99_seconds)
    missed = ", missed" if queue.objective_kept is False else ""
    wait = _time(queue.batch_timeout_seconds)
    return f"{measured} of {_time(queue.objective_seconds)}{missed} (up to {queue.max_batch_rows:,} rows, wait {wait})"


def _objective_document(queue: "QueueReport") -> dict[str, Any] | None:
    """For programs; null without an objective, and of `kept` and the p99 where too little was seen."""
    if not queue.objective_seconds:
        return None
    return {
        "seconds": queue.objective_seconds,
        "p99_seconds": queue.p99_seconds or None,
        "kept": queue.objective_kept,
        "max_batch_rows": queue.max_batch_rows,
        "batch_timeout_seconds": queue.batch_timeout_seconds,
    }


def _time(seconds: float | None) -> str | None:
    """As people read it: milliseconds below a second."""
    if seconds is None:
        return None
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:,.1f} s"
