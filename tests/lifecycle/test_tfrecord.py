"""Files of TFRecords, written by TensorFlow and then damaged."""

import io
from pathlib import Path

import pytest

from lifecycle import errors, tfrecord
from lifecycle.saved_model_tensorflow import import_tensorflow

pytestmark = pytest.mark.tensorflow

RECORDS = [b"first", b"", bytes(range(256)) * 5]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a file that TensorFlow has written."""
    path = tmp_path_factory.mktemp("tfrecord") / "records"
    write(path, RECORDS)
    return path.read_bytes()


def write(path: Path, records: list[bytes], options: str | None = None) -> None:
    """Write a file as people do."""
    with import_tensorflow().io.TFRecordWriter(str(path), options) as writer:
        for record in records:
            writer.write(record)


def read(data: bytes) -> list[bytes]:
    """The records of a file of those bytes."""
    return list(tfrecord.records(io.BytesIO(data), "the file"))


def test_records_are_read_as_tensorflow_wrote_them(written: bytes) -> None:
    """Empty ones, too; and none of an empty file."""
    assert read(written) == RECORDS
    assert read(b"") == []


def test_each_byte_that_is_changed_is_found(written: bytes) -> None:
    """And the record at fault is named."""
    starts = [0, 16 + len(RECORDS[0]), 32 + len(RECORDS[0])]
    for at in range(0, len(written), 7):
        number = max(n for n, start in enumerate(starts, start=1) if at >= start)
        damaged = bytearray(written)
        damaged[at] ^= 0x10
        with pytest.raises(
            errors.InvalidModel, match=rf"record {number} of the file is damaged, or .* no TFRecord"
        ):
            read(bytes(damaged))


def test_a_file_that_is_cut_short_may_be_on_its_way(written: bytes) -> None:
    """So the load is tried again; a cut between two records cannot be told from an end."""
    whole = {0, 16 + len(RECORDS[0]), 32 + len(RECORDS[0])}
    for size in set(range(0, len(written), 5)) - whole:
        with pytest.raises(errors.LoadFailed, match=r"the file is cut short in record [123]") as caught:
            read(written[:size])
        assert caught.value.retriable


def test_a_compressed_file_is_refused(tmp_path: Path) -> None:
    """As TensorFlow Serving refuses it; the message says what to do."""
    write(tmp_path / "records", RECORDS, "GZIP")

    with pytest.raises(errors.InvalidModel, match=r"record 1 of the file .* without compression"):
        read((tmp_path / "records").read_bytes())


def test_records_before_a_damaged_one_are_read(written: bytes) -> None:
    """One at a time, as they are asked for."""
    records = tfrecord.records(io.BytesIO(written[:-1]), "the file")

    assert [next(records), next(records)] == RECORDS[:2]
    with pytest.raises(errors.LoadFailed):
        next(records)
