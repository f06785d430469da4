"""`headrace models` and `headrace status`, on topics in memory with a control loop stepped by hand."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from schemas import codec
from schemas.model_config import BatchingOptions, ModelConfig
from schemas.servable_status import ServableState, ServableStatus
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions, VersionSelection
from schemas.worker_status import WorkerState, WorkerStatus
from tests.fakes.clock import FakeClock
from tests.fakes.control import Reader, Topic, Writer
from tests.fakes.kafka_broker import FakeMessage
from tests.kit import distributions
from worker.commands import model_actions
from worker.commands.control_access import ControlAccess
from worker.commands.failure import CommandFailedError
from worker.commands.model_options import LabelParam, VersionsParam, absolute, loader_name, row_sizes
from worker.commands.model_views import versions_text
from worker.commands.output import Output
from worker.commands.status import show_status
from worker.commands.waiting import wait_until_gone
from worker.control_topic import ControlTopic
from worker.control_writer import ControlWriter
from worker.fleet_reader import FleetReader
from worker.status_topic import key_of
from worker.worker_lease import CONTROL_PROBLEM

CONFIG = ModelConfig("/models/m", versions=SpecificVersions((1,)), comment="why")
WALL_SECONDS = 1000.0


class Worker(Reader):
    """A reader of the status topic in front of a worker that does one thing whenever it is asked for news."""

    def __init__(self, world: "World", events: Any) -> None:
        super().__init__(world.status, events)
        self._world = world

    def poll(self, max_records: int, timeout_seconds: float) -> Sequence[FakeMessage]:
        """The worker does its next thing."""
        if self._world.news:
            self._world.say(*self._world.news.pop(0))
        return super().poll(max_records, timeout_seconds)


class World:
    """Both topics, and what workers will say."""

    def __init__(self) -> None:
        self.control = Topic("control", now_ms=1_000_000)
        self.status = Topic("status", now_ms=1_000_000)
        self.news: list[Sequence[WorkerStatus | ServableStatus]] = []

    def say(self, *records: WorkerStatus | ServableStatus) -> None:
        """A worker says something."""
        for record in records:
            self.status.add(key_of(record), codec.encode(record))

    def access(self) -> ControlAccess:
        """The way of a command to it."""

        def topic() -> ControlTopic:
            return ControlTopic("control", lambda e: Reader(self.control, e), self.control, clock=FakeClock())

        return ControlAccess(
            "g",
            topic,
            lambda: ControlWriter(topic(), Writer(self.control), author="ann@host", wall=lambda: 1.0),
            lambda: FleetReader("status", lambda e: Worker(self, e), self.status, wall=lambda: WALL_SECONDS),
        )


def worker(name: str = "w", *, applied: int = 0, **fields: Any) -> WorkerStatus:
    """A worker's word on itself."""
    return replace(WorkerStatus(name, "g", "host", "1.0", applied, WorkerState.SERVING, 15_000, 0), **fields)


def version(number: int = 1, *, state: str = "AVAILABLE", on: str = "w", **fields: Any) -> ServableStatus:
    """A worker's word on a version."""
    status = ServableStatus(on, "m", number, ServableState(state), control_offset=0, time=1_000_000)
    return replace(status, **fields)


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    """What was printed for programs."""
    return json.loads(capsys.readouterr().out)


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
    assert absolute(Path("models/m")) == f"{tmp_path}/models/m"
    said = capsys.readouterr().err
    assert f"models/m is taken as {tmp_path}/models/m" in said
    assert "warning: there is no directory" in said

    assert absolute(tmp_path) == str(tmp_path)
    assert capsys.readouterr().err == ""


def test_a_loader_that_this_machine_does_not_have_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """The workers may have it; a misspelt one is noticed at once."""
    context = click.Context(click.Command("set"))
    parameter = click.Option(["--loader"])

    assert loader_name(context, parameter, "numpy") == "numpy"
    assert capsys.readouterr().err == ""
    assert loader_name(context, parameter, "savedmodel") == "savedmodel"
    assert "no loader 'savedmodel' (it has numpy, saved_model)" in capsys.readouterr().err
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
    model_actions.change_model(world.access(), "m", CONFIG, Output("json"))
    capsys.readouterr()
    changed = replace(CONFIG, labels={"stable": 1}, batching=BatchingOptions(max_batch_rows=8))
    model_actions.change_model(world.access(), "m", changed, Output("json"))

    assert document(capsys) == {
        "model": "m",
        "offset": 1,
        "config": {
            "base_path": "/models/m",
            "loader": "saved_model",
            "versions": "1",
            "labels": {"stable": 1},
            "batching": {"max_batch_rows": 8},
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
        model_actions.change_model(world.access(), "m", config, Output())
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
        model_actions.change_model(world.access(), "m", None, Output())
    assert world.control.records == []


def test_set_can_wait_until_every_live_worker_serves_it(capsys: pytest.CaptureFixture[str]) -> None:
    """What is waited for is told on the way."""
    world = World()
    world.say(worker(applied=-1))
    world.news = [[worker()], [version(state="LOADING")], [version()]]
    model_actions.change_model(world.access(), "m", CONFIG, Output("json"), 60.0)
    printed = capsys.readouterr()

    assert json.loads(printed.out)["workers"] == {"w": [1]}
    assert "waiting: w: version 1 is LOADING" in printed.err


def test_set_that_waits_fails_with_worker_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """The record stays, and is shown."""
    world = World()
    world.say(worker(), version(state="END", code=5, message="no such directory"))

    with pytest.raises(CommandFailedError, match="has failed on worker w: version 1: no such directory"):
        model_actions.change_model(world.access(), "m", CONFIG, Output("json"), 60.0)
    assert "no such directory" in document(capsys)["failed"]


def test_remove_can_wait_until_no_live_worker_has_it() -> None:
    """The unloads take their time."""
    world = World()
    model_actions.change_model(world.access(), "m", CONFIG, Output())
    world.say(worker(), version())
    with pytest.raises(CommandFailedError, match="'m' is not gone after 0 s: w: has not read"):
        model_actions.change_model(world.access(), "m", None, Output(), 0.0)

    world.say(worker(applied=1))
    with pytest.raises(CommandFailedError, match="w: version 1 is AVAILABLE"):
        wait_until_gone(world.access(), "m", 1, 0.0, print)

    world.status.add(key_of(version()), None)
    wait_until_gone(world.access(), "m", 1, 0.0, print)


def test_wait_shows_which_worker_serves_which_versions(capsys: pytest.CaptureFixture[str]) -> None:
    """It first waits for a live worker."""
    world = World()
    model_actions.change_model(world.access(), "m", CONFIG, Output())
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
    model_actions.change_model(world.access(), "m", CONFIG, Output())
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
    world.say(worker(parameters={CONTROL_PROBLEM: b"no topic"}), version())
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
    assert shown["servables"][3]["message"] == "no such directory"
    assert shown["servables"][3]["since"] == "1970-01-01T00:16:40Z"

    show_status(world.access(), "m", Output())
    text = capsys.readouterr().out
    for piece in ("LOST", "SERVING", "FAILED", "AVAILABLE (lost)", "no such directory", "no topic"):
        assert piece in text
