"""What a SavedModel on disk offers: its meta graphs, their tags and signatures, read without TensorFlow.

No error here names the directory: its words may be told to those who send requests.

The loader reads a model here before it starts a session, so that a missing, half-written or foreign directory
is told apart in a millisecond; `headrace inspect` shows what this module found.
Source: TensorFlow's saved_model.proto and meta_graph.proto, whose field numbers stand below.
"""

import dataclasses
import itertools
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path

from lifecycle import errors, saved_model_tensorflow, signature
from lifecycle import saved_model_protobuf as protobuf
from lifecycle.dtype_names import DTYPE_NAMES

FILE_NAME = "saved_model.pb"
TEXT_FILE_NAME = "saved_model.pbtxt"

MOST_BYTES = 2**31 - 1
"""Of a SavedModel's file: TensorFlow itself takes no more."""

_INTERNAL = "__saved_model_"  # init and train ops stand among the signatures of a meta graph
_REFERENCE = 100  # dtype numbers above it are references to variables of version 1 graphs
_NO_ARRAYS = {"DT_RESOURCE", "DT_VARIANT", "DT_INVALID"}


@dataclasses.dataclass(frozen=True, slots=True)
class GraphSignature:
    """A signature, and the tensors of the graph that stand behind its names.

    `unservable` says why it cannot be called with plain arrays (sparse tensors, resources), or is None.
    """

    signature: signature.Signature
    input_tensors: Mapping[str, str]
    output_tensors: Mapping[str, str]
    unservable: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class MetaGraph:
    """One graph of a SavedModel: its tags and its signatures by name, sorted, without internal ones."""

    tags: frozenset[str]
    signatures: Mapping[str, GraphSignature]


def read_meta_graphs(directory: Path, most_bytes: int = MOST_BYTES) -> tuple[MetaGraph, ...]:
    """Read every meta graph of a SavedModel, whose file may have that many bytes.

    Raises:
        LoadFailed: the directory or its saved_model.pb is missing, unreadable or cut short: it may still be
            on its way.
        InvalidModel: the file is there and is no SavedModel, or has more bytes; then it is not read.
    """
    data = _model_bytes(directory, most_bytes)
    try:
        graphs = tuple(_meta_graph(part) for part in protobuf.messages(memoryview(data), 2))
    except protobuf.CutShort as error:
        raise errors.LoadFailed(
            f"{FILE_NAME} is cut short ({len(data)} bytes): {error}; "
            "is the model still being written? Write it beside the base path and move it there when complete"
        ) from error
    except (protobuf.Malformed, UnicodeDecodeError) as error:
        raise errors.InvalidModel(f"{FILE_NAME} is no SavedModel: {error}; export the model again") from error
    if not graphs:
        raise errors.InvalidModel(f"{FILE_NAME} holds no graph; export the model again")
    return graphs


def choose(graphs: Sequence[MetaGraph], tags: Sequence[str]) -> MetaGraph:
    """The meta graph whose tags are exactly those.

    Raises:
        InvalidModel: there is none; the message lists the tags that exist.
    """
    for graph in graphs:
        if graph.tags == frozenset(tags):
            return graph
    raise errors.InvalidModel(
        f"the SavedModel has no graph tagged {shown_tags(tags)}; "
        f"it has {' and '.join(shown_tags(graph.tags) for graph in graphs)}"
    )


def meta_graph_bytes(directory: Path, tags: Sequence[str], most_bytes: int = MOST_BYTES) -> bytes:
    """The serialised meta graph of exactly those tags, for TensorFlow; the file may have that many bytes.

    Raises:
        LoadFailed: as `read_meta_graphs`.
        InvalidModel: as `read_meta_graphs` and `choose`.
    """
    graphs = read_meta_graphs(directory, most_bytes)
    position = graphs.index(choose(graphs, tags))
    data = memoryview(_model_bytes(directory, most_bytes))
    return bytes(next(itertools.islice(protobuf.messages(data, 2), position, None)))


def shown_tags(tags: Sequence[str] | frozenset[str]) -> str:
    """Tags as people read them, sorted."""
    return ",".join(sorted(tags)) or "(none)"


