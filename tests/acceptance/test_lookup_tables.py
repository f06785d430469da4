"""Lookup tables and vocabularies, as a person makes, serves and asks them: by commands, with a real worker."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit.deployment import Deployment, DeploymentFactory

pytestmark = pytest.mark.kafka


def command(deployed: Deployment, *arguments: object) -> str:
    """What a command that succeeds says."""
    done = deployed.command(*map(str, arguments))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ask(deployed: Deployment, model: str, *instances: object, **options: object) -> Any:
    """The predictions of `headrace request`."""
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    text = json.dumps({"instances": instances})
    return json.loads(command(deployed, "request", model, "--json", text, *flags))["predictions"]


def test_tables_made_by_commands_are_served(deployment: DeploymentFactory, tmp_path: Path) -> None:
    """Two versions of a table side by side, then the newer one alone; a vocabulary beside it."""
    deployed = deployment()
    file, base = tmp_path / "users.csv", tmp_path / "users"
    for version in (1, 2):
        file.write_text(f"user,vector[0],vector[1]\nann,{version},0.5\neve,{-version},2\n")
        command(
            deployed, "tables", "make-lookup-table", file, base / str(version),
            *("--key", "user", "--key-dtype", "DT_STRING", "--default", "vector=9"),
        )  # fmt: skip
    (tmp_path / "words.txt").write_text("the\nof\n")
    command(deployed, "tables", "make-vocabulary", tmp_path / "words.txt", tmp_path / "words" / "1")
    deployed.start_worker()

    serve = ("models", "set", "users", "--base-path", base, "--loader", "lookup_table", "--wait")
    command(deployed, *serve, "--versions", "1,2")
    command(
        deployed,
        "models",
        "set",
        "words",
        "--base-path",
        tmp_path / "words",
        *("--loader", "vocabulary", "--wait"),
    )

    for version in (1, 2):
        assert ask(deployed, "users", "eve", "zoe", version=version) == [
            {"vector": [-version, 2.0], "found": True},
            {"vector": [9.0, 9.0], "found": False},
        ]
    command(deployed, *serve, "--versions", "2")
    assert ask(deployed, "users", "ann") == [{"vector": [2.0, 0.5], "found": True}]
    assert ask(deployed, "words", "of", "no") == [1, -1]
    assert ask(deployed, "words", 0, 7, signature="ids_to_strings") == ["the", "UNK"]


def test_a_table_that_is_cut_short_fails_with_its_reason_and_the_old_one_stays(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """Whoever pushes it reads the file's name; requests go on being answered."""
    deployed = deployment(settings={"lifecycle.load_retries": 0})
    (tmp_path / "t.csv").write_text("keys,x\n1,10\n2,20\n")
    for version in ("1", "2"):
        command(
            deployed, "tables", "make-lookup-table", tmp_path / "t.csv", tmp_path / "t" / version,
            *("--key-dtype", "DT_INT64"),
        )  # fmt: skip
    rows = tmp_path / "t" / "2" / "output-0.npy"
    rows.write_bytes(rows.read_bytes()[:-1])
    deployed.start_worker()
    serve = ("models", "set", "t", "--base-path", tmp_path / "t", "--loader", "lookup_table", "--wait")
    command(deployed, *serve, "--versions", "1")

    refused = deployed.command(*map(str, serve), "--versions", "2")

    assert refused.returncode == 1
    assert "output-0.npy is cut short" in refused.stderr
    assert ask(deployed, "t", 2, 3) == [{"x": 20.0, "found": True}, {"x": 0.0, "found": False}]
