"""A file of models."""

import io
import json
from pathlib import Path

import pytest

from schemas.model_config import (
    AGEING_SECONDS,
    FILLING,
    GOLDEN,
    LOADING,
    MAX_REQUEST_ROWS,
    P99_MS,
    PADDING_POLICY,
    PRIORITY,
    RAGGED,
    RAGGED_PAD_VALUES,
    SHADOW,
    SPLIT,
    WARMUP,
    BatchingOptions,
    ModelConfig,
)
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions, VersionSelection
from tests.worker.commands.control_world import CONFIG, World
from worker.commands import model_actions
from worker.commands.failure import CommandFailedError
from worker.commands.model_file import read_models
from worker.commands.output import Output
from worker.exit_codes import ExitCode

WHOLE = """
[models.prices]
base_path = "/models/prices"
loader = "numpy"
versions = [3, 4]
labels = { stable = 3, canary = 4 }
split = { stable = 99.5, 4 = 0.5 }
shadow = { to = 4, share = 0.25, topic = "prices.shadow" }
warmup = "warn"
golden = [{ inputs = [[0.5]], outputs = { y = [1] }, relative_tolerance = 0.01 }]
loading = "lazy"
priority = 7
filling = "none"
ageing_seconds = 1.5
padding_policy = "batch_down"
max_request_rows = 64
p99_ms = 2.5
ragged = "8,16"
ragged_pad_values = ["ids=1", "words=[PAD]"]
comment = "two of them"
batching = { max_batch_rows = 8, batch_timeout_seconds = 1, allowed_batch_rows = [4, 8] }

[models."a.b"]
base_path = "../beside"
"""
PRICES = ModelConfig(
    "/models/prices",
    "numpy",
    SpecificVersions((3, 4)),
    {"stable": 3, "canary": 4},
    BatchingOptions(8, 1.0, (4, 8)),
    comment="two of them",
    parameters={
        SPLIT: b"stable=99.5 4=0.5",
        SHADOW: b"4=0.25 prices.shadow",
        WARMUP: b"warn",
        GOLDEN: b'{"inputs":[[0.5]],"outputs":{"y":[1]},"relative_tolerance":0.01}',
        LOADING: b"lazy",
        PRIORITY: b"7",
        FILLING: b"none",
        AGEING_SECONDS: b"1.5",
        PADDING_POLICY: b"batch_down",
        MAX_REQUEST_ROWS: b"64",
        P99_MS: b"2.5",
        RAGGED: b"8,16",
        RAGGED_PAD_VALUES: b"ids=1\nwords=[PAD]",
    },
)


def read(tmp_path: Path, text: str, name: str = "models.toml") -> dict[str, ModelConfig]:
    """The models of a file of that text."""
    (tmp_path / name).write_text(text)
    return dict(read_models(str(tmp_path / name), "why"))


def refusal(tmp_path: Path, text: str, name: str = "models.toml") -> str:
    """Why a file of that text is refused; each line names it."""
    with pytest.raises(CommandFailedError) as caught:
        read(tmp_path, text, name)
    assert caught.value.code is ExitCode.USAGE
    assert all(line.startswith(str(tmp_path / name)) for line in str(caught.value).splitlines())
    return str(caught.value)


def test_every_field_can_be_said_and_has_its_default(tmp_path: Path) -> None:
    """A base path that is not absolute is meant from the file's folder."""
    assert read(tmp_path, WHOLE) == {
        "prices": PRICES,
        "a.b": ModelConfig(str(tmp_path.parent / "beside"), comment="why"),
    }


@pytest.mark.parametrize(
    ("text", "selection"),
    [
        ('"3,4"', SpecificVersions((3, 4))),
        ("7", SpecificVersions((7,))),
        ('"latest:2"', LatestVersions(2)),
        ('"all"', AllVersions()),
    ],
)
def test_versions_may_be_written_as_on_the_command_line(
    tmp_path: Path, text: str, selection: VersionSelection
) -> None:
    """Or as a number, or a list of them."""
    found = read(tmp_path, f'[models.m]\nbase_path = "/m"\nversions = {text}')
    assert found["m"].versions == selection


@pytest.mark.parametrize("name", ["models.json", "models", "models.txt"])
def test_json_says_the_same(tmp_path: Path, name: str) -> None:
    """It is told by the file's name, or by how it begins."""
    text = json.dumps({"models": {"m": {"base_path": "/m", "versions": [1], "batching": None}}})
    assert read(tmp_path, text, name) == {
        "m": ModelConfig("/m", versions=SpecificVersions((1,)), comment="why")
    }


def test_a_file_without_a_telling_name_may_be_toml(tmp_path: Path) -> None:
    """A table begins with a bracket, as a list of JSON does."""
    assert read(tmp_path, '[models.m]\nbase_path = "/m"', "models") == {"m": ModelConfig("/m", comment="why")}


def test_a_priority_out_of_range_is_refused(tmp_path: Path) -> None:
    """With the range."""
    assert "priority is '10'; expected one digit, 0 to 9" in refusal(
        tmp_path, '[models.m]\nbase_path = "/m"\npriority = 10'
    )


def test_a_padding_policy_that_is_none_is_refused(tmp_path: Path) -> None:
    """With those that there are."""
    assert "padding_policy is 'down'; expected pad_up or batch_down or minimize_cost" in refusal(
        tmp_path, '[models.m]\nbase_path = "/m"\npadding_policy = "down"'
    )


