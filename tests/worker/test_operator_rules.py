"""What the operator of a worker allows control records to ask for."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.measured_loader import MeasuredLoader
from lifecycle.saved_model_judgement import GraphRules
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.warmup import WarmedLoader
from schemas import codec
from schemas.model_config import SHADOW, ModelConfig
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions
from worker import control_record, managing
from worker.base_path_roots import BasePathRoots
from worker.control_record import InvalidControlRecord, Known
from worker.freed_memory import GivingLoader
from worker.model_table import Change, ModelTable
from worker.operator_rules import OperatorRules
from worker.rooted_loader import RootedLoader
from worker.settings import Settings
from worker.settings_lifecycle import LifecycleSettings
from worker.version_paths import find_versions
from worker.version_sources import Source

CONFIG = ModelConfig("/srv/models/m", loader="numpy")
RULES = OperatorRules(BasePathRoots(["/srv/models"]), disabled_loaders={"saved_model"})


def settings(**lifecycle: object) -> Settings:
    """Settings with these of the group."""
    return Settings(worker_id="w", lifecycle=LifecycleSettings.model_validate(lifecycle))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (replace(CONFIG, base_path="/etc"), "base_path '/etc' lies under none of lifecycle.base_path_roots"),
        (replace(CONFIG, base_path="/srv/models/../x"), r"has '\.\.' in it"),
        (
            replace(CONFIG, loader="saved_model"),
            "^loader 'saved_model' is not enabled on this worker, which has numpy; .*or add it to lifecycle.loaders",
        ),
        (replace(CONFIG, loader="cobol"), "loader 'cobol' does not exist on this worker, which has numpy$"),
    ],
)
def test_a_record_that_asks_for_more_than_is_allowed_is_refused(config: ModelConfig, said: str) -> None:
    """With what to do about it."""
    known = Known({"numpy"}, rules=RULES)
    control_record.check_config(CONFIG, known)

    with pytest.raises(InvalidControlRecord, match=said):
        control_record.check_config(config, known)


def test_what_was_desired_stays_desired_after_a_record_that_asks_for_too_much() -> None:
    """It is treated as any record that cannot be applied, and other models do not notice."""
    table = ModelTable({"numpy"}, rules=RULES)
    table.apply(b"m", codec.encode(CONFIG), 0)

    change, _ = table.apply(b"m", codec.encode(replace(CONFIG, base_path="/etc")), 1)
    other, _ = table.apply(b"other", codec.encode(CONFIG), 2)

    assert (change, other) == (Change.INVALID, Change.SET)
    model = table.lookup("m")
    assert model is not None
    assert model.config == CONFIG
    assert "lifecycle.base_path_roots" in str(model.problem)


def test_one_model_too_many_is_rejected_and_the_others_are_not() -> None:
    """It is kept nowhere, so that a flood of names ends; what is there can still change, and make room."""
    table = ModelTable(rules=OperatorRules(most_models=2))
    for number, name in enumerate([b"a", b"b", b"c", b"a"]):
        table.apply(name, codec.encode(CONFIG), number)

    assert set(table.models) == {"a", "b"}
    assert table.models["a"].offset == 3
    (rejected,) = table.rejected
    assert rejected.offset == 2
    assert rejected.reason.startswith(
        "model 'c' is one more than the 2 that this worker takes (lifecycle.most_models)"
    )
    table.apply(b"b", None, 4)
    assert table.apply(b"c", codec.encode(CONFIG), 5) == (Change.SET, "c")


def test_garbage_under_a_name_too_many_grows_nothing() -> None:
    """A record that cannot be read is kept as a problem of its model only where the model may be."""
    table = ModelTable(rules=OperatorRules(most_models=1))
    table.apply(b"a", b"garbage", 0)

    assert table.apply(b"b", b"garbage", 1)[0] is Change.REJECTED
    assert set(table.models) == {"a"}


def test_a_list_of_too_many_versions_is_refused() -> None:
    """By its length alone."""
    known = Known(rules=OperatorRules(most_versions=2))
    control_record.check_config(replace(CONFIG, versions=SpecificVersions((1, 2))), known)

    with pytest.raises(InvalidControlRecord, match=r"^3 versions are wanted, and at most 2 .*most_versions"):
        control_record.check_config(replace(CONFIG, versions=SpecificVersions((1, 2, 3))), known)


@pytest.mark.parametrize(
    ("selection", "served"),
    [(AllVersions(), 0), (LatestVersions(9), 0), (LatestVersions(3), 0), (LatestVersions(2), 2)],
)
def test_a_base_path_that_brings_too_many_versions_is_refused(
    selection: AllVersions | LatestVersions, served: int
) -> None:
    """As a problem of the model, which takes nothing away; what is not asked for does not count."""
    found = find_versions("/m", selection, lambda _: ["1", "2", "3"], rules=OperatorRules(most_versions=2))

    assert len(found.paths) == served
    assert (found.problem is None) == bool(served)
    assert served or str(found.problem).startswith(
        "3 versions are wanted, and at most 2 of a model are served"
    )


def test_every_loader_that_is_here_is_enabled_by_default() -> None:
    """Headrace's own, and what is installed."""
    loaders, rules = managing.new_loaders(settings())

    assert {"numpy", "saved_model"} <= set(loaders)
    assert not rules.disabled_loaders
    assert not rules.roots


