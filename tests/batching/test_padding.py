"""Promises of `batching.padding`."""

import pytest

from batching import errors, padding


@pytest.mark.parametrize(("rows", "size"), [(1, 2), (2, 2), (3, 4), (4, 4), (5, 8), (8, 8)], ids=str)
def test_a_batch_is_run_at_the_next_allowed_size(rows: int, size: int) -> None:
    """An allowed size stays, any other becomes the next larger one."""
    assert size == padding.next_allowed(rows, (2, 4, 8))


def test_without_allowed_sizes_nothing_is_padded() -> None:
    """No sizes mean any size."""
    assert padding.next_allowed(7, ()) == 7


def test_more_rows_than_the_largest_size_are_refused() -> None:
    """A size that holds fewer rows than there are would lose some."""
    with pytest.raises(errors.RowCountMismatch, match="9 rows"):
        padding.next_allowed(9, (2, 4, 8))


@pytest.mark.parametrize("allowed", [(), (8,), (1, 2, 8)], ids=str)
def test_ascending_sizes_that_end_at_the_largest_batch_are_taken(allowed: tuple[int, ...]) -> None:
    """Sizes that a batch can always be padded to are valid."""
    padding.check_allowed(allowed, 8)


@pytest.mark.parametrize("allowed", [(4, 2, 8), (2, 2, 8), (0, 8), (-1, 8)], ids=str)
def test_unsorted_sizes_are_refused(allowed: tuple[int, ...]) -> None:
    """Sizes that do not ascend from 1 on are a mistake, not a set."""
    with pytest.raises(errors.InvalidOptions, match="ascending"):
        padding.check_allowed(allowed, 8)


@pytest.mark.parametrize("allowed", [(2, 4), (2, 16)], ids=str)
def test_sizes_that_end_elsewhere_than_the_largest_batch_are_refused(allowed: tuple[int, ...]) -> None:
    """A full batch must have its own size: no smaller and no larger one."""
    with pytest.raises(errors.InvalidOptions, match=r"max_batch_rows \(8\)"):
        padding.check_allowed(allowed, 8)
