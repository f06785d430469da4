"""What a worker says of the batch queues of a version: a parameter of its status, in JSON."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

_MOST = 2.0**63


@dataclass(frozen=True, slots=True)
class QueueReport:
    """The queues of one signature: what waits now, and what has left since some moment: the report before, say.

    Attributes:
        signature: its name.
        waiting_tasks: tasks that wait; a task is some requests alike.
        waiting_rows: rows that wait.
        oldest_seconds: how long the oldest task has waited; 0 where none does.
        batches: batches that have left.
        rows: of all of them, without padding.
        padding_rows: rows that were added to reach an allowed batch size.
        wait_seconds: waits of the first task of each batch, added up.
        runs: calls of the model.
        run_seconds: time of all of them.
        objective_seconds: the p99 that batches are to keep; 0 where there is none, and so for the others.
        p99_seconds: what was measured of late; 0 where too little was seen.
        max_batch_rows: rows of a full batch, as chosen to keep it.
        batch_timeout_seconds: how long a batch waits for more, likewise.
    """

    signature: str
    waiting_tasks: int = 0
    waiting_rows: int = 0
    oldest_seconds: float = 0.0
    batches: int = 0
    rows: int = 0
    padding_rows: int = 0
    wait_seconds: float = 0.0
    runs: int = 0
    run_seconds: float = 0.0
    objective_seconds: float = 0.0
    p99_seconds: float = 0.0
    max_batch_rows: int = 0
    batch_timeout_seconds: float = 0.0

    @property
    def mean_rows(self) -> float | None:
        """Rows of a batch, without padding; None without one."""
        return self.rows / self.batches if self.batches else None

    @property
    def padding_share(self) -> float | None:
        """How much of what the model was given was padding, 0 to 1; None where it was given nothing."""
        run = self.rows + self.padding_rows
        return self.padding_rows / run if run else None

    @property
    def mean_wait_seconds(self) -> float | None:
        """Wait of a batch's first task; None without one."""
        return self.wait_seconds / self.batches if self.batches else None

    @property
    def mean_run_seconds(self) -> float | None:
        """Time of a call of the model; None without one."""
        return self.run_seconds / self.runs if self.runs else None

    @property
    def objective_kept(self) -> bool | None:
        """Whether the objective is kept; None where there is none, or too little was seen."""
        if not self.objective_seconds or not self.p99_seconds:
            return None
        return self.p99_seconds <= self.objective_seconds


_NUMBERS = {each.name: each.type for each in fields(QueueReport) if each.name != "signature"}


def encode(reports: Iterable[QueueReport]) -> bytes:
    """As JSON in UTF-8: a list of objects, without what is 0, times to the microsecond."""
    said = [
        {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in asdict(report).items()
            if value or name == "signature"
        }
        for report in reports
    ]
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def decode(text: bytes) -> tuple[QueueReport, ...]:
    """What `encode` has made; what makes no sense is passed over, for a newer worker may say more."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    return tuple(_report(each) for each in said if _is_report(each)) if isinstance(said, list) else ()


def _is_report(said: object) -> bool:
    return isinstance(said, dict) and isinstance(said.get("signature"), str)


def _report(said: dict[str, Any]) -> QueueReport:
    numbers: dict[str, Any] = {}
    for name, kind in _NUMBERS.items():
        value = said.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST:
            numbers[name] = int(value) if kind is int else float(value)
    # A lone surrogate, which JSON can say, cannot be printed.
    return QueueReport(said["signature"].encode(errors="replace").decode(), **numbers)
