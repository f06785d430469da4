"""The settings of serving: what is promised, how requests become batches, what a request may be."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from batching.options import Filling, PaddingPolicy
from worker.settings_group import PositiveInt, PositiveSeconds, Seconds, SettingsGroup, Share


class DeliverySettings(SettingsGroup):
    """What is promised, how much is read ahead of what has been answered, and when offsets are committed."""

    mode: Literal["at_least_once", "exactly_once", "queue"] = "at_least_once"
    """What a crash may do to replies, and how requests are shared out: `at_least_once` repeats some, `exactly_once`
    none, for readers of committed records, `queue` repeats some and deals each request to any worker that is free
    (a share group; experimental). `at_least_once`, because it is the fastest and a reply comes soonest:
    `exactly_once` writes replies and offsets in transactions, in the order of the requests, so a reply waits for those
    before it and for its transaction; `queue` takes a few requests at a time."""

    transaction_seconds: Seconds = 0.1
    """Seconds between the beginnings of two transactions (`exactly_once`), unless the first is full (16,384 requests).
    A transaction costs the broker a dozen requests; a reply that comes alone does not wait."""

    queue_records: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Requests that one worker takes out of a queue at a time (1 to 100,000; `queue`), or as many more as were written
    together with them. What one has taken, no other can; 500 keep a small model busy for about as long as the next ones
    take to come."""

    budget_rows: PositiveInt = 262_144
    """Rows read and not yet committed, over all bindings (at least 1). With `budget_bytes` it bounds memory
    and what a crash repeats; 262,144 is under a second of small requests at full speed, and
    8,192 requests of 32 rows."""

    budget_bytes: Annotated[int, Field(ge=1_048_576)] = 268_435_456
    """Bytes read and not yet committed, over all bindings (at least 1 MiB). 256 MiB leaves the larger part
    of a 1 GiB container to the interpreter and the models."""

    commit_interval_seconds: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Seconds between commits of what has been answered (more than 0, at most 1). A commit at every block
    costs latency (p99 7.2 instead of 4.0 ms measured); at most a second is promised; half of it leaves room
    for a slow broker."""

    revoke_drain_seconds: Seconds = 20.0
    """Seconds for which a rebalance waits until requests of revoked partitions are answered and committed.
    Others wait as long, so it is far below the 300 s after which a broker gives up on a member; what is left
    is repeated."""

    shutdown_seconds: Seconds = 25.0
    """Seconds from SIGTERM to the end: stop reading, finish, flush, commit, leave the group. Five less than
    the 30 s that Kubernetes gives before it kills."""

    poll_records: Annotated[int, Field(ge=1, le=100_000)] = 8192
    """Records taken in one poll (1 to 100,000), less when there are fewer, or when they have many rows or
    bytes. With one layout 2,048 cost no more a record; with 32 mixed ones they leave blocks of 64, which cost
    twice what blocks of 256 do. More makes the loop coarser."""

    model_share: Share = 0.5
    """Part of its binding's budget that one model may hold (more than 0, at most 1). Half, so that one slow
    model cannot take all the room of the others; beyond it the binding's partitions pause. A slow
    model holds less: what it answers in two seconds, or 32,768 rows if that is more."""

    reply_order: Literal["any", "partition"] = "any"
    """Whether replies go as soon as they are there (`any`), or each after those to all earlier requests of its request
    partition (`partition`). `any`, because in order a slow request holds up every one behind it, and each reply costs
    as much again to send."""

    failing_ratio: Share = 0.9
    """Part of a binding's requests of the last ten seconds (more than 0, at most 1) that must have failed with
    INTERNAL or UNAVAILABLE for the binding to be read no more: what it has not answered then waits in its topics
    instead of being answered with errors, `/readyz` says so, and some requests are tried now and then. 0.9, so
    that a model among several that are well stops nobody."""

    failing_requests: Annotated[int, Field(ge=0)] = 1000
    """Requests of a binding in the last ten seconds without which nothing is stopped (0 or more; 0: nothing ever
    is). 1,000, so that a few errors at low load are told to those who asked."""

    failing_pause_seconds: PositiveSeconds = 10.0
    """Seconds until a binding that was stopped has up to 100 requests tried; twice as long after each try that
    fails, at most five minutes. 10 s are soon enough for whoever mends a model, and cost ten errors a second at
    most."""

    unmoved_seconds: PositiveSeconds = 60.0
    """Seconds that a partition in which there is something to do may stand still before the log says which, and what it
    waits for, and `headrace_unmoved_partition_seconds` counts. A minute: longer than one batch of nearly any model, and
    than a broker's restart. A queue has no partitions: what is not answered in time goes back to it, and the log says
    so."""

    on_offset_out_of_range: Literal["stop", "earliest", "latest"] = "stop"
    """What to do with a partition whose committed offset no longer exists: `stop` reading it until an
    operator chooses, or go on at its `earliest` or `latest` record. `stop`, because both others lose or
    repeat requests silently."""

    request_coordinates: bool = False
    """Whether replies carry the header `headrace-request` (topic, partition, offset). Off: a reply without
    headers is the fast case, and the request's `id` already tells duplicates."""

    carried_headers: tuple[str, ...] = ("traceparent", "tracestate")
    """Headers copied from request to reply. The W3C trace context by default, so that a trace does not end
    here."""


