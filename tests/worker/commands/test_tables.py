"""`headrace tables`, as a shell runs it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.kit import command_line
from tests.kit.command_line import Ran
from worker.exit_codes import ExitCode
from worker.loaders import Loaders
from worker.version_sources import Source


def tables(*arguments: object) -> Ran:
    """Run `headrace tables` with those arguments."""
    return command_line.run({}, "tables", *map(str, arguments))


def answer(loader: str, directory: Path, signature: str = "serving_default", **inputs: object) -> object:
    """What the model in a directory answers, loaded as a worker does."""
    loaded = Loaders().loader(Source(loader, str(directory)), 1)
    loaded.load()
    arrays = {
        name: np.array(value, object if isinstance(value, list) and isinstance(value[0], bytes) else None)
        for name, value in inputs.items()
    }
    return {name: array.tolist() for name, array in loaded.servable.run(signature, arrays, ()).items()}


def test_a_csv_file_becomes_a_version(tmp_path: Path) -> None:
    """It is shown as `headrace inspect` shows it, and answers by its rows."""
    (tmp_path / "users.csv").write_text("user,vector[0],vector[1],age\nann,1,2,30\nbob,3,4,40\n")

    done = tables(
        "make-lookup-table", tmp_path / "users.csv", tmp_path / "users" / "1",
        *("--key", "user", "--key-dtype", "DT_STRING", "--dtype", "age=DT_INT32", "--default", "vector=0.5,-1"),
    )  # fmt: skip

    assert done.code == ExitCode.DONE, done.err
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0][:3] == ["version", "1", "(lookup_table)"]
    assert ["serving_default", "yes", "in", "user", "DT_STRING", "[?]"] in lines
    assert ["out", "vector", "DT_FLOAT", "[?,", "2]"] in lines
    assert answer("lookup_table", tmp_path / "users" / "1", user=[b"bob", b"eve"]) == {
        "vector": [[3, 4], [0.5, -1]],
        "age": [40, 0],
        "found": [True, False],
    }


def test_an_npz_file_becomes_a_version(tmp_path: Path) -> None:
    """Its arrays have their dtypes already; programs get the same as JSON."""
    np.savez(tmp_path / "t.npz", keys=np.array([3, 5]), x=np.array([1, 2], np.uint8))

    done = tables(
        "make-lookup-table", tmp_path / "t.npz", tmp_path / "7", "--default", "x=9", "--output", "json"
    )

    assert done.code == ExitCode.DONE, done.err
    assert [version["loader"] for version in json.loads(done.out)["versions"]] == ["lookup_table"]
    assert answer("lookup_table", tmp_path / "7", keys=[5, 4]) == {"x": [2, 9], "found": [True, False]}


def test_a_list_becomes_a_vocabulary(tmp_path: Path) -> None:
    """Line n is the string of id n, counted from 0."""
    (tmp_path / "words.txt").write_text("the\nof\nand\n")

    done = tables("make-vocabulary", tmp_path / "words.txt", tmp_path / "1", "--default-id", "-5")

    assert done.code == ExitCode.DONE, done.err
    assert answer("vocabulary", tmp_path / "1", strings=[b"and", b"no"]) == {"ids": [2, -5]}
    assert answer("vocabulary", tmp_path / "1", "ids_to_strings", ids=[1, 9]) == {"strings": [b"of", b"UNK"]}


def test_strings_outside_a_vocabulary_may_share_ids(tmp_path: Path) -> None:
    """As many as are asked for, behind the others."""
    (tmp_path / "words.csv").write_text("word,count\nthe,9\nof,8\n")

    done = tables(
        "make-vocabulary", tmp_path / "words.csv", tmp_path / "1", "--column", "word",
        *("--oov-buckets", "1", "--default-string", "?"),
    )  # fmt: skip

    assert done.code == ExitCode.DONE, done.err
    assert answer("vocabulary", tmp_path / "1", strings=[b"of", b"no"]) == {"ids": [1, 2]}
    assert answer("vocabulary", tmp_path / "1", "ids_to_strings", ids=[2]) == {"strings": [b"?"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keys,x\n1,2\n3,y\n", "line 3, column 'x': 'y' is no number"),
        ("keys,x\n1,2\n3,4\n\n1,5\n", "line 5: 1 stands in line 2 already; each may stand once"),
        ("keys,found\n1,2\n", "with a name other than 'found'"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_and_leaves_nothing(
    tmp_path: Path, text: str, message: str
) -> None:
    """By its line, in one sentence, with exit status 1."""
    file = tmp_path / "t.csv"
    file.write_text(text)

    done = tables("make-lookup-table", file, tmp_path / "base" / "1", "--key-dtype", "DT_INT64")

    assert done.code == ExitCode.FAILED
    assert message in done.err
    assert "Traceback" not in done.err
    assert list((tmp_path / "base").iterdir()) == []


def test_a_string_that_stands_twice_is_told_by_its_lines(tmp_path: Path) -> None:
    """As it stands there."""
    (tmp_path / "words.txt").write_text("the\nöf\nand\nöf\n")

    done = tables("make-vocabulary", tmp_path / "words.txt", tmp_path / "1")

    assert done.code == ExitCode.FAILED
    assert f"{tmp_path / 'words.txt'} line 4: 'öf' stands in line 2 already" in done.err


def test_a_version_that_is_there_stays(tmp_path: Path) -> None:
    """What to do is said."""
    (tmp_path / "words.txt").write_text("the\n")
    (tmp_path / "1").mkdir()

    done = tables("make-vocabulary", tmp_path / "words.txt", tmp_path / "1")

    assert done.code == ExitCode.FAILED
    assert "is there already; a version is never changed, so give the new one another number" in done.err
    assert list((tmp_path / "1").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["t.csv", "latest", "--key-dtype", "DT_INT64"], "latest is not named by a number"),
        (["t.csv", "1"], "say what the keys of a CSV file are: --key-dtype DT_INT64 or DT_STRING"),
        (["t.npz", "1", "--key-dtype", "DT_INT64"], "leave out --key-dtype and --dtype"),
        (["t.npz", "1", "--dtype", "x=DT_HALF"], "leave out --key-dtype and --dtype"),
        (["t.parquet", "1"], "t.parquet ends in neither .npz nor .csv"),
        (["none.csv", "1"], "'none.csv' does not exist"),
        (
            ["t.csv", "1", "--key-dtype", "DT_INT64", "--dtype", "x=float"],
            "x=float: expected the name of an integer",
        ),
        (
            ["t.csv", "1", "--key-dtype", "DT_INT64", "--dtype", "x"],
            "'x' is not understood; expected NAME=VALUE",
        ),
        (
            ["t.csv", "1", "--key-dtype", "DT_INT64", "--default", "x=a"],
            "'a' is not understood; expected numbers",
        ),
    ],
)
def test_what_is_not_understood_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    """Exit status 2; nothing was tried."""
    monkeypatch.chdir(tmp_path)
    for name in ("t.csv", "t.npz", "t.parquet"):
        (tmp_path / name).touch()

    done = tables("make-lookup-table", *arguments)

    assert done.code == ExitCode.USAGE
    assert message in " ".join(done.err.split())


def test_making_a_table_imports_neither_tensorflow_nor_kafka(tmp_path: Path) -> None:
    """It runs where the data is, which need not be a worker's machine."""
    (tmp_path / "words.txt").write_text("the\n")
    script = (
        "import sys\n"
        "from worker.commands import cli\n"
        "code = cli.run(['tables', 'make-vocabulary', *sys.argv[1:]])\n"
        "assert not {'tensorflow', 'confluent_kafka'} & set(sys.modules)\n"
        "sys.exit(code)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "words.txt"), str(tmp_path / "1")],
        check=False,
        capture_output=True,
    )

    assert done.returncode == 0, done.stderr
