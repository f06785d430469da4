"""Which version a request means."""

from schemas.model_config import ModelConfig
from schemas.version_selection import SpecificVersions
from worker.model_choice import (
    Found,
    Misconfigured,
    NotConfigured,
    UnknownLabel,
    UnknownVersion,
    choose,
)
from worker.model_table import DesiredModel

CONFIG = ModelConfig("/m", versions=SpecificVersions((3, 4)), labels={"stable": 3, "old": 1})
MODEL = DesiredModel("m", CONFIG, 0, 0, versions=(4, 3))


def test_a_model_that_is_not_on_the_control_topic_is_not_configured() -> None:
    """The sentence names it."""
    assert choose("m", None, None, None) == NotConfigured("model 'm' is not on the control topic")


def test_no_version_means_the_latest_that_is_available() -> None:
    """Which one that is, the manager knows."""
    assert choose("m", MODEL, None, None) == Found(None)


def test_a_desired_version_is_found() -> None:
    """Whether it is available is another question."""
    assert choose("m", MODEL, 3, None) == Found(3)


def test_a_version_that_is_not_desired_is_unknown() -> None:
    """The sentence says which are."""
    choice = choose("m", MODEL, 5, None)

    assert isinstance(choice, UnknownVersion)
    assert choice.message == "version 5 of model 'm' was asked for; the versions of 'm' are: 4, 3"


def test_a_label_means_its_version() -> None:
    """Labels are the config's."""
    assert choose("m", MODEL, None, "stable") == Found(3)


def test_a_label_that_is_not_there_is_unknown() -> None:
    """As in TensorFlow Serving this is the requester's mistake; the sentence says which labels are there."""
    assert choose("m", MODEL, None, "beta") == UnknownLabel(
        "model 'm' has no label 'beta'; its labels: old, stable"
    )


def test_a_label_on_a_version_that_is_not_desired_is_an_unknown_version() -> None:
    """The sentence names label and version."""
    choice = choose("m", MODEL, None, "old")

    assert isinstance(choice, UnknownVersion)
    assert choice.version == 1
    assert "label 'old' of model 'm' points to version 1" in choice.message


def test_of_a_model_without_a_readable_record_nothing_is_known() -> None:
    """Neither its versions nor its labels can be called unknown."""
    model = DesiredModel("m", None, 0, problem="control record 0 is not valid")

    assert choose("m", model, 3, None) == Misconfigured("model 'm': control record 0 is not valid")
    assert choose("m", model, None, "stable") == Misconfigured("model 'm': control record 0 is not valid")
