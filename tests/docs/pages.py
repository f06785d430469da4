"""What the documentation says, taken apart: code blocks, commands, names, links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "requirements/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!`)\[[^\]]+\]\(([^)\s]+)\)|(?:src|href|srcset)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PROMPTS = ("$ ", "> ")
SHELL = frozenset({"shell", "sh", "bash", "console"})


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text.strip().splitlines()[0][:60] if self.text.strip() else ''}"


def blocks(page: Path) -> list[Block]:
    """Every fenced block."""
    return [
        Block(page, language, text) for language, text in _FENCE.findall(page.read_text(encoding="utf-8"))
    ]


def headrace_commands(page: Path) -> Iterator[list[str]]:
    """The arguments of each `headrace …` on a page: in shell blocks, and between backticks."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(page):
        if block.language in SHELL:
            for line in block.text.replace("\\\n", " ").splitlines():
                yield from _commands_of(line)
    for quoted in re.findall(r"`(headrace(?: [^`]*)?)`", _FENCE.sub("", text)):
        if "…" not in quoted:
            yield from _commands_of(quoted)


def _commands_of(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] | None = None
    for word in lexer:
        if set(word) <= set(";&|<>()"):
            if words is not None:
                yield words
            words = None
        elif words is not None:
            words.append(word)
        elif word.rpartition("/")[2] == "headrace":
            words = []
    if words is not None:
        yield words


def local_links(page: Path) -> Iterator[str]:
    """Every link and image that is not on another site."""
    for pair in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        target = pair[0] or pair[1]
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """The names by which a code host links to a page's headings."""
    return {
        _anchor(heading) for heading in _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    }


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
