"""Batching options that a control record says in its parameters."""

from typing import Any

import pytest

from batching.options import Filling, PaddingPolicy, QueueOptions
from schemas.model_config import BatchingOptions, ModelConfig
from tests.fakes.request_path import Lab, request
from worker import batching_parameters
from worker.batching_parameters import ALL, BatchingParameter
from worker.commands.model_file import _Model
from worker.commands.models import models
from worker.model_queue_options import combine
from worker.ragged_options import RaggedOptions
from worker.settings_serving import BatchingSettings

VALUES: dict[str, Any] = {
    "priority": 7,
    "filling": Filling.ALLOWED,
    "ageing_seconds": 2.5,
    "padding_policy": PaddingPolicy.BATCH_DOWN,
    "max_request_rows": 4096,
    "p99_ms": 0.125,
    "ragged": "8,16",
    "ragged_pad_values": ["ids=1", "words=a b"],
    "devices": ["GPU:0", "GPU:1"],
}
BAD: dict[str, tuple[bytes, ...]] = {
    "priority": (b"", b"10", b"-1", "²".encode(), b"\xff"),
    "filling": (b"", b"MAX", b"some"),
    "ageing_seconds": (b"", b"soon", b"-1", b"1e3", b"3600.5", b"nan"),
    "padding_policy": (b"", b"down"),
    "max_request_rows": (b"", b"-1", b"1.0", b"1048577", b"9" * 5000),
    "p99_ms": (b"", b"fast", b"-1", b"3600001", b"inf"),
    "ragged": (b"", b"yes", b"8,4", b"0,4", b"8,", b"1" + b",1" * 1000, "²".encode()),
    "ragged_pad_values": (b"ids", b"=1", b"ids=1\n\nwords=2"),
    "devices": (b"", b"GPU", b"gpu:0", b"GPU:0,", b"GPU:1000", b"GPU:0," * 65 + b"GPU:0"),
}
each_parameter = pytest.mark.parametrize("parameter", ALL, ids=lambda each: each.name)


@each_parameter
def test_a_value_is_read_as_it_is_written(parameter: BatchingParameter) -> None:
    """For the worker, and for programs."""
    value = VALUES[parameter.name]
    parameters = batching_parameters.encoded({parameter.name: value, "beside": 1})

    assert parameters.keys() == {parameter.name}
    assert parameter.value(parameters) == parameter.document(parameters) == value
    assert list(batching_parameters.problems(parameters)) == []


@each_parameter
def test_what_is_not_said_is_nothing(parameter: BatchingParameter) -> None:
    """Neither a value nor a problem."""
    assert batching_parameters.encoded({parameter.name: None}) == {}
    assert parameter.value({}) is None
    assert parameter.text({}) is None
    assert list(parameter.problems({})) == []


@each_parameter
def test_a_text_that_means_nothing_is_named_with_what_was_expected(parameter: BatchingParameter) -> None:
    """Cut where it is long; and shown as nothing where another program wrote it."""
    for text in BAD[parameter.name]:
        parameters = {parameter.name: text}
        (problem,) = batching_parameters.problems(parameters)
        assert problem.startswith(f"{parameter.name} is ")
        assert problem.endswith(f"expected {parameter.expected}")
        assert len(problem) < 200
        assert parameter.document(parameters) is None


@each_parameter
def test_each_can_be_said_by_a_command_and_in_a_file(parameter: BatchingParameter) -> None:
    """By the same name."""
    options = {flag for each in models.commands["set"].params for flag in each.opts}
    words = parameter.words(batching_parameters.encoded(VALUES))
    assert set(words[::2]) <= options
    assert words[::2]
    assert parameter.words({}) == []
    assert parameter.name in _Model.model_fields


def test_a_models_options_are_the_settings_but_for_what_it_says() -> None:
    """Each by itself."""
    own = BatchingSettings(
        max_batch_rows=16, allowed_batch_rows=(4, 8, 16), max_request_rows=64, p99_seconds=1.0
    )
    base = combine(own, None)
    assert base.queue == QueueOptions(16, allowed_batch_rows=(4, 8, 16))
    assert (base.max_request_rows, base.p99_seconds) == (64, 1.0)

    said = combine(own, ModelConfig("/m", parameters=batching_parameters.encoded(VALUES)))
    assert said.queue == QueueOptions(
        16,
        allowed_batch_rows=(4, 8, 16),
        priority=7,
        ageing_seconds=2.5,
        filling=Filling.ALLOWED,
        padding_policy=PaddingPolicy.BATCH_DOWN,
    )
    assert (said.max_request_rows, said.p99_seconds) == (4096, 0.000125)
    assert (base.ragged, said.ragged) == (None, RaggedOptions((8, 16), ("ids=1", "words=a b")))

    smaller = combine(own, ModelConfig("/m", batching=BatchingOptions(12)))
    assert smaller.queue == QueueOptions(12, allowed_batch_rows=(4, 8, 12))


@pytest.mark.parametrize(("said", "largest"), [("10", 10), ("0", 4), (None, 8)])
def test_a_model_says_how_large_its_requests_may_be(said: str | None, largest: int) -> None:
    """More than the worker's settings, or none larger than a batch."""
    lab = Lab()
    lab.set_model(parameters={} if said is None else {"max_request_rows": said.encode()})
    worker = lab.worker(batching={"max_batch_rows": 4, "max_request_rows": 8}).join()
    lab.send(request(*range(largest), id="fits"))
    lab.send(request(*range(largest + 1), id="larger"))
    worker.until_committed(2)

    assert lab.codes() == {"fits": 0, "larger": 8}
    assert (
        lab.messages()["larger"] == f"the request has {largest + 1} rows; at most {largest} are taken in one"
    )


def test_a_record_changes_how_large_requests_may_be_while_they_come() -> None:
    """From the next request on."""
    lab = Lab()
    lab.set_model()
    worker = lab.worker(batching={"max_batch_rows": 4}).join()
    lab.send(request(*range(6), id="before"))
    worker.until_committed(1)
    lab.set_model(parameters={"max_request_rows": b"6"})
    lab.send(request(*range(6), id="after"))
    worker.until_committed(2)

    assert lab.codes() == {"before": 8, "after": 0}
