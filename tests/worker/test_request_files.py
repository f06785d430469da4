"""The requests that lie in a version's own folder."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle import errors, prediction_log
from lifecycle.signature import Signature
from schemas.claim import PREFIX, Claim
from schemas.codec_files import write_records
from schemas.dtype import DType
from schemas.errors import Code
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.status import Status
from schemas.tensor import Tensor
from worker import request_files
from worker.request_files import GOLDEN_LINES, GOLDEN_REPLIES, GOLDEN_REQUESTS, WARMUP_LINES, WARMUP_RECORDS

NONE = Signature("s", "", {}, {})


def tensor(name: str, *numbers: float) -> Tensor:
    """A tensor of floats."""
    return Tensor.from_numpy(name, np.array(numbers, "<f4"))


REQUEST = PredictRequest("m", signature="s", outputs=("y",), inputs=(tensor("x", 1, 2),))
REPLY = PredictReply("m", outputs=(tensor("y", 3, 4),))


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A version's folder."""
    (tmp_path / "assets.extra").mkdir()
    return tmp_path


def write(path: Path, record_type: Any, *records: Any) -> None:
    """Write a file of Avro."""
    with path.open("wb") as file:
        write_records(file, record_type, records)


def golden(version: Path, requests: list[PredictRequest], replies: list[PredictReply]) -> list[Any]:
    """The golden requests of two such files."""
    write(version / GOLDEN_REQUESTS, PredictRequest, *requests)
    write(version / GOLDEN_REPLIES, PredictReply, *replies)
    return list(request_files.golden_requests(version))


def test_a_folder_without_such_files_has_no_requests(version: Path) -> None:
    """Nor has one that is not there."""
    for directory in (version, version / "missing", version / "assets.extra"):
        assert list(request_files.warmup_requests(directory)) == []
        assert list(request_files.golden_requests(directory)) == []


@pytest.mark.tensorflow
def test_all_files_of_recorded_requests_are_read(version: Path) -> None:
    """TensorFlow Serving's first; each request names its file."""
    from tests.kit import prediction_logs

    prediction_logs.write(version, prediction_logs.predict({"x": [1.0]}))
    write(version / WARMUP_RECORDS, PredictRequest, REQUEST, REQUEST)
    (version / WARMUP_LINES).write_text('{"inputs": {"x": [1]}}\n')

    found = list(request_files.warmup_requests(version))

    assert [each.place for each in found] == [
        f"record 1 of {prediction_log.FILE}",
        f"record 1 of {WARMUP_RECORDS}",
        f"record 2 of {WARMUP_RECORDS}",
        f"line 1 of {WARMUP_LINES}",
    ]
    assert (found[1].signature, found[1].outputs) == ("s", ("y",))
    assert found[1].inputs(NONE)["x"].tolist() == [1, 2]


def test_golden_requests_have_their_replies_in_the_same_order(version: Path) -> None:
    """With tolerances in their parameters, as text."""
    loose = PredictReply("m", outputs=REPLY.outputs, parameters={"absolute_tolerance": b"0.5"})
    (version / GOLDEN_LINES).write_text('{"inputs": {"x": [1]}, "outputs": {"y": [1]}}\n')

    found = golden(version, [REQUEST, REQUEST], [REPLY, loose])

    assert [each.request.place for each in found] == [
        f"record 1 of {GOLDEN_REQUESTS}",
        f"record 2 of {GOLDEN_REQUESTS}",
        f"line 1 of {GOLDEN_LINES}",
    ]
    expected = [each.expected(NONE)["y"] for each in found[:2]]
    assert [each.values.tolist() for each in expected] == [[3, 4], [3, 4]]
    assert [(each.absolute, each.relative) for each in expected] == [(1e-5, 1e-4), (0.5, 1e-4)]


@pytest.mark.parametrize(
    ("requests", "replies", "said"),
    [
        (
            [REQUEST, REQUEST],
            [REPLY],
            "requests.avro has a record 2 and assets.extra/headrace_golden_replies.avro has n",
        ),
        ([REQUEST], [REPLY, REPLY], "headrace_golden_replies.avro has a record 2"),
        ([REQUEST], [], "expected a reply for each request"),
        ([REQUEST], [PredictReply("m")], "record 1 of .*replies.avro cannot be expected of a version"),
        (
            [REQUEST],
            [PredictReply("m", error=Status(Code.INTERNAL, "no"))],
            "cannot be expected of a version",
        ),
        (
            [REQUEST],
            [PredictReply("m", outputs=REPLY.outputs, parameters={"relative_tolerance": b"much"})],
            "the parameter 'relative_tolerance' is b'much'; expected a number",
        ),
        (
            [REQUEST],
            [PredictReply("m", outputs=REPLY.outputs, parameters={"absolute_tolerance": b"inf"})],
            "the parameter 'absolute_tolerance' is b'inf'",
        ),
    ],
)
def test_what_cannot_be_expected_is_refused(
    version: Path, requests: list[PredictRequest], replies: list[PredictReply], said: str
) -> None:
    """For good: the files have to be written anew."""
    with pytest.raises(errors.InvalidModel, match=said):
        golden(version, requests, replies)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (WARMUP_RECORDS, b"garbage", "headrace_warmup_requests.avro: it is damaged after record 0"),
        (WARMUP_LINES, b"\xff\n", "headrace_warmup_requests.jsonl is not UTF-8"),
        (WARMUP_LINES, b"{}\n", "line 1 of assets.extra/headrace_warmup_requests.jsonl: "),
        (WARMUP_LINES, b'{"inputs": [1]}\n' * 1001, "jsonl has more than 1,000 requests"),
        (GOLDEN_REQUESTS, b"garbage", "headrace_golden_requests.avro: it is damaged"),
        (GOLDEN_REPLIES, b"garbage", "headrace_golden_replies.avro: it is damaged"),
        (GOLDEN_LINES, b"{", "line 1 of assets.extra/headrace_golden_requests.jsonl: "),
        (GOLDEN_LINES, b'{"inputs": [1], "outputs": [1]}\n' * 1001, "jsonl has more than 1,000 requests"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(version: Path, name: str, data: bytes, said: str) -> None:
    """With the place at fault."""
    (version / name).write_bytes(data)

    with pytest.raises(errors.InvalidModel, match=said):
        list(_reader(name)(version))


@pytest.mark.parametrize("name", [WARMUP_RECORDS, WARMUP_LINES, GOLDEN_REQUESTS, GOLDEN_LINES])
def test_a_file_that_cannot_be_read_may_be_readable_later(version: Path, name: str) -> None:
    """So the load is tried again."""
    (version / name).mkdir()

    with pytest.raises(errors.LoadFailed, match=f"{name} cannot be read: Is a directory") as caught:
        list(_reader(name)(version))
    assert caught.value.retriable


def test_a_request_whose_data_lies_elsewhere_is_refused(version: Path) -> None:
    """Nobody could fetch it here."""
    claim = Claim.of_data("file:///x", [bytes(8)])
    empty = Tensor("x", DType.DT_FLOAT, (2,), b"")
    request = PredictRequest("m", inputs=(empty,), parameters={f"{PREFIX}x": claim.to_bytes()})
    write(version / WARMUP_RECORDS, PredictRequest, request)

    with pytest.raises(errors.InvalidModel, match=r"record 1 of .* has data that lies elsewhere"):
        list(request_files.warmup_requests(version))


def _reader(name: str) -> Callable[[Path], Iterator[Any]]:
    return request_files.golden_requests if "golden" in name else request_files.warmup_requests
