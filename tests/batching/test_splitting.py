"""Promises of `batching.splitting`."""

import pytest

from batching import errors, splitting
from tests.batching.bench import Rows


class MissplitRows(Rows):
    """Loses a row when it is split."""

    def split(self, rows: int) -> tuple["MissplitRows", "MissplitRows"]:
        """Cut wrongly."""
        return MissplitRows("head", rows), MissplitRows("tail", self.rows - rows - 1)


def sizes(task: Rows, room_rows: int) -> tuple[int, list[int]]:
    """Return the plan for batches of 10 rows, as numbers of rows; 0: no filler."""
    filler, parts = splitting.plan(task, room_rows, 10)
    return filler.rows if filler is not None else 0, [part.rows for part in parts]


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_a_task_that_fits_is_not_split(cut: int) -> None:
    """The whole task goes into the open batch, be it divisible or not."""
    assert sizes(Rows("t", 4, cut), room_rows=4) == (4, [])


def test_a_task_fills_the_open_batch_exactly() -> None:
    """A divisible task gives the open batch what it has room for; the rest starts new batches."""
    assert sizes(Rows("t", 25, cut=1), room_rows=2) == (2, [10, 10, 3])


def test_a_task_is_cut_only_where_it_allows() -> None:
    """Blocks of requests of 3 rows fill 9 of 10 rows."""
    assert sizes(Rows("t", 24, cut=3), room_rows=5) == (3, [9, 9, 3])


def test_a_task_that_cannot_fill_the_open_batch_starts_a_new_one() -> None:
    """Without a cut in the open room nothing goes there."""
    assert sizes(Rows("t", 7), room_rows=5) == (0, [7])
    assert sizes(Rows("t", 12, cut=3), room_rows=2) == (0, [9, 3])


def test_an_indivisible_task_larger_than_a_batch_is_too_large() -> None:
    """What no batch can hold is refused for good."""
    with pytest.raises(errors.TaskTooLarge, match="11 rows"):
        splitting.plan(Rows("t", 11), 0, 10)
    with pytest.raises(errors.TaskTooLarge):
        splitting.plan(Rows("t", 24, cut=12), 5, 10)


def test_a_task_without_rows_is_invalid() -> None:
    """It could make an empty batch, which is never dispatched."""
    with pytest.raises(errors.InvalidTask, match="at least 1 row"):
        splitting.plan(Rows("t", 0), 0, 10)


@pytest.mark.parametrize("room_rows", [0, 5])
def test_a_split_that_loses_rows_is_refused(room_rows: int) -> None:
    """A task whose parts do not add up is named, before any part of it is taken."""
    with pytest.raises(errors.InvalidTask, match="split"):
        splitting.plan(MissplitRows("t", 15), room_rows, 10)
