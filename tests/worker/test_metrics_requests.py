"""The requests of versions, out of the worker's metrics."""

from prometheus_client import CollectorRegistry

from worker.metrics import Metrics
from worker.metrics_requests import Requests, requests_of_versions


def test_requests_are_summed_by_version_and_by_whether_they_failed() -> None:
    """Over signatures and codes; those that no version was chosen for are nobody's."""
    metrics = Metrics(CollectorRegistry())
    metrics.requests_answered("m", 1, "serving_default", "OK", 5)
    metrics.requests_answered("m", 1, "other", "OK", 2)
    metrics.requests_answered("m", 1, "other", "INTERNAL", 3)
    metrics.requests_answered("m", 1, "", "INVALID_ARGUMENT", 1)
    metrics.requests_answered("m", 2, "serving_default", "UNAVAILABLE", 4)
    metrics.requests_answered("m", None, "", "NOT_FOUND", 6)

    assert requests_of_versions(metrics.requests) == {("m", 1): Requests(7, 4), ("m", 2): Requests(0, 4)}
    metrics.requests_answered("m", 2, "serving_default", "OK")
    assert requests_of_versions(metrics.requests)["m", 2] == Requests(1, 4)
