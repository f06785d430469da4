"""`headrace models label`, `rollback` and `history`, on topics in memory."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from schemas import codec
from schemas.model_config import SHADOW, SPLIT, BatchingOptions, ModelConfig
from schemas.servable_status import ASLEEP
from schemas.version_selection import LatestVersions, SpecificVersions
from tests.worker.commands.control_world import CONFIG, World, document, version, worker
from worker.commands import model_actions
from worker.commands.failure import CommandFailedError
from worker.commands.model_applying import ApplyOptions, apply_models
from worker.commands.model_changes import (
    Change,
    as_before,
    promoted,
    unfrozen,
    with_labels,
    with_shadow,
    with_split,
)
from worker.commands.model_views import shadow_document
from worker.commands.output import Output
from worker.control_record import InvalidControlRecord
from worker.kafka.errors import BrokerUnreachable

TWO = replace(
    CONFIG,
    versions=SpecificVersions((1, 2)),
    labels={"stable": 1, "old": 1},
    batching=BatchingOptions(max_batch_rows=8),
    parameters={"p": b"v"},
)


@pytest.fixture
def world() -> World:
    """With a model that was set twice."""
    made = World()
    for config in (CONFIG, TWO):
        model_actions.set_model(made.access(), "m", config, Output("json"))
    return made


def labelled(labels: Mapping[str, int], *without: str) -> Change:
    """That change."""
    return with_labels("m", labels, without, "moved")


def present(world: World) -> ModelConfig:
    """What the topic says of the model."""
    config = world.access().read().models["m"].config
    assert config is not None
    return config


def change(world: World, wanted: Change, wait_seconds: float | None = None) -> None:
    """Have the command make that change."""
    model_actions.change_model(world.access(), "m", wanted, Output("json"), wait_seconds)


def test_labels_are_moved_added_and_taken_away_and_nothing_else_changes(world: World) -> None:
    """Whoever moves a label need not know the rest."""
    change(world, labelled({"stable": 2, "canary": 2}, "old"))

    found = present(world)
    assert found.labels == {"stable": 2, "canary": 2}
    assert (found.revision, found.author, found.comment) == (3, "ann@host", "moved")
    assert replace(found.as_past(), labels={}, revision=0, comment="") == replace(
        TWO.as_past(), labels={}, comment="", author="ann@host", time=1000
    )
    assert [past.revision for past in found.history] == [2, 1]


def test_a_label_that_is_there_already_writes_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command can be repeated, and still waits."""
    capsys.readouterr()
    model_actions.change_model(world.access(), "m", labelled({"stable": 1}), Output())
    assert "is as wanted already (revision 2, control offset 1)" in capsys.readouterr().out
    assert len(world.control.records) == 2

    world.say(worker(applied=1), version(1, control_offset=1), version(2, control_offset=1))
    change(world, labelled({"stable": 1}), 60.0)
    assert document(capsys)["workers"] == {"w": [1, 2]}


def test_taking_away_a_label_that_is_not_there_fails(world: World) -> None:
    """It says which there are."""
    with pytest.raises(CommandFailedError, match=r"'m' has no label 'canary', 'x'; its labels: old, stable"):
        change(world, labelled({}, "x", "canary", "old"))
    assert len(world.control.records) == 2


def test_a_label_of_a_version_that_is_not_listed_is_refused(world: World) -> None:
    """Nobody would ever serve it."""
    with pytest.raises(InvalidControlRecord, match="label 'canary' points to version 3"):
        change(world, labelled({"canary": 3}))
    assert len(world.control.records) == 2


@pytest.mark.parametrize("wanted", [labelled({"stable": 1}), as_before("m", None, "")])
@pytest.mark.parametrize("value", [None, b"garbage"], ids=["removed", "not valid"])
def test_a_model_without_a_valid_record_cannot_be_changed(wanted: Change, value: bytes | None) -> None:
    """It says how to set it."""
    world = World()
    world.control.add(b"m", value)
    with pytest.raises(CommandFailedError, match=r"no valid record on the control topic.*models set m"):
        change(world, wanted)
    assert len(world.control.records) == 1