def test_only_the_loaders_that_are_named_are_enabled(caplog: pytest.LogCaptureFixture) -> None:
    """One that is named and is not here is told in the log, since no record can use it."""
    with caplog.at_level(logging.ERROR):
        loaders, rules = managing.new_loaders(settings(loaders=["numpy", "numppy"]))

    assert list(loaders) == ["numpy"]
    assert "saved_model" in rules.disabled_loaders
    (record,) = [each for each in caplog.records if "lifecycle.loaders" in str(vars(each).get("problem"))]
    assert (
        "names 'numppy', which is not here; there are keras, lookup_table, numpy," in vars(record)["problem"]
    )


def test_the_settings_reach_the_loaders(tmp_path: Path) -> None:
    """Roots go around each of them, and allowed operations into that of SavedModels."""
    loaders, rules = managing.new_loaders(
        settings(
            base_path_roots=[str(tmp_path)],
            allowed_operations=["ReadFile"],
            most_graph_bytes=7,
            most_models=8,
            most_versions=9,
            warmup=False,
        )
    )

    assert rules.roots.problem_of_text(str(tmp_path / "m")) is None
    measured = loaders.loader(Source("saved_model", str(tmp_path / "1")), 1)
    assert isinstance(measured, MeasuredLoader)
    validated = vars(vars(measured)["_loader"])["_loader"]
    warmed = vars(validated)["_loader"]
    assert isinstance(warmed, WarmedLoader)
    giving = vars(warmed)["_loader"]
    assert isinstance(giving, GivingLoader)
    rooted = vars(giving)["_loader"]
    assert isinstance(rooted, RootedLoader)
    inner = vars(rooted)["_loader"]
    assert isinstance(inner, SavedModelLoader)
    assert inner.rules == GraphRules(frozenset({"ReadFile"}), most_bytes=7)
    assert (rules.most_models, rules.most_versions) == (8, 9)


@pytest.mark.parametrize("roots", [["models"], ["/srv/../etc"]])
def test_settings_with_a_root_that_is_none_are_refused(roots: list[str]) -> None:
    """Before a worker starts."""
    with pytest.raises(ValueError, match="base_path_roots"):
        settings(base_path_roots=roots)


@pytest.mark.parametrize(
    "topic",
    [
        "headrace.requests",
        "headrace.replies",
        "headrace.requests-dlt",
        "headrace.control",
        "headrace.status",
        "asked.7",
    ],
)
def test_the_replies_of_a_shadow_go_nowhere_where_anybody_would_take_them_for_others(topic: str) -> None:
    """None of this worker's topics, and none that requests may name."""
    binding = {"request_topics": ["headrace.requests"], "reply_topic": "headrace.replies"}
    allowed = {**binding, "allowed_reply_topics": [r"asked\..*"]}
    _, rules = managing.new_loaders(Settings.model_validate({"worker_id": "w", "bindings": [allowed]}))
    shadow = {SHADOW: f"2=0.1 {topic}".encode()}

    with pytest.raises(InvalidControlRecord, match=f"shadow names topic '{topic}', which this worker reads"):
        control_record.check_config(replace(CONFIG, parameters=shadow), Known(rules=rules))
    for text in (b"2=0.1", b"2=0.1 headrace.shadow"):
        control_record.check_config(replace(CONFIG, parameters={SHADOW: text}), Known(rules=rules))
