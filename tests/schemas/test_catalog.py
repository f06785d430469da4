"""The catalogue: fingerprints, newer schema files, and what cannot be used."""

import copy
import io
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest

from schemas import framing
from schemas.catalog import Catalog, KnownSchema
from schemas.codec import Codec, encode
from schemas.errors import InvalidTensor, SchemaFileError, SchemaMismatch, UnknownSchema
from schemas.model_config import ModelConfig
from schemas.predict_request import PredictRequest
from schemas.request_decoder import RequestDecoder
from schemas.tensor import Tensor

PUBLISHED = {
    "ModelConfig": 0xCB5609AE203F7951,
    "PredictReply": 0xF068A63C63F2FD8E,
    "PredictRequest": 0xD18666441C6A893C,
    "ServableStatus": 0x88A53C38B6817F49,
    "Status": 0xB31EE573EB4E4333,
    "Tensor": 0x0AFCE9E590F815BF,
    "WorkerStatus": 0x73C849095B64B4FA,
}
"""As Avro's Java library computes them; test_avro_java.py asks it."""

REQUEST = PredictRequest("m", inputs=(Tensor.from_numpy("x", np.zeros((1, 2), "<f4")),), id="a")


def request_schema() -> dict[str, Any]:
    """The request's schema as JSON, to be changed."""
    text = (resources.files("schemas.avsc") / "PredictRequest.avsc").read_text()
    schema: dict[str, Any] = json.loads(text)
    return schema