def test_a_rollback_brings_back_everything_as_a_new_record(world: World) -> None:
    """And can be rolled back."""
    change(world, as_before("m", None, ""))
    back = present(world)
    assert (back.versions, back.labels, back.batching) == (CONFIG.versions, {}, None)
    assert (back.revision, back.comment) == (3, "back to revision 1")

    change(world, as_before("m", None, "again"))
    again = present(world)
    assert replace(again.as_past(), revision=0, comment="", author="", time=0) == replace(
        TWO.as_past(), comment=""
    )
    assert (again.revision, again.comment) == (4, "again")
    assert [past.revision for past in again.history] == [3, 2, 1]


def test_a_rollback_goes_to_any_revision_that_is_kept(world: World) -> None:
    """Another one is refused, and told which there are."""
    model_actions.set_model(world.access(), "m", replace(CONFIG, versions=LatestVersions(2)), Output("json"))
    with pytest.raises(CommandFailedError, match="no earlier revision 3; its history has 2, 1"):
        change(world, as_before("m", 3, ""))

    change(world, as_before("m", 1, ""))
    assert present(world).versions == CONFIG.versions


def test_the_first_config_has_nothing_to_go_back_to() -> None:
    """It says so."""
    world = World()
    model_actions.set_model(world.access(), "m", CONFIG, Output("json"))
    with pytest.raises(CommandFailedError, match="no earlier config: this one is its first"):
        change(world, as_before("m", None, ""))


