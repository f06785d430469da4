"""`headrace models` and `headrace status`, on topics in memory with a control loop stepped by hand."""

import json
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from schemas import queue_report
from schemas.model_config import (
    GOLDEN,
    PADDING_POLICY,
    PRIORITY,
    RAGGED,
    RAGGED_PAD_VALUES,
    SHADOW,
    SPLIT,
    BatchingOptions,
    ModelConfig,
)
from schemas.queue_report import QueueReport
from schemas.servable_status import QUEUES, REQUESTS_ANSWERED, REQUESTS_FAILED
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions, VersionSelection
from tests.kit import distributions
from tests.worker.commands.control_world import CONFIG, World, document, version, worker
from worker.commands import control_access, model_actions
from worker.commands.cli import cli
from worker.commands.failure import CommandFailedError
from worker.commands.model_batching import row_sizes
from worker.commands.model_options import (
    LabelParam,
    ShareParam,
    SplitParam,
    VersionsParam,
    absolute,
    golden_parameter,
    loader_name,
    shadow_parameter,
    split_parameter,
)
from worker.commands.output import Output
from worker.commands.status import show_status
from worker.commands.version_texts import versions_text
from worker.commands.waiting import wait_until_done
from worker.convergence import Unwanted
from worker.status_topic import key_of
from worker.worker_lease import CONTROL_PROBLEM


@pytest.mark.parametrize(
    ("text", "selection"),
    [
        ("3,4", SpecificVersions((3, 4))),
        ("0", SpecificVersions((0,))),
        ("latest:2", LatestVersions(2)),
        ("all", AllVersions()),
    ],
)
def test_versions_are_written_as_they_are_shown(text: str, selection: VersionSelection) -> None:
    """What `models list` prints, `models set` takes."""
    assert VersionsParam().convert(text, None, None) == selection
    assert versions_text(selection) == text


@pytest.mark.parametrize("text", ["", "three", "latest", "latest:", "latest:x", "1,,2", "newest:1"])
def test_versions_that_mean_nothing_are_refused(text: str) -> None:
    """With the three ways to say it."""
    with pytest.raises(click.BadParameter, match=r"numbers \(3,4\), latest:N or all"):
        VersionsParam().convert(text, None, None)


def test_a_label_names_a_version() -> None:
    """Anything else is refused."""
    assert LabelParam().convert("stable=3", None, None) == ("stable", 3)
    for text in ("stable", "stable=", "stable=three"):
        with pytest.raises(click.BadParameter, match="LABEL=VERSION"):
            LabelParam().convert(text, None, None)


def test_a_part_of_a_split_has_a_target_and_a_weight() -> None:
    """Anything else is refused, and so is a split that gives nobody anything."""
    assert SplitParam().convert("stable=94.5", None, None) == ("stable", 94.5)
    for text in ("stable", "=5", "stable=much"):
        with pytest.raises(click.BadParameter, match="TARGET=WEIGHT"):
            SplitParam().convert(text, None, None)
    assert split_parameter([("stable", 95.0), ("3", 5.0)]) == {SPLIT: b"stable=95 3=5"}
    assert split_parameter([]) == {}
    with pytest.raises(click.UsageError, match="the split cannot be used: 3 is there twice"):
        split_parameter([("3", 95.0), ("03", 5.0)])


