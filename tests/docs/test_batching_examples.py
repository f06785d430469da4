"""The programs of docs/batching.md run, word for word, and print what the page says."""

import dataclasses
import re
import runpy
from pathlib import Path

import pytest

from batching.batcher import MOST_LAYOUTS
from batching.options import QueueOptions
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "batching.md"
TEXT = PAGE.read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
PRINTED = dict(zip(PROGRAMS, (block.text for block in blocks(PAGE) if block.language == "text"), strict=True))


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_prints_what_the_page_says(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader who saves the file and runs it sees what is written below it."""
    file = tmp_path / name
    file.write_text(PROGRAMS[name], encoding="utf-8")

    runpy.run_path(str(file), run_name="__main__")

    assert capsys.readouterr().out == PRINTED[name]


def test_the_programs_are_there() -> None:
    """They are found at all, so that the others test something."""
    assert list(PROGRAMS) == ["threads.py", "service.py", "deadlines.py", "shared.py", "lengths.py"]


def test_each_option_and_its_default_are_there() -> None:
    """The tables have all options of a queue, with the defaults of the code."""
    told = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", TEXT, re.MULTILINE))
    defaults = {each.name: each.default for each in dataclasses.fields(QueueOptions)}

    assert {name: told[name] for name in defaults} == {
        name: "any size" if default == () else str(default).removesuffix(".0")
        for name, default in defaults.items()
    }
    assert told["most_layouts"] == str(MOST_LAYOUTS)
