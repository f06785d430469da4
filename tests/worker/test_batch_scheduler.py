"""Which scheduler the settings make, and what metrics say of it."""

from typing import Any

import pytest

from batching.in_flight import AdaptiveLimit, SerialDeviceLimit
from tests.fakes.request_path import Lab, request
from tests.kit.waiting import wait_until
from worker.batch_scheduler import limit_of
from worker.settings_serving import BatchingSettings


@pytest.mark.parametrize(
    ("said", "kind"),
    [("shared", type(None)), ("adaptive", AdaptiveLimit), ("serial_device", SerialDeviceLimit)],
)
def test_the_settings_say_what_limits_batches(said: Any, kind: type[Any]) -> None:
    """Each by its name."""
    assert isinstance(limit_of(BatchingSettings(scheduler=said, threads=8)), kind)


@pytest.mark.parametrize(
    ("batching", "at_a_time"),
    [
        ({}, 1),
        ({"threads": 4}, 4),
        ({"threads": 8, "scheduler": "adaptive"}, 3),
        ({"threads": 2, "scheduler": "serial_device"}, 2),
    ],
    ids=str,
)
def test_requests_are_answered_with_each_and_metrics_say_the_limit(
    batching: dict[str, Any], at_a_time: int
) -> None:
    """By real threads, as many as ask; and the limit that tells is the one that holds."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(batching={"max_batch_rows": 1, **batching}).join()
    requests = 50
    for number in range(requests):
        lab.send(request(number, id=str(number)))

    def answered() -> bool:
        worker.step()
        return lab.codes() == {str(number): 0 for number in range(requests)}

    try:
        wait_until(answered, "every request answered")
        assert worker.metric("headrace_batches_at_a_time") == at_a_time
    finally:
        worker.close()
