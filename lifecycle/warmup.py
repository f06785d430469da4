"""Runs a servable before requests reach it, so that the first of them is not the slow one.

TensorFlow optimises a graph and allocates at the first run of each signature and size. Recorded requests are run
where there are any. For a signature without one a batch is made up: zeros, or empty strings; 1 where a size is open.
Source: TensorFlow Serving's saved_model_warmup_util, which knows recorded requests only.
"""

import enum
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import dtype_names, errors, instances, recorded_requests
from lifecycle.loader import Loader
from lifecycle.loader_around import LoaderAround
from lifecycle.recorded_requests import BoundRequest, RecordedRequest
from lifecycle.servable import Servable
from lifecycle.signature import Signature, TensorSpec

_log = logging.getLogger(__name__)

Array = npt.NDArray[Any]


class WarmupMode(enum.StrEnum):
    """What becomes of a version whose warm-up fails."""

    FAIL = "fail"
    """Its load fails."""
    WARN = "warn"
    """The log says why, and it is available all the same."""
    OFF = "off"
    """It is not warmed up."""


class WarmedLoader(LoaderAround):
    """A loader that is loaded once its servable has also been run; it adds that to any loader."""

    def __init__(
        self,
        loader: Loader,
        batch_rows: Sequence[int] = (1,),
        most_bytes: int | None = None,
        *,
        recorded: Callable[[], Iterable[RecordedRequest]] = tuple,
        mode: Callable[[], WarmupMode] = lambda: WarmupMode.FAIL,
        name: str = "a version",
    ) -> None:
        """Warm up *loader*'s servable by `warm_up`.

        Args:
            loader: what is loaded.
            batch_rows: as `warm_up` has them.
            most_bytes: likewise.
            recorded: asked at each load for requests to be run.
            mode: asked at each load what a failure means.
            name: what the log calls it.
        """
        super().__init__(loader)
        self._batch_rows = tuple(batch_rows)
        self._most_bytes = most_bytes
        self._recorded = recorded
        self._mode = mode
        self._name = name

    def load(self) -> None:
        """Load, then run recorded requests and each other signature; a run that fails unloads again. On a load thread.

        Of several instances each is run.

        Raises:
            PermanentLoadFailure: a run failed in a way that repeats, or a recorded request cannot be used.
            LoadFailed: a run failed in a way that may pass; also whatever the inner loader raises.
        """
        self._loader.load()
        try:
            self._warm_up()
        except BaseException:
            self._loader.unload()
            raise

    def _warm_up(self) -> None:
        mode = self._mode()
        if mode is WarmupMode.OFF:
            return
        try:
            for each in instances.instances_of(self._loader.servable):
                warm_up(each, self._batch_rows, self._most_bytes, self._recorded())
        except Exception as error:
            if mode is WarmupMode.FAIL:
                raise
            _log.warning("%s is available without the rest of its warm-up: %s", self._name, error)


def warm_up(
    servable: Servable,
    batch_rows: Sequence[int] = (1,),
    most_bytes: int | None = None,
    recorded: Iterable[RecordedRequest] = (),
) -> None:
    """Run the recorded requests, then each signature that none of them calls; on a load thread.

    A recorded request is run once for each number of rows, cut or padded as a batch of it would be. By a single
    number of 1, which says nothing of batches, it is run as it is; so is one whose rows cannot be told.

    A signature that cannot be made up (open rank, a dtype without a NumPy twin) is left out with a log
    record. So is one that refuses a batch that had to be guessed, since strings and open sizes have values
    that no model need accept: an empty string is no JPEG.

    Args:
        servable: what to run.
        batch_rows: sizes of dimension 0, where it is open; a signature that fixes it is run once.
        most_bytes: of the inputs of a batch; sizes that need more are left out, but for the smallest. None: any.
        recorded: requests to be run, read as they are needed.

    Raises:
        PermanentLoadFailure: a recorded request does not fit its signature, or a signature refused it or a batch that
            is certainly valid, or failed for good.
        LoadFailed: a signature failed in a way that may pass; also whatever *recorded* raises.
    """
    called = {_replay(servable, request, batch_rows, most_bytes) for request in recorded}
    for name, signature in servable.signatures.items():
        if name in called:
            continue
        for rows in _sizes(signature, batch_rows, most_bytes):
            batch = synthetic_batch(signature, rows)
            if batch is None:
                _log.warning("signature %r is not warmed up: its inputs cannot be made up", name)
                break
            _run_synthetic(servable, signature, batch)


