"""Loads one version of a TensorFlow SavedModel."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lifecycle import (
    errors,
    saved_model_devices,
    saved_model_errors,
    saved_model_memory,
    saved_model_parts,
    saved_model_signatures,
)
from lifecycle.concurrent_servable import ConcurrentServable
from lifecycle.resources import Device, ResourceAllocation
from lifecycle.saved_model_judgement import GraphRules
from lifecycle.saved_model_parts import Part
from lifecycle.saved_model_servable import SavedModelServable
from lifecycle.saved_model_session import GraphSession, SessionOptions
from lifecycle.saved_model_signatures import GraphSignature
from lifecycle.threads import Executor, new_executor

_log = logging.getLogger(__name__)

_CLOSE_SECONDS = 10.0  # for threads that have nothing left to do

SERVE = ("serve",)
"""The tags of the graph that exporters write for serving."""


class SavedModelLoader:
    """A loader of SavedModels, from TensorFlow 1 and 2 and Keras, with their tables, assets and strings.

    Cheap to construct; the first `load` of a process imports TensorFlow. It uses a GPU when there is one, or the device
    that its options name, and takes memory as it needs it.
    """

    def __init__(
        self,
        directory: Path,
        tags: Sequence[str] = SERVE,
        options: SessionOptions | None = None,
        rules: GraphRules | None = None,
        gpus: Callable[[], Mapping[Device, int]] = saved_model_devices.gpu_memory,
    ) -> None:
        self._directory = directory
        self._tags = tuple(tags)
        self.options = options or SessionOptions()
        self.rules = rules or GraphRules()
        self._gpus = gpus
        self._session: GraphSession | None = None
        self._servable: SavedModelServable | None = None
        self._concurrent: ConcurrentServable | None = None
        self._executor: Executor | None = None

    @property
    def servable(self) -> SavedModelServable | ConcurrentServable:
        """The loaded model. Requires: loaded and not yet unloaded."""
        if self._servable is None:
            raise RuntimeError("this SavedModel is not loaded")
        return self._concurrent or self._servable

    def estimate_resources(self) -> ResourceAllocation:
        """By the sizes of its files. Variables are on its device, else the first GPU or the host."""
        device = saved_model_devices.memory_device(self.options.device, self._gpus())
        estimate = saved_model_memory.before_load if self._session is None else saved_model_memory.after_load
        return estimate(self._directory, device)

    def load(self) -> None:
        """Read the model, restore its variables and prepare a call for each signature; on a load thread.

        Raises:
            InvalidModel: the files are no SavedModel, lack these tags, or hold nothing that can be served.
            ForbiddenOperation: the graph could do what the rules do not allow.
            LoadFailed: the files are missing, incomplete or unreadable, or memory ran out: may pass.
        """
        graphs = saved_model_signatures.read_meta_graphs(self._directory, self.rules.most_bytes)
        graph = saved_model_signatures.choose(graphs, self._tags)
        signatures = self._servable_signatures(graph.signatures)
        session = GraphSession(self.options)
        try:
            parts = session.restore(self._directory, self._tags, _tensors(signatures), self.rules)
            servable = SavedModelServable(signatures, session.prepare)
            self._call_row_by_row(servable, _calls_needed(signatures, parts))
        except errors.LoadFailed as error:
            session.close()
            raise error.with_traceback(None) from None  # its frames hold TensorFlow's session
        except Exception as error:
            failure = saved_model_errors.load_error(error)
            session.close()
            raise failure from error
        self._session, self._servable = session, servable

    def unload(self) -> None:
        """Close the session and give its memory back to the system; on an unload thread."""
        session, servable = self._session, self._servable
        executor = self._executor
        self._session = self._servable = self._concurrent = self._executor = None
        if executor is not None and not executor.close(_CLOSE_SECONDS):
            _log.warning("calls of %s have not ended; the threads that are in them stay", self._directory)
        if servable is not None:
            servable.close()
        if session is not None:
            session.close()

    def _call_row_by_row(self, servable: SavedModelServable, needed: Mapping[str, int]) -> None:
        """Call those signatures, whose parts need so many calls at once, row by row, as far as the options let it."""
        calls = {}
        for name, count in needed.items():
            if not servable.signatures[name].batchable:
                _log.warning(
                    "signature %r of %s gathers batches inside, and cannot be called row by row: the first dimension "
                    "of each input and output must be open; say so with tf.ensure_shape",
                    name,
                    self._directory,
                )
            elif (most := min(count, self.options.granular_calls)) > 1:
                calls[name] = most
        if calls:
            _log.info("%s gathers batches inside; calls at once: %s", self._directory, calls)
            self._executor = new_executor(max(calls.values()) - 1, "granular")
            self._concurrent = ConcurrentServable(servable, calls, self._executor)

    def _servable_signatures(self, found: Mapping[str, GraphSignature]) -> dict[str, GraphSignature]:
        signatures = {name: each for name, each in found.items() if each.unservable is None}
        left_out = {name: each.unservable for name, each in found.items() if each.unservable is not None}
        if not signatures:
            raise errors.InvalidModel(
                f"the SavedModel has no signature that can be served"
                f"{''.join(f'; {name!r}: {reason}' for name, reason in left_out.items())}; "
                "export it with a serving signature"
            )
        for name, reason in left_out.items():
            _log.warning("signature %r of %s is not served: %s", name, self._directory, reason)
        return signatures


def _tensors(signatures: Mapping[str, GraphSignature]) -> list[str]:
    """Everything that requests feed and fetch."""
    return [
        tensor
        for each in signatures.values()
        for tensor in (*each.input_tensors.values(), *each.output_tensors.values())
    ]


def _calls_needed(
    signatures: Mapping[str, GraphSignature], parts: Mapping[str, frozenset[Part]]
) -> dict[str, int]:
    """How many calls at once fill the parts of each signature that has any."""
    found = {}
    for name, each in signatures.items():
        own = {part for tensor in each.output_tensors.values() for part in parts.get(tensor, ())}
        if own:
            found[name] = saved_model_parts.calls_needed(own)
    return found
