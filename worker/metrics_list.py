"""Every metric of a worker: name, type, unit, labels and meaning, in one typed list.

`docs/metrics.md` is generated from it, `worker.metrics` makes the metrics from it, and the queries of the
dashboard are checked against it. A label takes few values by itself: models, versions and signatures are
those that the control topic and the models have, never what a requester writes.
"""

import enum
from dataclasses import dataclass

PREFIX = "headrace_"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds for what should take milliseconds and may take a minute."""
BATCH_SECONDS = (0.0001, 0.00025, 0.0005, *SECONDS[:13])
"""Bounds for one call of a model: a small one takes a tenth of a millisecond."""
LOAD_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Bounds for loading a version."""
ROWS = tuple(float(2**power) for power in range(14))
"""Bounds for rows of a batch: powers of two, as batch sizes usually are."""


class Kind(enum.Enum):
    """Prometheus' types of metrics."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True)
class Metric:
    """One metric as it is documented and made.

    Attributes:
        name: what Prometheus stores, with prefix, unit and, for a counter, `_total`.
        unit: of one value; empty for what has none.
        meaning: one sentence for an operator.
        labels: names of the labels, in the order in which values are given.
        bounds: upper bounds of a histogram's buckets.
    """

    kind: Kind
    name: str
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names that a query may use for this metric."""
        if self.kind is Kind.HISTOGRAM:
            return tuple(self.name + suffix for suffix in ("_bucket", "_sum", "_count"))
        return (self.name,)


