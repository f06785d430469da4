"""How a model's config looks to a person."""

import pytest

from worker.commands.model_views import LATEST_MS, time_text


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (0, None),
        (-1, None),
        (1_700_000_000_000, "2023-11-14T22:13:20Z"),
        (LATEST_MS, "9999-12-31T23:59:59Z"),
        (LATEST_MS + 1, None),
        (2**63 - 1, None),
    ],
)
def test_a_time_that_no_calendar_has_is_no_time(milliseconds: int, shown: str | None) -> None:
    """Any program may write a control record; one with a strange time must not keep the others from being listed."""
    assert time_text(milliseconds) == shown
