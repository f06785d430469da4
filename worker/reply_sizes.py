"""How large a reply may be, and what takes the place of one that is larger."""

from collections.abc import Sequence
from itertools import repeat

from schemas import codec, reply_columns
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from worker.kafka.records import Headers

RECORD_OVERHEAD_BYTES = 128  # the batch's own header (61) and a record's lengths, generously

Columns = tuple[Sequence[bytes | None], Sequence[bytes | None] | None, Sequence[Headers | None] | None]
"""Values, keys and headers of records; None where none has one."""
ReplyColumns = tuple[list[bytes], list[bytes | None] | None, list[Headers | None] | None]
"""Values, keys and headers of replies; None where none has one."""


def fitting(topic: str, limit_bytes: int, columns: ReplyColumns) -> list[bytes]:
    """The same replies, with an error in place of each that its topic cannot take with its key and headers."""
    payloads, keys, headers = columns
    of_keys = map(key_bytes, keys) if keys else repeat(0)
    of_headers = map(header_bytes, headers) if headers else repeat(0)
    return [
        p if len(p) <= limit_bytes - k - h else too_large(p, limit_bytes - k - h, topic)
        for p, k, h in zip(payloads, of_keys, of_headers, strict=False)
    ]


def too_large(payload: bytes, limit_bytes: int | None, topic: str) -> bytes:
    """The error reply in place of one that its topic does not take; without a limit where it is not known."""
    reply = codec.decode(payload, PredictReply)
    takes = "fewer" if limit_bytes is None else f"{max(0, limit_bytes)}"
    message = (
        f"the reply has {len(payload)} bytes and topic {topic!r} takes {takes}; "
        "ask for fewer rows or outputs, or raise the topic's max.message.bytes"
    )
    return reply_columns.encode_error(
        reply.model, reply.version, Code.RESOURCE_EXHAUSTED, message, reply.id.encode()
    )


def is_error(payload: bytes) -> bool:
    """Whether a reply is an error."""
    return codec.decode(payload, PredictReply).error is not None


def key_bytes(key: bytes | None) -> int:
    """What a key takes up."""
    return 0 if key is None else len(key)


def header_bytes(headers: Headers | None) -> int:
    """What headers take up, generously."""
    return sum(len(name) + len(value or b"") + 8 for name, value in headers or ())
