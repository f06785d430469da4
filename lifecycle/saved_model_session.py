"""A TensorFlow session of one model's own: restored from disk, called, closed, its memory given back.

Source: design decision 2; TensorFlow Serving's saved_model_bundle_factory keeps a session per version too.
"""

import contextlib
import ctypes
import dataclasses
import gc
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lifecycle import saved_model_devices, saved_model_graph, saved_model_tensorflow
from lifecycle.saved_model_judgement import GraphRules
from lifecycle.saved_model_parts import Part

Call = Callable[..., Sequence[Any]]
"""Takes one array per feed, gives one array (or scalar, at rank 0) per fetch. Thread-safe."""


@dataclasses.dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a session uses the machine.

    Attributes:
        intra_op_threads: threads that one operation may use; 0 leaves it to TensorFlow (one a core). The
            first session of the process decides for all, because they share one pool.
        inter_op_threads: threads on which independent operations run side by side. -1 runs them one after the
            other on the calling thread, which saves handing each call over: a batch of 512 rows of two dense
            layers took 205 µs of CPU instead of 288, one row 18 instead of 58. Batches run side by side all
            the same, and a large operation still uses the intra-op threads. 0 shares TensorFlow's pool, which
            is better for a graph of many parallel branches; a number above it makes a pool of this session's
            own.
        device: where variables and operations are, as TensorFlow calls it: `GPU:1`, `CPU:0`. An operation that cannot
            be there, or says another device itself, runs where it can. Empty: TensorFlow chooses, a GPU before the CPU.
        granular_calls: the most calls that a version whose graph gathers batches by itself has under way for one
            batch of ours, and so its threads; 0 calls such a version with whole batches, like any other.
    """

    intra_op_threads: int = 0
    inter_op_threads: int = -1
    granular_calls: int = 64
    device: str = ""

    def __post_init__(self) -> None:
        if self.intra_op_threads < 0:
            raise ValueError(f"intra_op_threads is {self.intra_op_threads}; expected 0 or more")
        if self.inter_op_threads < -1:
            raise ValueError(f"inter_op_threads is {self.inter_op_threads}; expected -1 or more")
        if self.granular_calls < 0:
            raise ValueError(f"granular_calls is {self.granular_calls}; expected 0 or more")


class GraphSession:
    """One graph and its variables, in a session of its own.

    Made, restored and closed on one thread at a time; what `prepare` returns may be called from any.
    """

    def __init__(self, options: SessionOptions) -> None:
        self._tf = saved_model_tensorflow.import_tensorflow().compat.v1
        self._graph = self._tf.Graph()
        self._session = self._tf.Session(graph=self._graph, config=self._config(options))
        self._device = options.device

    def _config(self, options: SessionOptions) -> Any:
        return self._tf.ConfigProto(
            # An operation pinned to a device that is not here runs where it can, as in TensorFlow Serving.
            allow_soft_placement=True,
            # A GPU is shared with other models and processes: take its memory as it is needed, not whole.
            gpu_options=self._tf.GPUOptions(allow_growth=True),
            intra_op_parallelism_threads=options.intra_op_threads,
            inter_op_parallelism_threads=options.inter_op_threads,
            use_per_session_threads=options.inter_op_threads > 0,
        )

    def restore(
        self, directory: Path, tags: Sequence[str], tensors: Sequence[str], rules: GraphRules
    ) -> Mapping[str, frozenset[Part]]:
        """Bring the graph of those tags and its variables into memory and run its initialisation.

        Only *tensors*, and what they need, can be fed and fetched afterwards. Returns the parts of the graph that
        gather batches, by those of the tensors that need any.

        Raises:
            PermanentLoadFailure: there is no such device as the options say.
            ForbiddenOperation: the graph could do what the rules do not allow.
            Exception: whatever TensorFlow raises; `saved_model_errors.load_error` translates it.
        """
        if self._device:
            saved_model_devices.check(self._device, self._session.list_devices())
        # Of a function's body TensorFlow places what says nothing itself where the call of the function is.
        with self._graph.as_default(), self._tf.device(f"/device:{self._device}" if self._device else None):
            return saved_model_graph.load(self._session, directory, tags, tensors, rules)

    def prepare(self, feeds: Sequence[str], fetches: Sequence[str]) -> Call:
        """A call that feeds and fetches tensors by their names in the graph, in that order."""
        return prepare_call(self._session, feeds, fetches)

    def close(self) -> None:
        """Give everything back. Nothing prepared here may be running, or be called again.

        A graph is full of reference cycles. They are cut here, because a collection stops every thread of a
        process that has imported TensorFlow for 0.15 s; only if that fails is the collector called.
        """
        self._session.close()
        saved_model_graph.rest()
        remaining = weakref.ref(self._graph)
        with contextlib.suppress(AttributeError):  # private, and absent from some release one day
            functions = self._graph._functions  # noqa: SLF001
            while functions:  # one by one, so that other threads have their turns between
                functions.popitem()
            self._graph.Dismantle()
        saved_model_graph.rest()
        del self._session, self._graph
        saved_model_graph.rest()
        if remaining() is not None:
            gc.collect()
        trim_memory()


def prepare_call(session: Any, feeds: Sequence[str], fetches: Sequence[str]) -> Call:
    """A prepared call on a session: the private fast one where it exists, else the public one.

    The private one costs 20 to 30 µs for a single row, the public one 180 (reference measurements); both give
    the same values.
    """
    prepare_from_options = getattr(session, "_make_callable_from_options", None)
    if prepare_from_options is None:
        call: Call = session.make_callable(list(fetches), feed_list=list(feeds))
        return call
    from tensorflow.core.protobuf import config_pb2  # noqa: PLC0415  # TensorFlow is imported late

    prepared: Call = prepare_from_options(config_pb2.CallableOptions(feed=feeds, fetch=fetches))
    return prepared


def trim_memory() -> None:
    """Give freed memory back to the system, where the C library can.

    The allocator keeps what TensorFlow frees until it is told.
    """
    with contextlib.suppress(OSError, AttributeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)
