"""Avro's own Java library agrees with us on fingerprints, on bytes, and on arrays in sized blocks."""

import subprocess
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import pytest

from schemas.catalog import Catalog
from schemas.codec import decode, encode
from tests.kit.maven_jars import AVRO, JAVA_FOR_AVRO, JavaUnavailable, do_without, require_java
from tests.schemas import golden_records

PROGRAM = Path(__file__).parent / "java" / "AvroCheck.java"


class Said(NamedTuple):
    """What Avro's library says of one schema and its stored value."""

    fingerprint: int
    value: bytes
    in_blocks: bytes


@pytest.fixture(scope="module")
def avro() -> dict[str, Said]:
    """What Avro's library says, by record; skipped where it cannot be asked, unless everything is required."""
    try:
        command = [
            require_java(AVRO.title, JAVA_FOR_AVRO),
            "-XX:TieredStopAtLevel=1",
            "-cp",
            f"{AVRO.folder()}/*",
            str(PROGRAM),
        ]
    except JavaUnavailable as error:
        do_without("no Avro for Java to ask", error)
    for known in sorted(Catalog.published(), key=lambda k: k.record_name):
        with resources.as_file(resources.files("schemas.avsc") / f"{known.record_name}.avsc") as schema:
            stored = golden_records.FOLDER / f"{known.record_name}-{known.fingerprint:016x}.hex"
            command += [str(schema), str(stored)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    parts = [line.split() for line in run.stdout.splitlines()]
    return {n: Said(int(f, 16), bytes.fromhex(v), bytes.fromhex(b)) for n, f, v, b in parts}


@pytest.mark.java
@pytest.mark.parametrize("name", golden_records.RECORDS)
def test_java_computes_our_fingerprint(avro: dict[str, Said], name: str) -> None:
    """The fingerprint of each schema is Avro's own CRC-64-AVRO of its canonical form."""
    assert avro[name].fingerprint == Catalog.published().current(name).fingerprint


@pytest.mark.java
@pytest.mark.parametrize("name", golden_records.RECORDS)
def test_java_reads_and_writes_our_bytes(avro: dict[str, Said], name: str) -> None:
    """Avro's BinaryMessageDecoder reads our value, and its BinaryMessageEncoder writes the same bytes."""
    assert avro[name].value == encode(golden_records.RECORDS[name])


@pytest.mark.java
@pytest.mark.parametrize("name", golden_records.RECORDS)
def test_we_read_javas_sized_blocks(avro: dict[str, Said], name: str) -> None:
    """Arrays as Avro's blocking encoder writes them are read as the same record."""
    record = golden_records.RECORDS[name]

    assert decode(avro[name].in_blocks, type(record)) == record


@pytest.mark.java
def test_javas_sized_blocks_are_other_bytes(avro: dict[str, Said]) -> None:
    """The blocking encoder does write something else than we do, so that reading it proves something."""
    assert any(said.in_blocks != said.value for said in avro.values())
