"""`docs/operating.md` says what becomes of broker trouble, and which test shows it."""

import re
from pathlib import Path

import pytest

from schemas.model_config import BatchingOptions
from schemas.version_selection import SpecificVersions
from tests.docs.pages import ROOT, blocks
from worker import request_files, request_lines, signature_options
from worker.commands.model_file import read_models

PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
ROWS = [
    line
    for line in PAGE.partition("## Broker trouble")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ") and not line.startswith(("| trouble", "| ---"))
]
TEST_ID = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_there_are_rows() -> None:
    """The table is found, so that the test below says something."""
    assert len(ROWS) > 8


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_each_trouble_names_a_test_that_exists(row: str) -> None:
    """A test that was renamed or removed takes its row along."""
    found = TEST_ID.findall(row)

    assert found
    for path, name in found:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), name


def test_the_file_of_models_can_be_applied(tmp_path: Path) -> None:
    """It says what the page says of it."""
    page = blocks(ROOT / "docs" / "operating.md")
    text, of_signatures = [each.text for each in page if each.language == "toml" and "[models." in each.text]
    (tmp_path / "models.toml").write_text(text)
    found = read_models(str(tmp_path / "models.toml"))

    assert set(found) == {"prices", "faces"}
    assert (found["prices"].versions, found["prices"].labels) == (
        SpecificVersions((3, 4)),
        {"stable": 3, "canary": 4},
    )
    assert found["faces"].batching == BatchingOptions(64, 0.005)
    assert signature_options.of(found["faces"].parameters)["embed"].max_batch_rows == 8

    (tmp_path / "models.toml").write_text(of_signatures)
    (faces,) = read_models(str(tmp_path / "models.toml")).values()
    assert signature_options.of(faces.parameters)["embed"].allowed_batch_rows == [2, 8]


def test_the_golden_request_is_one() -> None:
    """What the page shows is what is read."""
    (text,) = [
        each.text for each in blocks(ROOT / "docs" / "operating.md") if "relative_tolerance" in each.text
    ]

    (found,) = request_lines.golden([text], "the page")
    assert found.request.signature == "serving_default"


def test_the_program_writes_a_file_of_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version in whose folder it lies is warmed up by it."""
    (program,) = [each.text for each in blocks(ROOT / "docs" / "operating.md") if each.language == "python"]
    monkeypatch.chdir(tmp_path)
    exec(compile(program, "the page", "exec"), {})

    (found,) = request_files.warmup_requests(tmp_path / "models" / "digits" / "4")
    assert found.place == f"record 1 of {request_files.WARMUP_RECORDS}"
