"""The batching options of a version: the worker's settings, and in their place what its control record says."""

import logging

from batching.errors import InvalidOptions
from batching.options import PaddingPolicy, QueueOptions
from lifecycle.servable_id import ServableId
from lifecycle.signature import Signature
from schemas.model_config import BatchingOptions, ModelConfig
from worker import ragged_inputs
from worker.model_table import ModelTable
from worker.ragged_inputs import RaggedInputs
from worker.ragged_options import RaggedOptions, sizes_of
from worker.request_block import RequestBlock
from worker.settings_serving import BatchingSettings

log = logging.getLogger(__name__)


def combine(own: BatchingSettings, config: ModelConfig | None) -> QueueOptions:
    """The options of the queues of a model with that config, of its requests that ask for no priority.

    A model that sets another `max_batch_rows` without sizes keeps the worker's sizes below it.

    Raises:
        InvalidOptions: the model's options contradict each other or the worker's.
    """
    max_rows, timeout_seconds, max_batches = (
        own.max_batch_rows,
        own.batch_timeout_seconds,
        own.max_enqueued_batches,
    )
    sizes = own.allowed_batch_rows
    priority, padding_policy = own.priority, own.padding_policy
    if config is not None and config.priority is not None:
        priority = int(config.priority)
    if config is not None and config.padding_policy is not None:
        padding_policy = PaddingPolicy(config.padding_policy)
    model: BatchingOptions | None = None if config is None else config.batching
    if model is not None:
        if model.batch_timeout_seconds is not None:
            timeout_seconds = model.batch_timeout_seconds
        if model.max_enqueued_batches is not None:
            max_batches = model.max_enqueued_batches
        if model.max_batch_rows is not None and model.max_batch_rows != max_rows:
            max_rows = model.max_batch_rows
            sizes = (*(size for size in sizes if size < max_rows), max_rows) if sizes else ()
        if model.allowed_batch_rows is not None:
            sizes = model.allowed_batch_rows
    return QueueOptions(
        max_rows,
        timeout_seconds,
        max_batches,
        sizes,
        priority=priority,
        ageing_seconds=own.ageing_seconds,
        filling=own.filling,
        padding_policy=padding_policy,
    )


def combine_ragged(own: BatchingSettings, config: ModelConfig | None) -> RaggedOptions | None:
    """How requests of unlike lengths for a model with that config are padded; None: not."""
    buckets = own.ragged_buckets if own.ragged else None
    pad_values = own.ragged_pad_values
    if config is not None and config.ragged is not None:
        buckets = sizes_of(config.ragged)
    if config is not None and config.ragged_pad_values is not None:
        pad_values = config.ragged_pad_values
    return None if buckets is None else RaggedOptions(buckets, pad_values)


class ModelQueueOptions:
    """Looks the options up, once for each record of the control topic; used by one thread at a time."""

    def __init__(self, own: BatchingSettings, table: ModelTable) -> None:
        self._own = own
        self._table = table
        self._known: dict[str, tuple[int, QueueOptions]] = {}
        self._known_ragged: dict[str, tuple[int, RaggedOptions | None]] = {}

    def p99_seconds(self, name: str) -> float:
        """The latency objective of a model, as of now; 0: it has none."""
        model = self._table.lookup(name)
        p99_ms = None if model is None or model.config is None else model.config.p99_ms
        return self._own.p99_seconds if p99_ms is None else float(p99_ms) / 1000

    def ragged_of(self, block: RequestBlock, signature: Signature) -> RaggedInputs | None:
        """How the requests of a block are padded, as of now; None: not, and those of unlike lengths share no batch."""
        name = block.handle.id.name
        model = self._table.lookup(name)
        offset = -1 if model is None else model.config_offset
        known = self._known_ragged.get(name)
        if known is None or known[0] != offset:
            config = None if model is None else model.config
            known = self._known_ragged[name] = offset, combine_ragged(self._own, config)
        if known[1] is None:
            return None
        return ragged_inputs.of_kind(known[1], signature, block.kind, self._own.max_batch_bytes)

    def of(self, servable_id: ServableId) -> QueueOptions:
        """The options of a version's queues, as of now."""
        model = self._table.lookup(servable_id.name)
        offset = -1 if model is None else model.config_offset
        known = self._known.get(servable_id.name)
        if known is not None and known[0] == offset:
            return known[1]
        config = None if model is None else model.config
        try:
            options = combine(self._own, config)
        except InvalidOptions as error:
            log.error(  # noqa: TRY400 - the error says all
                "a model's batching options cannot be used; the worker's own are used for it",
                extra={"model": servable_id.name, "problem": str(error)},
            )
            options = combine(self._own, None)
        self._known[servable_id.name] = (offset, options)
        return options
