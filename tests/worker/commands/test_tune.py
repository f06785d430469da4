"""`headrace tune`, on models that run in this process; nothing asks a broker."""

import importlib.util
import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from batching.tuning import Advice, FirstRun, SizeCost
from schemas import codec
from schemas.model_config import (
    AGEING_SECONDS,
    FILLING,
    FROZEN,
    GOLDEN,
    LAZY,
    LOADING,
    MAX_REQUEST_ROWS,
    P99_MS,
    PADDING_POLICY,
    POLICY,
    PRIORITY,
    SHADOW,
    SPLIT,
    WARMUP,
    BatchingOptions,
    ModelConfig,
)
from schemas.version_selection import SpecificVersions
from tests.kit import command_line, numpy_models
from tests.kit.command_line import Ran
from tests.kit.models import SavedModels
from tests.worker.commands.control_world import CONFIG, World
from worker.commands import cli, tune, tune_plot, tune_views
from worker.commands.failure import CommandFailedError
from worker.commands.model_file import read_models
from worker.commands.tune_views import Tuned
from worker.exit_codes import ExitCode
from worker.run_measuring import BatchSource, Measured

QUICKLY = ("--size-seconds", "0", "--max-rows", "8")


def run(*arguments: object, **settings: object) -> Ran:
    """`headrace tune` with these arguments; settings by their name, with __ for the dot."""
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    return command_line.run(dotted, "tune", *QUICKLY, *map(str, arguments))


@pytest.fixture
def wine(tmp_path: Path) -> Path:
    """A base path with versions 3 and 9."""
    for version in (3, 9):
        numpy_models.write_three_signatures(tmp_path / "wine", version)
    return tmp_path / "wine"


def of_folder(wine: Path) -> tuple[object, ...]:
    """The arguments that name it."""
    return "--base-path", wine, "--loader", "numpy"


def test_each_size_is_measured_and_options_are_chosen_of_these(wine: Path) -> None:
    """Programs get every figure, and people's sentences."""
    done = run(*of_folder(wine), "--output", "json")

    found = done.document
    assert done.code == ExitCode.DONE, done.err
    assert (found["model"], found["version"], found["signature"]) == ("wine", 9, "serving_default")
    assert (found["inputs"], found["notes"][:-1]) == ("made up by the signature", [])
    assert [each["rows"] for each in found["sizes"]] == [1, 2, 4, 8]
    assert all(0 < each["median_ms"] <= each["p99_ms"] for each in found["sizes"])
    assert found["sizes"][0]["speed_up"] == 1
    assert [each["rows"] for each in found["first_runs"]] == [3, 6]
    assert found["batching"]["max_batch_rows"] in {1, 2, 4, 8}
    assert found["batching"].keys() == {"max_batch_rows", "batch_timeout_seconds", "allowed_batch_rows"}
    assert found["reasons"].keys() == found["batching"].keys()
    assert found["problem"] is None
    assert "1 row: " in done.err


def test_the_table_shows_the_same_with_what_to_type(wine: Path) -> None:
    """A line for each size, a sentence for each option, the block and the command."""
    done = run("merlot", *of_folder(wine), "--version", 3)

    lines = [line.split() for line in done.out.splitlines()]
    assert done.out.startswith("model 'merlot' version 3, signature 'serving_default'")
    assert [line[0] for line in lines if len(line) == 5 and line[0].isdigit()] == ["1", "2", "4", "8"]
    assert "max_batch_rows 8 rows: the smallest size with 95% of the best throughput" in done.out
    assert "[models.merlot.batching]\nmax_batch_rows = 8\n" in done.out
    assert (
        f"headrace models set merlot --base-path {wine} --versions 3 --loader numpy --max-batch-rows 8"
        in done.out
    )


def test_a_p99_chooses_the_largest_size_that_keeps_it(wine: Path) -> None:
    """A minute is enough for any of these."""
    done = run(*of_folder(wine), "--p99-ms", 60_000, "--output", "json")

    assert done.document["p99_ms"] == 60_000
    assert "60,000 ms" in done.document["reasons"]["max_batch_rows"]


def test_a_p99_that_nothing_keeps_fails_and_shows_what_was_measured(wine: Path) -> None:
    """With what would be needed."""
    done = run(*of_folder(wine), "--p99-ms", 1e-6, "--output", "json")

    assert done.code == ExitCode.FAILED
    assert "no size that was measured keeps a p99 of 1e-06 ms" in done.err
    assert "needed is an objective of" in done.err
    assert (done.document["batching"], done.document["command"]) == (None, None)
    assert len(done.document["sizes"]) == 4
    assert done.document["problem"] in " ".join(done.err.split())


