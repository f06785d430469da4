"""The histogram of batches, from a metrics page."""

import math

from worker.demo.batch_rows import Bar, read_bars

PAGE = """\
# HELP headrace_batch_rows Rows of each batch, without padding.
# TYPE headrace_batch_rows histogram
headrace_batch_rows_bucket{le="1.0",model="digits"} 0.0
headrace_batch_rows_bucket{le="2.0",model="digits"} 3.0
headrace_batch_rows_bucket{le="4.0",model="digits"} 3.0
headrace_batch_rows_bucket{le="8.0",model="digits"} 10.0
headrace_batch_rows_bucket{le="16.0",model="digits"} 10.0
headrace_batch_rows_bucket{le="+Inf",model="digits"} 10.0
headrace_batch_rows_count{model="digits"} 10.0
headrace_batch_rows_sum{model="digits"} 55.0
headrace_batch_rows_bucket{le="1.0",model="other"} 99.0
headrace_batch_padded_rows_total{model="digits"} 0.0
"""


def test_bars_are_the_differences_of_the_buckets() -> None:
    """Prometheus' buckets are cumulative; bars are not, and the empty ones at both ends are left out."""
    assert read_bars(PAGE, "digits") == [Bar(2, 2.0, 3), Bar(3, 4.0, 0), Bar(5, 8.0, 7)]


def test_a_model_without_batches_has_no_bars() -> None:
    """Neither has an empty page."""
    assert read_bars(PAGE, "unknown") == []
    assert read_bars("", "digits") == []


def test_the_last_bar_is_open() -> None:
    """Batches beyond the last bound are shown as such."""
    page = PAGE.replace('"+Inf",model="digits"} 10.0', '"+Inf",model="digits"} 12.0')

    assert read_bars(page, "digits")[-1] == Bar(17, math.inf, 2)


def test_labels_read_as_people_write_ranges() -> None:
    """One number, a range, or an open end."""
    assert [Bar(1, 1.0, 1).label, Bar(5, 8.0, 1).label, Bar(17, math.inf, 1).label] == ["1", "5-8", ">= 17"]
