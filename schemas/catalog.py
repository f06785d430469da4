"""Every schema that was ever published, by fingerprint; newer ones can be added as files."""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import fastavro
import fastavro.schema

from schemas.errors import SchemaFileError, UnknownSchema

NAMESPACE = "headrace.v1"
SUFFIX = ".avsc"


@dataclass(frozen=True, slots=True)
class KnownSchema:
    """One published schema.

    Attributes:
        record_name: the record's name without its namespace.
        fingerprint: CRC-64-AVRO of the Parsing Canonical Form, as Avro's specification computes it.
        parsed: as fastavro takes it.
    """

    record_name: str
    fingerprint: int
    parsed: Any = field(repr=False, compare=False)


class Catalog:
    """The schemas that can be read, and for each record the one that is written.

    Built before the threads that read it start; adding a file later is one dictionary insertion and safe as
    well.
    """

    def __init__(self) -> None:
        self._by_fingerprint: dict[int, KnownSchema] = {}
        self._current: dict[str, KnownSchema] = {}

    @classmethod
    def published(cls) -> "Catalog":
        """A catalogue of its own with everything that this release was published with."""
        return cls.of_folder(resources.files("schemas.avsc"))

    @classmethod
    def of_folder(cls, folder: Traversable) -> "Catalog":
        """A catalogue of the schema files in a folder.

        `NAME.avsc` is the schema that this release writes, `NAME.anything.avsc` one that earlier releases wrote.
        """
        catalog = cls()
        for entry in sorted(folder.iterdir(), key=lambda e: e.name):
            if entry.name.endswith(SUFFIX):
                known = catalog._add(parse(entry.read_text(encoding="utf-8"), entry.name))
                if entry.name == known.record_name + SUFFIX:
                    catalog._current[known.record_name] = known
        return catalog

    def add_schema_file(self, path: str | Path) -> KnownSchema:
        """Make records of a newer release readable, given its schema file.

        Raises:
            SchemaFileError: the file cannot be read, is no Avro schema, or is not of one of our records.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SchemaFileError(f"cannot read the schema file {path}: {error}") from error
        known = parse(text, str(path))
        if known.record_name not in self._current:
            ours = ", ".join(sorted(self._current))
            raise SchemaFileError(
                f"{path}: the record is {known.record_name}; a schema here is of one of {ours}"
            )
        return self._add(known)

    def by_fingerprint(self, fingerprint: int) -> KnownSchema:
        """The schema with a fingerprint.

        Raises:
            UnknownSchema: there is none; decoding by another one would yield nonsense without a word.
        """
        known = self._by_fingerprint.get(fingerprint)
        if known is None:
            raise UnknownSchema(
                f"no schema with the fingerprint {fingerprint:016x} is known; if a newer release "
                "sent the record, give its schema file to this one"
            )
        return known

    def current(self, record_name: str) -> KnownSchema:
        """The schema by which this release writes a record and to which it resolves others."""
        return self._current[record_name]

    def __iter__(self) -> Iterator[KnownSchema]:
        return iter(self._by_fingerprint.values())

    def _add(self, known: KnownSchema) -> KnownSchema:
        return self._by_fingerprint.setdefault(known.fingerprint, known)


def parse(text: str, origin: str) -> KnownSchema:
    """A schema from its JSON text; `origin` is what messages name.

    Raises:
        SchemaFileError: the text is no complete schema of a record in our namespace.
    """
    try:
        raw = json.loads(text)
        parsed = fastavro.parse_schema(raw)
        fingerprint = fastavro.schema.fingerprint(
            fastavro.schema.to_parsing_canonical_form(raw), "CRC-64-AVRO"
        )
    except (ValueError, TypeError, KeyError, fastavro.schema.SchemaParseException) as error:
        raise SchemaFileError(
            f"{origin} is no complete Avro schema: {type(error).__name__} {error}"
        ) from error
    name: object = parsed.get("name") if isinstance(parsed, dict) else None
    if not isinstance(name, str) or not name.startswith(NAMESPACE + ".") or "fields" not in raw:
        raise SchemaFileError(f"{origin} is no record of the namespace {NAMESPACE}")
    # fastavro gives the eight bytes as they stand on the wire, lowest first; Avro's specification gives the number.
    number = int.from_bytes(bytes.fromhex(fingerprint), "little")
    return KnownSchema(name.removeprefix(NAMESPACE + "."), number, parsed)


@functools.cache
def default_catalog() -> Catalog:
    """The published schemas, shared by everybody who adds none."""
    return Catalog.published()