def test_requests_of_a_file_are_run_instead_of_made_up_ones(wine: Path, tmp_path: Path) -> None:
    """Those of the signature alone; the one with the most rows is repeated."""
    lines = [
        {"instances": [[0.5] * numpy_models.PIXELS]},
        {"signature_name": "strings", "instances": ["a"]},
        {"signature_name": "strings", "instances": ["bb", "ccc"]},
    ]
    (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, lines)))

    done = run(
        *of_folder(wine), "--signature", "strings", "--requests", tmp_path / "some.jsonl", "--output", "json"
    )

    assert done.document["inputs"] == f"line 3 of {tmp_path}/some.jsonl, repeated"


def test_the_version_s_own_requests_are_run_where_it_has_some(wine: Path) -> None:
    """Those by which it is warmed up."""
    (wine / "9" / "assets.extra").mkdir()
    own = wine / "9" / "assets.extra" / "headrace_warmup_requests.jsonl"
    own.write_text(json.dumps({"instances": [[0.5] * numpy_models.PIXELS]}))

    assert run(*of_folder(wine), "--output", "json").document["inputs"].startswith("line 1 of assets.extra/")


def test_made_up_strings_are_told(wine: Path) -> None:
    """Empty ones cost less than any other."""
    done = run(*of_folder(wine), "--signature", "strings")

    assert "made-up inputs: input 's' DT_STRING[?] is empty strings; give requests" in done.out


def test_sizes_beyond_the_bytes_of_a_batch_are_not_measured(wine: Path) -> None:
    """A worker's batch never has them."""
    done = run(*of_folder(wine), "--output", "json", batching__max_batch_bytes=4 * numpy_models.PIXELS * 4)

    assert [each["rows"] for each in done.document["sizes"]] == [1, 2, 4]
    assert (
        "larger sizes were not measured: their inputs have more than batching.max_batch_bytes (1,024)"
        in (done.document["notes"])
    )


def test_the_largest_size_is_the_worker_s(wine: Path) -> None:
    """Unless it is said."""
    arguments = ("tune", "--size-seconds", "0", *map(str, of_folder(wine)), "--output", "json")
    done = command_line.run({"batching.max_batch_rows": 3}, *arguments)

    assert [each["rows"] for each in done.document["sizes"]] == [1, 2, 3]


def test_a_plot_is_drawn(wine: Path, tmp_path: Path) -> None:
    """Beside the table, with or without a p99."""
    done = run(*of_folder(wine), "--plot", tmp_path / "wine.svg", "--p99-ms", 60_000)

    assert done.code == ExitCode.DONE, done.err
    assert "<svg" in (tmp_path / "wine.svg").read_text()


