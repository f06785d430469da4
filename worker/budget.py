"""How much may be read and not yet committed, in rows and in bytes.

The budget bounds two things at once: the worker's memory (promise 3) and what a crash makes it repeat (promise 2).
It is shared between bindings by their shares, and inside a binding no model holds more than its part of the
unanswered requests: a model that is slow, or still loading, cannot take the whole of it.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from worker.offset_tracker import Run
from worker.read_ahead import ReadAhead

POLL_PART = 16
"""One poll takes at most about this part of a binding's bytes: 16 MiB of the default budget, or 111 images of 150 KB.
A larger block would cost no less a record, and could overshoot the budget by more."""
FALL = 8
"""Records that become smaller are believed by an eighth of the difference a run, larger ones at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """The whole budget.

    Attributes:
        rows: rows read and not yet committed, all bindings together.
        size_bytes: bytes of record values and keys read and not yet committed, and of what they claim.
        model_share: the part of a binding's budget that one model's unanswered requests may hold.
        low_watermark: a paused binding goes on once it is below this part of its budget.
    """

    rows: int
    size_bytes: int
    model_share: float
    low_watermark: float = 0.5


@dataclasses.dataclass(slots=True)
class Use:
    """Rows and bytes held."""

    rows: int = 0
    size_bytes: int = 0

    def add(self, rows: int, size_bytes: int) -> None:
        """Hold so much more (less, when negative)."""
        self.rows += rows
        self.size_bytes += size_bytes


class Budget:
    """Who holds how much; owned by the poll thread, holds no lock."""

    def __init__(self, limits: Limits, shares: Mapping[str, float], ahead: ReadAhead | None = None) -> None:
        """*ahead* knows how fast models are; *shares* are the bindings' parts."""
        self.limits = limits
        self._ahead = ahead or ReadAhead()
        self._shares = dict(shares)
        self._bindings = {name: Use() for name in shares}
        self._claimed = dict.fromkeys(shares, 0)
        self._models: dict[tuple[str, str], Use] = {}
        self._unanswered = {name: Use() for name in shares}
        self._record_bytes: dict[str, float] = dict.fromkeys(shares, 0.0)
        self._record_rows: dict[str, float] = dict.fromkeys(shares, 1.0)

    def take_run(self, binding: str, run: Run) -> None:
        """A run of a binding's records has been read."""
        self._bindings[binding].add(run.rows, run.size_bytes)
        self._claimed[binding] += run.claimed_bytes
        records = max(1, run.unsettled)
        self._record_bytes[binding] = _believed(self._record_bytes[binding], run.size_bytes / records)
        self._record_rows[binding] = max(1.0, _believed(self._record_rows[binding], run.rows / records))

    def give_back_runs(self, binding: str, runs: Iterable[Run]) -> None:
        """These runs have been committed, or their partitions have gone."""
        use = self._bindings[binding]
        for run in runs:
            use.add(-run.rows, -run.size_bytes)
            self._claimed[binding] -= run.claimed_bytes

    def take_model(self, binding: str, model: str, rows: int, size_bytes: int) -> None:
        """Requests of a binding for a model wait for their answer."""
        use = self._models.get((binding, model))
        if use is None:
            use = self._models[binding, model] = Use()
        use.add(rows, size_bytes)
        self._unanswered[binding].add(rows, size_bytes)

    def give_back_model(self, binding: str, model: str, rows: int, size_bytes: int) -> None:
        """Requests of a binding for a model have been answered."""
        use = self._models[binding, model]
        use.add(-rows, -size_bytes)
        self._unanswered[binding].add(-rows, -size_bytes)
        self._ahead.answered(model, rows)
        if use.rows <= 0:
            del self._models[binding, model]

    def unanswered(self, binding: str) -> float:
        """How much of a binding's budget is held by requests whose answers are not acknowledged: 1.0 is all of it."""
        share, use = self._shares[binding], self._unanswered[binding]
        return max(use.rows / (self.limits.rows * share), use.size_bytes / (self.limits.size_bytes * share))

    def fullness(self, binding: str) -> float:
        """How much of a binding's budget is used: 1.0 is full, by rows or bytes, whichever is fuller.

        Counts the binding's whole part, and each model's part of it, which is smaller for a slow one.
        """
        share = self._shares[binding]
        rows, size_bytes = self.limits.rows * share, self.limits.size_bytes * share
        use = self._bindings[binding]
        fullest = max(use.rows / rows, use.size_bytes / size_bytes)
        model_rows, model_bytes = rows * self.limits.model_share, size_bytes * self.limits.model_share
        for (owner, model), held in self._models.items():
            if owner == binding:
                most_rows = min(model_rows, self._ahead.rows(model))
                fullest = max(fullest, held.rows / most_rows, held.size_bytes / model_bytes)
        return fullest

    def room_for_claimed(self, binding: str) -> int:
        """The bytes that fetched data of a binding may take: what its records themselves leave of its part."""
        records_bytes = self._bindings[binding].size_bytes - self._claimed[binding]
        return int(self.limits.size_bytes * self._shares[binding]) - records_bytes

    def room_records(self, bindings: Iterable[str]) -> int:
        """The records that may still be read in one poll of these bindings: the smallest room among them, at least 1.

        A poll cannot be told whose records to bring, so it must fit the binding with the least room. How many rows and
        bytes it will bring is not known either; the records to come are taken to be as large as those of late. What
        the first poll brings is bounded by what the client has prefetched.
        """
        return max(1, min(map(self._room_records, bindings), default=1))

    def _room_records(self, binding: str) -> int:
        share, use = self._shares[binding], self._bindings[binding]
        room = int((int(self.limits.rows * share) - use.rows) / self._record_rows[binding])
        record_bytes = self._record_bytes[binding]
        if not record_bytes:
            return room
        size_bytes = self.limits.size_bytes * share
        room_bytes = min(size_bytes - use.size_bytes, size_bytes / POLL_PART)
        return min(room, int(room_bytes / record_bytes))

    @property
    def bindings(self) -> Mapping[str, Use]:
        """What each binding holds."""
        return self._bindings

    @property
    def models(self) -> Mapping[tuple[str, str], Use]:
        """What each model's unanswered requests hold, by (binding, model)."""
        return self._models

    def __repr__(self) -> str:
        parts = ", ".join(f"{b} {u.rows} rows {u.size_bytes} bytes" for b, u in self._bindings.items())
        return f"<Budget {parts}>"


def _believed(before: float, mean: float) -> float:
    """What records are taken to be like, after a run with that mean."""
    return max(mean, before + (mean - before) / FALL)
