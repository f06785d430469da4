"""Promises of `batching.options`."""

import math
from typing import Any

import pytest

from batching import errors
from batching.options import QueueOptions


def test_defaults_are_what_the_documentation_says() -> None:
    """A changed default is a change for every user, so it is made on purpose."""
    assert QueueOptions() == QueueOptions(
        max_batch_rows=1024,
        batch_timeout_seconds=0.0,
        max_enqueued_batches=8,
        allowed_batch_rows=(),
        priority=4,
        ageing_seconds=10.0,
    )


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"max_batch_rows": 0}, "max_batch_rows"),
        ({"batch_timeout_seconds": -0.1}, "batch_timeout_seconds"),
        ({"batch_timeout_seconds": math.inf}, "batch_timeout_seconds"),
        ({"batch_timeout_seconds": math.nan}, "batch_timeout_seconds"),
        ({"max_enqueued_batches": -1}, "max_enqueued_batches"),
        ({"allowed_batch_rows": (4, 2, 1024)}, "allowed_batch_rows"),
        ({"allowed_batch_rows": (2, 2048)}, "allowed_batch_rows"),
        ({"priority": -1}, "priority"),
        ({"priority": 10}, "priority"),
        ({"ageing_seconds": -1.0}, "ageing_seconds"),
        ({"ageing_seconds": math.inf}, "ageing_seconds"),
    ],
    ids=str,
)
def test_a_value_out_of_range_is_refused_at_construction(wrong: dict[str, Any], named: str) -> None:
    """The error names the option, before any task is taken."""
    with pytest.raises(errors.InvalidOptions, match=named):
        QueueOptions(**wrong)


def test_a_queue_of_no_batches_becomes_a_queue_of_one() -> None:
    """`max_enqueued_batches=0` acts as 1."""
    assert QueueOptions(max_enqueued_batches=0).max_enqueued_batches == 1
