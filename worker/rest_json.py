"""TensorFlow Serving's JSON for predictions: its row and column formats, to tensors and back.

What people already send to a model server over HTTP is what they may give to `headrace request`. The formats
are those of https://www.tensorflow.org/tfx/serving/api_rest (predict API), read together with the server's
`util/json_tensor.cc`:

- a document has `instances` (row format: a list of values, or of objects that name every input) or `inputs`
  (column format: one value, or an object of inputs), and perhaps `signature_name`;
- binary strings are `{"b64": "..."}`; `NaN`, `Infinity` and `-Infinity` are numbers, which strict JSON
  parsers refuse;
- the reply has `predictions` (rows) or `outputs` (columns), with bare values when the signature has a single
  output, and base64 for the string outputs whose name ends in `_bytes`.

Where this departs from the server it takes more, or says more: whole numbers may stand for floats as long as
nothing is lost (the server refuses all beyond 2^24), integers are checked against the range of their type,
DT_UINT16, DT_HALF and DT_BFLOAT16 work, a key that stands twice is refused, and string outputs that are no
UTF-8 are base64 whatever their name (the server writes broken JSON). Nothing here talks to a worker: the
dtypes of the inputs are handed in (`worker.commands.request` has them from the status topic). Without them
they are guessed as TensorFlow converts Python values: DT_BOOL, DT_INT32 (DT_INT64 where it does not fit),
DT_FLOAT, DT_STRING.
"""

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from schemas.dtype import DType
from worker.rest_json_errors import InvalidJson
from worker.rest_json_values import guess_dtype, is_base64, join_rows, kind_of, to_json, to_tensor

SIGNATURE_KEY = "signature_name"
ROW_REQUEST_KEY, ROW_REPLY_KEY = "instances", "predictions"
COLUMN_REQUEST_KEY, COLUMN_REPLY_KEY = "inputs", "outputs"

Tensors = Mapping[str, np.ndarray]
DTypes = Mapping[str, DType]


class Layout(enum.Enum):
    """How a document lays its tensors out; a reply follows its request."""

    ROW = "row"
    COLUMN = "column"


@dataclass(frozen=True, slots=True)
class PredictDocument:
    """A parsed request that does not know its dtypes yet: the signature that it names decides about them.

    `signature` is None where the document names none; `content` is the value of `instances` or `inputs`.
    """

    layout: Layout
    signature: str | None
    content: object

    def tensors(self, dtypes: DTypes | None = None) -> dict[str, np.ndarray]:
        """The inputs as arrays.

        `dtypes` has all inputs of the signature, None where they are not known.

        Raises:
            InvalidJson: a value is not of its dtype, lists are ragged, an input is missing or not known. It
                names the place.
        """
        if self.layout is Layout.ROW:
            return _from_rows(self.content, dtypes)
        return _from_columns(self.content, dtypes)


