"""The table of desired models."""

from dataclasses import replace

from schemas import codec
from schemas.model_config import ModelConfig
from schemas.version_selection import LatestVersions, SpecificVersions
from worker.model_table import Change, ModelTable

CONFIG = ModelConfig("/models/m", versions=SpecificVersions((3, 4)), labels={"stable": 3})


def value(config: ModelConfig = CONFIG) -> bytes:
    """The record's value."""
    return codec.encode(config)


def test_a_record_is_the_complete_desired_state_of_its_model() -> None:
    """The later record replaces the earlier one whole."""
    table = ModelTable()
    table.apply(b"m", value(), 0)

    assert table.apply(b"m", value(replace(CONFIG, labels={})), 1) == (Change.SET, "m")
    model = table.lookup("m")
    assert model is not None
    assert (model.versions, model.labels, model.offset, model.config_offset) == ((4, 3), {}, 1, 1)
    assert model.problem is None


def test_a_record_without_a_value_removes_its_model() -> None:
    """What was not there is not removed."""
    table = ModelTable()
    table.apply(b"m", value(), 0)

    assert table.apply(b"m", None, 1) == (Change.REMOVED, "m")
    assert table.lookup("m") is None
    assert table.apply(b"m", None, 2) == (Change.NOTHING, "m")


def test_an_invalid_record_is_never_a_removal() -> None:
    """What was desired stays desired, with the problem beside it."""
    table = ModelTable()
    table.apply(b"m", value(), 0)

    assert table.apply(b"m", b"garbage", 1) == (Change.INVALID, "m")
    model = table.lookup("m")
    assert model is not None
    assert model.config == CONFIG
    assert (model.offset, model.config_offset, model.record_valid) == (1, 0, False)
    assert model.problem is not None
    assert model.problem.startswith("control record 1 is not valid: ")


def test_a_model_whose_only_record_is_invalid_is_known_by_its_problem() -> None:
    """It is on the control topic, and nothing can be said of its versions."""
    table = ModelTable()
    table.apply(b"m", b"garbage", 0)

    model = table.lookup("m")
    assert model is not None
    assert model.config is None
    assert model.versions == ()


def test_a_valid_record_ends_the_problem_of_an_invalid_one() -> None:
    """Nothing of the invalid record is left."""
    table = ModelTable()
    table.apply(b"m", b"garbage", 0)
    table.apply(b"m", value(), 1)

    model = table.lookup("m")
    assert model is not None
    assert model.problem is None
    assert model.record_valid


def test_a_removal_also_removes_an_invalid_record() -> None:
    """A tombstone needs no valid predecessor."""
    table = ModelTable()
    table.apply(b"m", b"garbage", 0)

    assert table.apply(b"m", None, 1) == (Change.REMOVED, "m")


def test_a_record_whose_key_names_no_model_changes_nothing_and_is_kept_as_rejected() -> None:
    """There is no model to keep its problem with."""
    table = ModelTable()
    table.apply(b"m", value(), 0)

    change, reason = table.apply(None, value(), 1)
    assert change is Change.REJECTED
    assert [(r.offset, r.reason) for r in table.rejected] == [(1, reason)]
    assert set(table.models) == {"m"}


def test_a_flood_of_garbage_keys_keeps_the_latest_hundred() -> None:
    """Memory is bounded, whatever arrives."""
    table = ModelTable()
    for offset in range(250):
        table.apply(b"\xff", None, offset)

    assert [r.offset for r in table.rejected] == list(range(150, 250))


def test_a_loader_that_this_worker_does_not_have_is_a_problem_of_its_model() -> None:
    """The sentence names it."""
    table = ModelTable({"numpy"})
    assert table.apply(b"m", value(), 0) == (Change.INVALID, "m")

    model = table.lookup("m")
    assert model is not None
    assert "loader 'saved_model' does not exist" in str(model.problem)


def test_a_snapshot_never_changes() -> None:
    """A reader on another thread goes on with what it has."""
    table = ModelTable()
    table.apply(b"m", value(), 0)
    snapshot = table.models
    table.apply(b"m", None, 1)

    assert set(snapshot) == {"m"}
    assert set(table.models) == set()


def test_what_was_found_is_shown_with_the_model() -> None:
    """Versions highest first, with the reasons of those that are missing."""
    table = ModelTable()
    table.apply(b"m", value(), 0)
    table.found("m", (3, 4), {4: "gone"}, "gone")

    model = table.lookup("m")
    assert model is not None
    assert (model.versions, dict(model.failures), model.problem) == ((4, 3), {4: "gone"}, "gone")


def test_the_problem_of_an_invalid_record_stays_while_the_earlier_one_is_worked_on() -> None:
    """What was found for the config that still holds does not hide that the latest record is wrong."""
    table = ModelTable()
    table.apply(b"m", value(), 0)
    table.apply(b"m", b"garbage", 1)
    table.found("m", (3, 4), {}, None)

    model = table.lookup("m")
    assert model is not None
    assert "not valid" in str(model.problem)


def test_until_its_base_path_has_been_looked_at_a_model_keeps_its_versions() -> None:
    """A request for a version that serves is not refused because a new record has come."""
    table = ModelTable()
    table.apply(b"m", value(), 0)
    table.apply(b"m", value(ModelConfig("/models/m", versions=LatestVersions(1))), 1)

    model = table.lookup("m")
    assert model is not None
    assert model.versions == (4, 3)


def labelled(version: int, history: tuple[ModelConfig, ...] = (), **labels: int) -> bytes:
    """A record with these labels, whose history has the configs, newest first."""
    config = replace(CONFIG, versions=SpecificVersions((1, 2, 3, 4)), labels=labels, revision=version)
    return codec.encode(replace(config, history=tuple(each.as_past() for each in history)))


def past(**labels: int) -> ModelConfig:
    """A config of the history."""
    return replace(CONFIG, labels=labels)


def test_what_a_label_meant_before_is_known_by_the_records_own_history() -> None:
    """So a worker that starts later knows it; no further back than the label was set without a break."""
    table = ModelTable()
    history = (
        past(stable=3, canary=4),
        past(stable=3),
        past(stable=2, canary=1),
        past(canary=1),
        past(stable=1),
    )
    table.apply(b"m", labelled(6, history, stable=4, canary=4, new=1), 0)

    model = table.lookup("m")
    assert model is not None
    assert model.former == {"stable": (3, 2)}


def test_a_record_without_a_history_follows_the_one_that_it_replaces() -> None:
    """Other programs write records, too."""
    table = ModelTable()
    table.apply(b"m", labelled(1, stable=1), 0)
    table.apply(b"m", labelled(2, stable=2), 1)
    model = table.lookup("m")
    assert model is not None
    assert model.former == {"stable": (1,)}

    table.apply(b"m", b"garbage", 2)
    table.apply(b"m", labelled(3, stable=2), 3)
    model = table.lookup("m")
    assert model is not None
    assert model.former == {}
