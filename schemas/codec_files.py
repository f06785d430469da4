"""Files of records: Avro's object container files, which name their schema themselves.

Any Avro library writes and reads them. What is kept beside a model is read by this, not what comes from strangers:
the blocks are given to the decoder without the look through them that a record from a topic gets.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, TypeVar

import fastavro
import fastavro.schema
from fastavro.read import SchemaResolutionError

from schemas.catalog import Catalog, default_catalog
from schemas.codec import FOREIGN_ERRORS, Record
from schemas.errors import InvalidStructure, SchemaMismatch, WireError

R = TypeVar("R", bound=Record)


def write_records(
    file: BinaryIO, record_type: type[R], records: Iterable[R], catalog: Catalog | None = None
) -> None:
    """Write records, compressed, to a file that is open for writing.

    Raises:
        InvalidRequest: one contradicts itself.
    """
    known = (catalog or default_catalog()).current(record_type.record_name)
    fastavro.writer(file, known.parsed, (record.to_wire() for record in records), codec="deflate")


def read_records(file: BinaryIO, record_type: type[R], catalog: Catalog | None = None) -> Iterator[R]:
    """Each record of a file that is open for reading, checked as one from a topic is.

    Raises:
        SchemaMismatch: the file's schema cannot be resolved to that of the record.
        InvalidStructure: the file is damaged, or no container file; the message counts records from 1.
        InvalidRequest: a record contradicts itself; the same.
    """
    known = (catalog or default_catalog()).current(record_type.record_name)
    number = 0
    try:
        reader = fastavro.reader(
            file, known.parsed, return_record_name=True, return_record_name_override=True
        )
        for wire in reader:
            number += 1
            yield record_type.from_wire(wire)
    except WireError as error:
        error.args = (f"record {number:,}: {error}",)
        raise
    except (SchemaResolutionError, fastavro.schema.SchemaParseException) as error:
        raise SchemaMismatch(
            f"its records cannot be read as {record_type.record_name}, as this release has it: {error}"
        ) from error
    except (*FOREIGN_ERRORS, OverflowError, zlib.error) as error:
        raise InvalidStructure(
            f"it is damaged after record {number:,}, or no Avro container file: "
            f"{str(error) or type(error).__name__}"
        ) from error