def test_history_says_who_has_changed_what_and_why(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The present config first; of the oldest that is kept it is not known what it has changed."""
    change(world, labelled({}, "old"))
    capsys.readouterr()
    model_actions.show_history(world.access(), "m", Output("json"))
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [(each["revision"], each["comment"]) for each in shown["configs"]] == [
        (3, "moved"),
        (2, "why"),
        (1, "why"),
    ]
    assert shown["configs"][0]["changed"] == {"labels": {"from": "old=1 stable=1", "to": "stable=1"}}
    assert shown["configs"][2]["changed"]["versions"] == {"from": "", "to": "1"}

    for n in range(12):
        model_actions.set_model(world.access(), "m", replace(CONFIG, comment=f"no. {n}"), Output("json"))
    capsys.readouterr()
    model_actions.show_history(world.access(), "m", Output("json"))
    configs = json.loads(capsys.readouterr().out)["configs"]
    assert [each["revision"] for each in configs] == list(range(15, 4, -1))
    assert [each["changed"] for each in configs] == [{}] * 10 + [None]


def test_history_for_people(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each config."""
    capsys.readouterr()
    model_actions.show_history(world.access(), "m", Output())
    text = capsys.readouterr().out
    for piece in (
        "revision",
        "ann@host",
        "1970-01-01T00:00:01Z",
        "labels: old=1 stable=1",
        "versions: 1 → 1,2",
    ):
        assert piece in text
    with pytest.raises(CommandFailedError, match="'x' is not on the control topic"):
        model_actions.show_history(world.access(), "x", Output())


LATEST = replace(CONFIG, versions=LatestVersions(2), labels={})


@pytest.fixture
def open_world(capsys: pytest.CaptureFixture[str]) -> World:
    """With a model of which the latest two versions are wanted, served by two workers."""
    made = World()
    model_actions.set_model(made.access(), "m", LATEST, Output("json"))
    for name in ("v", "w"):
        made.say(worker(name), version(3, on=name), version(4, on=name), version(5, on=name, state="LOADING"))
    made.say(worker("dead", lease_ms=0), version(1, on="dead"))
    capsys.readouterr()
    return made


def freeze(world: World) -> None:
    """Have the command do it."""
    model_actions.freeze_model(world.access(), "m", "holiday", Output("json"))


def test_a_frozen_model_keeps_the_versions_that_live_workers_serve(
    open_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker that starts later serves the same; unfrozen it is as before."""
    freeze(open_world)
    frozen = present(open_world)
    assert (frozen.versions, frozen.frozen, frozen.comment) == (
        SpecificVersions((4, 3)),
        "latest:2",
        "holiday",
    )
    assert document(capsys)["changed"] == {
        "versions": {"from": "latest:2", "to": "4,3"},
        "frozen": {"from": "", "to": "yes; it was latest:2"},
    }
    model_actions.show_models(open_world.access(), Output())
    assert "4,3 (frozen)" in capsys.readouterr().out

    change(open_world, unfrozen("m", "back to work"))
    assert (present(open_world).versions, present(open_world).frozen) == (LatestVersions(2), None)
    assert present(open_world).parameters == {}
    with pytest.raises(CommandFailedError, match="'m' is not frozen"):
        change(open_world, unfrozen("m", ""))


def test_versions_of_a_lazy_model_are_frozen_though_they_sleep(
    open_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are what a worker would load; one that is on its way is waited for."""
    open_world.say(version(4, state="START", on="v", parameters={ASLEEP: b"true"}))
    freeze(open_world)
    assert present(open_world).versions == SpecificVersions((4, 3))
    capsys.readouterr()
    change(open_world, unfrozen("m", ""))
    open_world.say(version(4, state="START", on="v"))
    with pytest.raises(CommandFailedError, match="v has 3; w has 4, 3"):
        freeze(open_world)


def test_listed_versions_are_frozen_as_they_are(world: World) -> None:
    """Whatever workers serve of them by now; other parameters stay."""
    freeze(world)
    assert (present(world).versions, present(world).frozen) == (TWO.versions, "1,2")
    assert present(world).parameters == {"p": b"v", "frozen": b"1,2"}


def test_what_is_frozen_is_changed_by_no_command_but_one(open_world: World) -> None:
    """Each says who has frozen it and why; trying a load again is no change."""
    freeze(open_world)
    records = len(open_world.control.records)
    access = open_world.access()
    said = r"'m' is frozen by ann@host \(revision 2: holiday\); first: headrace models unfreeze m"
    for wanted in (labelled({"stable": 3}), as_before("m", None, "")):
        with pytest.raises(CommandFailedError, match=said):
            change(open_world, wanted)
    with pytest.raises(CommandFailedError, match=said):
        freeze(open_world)
    with pytest.raises(CommandFailedError, match=said):
        model_actions.set_model(access, "m", CONFIG, Output("json"))
    with pytest.raises(CommandFailedError, match=said):
        model_actions.remove_model(access, "m", Output("json"))
    with pytest.raises(CommandFailedError, match=said):
        apply_models(access, {"m": CONFIG, "new": CONFIG}, Output("json"), ApplyOptions())
    with pytest.raises(CommandFailedError, match=said):
        apply_models(access, {"new": CONFIG}, Output("json"), ApplyOptions(prune=True))
    assert len(open_world.control.records) == records

    model_actions.retry_model(access, "m", Output("json"))
    assert len(open_world.control.records) == records + 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([version(5, on="w")], "v has 4, 3; w has 5, 4, 3. Wait until all have the same"),
        ([worker("new")], "new has none; v has 4, 3; w has 4, 3. Wait"),
    ],
)
def test_workers_that_do_not_agree_cannot_be_frozen(open_world: World, more: list[Any], said: str) -> None:
    """Each is named with what it has; nothing is written."""
    open_world.say(*more)
    with pytest.raises(CommandFailedError, match=said):
        freeze(open_world)
    assert len(open_world.control.records) == 1


def test_without_a_live_worker_nobody_says_what_to_keep() -> None:
    """The versions can still be named."""
    world = World()
    model_actions.set_model(world.access(), "m", LATEST, Output("json"))
    with pytest.raises(CommandFailedError, match=r"no worker is live\. .*--versions"):
        freeze(world)
    model_actions.set_model(world.access(), "m", CONFIG, Output("json"))
    freeze(world)
    assert present(world).frozen == "1"


