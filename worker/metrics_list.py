"""Every metric of a worker: name, type, unit, labels and meaning, in one typed list.

`docs/metrics.md` is generated from it, `worker.metrics` makes the metrics from it, and the queries of the
dashboard are checked against it. A label takes few values by itself: models, versions and signatures are
those that the control topic and the models have, never what a requester writes.
"""

from worker.metrics_chosen_list import METRICS as CHOSEN
from worker.metrics_kinds import (
    BATCH_SECONDS,
    LOAD_SECONDS,
    PREFIX,
    ROWS,
    SECONDS,
    Kind,
    Metric,
    counter,
    gauge,
    histogram,
)

INFO = Metric(
    Kind.INFO,
    PREFIX + "info",
    "",
    "Always 1; its labels say which worker this is.",
    ("release", "worker", "group"),
)

RECORDS_CONSUMED = counter("records_consumed", "records", "Records read from a request topic.", "topic")
REQUESTS = counter(
    "requests",
    "requests",
    "Requests whose reply the broker has acknowledged, by the code of the reply (OK, NOT_FOUND …). A model "
    "that the control topic does not name is counted under an empty model.",
    "model",
    "version",
    "signature",
    "code",
)
REQUEST_LATENCY = histogram(
    "request_latency_seconds",
    "seconds",
    "From the request record's timestamp to the moment when its reply is handed to the Kafka client; in a poll of 128 "
    "records and more the timestamp of every eighth stands for those of the seven behind it.",
    SECONDS,
    "model",
    "version",
)
DEAD_LETTERS = counter(
    "dead_letters",
    "records",
    "Records sent to a dead-letter topic, by request topic and reason.",
    "topic",
    "reason",
)
REQUESTS_LEFT = counter(
    "requests_left",
    "requests",
    "Requests that were read and not answered, because their partition went to another worker, which answers them, or "
    "stands still.",
    "topic",
)
REQUESTS_RELEASED = counter(
    "requests_released",
    "requests",
    "Requests that were given back to their queue, because they were not answered in time or the worker ended.",
)
REPLIES_REFUSED = counter(
    "replies_refused",
    "replies",
    "Replies that the client or the broker refused at first, by reason.",
    "reason",
)
REPLIES_REPRODUCED = counter(
    "replies_reproduced",
    "replies",
    "Replies produced again one by one, because their record batch was refused.",
)

OF_VERSIONS = ("model", "version")
OF_QUEUES = (*OF_VERSIONS, "signature")
"""The labels of what is told of batch queues."""
BATCH_ROWS = histogram("batch_rows", "rows", "Rows of each batch, without padding.", ROWS, *OF_QUEUES)
BATCH_PADDED_ROWS = counter(
    "batch_padded_rows", "rows", "Rows added to reach an allowed batch size.", *OF_QUEUES
)
BATCH_QUEUE_SECONDS = histogram(
    "batch_queue_seconds",
    "seconds",
    "Wait of a batch's first request in its queue.",
    BATCH_SECONDS,
    *OF_QUEUES,
)
BATCH_RUN_SECONDS = histogram(
    "batch_run_seconds", "seconds", "Time that one call of a model took.", BATCH_SECONDS, *OF_QUEUES
)
BATCHES_CLOSED = counter(
    "batches_closed",
    "batches",
    "Batches by what closed them (full, timeout, idle, deadline, drain).",
    *OF_QUEUES,
    "reason",
)
BATCH_FAILURES = counter("batch_failures", "batches", "Batches that failed as a whole.", "model", "version")
BATCHES_TRIED_AGAIN = counter(
    "batches_tried_again",
    "batches",
    "Further runs of a batch whose model failed in a way that may pass.",
    *OF_VERSIONS,
)
BATCHES_BISECTED = counter(
    "batches_bisected",
    "batches",
    "Batches that failed and were run again in halves, in search of the requests at fault.",
    *OF_VERSIONS,
)
SEARCH_RUNS = counter(
    "search_runs",
    "runs",
    "Runs of parts of a batch that failed, in search of the requests at fault.",
    *OF_VERSIONS,
)
RUNS_OUT_OF_MEMORY = counter(
    "runs_out_of_memory",
    "runs",
    "Runs of a model that found no memory; what they were run with is run again with fewer rows.",
    *OF_VERSIONS,
)
LOWERED_RUN_ROWS = gauge(
    "lowered_run_rows",
    "rows",
    "Rows that a version is run with at most since it ran out of memory (the fewest, where inputs differ); a version "
    "that is run with whole batches has none.",
    *OF_VERSIONS,
)
MODEL_STUCK = gauge(
    "model_stuck_seconds",
    "seconds",
    "How long a model has been with one batch, where that is half a minute or more; else 0.",
    "model",
)
QUEUE_ROWS = gauge(
    "queue_rows",
    "rows",
    "Rows that wait in the batch queues, or (as of the last second) for room in a full one.",
    *OF_QUEUES,
)
QUEUE_TASKS = gauge(
    "queue_tasks",
    "tasks",
    "Tasks that wait in the batch queues: requests alike that were read together count as one.",
    *OF_QUEUES,
)
QUEUE_OLDEST_SECONDS = gauge(
    "queue_oldest_seconds",
    "seconds",
    "How long the oldest task has waited in its batch queue; 0 where none waits.",
    *OF_QUEUES,
)

