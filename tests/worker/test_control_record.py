"""What a control record may say."""

from dataclasses import replace

import pytest

from schemas import codec
from schemas.model_config import (
    GOLDEN,
    LOADING,
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
from schemas.predict_request import PredictRequest
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions, VersionSelection
from worker import control_record
from worker.control_record import InvalidControlRecord, Known

CONFIG = ModelConfig("/models/m")


def divided(split: str) -> ModelConfig:
    """Two versions, one of them labelled, and that split."""
    versions, parameters = SpecificVersions((1, 2)), {SPLIT: split.encode()}
    return ModelConfig("/models/m", versions=versions, labels={"stable": 1}, parameters=parameters)


def shadowed(shadow: str) -> ModelConfig:
    """The same with that shadow."""
    return replace(divided("1=1"), parameters={SHADOW: shadow.encode()})


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (None, "no key"),
        (b"", "no key"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a/b", "not allowed"),
        (b".hidden", "not allowed"),
        (b"two words", "not allowed"),
        ("modèle".encode(), "not allowed"),
        (b"m" * 129, "129 characters"),
    ],
)
def test_a_key_that_names_no_model_is_refused(key: bytes | None, said: str) -> None:
    """The sentence says what is wrong with the key."""
    with pytest.raises(InvalidControlRecord, match=said):
        control_record.model_name(key)


@pytest.mark.parametrize("key", [b"m", b"resnet-50_v1.5", b"0", b"_", b"m" * 128])
def test_a_model_name_has_letters_digits_and_a_few_signs(key: bytes) -> None:
    """What may be part of a status key, a metric's label and a log line may name a model."""
    assert control_record.model_name(key) == key.decode()


@pytest.mark.parametrize("value", [b"", b"garbage", codec.encode(CONFIG)[:-3]])
def test_bytes_that_are_no_config_are_refused(value: bytes) -> None:
    """Broken bytes are an invalid record, never a removal."""
    with pytest.raises(InvalidControlRecord, match="no ModelConfig"):
        control_record.read_config(value)


def test_a_record_that_is_too_large_is_refused() -> None:
    """Whatever it holds is kept in memory for as long as its model is there."""
    large = codec.encode(replace(CONFIG, parameters={f"k{n}": bytes(60_000) for n in range(18)}))

    with pytest.raises(
        InvalidControlRecord, match=r"the value has 1,080,\d+ bytes; at most 1,048,576 are allowed"
    ):
        control_record.read_config(large)


def test_a_record_of_another_kind_is_refused() -> None:
    """A request on the control topic is no config."""
    with pytest.raises(InvalidControlRecord, match="no ModelConfig"):
        control_record.read_config(codec.encode(PredictRequest("m")))