def test_the_share_of_a_shadow_is_a_percentage_or_a_part() -> None:
    """More than nothing and no more than all."""
    for text in ("10%", " 10 %", "0.1"):
        assert ShareParam().convert(text, None, None) == pytest.approx(0.1)
    for text in ("ten", "%", ""):
        with pytest.raises(click.BadParameter, match="expected a percentage, as in 10%"):
            ShareParam().convert(text, None, None)
    assert shadow_parameter("3", 0.1, None) == {SHADOW: b"3=0.1"}
    assert shadow_parameter("canary", 1.0, "headrace.shadow") == {SHADOW: b"canary=1 headrace.shadow"}
    assert shadow_parameter(None, None, None) == {}
    for share in (0.0, 1.5, float("nan")):
        with pytest.raises(click.UsageError, match="the shadow cannot be used: the share is"):
            shadow_parameter("3", share, None)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--to", "2"),
        ("--share", "10%"),
        ("--off", "--to", "2", "--share", "10%"),
        ("--off", "--topic", "t"),
        ("--topic", "t"),
    ],
)
def test_a_shadow_is_set_whole_or_ended(arguments: tuple[str, ...]) -> None:
    """What lies between is a slip of the hand."""
    result = CliRunner().invoke(cli, ["models", "shadow", "m", *arguments])

    assert result.exit_code == 2
    assert "expected --to VERSION|LABEL --share PERCENT" in " ".join(result.output.split())


