"""Asks a servable golden requests, whose answers are known: a version that answers one wrongly is never available."""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import errors, recorded_requests
from lifecycle.loader import Loader
from lifecycle.loader_around import LoaderAround
from lifecycle.recorded_requests import BoundRequest, RecordedRequest
from lifecycle.servable import Servable
from lifecycle.signature import Signature, check_outputs

_log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE = 1e-5, 1e-4
"""Where nothing else is said: processors and batch sizes make less of a difference to DT_FLOAT, a wrong model more."""

_LONGEST_SHOWN = 60


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """What one output is to be.

    Attributes:
        values: the array; its shape is expected, too.
        absolute: how far a number that is no integer may lie from it at most, whatever its size.
        relative: and how much further, as a part of the expected number's size. Everything else is to be equal.
    """

    values: Array
    absolute: float = ABSOLUTE_TOLERANCE
    relative: float = RELATIVE_TOLERANCE


@dataclasses.dataclass(frozen=True, slots=True)
class GoldenRequest:
    """A request and what it is to be answered by.

    Attributes:
        request: what is asked; its own `outputs` are not looked at.
        expected: gives what each output is to be, by name, those that do not matter left out; takes the signature.
            Raises `InvalidInput` where it cannot be made for it.
    """

    request: RecordedRequest
    expected: Callable[[Signature], Mapping[str, Expected]]


class ValidatedLoader(LoaderAround):
    """A loader that is loaded once its servable has answered golden requests; it adds that to any loader."""

    def __init__(
        self,
        loader: Loader,
        golden: Callable[[], Iterable[GoldenRequest]],
        batch_rows: Sequence[int] = (1,),
        name: str = "a version",
    ) -> None:
        """Validate *loader*'s servable by `validate`; *golden* is asked at each load, *name* is for the log."""
        super().__init__(loader)
        self._golden = golden
        self._batch_rows = tuple(batch_rows)
        self._name = name

    def load(self) -> None:
        """Load, then ask the golden requests; a wrong answer unloads again. On a load thread.

        Raises:
            ValidationFailed: an answer is not as expected, or there is none.
            LoadFailed: a run failed in a way that may pass; also whatever the inner loader raises.
        """
        self._loader.load()
        try:
            answered = validate(self._loader.servable, self._golden(), self._batch_rows)
        except BaseException:
            self._loader.unload()
            raise
        if answered:
            _log.info("%s answers %d golden requests as expected", self._name, answered)


def validate(servable: Servable, golden: Iterable[GoldenRequest], batch_rows: Sequence[int] = (1,)) -> int:
    """Run each golden request, padded as a batch of it would be, and compare its answer; on a load thread.

    Args:
        servable: what is to answer.
        golden: what is asked, read as it is needed.
        batch_rows: the numbers of rows that batches have, ascending; a request of more has its own.

    Returns:
        How many there were.

    Raises:
        ValidationFailed: a request does not fit its signature, or its run failed for good, or an answer is not as
            expected: the message says which request, output and element, what came and what was expected.
        LoadFailed: a run failed in a way that may pass; also whatever *golden* raises.
    """
    asked = 0
    for each in golden:
        _ask(servable, each, batch_rows)
        asked += 1
    return asked


def _ask(servable: Servable, golden: GoldenRequest, batch_rows: Sequence[int]) -> None:
    place = golden.request.place
    try:
        bound = recorded_requests.bind(golden.request, servable)
    except errors.InvalidInput as error:
        raise errors.ValidationFailed(f"validation failed: {error}") from error
    try:
        expected = golden.expected(bound.signature)
        check_outputs(bound.signature, expected)
    except errors.InvalidInput as error:
        raise errors.ValidationFailed(f"validation failed: {place}: {error}") from error
    found = _answer(servable, bound, batch_rows)
    for name, wanted in expected.items():
        difference = _difference(found[name], wanted)
        if difference is not None:
            raise errors.ValidationFailed(f"validation failed: {place}: output {name!r}{difference}")


def _answer(servable: Servable, bound: BoundRequest, batch_rows: Sequence[int]) -> Mapping[str, Array]:
    """All outputs, without the rows of padding: calls for a few of them are prepared for requests that want such."""
    rows = bound.rows
    run_rows = None if rows is None else next((each for each in batch_rows if each >= rows), rows)
    inputs = bound.inputs if run_rows is None else bound.with_rows(run_rows)
    what = f"validation failed: {bound.place}"
    try:
        found = servable.run(bound.signature.name, inputs, ())
    except errors.ExecutionFailed as error:
        failure = errors.LoadFailed if error.retriable else errors.ValidationFailed
        raise failure(f"{what}: {error}") from error
    except errors.InvalidInput as error:
        raise errors.ValidationFailed(f"{what}: {error}") from error
    except Exception as error:
        raise errors.LoadFailed(f"{what}: {error}") from error
    return found if run_rows == rows else {name: array[:rows] for name, array in found.items()}


def _difference(found: Array, expected: Expected) -> str | None:
    """How an output differs from what is expected, in words that follow its name; None: it does not."""
    values = expected.values
    if found.shape != values.shape:
        return f" has the shape {list(found.shape)}; expected {list(values.shape)}"
    if _is_inexact(found) and _is_inexact(values):
        wrong = _too_far(found, expected)
    else:
        wrong = np.asarray(found != values, dtype=bool)
    if not wrong.any():
        return None
    index = tuple(int(each) for each in np.argwhere(wrong)[0])
    wanted = _shown(values[index])
    if _is_inexact(values) and np.isfinite(values[index]):
        wanted += f" ± {expected.absolute + expected.relative * abs(values[index].item()):.3g}"
    return (
        f"{list(index) if index else ''} is {_shown(found[index])}; expected {wanted} "
        f"({int(wrong.sum()):,} of {wrong.size:,} values differ)"
    )


def _is_inexact(array: Array) -> bool:
    return array.dtype.kind in "fc" or array.dtype.name == "bfloat16"


def _too_far(found: Array, expected: Expected) -> npt.NDArray[np.bool_]:
    """Where a number lies too far from the expected one; NaN is near NaN only, and an infinity near itself."""
    wide = np.complex128 if "c" in {found.dtype.kind, expected.values.dtype.kind} else np.float64
    came, wanted = found.astype(wide), expected.values.astype(wide)
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(came - wanted) <= expected.absolute + expected.relative * np.abs(wanted)
    same = (came == wanted) | (np.isnan(came) & np.isnan(wanted))
    too_far: npt.NDArray[np.bool_] = ~(same | (near & np.isfinite(wanted)))
    return too_far


def _shown(value: Any) -> str:
    shown = repr(value.item() if isinstance(value, np.generic) else value)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
