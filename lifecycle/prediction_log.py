"""TensorFlow Serving's own file of recorded requests: TFRecords of PredictionLog, beside a SavedModel.

The messages are taken apart by their field numbers: TensorFlow brings no classes for them.
Source: tensorflow_serving/apis (prediction_log, predict, classification, regression, inference, input, model).
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import errors, tensor_proto, tfrecord
from lifecycle.recorded_requests import DEFAULT_SIGNATURE, MOST_REQUESTS, RecordedRequest
from lifecycle.saved_model_protobuf import Malformed, fields, messages
from lifecycle.signature import Signature

FILE = "assets.extra/tf_serving_warmup_requests"
"""Below a version's directory."""

Array = npt.NDArray[Any]

_REQUEST, _MODEL_SPEC, _SIGNATURE_NAME = 1, 1, 3
_INPUTS, _OUTPUT_FILTER, _KEY, _VALUE = 2, 3, 1, 2
_TASKS, _INPUT = 1, 2
_EXAMPLE_LIST, _WITH_CONTEXT, _EXAMPLES, _CONTEXT = 1, 2, 1, 2


def read(directory: Path) -> Iterator[RecordedRequest]:
    """The requests of a version's file, in its order, each read when it is asked for; none where there is no file.

    Raises:
        InvalidModel: the file is damaged, has too many records, or one that cannot be replayed.
        LoadFailed: it cannot be read, or ends too early: it may be on its way.
    """
    try:
        with (directory / FILE).open("rb") as file:
            for number, record in enumerate(tfrecord.records(file, FILE), start=1):
                if number > MOST_REQUESTS:
                    raise errors.InvalidModel(
                        f"{FILE} has more than {MOST_REQUESTS:,} records; leave out those that are alike"
                    )
                yield from requests(record, f"record {number:,} of {FILE}")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise errors.LoadFailed(f"{FILE} cannot be read: {error.strerror or type(error).__name__}") from error


def requests(record: bytes, place: str) -> Iterator[RecordedRequest]:
    """The requests of one PredictionLog: one, or as many as a multi-inference has tasks.

    Raises:
        InvalidModel: it is none, or of a kind that cannot be replayed; the message begins with *place*.
    """
    try:
        yield from _requests(memoryview(record), place)
    except errors.InvalidInput as error:
        raise errors.InvalidModel(f"{place}: {error}") from error
    except (Malformed, ValueError) as error:
        raise errors.InvalidModel(f"{place} is no PredictionLog: {error}") from error


def _requests(record: memoryview, place: str) -> Iterator[RecordedRequest]:
    found = [(number, log) for number, log in fields(record) if number in _KINDS]
    if not found:
        raise errors.InvalidInput("it holds no request")
    number, log = found[-1]  # of several that exclude each other the last one counts
    name, read_log = _KINDS[number]
    if read_log is None:
        raise errors.InvalidInput(
            f"it is a {name}, which cannot be replayed; there may be predict, classify, regress and "
            "multi-inference logs"
        )
    if isinstance(log, int):
        raise Malformed(f"field {number} holds a number where a message was expected")
    yield from read_log(_message(log, _REQUEST), place)


def _predict(request: memoryview, place: str) -> Iterator[RecordedRequest]:
    inputs = {
        _text(entry, _KEY): tensor_proto.to_numpy(_message(entry, _VALUE))
        for entry in messages(request, _INPUTS)
    }
    outputs = tuple(_decoded(each) for each in messages(request, _OUTPUT_FILTER))
    yield RecordedRequest(place, _signature(request), lambda _signature: inputs, outputs)


def _examples_request(request: memoryview, place: str) -> Iterator[RecordedRequest]:
    yield RecordedRequest(place, _signature(request), _into_only_input(_examples(request)))


def _multi_inference(request: memoryview, place: str) -> Iterator[RecordedRequest]:
    given = _into_only_input(_examples(request))
    for number, task in enumerate(messages(request, _TASKS), start=1):
        yield RecordedRequest(f"task {number} of {place}", _signature(task), given)


_ReadLog = Callable[[memoryview, str], Iterator[RecordedRequest]]

_KINDS: Mapping[int, tuple[str, _ReadLog | None]] = {
    2: ("classify_log", _examples_request),
    3: ("regress_log", _examples_request),
    4: ("multi_inference_log", _multi_inference),
    5: ("session_run_log", None),  # it names tensors of the graph, where a servable has signatures
    6: ("predict_log", _predict),
    7: ("predict_streamed_log", None),
}
"""The kinds of logs by their field numbers: what each is called, and how it is read."""


def _signature(message: memoryview) -> str:
    """The signature that a request or a task names in its ModelSpec; the model's name and version do not matter."""
    return _text(_message(message, _MODEL_SPEC), _SIGNATURE_NAME) or DEFAULT_SIGNATURE


def _examples(request: memoryview) -> Array:
    """The serialized Examples of a request; what they have in common stands in front of each."""
    given = _message(request, _INPUT)
    found = [bytes(each) for each in messages(_message(given, _EXAMPLE_LIST), _EXAMPLES)]
    for with_context in messages(given, _WITH_CONTEXT):
        context = bytes(_message(with_context, _CONTEXT))
        found += [context + bytes(each) for each in messages(with_context, _EXAMPLES)]
    if not found:
        raise errors.InvalidInput("it has no examples")
    examples = np.empty(len(found), dtype=object)
    examples[:] = found
    return examples


def _into_only_input(examples: Array) -> Callable[[Signature], Mapping[str, Array]]:
    def inputs(signature: Signature) -> Mapping[str, Array]:
        if len(signature.inputs) != 1:
            raise errors.InvalidInput(
                f"signature {signature.name!r} has {len(signature.inputs)} inputs; examples are given to an only one"
            )
        return dict.fromkeys(signature.inputs, examples)

    return inputs


def _message(message: memoryview, number: int) -> memoryview:
    """The message, string or bytes of a field; empty where it is missing, the last where there are several."""
    found = memoryview(b"")
    for each in messages(message, number):
        found = each
    return found


def _text(message: memoryview, number: int) -> str:
    return _decoded(_message(message, number))


def _decoded(text: memoryview) -> str:
    return bytes(text).decode()
