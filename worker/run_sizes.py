"""The sizes at which models are run that have run out of memory: fewer rows than their batches have, for a while.

A batch that finds no memory is not run again as it is but in halves, and so are the next ones of its model at once:
each try at a size that is too large takes time, and on a device it may take the memory of others. Later the size grows
again, since what took the memory may be gone.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lifecycle.servable_id import ServableId
from schemas.request_kind import TensorLayout

log = logging.getLogger(__name__)

SizeKey = tuple[ServableId, str, tuple[TensorLayout, ...]]
"""What a size is known for: a version, a signature and the layout of the inputs. Longer rows take more memory."""


@dataclass(frozen=True, slots=True)
class _Lowered:
    """A size from some moment on: *rows* then, *full_rows* failed at first."""

    rows: int
    full_rows: int
    since: float


class RunSizes:
    """How many rows a model is run with at most, where that is fewer than a batch may have. Thread-safe.

    Args:
        seconds: after so long without want of memory a lowered size doubles, and again, until it is what it was. 0:
            nothing is remembered from one batch to the next.
    """

    def __init__(self, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._lowered: dict[SizeKey, _Lowered] = {}

    def most_rows(self, key: SizeKey) -> int | None:
        """How many rows a run may have now; None: as many as a batch has."""
        if (
            not self._lowered
        ):  # nearly always; what another thread lowers this moment counts from the next batch on
            return None
        with self._lock:
            return self._rows_now(key)

    def lower(self, key: SizeKey, failed_rows: int, rows: int) -> None:
        """A run of *failed_rows* found no memory: this model's next ones have at most *rows*."""
        if not self._seconds:
            return
        with self._lock:
            before = self._rows_now(key)
            known = self._lowered.get(key)
            full_rows = max(failed_rows, known.full_rows if known else 0)
            self._lowered[key] = _Lowered(
                rows if before is None else min(rows, before), full_rows, self._clock()
            )
        log.warning(
            "a model ran out of memory; for a while it is run with fewer rows at a time. Its requests are answered. "
            "Where this comes back, set a smaller max_batch_rows for it, or leave it more memory",
            extra={
                "model": str(key[0]),
                "signature": key[1],
                "failed_rows": failed_rows,
                "most_rows": rows,
                "doubles_after_seconds": self._seconds,
            },
        )

    def forget(self, key: SizeKey) -> None:
        """It is not the size: there is no memory for single requests either."""
        with self._lock:
            self._lowered.pop(key, None)

    def lowered(self) -> dict[tuple[str, int], int]:
        """The fewest rows of each model and version that has a lowered size now."""
        if not self._lowered:
            return {}
        found: dict[tuple[str, int], int] = {}
        with self._lock:
            for key in list(self._lowered):
                rows = self._rows_now(key)
                if rows is not None:
                    name = (key[0].name, key[0].version)
                    found[name] = min(rows, found.get(name, rows))
        return found

    def _rows_now(self, key: SizeKey) -> int | None:
        known = self._lowered.get(key)
        if known is None:
            return None
        doublings = int((self._clock() - known.since) / self._seconds)
        # A size that has doubled so often that the number is long is full whatever it was.
        rows = known.rows << min(doublings, known.full_rows.bit_length())
        if rows < known.full_rows:
            return rows
        del self._lowered[key]
        log.info(
            "a model that ran out of memory is run with as many rows as before",
            extra={"model": str(key[0]), "signature": key[1], "rows": known.full_rows},
        )
        return None


def smaller(rows: int, allowed_rows: Sequence[int]) -> int | None:
    """About half of so many rows, as the allowed sizes let it; None where there is no smaller size."""
    if not allowed_rows:
        return rows // 2 or None
    below = [size for size in allowed_rows if size < rows]
    half = [size for size in below if size <= rows // 2]
    return half[-1] if half else next(iter(below), None)