def test_a_config_comes_back_as_it_was_written() -> None:
    """Reading changes nothing."""
    config = replace(
        CONFIG,
        versions=SpecificVersions((3, 4)),
        labels={"stable": 3},
        batching=BatchingOptions(max_batch_rows=8, allowed_batch_rows=(4, 8)),
        revision=7,
        author="a@b",
        comment="why",
    )

    assert control_record.read_config(codec.encode(config), Known({"saved_model"})) == config


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (replace(CONFIG, base_path=""), "base_path is empty"),
        (replace(CONFIG, base_path="models/m"), "not absolute"),
        (replace(CONFIG, base_path="/m\0"), "no path"),
        (replace(CONFIG, versions=SpecificVersions(())), "empty list"),
        (replace(CONFIG, versions=SpecificVersions((1, 1))), "twice"),
        (replace(CONFIG, versions=SpecificVersions((-1,))), "0 or more"),
        (replace(CONFIG, versions=LatestVersions(0)), "1 or more"),
        (replace(CONFIG, labels={"": 1}), "label ''"),
        (replace(CONFIG, labels={"stable": -1}), "0 or more"),
        (
            replace(CONFIG, versions=SpecificVersions((3,)), labels={"stable": 4}),
            "label 'stable' points to version 4, which is not among",
        ),
        (
            replace(CONFIG, versions=SpecificVersions(tuple(range(1001)))),
            "lists 1,001 versions; at most 1,000",
        ),
        (divided("1=1 9=1"), "split names version 9, which is not among the versions listed"),
        (
            divided("stable=1 canary=1"),
            "split names 'canary', which is no label of the model; its labels: stable",
        ),
        (divided("1=0"), "split: nothing has a weight above 0"),
        (shadowed("9=0.1"), "shadow names version 9, which is not among the versions listed"),
        (
            shadowed("canary=0.1 topic"),
            "shadow names 'canary', which is no label of the model; its labels: stable",
        ),
        (
            ModelConfig("/m", parameters={SHADOW: b"9223372036854775808=1"}),
            "shadow names version 9223372036854775808; expected at most",
        ),
        (shadowed("2=0"), "shadow: the share is 0; expected more than 0"),
        (shadowed("2=1 a b"), "shadow: '2=1 a b' is not understood"),
        (shadowed("2=1 a/b"), "shadow: topic 'a/b' is none that Kafka takes"),
        (shadowed("2"), "shadow: '2' is not understood; expected TARGET="),
        (divided("1"), "split: '1' is not understood; expected TARGET=WEIGHT"),
        (replace(divided(f"{2**63}=1"), versions=AllVersions()), "expected at most 9223372036854775807"),
        (replace(CONFIG, parameters={WARMUP: b"maybe"}), "warmup is 'maybe'; expected fail or warn or off"),
        (replace(CONFIG, parameters={LOADING: b"Lazy"}), "loading is 'Lazy'; expected eager or lazy"),
        (replace(CONFIG, parameters={PRIORITY: b"10"}), "priority is '10'; expected one digit, 0 to 9"),
        (replace(CONFIG, parameters={PRIORITY: "²".encode()}), "priority is '²'; expected one digit"),
        (
            replace(CONFIG, parameters={PADDING_POLICY: b"PAD_UP"}),
            "padding_policy is 'PAD_UP'; expected pad_up or batch_down or minimize_cost",
        ),
        (
            replace(CONFIG, parameters={P99_MS: b"fast"}),
            "p99_ms is 'fast'; expected a decimal number, 0 to 3,600,000",
        ),
        (replace(CONFIG, parameters={P99_MS: b"-1"}), "p99_ms is '-1'; expected"),
        (replace(CONFIG, parameters={P99_MS: b"3600001"}), "p99_ms is '3600001'; expected"),
        (replace(CONFIG, parameters={P99_MS: b"nan"}), "p99_ms is 'nan'; expected"),
        (replace(CONFIG, parameters={P99_MS: "²".encode()}), "p99_ms is '²'; expected"),
        (
            replace(CONFIG, parameters={RAGGED: b"yes"}),
            "ragged is 'yes'; expected off, on, or at most 1,000 sizes",
        ),
        (replace(CONFIG, parameters={RAGGED: b"8,-4"}), "ragged is '8,-4'; expected"),
        (
            replace(CONFIG, parameters={RAGGED: b"8,4"}),
            "ragged is '8,4'; expected off, on, or at most 1,000 sizes that increase",
        ),
        (replace(CONFIG, parameters={RAGGED: b"0,4"}), "ragged is '0,4'; expected"),
        (
            replace(CONFIG, parameters={RAGGED: b"1" + b",1" * 1000}),
            "expected off, on, or at most 1,000 sizes",
        ),
        (
            replace(CONFIG, parameters={RAGGED_PAD_VALUES: b"ids"}),
            "ragged_pad_values is 'ids'; expected INPUT=VALUE on each line",
        ),
        (replace(CONFIG, parameters={GOLDEN: b"{}"}), "line 1 of golden: "),
        (
            replace(CONFIG, parameters={GOLDEN: b" " * 16_385}),
            r"golden has 16,385 bytes; at most 16,384 are allowed in a record: put the others beside each version",
        ),
        (replace(CONFIG, labels={f"l{n}": 1 for n in range(1001)}), "there are 1,001 labels; at most 1,000"),
        (replace(CONFIG, batching=BatchingOptions(max_batch_rows=0)), "max_batch_rows is 0"),
        (replace(CONFIG, batching=BatchingOptions(max_batch_rows=2**62)), "expected 1 to 1,048,576"),
        (replace(CONFIG, batching=BatchingOptions(batch_timeout_seconds=86_401.0)), "expected 0 to 86,400"),
        (replace(CONFIG, batching=BatchingOptions(max_enqueued_batches=2**62)), "expected 1 to 1,000,000"),
        (replace(CONFIG, batching=BatchingOptions(allowed_batch_rows=(1, 2**62))), "none above 1,048,576"),
        (
            replace(CONFIG, batching=BatchingOptions(allowed_batch_rows=tuple(range(1, 1002)))),
            r"\[1, 2, 3, 4, 5, 6, 7, 8 and 993 more\]: expected at most 1,000 sizes",
        ),
        (replace(CONFIG, batching=BatchingOptions(batch_timeout_seconds=-1.0)), "batch_timeout_seconds"),
        (replace(CONFIG, batching=BatchingOptions(batch_timeout_seconds=float("nan"))), "batch_timeout"),
        (replace(CONFIG, batching=BatchingOptions(max_enqueued_batches=0)), "max_enqueued_batches is 0"),
        (replace(CONFIG, batching=BatchingOptions(allowed_batch_rows=(4, 2))), "must increase"),
        (replace(CONFIG, batching=BatchingOptions(max_batch_rows=8, allowed_batch_rows=(4,))), "end at"),
        (
            replace(CONFIG, loader="cobol"),
            "loader 'cobol' does not exist on this worker, which has saved_model",
        ),
        (replace(CONFIG, loader="-o"), "loader '-o' is not allowed"),
    ],
)
def test_a_config_that_breaks_a_rule_is_refused_with_the_rule(config: ModelConfig, said: str) -> None:
    """The sentence names the field at fault."""
    with pytest.raises(InvalidControlRecord, match=said):
        control_record.check_config(config, Known({"saved_model"}))


