"""Where a source speaks to its target."""

import pytest

from lifecycle.servable_id import ServableId
from lifecycle.source import ServableData, connect
from lifecycle.source_port import SourcePort
from tests.fakes.targets import RecordingTarget

Data = ServableData[str]


def data(*versions: int) -> list[Data]:
    """These versions of m."""
    return [ServableData(ServableId("m", version), "here") for version in versions]


@pytest.fixture
def port() -> SourcePort[Data]:
    """A port without a target."""
    return SourcePort()


@pytest.fixture
def target() -> RecordingTarget[Data]:
    """A target."""
    return RecordingTarget()


def test_connected_port_passes_everything_on(port: SourcePort[Data], target: RecordingTarget[Data]) -> None:
    """Each list is told at once, the empty one too."""
    connect(port, target)

    port.say("m", data(1))
    port.say("m", [])

    assert target.told == [("m", data(1)), ("m", [])]


def test_last_list_of_each_name_waits_for_the_target(
    port: SourcePort[Data], target: RecordingTarget[Data]
) -> None:
    """What is said before there is a target holds up nobody, and is told when it comes, once."""
    port.say("m", data(1))
    port.say("n", [])
    port.say("m", data(2))

    connect(port, target)

    assert target.told == [("m", data(2)), ("n", [])]


def test_what_the_target_raises_is_raised(port: SourcePort[Data], target: RecordingTarget[Data]) -> None:
    """The source hears that it was refused, and may go on speaking."""
    connect(port, target)
    target.refusal = ValueError("not now")
    with pytest.raises(ValueError, match="not now"):
        port.say("m", data(1))

    target.refusal = None
    port.say("m", data(2))

    assert target.told == [("m", data(2))]


def test_target_that_refuses_what_was_kept_is_not_connected(
    port: SourcePort[Data], target: RecordingTarget[Data]
) -> None:
    """Nothing that was kept is lost: it is told when a target takes it."""
    port.say("m", data(1))
    target.refusal = ValueError("not now")
    with pytest.raises(ValueError, match="not now"):
        connect(port, target)
    target.refusal = None

    connect(port, target)

    assert target.told == [("m", data(1))]


def test_second_target_is_refused(port: SourcePort[Data], target: RecordingTarget[Data]) -> None:
    """A source speaks to one target; the first one stays."""
    connect(port, target)

    with pytest.raises(RuntimeError, match="has a target already"):
        connect(port, RecordingTarget[Data]())

    port.say("m", data(1))
    assert target.told == [("m", data(1))]