def test_a_plot_that_cannot_be_drawn_is_told_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody measures for minutes to hear it then."""
    with pytest.raises(click.BadParameter, match=r"should end in \.png, \.svg, \.pdf"):
        tune_plot.check_can_draw(tmp_path / "wine.txt")
    with pytest.raises(click.BadParameter, match="there is no folder"):
        tune_plot.check_can_draw(tmp_path / "nowhere" / "wine.png")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        CommandFailedError, match="--plot needs matplotlib, which is not installed: pip install"
    ):
        tune_plot.check_can_draw(tmp_path / "wine.png")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "expected the MODEL of the control topic, or --base-path DIR"),
        (("wine", "--loader", "numpy"), "--loader goes with --base-path"),
        (("wine", "--request-rows", "9"), "requests of 9 rows need --max-rows of as many, not 8"),
        (("wine", "--p99-ms", "0"), "--p99-ms"),
    ],
)
def test_a_command_line_that_says_too_little_or_too_much_is_told(
    arguments: tuple[str, ...], told: str
) -> None:
    """Nothing was tried."""
    done = run(*arguments)

    assert (done.code, told in " ".join(done.err.split())) == (ExitCode.USAGE, True), done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--version", "4"), "the base path has no directory for version 4"),
        (("--signature", "other"), "signature 'other' does not exist; expected one of"),
        (
            ("--loader", "nothing"),
            "there is no loader 'nothing' on this machine, which has keras, lookup_table",
        ),
        (("--max-seconds", "1e-9"), "no size could be measured: a batch of 1 row takes"),
    ],
)
def test_a_version_that_cannot_be_measured_is_told(wine: Path, arguments: tuple[str, ...], told: str) -> None:
    """With the reason, and status 1."""
    done = run(*of_folder(wine), *arguments)

    assert (done.code, "model 'wine' cannot be measured: " in done.err) == (ExitCode.FAILED, True)
    assert told in done.err


def test_the_operator_s_rules_are_kept(wine: Path, tmp_path: Path) -> None:
    """What a worker with these settings would not load is not loaded here."""
    elsewhere = run(*of_folder(wine), lifecycle__base_path_roots=[str(tmp_path / "models")])
    disabled = run(*of_folder(wine), lifecycle__loaders=["saved_model"])

    assert "the base path is not opened" in elsewhere.err
    assert "loader 'numpy' is not enabled on this worker" in disabled.err
    assert (elsewhere.code, disabled.code) == (ExitCode.FAILED, ExitCode.FAILED)


def test_a_folder_whose_name_no_model_has_is_told(tmp_path: Path) -> None:
    """What is printed could not be typed."""
    done = run("--base-path", tmp_path / "old wine")

    assert (done.code, "model name 'old wine' is not allowed" in done.err) == (ExitCode.USAGE, True)


def test_a_file_of_requests_that_cannot_be_used_is_told(wine: Path, tmp_path: Path) -> None:
    """A wrong line, a request that does not fit, and none for the signature."""
    file = tmp_path / "some.jsonl"

    def told(text: str) -> tuple[int, str]:
        file.write_text(text)
        done = run(*of_folder(wine), "--requests", file)
        return done.code, done.err

    assert told("nothing")[0] == ExitCode.USAGE
    assert f"the requests cannot be used: line 1 of {file}" in told("nothing")[1]
    assert "expected DT_FLOAT[?,64]" in told('{"instances": [[1, 2]]}')[1]
    other = told('{"signature_name": "strings", "instances": ["a"]}')
    assert other[0] == ExitCode.FAILED
    assert "has no request for signature 'serving_default' whose rows can be told" in other[1]


def test_a_model_s_config_is_that_of_the_control_topic() -> None:
    """Whatever it says."""
    world = World()
    with world.access().writing() as writer:
        writer.write("m", lambda _: CONFIG)

    assert tune.config_on_topic(world.access(), "m").base_path == CONFIG.base_path


def test_a_model_of_the_topic_is_measured_as_it_says(wine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its base path, loader and versions; what is printed keeps its labels and the option that is not measured."""
    world = World()
    batching = BatchingOptions(4, 1.0, (2, 4), 5)
    config = ModelConfig(str(wine), "numpy", SpecificVersions((3, 9)), {"stable": 3}, batching)
    with world.access().writing() as writer:
        writer.write("red", lambda _: config)
        writer.write("white", lambda _: replace(config, batching=None))
    monkeypatch.setattr("worker.commands.control_access.access_of", lambda _: world.access())

    red, white = (run(name, "--output", "json").document for name in ("red", "white"))
    older = run("white", "--version", 3, "--output", "json").document

    assert (red["model"], red["version"], older["version"]) == ("red", 9, 3)
    assert (red["batching"]["max_enqueued_batches"], red["command"]) == (5, None)
    assert f"set white --base-path {wine} --versions 3,9 --loader numpy --label stable=3 " in white["command"]
    assert f"set white --base-path {wine} --versions 3,9 --loader numpy --label stable=3 " in older["command"]


def test_a_model_that_is_not_on_the_topic_is_told() -> None:
    """With the way to measure one that is not set."""
    with pytest.raises(CommandFailedError, match=r"model 'm' is not on the control topic .* --base-path DIR"):
        tune.config_on_topic(World().access(), "m")


def test_a_record_that_is_not_valid_is_told() -> None:
    """There is nothing to load by it."""
    world = World()
    world.control.add(b"m", codec.encode(replace(CONFIG, base_path="")))

    with pytest.raises(CommandFailedError, match="the control record of model 'm' is not valid: "):
        tune.config_on_topic(world.access(), "m")


def tuned(config: ModelConfig, allowed: tuple[int, ...] = (2, 8), **fields: Any) -> Tuned:
    """A result of made-up figures."""
    costs = (SizeCost(1, 0.001, 0.002), SizeCost(8, 0.002, 0.004))
    source = BatchSource(lambda rows: {"x": np.zeros(rows)}, 8, "made up")
    measured = Measured(costs, (FirstRun(4, 0.5, 0.002),), None)
    advice = Advice(8, 0.0015, allowed, {"max_batch_rows": "why"})
    return replace(Tuned("m.o", 3, "s", config, source, measured, None, advice), **fields)