def test_a_freeze_that_nobody_can_read_leaves_the_versions_as_they_are(world: World) -> None:
    """Any program may write the parameter."""
    strange = replace(TWO, parameters={"frozen": b"the newest"})
    world.control.add(b"m", codec.encode(replace(strange, revision=3)))
    change(world, unfrozen("m", ""))
    assert (present(world).versions, present(world).frozen) == (TWO.versions, None)


@pytest.mark.parametrize("wanted", [labelled({"stable": 1}), as_before("m", None, ""), unfrozen("m", "")])
def test_a_name_that_breaks_a_rule_is_told_before_anything_is_read(wanted: Change) -> None:
    """A slip of the hand needs no broker."""
    world = World()
    world.control.problem = BrokerUnreachable("gone")
    with pytest.raises(InvalidControlRecord, match="'a/b' is not allowed"):
        model_actions.change_model(world.access(), "a/b", wanted, Output("json"))
    for act in (model_actions.remove_model, model_actions.retry_model):
        with pytest.raises(InvalidControlRecord, match="'a/b' is not allowed"):
            act(world.access(), "a/b", Output("json"))


def divided(text: str) -> Change:
    """That change; no text ends the split."""
    return with_split("m", {SPLIT: text.encode()} if text else {}, "divided")


def test_a_split_is_set_changed_and_ended_and_nothing_else_changes(world: World) -> None:
    """Whoever turns a canary up need not know the rest."""
    for text in ("stable=95 2=5", "stable=50 2=50", ""):
        change(world, divided(text))
        found = present(world)
        assert found.split == (text or None)
        assert replace(found.as_past(), revision=0, comment="", author="", time=0, parameters={}) == replace(
            TWO.as_past(), comment="", parameters={}
        )
        assert found.parameters["p"] == b"v"


def test_a_split_on_what_is_not_there_is_refused(world: World) -> None:
    """Its requests would have nowhere to go."""
    with pytest.raises(InvalidControlRecord, match="split names 'canary', which is no label"):
        change(world, divided("stable=95 canary=5"))
    change(world, divided("stable=95 old=5"))
    with pytest.raises(InvalidControlRecord, match="split names 'old', which is no label"):
        change(world, labelled({}, "old"))


@pytest.mark.parametrize(
    ("before", "target", "labels", "split"),
    [
        ("", "2", {"stable": 1, "old": 1}, "2=100"),
        ("1=95 2=5", "2", {"stable": 1, "old": 1}, "2=100"),
        ("stable=90 old=5 2=5", "2", {"stable": 2, "old": 1}, "stable=100"),
        ("stable=90 canary=10", "canary", {"stable": 2, "old": 1, "canary": 2}, "stable=100"),
        ("stable=10 canary=90", "stable", {"stable": 1, "old": 1, "canary": 1}, "canary=100"),
        ("canary=99 2=1", "canary", {"stable": 1, "old": 1, "canary": 2}, "canary=100"),
    ],
)
def test_promotion_gives_all_to_one_version(
    world: World, before: str, target: str, labels: Mapping[str, int], split: str
) -> None:
    """By a label where labels divide the requests: what asks for it by name follows."""
    if "canary" in labels:
        change(world, labelled({"canary": 2}))
    if before:
        change(world, divided(before))
    change(world, promoted("m", target, ""))

    found = present(world)
    assert (found.labels, found.split, found.comment) == (labels, split, f"promoted {target}")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("canary", "'m' has no label 'canary'; its labels: old, stable"),
        ("3", "'m' has no version 3; its versions: 1,2"),
    ],
)
def test_only_what_is_there_can_be_promoted(world: World, target: str, said: str) -> None:
    """Nothing is written."""
    with pytest.raises(CommandFailedError, match=said):
        change(world, promoted("m", target, ""))
    assert len(world.control.records) == 2


def test_a_split_is_listed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """For people and for programs; what another program wrote wrongly breaks no list."""
    change(world, divided("stable=95 2=5"))
    capsys.readouterr()
    model_actions.show_models(world.access(), Output())
    assert "stable=95 2=5" in capsys.readouterr().out
    model_actions.show_models(world.access(), Output("json"))
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["split"] == {"stable": 95.0, "2": 5.0}
    assert [past["split"] for past in shown["history"]] == [None, None]


