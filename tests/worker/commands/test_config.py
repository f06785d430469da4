"""`headrace config`: what is in effect, and from where."""

import json
import tomllib

import pytest

from worker.commands.cli import run


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret in the environment."""
    monkeypatch.setenv("HEADRACE_KAFKA__PROPERTIES__SASL_PASSWORD", "hidden")


def test_the_table_names_where_each_value_is_from(password: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A variable by its name; secrets masked."""
    assert run(["config", "--set", "http.port=0"]) == 0
    lines = {
        line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line.split()
    }

    assert lines["kafka.properties.sasl.password"] == [
        "********",
        "HEADRACE_KAFKA__PROPERTIES__SASL_PASSWORD",
    ]
    assert lines["http.port"] == ["0", "--set", "http.port"]
    assert lines["kafka.group"] == ["headrace", "default"]


def test_json_has_settings_and_origins(password: None, capsys: pytest.CaptureFixture[str]) -> None:
    """For a program that compares deployments."""
    assert run(["config", "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)

    assert document["settings"]["kafka"]["properties"] == {"sasl.password": "********"}
    assert document["origins"]["kafka.group"] == {"kind": "default", "place": ""}


def test_toml_is_a_file_to_start_from(password: None, capsys: pytest.CaptureFixture[str]) -> None:
    """It can be read, and holds no secret."""
    assert run(["config", "--output", "toml"]) == 0
    out = capsys.readouterr().out

    assert tomllib.loads(out)["kafka"]["group"] == "headrace"
    assert "hidden" not in out