def understood(command: str) -> Mapping[str, Any]:
    """The options of `headrace models set`, as the command line reads them."""
    words = shlex.split(command)
    assert words[:3] == ["headrace", "models", "set"]
    root = click.Context(cli.cli)
    models = cli.cli.get_command(root, "models")
    assert isinstance(models, click.Group)
    command_set = models.commands["set"]
    with command_set.make_context("set", words[3:], parent=root) as context:
        return dict(context.params)


def test_the_command_to_type_says_all_that_the_record_does(tmp_path: Path) -> None:
    """For it sets the whole record."""
    parameters = {
        SPLIT: b"stable=95 canary=5",
        POLICY: b"resource_preserving",
        WARMUP: b"warn",
        LOADING: LAZY.encode(),
        PRIORITY: b"7",
        FILLING: b"allowed",
        AGEING_SECONDS: b"2.5",
        PADDING_POLICY: b"batch_down",
        MAX_REQUEST_ROWS: b"64",
        P99_MS: b"12.5",
    }
    config = ModelConfig(
        str(tmp_path), "numpy", SpecificVersions((3, 4)), {"stable": 3, "canary": 4}, parameters=parameters
    )

    command = tune_views.set_command(tuned(config))

    assert command is not None
    given = understood(command)
    assert (given["name"], given["base_path"], given["loader"]) == ("m.o", str(tmp_path), "numpy")
    assert given["versions"] == SpecificVersions((3, 4))
    assert given["labels"] == (("stable", 3), ("canary", 4))
    assert given["parts"] == (("stable", 95.0), ("canary", 5.0))
    assert (given["policy"], given["warmup"], given["loading"], given["priority"]) == (
        "resource_preserving",
        "warn",
        LAZY,
        7,
    )
    assert (given["filling"], given["ageing_seconds"]) == ("allowed", 2.5)
    assert (given["padding_policy"], given["max_request_rows"], given["p99_ms"]) == ("batch_down", 64, 12.5)
    assert (given["max_batch_rows"], given["batch_timeout_seconds"], given["allowed_batch_rows"]) == (
        8,
        0.0015,
        (2, 8),
    )


def test_any_size_is_said_to_be_any_size(tmp_path: Path) -> None:
    """Where a worker's settings have sizes, leaving it out would keep them."""
    command = tune_views.set_command(tuned(ModelConfig(str(tmp_path), "numpy"), ()))

    assert command is not None
    assert understood(command)["allowed_batch_rows"] == ()


@pytest.mark.parametrize("name", [GOLDEN, SHADOW, FROZEN])
def test_what_no_command_says_goes_by_a_file(name: str) -> None:
    """Golden requests, a shadow and a frozen model have a record that `models set` would cut down."""
    found = tuned(replace(CONFIG, parameters={name: b"x"}))
    shown = "\n".join(map(str, tune_views.renderables(found)))

    assert tune_views.set_command(found) is None
    assert "`headrace models set` cannot say all that this model's record does" in shown


def test_the_block_is_read_as_it_is_written(tmp_path: Path) -> None:
    """With the option that was not measured as the record has it; the name is quoted where TOML wants it."""
    found = tuned(replace(CONFIG, batching=BatchingOptions(4, 1.0, None, 5)))
    assert found.options is not None
    text = tune_views.toml(found.model, found.options)
    (tmp_path / "models.toml").write_text(f'[models."m.o"]\nbase_path = "/m"\n{text}\n')

    config = read_models(str(tmp_path / "models.toml"))["m.o"]

    assert config.batching == BatchingOptions(8, 0.0015, (2, 8), 5)
    assert tune_views.set_command(found) is None


@pytest.mark.tensorflow
def test_a_saved_model_is_measured(tmp_path: Path) -> None:
    """In a session, which takes any size without compiling it."""
    SavedModels(tmp_path).three_signatures()

    done = run("--base-path", tmp_path / "three", "--output", "json")

    assert done.code == ExitCode.DONE, done.err
    assert [each["rows"] for each in done.document["sizes"]] == [1, 2, 4, 8]
    assert done.document["batching"]["allowed_batch_rows"] == []


@pytest.mark.tensorflow
def test_a_saved_model_without_open_rows_or_with_open_rank_is_told(tmp_path: Path) -> None:
    """Neither can be measured, and why is said."""
    SavedModels(tmp_path).shapes()

    rank = run("--base-path", tmp_path / "shapes", "--signature", "any_rank")
    wide = run("--base-path", tmp_path / "shapes", "--signature", "wide")

    assert (rank.code, "signature 'any_rank' cannot be batched" in rank.err) == (ExitCode.FAILED, True)
    assert "input 'x' DT_FLOAT[?,?] has size 1 where a size other than the rows is open" in wide.out