def test_what_is_loaded_at_once_is_not_said_and_what_is_neither_is_refused(tmp_path: Path) -> None:
    """So that a record of before is as the file wants it."""
    text = '[models.m]\nbase_path = "/m"\nloading = '
    assert read(tmp_path, text + '"eager"')["m"].parameters == {}
    assert "loading is 'later'; expected eager or lazy" in refusal(tmp_path, text + '"later"')


def test_golden_requests_may_lie_in_a_file_beside_it(tmp_path: Path) -> None:
    """Its name is meant from the file's folder; one that is wrong, missing or empty is told."""
    text = '[models.m]\nbase_path = "/m"\ngolden = "golden.jsonl"'
    assert "golden: 'golden.jsonl' cannot be read" in refusal(tmp_path, text)
    (tmp_path / "golden.jsonl").write_text("")
    assert "golden: 'golden.jsonl' has no request" in refusal(tmp_path, text)
    (tmp_path / "golden.jsonl").write_text('{"inputs": [1]}')
    assert "line 1 of 'golden.jsonl': expected either" in refusal(tmp_path, text)
    (tmp_path / "golden.jsonl").write_text('{"outputs": [2], "inputs": [1]}\n')

    assert read(tmp_path, text)["m"].golden == '{"inputs":[1],"outputs":[2]}'
    assert read(tmp_path, '[models.m]\nbase_path = "/m"\ngolden = []')["m"].golden is None
    dated = '[models.m]\nbase_path = "/m"\ngolden = [{ inputs = [2026-01-01], outputs = [1] }]'
    assert "golden: Object of type date" in refusal(tmp_path, dated)


def test_standard_input_is_read_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a command in front of it would mean it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO('[models.m]\nbase_path = "here"'))
    assert read_models("-") == {"m": ModelConfig(str(tmp_path / "here"))}


def test_what_the_list_of_models_prints_can_be_applied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that models move from one cluster to another."""
    world = World()
    model_actions.set_model(world.access(), "prices", PRICES, Output("json"))
    model_actions.set_model(world.access(), "prices", PRICES, Output("json"))
    model_actions.set_model(world.access(), "m", CONFIG, Output("json"))
    capsys.readouterr()
    model_actions.show_models(world.access(), Output("json"))

    assert read(tmp_path, capsys.readouterr().out, "list.json") == {"m": CONFIG, "prices": PRICES}


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """Each with the model and the field at fault."""
    said = refusal(
        tmp_path,
        """
[models.a]
base_path = "/a"
version = 3
[models.b]
base_path = "/b"
labels = { stable = "3" }
[models.c]
[models.d]
base_path = "/d"
versions = "newest"
[models."e/f"]
base_path = "/e"
[models.g]
base_path = "/g"
versions = [1]
labels = { stable = 2 }
[models.h]
base_path = ""
batching = { max_batch_rows = 0, rows = 3 }
[models.i]
base_path = "/i"
batching = { max_batch_rows = true }
""",
    )
    for piece in (
        "model 'a': version: Extra inputs are not permitted",
        "model 'b': labels.stable: Input should be a valid integer",
        "model 'c': base_path: Field required",
        "model 'd': 'newest' is not understood; expected numbers (3,4), latest:N or all",
        "model 'e/f': model name 'e/f' is not allowed",
        "model 'g': label 'stable' points to version 2",
        "model 'h': batching.rows: Extra inputs",
        "model 'i': batching.max_batch_rows: Input should be a valid integer",
    ):
        assert piece in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a table [models.NAME]"),
        ("models = {}", "names no model"),
        ("[models.m", "Expected"),
        ("[m]\nbase_path = '/m'", "expected a table [models.NAME] for each model"),
        ("[models]\nm = 3", "models.m: Input should be a valid dictionary"),
        ('{"models": {"m": {}, "m": {}}}', "'m' is there twice"),
        ('{"models": ', "Expecting value"),
        ("[{}]", "item 0 of the list is no model"),
        ('[{"model": "m", "base_path": "/m"}, {"model": "m"}]', "'m' is in the list twice"),
        ('[{"model": "m", "problem": "no ModelConfig"}]', "the record of model 'm' was not valid"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_what_is_no_file_of_models_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """With what was expected."""
    name = "file.json" if text.startswith(('{"', "[{", "[[")) else "file.toml"
    assert said in refusal(tmp_path, text, name)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """They are named."""
    (tmp_path / "models.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(CommandFailedError, match=r"models\.toml: 'utf-8' codec"):
        read_models(str(tmp_path / "models.toml"))


@pytest.mark.parametrize(
    ("shadow", "said"),
    [
        ('{ to = "canary", share = 0.1 }', "shadow names 'canary', which is no label of the model"),
        ("{ to = 1, share = 0 }", "shadow: the share is 0; expected more than 0"),
        ('{ to = 1, share = 1, topic = "a/b" }', "shadow: topic 'a/b' is none that Kafka takes"),
        ("{ to = 1 }", "shadow.share: Field required"),
        ('"1=0.1"', "shadow: Input should be"),
    ],
)
def test_a_shadow_that_cannot_be_is_told(tmp_path: Path, shadow: str, said: str) -> None:
    """By what is wrong with it."""
    text = f'[models.m]\nbase_path = "/m"\nversions = [1, 2]\nshadow = {shadow}\n'
    assert said in refusal(tmp_path, text)
