"""The model that a request names, read off its first bytes: damage behind them does not matter."""

from schemas import framing
from schemas.catalog import default_catalog
from schemas.errors import WireError
from schemas.predict_request import PredictRequest
from schemas.varint import read_long

MOST_NAME_BYTES = 1024
"""Whatever is longer is a length that lies."""


def model_of(value: bytes | None) -> str | None:
    """The model that a value names; None where its first bytes are not those of a request in a known schema."""
    try:
        schema = default_catalog().by_fingerprint(framing.fingerprint_of(value))
        assert value is not None  # fingerprint_of refuses it
        length, start = read_long(value, framing.HEADER_BYTES)
        if not 0 <= length <= MOST_NAME_BYTES or start + length > len(value):
            return None
        name = value[start : start + length].decode()
    except (WireError, IndexError, UnicodeDecodeError):
        return None
    first = schema.parsed["fields"][0]["name"]
    return name if schema.record_name == PredictRequest.record_name and first == "model" else None
