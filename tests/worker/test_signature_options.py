"""Batching options for single signatures of a model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching.options import PaddingPolicy
from lifecycle.servable_id import ServableId
from schemas import codec
from schemas.model_config import SIGNATURES, BatchingOptions, ModelConfig
from tests.fakes.request_path import Lab, request
from tests.worker.commands.test_model_file import read, refusal
from tests.worker.test_readiness import World
from worker import control_record, signature_options
from worker.commands import model_views
from worker.control_record import InvalidControlRecord
from worker.model_queue_options import ModelQueueOptions
from worker.model_table import ModelTable
from worker.settings_serving import BatchingSettings

CONFIG = ModelConfig("/models/m", batching=BatchingOptions(max_batch_rows=8))


def said(tables: object) -> dict[str, bytes]:
    """The parameter of a record."""
    return {SIGNATURES: json.dumps(tables).encode()}


def options_of(config: ModelConfig, **own: Any) -> ModelQueueOptions:
    """Those of a worker with that record."""
    table = ModelTable()
    table.apply(b"m", codec.encode(config), 0)
    return ModelQueueOptions(BatchingSettings(**own), table)


def test_a_signature_has_its_own_options_and_the_rest_of_its_model() -> None:
    """And its model the rest of the worker's; other signatures are as without."""
    tables = {
        "text": {"max_batch_rows": 2, "padding_policy": "batch_down", "p99_ms": 20, "max_request_rows": 64}
    }
    found = options_of(replace(CONFIG, parameters=said(tables)), ageing_seconds=3.0, max_request_rows=16)
    text, other = (found.of(ServableId("m", 1), name) for name in ("text", "other"))

    assert (text.max_batch_rows, text.padding_policy, text.ageing_seconds) == (
        2,
        PaddingPolicy.BATCH_DOWN,
        3.0,
    )
    assert (other.max_batch_rows, other.padding_policy, other.ageing_seconds) == (
        8,
        PaddingPolicy.PAD_UP,
        3.0,
    )
    assert [found.max_request_rows("m", name) for name in ("text", "other")] == [64, 16]
    assert [found.p99_seconds("m", name) for name in ("text", "other")] == [0.02, 0.0]


def test_requests_of_a_signature_are_run_by_its_options() -> None:
    """From the next request on, when a record changes them."""
    lab = Lab()
    lab.set_model(
        batching=BatchingOptions(max_batch_rows=8), parameters=said({"text": {"max_batch_rows": 2}})
    )
    worker = lab.worker().join()
    for n in range(4):
        lab.send(request(1, 2, id=f"text{n}", signature="text"))
        lab.send(request(1, 2, id=f"usual{n}"))
    lab.send(request(1, 2, 3, id="large", signature="text"))
    worker.until_committed(9)
    rows = {
        name: [rows for each, rows in lab.servable().runs if each == name]
        for name in ("text", "serving_default")
    }
    assert max(rows["text"]) == 2
    assert max(rows["serving_default"]) > 2
    assert lab.codes()["large"] == 8
    assert set(lab.codes().values()) == {0, 8}

    lab.set_model(
        batching=BatchingOptions(max_batch_rows=8), parameters=said({"text": {"max_batch_rows": 3}})
    )
    lab.send(request(1, 2, 3, id="again", signature="text"))
    worker.until_committed(10)
    assert lab.codes()["again"] == 0


def test_options_that_contradict_the_models_are_told_of_and_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of that signature alone; whether sizes end at the largest batch only their model's options say."""
    tables = {"bad": {"allowed_batch_rows": [2, 4]}, "good": {"allowed_batch_rows": [2, 8]}}
    found = options_of(replace(CONFIG, parameters=said(tables)))
    bad, good = (found.of(ServableId("m", 1), name) for name in ("bad", "good"))

    assert (bad.allowed_batch_rows, good.allowed_batch_rows) == ((), (2, 8))
    (line,) = caplog.records
    assert line.getMessage().startswith("a signature's batching options cannot be used")
    assert (vars(line)["model"], vars(line)["signature"]) == ("m", "bad")