def shadowed(text: str) -> Change:
    """That change; no text ends the shadow."""
    return with_shadow("m", {SHADOW: text.encode()} if text else {}, "tried")


def test_a_shadow_is_set_changed_and_ended_and_nothing_else_changes(world: World) -> None:
    """The split stays as well; going back brings it back."""
    change(world, divided("stable=1"))
    for text in ("2=0.1", "2=0.5 headrace.shadow", ""):
        change(world, shadowed(text))
        found = present(world)
        assert (found.shadow, found.split, found.parameters["p"]) == (text or None, "stable=1", b"v")
        assert (found.versions, found.labels, found.batching) == (TWO.versions, TWO.labels, TWO.batching)
    change(world, as_before("m", None, ""))
    assert present(world).shadow == "2=0.5 headrace.shadow"


def test_a_shadow_on_what_is_not_there_is_refused(world: World) -> None:
    """As a split is; and a label that it names cannot be taken away."""
    change(world, divided("stable=1"))
    with pytest.raises(InvalidControlRecord, match="shadow names 'canary', which is no label"):
        change(world, shadowed("canary=0.1"))
    with pytest.raises(InvalidControlRecord, match="shadow names version 3, which is not among"):
        change(world, shadowed("3=0.1"))
    change(world, labelled({"canary": 2}))
    change(world, shadowed("canary=0.1"))
    with pytest.raises(InvalidControlRecord, match="shadow names 'canary', which is no label"):
        change(world, labelled({}, "canary"))


@pytest.mark.parametrize(
    ("split", "shadow", "fits"),
    [
        ("", "2=0.1", False),
        ("", "1=0.1", True),
        ("", "stable=0.1", True),
        ("stable=1", "2=0.1", True),
        ("stable=1", "1=0.1", False),
        ("stable=1 2=0", "old=0.1", False),
        ("stable=95 2=5", "2=0.1", True),
        ("2=95 1=5", "stable=0.1", True),
    ],
)
def test_a_version_that_answers_all_requests_itself_can_be_tried_on_none(
    world: World, split: str, shadow: str, fits: bool
) -> None:
    """The latest does where nothing else is said: whoever loads a version beside another has it answer at once."""
    if split:
        change(world, divided(split))
    if fits:
        change(world, shadowed(shadow))
        assert present(world).shadow == shadow
        return
    with pytest.raises(
        CommandFailedError, match=r"answers the requests that it is to be tried on.*models promote m"
    ):
        change(world, shadowed(shadow))
    assert present(world).shadow is None


def test_of_versions_that_nobody_knows_any_can_be_tried(world: World) -> None:
    """What `latest` means is for each worker to see."""
    model_actions.set_model(
        world.access(), "m", replace(TWO, versions=LatestVersions(2), labels={}), Output("json")
    )
    change(world, shadowed("2=0.1"))

    assert present(world).shadow == "2=0.1"


def test_a_shadow_is_shown(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """In the list and the history, for people and for programs; what another program wrote wrongly breaks no list."""
    change(world, shadowed("stable=0.1 headrace.shadow"))
    capsys.readouterr()
    model_actions.show_models(world.access(), Output())
    lines = capsys.readouterr().out.splitlines()
    (titles,) = (line for line in lines if "revision" in line)
    (listed,) = (line for line in lines if "stable=0.1 headrace.shadow" in line)
    assert listed.index("stable=0.1 headrace.shadow") == titles.index("shadow")
    model_actions.show_history(world.access(), "m", Output())
    assert "stable=0.1 headrace.shadow" in capsys.readouterr().out
    model_actions.show_models(world.access(), Output("json"))
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["shadow"] == {"to": "stable", "share": 0.1, "topic": "headrace.shadow"}
    assert [past["shadow"] for past in shown["history"]] == [None, None]
    assert shadow_document(replace(TWO, parameters={SHADOW: b"nonsense"})) is None