def parse(text: str | bytes) -> PredictDocument:
    """Read a predict request.

    Raises:
        InvalidJson: no JSON, or not laid out as a predict request.
    """
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_float=_finite)
    except RecursionError as error:
        raise InvalidJson("", "it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise InvalidJson("", f"it is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise InvalidJson("", f"line {error.lineno} column {error.colno}: {error.msg}") from error
    except ValueError as error:
        raise InvalidJson("", str(error)) from error
    if not isinstance(document, dict):
        raise InvalidJson("", f'it is {kind_of(document)}, expected an object such as {{"instances": [...]}}')
    signature = document.get(SIGNATURE_KEY)
    if signature is not None and not isinstance(signature, str):
        raise InvalidJson(SIGNATURE_KEY, f"expected a string, got {kind_of(signature)}")
    present = [key for key in (ROW_REQUEST_KEY, COLUMN_REQUEST_KEY) if key in document]
    if len(present) != 1:
        found = "both" if present else "neither"
        raise InvalidJson("", f"expected either '{ROW_REQUEST_KEY}' or '{COLUMN_REQUEST_KEY}', found {found}")
    layout = Layout.ROW if present[0] == ROW_REQUEST_KEY else Layout.COLUMN
    return PredictDocument(layout, signature, document[present[0]])


def document_of(request: PredictDocument) -> dict[str, object]:
    """The document of a request, as `parse` reads it."""
    key = ROW_REQUEST_KEY if request.layout is Layout.ROW else COLUMN_REQUEST_KEY
    named = {} if request.signature is None else {SIGNATURE_KEY: request.signature}
    return named | {key: request.content}


def reply(outputs: Tensors, layout: Layout) -> dict[str, object]:
    """A prediction as the server lays it out, made of what the standard library's `json.dumps` takes.

    Raises:
        InvalidJson: there is no output, an output has no place in JSON (complex numbers), or the outputs have
            no common first dimension and so no rows.
    """
    if not outputs:
        raise InvalidJson("", "the reply has no outputs")
    columns = {name: to_json(name, array) for name, array in outputs.items()}
    if layout is Layout.COLUMN:
        return {COLUMN_REPLY_KEY: _bare(columns) if len(columns) == 1 else columns}
    lengths = {name: array.shape[0] if array.ndim else None for name, array in outputs.items()}
    if None in lengths.values() or len(set(lengths.values())) != 1:
        told = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
        raise InvalidJson(
            "", f"the outputs have no common number of rows ({told}); ask in the column format, with 'inputs'"
        )
    if len(columns) == 1:
        return {ROW_REPLY_KEY: _bare(columns)}
    return {
        ROW_REPLY_KEY: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    }


def _from_rows(rows: object, dtypes: DTypes | None) -> dict[str, np.ndarray]:
    """The tensors of the row format: each element is one row, and all rows of an input have one shape."""
    if not isinstance(rows, list):
        raise InvalidJson(ROW_REQUEST_KEY, f"expected a list, got {kind_of(rows)}")
    if not rows:
        raise InvalidJson(ROW_REQUEST_KEY, "it is empty, expected at least one row")
    places = [f"{ROW_REQUEST_KEY}[{i}]" for i in range(len(rows))]
    named = _names_inputs(rows[0])
    for row, place in zip(rows, places, strict=True):
        if _names_inputs(row) is not named:
            wanted = "an object as in the first row" if named else "a value as in the first row"
            raise InvalidJson(place, f"expected {wanted}, got {kind_of(row)}")
    if not named:
        name = _only_input(ROW_REQUEST_KEY, dtypes)
        return {name: join_rows(rows, places, dtypes[name] if dtypes else guess_dtype(rows))}
    names = list(dtypes) if dtypes is not None else list(rows[0])
    for row, place in zip(rows, places, strict=True):
        _check_names(place, row, names, known=dtypes is not None)
    tensors = {}
    for name in names:
        values = [row[name] for row in rows]
        dtype = dtypes[name] if dtypes is not None else guess_dtype(values)
        tensors[name] = join_rows(values, [f"{place}.{name}" for place in places], dtype)
    return tensors


def _from_columns(content: object, dtypes: DTypes | None) -> dict[str, np.ndarray]:
    """The tensors of the column format: each input is one value of any shape."""
    if not _names_inputs(content):
        name = _only_input(COLUMN_REQUEST_KEY, dtypes)
        return {
            name: to_tensor(content, COLUMN_REQUEST_KEY, dtypes[name] if dtypes else guess_dtype(content))
        }
    assert isinstance(content, dict)
    names = list(dtypes) if dtypes is not None else list(content)
    _check_names(COLUMN_REQUEST_KEY, content, names, known=dtypes is not None)
    return {
        name: to_tensor(
            content[name],
            f"{COLUMN_REQUEST_KEY}.{name}",
            dtypes[name] if dtypes is not None else guess_dtype(content[name]),
        )
        for name in names
    }


def _names_inputs(value: object) -> bool:
    """Whether a value is an object of inputs, and not the encoding of one binary string."""
    return isinstance(value, dict) and not is_base64(value)


def _only_input(place: str, dtypes: DTypes | None) -> str:
    """The input that a bare value stands for."""
    if dtypes is None:
        raise InvalidJson(place, 'the inputs of the signature are not known; name them: {"NAME": value}')
    if len(dtypes) != 1:
        raise InvalidJson(
            place, f"the signature has {_listed(dtypes)}; expected objects that name each of them"
        )
    return next(iter(dtypes))


def _check_names(place: str, given: Mapping[str, object], names: list[str], *, known: bool) -> None:
    """Refuse an object whose keys are not exactly the inputs."""
    of = "the signature has" if known else "the first row has"
    if missing := [name for name in names if name not in given]:
        raise InvalidJson(place, f"input {_quoted(missing)} is missing; {of} {_listed(names)}")
    if unknown := [name for name in given if name not in names]:
        raise InvalidJson(place, f"there is no input {_quoted(unknown)}; {of} {_listed(names)}")


def _listed(names: Mapping[str, object] | list[str]) -> str:
    return f"the input{'' if len(names) == 1 else 's'} {_quoted(names)}" if names else "no inputs"


def _quoted(names: Mapping[str, object] | list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _bare(columns: Mapping[str, object]) -> object:
    return next(iter(columns.values()))


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose keys are unique: the last of two would win silently."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key '{next(k for k in keys if keys.count(k) > 1)}' stands twice in one object")
    return found


def _finite(digits: str) -> float:
    """A decimal number; one too large would otherwise become an infinity that nobody wrote."""
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise ValueError(f"the number {digits} is too large for any type")
    return number
