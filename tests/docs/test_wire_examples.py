"""The bytes and the programs of the documentation are what headrace reads and writes."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from schemas import reply_columns
from schemas.catalog import Catalog
from schemas.codec import decode, encode
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.request_decoder import RequestDecoder
from schemas.wire_limits import DEFAULT_LIMITS
from tests.docs import parts, wire_example
from tests.docs.pages import ROOT, Block, blocks
from tests.kit.maven_jars import AVRO, JAVA_FOR_AVRO, JavaUnavailable, do_without, require_java

WIRE = blocks(parts.WIRE)
PYTHON = [block for block in WIRE if block.language == "python"]
JAVA = [block for block in WIRE if block.language == "java"]


def hex_of(page: Path, name: str) -> bytes:
    """The bytes of an annotated listing, read as a person would: the pairs of digits at the beginning of a line."""
    digits = ""
    for line in parts.between(page.read_text(encoding="utf-8"), name).splitlines():
        if (found := re.match(r"((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:  |$)", line)) is not None:
            digits += found[1]
    return bytes.fromhex(digits)


def test_the_request_in_hex_decodes() -> None:
    """What the README shows byte by byte is a request as a worker reads it."""
    shown = hex_of(parts.README, "request-bytes")

    assert decode(shown, PredictRequest) == wire_example.REQUEST
    (columns,), rejected = RequestDecoder(Catalog.published(), DEFAULT_LIMITS).decode([shown])
    assert rejected == []
    assert (columns.kind.model, columns.rows_each, columns.ids) == ("linear", 2, [b"42"])
    assert columns.stacked(0).tolist() == [[1, 2], [3, 4]]


def test_the_reply_in_hex_is_what_a_worker_writes() -> None:
    """What the page about the wire shows byte by byte is a reply as a worker writes it."""
    shown = hex_of(parts.WIRE, "reply-bytes")

    assert decode(shown, PredictReply) == wire_example.REPLY
    outputs = {"y": np.array([[2.5], [5.5]], np.float32)}
    assert reply_columns.encode_replies("linear", 3, outputs, 2, [b"42"]) == [shown]


@pytest.mark.parametrize("block", PYTHON, ids=["library", "by-hand"])
def test_each_python_encoder_gives_the_bytes(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs that write a request, with an Avro library and without one, give what our codec gives."""
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(compile(block.text, str(block), "exec"), names)

    assert names["value"] == encode(wire_example.REQUEST)


@pytest.mark.java
def test_the_java_encoder_gives_the_bytes(tmp_path: Path) -> None:
    """The Java program, compiled and run against Apache Avro, prints what our codec gives."""
    (block,) = JAVA
    (tmp_path / "Ask.java").write_text(block.text, encoding="utf-8")
    try:
        command = [
            require_java(AVRO.title, JAVA_FOR_AVRO),
            "-XX:TieredStopAtLevel=1",
            "-cp",
            f"{AVRO.folder()}/*",
            str(tmp_path / "Ask.java"),
        ]
    except JavaUnavailable as error:
        do_without("no Avro for Java to ask", error)
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    assert bytes.fromhex(run.stdout) == encode(wire_example.REQUEST)
