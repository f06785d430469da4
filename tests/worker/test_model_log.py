"""The log says what becomes of a version."""

import logging

import pytest

from lifecycle.errors import LoadFailed
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableEvent, ServableState
from worker.model_log import log_event


def test_each_step_of_a_version_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Loading, available, on its way out, unloaded: one line each, with model and version."""
    with caplog.at_level(logging.INFO, "worker"):
        for state in ServableState:
            log_event(ServableEvent(ServableId("digits", 2), state, None, 0.0))

    assert [record.getMessage() for record in caplog.records] == [
        "version loading",
        "version available",
        "version on its way out; requests that have it may finish",
        "version unloaded",
    ]
    assert {(record.__dict__["model"], record.__dict__["version"]) for record in caplog.records} == {
        ("digits", 2)
    }


def test_a_failure_is_an_error_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    """A version that has failed is an error line that says why."""
    log_event(ServableEvent(ServableId("digits", 2), ServableState.END, LoadFailed("no such file"), 0.0))

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.__dict__["problem"] == "no such file"
