"""Puts the kept results into the pages that show them: `python -m benchmarks.pages`.

A page marks each place by `<!-- bench:NAME:whole -->`, or `<!-- bench:NAME:table -->` for the table alone, and
`<!-- bench:end -->`, NAME being a scenario's.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import report

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "performance.md")
IMAGES = ROOT / "docs" / "images"
PLACE = re.compile(r"(<!-- bench:(\w+):(whole|table) -->\n)(.*?)(<!-- bench:end -->)", re.DOTALL)


def section(content: Mapping[str, Any], *, whole: bool, image: str | None = None) -> str:
    """A results file as a reader wants it: plot, table, targets, what one must know, and what it was measured on."""
    outcome = report.read(content)
    parts = [report.table(outcome.columns, outcome.lines)]
    if whole:
        parts += ["\n".join(map(report.target, outcome.targets))] if outcome.targets else []
        parts += [" ".join(outcome.notes)] if outcome.notes else []
        parts += [f"![{content['title']}]({image})"] if image else []
    parts.append(report.measured_on(content))
    return "\n\n".join(parts) + "\n"


def filled(page: Path, text: str, results: Path = report.RESULTS, images: Path = IMAGES) -> str:
    """The text of a page with every place filled that there are results for; the others stay as they are."""

    def fill(place: re.Match[str]) -> str:
        start, name, part, _, end = place.groups()
        kept = results / f"{name}.json"
        if not kept.is_file():
            return place.group()
        plot = images / f"{name}.png"
        image = os.path.relpath(plot, page.parent) if plot.is_file() else None
        content = json.loads(kept.read_text(encoding="utf-8"))
        return start + section(content, whole=part == "whole", image=image) + end

    return PLACE.sub(fill, text)


def main() -> None:
    """Fill every page."""
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        if not PLACE.search(before):
            sys.exit(
                f"{page.name} has no place for results; one is marked <!-- bench:small_records:whole -->"
            )
        page.write_text(filled(page, before), encoding="utf-8")
        sys.stdout.write(f"filled {page.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
