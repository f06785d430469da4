"""How large a reply may be, and what takes the place of one that is larger."""

from collections.abc import Sequence

from schemas import reply_columns
from schemas.codec import Codec
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.wire_limits import WireLimits
from worker.kafka.records import Headers

LARGEST = 2**31 - 1
OWN_CODEC = Codec(limits=WireLimits(record_bytes=LARGEST, items=LARGEST, record_items=LARGEST))
"""Reads what this worker has encoded itself, however large."""
RECORD_OVERHEAD_BYTES = 128  # the batch's own header (61) and a record's lengths, generously

Columns = tuple[Sequence[bytes | None], Sequence[bytes | None] | None, Sequence[Headers | None] | None]
"""Values, keys and headers of records; None where none has one."""
ReplyColumns = tuple[list[bytes], list[bytes | None] | None, list[Headers | None] | None]
"""Values, keys and headers of replies; None where none has one."""


def too_large(payload: bytes, limit_bytes: int | None, topic: str) -> bytes:
    """The error reply in place of one that its topic does not take; without a limit where it is not known."""
    reply = OWN_CODEC.decode(payload, PredictReply)
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
    return OWN_CODEC.decode(payload, PredictReply).error is not None


def key_bytes(key: bytes | None) -> int:
    """What a key takes up."""
    return 0 if key is None else len(key)


def header_bytes(headers: Headers | None) -> int:
    """What headers take up, generously."""
    return sum(len(name) + len(value or b"") + 8 for name, value in headers or ())
