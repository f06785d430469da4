"""Recorded and golden requests as JSON lines, which people write by hand: TensorFlow Serving's JSON, a request a line.

A golden line has the expected answer beside the request, as the reply has it (`outputs` or `predictions`), and
perhaps tolerances: a number for all outputs that are no integers, or an object with a number for each.
Dtypes are those of the signature, so that a line says the same whichever version reads it.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from lifecycle import validation
from lifecycle.errors import InvalidInput
from lifecycle.recorded_requests import DEFAULT_SIGNATURE, RecordedRequest
from lifecycle.signature import Signature, TensorSpec
from lifecycle.validation import Expected, GoldenRequest
from schemas.dtype import DType
from worker import rest_json
from worker.rest_json import (
    COLUMN_REPLY_KEY,
    COLUMN_REQUEST_KEY,
    ROW_REPLY_KEY,
    ROW_REQUEST_KEY,
    SIGNATURE_KEY,
    PredictDocument,
)
from worker.rest_json_errors import InvalidJson
from worker.rest_json_values import is_base64, to_tensor

ABSOLUTE_KEY, RELATIVE_KEY = "absolute_tolerance", "relative_tolerance"

_REQUEST_KEYS = frozenset({SIGNATURE_KEY, ROW_REQUEST_KEY, COLUMN_REQUEST_KEY})
_GOLDEN_KEYS = _REQUEST_KEYS | {ROW_REPLY_KEY, COLUMN_REPLY_KEY, ABSOLUTE_KEY, RELATIVE_KEY}


class InvalidLine(ValueError):
    """A line is no request, or no golden one. The message names the line."""


def recorded(lines: Iterable[str], where: str) -> Iterator[RecordedRequest]:
    """The request of each line; empty lines are passed over.

    Raises:
        InvalidLine: one is no request, or says more than a request does.
    """
    for place, _, document in _documents(lines, where, _REQUEST_KEYS):
        yield _request(place, document)


def golden(lines: Iterable[str], where: str) -> Iterator[GoldenRequest]:
    """The golden request of each line; empty lines are passed over.

    Raises:
        InvalidLine: one is no request, or does not say what is expected.
    """
    for place, line, document in _documents(lines, where, _GOLDEN_KEYS):
        given = [key for key in (ROW_REPLY_KEY, COLUMN_REPLY_KEY) if key in line]
        if len(given) != 1:
            found = "both" if given else "neither"
            raise InvalidLine(
                f"{place}: expected either '{COLUMN_REPLY_KEY}' or '{ROW_REPLY_KEY}' beside the request, found {found}"
            )
        answer = line[given[0]]
        if not answer and isinstance(answer, dict):
            raise InvalidLine(f"{place}: '{given[0]}' is empty, expected at least one output")
        tolerances = {key: _tolerances(line, key, place) for key in (ABSOLUTE_KEY, RELATIVE_KEY)}
        yield GoldenRequest(_request(place, document), partial(_expected, given[0], answer, tolerances))


def canonical(lines: Iterable[str], where: str) -> str:
    """The golden requests of these lines, one way to write them, so that two texts that say the same are the same.

    Raises:
        InvalidLine: as `golden`.
    """
    given = list(lines)
    for _ in golden(given, where):
        pass
    return "\n".join(line_of(json.loads(line)) for line in given if line.strip())


def line_of(document: object) -> str:
    """A document as a line. Raises ValueError or TypeError where it has no place in JSON."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True)


def _documents(
    lines: Iterable[str], where: str, keys: frozenset[str]
) -> Iterator[tuple[str, dict[str, Any], PredictDocument]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"line {number:,} of {where}"
        try:
            document = rest_json.parse(line)
        except InvalidJson as error:
            raise InvalidLine(f"{place}: {error}") from error
        whole = json.loads(line)
        if unknown := sorted(whole.keys() - keys):
            raise InvalidLine(
                f"{place}: unknown {', '.join(map(repr, unknown))}; expected some of {', '.join(sorted(keys))}"
            )
        yield place, whole, document


def _request(place: str, document: PredictDocument) -> RecordedRequest:
    def inputs(signature: Signature) -> Mapping[str, Any]:
        try:
            return document.tensors({name: _dtype(spec) for name, spec in signature.inputs.items()})
        except InvalidJson as error:
            raise InvalidInput(str(error)) from error

    return RecordedRequest(place, document.signature or DEFAULT_SIGNATURE, inputs)


def _expected(
    key: str, answer: object, tolerances: Mapping[str, float | Mapping[str, float]], signature: Signature
) -> Mapping[str, Expected]:
    try:
        named = _by_output(key, answer, signature)
        arrays = {
            name: to_tensor(value, f"{key}.{name}", _dtype(signature.outputs[name]))
            for name, value in named.items()
        }
    except InvalidJson as error:
        raise InvalidInput(str(error)) from error
    said = {each: found for each, found in tolerances.items() if isinstance(found, Mapping)}
    for each, found in said.items():
        if unknown := sorted(found.keys() - arrays.keys()):
            raise InvalidInput(f"{each}: there is no expected output {', '.join(map(repr, unknown))}")
    return {
        name: Expected(
            array,
            _tolerance(tolerances[ABSOLUTE_KEY], name, validation.ABSOLUTE_TOLERANCE),
            _tolerance(tolerances[RELATIVE_KEY], name, validation.RELATIVE_TOLERANCE),
        )
        for name, array in arrays.items()
    }


def _by_output(key: str, answer: object, signature: Signature) -> dict[str, object]:
    """The expected values by output, as a reply in rows or in columns has them; the signature has such outputs."""
    named = _by_name(key, answer, signature)
    if unknown := sorted(named.keys() - signature.outputs.keys()):
        raise InvalidJson(key, f"there is no output {', '.join(map(repr, unknown))}; {_listed(signature)}")
    return named


def _by_name(key: str, answer: object, signature: Signature) -> dict[str, object]:
    if key == ROW_REPLY_KEY:
        if not isinstance(answer, list):
            raise InvalidJson(key, "expected a list of rows")
        if answer and all(isinstance(row, dict) and not is_base64(row) for row in answer):
            names = list(answer[0])
            if any(row.keys() != answer[0].keys() for row in answer):
                raise InvalidJson(key, "expected the same outputs in each row")
            return {name: [row[name] for row in answer] for name in names}
    elif isinstance(answer, dict) and not is_base64(answer):
        return dict(answer)
    if len(signature.outputs) != 1:
        raise InvalidJson(key, f"expected values by output; {_listed(signature)}")
    return dict.fromkeys(signature.outputs, answer)


def _tolerances(line: Mapping[str, Any], key: str, place: str) -> float | Mapping[str, float]:
    found = line.get(key, {})
    for number in found.values() if isinstance(found, dict) else [found]:
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < math.inf:
            raise InvalidLine(
                f"{place}: {key}: expected a number, 0 or more, or an object with one for each output"
            )
    return found if isinstance(found, dict) else float(found)


def _tolerance(found: float | Mapping[str, float], output: str, default: float) -> float:
    return float(found.get(output, default)) if isinstance(found, Mapping) else found


def _dtype(spec: TensorSpec) -> DType:
    found = DType.__members__.get(spec.dtype, DType.UNKNOWN)
    if found is DType.UNKNOWN:
        raise InvalidInput(f"{spec.name!r} is {spec.dtype}, which cannot be given as JSON")
    return found


def _listed(signature: Signature) -> str:
    return f"signature {signature.name!r} has the outputs {', '.join(map(repr, sorted(signature.outputs)))}"
