"""The batching options of a version: the worker's settings, and in their place what its control record says.

That is of the model, and in its place again of a signature.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from batching.errors import InvalidOptions
from batching.options import QueueOptions
from lifecycle.servable_id import ServableId
from lifecycle.signature import Signature
from schemas.model_config import BatchingOptions, ModelConfig
from worker import batching_parameters, ragged_inputs, signature_options
from worker.batching_parameters import Parameters
from worker.model_table import ModelTable
from worker.ragged_inputs import RaggedInputs
from worker.ragged_options import RaggedOptions, sizes_of
from worker.request_block import RequestBlock
from worker.settings_serving import BatchingSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelBatching:
    """How requests for a model are batched.

    Attributes:
        queue: the options of its queues, for requests that ask for no priority.
        max_request_rows: rows of requests that are run in parts, where they are more than a batch's; 0: none.
        p99_seconds: the latency objective; 0: none.
        ragged_buckets: sizes that requests of unlike lengths are padded to, where there are any; None: they share no
            batch.
        ragged_pad_values: what they are padded with.
    """

    queue: QueueOptions
    max_request_rows: int
    p99_seconds: float
    ragged_buckets: tuple[int, ...] | None
    ragged_pad_values: tuple[str, ...]

    @classmethod
    def of_settings(cls, own: BatchingSettings) -> Self:
        """What the settings say.

        Raises:
            InvalidOptions: they contradict each other.
        """
        queue = QueueOptions(
            own.max_batch_rows,
            own.batch_timeout_seconds,
            own.max_enqueued_batches,
            own.allowed_batch_rows,
            priority=own.priority,
            ageing_seconds=own.ageing_seconds,
            filling=own.filling,
            padding_policy=own.padding_policy,
        )
        buckets = own.ragged_buckets if own.ragged else None
        return cls(queue, own.max_request_rows, own.p99_seconds, buckets, own.ragged_pad_values)

    @property
    def ragged(self) -> RaggedOptions | None:
        """How requests of unlike lengths are padded; None: not."""
        buckets = self.ragged_buckets
        return None if buckets is None else RaggedOptions(buckets, self.ragged_pad_values)

    def changed(self, batching: BatchingOptions | None, parameters: Parameters) -> Self:
        """The same but for what is said here; whoever says another size without sizes keeps those below it.

        Raises:
            InvalidOptions: the options contradict each other then.
            ValueError: a parameter is not valid.
        """
        queue, said = self.queue, batching or BatchingOptions()
        sizes, max_rows = queue.allowed_batch_rows, queue.max_batch_rows
        if said.max_batch_rows is not None and said.max_batch_rows != max_rows:
            max_rows = said.max_batch_rows
            sizes = (*(size for size in sizes if size < max_rows), max_rows) if sizes else ()
        new = {
            "batch_timeout_seconds": said.batch_timeout_seconds,
            "max_enqueued_batches": said.max_enqueued_batches,
            "allowed_batch_rows": said.allowed_batch_rows,
            **{
                each.name: each.value(parameters)
                for each in (
                    batching_parameters.PRIORITY,
                    batching_parameters.AGEING_SECONDS,
                    batching_parameters.FILLING,
                    batching_parameters.PADDING_POLICY,
                )
            },
        }
        given = {name: value for name, value in new.items() if value is not None}
        request_rows = batching_parameters.MAX_REQUEST_ROWS.value(parameters)
        p99_ms = batching_parameters.P99_MS.value(parameters)
        ragged = batching_parameters.RAGGED.value(parameters)
        pad_values = batching_parameters.RAGGED_PAD_VALUES.value(parameters)
        return replace(
            self,
            queue=replace(queue, **{"max_batch_rows": max_rows, "allowed_batch_rows": sizes, **given}),
            max_request_rows=self.max_request_rows if request_rows is None else request_rows,
            p99_seconds=self.p99_seconds if p99_ms is None else p99_ms / 1000,
            ragged_buckets=self.ragged_buckets if ragged is None else sizes_of(ragged),
            ragged_pad_values=self.ragged_pad_values if pad_values is None else tuple(pad_values),
        )


def combine(own: BatchingSettings, config: ModelConfig | None) -> ModelBatching:
    """How requests for a model with that config are batched, where their signature has no options of its own.

    Raises:
        InvalidOptions: the model's options contradict each other or the worker's.
        ValueError: a parameter is not valid.
    """
    found = ModelBatching.of_settings(own)
    return found if config is None else found.changed(config.batching, config.parameters)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a record has led to: *usual*, and what single signatures have instead."""

    offset: int
    usual: ModelBatching
    own: Mapping[str, ModelBatching]

    def of(self, signature: str) -> ModelBatching:
        return self.own.get(signature, self.usual)


class ModelQueueOptions:
    """Looks the options up, once for each record of the control topic; used by one thread at a time."""

    def __init__(self, own: BatchingSettings, table: ModelTable) -> None:
        self._own = own
        self._table = table
        self._known: dict[str, _Known] = {}

    def of(self, servable_id: ServableId, signature: str) -> QueueOptions:
        """The options of a version's queues, as of now."""
        return self._of_model(servable_id.name).of(signature).queue

    def max_request_rows(self, name: str, signature: str) -> int:
        """Rows of a model's requests that are run in parts, as of now; 0: none."""
        return self._of_model(name).of(signature).max_request_rows

    def p99_seconds(self, name: str, signature: str) -> float:
        """The latency objective of a model, as of now; 0: it has none."""
        return self._of_model(name).of(signature).p99_seconds

    def ragged_of(self, block: RequestBlock, signature: Signature) -> RaggedInputs | None:
        """How the requests of a block are padded, as of now; None: not, and those of unlike lengths share no batch."""
        options = self._of_model(block.handle.id.name).of(signature.name).ragged
        if options is None:
            return None
        return ragged_inputs.of_kind(options, signature, block.kind, self._own.max_batch_bytes)

    def sizes(self, name: str) -> tuple[int, ...]:
        """The numbers of rows that any signature of a model is run with, ascending; empty where any number may come."""
        known = self._of_model(name)
        each = (known.usual, *known.own.values())
        return tuple(sorted({size for batching in each for size in batching.queue.allowed_batch_rows}))

    def _of_model(self, name: str) -> _Known:
        model = self._table.lookup(name)
        offset = -1 if model is None else model.config_offset
        known = self._known.get(name)
        if known is not None and known.offset == offset:
            return known
        config = None if model is None else model.config
        try:
            usual = combine(self._own, config)
        except (InvalidOptions, ValueError) as error:
            _say(name, None, error)
            usual = combine(self._own, None)
        known = self._known[name] = _Known(offset, usual, _own(name, usual, config))
        return known


def _own(name: str, usual: ModelBatching, config: ModelConfig | None) -> Mapping[str, ModelBatching]:
    """What single signatures have instead of their model's options."""
    try:
        said = {} if config is None else signature_options.of(config.parameters)
    except ValueError as error:
        _say(name, None, error)
        return {}
    found = {}
    for signature, options in said.items():
        try:
            found[signature] = usual.changed(options.batching(), options.parameters())
        except (InvalidOptions, ValueError) as error:
            _say(name, signature, error)
    return found


def _say(name: str, signature: str | None, error: Exception) -> None:
    if signature is None:
        message = "a model's batching options cannot be used; the worker's own are used for it"
        log.error(message, extra={"model": name, "problem": str(error)})
    else:
        message = "a signature's batching options cannot be used; those of its model are used for it"
        log.error(message, extra={"model": name, "signature": signature, "problem": str(error)})