SHADOW_REQUESTS = counter(
    "shadow_requests", "requests", "Requests that a shadow has answered.", "model", "version", "code"
)
SHADOW_DROPPED = counter(
    "shadow_dropped",
    "requests",
    "Requests that a shadow was to have and had not, by reason (absent, refused, full, busy …).",
    "model",
    "reason",
)
SHADOW_REPLY_FAILURES = counter(
    "shadow_reply_failures", "replies", "Replies not written to a shadow's topic.", "model", "reason"
)
SHADOW_RUN_SECONDS = histogram(
    "shadow_run_seconds", "seconds", "Time that one call of a shadow took.", BATCH_SECONDS, "model", "version"
)

IN_FLIGHT_ROWS = gauge("in_flight_rows", "rows", "Rows read and not yet committed.", "binding")
IN_FLIGHT_BYTES = gauge("in_flight_bytes", "bytes", "Bytes read and not yet committed.", "binding")
BUDGET_ROWS = gauge("budget_rows", "rows", "Rows that a binding may hold before it pauses.", "binding")
BUDGET_BYTES = gauge("budget_bytes", "bytes", "Bytes that a binding may hold before it pauses.", "binding")
HELD_ROWS = gauge(
    "held_rows",
    "rows",
    "Rows that wait for a model that is loading, for a reply topic, or for the data that they claim.",
    "reason",
)
CLAIM_SECONDS = histogram(
    "claim_seconds",
    "seconds",
    "Time to fetch the data that one request claims, or to write that of one reply, by action (fetch, write).",
    SECONDS,
    "action",
)
CLAIM_BYTES = counter("claim_bytes", "bytes", "Bytes of claimed data, by action (fetch, write).", "action")
CLAIM_FAILURES = counter(
    "claim_failures",
    "requests",
    "Requests whose claimed data could not be fetched, or replies whose data could not be written, by the code that "
    "answers them.",
    "action",
    "code",
)
CLAIMS_REMOVED = counter(
    "claims_removed", "files", "Files of old replies that this worker has removed from `claims.write_root`."
)

FAILING_BINDINGS = gauge(
    "failing_bindings",
    "",
    "1 while a binding is not read, because nearly all of its requests failed.",
    "binding",
)
CONSUMER_LAG = gauge(
    "consumer_lag_records",
    "records",
    "Records from what is committed to the end of an assigned partition; requests in hand count.",
    "topic",
    "partition",
)
ASSIGNED_PARTITIONS = gauge("assigned_partitions", "partitions", "Partitions assigned to this worker.")
PAUSED_PARTITIONS = gauge("paused_partitions", "partitions", "Assigned partitions that are paused.")
STOPPED_PARTITIONS = gauge(
    "stopped_partitions",
    "partitions",
    "Assigned partitions that stand still until somebody acts; `/readyz` and the log say why.",
)
UNMOVED_PARTITION = gauge(
    "unmoved_partition_seconds",
    "seconds",
    "How long a partition has not moved although there is something to do in it, the longest of a topic, where that is "
    "`delivery.unmoved_seconds` or more; else 0. The log says which one, and what it waits for.",
    "topic",
)
REBALANCES = counter(
    "rebalances", "events", "Changes of the assignment, by event (assigned, revoked, lost).", "event"
)
COMMITS = counter("commits", "commits", "Commits of offsets, by result (ok, failed).", "result")
KAFKA_PROBLEMS = counter(
    "kafka_problems",
    "events",
    "Problems that the Kafka clients of requests and replies have reported, by client (consumer, producer) and kind "
    "(BrokerUnreachable, TopicMissing …).",
    "client",
    "kind",
)
OFFSETS_OUT_OF_RANGE = counter(
    "offsets_out_of_range", "events", "Partitions found to have lost the offset to read next.", "topic"
)
POLL_AGE = gauge("poll_age_seconds", "seconds", "Time since the poll loop last polled.")

MODEL_STATE = gauge(
    "model_state",
    "",
    "1 for the state that a version is in (START, LOADING, AVAILABLE, UNLOADING, END), 0 for the others. "
    "END stays only for a version that failed.",
    "model",
    "version",
    "state",
)
MODEL_LOADS = counter(
    "model_loads", "loads", "Loads that have ended, by result (available, failed).", "model", "result"
)
MODEL_LOAD_SECONDS = histogram(
    "model_load_seconds",
    "seconds",
    "From the first try of a load to the available version, warm-up and retries included.",
    LOAD_SECONDS,
    "model",
)
MODEL_MEMORY_LIMIT = gauge(
    "model_memory_limit_bytes",
    "bytes",
    "Memory of a device (`host`, `gpu:0` …) that models may take in all; a device without a limit has none.",
    "device",
)
MODEL_MEMORY_RESERVED = gauge(
    "model_memory_reserved_bytes",
    "bytes",
    "Memory of a device that is set aside for versions, from the begin of a load to the end of the unload.",
    "device",
)
LAZY_MODELS_AWAKE = gauge(
    "lazy_models_awake", "models", "Lazy models that are loaded, or on their way because they were asked for."
)
LAZY_WAKES = counter("lazy_wakes", "models", "Lazy models that were loaded because they were asked for.")
LAZY_UNLOADS = counter(
    "lazy_unloads",
    "models",
    "Lazy models that were unloaded, by reason: for another's `memory`, for the `number` that "
    "`lifecycle.most_lazy_models` allows, or because they were `idle`.",
    "reason",
)
CONTROL_OFFSET = gauge("control_offset", "", "Offset of the last control record read; -1 before any.")
CONTROL_RECORDS = counter("control_records", "records", "Control records, applied or refused.", "result")

METRICS = (*[each for each in list(globals().values()) if isinstance(each, Metric)], *CHOSEN)
"""All of them, in the order above."""
