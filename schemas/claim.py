"""Claims: where the data of a tensor lies that is too large for its record (a claim check).

Such a tensor stands among the others with its name, dtype and shape and without data; a parameter of the record,
`headrace-claim:` and the tensor's name, says where the data is: a JSON object with its `uri`, its `bytes` and its
`checksum`. What is there are the elements in C order, little-endian; for DT_STRING the lengths of the strings, eight
bytes each, little-endian, and then the strings.

What is fetched must have the checksum that the claim says. So nobody has a model run on data by its place alone: a
claim can only be made by whoever knows the content.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from schemas.dtype import DType
from schemas.errors import InvalidClaim
from schemas.tensor import Tensor

PREFIX = "headrace-claim:"
"""A parameter with this at the beginning of its name is a claim."""
MOST_STRINGS = 65_536
"""Strings of one claimed tensor: as many as a record may hold, since each costs more than its bytes."""
_LENGTH_BYTES = 8
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Claim:
    """Where the data of one tensor lies.

    Attributes:
        uri: its place, as fsspec names it. Nothing is said here about which places are allowed.
        size_bytes: its bytes.
        checksum: `sha256:` and 64 hexadecimal digits, in lower case.
    """

    uri: str
    size_bytes: int
    checksum: str

    @classmethod
    def of_data(cls, uri: str, pieces: Sequence[Buffer]) -> Self:
        """The claim to data, which is given in pieces."""
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
        return cls(uri, sum(map(len, pieces)), f"sha256:{digest.hexdigest()}")

    def to_bytes(self) -> bytes:
        """The value of its parameter."""
        return json.dumps({"uri": self.uri, "bytes": self.size_bytes, "checksum": self.checksum}).encode()

    @classmethod
    def from_bytes(cls, name: str, value: bytes) -> Self:
        """The claim in the parameter of the tensor *name*; members that are not known are passed over.

        Raises:
            InvalidClaim: it cannot be read.
        """
        try:
            wire = json.loads(value)
            uri, size, checksum = wire["uri"], wire["bytes"], wire["checksum"]
        except (ValueError, RecursionError, TypeError, KeyError) as error:
            raise InvalidClaim(
                f"tensor '{name}': its claim is no JSON object with the members uri, bytes and checksum"
            ) from error
        if not isinstance(uri, str) or not uri.isprintable() or not uri:
            raise InvalidClaim(f"tensor '{name}': the uri of its claim is no text of printable characters")
        if type(size) is not int or size < 0:
            raise InvalidClaim(f"tensor '{name}': the bytes of its claim are no number of at least 0")
        if not isinstance(checksum, str) or not _CHECKSUM.fullmatch(checksum):
            raise InvalidClaim(
                f"tensor '{name}': the checksum of its claim is not 'sha256:' and 64 digits of 0-9 and a-f"
            )
        return cls(uri, size, checksum)


def claims_of(parameters: Mapping[str, bytes]) -> dict[str, Claim]:
    """The claims among the parameters of a record, by the tensor's name.

    Raises:
        InvalidClaim: one of them cannot be read.
    """
    return {
        (name := key.removeprefix(PREFIX)): Claim.from_bytes(name, value)
        for key, value in parameters.items()
        if key.startswith(PREFIX)
    }


def check_claims(tensors: Sequence[Tensor], claims: Mapping[str, Claim]) -> None:
    """Compare each claim with its tensor, which has been checked without its data.

    Raises:
        InvalidClaim: a claim is for no tensor, or is for fewer or more bytes than its tensor takes.
    """
    by_name = {tensor.name: tensor for tensor in tensors}
    for name, claim in claims.items():
        tensor = by_name.get(name)
        if tensor is None:
            raise InvalidClaim(f"tensor '{name}': there is a claim to its data and no such tensor")
        elements = math.prod(tensor.shape)
        if tensor.dtype is not DType.DT_STRING:
            takes = elements * tensor.dtype.itemsize
            if claim.size_bytes != takes:
                raise InvalidClaim(
                    f"tensor '{name}': {tensor.dtype.name} of shape {list(tensor.shape)} takes {takes} bytes of "
                    f"data, its claim says {claim.size_bytes}"
                )
        elif elements > MOST_STRINGS:
            raise InvalidClaim(
                f"tensor '{name}': a claim is for at most {MOST_STRINGS} strings, not {elements}"
            )
        elif claim.size_bytes < elements * _LENGTH_BYTES:
            raise InvalidClaim(
                f"tensor '{name}': the lengths of {elements} strings alone take {elements * _LENGTH_BYTES} bytes, "
                f"its claim says {claim.size_bytes}"
            )


def pieces_of(tensor: Tensor) -> list[Buffer]:
    """The data of a tensor as it lies at the place of a claim."""
    if not isinstance(tensor.data, tuple):
        return [tensor.data]
    lengths = np.fromiter(map(len, tensor.data), "<u8", len(tensor.data))
    return [lengths.tobytes(), *tensor.data]


def without_data(tensor: Tensor) -> Tensor:
    """The tensor as it stands in a record that has a claim to its data."""
    return Tensor(tensor.name, tensor.dtype, tensor.shape, () if isinstance(tensor.data, tuple) else b"")


def with_data(tensor: Tensor, data: Buffer) -> Tensor:
    """The tensor with the data that was fetched for it, which numbers share and strings copy.

    Raises:
        InvalidTensor: the data is not that of such a tensor.
    """
    if tensor.dtype is not DType.DT_STRING:
        whole = Tensor(tensor.name, tensor.dtype, tensor.shape, memoryview(data).toreadonly())
    else:
        whole = Tensor(tensor.name, tensor.dtype, tensor.shape, _strings(tensor, memoryview(data)))
    whole.check()
    return whole


def _strings(tensor: Tensor, data: memoryview) -> tuple[bytes, ...]:
    elements = math.prod(tensor.shape)
    at = elements * _LENGTH_BYTES
    lengths: list[int] = np.frombuffer(data[:at], "<u8").tolist()
    if sum(lengths) != len(data) - at:
        raise InvalidClaim(
            f"tensor '{tensor.name}': what lies there is not the lengths of {elements} strings and the strings"
        )
    strings = []
    for length in lengths:
        strings.append(bytes(data[at : at + length]))
        at += length
    return tuple(strings)
