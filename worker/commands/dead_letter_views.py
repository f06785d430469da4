"""`headrace dead-letters show`: one dead letter, whole."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas import dead_letter
from schemas import headers as names
from schemas.catalog import default_catalog
from schemas.codec import Codec
from schemas.errors import WireError
from schemas.predict_request import PredictRequest
from schemas.request_peek import model_of
from worker.commands.dead_letter_access import DeadLetterAccess
from worker.commands.dead_letter_lists import bytes_text, entry_document
from worker.commands.failure import CommandFailedError
from worker.commands.output import Output, styled, table
from worker.dead_letter_entries import entry_of
from worker.kafka.records import Message, TopicPartition

HEX_BYTES, LINE_BYTES = 256, 16


def show_dead_letter(
    access: DeadLetterAccess, topic: str, place: tuple[int, int], schema_files: Sequence[Path], output: Output
) -> None:
    """Show the dead letter at a partition and an offset.

    Raises:
        CommandFailedError: there is none.
        SchemaFileError: a schema file of the settings cannot be used.
        KafkaProblem: the topic is missing, or could not be read.
    """
    for path in schema_files:
        default_catalog().add_schema_file(path)
    message = _find(access, topic, place)
    entry = entry_document(entry_of(message))
    headers = [_header_document(name, value) for name, value in message.headers() or ()]
    value = message.value()
    payload = payload_document(value)
    facts = [(name.replace("_", " "), _fact(told)) for name, told in entry.items()]
    output.show(
        {**entry, "headers": headers, "payload": payload},
        table(("", "dead letter"), facts),
        table(("header", "value"), [(each["name"], each["text"]) for each in headers]),
        table(("", "payload"), _payload_rows(payload)),
        *(styled(line, "") for line in hex_lines(value or b"")),
    )


def payload_document(value: bytes | None) -> dict[str, Any]:
    """What can be said of a payload: its size, its beginning as hex, and the request that it is, or why it is none."""
    document: dict[str, Any] = {
        "bytes": None if value is None else len(value),
        "hex": (value or b"")[:HEX_BYTES].hex(),
        "model": model_of(value),
    }
    try:
        request = Codec().decode(value, PredictRequest)
    except WireError as error:
        return {**document, "request": None, "problem": f"{type(error).__name__}: {error}"}
    return {
        **document,
        "request": {
            "model": request.model,
            "version": request.version,
            "label": request.label,
            "signature": request.signature,
            "outputs": list(request.outputs),
            "inputs": [
                {"name": tensor.name, "dtype": tensor.dtype.name, "shape": list(tensor.shape)}
                for tensor in request.inputs
            ],
            "id": request.id,
        },
        "problem": None,
    }


def hex_lines(value: bytes) -> list[str]:
    """The beginning of a value: offset, bytes, and those of them that are printable ASCII."""
    lines = []
    for start in range(0, min(len(value), HEX_BYTES), LINE_BYTES):
        part = value[start : min(start + LINE_BYTES, HEX_BYTES)]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"{start:06x}  {part.hex(' '):<{3 * LINE_BYTES}} {text}")
    if len(value) > HEX_BYTES:
        lines.append(f"… {len(value) - HEX_BYTES:,} bytes more")
    return lines


def _find(access: DeadLetterAccess, topic: str, place: tuple[int, int]) -> Message:
    partition, offset = TopicPartition(topic, place[0]), place[1]
    with access.scan([topic]) as scan:
        bounds = scan.bounds.get(partition)
        if bounds is None:
            raise CommandFailedError(
                f"topic {topic!r} has no partition {place[0]}, only 0 to {len(scan.bounds) - 1}"
            )
        low, high = bounds
        if not low <= offset < high:
            there = f"the offsets {low} to {high - 1}" if low < high else "nothing"
            raise CommandFailedError(f"{partition} has no offset {offset}; it holds {there}")
        for message in scan.read({partition: (offset, offset + 1)}):
            return message
    raise CommandFailedError(
        f"{partition} has no record at offset {offset} (a transaction's own mark, perhaps)"
    )


def _header_document(name: str, value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"name": name, "text": None, "hex": None}
    return {"name": name, "text": _header_text(name, value), "hex": value.hex()}


def _header_text(name: str, value: bytes) -> str:
    """The value for people: the numbers of a dead letter are big-endian."""
    if name in _NUMBERS and len(value) == _NUMBERS[name]:
        return str(int.from_bytes(value, "big", signed=True))
    return bytes_text(value)


_NUMBERS = {
    dead_letter.ORIGINAL_PARTITION: 4,
    dead_letter.ORIGINAL_OFFSET: 8,
    dead_letter.ORIGINAL_TIMESTAMP: 8,
    names.REPLY_PARTITION: names.PARTITION_BYTES,
}


def _fact(told: object) -> object:
    if isinstance(told, dict):
        return f"{told['topic']} {told['partition']}:{told['offset']}" + (
            f", written {told['time']}" if told["time"] else ""
        )
    return told


def _payload_rows(payload: dict[str, Any]) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [("bytes", payload["bytes"])]
    request = payload["request"]
    if request is None:
        return [*rows, ("model", payload["model"]), ("cannot be read", payload["problem"])]
    for name, value in request.items():
        if name == "inputs":
            rows += [(f"input {each['name']}", f"{each['dtype']} {each['shape']}") for each in value]
        elif value not in (None, []):
            rows.append((name, value))
    return rows
