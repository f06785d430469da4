"""Limits: what they cannot be."""

import pytest

from schemas.wire_limits import WireLimits


def test_more_dimensions_than_numpy_knows_cannot_be_allowed() -> None:
    """A limit that would let a request through to fail inside numpy is refused at the start."""
    assert WireLimits(dims=64).dims == 64
    with pytest.raises(ValueError, match="numpy knows no more than 64"):
        WireLimits(dims=65)
