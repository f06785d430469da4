"""The design page stays true where a machine can tell."""

import re
from pathlib import Path

import pytest

from lifecycle import loader_harness

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/design.md").read_text(encoding="utf-8")


def test_the_diagram_is_the_table() -> None:
    """The picture of a version's life is drawn from the table that the code executes."""
    assert loader_harness.transition_diagram().strip() in PAGE


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`((?:schemas|batching|lifecycle|worker)/[\w/]+\.py)`", PAGE)))
)
def test_every_module_named_exists(name: str) -> None:
    """A module that the page names is there."""
    assert (ROOT / name).is_file()
