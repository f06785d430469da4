"""What a status says by its parameters."""

import pytest

from schemas.servable_status import (
    MEMORY_BYTES,
    REQUESTS_ANSWERED,
    REQUESTS_FAILED,
    ServableState,
    ServableStatus,
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"gpu:0=130023424 host=285212672", {"gpu:0": 130_023_424, "host": 285_212_672}),
        (b"host=1", {"host": 1}),
        (b"", {}),
        (b"host", {}),
        (b"host=many =5 tpu:1=7 \xff=8", {"tpu:1": 7, "\ufffd": 8}),
        (b"host=" + b"9" * 5000, {}),
    ],
)
def test_memory_is_read_by_device_and_what_makes_no_sense_is_passed_over(
    text: bytes, said: dict[str, int]
) -> None:
    """A newer worker may say more."""
    status = ServableStatus("w", "m", 1, ServableState.AVAILABLE, parameters={MEMORY_BYTES: text})

    assert status.memory_bytes == said
    assert ServableStatus("w", "m", 1, ServableState.AVAILABLE).memory_bytes == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [(b"0", 0), (b"12345", 12_345), (b"", None), (b"-1", None), (b"many", None), (b"9" * 5000, None)],
)
def test_requests_are_read_and_what_makes_no_sense_is_passed_over(text: bytes, said: int | None) -> None:
    """A worker of an older release says nothing of them."""
    for name in (REQUESTS_ANSWERED, REQUESTS_FAILED):
        status = ServableStatus("w", "m", 1, ServableState.AVAILABLE, parameters={name: text})
        counts = {REQUESTS_ANSWERED: status.requests_answered, REQUESTS_FAILED: status.requests_failed}
        assert counts.pop(name) == said
        assert set(counts.values()) == {None}
