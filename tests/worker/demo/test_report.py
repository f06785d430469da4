"""The demo's arithmetic and its verdict."""

import math

import pytest

from worker.demo.report import Sample, percentile, summarise


def good(at: float, version: int, *, rows: int = 4, correct: int = 4, took: float = 0.01) -> Sample:
    """A request that was answered."""
    return Sample(at, at + took, rows, version=version, correct=correct)


def test_a_run_with_both_versions_and_no_failure_has_no_problem() -> None:
    """This is what the demo promises."""
    report = summarise([good(10.0, 1), good(11.0, 2)], pushed_at=10.5)

    assert report.problems(expected=(1, 2)) == []
    assert report.failed == 0


def test_a_version_that_never_answered_is_a_problem() -> None:
    """Also when all requests went well."""
    assert summarise([good(10.0, 1)], 10.5).problems((1, 2)) == ["version 2 never answered"]
    assert summarise([], 10.5).problems((1, 2)) == ["version 1 never answered", "version 2 never answered"]


def test_a_version_that_nobody_asked_for_is_a_problem() -> None:
    """A stray answer is not passed over."""
    assert summarise([good(1.0, 1), good(2.0, 7)], 1.5).problems((1,)) == [
        "version 7 answered, which nobody asked for"
    ]


def test_failures_are_counted_and_told() -> None:
    """How many, how many since the push, and why, each reason once."""
    bad = [Sample(t, t + 1, 2, error="UNAVAILABLE: x") for t in (9.0, 10.2, 10.4)]

    report = summarise([good(9.0, 1), good(11.0, 2), *bad], pushed_at=10.5)

    assert (report.requests, report.failed, report.failed_after_push) == (5, 3, 2)
    assert report.problems((1, 2)) == ["3 of 5 requests failed: UNAVAILABLE: x"]


def test_accuracy_is_by_row_and_version() -> None:
    """A request of eight rows weighs eight times one of one row."""
    report = summarise([good(1.0, 1, rows=8, correct=8), good(1.0, 1, rows=2, correct=0), good(2.0, 2)], 1.5)

    first, second = report.versions
    assert (first.version, first.requests, first.rows, first.accuracy) == (1, 2, 10, 0.8)
    assert (second.version, second.accuracy) == (2, 1.0)


def test_rates_cover_the_time_from_first_request_to_last_answer() -> None:
    """Rows and requests each have theirs."""
    report = summarise([good(10.0, 1), good(11.0, 1), good(11.5, 2, took=0.5)], 11.2)

    assert report.seconds == 2.0
    assert report.requests_per_second == 1.5
    assert report.rows_per_second == 6.0


def test_the_switch_is_the_time_from_push_to_first_new_answer() -> None:
    """Old answers in between are the point of it."""
    report = summarise(
        [good(10.0, 1), good(10.9, 1), good(11.5, 2, took=0.25), good(12.0, 2)], pushed_at=10.5
    )

    assert report.pushed_at == 0.5
    assert report.switch_seconds == pytest.approx(1.25)
    assert report.versions[1].first_at == pytest.approx(1.75)
    assert report.versions[0].last_at == pytest.approx(0.91)
    assert summarise([good(10.0, 1)], 10.5).switch_seconds is None


def test_latencies_are_of_answered_requests() -> None:
    """A failure's waiting time is no latency."""
    samples = [good(float(i), 1, took=i / 1000) for i in range(1, 101)]

    report = summarise([*samples, Sample(0.0, 60.0, 1, error="no reply")], 50.0)

    assert {p: round(ms) for p, ms in report.latency_ms.items()} == {50: 50, 95: 95, 99: 99, 100: 100}


def test_percentiles_are_numbers_that_were_measured() -> None:
    """Nearest rank: nothing is made up between two measurements."""
    assert percentile([1.0, 2.0], 50) == 1.0
    assert percentile([1.0, 2.0], 51) == 2.0
    assert percentile([7.0], 0) == 7.0
    assert math.isnan(percentile([], 50))
