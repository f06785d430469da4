"""The metrics of a worker on a registry of their own."""

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from worker import metrics_list
from worker.metrics import STATES, Metrics, new_registry
from worker.queue_depths import QueueName

QUEUE = QueueName("digits", "3", "serving_default")


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry with nothing in it."""
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    """The metrics on that registry."""
    return Metrics(registry)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    """One sample, or None when there is none."""
    return registry.get_sample_value(name, labels)


def test_every_listed_metric_is_made_and_no_other(registry: CollectorRegistry, metrics: Metrics) -> None:
    """What the list documents is what a worker shows."""
    metrics.describe("1", "w", "g")
    families = {family.name: family.type for family in registry.collect()}

    listed = {m.name.removesuffix("_total"): m.kind.value for m in metrics_list.METRICS}
    listed["headrace"] = listed.pop("headrace_info")

    assert families == listed


def test_requests_are_counted_by_model_version_signature_and_code(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """One call counts a whole block of replies."""
    metrics.requests_answered("digits", 2, "serving_default", "OK", 512)
    metrics.requests_answered("digits", 2, "serving_default", "OK", 3)
    metrics.requests_answered("", None, "", "NOT_FOUND")

    name = "headrace_requests_total"
    assert value(registry, name, model="digits", version="2", signature="serving_default", code="OK") == 515
    assert value(registry, name, model="", version="", signature="", code="NOT_FOUND") == 1


def test_latencies_of_a_block_are_sorted_into_their_buckets(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """An array of latencies counts as each of its values would."""
    metrics.latencies_observed("digits", 1, np.array([0.0005, 0.001, 0.002, 99.0]), 4)

    labels = {"model": "digits", "version": "1"}
    assert value(registry, "headrace_request_latency_seconds_bucket", le="0.001", **labels) == 2
    assert value(registry, "headrace_request_latency_seconds_bucket", le="0.0025", **labels) == 3
    assert value(registry, "headrace_request_latency_seconds_bucket", le="60.0", **labels) == 3
    assert value(registry, "headrace_request_latency_seconds_count", **labels) == 4
    assert value(registry, "headrace_request_latency_seconds_sum", **labels) == pytest.approx(99.0035)


def test_a_latency_that_cannot_be_counts_as_none(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A record from the future, or without a time, is counted and does not spoil the sum."""
    metrics.latencies_observed("digits", 1, np.array([-5.0, np.nan]), 2)

    labels = {"model": "digits", "version": "1"}
    assert value(registry, "headrace_request_latency_seconds_count", **labels) == 2
    assert value(registry, "headrace_request_latency_seconds_sum", **labels) == 0


