"""What the pages show of the code is what the code says now."""

from pathlib import Path

import pytest

from tests.docs import parts
from tests.docs.pages import ROOT
from worker import metrics_docs, settings_docs


@pytest.mark.parametrize(("page", "name"), parts.PARTS, ids=lambda part: getattr(part, "name", part))
def test_each_generated_part_is_current(page: Path, name: str) -> None:
    """Settings, metrics, schemas, codes and example bytes are those of the code: `python -m tests.docs.parts`."""
    shown = parts.between(page.read_text(encoding="utf-8"), name)

    assert shown == parts.PARTS[page, name]() + "\n"


def test_the_generated_pages_are_current() -> None:
    """The pages about settings and metrics are those of the code: `python -m worker.settings_docs`, `metrics_docs`."""
    shown = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert shown.strip() == settings_docs.page().strip()
    shown = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert shown.strip() == metrics_docs.page().strip()


def test_a_page_without_its_markers_is_told() -> None:
    """A part is never written somewhere else, nor silently left out."""
    with pytest.raises(LookupError, match="no part 'settings'"):
        parts.with_part("# A page\n", "settings", "content")


def test_only_the_part_is_replaced() -> None:
    """What stands around a part stays as it is."""
    page = "before\n<!-- a:start -->\nold\n<!-- a:end -->\nafter <!-- b:start -->\n"

    assert (
        parts.with_part(page, "a", "new")
        == "before\n<!-- a:start -->\nnew\n<!-- a:end -->\nafter <!-- b:start -->\n"
    )
