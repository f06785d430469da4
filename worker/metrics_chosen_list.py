"""The metrics of what a worker chooses by itself: name, unit, labels, meaning. A part of `worker.metrics_list`."""

from worker.metrics_kinds import gauge

OF_QUEUES = ("model", "version", "signature")

OBJECTIVE_SECONDS = gauge(
    "objective_seconds",
    "seconds",
    "The p99 that the batches of a signature are to keep; a model without a latency objective has none of these.",
    *OF_QUEUES,
)
OBJECTIVE_P99_SECONDS = gauge(
    "objective_p99_seconds",
    "seconds",
    "What 99 of 100 rows took at most, of late, from when they were queued to the end of their run.",
    *OF_QUEUES,
)
OBJECTIVE_KEPT = gauge(
    "objective_kept", "", "1 while the latency objective is kept, 0 while it is not.", *OF_QUEUES
)
BATCHING_MAX_ROWS = gauge(
    "batching_max_rows", "rows", "Rows of a full batch, as chosen to keep the latency objective.", *OF_QUEUES
)
BATCHING_TIMEOUT_SECONDS = gauge(
    "batching_timeout_seconds",
    "seconds",
    "How long a batch waits for more rows, as chosen to keep the latency objective.",
    *OF_QUEUES,
)

BATCHES_AT_A_TIME = gauge(
    "batches_at_a_time",
    "batches",
    "How many batches may be with their models at a time: `batching.threads`, or what `batching.scheduler` chooses.",
)

METRICS = (
    BATCHES_AT_A_TIME,
    OBJECTIVE_SECONDS,
    OBJECTIVE_P99_SECONDS,
    OBJECTIVE_KEPT,
    BATCHING_MAX_ROWS,
    BATCHING_TIMEOUT_SECONDS,
)
"""All of them, in this order."""