def newer(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> tuple[Catalog, KnownSchema]:
    """A catalogue that was given a changed schema of the request, and that schema."""
    schema = request_schema()
    change(schema)
    path = tmp_path / "PredictRequest.avsc"
    path.write_text(json.dumps(schema))
    catalog = Catalog.published()
    return catalog, catalog.add_schema_file(path)


def written(schema: KnownSchema, wire: dict[str, Any]) -> bytes:
    """A value by a newer schema."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema.parsed, wire)
    return framing.header(schema.fingerprint) + stream.getvalue()


def add_field(schema: dict[str, Any]) -> None:
    """A later release's field, in the middle."""
    schema["fields"].insert(1, {"name": "tenant", "type": ["null", "string"], "default": None})


def add_dtype(schema: dict[str, Any]) -> None:
    """A later release's dtype."""
    inputs = next(f for f in schema["fields"] if f["name"] == "inputs")
    inputs["type"]["items"]["fields"][1]["type"]["symbols"].append("DT_FLOAT8_E5M2")


def test_fingerprints_are_pinned() -> None:
    """The fingerprint of each schema that is written is the one that it was published with."""
    catalog = Catalog.published()

    assert {name: catalog.current(name).fingerprint for name in PUBLISHED} == PUBLISHED


def test_an_unknown_fingerprint_is_refused_by_name() -> None:
    """A fingerprint that no schema has is named, in the form in which Avro writes it."""
    with pytest.raises(UnknownSchema, match="fingerprint 00000000deadbeef is known"):
        Catalog.published().by_fingerprint(0xDEADBEEF)


def test_a_newer_schema_is_readable_once_its_file_is_given(tmp_path: Path) -> None:
    """A newer release's record is refused by name before its schema file is given, and read after."""
    catalog, schema = newer(tmp_path, add_field)
    value = written(schema, REQUEST.to_wire() | {"tenant": "acme"})

    with pytest.raises(UnknownSchema, match=f"{schema.fingerprint:016x}"):
        Codec().decode(value, PredictRequest)
    assert Codec(catalog).decode(value, PredictRequest) == REQUEST


def test_a_newer_schema_is_read_by_the_column_too(tmp_path: Path) -> None:
    """Records of a newer schema are recognised by layout like ours, and say the same."""
    catalog, schema = newer(tmp_path, add_field)
    values = [written(schema, REQUEST.to_wire() | {"tenant": "acme", "id": f"id-{n}"}) for n in range(5)]

    (columns,), rejected = RequestDecoder(catalog).decode([*values, encode(REQUEST)][:5])

    assert rejected == []
    assert columns.ids == [b"id-0", b"id-1", b"id-2", b"id-3", b"id-4"]
    assert columns.stacked(0).shape == (5, 2)


def test_a_removed_field_takes_its_default(tmp_path: Path) -> None:
    """A field that a newer schema no longer has is what its default says."""

    def remove(schema: dict[str, Any]) -> None:
        schema["fields"] = [f for f in schema["fields"] if f["name"] != "signature"]

    catalog, schema = newer(tmp_path, remove)
    wire = REQUEST.to_wire()
    del wire["signature"]

    assert Codec(catalog).decode(written(schema, wire), PredictRequest).signature == "serving_default"


def test_a_newer_dtype_is_answered_by_name(tmp_path: Path) -> None:
    """A dtype that this release does not know arrives as UNKNOWN and is an error that can be answered."""
    catalog, schema = newer(tmp_path, add_dtype)
    wire = copy.deepcopy(REQUEST.to_wire())
    wire["inputs"][0]["dtype"] = "DT_FLOAT8_E5M2"

    with pytest.raises(InvalidTensor, match="tensor 'x': unknown dtype") as caught:
        Codec(catalog).decode(written(schema, wire), PredictRequest)

    assert (caught.value.request_id, caught.value.model) == ("a", "m")


def test_a_schema_that_cannot_be_resolved_is_a_mismatch(tmp_path: Path) -> None:
    """Where a newer schema says something else under the same name, both fingerprints are named."""

    def change(schema: dict[str, Any]) -> None:
        schema["fields"][0]["type"] = "long"

    catalog, schema = newer(tmp_path, change)

    with pytest.raises(SchemaMismatch, match=f"{schema.fingerprint:016x}.*d18666441c6a893c"):
        Codec(catalog).decode(written(schema, REQUEST.to_wire() | {"model": 7}), PredictRequest)


def test_adding_a_schema_twice_changes_nothing(tmp_path: Path) -> None:
    """A schema that is known already is the same one, also as what is written."""
    catalog, schema = newer(tmp_path, lambda _: None)

    assert schema is catalog.current("PredictRequest")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "no complete Avro schema"),
        ('{"type": "record", "name": "headrace.v1.Tensor"}', "no record"),
        (
            '{"type": "record", "name": "headrace.v1.Tensor", "fields": [{"name": "a", "type": "B"}]}',
            "complete",
        ),
        ('{"type": "record", "name": "Tensor", "fields": []}', "no record of the namespace headrace.v1"),
        ('{"type": "enum", "name": "headrace.v1.DType", "symbols": ["A"]}', "no record"),
        ('"string"', "no record"),
        ('{"type": "record", "name": "headrace.v1.Other", "fields": []}', "the record is Other"),
    ],
)
def test_a_schema_file_that_is_none_of_ours_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A file that is no schema of one of our records is refused, and named."""
    path = tmp_path / "given.avsc"
    path.write_text(text)

    with pytest.raises(SchemaFileError, match=message) as caught:
        Catalog.published().add_schema_file(path)

    assert str(path) in str(caught.value)


def test_a_missing_schema_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(SchemaFileError, match=r"cannot read the schema file .*nowhere.avsc"):
        Catalog.published().add_schema_file(tmp_path / "nowhere.avsc")


def test_a_superseded_schema_is_read_and_not_written(tmp_path: Path) -> None:
    """Of two published schemas of a record, the one under the plain name is written, and both are read."""
    schema = request_schema()
    (tmp_path / "PredictRequest.1.avsc").write_text(json.dumps(schema))
    add_field(schema)
    (tmp_path / "PredictRequest.avsc").write_text(json.dumps(schema))
    (tmp_path / "notes.txt").write_text("no schema")
    catalog = Catalog.of_folder(tmp_path)

    assert len(list(catalog)) == 2
    assert catalog.current("PredictRequest").fingerprint != PUBLISHED["PredictRequest"]
    assert catalog.by_fingerprint(PUBLISHED["PredictRequest"]).record_name == "PredictRequest"


def test_unknown_parameters_pass_through() -> None:
    """What a newer release puts into `parameters` is kept as it is."""
    config = ModelConfig("/m", parameters={"from.the.future": b"\x00\xff"})

    assert Codec().decode(encode(config), ModelConfig).parameters == {"from.the.future": b"\x00\xff"}
