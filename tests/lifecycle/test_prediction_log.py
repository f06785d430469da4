"""TensorFlow Serving's file of recorded requests: which requests its records hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle import errors, prediction_log
from lifecycle.recorded_requests import MOST_REQUESTS, RecordedRequest
from lifecycle.signature import Signature, TensorSpec
from tests.kit import prediction_logs
from tests.kit.numpy_models import rows
from tests.kit.prediction_logs import example, examples_request, log, predict

pytestmark = pytest.mark.tensorflow

ONE_INPUT = Signature("s", "", {"serialized": TensorSpec("serialized", "DT_STRING", (None,))}, {})


def read(message: Any) -> list[RecordedRequest]:
    """The requests of one record."""
    return list(prediction_log.requests(message.SerializeToString(), "record 1"))


def refusal(record: bytes) -> str:
    """Why a record is refused."""
    with pytest.raises(errors.InvalidModel) as caught:
        list(prediction_log.requests(record, "record 1"))
    return str(caught.value)


def test_a_predict_log_has_its_inputs_signature_and_outputs() -> None:
    """The model and the version that it names do not matter."""
    (found,) = read(
        predict(
            {"x": np.array([[1, 2]], np.float32), "s": rows(b"a", b"b")},
            "mine",
            ["y", "z"],
            version={"value": 7},
        )
    )

    assert (found.place, found.signature, found.outputs) == ("record 1", "mine", ("y", "z"))
    inputs = found.inputs(ONE_INPUT)
    assert {name: array.tolist() for name, array in inputs.items()} == {"x": [[1, 2]], "s": [b"a", b"b"]}


def test_without_a_signature_it_is_the_default_one() -> None:
    """As a request's."""
    (found,) = read(log(predict_log={"request": {"model_spec": {"name": "m"}}}))

    assert (found.signature, found.inputs(ONE_INPUT)) == ("serving_default", {})


@pytest.mark.parametrize("kind", ["classify_log", "regress_log"])
def test_examples_go_into_the_only_input(kind: str) -> None:
    """Serialized, one row each."""
    given = [example(a=1.0), example(a=2.0, b=3.0)]
    (found,) = read(log(**{kind: {"request": examples_request("s", *given)}}))

    rows_given = [type(example()).FromString(each) for each in found.inputs(ONE_INPUT)["serialized"]]
    assert found.signature == "s"
    assert rows_given == given  # not their bytes: protobuf writes the entries of a map in any order


def test_the_context_of_examples_is_part_of_each() -> None:
    """So that a parser sees the features of both."""
    request = examples_request("s", example(a=1.0), example(a=2.0), context=example(c=9.0))
    (found,) = read(log(classify_log={"request": request}))

    merged = [type(example()).FromString(each) for each in found.inputs(ONE_INPUT)["serialized"]]
    assert merged == [example(a=1.0, c=9.0), example(a=2.0, c=9.0)]


def test_examples_need_a_single_input() -> None:
    """There is no other place for them."""
    (found,) = read(log(regress_log={"request": examples_request("s", example(a=1.0))}))
    two = Signature("two", "", {name: TensorSpec(name, "DT_STRING", (None,)) for name in "ab"}, {})

    with pytest.raises(errors.InvalidInput, match="signature 'two' has 2 inputs"):
        found.inputs(two)


def test_a_multi_inference_is_a_request_for_each_task() -> None:
    """All with the same examples."""
    tasks = [{"model_spec": {"signature_name": name}} for name in ("classes", "")]
    given = examples_request("", example(a=1.0))["input"]
    found = read(log(multi_inference_log={"request": {"tasks": tasks, "input": given}}))

    assert [(each.place, each.signature) for each in found] == [
        ("task 1 of record 1", "classes"),
        ("task 2 of record 1", "serving_default"),
    ]
    expected = [example(a=1.0).SerializeToString()]
    assert [each.inputs(ONE_INPUT)["serialized"].tolist() for each in found] == [expected, expected]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"session_run_log": {"request": {"fetch": ["y:0"]}}},
            "it is a session_run_log, which cannot be replayed; there may be predict",
        ),
        ({"predict_streamed_log": {"request": [{"output_filter": ["y"]}]}}, "it is a predict_streamed_log"),
        ({"log_metadata": {"model_spec": {"name": "m"}}}, "it holds no request"),
        ({"classify_log": {"request": examples_request("s")}}, "it has no examples"),
    ],
)
def test_what_cannot_be_replayed_is_refused(fields: dict[str, Any], said: str) -> None:
    """With the record and the reason."""
    assert refusal(log(**fields).SerializeToString()).startswith(f"record 1: {said}")


def test_a_tensor_that_no_request_can_carry_is_refused() -> None:
    """With its dtype."""
    from tensorflow.core.framework import tensor_pb2

    request = {"inputs": {"x": tensor_pb2.TensorProto(dtype=11)}}
    record = log(predict_log={"request": request}).SerializeToString()

    assert refusal(record) == "record 1: a tensor is DT_QINT8, which has no NumPy twin"


@pytest.mark.parametrize(
    "record", [b"malformed_record", b"\x32\x02\x0a\x7f", b"\x30\x01", b"\x32\x04\x0a\x02\x08\x01"]
)
def test_bytes_that_are_no_log_are_refused(record: bytes) -> None:
    """They are a fault of the file's writer; nothing else is raised."""
    assert refusal(record).startswith("record 1")


def test_a_file_is_read_in_its_order(tmp_path: Path) -> None:
    """Each request says which record it is."""
    prediction_logs.write(tmp_path, predict({"x": [1.0]}), predict({"x": [2.0]}, "other"))

    assert [(each.place, each.signature) for each in prediction_log.read(tmp_path)] == [
        ("record 1 of assets.extra/tf_serving_warmup_requests", "serving_default"),
        ("record 2 of assets.extra/tf_serving_warmup_requests", "other"),
    ]


def test_no_file_and_an_empty_file_have_no_requests(tmp_path: Path) -> None:
    """Nor has a version that has no directory."""
    assert list(prediction_log.read(tmp_path)) == []
    assert list(prediction_log.read(tmp_path / "missing")) == []
    prediction_logs.write(tmp_path)
    assert list(prediction_log.read(tmp_path)) == []


def test_more_than_a_thousand_records_are_refused(tmp_path: Path) -> None:
    """A thousand are taken."""
    record = predict({"x": [1.0]})
    prediction_logs.write(tmp_path, *[record] * MOST_REQUESTS)
    assert len(list(prediction_log.read(tmp_path))) == 1000

    prediction_logs.write(tmp_path, *[record] * (MOST_REQUESTS + 1))
    with pytest.raises(errors.InvalidModel, match=r"tf_serving_warmup_requests has more than 1,000 records"):
        list(prediction_log.read(tmp_path))


def test_messages_that_are_not_framed_are_no_file(tmp_path: Path) -> None:
    """As somebody writes them who leaves out the TFRecordWriter."""
    path = prediction_logs.write(tmp_path)
    path.write_bytes(predict({"x": [1.0]}).SerializeToString() * 10)

    with pytest.raises(errors.InvalidModel, match="no TFRecord file"):
        list(prediction_log.read(tmp_path))


def test_a_file_that_cannot_be_read_may_be_readable_later(tmp_path: Path) -> None:
    """A directory in its place, for one."""
    (tmp_path / prediction_log.FILE).mkdir(parents=True)

    with pytest.raises(
        errors.LoadFailed, match="tf_serving_warmup_requests cannot be read: Is a directory"
    ) as caught:
        list(prediction_log.read(tmp_path))
    assert caught.value.retriable
