"""`docs/operating.md` says what becomes of broker trouble, and which test shows it."""

import re

import pytest

from tests.docs.pages import ROOT

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
