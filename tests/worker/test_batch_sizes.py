"""Rows of a batch, bounded by bytes."""

import pytest

from batching.options import QueueOptions
from schemas.dtype import DType
from schemas.request_kind import RequestKind, TensorLayout
from worker.batch_sizes import within_bytes

IMAGES = RequestKind("m", None, None, "serving_default", (), (TensorLayout("x", DType.DT_UINT8, (1000,)),))
TEXTS = RequestKind("m", None, None, "serving_default", (), (TensorLayout("x", DType.DT_STRING, ()),))


def rows(options: QueueOptions, max_batch_bytes: int, largest_rows: int = 1) -> int:
    """The rows that a batch of images may have."""
    return within_bytes(options, IMAGES.row_bytes, max_batch_bytes, largest_rows).max_batch_rows


def test_small_rows_are_batched_as_the_options_say() -> None:
    """The bound concerns nobody whose full batch is below it: the options are the very same."""
    options = QueueOptions(max_batch_rows=64)

    assert within_bytes(options, IMAGES.row_bytes, 64_000, 1) is options
    assert within_bytes(options, TEXTS.row_bytes, 1, 1) is options


@pytest.mark.parametrize(("max_batch_bytes", "expected"), [(63_999, 63), (10_000, 10), (1500, 1), (1, 1)])
def test_large_rows_close_a_batch_at_its_bytes(max_batch_bytes: int, expected: int) -> None:
    """As many rows as fit, at least one; everything else stays as it was set."""
    options = QueueOptions(max_batch_rows=64, batch_timeout_seconds=0.5, max_enqueued_batches=3)

    assert within_bytes(options, IMAGES.row_bytes, max_batch_bytes, 1) == QueueOptions(expected, 0.5, 3)


@pytest.mark.parametrize(
    ("largest_rows", "expected"), [(1, 10), (10, 10), (11, 16), (16, 16), (17, 32), (64, 64)]
)
def test_a_request_larger_than_the_bytes_is_taken_whole(largest_rows: int, expected: int) -> None:
    """What `max_batch_rows` allows is answered, and the sizes of requests do not make a queue each."""
    assert rows(QueueOptions(max_batch_rows=64), 10_000, largest_rows) == expected


@pytest.mark.parametrize(
    ("max_batch_bytes", "largest_rows", "expected"),
    [
        (40_000, 1, (8, 32)),
        (31_999, 1, (8,)),
        (5000, 1, (8,)),  # a smaller batch would be padded to 8 anyway
        (20_000, 10, (8, 32)),  # 8 rows would not take the request
        (40_000, 33, (8, 32, 64)),
    ],
)
def test_batches_close_at_sizes_that_need_no_padding(
    max_batch_bytes: int, largest_rows: int, expected: tuple[int, ...]
) -> None:
    """Where only some sizes are allowed, a batch closes at one of them."""
    options = QueueOptions(max_batch_rows=64, allowed_batch_rows=(8, 32, 64))

    bounded = within_bytes(options, IMAGES.row_bytes, max_batch_bytes, largest_rows)

    assert bounded.allowed_batch_rows == expected
    assert bounded.max_batch_rows == expected[-1]
