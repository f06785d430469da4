"""How a model's config looks to a person."""

import pytest

from schemas.model_config import GOLDEN, ModelConfig
from worker.commands.model_views import LATEST_MS, config_document, differences, time_text


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


def test_golden_requests_are_told_apart_and_can_be_given_back() -> None:
    """Two sets of as many are no change only where they say the same; a foreign text is no failure."""
    one, other = (
        ModelConfig("/m", parameters={GOLDEN: text}) for text in (b'{"inputs":[1],"outputs":[2]}', b"garbage")
    )

    assert config_document(one)["golden"] == [{"inputs": [1], "outputs": [2]}]
    assert config_document(other)["golden"] is None
    ((field, old, new),) = differences(one, other)
    assert field == "golden"
    assert old != new
    assert old.startswith("1 golden request (")
    assert list(differences(one, one)) == []