class HoldingSettings(SettingsGroup):
    """How long a request may wait for something that is expected to come."""

    loading_seconds: Seconds = 10.0
    """Seconds for which a request waits for a model that is loading, before UNAVAILABLE (its own deadline
    may come first). A small model loads in less; waiting longer would hold budget for a load that may
    fail."""

    topic_seconds: Seconds = 5.0
    """Seconds for which replies wait for a reply topic that is not known yet, before their requests are dead
    letters. Covers a topic created just before the request: brokers spread that news within a second or
    two."""


class BatchingSettings(SettingsGroup):
    """How requests become batches; a model's own options on the control topic win over these."""

    max_batch_rows: PositiveInt = 1024
    """Rows at which a batch closes (at least 1). Past about 512 rows a small model gains little (0.5 µs a
    row at 512, 0.4 at 2,048) while every request of the batch waits for all of it."""

    max_request_rows: Annotated[int, Field(ge=0)] = 0
    """Rows of one request (0 or more; `limits.rows` holds besides). One that has more than `max_batch_rows` is run in
    parts of that size, one after the other, and answered by one reply. 0: as many as a batch has; a request with more
    is answered RESOURCE_EXHAUSTED, for whoever allows them lets others wait until all parts of one have been run."""

    max_batch_bytes: Annotated[int, Field(ge=1)] = 67_108_864
    """Bytes of a batch's inputs at which it closes, however few its rows (at least 1). A request is never cut, so one
    that is larger makes its batch larger. Times `threads`, what batches take beside the budget. 64 MiB holds 111
    images of 224 x 224 x 3 floats, more than a model gains from; rows below 64 KiB never come to it. Strings are
    not counted: a batch only refers to them."""

    batch_timeout_seconds: Seconds = 0.0
    """Seconds for which a batch waits for more rows, counted from its first. 0: it goes as soon as a thread
    is free, so batches grow with the load by themselves and an idle worker adds no latency."""

    allowed_batch_rows: tuple[PositiveInt, ...] = ()
    """Batch sizes that models are run at, increasing, the last one equal to `max_batch_rows`; smaller
    batches are padded. Empty: no padding, right for CPUs; useful where each new size costs a compilation."""

    padding_policy: PaddingPolicy = PaddingPolicy.PAD_UP
    """What becomes of a batch between two of `allowed_batch_rows` when its time has come: it is padded to the larger
    one (`pad_up`); it leaves with the smaller one, and the rest of its requests wait on at the front (`batch_down`); or
    whichever costs less a row, by how long runs of both sizes take (`minimize_cost`). `pad_up`, because no request
    waits for one more run then; the others are for devices whose time goes into padding."""

    ragged: bool = False
    """Whether requests whose inputs differ in a dimension beside that of rows share batches, where the signature leaves
    that dimension open: shorter ones are padded at its end to the largest of the batch. Off, because the model has to
    know what is padding (by a mask, or a value that occurs nowhere else), and because replies are not cut: an output
    with a value for each token is as long as the batch was. Fixed dimensions are never padded."""

    ragged_buckets: tuple[PositiveInt, ...] = ()
    """Sizes that ragged dimensions are padded to (`ragged`), increasing: the largest of a batch goes up to the next,
    and one that is larger than every bucket stays as it is. Empty: to the largest of the batch, the least padding;
    useful where each new length costs a compilation."""

    ragged_pad_values: tuple[str, ...] = ()
    """What inputs are padded with (`ragged`), as `INPUT=VALUE`, such as `input_ids=1` for a tokenizer's padding token.
    Empty: zero, false, or an empty string, by dtype. An input whose dtype does not take its value is not padded, and
    the log says so."""

    max_enqueued_batches: PositiveInt = 8
    """Batches that may wait in one queue (at least 1); past that the worker waits and pauses, it never
    answers a backlog with errors. 8 keeps a thread busy through a poll of any length."""

    priority: Annotated[int, Field(ge=0, le=9)] = 4
    """Priority of requests whose header `headrace-priority` and whose model say nothing (0 to 9). While requests of a
    higher one can be run, none of a lower one is begun; 4 of 0 to 9, as in the Java Message Service, leaves room above
    and below."""

    ageing_seconds: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """Seconds past its time-out after which a batch goes before all that came later, whatever their priority (0 to
    3,600), so that nothing starves. Ten: longer than a burst of urgent requests, and shorter than most requesters
    wait."""

    filling: Filling = Filling.MAX
    """What a batch that is not full takes of requests of lower priorities of the same kind: `none`; as many rows as it
    would be padded by (`allowed`, where there are `allowed_batch_rows`); or up to `max_batch_rows` (`max`). With
    `merge` they are batched together: requests of all priorities make a batch full, its time-out is that of the first
    of them, and the most urgent go first. `max`, for small batches of urgent requests, one after the other, would
    leave a device no time for bulk work that it could do beside them; an urgent request then waits for two full batches
    at most. `allowed` costs it nothing, and `merge` differs from `max` only where there is a time-out."""

    p99_seconds: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """Seconds that 99 of 100 rows may take from when they are queued to the end of their run (0 to 3,600): time-out and
    size of batches are then moved to keep it, up to this time-out and `max_batch_rows`, for the most throughput. A
    model's own (`--p99-ms`) goes before it. 0: none, and what is set holds."""

    threads: Annotated[int, Field(ge=0, le=64)] = 1
    """Threads that run models (0 to 64; 0 runs them in the poll loop). One, because TensorFlow uses all
    cores by itself; measured, a second costs 0.2 to 0.4 µs a record on small models. Models that wait for a
    device get one more by themselves (`batching.overlap_seconds`)."""

    scheduler: Literal["shared", "adaptive", "serial_device"] = "shared"
    """How many of the threads may be with a batch at a time: all (`shared`); as many as make requests wait least,
    found by trying (`adaptive`: for a device that is slower the more batches are at it); or as few as keep a device
    that does one at a time in work (`serial_device`). The order of batches is the same with each. Those that choose
    need at least two threads, 8 or more to have something to choose from, and nobody works ahead then
    (`overlap_seconds`)."""

    stuck_seconds: PositiveSeconds = 0.05
    """Seconds that a batch may be with its model before another thread stands in for the one that waits for it,
    where batches of other models wait: one model that is slow, or never returns, then holds up no other. It gets
    no further thread itself. 50 ms, so that the other models' requests hardly notice, and models that take less
    cost no thread."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """Times a batch is run whose model fails in a way that may pass: a device that is busy, a call that was cut off,
    memory that ran out for a single request (1 to 100). Three, with pauses of 50 and 100 ms between them, outlast a
    neighbour's peak; what fails still is searched for the request at fault, and answered UNAVAILABLE."""

    attempts_seconds: Seconds = 2.0
    """Seconds after its first run past which a batch is not run again, however many attempts are left. The
    thread waits with it, so other models do too."""

    out_of_memory_seconds: Seconds = 60.0
    """Seconds after which a model that ran out of memory is run with twice as many rows again, and so on up to whole
    batches. At once it is run with half as many, and half of that, until there is room; batches are gathered as
    ever, and run in parts. A minute: a size that is still too large then costs one run a minute. 0: each batch is
    tried whole."""

    overlap_seconds: Seconds = 0.005
    """Seconds that a batch keeps its thread waiting, on average, from which on the model gets its next full
    batch meanwhile, by one more thread: a device then never waits for Python. 5 ms: small models on a CPU wait
    less, and for them a second thread only costs. 86,400: never."""

    shadow_bytes: Annotated[int, Field(ge=0)] = 33_554_432
    """Bytes of requests that wait for a shadow (`headrace models shadow`), and as many of its replies that are on
    their way (0 or more; 0: this worker gives shadows nothing). What does not fit is dropped, and nobody waits for
    it. 32 MiB, an eighth of `delivery.budget_bytes`, beside which it is taken: seconds of small requests."""


