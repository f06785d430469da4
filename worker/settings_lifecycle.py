"""The settings of models: how versions come and go, TensorFlow's threads, and when a worker begins to take requests."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from worker.base_path_roots import normal_root
from worker.settings_group import MODULE_PATTERN, Name, PositiveSeconds, Seconds, SettingsGroup

MOST_GRAPH_BYTES = 2_147_483_647
"""Protobuf's own bound."""


class LifecycleSettings(SettingsGroup):
    """How versions are loaded and unloaded."""

    load_threads: Annotated[int, Field(ge=0, le=64)] = 2
    """Threads that load versions (0 to 64; 0 loads in the control thread). Two, so that one slow load does
    not hold up every other model, and loading still leaves cores to requests."""

    initial_load_threads: Annotated[int, Field(ge=0, le=256)] = 0
    """The same for as long as the worker takes no requests yet (0 to 256; 0: four for each core, and no fewer than
    above). Many, because a load waits for its storage most of the time, and nobody else wants the cores; fewer take
    less memory while they load."""

    unload_threads: Annotated[int, Field(ge=0, le=64)] = 1
    """Threads that unload versions (0 to 64). Apart from loading, so that freeing memory never waits for a
    load; one, because unloading is quick."""

    load_retries: Annotated[int, Field(ge=0, le=1_000_000)] = 5
    """Times a failed load is tried again in one go (0 or more). With the waits below that covers a minute of a
    slow mount or an upload in progress."""

    retry_interval_seconds: Seconds = 2.0
    """Seconds before a failed load is tried again for the first time; each further wait is twice as long. Up to a
    quarter of each is left out by chance, so that workers do not all come back to a storage at one moment. A new
    record of the model, or `headrace models retry`, ends it. Short: what fails first is often over at once."""

    most_retry_interval_seconds: Seconds = 30.0
    """Seconds of the longest such wait (or the first one, where that is longer). Half a minute: five tries then cover
    about a minute in all."""

    retry_failed_seconds: Seconds = 60.0
    """Seconds after which a version that has failed for good is given another chance; each further time it takes
    twice as long, less a quarter by chance. A minute: people who mend its files need not say so."""

    most_retry_failed_seconds: Seconds = 600.0
    """Seconds of the longest such wait (or the first one, where that is longer). Ten minutes: a model that cannot be
    loaded costs little by being tried that rarely."""

    load_timeout_seconds: PositiveSeconds = 600.0
    """Seconds after which a load counts as failed. Ten minutes: the largest models from slow storage take a
    few."""

    watch_seconds: Seconds = 5.0
    """Seconds between two looks for new versions under the base paths of models of which the latest versions or all are
    wanted, and at the files of versions that have failed (0: only when a record comes); up to a quarter is left out by
    chance. A look lists one directory, so five seconds cost nothing even for a thousand models, and nobody waits long
    for a new version."""

    quiet_seconds: Seconds = 5.0
    """Seconds for which nothing may have changed in a version's directory before it is loaded because it is the latest,
    or one of all (0: it is taken as it is). Five, more than a copy pauses between two files. A version that a record
    names by its number is loaded at once."""

    policy: Literal["availability_preserving", "resource_preserving"] = "availability_preserving"
    """How versions replace each other, for models whose record does not say it. `availability_preserving`: the old one
    goes when the new one is available, so that the model is always served, and two of them are in memory for a while;
    `resource_preserving`: the old one goes first, for models of which two do not fit. The first, because memory is
    cheaper than an outage."""

    warmup: bool = True
    """Whether versions are warmed up before they are available, where the model's record does not say it: by the
    requests that lie beside a version, and each other signature by made-up rows, one row or each size of the model's
    `allowed_batch_rows` that `batching.max_batch_bytes` leaves room for. A version whose warm-up fails is not
    available. On: the first call of a size compiles and allocates, and would otherwise be a user's."""

    host_memory_bytes: Annotated[int, Field(ge=-1)] = 0
    """Bytes of the host's memory that models may take in all, by the estimates of their loaders (-1: without limit; 0:
    the memory of the container or of the machine, whichever is less, without 768 MiB for the process and one and a
    half `delivery.budget_bytes`, but at least half of it). A version that does not fit waits while something is loaded
    or unloaded, and then fails alone, RESOURCE_EXHAUSTED. By default measured, because a worker that runs out of memory
    is killed with all its models; set it where several workers share a machine."""

    gpu_memory_bytes: Annotated[int, Field(ge=-1)] = 0
    """Bytes of each GPU's memory that models may take in all (-1: without limit; 0: what TensorFlow finds when it first
    looks). Measured, because a worker should have its GPU to itself; set it where several share one."""

    most_lazy_models: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Lazy models (`headrace models set … --loading lazy`) that are loaded at a time, those on their way in or out
    included (0: as many as there is memory for). Past it the one that was asked for longest ago goes. By default memory
    alone decides, because it is what a worker runs out of; set it where the loaders' estimates say too little, as those
    of other packages may."""

    lazy_idle_seconds: Seconds = 0.0
    """Seconds after which a lazy model that nobody has asked for is unloaded (0: never, only to make room). Never,
    because what stays loaded answers at once, and gives way anyway when its memory is needed; set it where other
    programs want the memory, too."""

    step_seconds: Annotated[float, Field(gt=0, le=60)] = 0.1
    """Seconds between two looks at what should be loaded and what is (more than 0, at most 60). A tenth of a
    second goes unnoticed beside a load, and costs nothing measurable."""

    base_path_roots: tuple[str, ...] = ()
    """Directories under which base paths may lie, as `/srv/models`, and places in stores, as `s3://bucket/models`; a
    path with `..` in it, or that a link leads elsewhere, is refused then. Empty by default, which allows any directory
    and no store: where models lie is not known beforehand, and a first try serves them from wherever they are. Set it
    where others than the operator write control records. A place in a store needs `model_cache.folder`."""

    loaders: tuple[Name, ...] = ()
    """Loaders that control records may name. Empty by default: headrace's own, and those of every package that is
    installed beside it; whoever installs a loader there means it to be used. Name those that you need, and a record
    that names another is refused."""

    allowed_operations: tuple[str, ...] = ()
    """TensorFlow operations that SavedModels may use besides those that only compute (`ReadFile`). None by default: a
    SavedModel is a program, and one that reads or writes files, or runs Python, is refused with the operation's name.
    What a package adds to TensorFlow has to be named here too."""

    python_modules: tuple[Annotated[str, Field(pattern=MODULE_PATTERN)], ...] = ()
    """Python modules whose classes the loader `python` may import, as `our_models.prices`, each with those below it.
    None by default, so that the loader refuses every version: who writes a model would otherwise choose what runs."""

    most_models: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Models that a worker takes from the control topic (1 to 1,000,000); the record of one more is refused. Ten
    thousand: far more than a worker serves, and a loop that writes records under ever new names ends there."""

    most_versions: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Versions of one model that may be served at once (1 to 100,000); a record or a base path that brings more is
    refused, and what was served goes on. A thousand, which is also the most that a record can list: each is loaded,
    and has a status of its own."""

    most_graph_bytes: Annotated[int, Field(ge=1, le=MOST_GRAPH_BYTES)] = MOST_GRAPH_BYTES
    """Bytes that a SavedModel's `saved_model.pb` may have (1 to 2,147,483,647); a larger one is not read. As much as
    TensorFlow takes by default, because frozen graphs hold their weights there; loading needs a few times as much
    memory, so set less where workers have less."""

    @field_validator("base_path_roots")
    @classmethod
    def _are_roots(cls, roots: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(normal_root, roots))


class TensorFlowSettings(SettingsGroup):
    """How TensorFlow uses the cores; one pool of threads serves all models of a worker."""

    intra_op_threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """Threads that one large operation may use (0 to 1024). 0: as many as the cores that the worker may use, by
    its affinity and by its container's limit, so that a batch of images takes all of them. 1 is a tenth cheaper
    for small models, and leaves the other cores to others."""

    inter_op_threads: Annotated[int, Field(ge=-1, le=1024)] = -1
    """Threads on which independent operations of one call run side by side (-1 to 1024). -1: none, each call runs
    on the thread that makes it, which saves handing it over (512 rows of two dense layers: 205 µs of CPU instead
    of 288). 0 shares TensorFlow's pool, better for graphs of many parallel branches; more is a pool of that size
    for each version."""

    granular_calls: Annotated[int, Field(ge=0, le=1024)] = 64
    """The most calls at once for a SavedModel whose parts gather batches by themselves, with
    `tf.nondifferentiable_batch_function` (0 to 1024). Such a version has its batches run row by row, by as many threads
    of its own as fill its parts, and no more than this: 64, which fills most and bounds what one model takes. 0 calls
    it with whole batches, like any other."""


class JoinSettings(SettingsGroup):
    """When a worker joins its consumer group, that is, begins to take requests."""

    when: Literal["settled", "all"] = "settled"
    """`settled`: when each desired version is available or its first load has ended badly; `all`: when each
    is available. `settled`, so that one broken model does not keep the others from being served."""

    without_models: bool = False
    """Whether to join while the control topic names no model. Off: such a worker could only answer
    NOT_FOUND."""

    timeout_seconds: PositiveSeconds = 600.0
    """Seconds to wait under `settled`; then the worker joins with what it has. As long as one load may
    take."""

    instance_seconds: Seconds = 90.0
    """Seconds for which a worker with a `group.instance.id` waits for an earlier one of that id, which was killed, to
    be given up by a group of the new protocol (`group.protocol=consumer`); then it ends with status 4. Twice the 45 s
    after which brokers do so by default (`group.consumer.session.timeout.ms`)."""
