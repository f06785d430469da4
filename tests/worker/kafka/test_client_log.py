"""The client library's log lines."""

import logging

import pytest

from worker.kafka.client_log import LOGGER_NAME, client_logger


@pytest.mark.parametrize(
    ("level", "text", "expected"),
    [
        (logging.ERROR, "FAIL [rdkafka#consumer-1] Connection refused", logging.INFO),
        (logging.WARNING, "CONFWARN [x] linger.ms is a producer property", logging.DEBUG),
        (logging.INFO, "something", logging.INFO),
        (logging.DEBUG, "something", logging.DEBUG),
    ],
)
def test_lines_are_kept_lower(caplog: pytest.LogCaptureFixture, level: int, text: str, expected: int) -> None:
    """What an operator must know comes as a problem; the library's own words are detail."""
    caplog.set_level(logging.DEBUG, LOGGER_NAME)

    client_logger().log(level, text)

    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [(expected, text)]


def test_a_lowered_line_obeys_the_level(caplog: pytest.LogCaptureFixture) -> None:
    """At the usual level, only what is above it is written."""
    caplog.set_level(logging.WARNING, LOGGER_NAME)

    client_logger().error("FAIL")

    assert caplog.records == []


def test_asking_again_gives_the_same_logger() -> None:
    """The filter is there once."""
    assert client_logger() is client_logger()
    assert len(client_logger().filters) == 1
