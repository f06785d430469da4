"""Promises of `batching.batch`."""

import pytest

from batching.batch import Batch, CloseReason
from tests.batching.bench import Rows


def test_a_batch_adds_up_its_tasks() -> None:
    """Tasks stay in order, each with the time at which it came."""
    batch: Batch[Rows] = Batch()
    batch.add(Rows("a", 2), 1.0)
    batch.add(Rows("b", 3), 2.0)

    assert batch.tasks == [Rows("a", 2), Rows("b", 3)]
    assert batch.enqueued_at == [1.0, 2.0]
    assert batch.rows == 5


def test_a_closed_batch_never_opens_again() -> None:
    """Neither another task nor another end is taken."""
    batch: Batch[Rows] = Batch()
    batch.add(Rows("a", 2), 1.0)
    batch.close(CloseReason.FULL, padded_rows=4)

    with pytest.raises(AssertionError, match="closed"):
        batch.add(Rows("b", 1), 1.0)
    with pytest.raises(AssertionError, match="closed already"):
        batch.close(CloseReason.DRAIN, padded_rows=2)
    assert (batch.rows, batch.padded_rows, batch.close_reason) == (2, 4, CloseReason.FULL)


def test_an_empty_batch_cannot_be_closed() -> None:
    """What has no task is never dispatched."""
    with pytest.raises(AssertionError, match="empty"):
        Batch[Rows]().close(CloseReason.TIMEOUT, padded_rows=0)


def test_repr_shows_the_state() -> None:
    """A debugger sees size, state and reason."""
    batch: Batch[Rows] = Batch()
    batch.add(Rows("a", 3), 0.0)
    assert repr(batch) == "<Batch of 1 tasks, 3 rows, open>"

    batch.close(CloseReason.TIMEOUT, padded_rows=4)
    assert repr(batch) == "<Batch of 1 tasks, 3 rows, closed (timeout), run as 4>"
