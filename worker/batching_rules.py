"""Rules for the batching options of a control record: what is wrong with them, in words."""

from collections.abc import Iterator, Sequence

from schemas.model_config import BatchingOptions

MOST_BATCH_SIZES = 1000
MOST_BATCH_ROWS, MOST_ENQUEUED_BATCHES = 1_048_576, 1_000_000
LONGEST_BATCH_TIMEOUT_SECONDS = 86_400.0
"""Beyond these is a slip of the hand, and a batch that is padded to such a size would be allocated."""
_SHOWN_NUMBERS = 8


def problems(batching: BatchingOptions | None) -> Iterator[str]:
    """What is wrong with each option by itself, and with sizes that do not end at the largest batch."""
    if batching is None:
        return
    rows, wait = batching.max_batch_rows, batching.batch_timeout_seconds
    sizes, enqueued = batching.allowed_batch_rows, batching.max_enqueued_batches
    if rows is not None and not 1 <= rows <= MOST_BATCH_ROWS:
        yield f"max_batch_rows is {rows}; expected 1 to {MOST_BATCH_ROWS:,}"
    if wait is not None and not 0 <= wait <= LONGEST_BATCH_TIMEOUT_SECONDS:
        yield f"batch_timeout_seconds is {wait}; expected 0 to {LONGEST_BATCH_TIMEOUT_SECONDS:,.0f}"
    if enqueued is not None and not 1 <= enqueued <= MOST_ENQUEUED_BATCHES:
        yield f"max_enqueued_batches is {enqueued}; expected 1 to {MOST_ENQUEUED_BATCHES:,}"
    if not sizes:
        return
    if len(sizes) > MOST_BATCH_SIZES or sizes[-1] > MOST_BATCH_ROWS:
        yield (
            f"allowed_batch_rows {shown(sizes)}: expected at most {MOST_BATCH_SIZES:,} sizes, none above "
            f"{MOST_BATCH_ROWS:,}"
        )
    elif min(sizes) < 1 or list(sizes) != sorted(set(sizes)):
        yield f"allowed_batch_rows {shown(sizes)} must increase, from 1 or more"
    elif rows is not None and sizes[-1] != rows:
        yield f"allowed_batch_rows {shown(sizes)} must end at max_batch_rows, {rows}"


def shown(numbers: Sequence[int]) -> str:
    """The first of them, and how many more there are."""
    first = ", ".join(map(str, numbers[:_SHOWN_NUMBERS]))
    more = len(numbers) - _SHOWN_NUMBERS
    return f"[{first}]" if more <= 0 else f"[{first} and {more:,} more]"
