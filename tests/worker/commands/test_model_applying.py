"""`headrace models apply` and `retry`, on topics in memory."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas import codec
from schemas.model_config import ModelConfig
from tests.fakes.control import Writer
from tests.fakes.kafka_broker import FakeError
from tests.worker.commands.control_world import CONFIG, World, document, version, worker
from worker.commands import model_actions
from worker.commands.failure import CommandFailedError
from worker.commands.model_applying import ApplyOptions, apply_models, warn_of_paths
from worker.commands.output import Output
from worker.control_record import InvalidControlRecord
from worker.exit_codes import ExitCode

OTHER = replace(CONFIG, base_path="/models/other")


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> World:
    """With the models `m` and `old`, and a record of `broken` that is not valid."""
    made = World()
    for name in ("m", "old"):
        model_actions.set_model(made.access(), name, CONFIG, Output("json"))
    made.control.add(b"broken", b"garbage")
    capsys.readouterr()
    return made


def apply(world: World, wanted: dict[str, ModelConfig], form: str = "json", **options: Any) -> None:
    """Have the command do it."""
    apply_models(
        world.access(), wanted, Output("json" if form == "json" else "table"), ApplyOptions(**options)
    )


def configs(world: World) -> dict[str, ModelConfig | None]:
    """What the topic says."""
    return {name: entry.config for name, entry in world.access().read().models.items()}


def test_only_what_differs_is_written(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The file can be applied again and again; why it was written is no difference."""
    wanted = {
        "m": replace(CONFIG, comment="another"),
        "old": replace(CONFIG, labels={"x": 1}),
        "new": OTHER,
        "broken": OTHER,
    }
    apply(world, wanted)

    shown = document(capsys)
    assert shown["unchanged"] == ["m"]
    assert set(shown["set"]) == {"old", "new", "broken"}
    assert shown["set"]["old"] == {"new": False, "changed": {"labels": {"from": "", "to": "x=1"}}}
    assert (shown["set"]["new"]["new"], shown["set"]["broken"]["new"]) == (True, False)
    assert (shown["removed"], shown["not_in_file"], shown["refused"], shown["written"]) == ([], [], {}, True)
    found = configs(world)
    assert {name: config and (config.revision, config.base_path) for name, config in found.items()} == {
        "m": (1, "/models/m"),
        "old": (2, "/models/m"),
        "new": (1, "/models/other"),
        "broken": (1, "/models/other"),
    }
    written = len(world.control.records)

    apply(world, wanted)
    assert document(capsys)["set"] == {}
    assert len(world.control.records) == written


def test_a_dry_run_shows_the_same_and_writes_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people as for programs."""
    before = len(world.control.records)
    apply(world, {"m": OTHER, "new": CONFIG}, prune=True, dry_run=True, wait_seconds=60.0)
    shown = document(capsys)
    assert (set(shown["set"]), shown["removed"], shown["written"]) == ({"m", "new"}, ["broken", "old"], False)

    apply(world, {"m": OTHER, "new": CONFIG, "broken": CONFIG}, form="table", dry_run=True)
    text = capsys.readouterr().out
    for piece in (
        "changed",
        "/models/other",
        "was not valid",
        "nothing was written",
        "1 not in the file and left alone",
    ):
        assert piece in text
    assert len(world.control.records) == before


def test_models_that_are_not_in_the_file_stay_unless_they_are_pruned(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file may hold a part of the models only."""
    apply(world, {"m": CONFIG})
    assert document(capsys)["not_in_file"] == ["broken", "old"]
    assert set(configs(world)) == {"m", "old", "broken"}

    apply(world, {"m": CONFIG}, prune=True, form="table")
    assert "removed" in capsys.readouterr().out
    assert set(configs(world)) == {"m"}


