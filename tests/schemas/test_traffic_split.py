"""How a traffic split is written and read."""

import pytest

from schemas.traffic_split import MOST_VARIANTS, TrafficSplit, Variant


def test_it_is_read_as_it_was_written() -> None:
    """Order, targets and weights stay; digits are a version, anything else a label."""
    split = TrafficSplit((Variant("stable", 94.5), Variant(3, 5.0), Variant("v4", 0.5)))

    assert str(split) == "stable=94.5 3=5 v4=0.5"
    assert TrafficSplit.parse(str(split)) == split
    assert TrafficSplit.parse("  007=1\n") == TrafficSplit((Variant(7, 1.0),))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing has a weight above 0"),
        ("1=0 2=0", "nothing has a weight above 0"),
        ("1", "'1' is not understood; expected TARGET=WEIGHT"),
        ("=5", "'=5' is not understood"),
        ("1=much", "'1=much' is not understood"),
        ("1=-1", "the weight of 1 is -1; expected 0 to 1e9"),
        ("1=inf", "the weight of 1 is inf"),
        ("1=nan", "the weight of 1 is nan"),
        ("a=1 b=1 a=2", "a is there twice"),
        ("1=1 01=1", "1 is there twice"),
        (" ".join(f"{n}=1" for n in range(MOST_VARIANTS + 1)), "101 targets; at most 100 are allowed"),
    ],
)
def test_what_divides_nothing_is_refused(text: str, said: str) -> None:
    """The message names the part at fault."""
    with pytest.raises(ValueError, match="^" + said.replace("?", r"\?")):
        TrafficSplit.parse(text)
