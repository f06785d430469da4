"""`docs/behaviours.md` says where each behaviour of TensorFlow Serving is tested: that has to stay true."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "behaviours.md"
TEST_ID = re.compile(r"`(tests/[\w/]+\.py(?:::\w+)+)`")
NOT_APPLICABLE = "not applicable: "


def rows() -> list[tuple[str, str]]:
    """Each table row's behaviour and where it is tested."""
    cells = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("|")
    ]
    return [(row[0], row[-1]) for row in cells if row[0] != "behaviour" and set(row[0]) - set("-: ")]


@functools.cache
def names_in(path: Path) -> frozenset[str]:
    """Return the tests of a file as pytest names them, from its syntax tree."""

    def named(body: list[ast.stmt], prefix: str) -> set[str]:
        names: set[str] = set()
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                names.add(prefix + node.name)
            elif isinstance(node, ast.ClassDef):
                names |= named(node.body, f"{prefix}{node.name}::")
        return names

    return frozenset(named(ast.parse(path.read_text()).body, ""))


TEST_IDS = sorted({test_id for _, tested in rows() for test_id in TEST_ID.findall(tested)})


@pytest.mark.parametrize("test_id", TEST_IDS)
def test_each_test_named_exists(test_id: str) -> None:
    """A test that was renamed or removed takes its line in the table with it."""
    path, name = test_id.split("::", 1)

    assert (ROOT / path).is_file()
    assert name in names_in(ROOT / path)


def test_each_behaviour_is_tested_or_has_a_reason() -> None:
    """No row is left open: it names a test that can be looked up, or says why there is none."""
    unanswered = [
        behaviour
        for behaviour, tested in rows()
        if not TEST_ID.search(tested) and len(tested.partition(NOT_APPLICABLE)[2]) < 10
    ]

    assert unanswered == []


def test_the_document_lists_behaviours() -> None:
    """The tables are found, so that the other tests test something."""
    assert len(rows()) > 40
    assert len(TEST_IDS) > 20
