"""What the demo has seen: its arithmetic and its verdict, pure, so that made-up traffic can test them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Sample:
    """One request of the demo and what became of it. Times are seconds of one monotonic clock.

    `version` is None and `error` says why where there was no prediction; `correct` counts the rows whose
    digit was recognised.
    """

    sent_at: float
    done_at: float
    rows: int
    version: int | None = None
    correct: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class VersionResult:
    """What one version answered."""

    version: int
    requests: int
    rows: int
    accuracy: float
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class Report:
    """The whole run.

    Times are seconds since its first request; `latency_ms` by percentile, 100: the maximum.
    `switch_seconds` is how long after the push of the new version its first answer came, None where none came.
    """

    requests: int
    failed: int
    errors: tuple[str, ...]
    seconds: float
    requests_per_second: float
    rows_per_second: float
    latency_ms: dict[int, float]
    versions: tuple[VersionResult, ...]
    pushed_at: float
    switch_seconds: float | None
    failed_after_push: int

    def problems(self, expected: Sequence[int]) -> list[str]:
        """Why the demo has not shown what it promises; nothing where it has."""
        answered = {result.version for result in self.versions}
        found = [f"version {version} never answered" for version in expected if version not in answered]
        if unexpected := sorted(answered - set(expected)):
            found.append(f"version {unexpected[0]} answered, which nobody asked for")
        if self.failed:
            found.append(f"{self.failed} of {self.requests} requests failed: {'; '.join(self.errors)}")
        return found


def summarise(samples: Sequence[Sample], pushed_at: float) -> Report:
    """The report of a run; `pushed_at` is when the new version was pushed, on the samples' clock."""
    began = min((s.sent_at for s in samples), default=pushed_at)
    ended = max((s.done_at for s in samples), default=began)
    seconds = max(ended - began, 1e-9)
    good = [s for s in samples if s.error is None]
    bad = [s for s in samples if s.error is not None]
    versions = tuple(
        _of_version(v, good, began) for v in sorted({s.version for s in good if s.version is not None})
    )
    newest = versions[-1] if len(versions) > 1 else None
    return Report(
        requests=len(samples),
        failed=len(bad),
        errors=tuple(sorted({s.error for s in bad if s.error is not None})[:3]),
        seconds=ended - began,
        requests_per_second=len(samples) / seconds,
        rows_per_second=sum(s.rows for s in samples) / seconds,
        latency_ms=_latencies([(s.done_at - s.sent_at) * 1000 for s in good]),
        versions=versions,
        pushed_at=pushed_at - began,
        switch_seconds=None if newest is None else newest.first_at - (pushed_at - began),
        failed_after_push=sum(s.done_at >= pushed_at for s in bad),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of numbers in ascending order; NaN of none."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def _of_version(version: int, good: Sequence[Sample], began: float) -> VersionResult:
    own = [s for s in good if s.version == version]
    rows = sum(s.rows for s in own)
    return VersionResult(
        version=version,
        requests=len(own),
        rows=rows,
        accuracy=sum(s.correct for s in own) / rows if rows else math.nan,
        first_at=min(s.done_at for s in own) - began,
        last_at=max(s.done_at for s in own) - began,
    )


def _latencies(milliseconds: list[float]) -> dict[int, float]:
    ordered = sorted(milliseconds)
    return {percent: percentile(ordered, percent) for percent in (*PERCENTILES, 100)}
