"""The tables of docs/loaders.md are made, word for word, and answer what the page says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.dtype import DType
from tests.docs.pages import ROOT, Block, blocks, headrace_commands
from tests.kit import command_line
from worker import rest_json
from worker.loaders import Loaders
from worker.version_sources import Source

PAGE = ROOT / "docs" / "loaders.md"


def block(*, with_text: str) -> Block:
    """The one block of the page in which that stands."""
    (found,) = (each for each in blocks(PAGE) if with_text in each.text)
    return found


def replies() -> list[Any]:
    """What the page says is answered, in order."""
    return [
        json.loads(each.text)
        for each in blocks(PAGE)
        if each.language == "json" and "predictions" in each.text
    ]


def made(name: str) -> None:
    """Run the page's command that makes a table, in the current folder."""
    (arguments,) = (
        each for each in headrace_commands(PAGE) if each[:2] == ["tables", name] and len(each) > 2
    )
    done = command_line.run({}, *arguments)
    assert done.code == 0, done.err


def asked(model: str, loader: str) -> list[Any]:
    """The replies to each of the page's requests to a model, which lies in the current folder."""
    version = Loaders().loader(Source(loader, f"models/{model}/1"), 1)
    version.load()
    answers = []
    for arguments in headrace_commands(PAGE):
        if arguments[:2] == ["request", model]:
            options = dict(zip(arguments[2::2], arguments[3::2], strict=True))
            signature = version.servable.signatures[options.get("--signature", "serving_default")]
            document = rest_json.parse(options["--json"])
            dtypes = {name: DType[spec.dtype] for name, spec in signature.inputs.items()}
            outputs = version.servable.run(signature.name, document.tensors(dtypes), ())
            answers.append(json.loads(json.dumps(rest_json.reply(outputs, document.layout))))
    return answers


def test_the_python_program_and_the_command_make_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File for file."""
    for folder in ("program", "command"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "program")
    exec(compile(block(with_text="users = [").text, str(PAGE), "exec"), {})
    monkeypatch.chdir(tmp_path / "command")
    Path("users.csv").write_text(block(with_text="user,vector[0]").text)
    made("make-lookup-table")

    files = sorted(path.name for path in (tmp_path / "program/models/users/1").iterdir())
    assert len(files) == 6
    for name in files:
        program, command = ((tmp_path / each / "models/users/1" / name) for each in ("program", "command"))
        assert program.read_bytes() == command.read_bytes(), name
    assert asked("users", "lookup_table") == replies()[:1]


def test_a_table_is_made_from_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here from files with some of the rows each."""
    monkeypatch.chdir(tmp_path)
    Path("parts").mkdir()
    for part in range(3):
        ids = np.arange(10) + 10 * part
        np.savez(f"parts/{part}.npz", ids=ids, vectors=np.outer(ids, [1.0, 2.0]))

    exec(compile(block(with_text="write_blocks").text, str(PAGE), "exec"), {})

    version = Loaders().loader(Source("lookup_table", "models/items/1"), 1)
    version.load()
    answer = version.servable.run("serving_default", {"keys": np.array([29, 3])}, ["vector"])
    assert answer["vector"].tolist() == [[29, 58], [3, 6]]


def test_the_vocabulary_is_made_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways."""
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text(block(with_text="the\nof\n").text)

    made("make-vocabulary")

    assert asked("words", "vocabulary") == replies()[1:]


def test_the_page_says_which_loaders_there_are() -> None:
    """Its first table has each by its name."""
    text = PAGE.read_text(encoding="utf-8")
    shown = {line.split("`")[1] for line in text.splitlines() if line.startswith(("| `", "| [`"))}

    assert shown == set(Loaders())