def test_everything_that_is_wrong_is_named_at_once() -> None:
    """Nobody has to fix one fault to be told of the next."""
    wrong = replace(CONFIG, base_path="", versions=LatestVersions(0))

    with pytest.raises(InvalidControlRecord, match=r"base_path is empty; latest:0"):
        control_record.check_config(wrong)


@pytest.mark.parametrize("versions", [SpecificVersions((0,)), LatestVersions(2), AllVersions()])
def test_each_way_to_choose_versions_is_taken(versions: VersionSelection) -> None:
    """Version 0 is a version like any other."""
    control_record.check_config(replace(CONFIG, versions=versions))


def test_a_label_may_point_to_a_version_that_a_watched_selection_may_bring() -> None:
    """Which versions `latest` and `all` bring is not known from the record."""
    control_record.check_config(replace(CONFIG, versions=AllVersions(), labels={"canary": 9}))


@pytest.mark.parametrize(
    "config",
    [
        replace(CONFIG, labels={f"no label {n}": n for n in range(1000)}),
        replace(CONFIG, loader="x" * 60_000),
        replace(CONFIG, versions=SpecificVersions((2**62,) * 60_000)),
        replace(CONFIG, batching=BatchingOptions(allowed_batch_rows=(2**62,) * 60_000)),
    ],
)
def test_what_is_wrong_is_told_in_short(config: ModelConfig) -> None:
    """It has to fit a status record and a line of the log, whatever the record holds."""
    with pytest.raises(InvalidControlRecord) as caught:
        control_record.check_config(config, Known({"saved_model"}))

    assert len(str(caught.value)) < 1100
