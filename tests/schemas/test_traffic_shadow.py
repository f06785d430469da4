"""Which part of its requests a model also gives to another version, as text."""

import pytest

from schemas.traffic_shadow import TrafficShadow


@pytest.mark.parametrize(
    ("text", "shadow"),
    [
        ("canary=0.1", TrafficShadow("canary", 0.1)),
        ("2=1 headrace.shadow", TrafficShadow(2, 1.0, "headrace.shadow")),
        ("v_2=0.005 A-z_9.", TrafficShadow("v_2", 0.005, "A-z_9.")),
    ],
)
def test_what_is_written_is_read(text: str, shadow: TrafficShadow) -> None:
    """With and without a topic, for a version and for a label."""
    assert TrafficShadow.parse(text) == shadow
    assert str(shadow) == text


def test_spaces_and_zeros_before_numbers_mean_nothing() -> None:
    """Another program may write them."""
    assert TrafficShadow.parse("  007=0.50\n topic ") == TrafficShadow(7, 0.5, "topic")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected TARGET="),
        ("canary", "expected TARGET="),
        ("canary=", "expected TARGET="),
        ("=0.1", "expected TARGET="),
        ("2=10%", "expected TARGET="),
        ("2=0", "the share is 0; expected more than 0 and at most 1"),
        ("2=-0.1", "the share is -0.1"),
        ("2=1.01", "the share is 1.01"),
        ("2=nan", "the share is nan"),
        ("2=inf", "the share is inf"),
        ("2=0.1 a b", "at most one topic"),
        ("2=0.1 a/b", "topic 'a/b' is none that Kafka takes"),
        ("2=0.1 ..", r"topic '\.\.' is none"),
        ("2=0.1 " + "x" * 250, "topic 'x+' is none"),
        ("2=0.1 schatten.ä", "is none that Kafka takes"),
    ],
)
def test_what_means_nothing_is_refused(text: str, said: str) -> None:
    """With what was expected."""
    with pytest.raises(ValueError, match=said):
        TrafficShadow.parse(text)
