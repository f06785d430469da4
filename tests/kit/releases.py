"""Two releases that follow each other, simulated by this code with other schema files.

A release that brings newer schemas reads them and goes on writing those of before; the one after it writes the newer
ones and still reads the others. So each reads all that its neighbour writes, and workers of both share a group.

`python -m tests.kit.releases FOLDER ARGUMENTS` is `headrace ARGUMENTS` with the schema files of a folder.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from schemas.catalog import SUFFIX, Catalog
from schemas.codec import Codec

NEW_SYMBOL = "DT_FLOAT8_E5M2"
NEW_FIELD = {"name": "added_later", "type": ["null", "string"], "default": None}
HAVE_A_NEW_FIELD = ("ModelConfig", "ServableStatus", "WorkerStatus")


@dataclass(frozen=True)
class Release:
    """One of them: its schema files, in a folder of their own."""

    name: str
    folder: Path

    @property
    def program(self) -> Sequence[str]:
        """What Python runs in place of `-m worker`."""
        return ("-m", "tests.kit.releases", str(self.folder))

    def codec(self) -> Codec:
        """What it writes and reads."""
        return Codec(Catalog.of_folder(self.folder))


def two_releases(folder: Path) -> tuple[Release, Release]:
    """A release that knows newer schemas, and the one after it, which writes them."""
    earlier, later = Release("earlier", folder / "earlier"), Release("later", folder / "later")
    for release in (earlier, later):
        release.folder.mkdir(parents=True)
    for published in resources.files("schemas.avsc").iterdir():
        if not published.name.endswith(SUFFIX):
            continue
        record, text = published.name.removesuffix(SUFFIX), published.read_text(encoding="utf-8")
        newer = json.dumps(_changed(record, json.loads(text)))
        (earlier.folder / published.name).write_text(text, encoding="utf-8")
        (earlier.folder / f"{record}.newer{SUFFIX}").write_text(newer, encoding="utf-8")
        (later.folder / published.name).write_text(newer, encoding="utf-8")
        (later.folder / f"{record}.older{SUFFIX}").write_text(text, encoding="utf-8")
    return earlier, later


def _changed(record: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A schema as a later release may have it: one dtype more, and a field that has a default."""
    _add_symbol(schema)
    if record in HAVE_A_NEW_FIELD:
        schema["fields"].insert(1, NEW_FIELD)
    return schema


def _add_symbol(part: Any) -> None:
    if isinstance(part, dict):
        if part.get("type") == "enum" and part["name"] == "DType":
            part["symbols"].append(NEW_SYMBOL)
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            _add_symbol(each)


def main() -> None:
    """Run `headrace` as a release with the schema files of a folder."""
    folder = Path(sys.argv.pop(1))
    # Before anything has asked for the catalogue: nobody keeps another.
    setattr(Catalog, "published", classmethod(lambda cls: cls.of_folder(folder)))  # noqa: B010 - a method is replaced

    from worker.__main__ import main as headrace

    headrace()


if __name__ == "__main__":
    main()