def _counter(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    return Metric(Kind.COUNTER, f"{PREFIX}{name}_total", unit, meaning, labels)


def _gauge(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    return Metric(Kind.GAUGE, PREFIX + name, unit, meaning, labels)


def _histogram(name: str, unit: str, meaning: str, bounds: tuple[float, ...], *labels: str) -> Metric:
    return Metric(Kind.HISTOGRAM, PREFIX + name, unit, meaning, labels, bounds)


INFO = Metric(
    Kind.INFO,
    PREFIX + "info",
    "",
    "Always 1; its labels say which worker this is.",
    ("release", "worker", "group"),
)

RECORDS_CONSUMED = _counter("records_consumed", "records", "Records read from a request topic.", "topic")
REQUESTS = _counter(
    "requests",
    "requests",
    "Requests whose reply the broker has acknowledged, by the code of the reply (OK, NOT_FOUND …). A model "
    "that the control topic does not name is counted under an empty model.",
    "model",
    "version",
    "signature",
    "code",
)
REQUEST_LATENCY = _histogram(
    "request_latency_seconds",
    "seconds",
    "From the request record's timestamp to the moment when its reply is handed to the Kafka client; in a poll of 128 "
    "records and more the timestamp of every eighth stands for those of the seven behind it.",
    SECONDS,
    "model",
    "version",
)
DEAD_LETTERS = _counter(
    "dead_letters",
    "records",
    "Records sent to a dead-letter topic, by request topic and reason.",
    "topic",
    "reason",
)
REQUESTS_LEFT = _counter(
    "requests_left",
    "requests",
    "Requests that were read and not answered, because their partition went to another worker, which answers them, or "
    "stands still.",
    "topic",
)
REQUESTS_RELEASED = _counter(
    "requests_released",
    "requests",
    "Requests that were given back to their queue, because they were not answered in time or the worker ended.",
)
REPLIES_REFUSED = _counter(
    "replies_refused",
    "replies",
    "Replies that the client or the broker refused at first, by reason.",
    "reason",
)
REPLIES_REPRODUCED = _counter(
    "replies_reproduced",
    "replies",
    "Replies produced again one by one, because their record batch was refused.",
)

BATCH_ROWS = _histogram("batch_rows", "rows", "Rows of each batch, without padding.", ROWS, "model")
BATCH_PADDED_ROWS = _counter(
    "batch_padded_rows", "rows", "Rows added to reach an allowed batch size.", "model"
)
BATCH_QUEUE_SECONDS = _histogram(
    "batch_queue_seconds", "seconds", "Wait of a batch's first request in its queue.", BATCH_SECONDS, "model"
)
BATCH_RUN_SECONDS = _histogram(
    "batch_run_seconds", "seconds", "Time that one call of a model took.", BATCH_SECONDS, "model", "version"
)
BATCHES_CLOSED = _counter(
    "batches_closed", "batches", "Batches closed, by cause: full, timeout, idle, deadline or drain.", "reason"
)
BATCH_FAILURES = _counter("batch_failures", "batches", "Batches that failed as a whole.", "model", "version")
BATCHES_TRIED_AGAIN = _counter(
    "batches_tried_again",
    "batches",
    "Further runs of a batch whose model failed in a way that may pass.",
    "model",
    "version",
)
MODEL_STUCK = _gauge(
    "model_stuck_seconds",
    "seconds",
    "How long a model has been with one batch, where that is half a minute or more; else 0.",
    "model",
)
QUEUE_ROWS = _gauge("queue_rows", "rows", "Rows that wait in the queues of a model.", "model")

SHADOW_REQUESTS = _counter(
    "shadow_requests", "requests", "Requests that a shadow has answered.", "model", "version", "code"
)
SHADOW_DROPPED = _counter(
    "shadow_dropped",
    "requests",
    "Requests that a shadow was to have and had not, by reason (absent, refused, full, busy …).",
    "model",
    "reason",
)
SHADOW_REPLY_FAILURES = _counter(
    "shadow_reply_failures", "replies", "Replies not written to a shadow's topic.", "model", "reason"
)
SHADOW_RUN_SECONDS = _histogram(
    "shadow_run_seconds", "seconds", "Time that one call of a shadow took.", BATCH_SECONDS, "model", "version"
)

IN_FLIGHT_ROWS = _gauge("in_flight_rows", "rows", "Rows read and not yet committed.", "binding")
IN_FLIGHT_BYTES = _gauge("in_flight_bytes", "bytes", "Bytes read and not yet committed.", "binding")
BUDGET_ROWS = _gauge("budget_rows", "rows", "Rows that a binding may hold before it pauses.", "binding")
BUDGET_BYTES = _gauge("budget_bytes", "bytes", "Bytes that a binding may hold before it pauses.", "binding")
HELD_ROWS = _gauge(
    "held_rows",
    "rows",
    "Rows that wait for a model that is loading, for a reply topic, or for the data that they claim.",
    "reason",
)
CLAIM_SECONDS = _histogram(
    "claim_seconds",
    "seconds",
    "Time to fetch the data that one request claims, or to write that of one reply, by action (fetch, write).",
    SECONDS,
    "action",
)
CLAIM_BYTES = _counter("claim_bytes", "bytes", "Bytes of claimed data, by action (fetch, write).", "action")
CLAIM_FAILURES = _counter(
    "claim_failures",
    "requests",
    "Requests whose claimed data could not be fetched, or replies whose data could not be written, by the code that "
    "answers them.",
    "action",
    "code",
)
CLAIMS_REMOVED = _counter(
    "claims_removed", "files", "Files of old replies that this worker has removed from `claims.write_root`."
)

FAILING_BINDINGS = _gauge(
    "failing_bindings",
    "",
    "1 while a binding is not read, because nearly all of its requests failed.",
    "binding",
)
CONSUMER_LAG = _gauge(
    "consumer_lag_records",
    "records",
    "Records from what is committed to the end of an assigned partition; requests in hand count.",
    "topic",
    "partition",
)
ASSIGNED_PARTITIONS = _gauge("assigned_partitions", "partitions", "Partitions assigned to this worker.")
PAUSED_PARTITIONS = _gauge("paused_partitions", "partitions", "Assigned partitions that are paused.")
STOPPED_PARTITIONS = _gauge(
    "stopped_partitions",
    "partitions",
    "Assigned partitions that stand still until somebody acts; `/readyz` and the log say why.",
)
UNMOVED_PARTITION = _gauge(
    "unmoved_partition_seconds",
    "seconds",
    "How long a partition has not moved although there is something to do in it, the longest of a topic, where that is "
    "`delivery.unmoved_seconds` or more; else 0. The log says which one, and what it waits for.",
    "topic",
)
REBALANCES = _counter(
    "rebalances", "events", "Changes of the assignment, by event (assigned, revoked, lost).", "event"
)
COMMITS = _counter("commits", "commits", "Commits of offsets, by result (ok, failed).", "result")
KAFKA_PROBLEMS = _counter(
    "kafka_problems",
    "events",
    "Problems that the Kafka clients of requests and replies have reported, by client (consumer, producer) and kind "
    "(BrokerUnreachable, TopicMissing …).",
    "client",
    "kind",
)
OFFSETS_OUT_OF_RANGE = _counter(
    "offsets_out_of_range", "events", "Partitions found to have lost the offset to read next.", "topic"
)
POLL_AGE = _gauge("poll_age_seconds", "seconds", "Time since the poll loop last polled.")

MODEL_STATE = _gauge(
    "model_state",
    "",
    "1 for the state that a version is in (START, LOADING, AVAILABLE, UNLOADING, END), 0 for the others. "
    "END stays only for a version that failed.",
    "model",
    "version",
    "state",
)
MODEL_LOADS = _counter(
    "model_loads", "loads", "Loads that have ended, by result (available, failed).", "model", "result"
)
MODEL_LOAD_SECONDS = _histogram(
    "model_load_seconds",
    "seconds",
    "From the first try of a load to the available version, warm-up and retries included.",
    LOAD_SECONDS,
    "model",
)
MODEL_MEMORY_LIMIT = _gauge(
    "model_memory_limit_bytes",
    "bytes",
    "Memory of a device (`host`, `gpu:0` …) that models may take in all; a device without a limit has none.",
    "device",
)
MODEL_MEMORY_RESERVED = _gauge(
    "model_memory_reserved_bytes",
    "bytes",
    "Memory of a device that is set aside for versions, from the begin of a load to the end of the unload.",
    "device",
)
LAZY_MODELS_AWAKE = _gauge(
    "lazy_models_awake", "models", "Lazy models that are loaded, or on their way because they were asked for."
)
LAZY_WAKES = _counter("lazy_wakes", "models", "Lazy models that were loaded because they were asked for.")
LAZY_UNLOADS = _counter(
    "lazy_unloads",
    "models",
    "Lazy models that were unloaded, by reason: for another's `memory`, for the `number` that "
    "`lifecycle.most_lazy_models` allows, or because they were `idle`.",
    "reason",
)
CONTROL_OFFSET = _gauge("control_offset", "", "Offset of the last control record read; -1 before any.")
CONTROL_RECORDS = _counter(
    "control_records", "records", "Records of the control topic, by result (applied, refused).", "result"
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All of them, in the order above."""
