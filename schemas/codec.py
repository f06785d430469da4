"""Records to bytes and back, in Avro single-object encoding."""

import functools
import io
import struct
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self, TypeVar

import fastavro
from fastavro.read import SchemaResolutionError

from schemas import framing
from schemas.catalog import Catalog, KnownSchema, default_catalog
from schemas.errors import (
    DecodeError,
    EncodeError,
    InvalidStructure,
    LimitExceeded,
    SchemaMismatch,
    TrailingBytes,
    WrongRecord,
)
from schemas.marks import Marks, Walker
from schemas.structure_walk import WalkCompiler, walk
from schemas.wire_limits import DEFAULT_LIMITS, WireLimits

FOREIGN_ERRORS = (ValueError, TypeError, LookupError, EOFError)
"""What fastavro raises, after the walk, for values that do not fit a schema."""


class Record(Protocol):
    """What every record of this package can do."""

    record_name: ClassVar[str]

    def to_wire(self) -> dict[str, Any]:
        """The fields by their Avro names."""
        ...

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any], /) -> Self:
        """The record of decoded fields."""
        ...


R = TypeVar("R", bound=Record)


class Codec:
    """Encodes and decodes under one catalogue and one set of limits. Any thread may call it."""

    def __init__(self, catalog: Catalog | None = None, limits: WireLimits = DEFAULT_LIMITS) -> None:
        self.catalog = default_catalog() if catalog is None else catalog
        self.limits = limits
        self._walkers: dict[int, Walker] = {}

    def encode(self, record: Record) -> bytes:
        """The value of a Kafka record.

        Raises:
            EncodeError: a field holds what its schema or the limits have no place for.
            InvalidRequest: the record contradicts itself, and would be refused by its reader.
        """
        known = self.catalog.current(record.record_name)
        stream = io.BytesIO()
        stream.write(framing.header(known.fingerprint))
        try:
            fastavro.schemaless_writer(stream, known.parsed, record.to_wire())
            value = stream.getvalue()
            # fastavro writes an int past 32 bits without a word: look through the value as its reader will.
            walk(self._walker(known), value, framing.HEADER_BYTES, self.limits)
        except (
            DecodeError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            OverflowError,
            struct.error,
        ) as error:
            raise EncodeError(f"a {record.record_name} cannot be encoded: {error}") from error
        return value

    def decode(self, value: bytes | None, expected: type[R]) -> R:
        """The record that a value holds; it is of the expected kind.

        Raises:
            DecodeError: the value is no such record; the subclass says why.
            InvalidRequest: it is, and contradicts itself.
        """
        return self.decode_marked(value, expected)[0]

    def decode_marked(self, value: bytes | None, expected: type[R]) -> tuple[R, Marks]:
        """Like `decode`, with what the walk saw on its way."""
        fingerprint = framing.fingerprint_of(value)
        assert value is not None  # fingerprint_of refuses it
        if len(value) > self.limits.record_bytes:
            most = self.limits.record_bytes
            raise LimitExceeded(f"the value has {len(value)} bytes, at most {most} (limit 'record_bytes')")
        writer = self.catalog.by_fingerprint(fingerprint)
        if writer.record_name != expected.record_name:
            raise WrongRecord(f"the value is a {writer.record_name}; a {expected.record_name} belongs here")
        end, marks = walk(self._walker(writer), value, framing.HEADER_BYTES, self.limits)
        if end != len(value):
            raise TrailingBytes(
                f"the {writer.record_name} ends at byte {end}, {len(value) - end} more follow"
            )
        return expected.from_wire(self._read(value, writer)), marks

    def _read(self, value: bytes, writer: KnownSchema) -> Mapping[str, Any]:
        """The fields of a value that has been walked through, resolved to the schema of this release."""
        reader = self.catalog.current(writer.record_name)
        ours = reader.fingerprint == writer.fingerprint
        stream = io.BytesIO(value)
        stream.seek(framing.HEADER_BYTES)
        try:
            wire: Mapping[str, Any] = fastavro.schemaless_reader(
                stream,
                writer.parsed,
                None if ours else reader.parsed,
                return_record_name=True,
                return_record_name_override=True,
            )
        except (SchemaResolutionError, *FOREIGN_ERRORS) as error:
            if ours:
                raise InvalidStructure(f"the {writer.record_name} cannot be decoded: {error}") from error
            raise SchemaMismatch(
                f"a {writer.record_name} with the fingerprint {writer.fingerprint:016x} cannot be read as "
                f"this release's {reader.fingerprint:016x}: {error}"
            ) from error
        return wire

    def _walker(self, writer: KnownSchema) -> Walker:
        walker = self._walkers.get(writer.fingerprint)
        if walker is None:
            walker = self._walkers[writer.fingerprint] = WalkCompiler(self.limits).compile(writer.parsed)
        return walker


@functools.cache
def default_codec() -> Codec:
    """The codec of the published schemas and the default limits."""
    return Codec()


def encode(record: Record) -> bytes:
    """`Codec.encode` with the published schemas."""
    return default_codec().encode(record)


def decode(value: bytes | None, expected: type[R]) -> R:
    """`Codec.decode` with the published schemas and the default limits."""
    return default_codec().decode(value, expected)