def test_versions_are_warmed_up_for_all_sizes() -> None:
    """Of the model, and of each signature."""
    sizes = {"a": {"allowed_batch_rows": [1, 8]}, "b": {"max_batch_rows": 16}}
    batching = BatchingOptions(8, allowed_batch_rows=(4, 8))
    found = options_of(replace(CONFIG, batching=batching, parameters=said(sizes)))

    assert found.sizes("m") == (1, 4, 8, 16)
    assert options_of(CONFIG).sizes("m") == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"{", "signatures is no JSON"),
        (b"\xff", "signatures is no JSON"),
        (b"[" * 16_000, "signatures is no JSON"),
        (b"[]", "expected an object with at most 100 signatures"),
        (json.dumps({str(n): {} for n in range(101)}).encode(), "at most 100 signatures"),
        (b" " * 16_385, "signatures has 16,385 bytes; at most 16,384"),
        (b'{"": {}}', "signatures names ''"),
        (b'{"s": 1}', "signature 's': options: Input should be"),
        (b'{"s": {"max_rows": 1}}', "signature 's': max_rows: Extra inputs are not permitted"),
        (b'{"s": {"max_batch_rows": "8"}}', "signature 's': max_batch_rows: Input should be a valid integer"),
        (b'{"s": {"max_batch_rows": 0}}', "signature 's': max_batch_rows is 0; expected 1 to 1,048,576"),
        (b'{"s": {"batch_timeout_seconds": NaN}}', "signature 's': batch_timeout_seconds is nan"),
        (b'{"s": {"p99_ms": Infinity}}', "signature 's': p99_ms is 'inf'"),
        (b'{"s": {"p99_ms": -1}}', "signature 's': p99_ms is '-1'"),
        (b'{"s": {"p99_ms": 1' + b"0" * 400 + b"}}", "signature 's': p99_ms"),
        (b'{"s": {"filling": "some"}}', "signature 's': filling is 'some'; expected none or allowed or max"),
        (b'{"s": {"allowed_batch_rows": [4, 2]}}', "signature 's': allowed_batch_rows [4, 2] must increase"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: bytes, problem: str) -> None:
    """A record with it changes nothing; and programs are shown nothing of it."""
    config = replace(CONFIG, parameters={SIGNATURES: text})
    with pytest.raises(InvalidControlRecord) as raised:
        control_record.check_config(config)
    assert problem in str(raised.value)
    if "no JSON" in problem or "Input" in problem:
        assert signature_options.document(config.parameters) is None
    assert "signatures" in model_views.config_document(config)


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.integers() | st.floats() | st.text(), st.lists).map(
        lambda value: json.dumps({"s": {"p99_ms": value}}).encode()
    )
)
def test_any_text_is_valid_or_refused(text: bytes) -> None:
    """Never anything else."""
    list(signature_options.problems({SIGNATURES: text}))


FILE = """
[models.m]
base_path = "/m"
[models.m.signatures.embed]
max_batch_rows = 16
allowed_batch_rows = [4, 16]
filling = "none"
[models.m.signatures.rank]
batch_timeout_seconds = 1
"""


def test_a_file_says_them_and_what_is_listed_can_be_applied_again(tmp_path: Path) -> None:
    """The same text for the same options, so that nothing differs the next time."""
    config = read(tmp_path, FILE)["m"]
    listed = {"model": "m", **model_views.config_document(config)}

    assert read(tmp_path, json.dumps([listed]), "models.json")["m"] == config
    assert listed["signatures"]["embed"] == {
        "max_batch_rows": 16,
        "allowed_batch_rows": [4, 16],
        "filling": "none",
    }
    (change,) = model_views.differences(replace(config, parameters={}), config)
    assert (change[0], change[1]) == ("signatures", "")
    assert '"rank":{"batch_timeout_seconds":1.0}' in change[2]


def test_a_file_with_an_option_that_there_is_none_of_is_refused(tmp_path: Path) -> None:
    """With the place where it stands."""
    assert "signatures.embed.rows" in refusal(tmp_path, FILE.replace("filling", "rows"))


def test_a_signature_that_a_version_lacks_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """When it is loaded, with those that it has."""
    world = World(tmp_path)
    world.write(1)
    world.set(signatures='{"serving_defualt": {"max_batch_rows": 2}}')

    (line,) = [each for each in caplog.records if "does not have" in each.getMessage()]
    assert vars(line)["signature"] == "serving_defualt"
    assert "serving_default" in vars(line)["signatures"]


def test_a_pad_value_for_an_input_that_a_version_lacks_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the model and of its signatures, with the inputs that there are."""
    world = World(tmp_path)
    world.write(1)
    world.set(
        signatures='{"serving_default": {"ragged_pad_values": ["words=[PAD]", "x=1"]}}',
        ragged_pad_values="idz=1\nx=2",
    )

    lines = [each for each in caplog.records if "pad value for an input" in each.getMessage()]
    assert [vars(line)["input"] for line in lines] == ["idz", "words"]
    assert "x" in vars(lines[0])["inputs"].split(", ")