def test_a_batch_counts_rows_and_padding_apart(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Padding is no work that somebody asked for."""
    metrics.queues.batch_formed(QUEUE, 100, 128, 0.001, "timeout")
    metrics.queues.batch_formed(QUEUE, 64, 64, 0.001, "full")

    assert value(registry, "headrace_batch_rows_sum", **QUEUE._asdict()) == 164
    assert value(registry, "headrace_batch_padded_rows_total", **QUEUE._asdict()) == 28


def test_a_version_is_in_one_state_at_a_time(registry: CollectorRegistry, metrics: Metrics) -> None:
    """The gauge of a state falls when another rises."""
    metrics.model_state("digits", 1, "LOADING")
    metrics.model_state("digits", 1, "AVAILABLE")

    states = {
        s: value(registry, "headrace_model_state", model="digits", version="1", state=s) for s in STATES
    }
    assert states == {s: float(s == "AVAILABLE") for s in STATES}


def test_a_version_that_ended_well_is_forgotten(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Series of unloaded versions do not pile up."""
    metrics.model_state("digits", 1, "AVAILABLE")
    metrics.model_state("digits", 10, "AVAILABLE")
    metrics.model_state("digits", 1, "END")

    assert value(registry, "headrace_model_state", model="digits", version="1", state="END") is None
    assert value(registry, "headrace_model_state", model="digits", version="10", state="AVAILABLE") == 1


def test_a_version_that_failed_stays_visible(registry: CollectorRegistry, metrics: Metrics) -> None:
    """An operator sees which version failed until it is no longer wanted."""
    metrics.model_state("digits", 1, "END", failed=True)

    assert value(registry, "headrace_model_state", model="digits", version="1", state="END") == 1


def test_the_lag_of_a_partition_that_went_is_forgotten(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Only the worker that has a partition tells its lag."""
    metrics.lag("requests", 0, 7)
    metrics.lag("requests", 1, 9)
    metrics.rebalanced("revoked", [("requests", 0), ("never seen", 5)])

    assert value(registry, "headrace_consumer_lag_records", topic="requests", partition="0") is None
    assert value(registry, "headrace_consumer_lag_records", topic="requests", partition="1") == 9
    assert value(registry, "headrace_rebalances_total", event="revoked") == 1


def test_the_age_of_the_last_poll_is_asked_when_metrics_are_read(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """A loop that hangs shows a growing age although it sets nothing."""
    ages = iter([1.5, 90.0])
    metrics.watch_poll_age(lambda: next(ages))

    assert value(registry, "headrace_poll_age_seconds") == 1.5
    assert value(registry, "headrace_poll_age_seconds") == 90.0


def test_the_remaining_counts_reach_their_metric(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Each method feeds the metric that it is named for."""
    metrics.records_consumed("requests", 2048)
    metrics.dead_lettered("requests", "UnknownFraming", 2)
    metrics.replies_refused("too_large")
    metrics.replies_reproduced(20)
    metrics.queues.batch_formed(QUEUE, 3, 3, 0.002, "idle")
    metrics.runs.batch_ran("digits", 3, "serving_default", 0.5)
    metrics.queues.batch_failed("digits", "3")
    metrics.queues.waiting_for_room({QUEUE: 5})
    metrics.budget("default", 100, 1000)
    metrics.in_flight("default", 10, 90)
    metrics.held("loading", 4)
    metrics.partitions(4, 1, 2)
    metrics.committed(ok=True)
    metrics.committed(ok=False)
    metrics.offset_out_of_range("requests")
    metrics.model_loaded("digits", 2.0)
    metrics.model_loaded("digits", None)
    metrics.control.control_applied(7)
    metrics.control.control_applied(8, refused=True)
    found = [
        value(registry, "headrace_records_consumed_total", topic="requests"),
        value(registry, "headrace_dead_letters_total", topic="requests", reason="UnknownFraming"),
        value(registry, "headrace_replies_refused_total", reason="too_large"),
        value(registry, "headrace_replies_reproduced_total"),
        value(registry, "headrace_batch_queue_seconds_sum", **QUEUE._asdict()),
        value(registry, "headrace_batch_run_seconds_sum", **QUEUE._asdict()),
        value(registry, "headrace_batches_closed_total", **QUEUE._asdict(), reason="idle"),
        value(registry, "headrace_batch_failures_total", model="digits", version="3"),
        value(registry, "headrace_queue_rows", **QUEUE._asdict()),
        value(registry, "headrace_budget_rows", binding="default"),
        value(registry, "headrace_budget_bytes", binding="default"),
        value(registry, "headrace_in_flight_rows", binding="default"),
        value(registry, "headrace_in_flight_bytes", binding="default"),
        value(registry, "headrace_held_rows", reason="loading"),
        value(registry, "headrace_assigned_partitions"),
        value(registry, "headrace_paused_partitions"),
        value(registry, "headrace_stopped_partitions"),
        value(registry, "headrace_commits_total", result="ok"),
        value(registry, "headrace_commits_total", result="failed"),
        value(registry, "headrace_offsets_out_of_range_total", topic="requests"),
        value(registry, "headrace_model_loads_total", model="digits", result="available"),
        value(registry, "headrace_model_loads_total", model="digits", result="failed"),
        value(registry, "headrace_model_load_seconds_sum", model="digits"),
        value(registry, "headrace_control_offset"),
        value(registry, "headrace_control_records_total", result="refused"),
    ]

    assert found == [
        2048, 2, 1, 20, 0.002, 0.5, 1, 1, 5, 100, 1000, 10, 90, 4, 4, 1, 2, 1, 1, 1, 1, 1, 2.0, 8, 1,
    ]  # fmt: skip


def test_the_process_is_shown_beside_the_worker() -> None:
    """Memory and CPU time of the process come with the registry."""
    assert (value(new_registry(), "process_resident_memory_bytes") or 0) > 0