def test_a_padding_policy_and_a_priority_are_parameters_of_the_record(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is not said is not in it; a policy that is none ends the command."""
    written: list[ModelConfig] = []
    monkeypatch.setattr(model_actions, "set_model", lambda _access, _name, config, *_: written.append(config))
    monkeypatch.setattr(control_access, "access_of", lambda _settings: None)
    command = ["models", "set", "m", "--base-path", str(tmp_path)]
    for arguments in ([], ["--padding-policy", "batch_down", "--priority", "7"]):
        assert CliRunner().invoke(cli, [*command, *arguments]).exit_code == 0
    bad = CliRunner().invoke(cli, [*command, "--padding-policy", "down"])

    assert [each.parameters for each in written] == [
        {},
        {PADDING_POLICY: b"batch_down", PRIORITY: b"7"},
    ]
    assert bad.exit_code == 2
    assert "minimize_cost" in bad.output


def test_how_inputs_are_padded_is_in_the_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Sizes or none of them, and pad values; what is neither ends the command."""
    written: list[ModelConfig] = []
    monkeypatch.setattr(model_actions, "set_model", lambda _access, _name, config, *_: written.append(config))
    monkeypatch.setattr(control_access, "access_of", lambda _settings: None)
    command = ["models", "set", "m", "--base-path", str(tmp_path), "--ragged"]
    for arguments in (["off"], ["8,16", "--pad-value", "ids=1", "--pad-value", "words=a b"]):
        assert CliRunner().invoke(cli, [*command, *arguments]).exit_code == 0
    bad = [CliRunner().invoke(cli, [*command, *each]) for each in (["8,4"], ["on", "--pad-value", "1"])]

    assert [each.parameters for each in written] == [
        {RAGGED: b"off"},
        {RAGGED: b"8,16", RAGGED_PAD_VALUES: b"ids=1\nwords=a b"},
    ]
    assert [
        (each.exit_code, said in each.output)
        for each, said in zip(bad, ("increase", "INPUT=VALUE"), strict=True)
    ] == [
        (2, True),
        (2, True),
    ]


def test_golden_requests_are_read_from_a_file(tmp_path: Path) -> None:
    """Each line is looked at, and one that is wrong ends the command."""
    file = tmp_path / "golden.jsonl"
    file.write_text('{"inputs": [1],  "outputs": [2]}\n\n')

    assert golden_parameter(None) == {}
    assert golden_parameter(file) == {GOLDEN: b'{"inputs":[1],"outputs":[2]}'}
    for text, said in (
        ("{}", "line 1 of .*golden.jsonl: "),
        ("\n", "has no golden request"),
        ("\udc80", "decode"),
    ):
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(click.UsageError, match=said):
            golden_parameter(file)


def test_allowed_sizes_are_numbers() -> None:
    """None means that the option was not given."""
    context = click.Context(click.Command("c"))
    assert row_sizes(context, click.Option(["--x"]), "8,32") == (8, 32)
    assert row_sizes(context, click.Option(["--x"]), None) is None
    with pytest.raises(click.BadParameter, match="numbers"):
        row_sizes(context, click.Option(["--x"]), "8,many")


def test_a_relative_base_path_is_made_absolute_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Workers run elsewhere; that it is missing here is only a warning."""
    monkeypatch.chdir(tmp_path)
    assert absolute("models/m") == f"{tmp_path}/models/m"
    said = capsys.readouterr().err
    assert f"models/m is taken as {tmp_path}/models/m" in said
    assert "warning: there is no directory" in said

    assert absolute(str(tmp_path)) == str(tmp_path)
    assert absolute("s3://bucket/models//m") == "s3://bucket/models//m"
    assert capsys.readouterr().err == ""


def test_a_loader_that_this_machine_does_not_have_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """The workers may have it; a misspelt one is noticed at once."""
    context = click.Context(click.Command("set"))
    parameter = click.Option(["--loader"])

    assert loader_name(context, parameter, "numpy") == "numpy"
    assert capsys.readouterr().err == ""
    assert loader_name(context, parameter, "savedmodel") == "savedmodel"
    assert (
        "no loader 'savedmodel' (it has keras, lookup_table, numpy, python, saved_model, vocabulary)"
        in capsys.readouterr().err
    )
    with pytest.raises(click.BadParameter, match="loader 'saved model' is not allowed"):
        loader_name(context, parameter, "saved model")


def test_an_installed_loader_is_taken_without_a_word_and_a_broken_offer_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the command knows is what a worker in the same environment would."""
    distributions.install(tmp_path, "ours", {"own": "ours:mine", "numpy": "ours:mine"})
    monkeypatch.syspath_prepend(tmp_path)

    assert loader_name(click.Context(click.Command("set")), click.Option(["--loader"]), "own") == "own"
    said = capsys.readouterr().err
    assert "warning: loader 'numpy' is headrace's own" in said
    assert "no loader" not in said


def test_set_writes_the_record_and_says_what_has_changed(capsys: pytest.CaptureFixture[str]) -> None:
    """Field by field, against the record before."""
    world = World()
    model_actions.set_model(world.access(), "m", CONFIG, Output("json"))
    capsys.readouterr()
    changed = replace(CONFIG, labels={"stable": 1}, batching=BatchingOptions(max_batch_rows=8))
    model_actions.set_model(world.access(), "m", changed, Output("json"))

    assert document(capsys) == {
        "model": "m",
        "offset": 1,
        "config": {
            "base_path": "/models/m",
            "loader": "saved_model",
            "versions": "1",
            "labels": {"stable": 1},
            "batching": {"max_batch_rows": 8},
            "policy": None,
            "split": None,
            "shadow": None,
            "frozen": None,
            "warmup": None,
            "golden": None,
            "loading": None,
            "priority": None,
            "filling": None,
            "ageing_seconds": None,
            "padding_policy": None,
            "max_request_rows": None,
            "p99_ms": None,
            "signatures": None,
            "ragged": None,
            "ragged_pad_values": None,
            "devices": None,
            "revision": 2,
            "author": "ann@host",
            "time": "1970-01-01T00:00:01Z",
            "comment": "why",
        },
        "changed": {
            "labels": {"from": "", "to": "stable=1"},
            "batching": {"from": "", "to": "max_batch_rows=8"},
        },
        "replaced_unseen": [],
    }


def test_list_shows_each_model_with_its_history_and_what_is_not_valid(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also records that name no model."""
    world = World()
    for config in (CONFIG, replace(CONFIG, base_path="/b")):
        model_actions.set_model(world.access(), "m", config, Output())
    world.control.add(b"broken", b"garbage")
    world.control.add(None, b"x")
    capsys.readouterr()
    model_actions.show_models(world.access(), Output("json"))
    printed = capsys.readouterr()
    broken, good = json.loads(printed.out)

    assert (broken["model"], broken["problem"].startswith("the value is no ModelConfig")) == ("broken", True)
    assert (good["base_path"], good["revision"]) == ("/b", 2)
    assert [past["base_path"] for past in good["history"]] == ["/models/m"]
    assert "warning: control record 3 names no model" in printed.err

    model_actions.show_models(world.access(), Output())
    assert "not valid" in capsys.readouterr().out


def test_removing_what_is_not_there_fails() -> None:
    """A slip of the pen is not answered with success."""
    world = World()
    with pytest.raises(CommandFailedError, match="'m' is not on the control topic"):
        model_actions.remove_model(world.access(), "m", Output())
    assert world.control.records == []


def test_set_can_wait_until_every_live_worker_serves_it(capsys: pytest.CaptureFixture[str]) -> None:
    """What is waited for is told on the way."""
    world = World()
    world.say(worker(applied=-1))
    world.news = [[worker()], [version(state="LOADING")], [version()]]
    model_actions.set_model(world.access(), "m", CONFIG, Output("json"), 60.0)
    printed = capsys.readouterr()

    assert json.loads(printed.out)["workers"] == {"w": [1]}
    assert "waiting: w: version 1 is LOADING" in printed.err


def test_set_that_waits_fails_with_worker_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """The record stays, and is shown."""
    world = World()
    world.say(worker(), version(state="END", code=5, message="no such directory"))

    with pytest.raises(CommandFailedError, match="has failed on worker w: version 1: no such directory"):
        model_actions.set_model(world.access(), "m", CONFIG, Output("json"), 60.0)
    assert "no such directory" in document(capsys)["failed"]


def test_remove_can_wait_until_no_live_worker_has_it() -> None:
    """The unloads take their time."""
    world = World()
    model_actions.set_model(world.access(), "m", CONFIG, Output())
    world.say(worker(), version())
    with pytest.raises(CommandFailedError, match="'m' is not gone after 0 s: w: has not read"):
        model_actions.remove_model(world.access(), "m", Output(), 0.0)

    world.say(worker(applied=1))
    with pytest.raises(CommandFailedError, match="w: version 1 is AVAILABLE"):
        wait_until_done(world.access(), Unwanted("m", 1), 0.0, print)

    world.status.add(key_of(version()), None)
    wait_until_done(world.access(), Unwanted("m", 1), 0.0, print)


def test_wait_shows_which_worker_serves_which_versions(capsys: pytest.CaptureFixture[str]) -> None:
    """It first waits for a live worker."""
    world = World()
    model_actions.set_model(world.access(), "m", CONFIG, Output())
    capsys.readouterr()
    world.news = [[worker()], [version()]]
    model_actions.await_model(world.access(), "m", None, 60.0, Output("json"))
    printed = capsys.readouterr()

    assert json.loads(printed.out) == {"model": "m", "offset": 0, "workers": {"w": [1]}}
    assert "no live worker in group 'g'" in printed.err


@pytest.mark.parametrize(
    ("value", "said"), [(None, "is not on the control topic"), (b"garbage", "is not valid")]
)
def test_wait_for_what_is_not_configured_fails_at_once(value: bytes | None, said: str) -> None:
    """Nobody could ever serve it."""
    world = World()
    world.control.add(b"m", value)

    with pytest.raises(CommandFailedError, match=said):
        model_actions.await_model(world.access(), "m", None, 60.0, Output())


def test_wait_ends_with_its_time_and_says_what_is_missing() -> None:
    """Worker by worker."""
    world = World()
    model_actions.set_model(world.access(), "m", CONFIG, Output())
    world.say(worker(), worker("x", applied=-1), version())

    with pytest.raises(CommandFailedError, match="after 0 s: x: has not read the record yet"):
        model_actions.await_model(world.access(), "m", None, 0.0, Output())


def test_status_shows_workers_and_versions_with_reasons_and_who_is_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a lost worker said last is shown as such."""
    world = World()
    world.status.now_ms = 980_000
    world.say(worker("dead"), version(on="dead"))
    world.status.now_ms = 999_000
    counts = {REQUESTS_ANSWERED: b"1200", REQUESTS_FAILED: b"3"}
    world.say(worker(parameters={CONTROL_PROBLEM: b"no topic"}), version(parameters=counts))
    world.say(version(2, state="END", code=5, message="no such directory"), version(-1, state="END", code=3))
    show_status(world.access(), None, Output("json"))
    shown = document(capsys)

    assert [(w["worker"], w["live"], w["lease_left_seconds"]) for w in shown["workers"]] == [
        ("dead", False, -5.0),
        ("w", True, 14.0),
    ]
    assert shown["workers"][1]["problem"] == "no topic"
    assert [(s["worker"], s["version"], s["state"], s["live"]) for s in shown["servables"]] == [
        ("dead", 1, "AVAILABLE", False),
        ("w", None, "END", True),
        ("w", 1, "AVAILABLE", True),
        ("w", 2, "END", True),
    ]
    counted = [(each["requests_answered"], each["requests_failed"]) for each in shown["servables"]]
    assert counted == [(None, None), (None, None), (1200, 3), (None, None)]
    assert shown["servables"][3]["message"] == "no such directory"
    assert shown["servables"][3]["since"] == "1970-01-01T00:16:40Z"

    show_status(world.access(), "m", Output())
    text = capsys.readouterr().out
    pieces = (
        "LOST",
        "SERVING",
        "FAILED",
        "AVAILABLE (lost)",
        "1,200 (3 failed)",
        "no such directory",
        "no topic",
    )
    for piece in pieces:
        assert piece in text
    assert "waiting rows" not in text


def test_status_shows_the_queues_of_live_workers(capsys: pytest.CaptureFixture[str]) -> None:
    """What waits, and means over the batches since the report before; for programs those of lost workers too."""
    world = World()
    idle = QueueReport("other", objective_seconds=0.05, max_batch_rows=64)
    busy = QueueReport(
        *("serving_default", 2, 1_400, 2.5),
        batches=10,
        rows=960,
        padding_rows=320,
        wait_seconds=0.05,
        runs=20,
        run_seconds=0.5,
    )
    queues = {QUEUES: queue_report.encode((idle, busy))}
    world.status.now_ms = 980_000
    world.say(
        worker("dead"), version(on="dead", parameters={QUEUES: queue_report.encode((QueueReport("lost"),))})
    )
    world.status.now_ms = 999_000
    world.say(worker(), version(parameters=queues), version(2))
    show_status(world.access(), None, Output("json"))
    shown = {(s["worker"], s["version"]): s["queues"] for s in document(capsys)["servables"]}

    assert [each["signature"] for each in shown["dead", 1]] == ["lost"]
    assert shown["w", 2] == []
    assert shown["w", 1] == [
        {
            "signature": "other",
            "waiting_tasks": 0,
            "waiting_rows": 0,
            "oldest_seconds": 0.0,
            "batches": 0,
            **dict.fromkeys(("mean_rows", "padding_share", "mean_wait_seconds", "mean_run_seconds")),
            "objective": {
                "seconds": 0.05,
                "p99_seconds": None,
                "kept": None,
                "max_batch_rows": 64,
                "batch_timeout_seconds": 0.0,
            },
        },
        {
            "signature": "serving_default",
            "waiting_tasks": 2,
            "waiting_rows": 1_400,
            "oldest_seconds": 2.5,
            "batches": 10,
            "mean_rows": 96.0,
            "padding_share": 0.25,
            "mean_wait_seconds": 0.005,
            "mean_run_seconds": 0.025,
            "objective": None,
        },
    ]

    show_status(world.access(), None, Output())
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    idle_line = "m 1 other w 0 - 0 - - - - ? of 50 ms (up to 64 rows, wait 0 ms)"
    assert idle_line.split() in lines
    busy_line = "m 1 serving_default w 1,400 2.5 s 10 96.0 25% 5 ms 25 ms -"
    assert busy_line.split() in lines
    assert not [line for line in lines if "lost" in line]
