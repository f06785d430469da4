"""Runs a servable once before requests reach it, so that the first of them is not the slow one.

TensorFlow optimises a graph and allocates at the first run of each signature. Nothing is known here about
real requests, so one batch is made up for each signature: zeros, or empty strings; 1 where a size is open.
Source: TensorFlow Serving's saved_model_warmup_util, which replays recorded requests instead.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import dtype_names, errors, resources
from lifecycle.loader import Loader
from lifecycle.resources import ResourceAllocation
from lifecycle.servable import Servable
from lifecycle.signature import Signature, TensorSpec

_log = logging.getLogger(__name__)

Array = npt.NDArray[Any]


class WarmedLoader:
    """A loader that is loaded once its servable has also been run; it adds that to any loader."""

    def __init__(
        self, loader: Loader, batch_rows: Sequence[int] = (1,), most_bytes: int | None = None
    ) -> None:
        self._loader = loader
        self._batch_rows = tuple(batch_rows)
        self._most_bytes = most_bytes

    @property
    def servable(self) -> Servable:
        """The inner loader's servable. Requires: loaded and not yet unloaded."""
        return self._loader.servable

    def estimate_resources(self) -> ResourceAllocation:
        """What the inner loader says; a run by itself is taken to need no more than a load."""
        return resources.estimate(self._loader)

    def load(self) -> None:
        """Load, then run each signature; a run that fails unloads again. On a load thread.

        Raises:
            PermanentLoadFailure: a run failed in a way that repeats.
            LoadFailed: a run failed in a way that may pass; also whatever the inner loader raises.
        """
        self._loader.load()
        try:
            warm_up(self._loader.servable, self._batch_rows, self._most_bytes)
        except BaseException:
            self._loader.unload()
            raise

    def unload(self) -> None:
        """Unload; on an unload thread."""
        self._loader.unload()


def warm_up(servable: Servable, batch_rows: Sequence[int] = (1,), most_bytes: int | None = None) -> None:
    """Run each signature that can be made up, once for each number of rows; on a load thread.

    A signature that cannot be made up (open rank, a dtype without a NumPy twin) is left out with a log
    record. So is one that refuses a batch that had to be guessed, since strings and open sizes have values
    that no model need accept: an empty string is no JPEG.

    Args:
        servable: what to run.
        batch_rows: sizes of dimension 0, where it is open; a signature that fixes it is run once.
        most_bytes: of the inputs of a batch; sizes that need more are left out, but for the smallest. None: any.

    Raises:
        PermanentLoadFailure: a signature refused a batch that is certainly valid, or failed for good.
        LoadFailed: a signature failed in a way that may pass.
    """
    for name, signature in servable.signatures.items():
        for rows in _sizes(signature, batch_rows, most_bytes):
            batch = synthetic_batch(signature, rows)
            if batch is None:
                _log.warning("signature %r is not warmed up: its inputs cannot be made up", name)
                break
            _run(servable, signature, batch)


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
    if row is None or most_bytes is None:
        return batch_rows
    row_bytes = sum(array.nbytes for array in row.values() if not array.dtype.hasobject)
    return [rows for rows in batch_rows if rows * row_bytes <= most_bytes] or [min(batch_rows)]


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


def _run(servable: Servable, signature: Signature, batch: dict[str, Array]) -> None:
    what = f"warm-up of signature {signature.name!r} failed"
    try:
        servable.run(signature.name, batch, ())
    except errors.InvalidInput as error:
        if not _is_guess(signature):
            raise errors.PermanentLoadFailure(f"{what}: {error}") from error
        _log.warning("signature %r is not warmed up: it refuses made-up inputs: %s", signature.name, error)
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