def test_it_waits_for_every_model_and_tells_those_that_fail(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also for one that was as wanted already; one that fails does not end the wait for the others."""
    wanted = {"m": CONFIG, "bad": CONFIG, "slow": CONFIG}
    corrupt = version(model="bad", state="END", code=9, message="corrupt", control_offset=3)
    world.say(worker(applied=2), version())
    world.news = [
        [worker(applied=6), corrupt],
        [version(model="slow", state="LOADING", control_offset=4)],
        [version(model="slow", control_offset=4)],
    ]
    with pytest.raises(CommandFailedError, match=r"^of 5 models 1 failed \(bad\)$"):
        apply(world, wanted, prune=True, wait_seconds=60.0)
    printed = capsys.readouterr()
    shown = json.loads(printed.out)["outcomes"]
    assert shown["bad"] == {"done": False, "failed_on": "w", "reason": "version 1: corrupt"}
    assert {name for name, outcome in shown.items() if outcome["done"]} == {"m", "slow", "old", "broken"}
    assert (shown["m"]["workers"], shown["old"]["workers"]) == ({"w": [1]}, {"w": []})
    assert "waited for: " in printed.err


def test_what_is_not_done_in_time_is_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """With what each waits for; everything has been written all the same."""
    world.say(worker(applied=2), version())
    with pytest.raises(CommandFailedError, match=r"^of 2 models 1 not done after 0 s \(new\)$"):
        apply(world, {"m": CONFIG, "new": OTHER}, form="table", wait_seconds=0.0)
    text = capsys.readouterr().out
    assert "not there yet" in text
    assert "w: has not read the record yet" in text
    assert "1 done, 1 waited for" in text
    assert "new" in configs(world)


def test_when_all_are_served_it_says_so(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """And ends well."""
    world.say(worker(applied=3), version(), version(model="new", control_offset=3))
    apply(world, {"m": CONFIG, "new": OTHER}, form="table", wait_seconds=60.0)
    assert capsys.readouterr().out.endswith("2 done\n")


def test_records_that_the_broker_refuses_are_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The command can be repeated."""
    world.control.refused = FakeError("MSG_SIZE_TOO_LARGE")
    with pytest.raises(
        CommandFailedError, match=r"the records of 2 models could not be written; of 'a': "
    ) as caught:
        apply(world, {"a": CONFIG, "b": CONFIG, "m": CONFIG})
    assert caught.value.code is ExitCode.FAILED
    assert set(document(capsys)["refused"]) == {"a", "b"}

    world.control.refused = None
    apply(world, {"a": CONFIG, "b": CONFIG, "m": CONFIG})
    assert set(document(capsys)["set"]) == {"a", "b"}


def test_one_config_that_breaks_a_rule_leaves_all_unwritten(world: World) -> None:
    """A file is applied whole or not at all, as far as can be told before."""
    before = len(world.control.records)
    with pytest.raises(InvalidControlRecord, match="not absolute"):
        apply(world, {"a": CONFIG, "b": replace(CONFIG, base_path="relative")})
    assert len(world.control.records) == before


def test_a_record_that_came_in_between_is_told(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By model and author."""
    send = Writer.send

    def overtaken(writer: Writer, *arguments: Any, **named: Any) -> int:
        world.control.add(b"m", codec.encode(replace(OTHER, author="bob@there")))
        return send(writer, *arguments, **named)

    monkeypatch.setattr(Writer, "send", overtaken)
    apply(world, {"m": replace(CONFIG, labels={"x": 1}), "new": CONFIG})
    printed = capsys.readouterr()
    assert json.loads(printed.out)["replaced_unseen"] == {"m": [{"offset": 3, "author": "bob@there"}]}
    assert "a record of bob@there for model 'm' (control offset 3) came in between" in printed.err


def test_base_paths_that_are_not_here_are_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for all of them."""
    here = replace(CONFIG, base_path=str(tmp_path))
    warn_of_paths({"here": here})
    assert capsys.readouterr().err == ""

    warn_of_paths({str(n): replace(CONFIG, base_path=f"/nowhere/{n}") for n in range(7)} | {"here": here})
    (said,) = capsys.readouterr().err.splitlines()
    assert "no directory /nowhere/0, /nowhere/1, /nowhere/2, /nowhere/3, /nowhere/4 and 2 more;" in said


def test_retry_writes_the_record_as_it_is(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no change: neither the revision nor the history has more of it than before."""
    before = world.control.records[0].value()
    world.say(worker(applied=3), version(control_offset=3))
    model_actions.retry_model(world.access(), "m", Output("json"), 60.0)

    assert document(capsys)["workers"] == {"w": [1]}
    assert world.control.records[-1].key() == b"m"
    assert world.control.records[-1].value() == before
    model_actions.retry_model(world.access(), "m", Output())
    assert "workers try what has failed again" in capsys.readouterr().out
    with pytest.raises(CommandFailedError, match="'broken' has no valid record"):
        model_actions.retry_model(world.access(), "broken", Output())
