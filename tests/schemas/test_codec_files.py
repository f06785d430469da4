"""Files of records: written by us, read by any Avro library, and the other way round."""

import io
import json
from importlib import resources
from pathlib import Path

import fastavro
import numpy as np
import pytest

from schemas.catalog import default_catalog
from schemas.codec_files import read_records, write_records
from schemas.errors import InvalidStructure, InvalidTensor, SchemaMismatch
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor

REQUESTS = [
    PredictRequest(
        "m", inputs=(Tensor.from_numpy("x", np.arange(6, dtype="<f4").reshape(n, 6 // n)),), id=str(n)
    )
    for n in (1, 2, 3)
] + [
    PredictRequest(
        "m", version=3, signature="s", outputs=("y",), inputs=(Tensor.from_numpy("w", [b"a", b""]),)
    )
]


def written(records: list[PredictRequest] = REQUESTS) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    write_records(file, PredictRequest, records)
    return file.getvalue()


def test_records_come_back() -> None:
    """All of them, in order; none of a file without one."""
    assert list(read_records(io.BytesIO(written()), PredictRequest)) == REQUESTS
    assert list(read_records(io.BytesIO(written([])), PredictRequest)) == []


def test_any_avro_library_reads_what_we_write_and_we_what_it_writes(tmp_path: Path) -> None:
    """The file names its schema itself."""
    read = list(fastavro.reader(io.BytesIO(written())))
    assert [each["id"] for each in read] == ["1", "2", "3", ""]

    schema = default_catalog().current("PredictRequest").parsed
    with (tmp_path / "file").open("wb") as file:
        fastavro.writer(file, schema, [each.to_wire() for each in REQUESTS], codec="null", sync_interval=1)
    with (tmp_path / "file").open("rb") as file:
        assert list(read_records(file, PredictRequest)) == REQUESTS


def test_a_schema_with_fewer_fields_is_resolved() -> None:
    """As somebody writes it who needs no more."""
    schema = json.loads((resources.files("schemas.avsc") / "PredictRequest.avsc").read_text())
    schema["fields"] = [each for each in schema["fields"] if each["name"] in {"model", "inputs", "id"}]
    wire = {name: value for name, value in REQUESTS[0].to_wire().items() if name in {"model", "inputs", "id"}}
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(schema), [wire])
    file.seek(0)

    assert list(read_records(file, PredictRequest)) == REQUESTS[:1]


def test_a_file_of_other_records_is_a_mismatch() -> None:
    """By name, before anything of it is believed."""
    file = io.BytesIO()
    write_records(file, PredictReply, [PredictReply("m")])
    file.seek(0)

    with pytest.raises(SchemaMismatch, match="cannot be read as PredictRequest"):
        list(read_records(file, PredictRequest))


@pytest.mark.parametrize("data", [b"", b"{}", b"garbage" * 99])
def test_what_is_no_container_file_is_told(data: bytes) -> None:
    """Nothing has been read of it."""
    with pytest.raises(InvalidStructure, match="damaged after record 0, or no Avro container file"):
        list(read_records(io.BytesIO(data), PredictRequest))


def test_a_file_that_is_damaged_anywhere_raises_nothing_else() -> None:
    """Whatever the damage makes of it: what is still read has been checked."""
    whole = written()
    expected = (InvalidStructure, InvalidTensor, SchemaMismatch)
    for at in range(len(whole) - 600, len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x5A
        try:
            list(read_records(io.BytesIO(bytes(damaged)), PredictRequest))
        except expected:
            continue
    for size in range(0, len(whole), 37):
        try:
            list(read_records(io.BytesIO(whole[:size]), PredictRequest))
        except expected:
            continue


def test_a_record_that_contradicts_itself_is_named() -> None:
    """By its number in the file."""
    wire = REQUESTS[0].to_wire()
    wire["inputs"][0]["shape"] = [7]
    file = io.BytesIO()
    schema = default_catalog().current("PredictRequest").parsed
    fastavro.writer(file, schema, [REQUESTS[1].to_wire(), wire])
    file.seek(0)

    with pytest.raises(InvalidTensor, match=r"record 2: tensor 'x': DT_FLOAT of shape \[7\] takes 28 bytes"):
        list(read_records(file, PredictRequest))
