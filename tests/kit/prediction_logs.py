"""TensorFlow Serving's messages, encoded by protobuf itself, and files of them, written by TensorFlow itself.

Importing this module imports TensorFlow, so that tests that use it carry the marker `tensorflow`.
"""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

from lifecycle.prediction_log import FILE
from lifecycle.saved_model_tensorflow import import_tensorflow

_PACKAGE = "tensorflow.serving"
_FIELD = descriptor_pb2.FieldDescriptorProto

_MESSAGES: Mapping[str, str] = {
    "ModelSpec": "1 name string; 2 version .google.protobuf.Int64Value; 3 signature_name string; "
    "4 version_label string",
    "PredictRequest": "1 model_spec ModelSpec; 2 inputs map; 3 output_filter string*",
    "PredictLog": "1 request PredictRequest",
    "ExampleList": "1 examples .tensorflow.Example*",
    "ExampleListWithContext": "1 examples .tensorflow.Example*; 2 context .tensorflow.Example",
    "Input": "1 example_list ExampleList; 2 example_list_with_context ExampleListWithContext",
    "ExamplesRequest": "1 model_spec ModelSpec; 2 input Input",
    "ExamplesLog": "1 request ExamplesRequest",
    "InferenceTask": "1 model_spec ModelSpec; 2 method_name string",
    "MultiInferenceRequest": "1 tasks InferenceTask*; 2 input Input",
    "MultiInferenceLog": "1 request MultiInferenceRequest",
    "SessionRunRequest": "1 model_spec ModelSpec; 3 fetch string*",
    "SessionRunLog": "1 request SessionRunRequest",
    "PredictStreamedLog": "1 request PredictRequest*",
    "LogMetadata": "1 model_spec ModelSpec",
    "PredictionLog": "1 log_metadata LogMetadata; 2 classify_log ExamplesLog; 3 regress_log ExamplesLog; "
    "4 multi_inference_log MultiInferenceLog; 5 session_run_log SessionRunLog; 6 predict_log PredictLog; "
    "7 predict_streamed_log PredictStreamedLog",
}
"""Each message's fields: number, name and type, as in tensorflow_serving/apis; `*` is repeated.

Classification and regression requests are alike. A field of an excluding group is written like any other.
"""


@functools.cache
def _classes() -> Mapping[str, Any]:
    import_tensorflow()
    from tensorflow.core.example import example_pb2
    from tensorflow.core.framework import tensor_pb2

    depended_on = [module.DESCRIPTOR.name for module in (example_pb2, tensor_pb2, wrappers_pb2)]
    file = descriptor_pb2.FileDescriptorProto(
        name="headrace_tests/prediction_log.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=depended_on,
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields.split("; "):
            number, field_name, kind = field.split()
            _add_field(message, int(number), field_name, kind)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


def _add_field(message: Any, number: int, name: str, kind: str) -> None:
    field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    if kind == "map":  # of TensorProtos by name
        entry = message.nested_type.add(name="InputsEntry")
        entry.options.map_entry = True
        _add_field(entry, 1, "key", "string")
        _add_field(entry, 2, "value", ".tensorflow.TensorProto")
        kind = f".{_PACKAGE}.{message.name}.InputsEntry*"
    if kind.endswith("*"):
        field.label = _FIELD.LABEL_REPEATED
    kind = kind.rstrip("*")
    if kind == "string":
        field.type = _FIELD.TYPE_STRING
    else:
        field.type = _FIELD.TYPE_MESSAGE
        field.type_name = kind if kind.startswith(".") else f".{_PACKAGE}.{kind}"


def log(**fields: Any) -> Any:
    """A PredictionLog of these fields."""
    return _classes()["PredictionLog"](**fields)


def example(**features: float) -> Any:
    """A tensorflow.Example of numbers by name."""
    tf = import_tensorflow()
    made = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        for name, value in features.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=made))


def predict(
    inputs: Mapping[str, npt.ArrayLike], signature: str = "", outputs: Iterable[str] = (), **spec: Any
) -> Any:
    """A log of a predict request; *spec* are more fields of its ModelSpec."""
    tf = import_tensorflow()
    tensors = {name: tf.make_tensor_proto(np.asarray(array)) for name, array in inputs.items()}
    request = {
        "model_spec": {"name": "any", "signature_name": signature, **spec},
        "inputs": tensors,
        "output_filter": list(outputs),
    }
    return log(predict_log={"request": request})


def examples_request(signature: str, *examples: Any, context: Any = None) -> dict[str, Any]:
    """What a classification and a regression request have."""
    listed: dict[str, Any] = {"examples": list(examples)}
    given = (
        {"example_list": listed}
        if context is None
        else {"example_list_with_context": {**listed, "context": context}}
    )
    return {"model_spec": {"signature_name": signature}, "input": given}


def write(directory: Path, *records: Any) -> Path:
    """Write the file of a version's recorded requests: logs, or bytes as they are."""
    tf = import_tensorflow()
    path = directory / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record if isinstance(record, bytes) else record.SerializeToString())
    return path