def _model_bytes(directory: Path, most_bytes: int) -> bytes:
    if not directory.is_dir():
        raise errors.LoadFailed(
            "the version's directory does not exist; expected a SavedModel there: put it back, or have another "
            "version served"
        )
    try:
        if (directory / FILE_NAME).is_file():
            data = _read(directory / FILE_NAME, most_bytes)
        elif (directory / TEXT_FILE_NAME).is_file():
            text = _read(directory / TEXT_FILE_NAME, most_bytes).decode(errors="replace")
            return saved_model_tensorflow.parse_text_model(text, TEXT_FILE_NAME)
        else:
            raise errors.LoadFailed(
                f"there is no {FILE_NAME}; expected a SavedModel (is it still being written?)"
            )
    except OSError as error:
        raise errors.LoadFailed(
            f"the SavedModel cannot be read: {error.strerror or type(error).__name__}"
        ) from error
    if not data:
        raise errors.LoadFailed(f"{FILE_NAME} is empty; is the model still being written?")
    return data


def _read(file: Path, most_bytes: int) -> bytes:
    if (size := file.stat().st_size) > most_bytes:
        raise errors.InvalidModel(
            f"{file.name} has {size:,} bytes, and at most {most_bytes:,} are read (lifecycle.most_graph_bytes); export "
            "the model with its weights as variables, or raise that setting and start the workers again"
        )
    return file.read_bytes()


def _meta_graph(data: memoryview) -> MetaGraph:
    tags = [bytes(tag).decode() for info in protobuf.messages(data, 1) for tag in protobuf.messages(info, 4)]
    found: dict[str, GraphSignature] = {}
    for entry in protobuf.messages(data, 5):
        name, definition = _entry(entry)
        if not name.startswith(_INTERNAL):
            found[name] = _signature(name, definition)
    return MetaGraph(frozenset(tags), dict(sorted(found.items())))


def _entry(data: memoryview) -> tuple[str, memoryview]:
    """Key and value of one entry of a map field."""
    key = b"".join(bytes(part) for part in protobuf.messages(data, 1))
    value = memoryview(b"")
    for part in protobuf.messages(data, 2):
        value = part
    return key.decode(), value


def _sorted_entries(data: memoryview, number: int) -> dict[str, memoryview]:
    # A map has no order on disk; sorted, a model reads the same wherever it was written.
    return dict(sorted(map(_entry, protobuf.messages(data, number)), key=operator.itemgetter(0)))


def _signature(name: str, data: memoryview) -> GraphSignature:
    inputs, outputs = _sorted_entries(data, 1), _sorted_entries(data, 2)
    method = "".join(bytes(part).decode() for part in protobuf.messages(data, 3))
    input_specs = {key: _spec(key, value) for key, value in inputs.items()}
    output_specs = {key: _spec(key, value) for key, value in outputs.items()}
    input_tensors = {key: _tensor_name(value) for key, value in inputs.items()}
    output_tensors = {key: _tensor_name(value) for key, value in outputs.items()}
    return GraphSignature(
        signature.Signature(name, method, input_specs, output_specs),
        input_tensors,
        output_tensors,
        _why_unservable((*input_specs.values(), *output_specs.values()), input_tensors, output_tensors),
    )


def _why_unservable(
    specs: Sequence[signature.TensorSpec], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> str | None:
    for name, tensor in (*inputs.items(), *outputs.items()):
        if not tensor:
            return f"{name!r} is no plain tensor"
    for spec in specs:
        if spec.dtype in _NO_ARRAYS:
            return f"{spec.name!r} is of {spec.dtype}"
    if not outputs:
        return "it has no outputs"
    if len(set(inputs.values())) < len(inputs):
        return "two of its inputs are one tensor"
    return None


def _tensor_name(data: memoryview) -> str:
    """The tensor's name; empty for a sparse or composite tensor, which stands in other fields."""
    return "".join(bytes(part).decode() for part in protobuf.messages(data, 1))


def _spec(name: str, data: memoryview) -> signature.TensorSpec:
    dtype, shape = 0, memoryview(b"")
    for number, value in protobuf.fields(data):
        if number == 2 and isinstance(value, int):
            dtype = value
        elif number == 3 and not isinstance(value, int):
            shape = value
    return signature.TensorSpec(name, _dtype_name(dtype % _REFERENCE), _shape(shape))


def _dtype_name(number: int) -> str:
    return DTYPE_NAMES[number] if number < len(DTYPE_NAMES) else f"DT_{number}"


def _shape(data: memoryview) -> tuple[int | None, ...] | None:
    sizes: list[int | None] = []
    for number, value in protobuf.fields(data):
        if number == 3 and value == 1:
            return None
        if number == 2 and not isinstance(value, int):
            sizes.append(_size(value))
    return tuple(sizes)


def _size(data: memoryview) -> int | None:
    size = 0
    for number, value in protobuf.fields(data):
        if number == 1 and isinstance(value, int):
            size = value
    return None if size >> 63 else size  # -1, "unknown", is written as its 64-bit complement
