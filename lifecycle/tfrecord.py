"""Files of TFRecords: bytes one after another, each with its length and two checksums.

Read without TensorFlow, so that models of any kind may have such a file, and with errors that name the record.
Source: tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details".
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from lifecycle import crc32c, errors

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_READ_AT_ONCE_BYTES = 1 << 20


def records(file: BinaryIO, name: str) -> Iterator[bytes]:
    """Each record of a file that is open for reading; *name* is what messages call it.

    Raises:
        InvalidModel: a checksum is wrong: the file is damaged, or of another format.
        LoadFailed: the file ends inside a record; it may be on its way.
    """
    number = 0
    while header := file.read(_HEADER.size):
        number += 1
        if len(header) < _HEADER.size:
            raise _cut_short(number, name)
        size, size_checksum = _HEADER.unpack(header)
        if crc32c.masked(header[:8]) != size_checksum:
            raise _damaged(number, name, "the checksum of its length")
        data = _read(file, size)
        footer = file.read(_FOOTER.size)
        if len(data) < size or len(footer) < _FOOTER.size:
            raise _cut_short(number, name)
        if crc32c.masked(data) != _FOOTER.unpack(footer)[0]:
            raise _damaged(number, name, "its checksum")
        yield data


def _read(file: BinaryIO, size: int) -> bytes:
    """So many bytes, or as many as there are; what a length claims is not allocated before it is there."""
    pieces = []
    while size and (piece := file.read(min(size, _READ_AT_ONCE_BYTES))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _damaged(number: int, name: str, what: str) -> errors.InvalidModel:
    return errors.InvalidModel(
        f"record {number:,} of {name} is damaged, or the file is no TFRecord file: {what} is wrong; write it again, by "
        "tf.io.TFRecordWriter and without compression"
    )


def _cut_short(number: int, name: str) -> errors.LoadFailed:
    return errors.LoadFailed(f"{name} is cut short in record {number:,}; is the model still being written?")
