"""The one error tree of the wire. Each class carries the code that a requester sees and if a retry helps.

Two branches matter to a worker: a `DecodeError` means that the bytes are no record of ours, so nobody can
be answered and the record becomes a dead letter; an `InvalidRequest` was decoded far enough to know whom to
answer, and is answered.
"""

import enum
from typing import ClassVar, Self


class Code(enum.IntEnum):
    """The canonical status codes, as gRPC and TensorFlow number them (google/rpc/code.proto)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class WireError(Exception):
    """Something on the wire is not as it must be. The message says what, and what was expected."""

    code: ClassVar[Code] = Code.INVALID_ARGUMENT
    retriable: ClassVar[bool] = False


class EncodeError(WireError):
    """A record holds a value that its schema has no place for: a fault of the program that built it."""

    code = Code.INTERNAL


class UnsupportedDType(WireError):
    """An array has a dtype that no TensorFlow dtype of the wire stands for."""

    code = Code.UNIMPLEMENTED


class InvalidHeader(WireError):
    """A header of a request cannot be read."""


class SchemaFileError(WireError):
    """A schema file given to the catalogue cannot be used; the message names the file."""

    code = Code.FAILED_PRECONDITION


class DecodeError(WireError):
    """The bytes are no record of ours: nobody can be answered, the record is a dead letter."""


class EmptyValue(DecodeError):
    """The record has no value (a tombstone) or one of zero bytes."""


class UnknownFraming(DecodeError):
    """The first bytes are those of no framing that we know."""


class FramingNotAccepted(DecodeError):
    """The first bytes are those of a framing that we know and do not take (a schema-registry frame, JSON)."""


class UnknownSchema(DecodeError):
    """No schema of the catalogue has the fingerprint that the record names."""


class WrongRecord(DecodeError):
    """The record is one of ours, but not the one that belongs here."""


class SchemaMismatch(DecodeError):
    """A known newer schema cannot be resolved to the schema that this release reads."""


class Truncated(DecodeError):
    """The bytes end inside the record, or a length points behind their end."""


class TrailingBytes(DecodeError):
    """The record is complete and more bytes follow."""


class InvalidStructure(DecodeError):
    """A varint, index, block or string is not as Avro defines it."""


class LimitExceeded(DecodeError):
    """The record claims more of something than `WireLimits` allows."""

    code = Code.RESOURCE_EXHAUSTED


class InvalidRequest(WireError):
    """A decoded request that contradicts itself; it can be answered.

    Attributes:
        request_id: the id to repeat in the reply, None as long as the request around the error is unknown.
        model: the model that the request names, likewise.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.request_id: str | None = None
        self.model: str | None = None

    def of_request(self, request_id: str, model: str) -> Self:
        """The same error, knowing whom to answer."""
        self.request_id = request_id
        self.model = model
        return self


class TooManyRows(InvalidRequest):
    """A request has more rows than `WireLimits` allows; its bytes may be few, what a model makes of them is not."""

    code = Code.RESOURCE_EXHAUSTED


class InvalidTensor(InvalidRequest):
    """A tensor lies about itself: shape against bytes, dimensions, dtype, or two of one name."""


class InvalidClaim(InvalidTensor):
    """A claim to a tensor's data cannot be read, or is not for such a tensor."""