class LimitsSettings(SettingsGroup):
    """What a single request may be, checked before anything is allocated for it."""

    record_bytes: Annotated[int, Field(ge=1024)] = 16_777_216
    """Bytes of one request record (at least 1 KiB). 16 MiB is sixteen times what a topic takes by default,
    and a sixteenth of `delivery.budget_bytes`."""

    header_bytes: Annotated[int, Field(ge=1024)] = 65_536
    """Bytes of all headers of one request together (at least 1 KiB). Routes, correlation ids and trace
    context take some hundred; 64 KiB leaves room for what others add, and bounds what is carried over."""

    tensors: Annotated[int, Field(ge=1, le=65_536)] = 256
    """Input tensors of one request (1 to 65,536). Wide tabular models have a hundred or two."""

    dims: Annotated[int, Field(ge=1, le=64)] = 16
    """Dimensions of one tensor (1 to 64, as many as numpy knows). Video batches have five or six."""

    rows: PositiveInt = 65_536
    """Rows (dimension 0) of one request (at least 1). A quarter of the whole budget; what a model takes at
    once is `batching.max_batch_rows`."""


class WireSettings(SettingsGroup):
    """What may be read beyond what this release knows."""

    schema_files: tuple[Path, ...] = ()
    """Avro schema files of newer releases, whose records are then readable here. None by default: each
    release knows every schema published before it; one that it does not know is a dead letter, never a
    guess."""