def synthetic_batch(signature: Signature, rows: int) -> dict[str, Array] | None:
    """Zeros and empty strings in the shape that a signature asks for, or None when it does not say.

    An open dimension 0 has that many rows; any other open dimension has one.
    """
    batch = {name: _synthetic(spec, rows) for name, spec in signature.inputs.items()}
    made = {name: array for name, array in batch.items() if array is not None}
    return made if len(made) == len(batch) else None


def _sizes(signature: Signature, batch_rows: Sequence[int], most_bytes: int | None) -> Sequence[int]:
    if not _opens_rows(signature):
        return (1,)
    row = None if most_bytes is None else synthetic_batch(signature, 1)
    return batch_rows if row is None else _affordable(batch_rows, _data_bytes(row), most_bytes)


def _affordable(batch_rows: Sequence[int], row_bytes: float, most_bytes: int | None) -> Sequence[int]:
    if most_bytes is None:
        return batch_rows
    return [rows for rows in batch_rows if rows * row_bytes <= most_bytes] or [min(batch_rows)]


def _data_bytes(batch: Mapping[str, Array]) -> int:
    return sum(array.nbytes for array in batch.values() if not array.dtype.hasobject)


def _synthetic(spec: TensorSpec, rows: int) -> Array | None:
    dtype = dtype_names.numpy_dtype(spec.dtype)
    if spec.shape is None or dtype is None:
        return None
    sizes = [1 if size is None else size for size in spec.shape]
    if spec.batchable:
        sizes[0] = rows
    if spec.dtype == "DT_STRING":
        return np.full(sizes, b"", dtype=object)
    return np.zeros(sizes, dtype)


def _replay(
    servable: Servable, request: RecordedRequest, batch_rows: Sequence[int], most_bytes: int | None
) -> str:
    """Run a recorded request; the name of its signature."""
    try:
        bound = recorded_requests.bind(request, servable)
    except errors.InvalidInput as error:
        raise errors.PermanentLoadFailure(f"warm-up failed: {error}") from error
    for inputs in _batches(bound, batch_rows, most_bytes):
        what = f"warm-up by {bound.place} failed"
        try:
            _run(servable, bound.signature, inputs, bound.outputs, what)
        except errors.InvalidInput as error:
            raise errors.PermanentLoadFailure(f"{what}: {error}") from error
    return bound.signature.name


def _batches(
    bound: BoundRequest, batch_rows: Sequence[int], most_bytes: int | None
) -> Iterator[Mapping[str, Array]]:
    if bound.rows is None or tuple(batch_rows) == (1,):
        yield bound.inputs
        return
    for rows in _affordable(batch_rows, _data_bytes(bound.inputs) / bound.rows, most_bytes):
        yield bound.with_rows(rows)


def _run_synthetic(servable: Servable, signature: Signature, batch: Mapping[str, Array]) -> None:
    what = f"warm-up of signature {signature.name!r} failed"
    try:
        _run(servable, signature, batch, (), what)
    except errors.InvalidInput as error:
        if not _is_guess(signature):
            raise errors.PermanentLoadFailure(f"{what}: {error}") from error
        _log.warning("signature %r is not warmed up: it refuses made-up inputs: %s", signature.name, error)


def _run(
    servable: Servable, signature: Signature, batch: Mapping[str, Array], outputs: Sequence[str], what: str
) -> None:
    """Run a batch; what it raises is the failure of a load, or `InvalidInput`."""
    try:
        servable.run(signature.name, batch, outputs)
    except errors.InvalidInput:
        raise
    except errors.ExecutionFailed as error:
        failure = errors.LoadFailed if error.retriable else errors.PermanentLoadFailure
        raise failure(f"{what}: {error}") from error
    except Exception as error:
        raise errors.LoadFailed(f"{what}: {error}") from error


def _opens_rows(signature: Signature) -> bool:
    return any(spec.batchable for spec in signature.inputs.values())


def _is_guess(signature: Signature) -> bool:
    """Whether values or sizes other than the rows had to be guessed."""
    return any(
        spec.dtype == "DT_STRING" or None in (spec.shape or ())[1:] for spec in signature.inputs.values()
    )
