"""The programs of docs/lifecycle.md run, word for word, and print what the page says."""

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "lifecycle.md"
FILES = dict(
    re.findall(
        r"`(\w+\.py)`:\n\n```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
)
PROGRAMS = [name for name in FILES if name != "tiny_models.py"]
PRINTED = dict(zip(PROGRAMS, (block.text for block in blocks(PAGE) if block.language == "text"), strict=True))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the page's files, to run in."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("tiny_models", None)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_prints_what_the_page_says(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader who saves the files and runs one sees what is written below it."""
    runpy.run_path(str(folder / name), run_name="__main__")

    assert capsys.readouterr().out == PRINTED[name]


def test_fixed_set_is_loaded_as_the_page_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines without a file of their own run where those models are."""
    runpy.run_path(str(folder / "two_kinds.py"))
    (program,) = [
        block.text
        for block in blocks(PAGE)
        if block.language == "python" and "StaticManagerBuilder()" in block.text
    ]
    scope: dict[str, object] = {}

    exec(program, scope)

    manager = scope["manager"]
    assert [str(each) for each in manager.available_ids()] == ["climate/1", "rain/1"]  # type: ignore[attr-defined]
    assert manager.close(60.0) == ()  # type: ignore[attr-defined]


def test_the_programs_are_there() -> None:
    """They are found at all, so that the others test something."""
    assert PROGRAMS == ["one_directory.py", "many_models.py", "little_memory.py", "two_kinds.py"]
