"""How log lines look, and what they never show."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from worker.log import JsonFormatter, Occasionally, TextFormatter, Throttle, configure_logging


def line(formatter: logging.Formatter, event: str, **fields: Any) -> str:
    """One formatted line about an event at the beginning of the epoch."""
    record = logging.makeLogRecord(
        {"msg": event, "levelname": "INFO", "name": "worker.x", "created": 0.25, **fields}
    )
    return formatter.format(record)


@pytest.fixture
def restored() -> Iterator[None]:
    """Logging as it was, whatever a test configures."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    logging.captureWarnings(capture=False)
    root.setLevel(level)
    root.handlers[:] = handlers
    for package in ("schemas", "batching", "lifecycle", "worker"):
        logging.getLogger(package).setLevel(logging.NOTSET)


def test_a_line_for_people_has_time_level_event_and_fields() -> None:
    """The event reads as a sentence, the fields can be searched for."""
    assert line(TextFormatter(), "model available", model="digits", version=2) == (
        "1970-01-01T00:00:00.250Z INFO    model available model=digits version=2"
    )


def test_a_line_for_machines_is_one_json_object() -> None:
    """Fields stand beside the event, with their types."""
    assert json.loads(line(JsonFormatter(), "model available", model="digits", version=2)) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "info",
        "logger": "worker.x",
        "event": "model available",
        "model": "digits",
        "version": 2,
    }


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_what_a_requester_writes_cannot_begin_a_line(formatter: logging.Formatter) -> None:
    """A line break in an event or a field is shown, not obeyed."""
    text = line(formatter, "model\nFAKE", model='a\nb "c"', other="d e=f")

    assert "\n" not in text


def test_a_field_with_blanks_is_quoted() -> None:
    """Fields can be told apart again."""
    assert line(TextFormatter(), "x", reason="no such file", empty="").endswith(
        'reason="no such file" empty=""'
    )


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_secrets_are_masked_by_the_name_of_their_field(formatter: logging.Formatter) -> None:
    """Also inside of a field that holds several."""
    text = line(formatter, "x", password="hidden", properties={"sasl.password": "hidden", "linger.ms": 5})

    assert "hidden" not in text
    assert "linger.ms" in text


@pytest.mark.parametrize(("style", "sign"), [("text", "\nTraceback"), ("json", '"exception": "Traceback')])
def test_an_exception_comes_with_its_traceback(
    restored: None, style: Literal["text", "json"], sign: str
) -> None:
    """Whoever repairs it sees where it happened."""
    stream = io.StringIO()
    configure_logging(style, "info", stream)
    try:
        raise ValueError("broken")  # noqa: TRY301 - the error is the fixture
    except ValueError:
        logging.getLogger("worker.x").exception("it failed")

    assert sign in stream.getvalue()
    assert "ValueError: broken" in stream.getvalue()


def test_our_packages_speak_from_the_set_level_and_libraries_from_warnings(restored: None) -> None:
    """A library's chatter does not drown what a worker says."""
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure_logging("text", "debug", stream)
        logging.getLogger("lifecycle.x").debug("ours")
        logging.getLogger("urllib3").info("theirs")
        logging.getLogger("urllib3").warning("serious")
        warnings.warn("old interface", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)

    assert "ours" in stream.getvalue()
    assert "theirs" not in stream.getvalue()
    assert "serious" in stream.getvalue()
    assert "old interface" in stream.getvalue()


def test_configuring_again_replaces_what_was(restored: None) -> None:
    """No line appears twice."""
    first, second = io.StringIO(), io.StringIO()
    configure_logging("text", "info", first)
    configure_logging("text", "info", second)
    logging.getLogger("worker").info("once")

    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_a_throttle_lets_one_line_through_in_an_interval() -> None:
    """What was left out is counted and told with the next line; keys do not concern each other."""
    now = 100.0
    throttle = Throttle(10.0, lambda: now)
    told = [throttle.due("a"), throttle.due("a"), throttle.due("a"), throttle.due("b")]
    now = 110.0
    told += [throttle.due("a"), throttle.due("a")]

    assert told == [0, None, None, 0, 2, None]


def test_a_throttled_warning_says_how_many_were_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody takes a rare line for a rare event."""
    now = 0.0
    occasionally = Occasionally(logging.getLogger("worker.test"), seconds=1.0, clock=lambda: now)
    for moment in (0.0, 0.1, 0.2, 1.5):
        now = moment
        occasionally.warning("reply topic unknown", topic="x")

    assert [getattr(record, "left_out", 0) for record in caplog.records] == [0, 2]
    assert [getattr(record, "topic", "") for record in caplog.records] == ["x", "x"]
