"""What decides in the benchmark of large records: medians, ratios, and requests that are what they say."""

import os

import numpy as np
import pytest

from benchmarks import image_load, large_side_by_side
from benchmarks.image_model import IMAGE_BYTES, SHAPE
from benchmarks.large_side_by_side import LargeRun
from benchmarks.measuring import Result
from benchmarks.scenario import Line
from benchmarks.scenarios import large_records
from schemas import codec, reply_columns
from schemas.predict_request import PredictRequest

MEBIBYTE = 1 << 20


def test_a_line_has_the_medians_of_the_runs() -> None:
    """Bytes follow from records of one size; one slow run moves nothing."""
    runs = [
        LargeRun(Result(100, rate, cost), peak * MEBIBYTE, MEBIBYTE)
        for rate, cost, peak in ((1000.0, 100.0, 10), (10.0, 400.0, 90), (2000.0, 200.0, 20))
    ]

    line = large_side_by_side.line("one", runs, request_bytes=500_000)

    assert line.values == {
        "megabytes": 500.0,
        "records": 1000.0,
        "cpu": 200.0,
        "cpu_megabyte": 400.0,
        "spread": 1.5,
        "peak": 20.0,
        "first": 1.0,
    }


@pytest.mark.parametrize(("rate", "met"), [(79.0, False), (80.0, True), (200.0, True)])
def test_the_target_is_a_floor_of_the_rate_by_the_baselines(rate: float, met: bool) -> None:
    """Each kind of reply is compared with the baseline that sends as much."""
    lines = [
        Line(large_records.title(contender, model), {"megabytes": megabytes})
        for model in ("corner", "image")
        for contender, megabytes in ((large_records.BASELINE, 100.0), ("headrace", rate))
    ]

    assert [target.met for target in large_records.targets(lines)] == [met, met]


def test_every_request_is_an_image_with_an_id_of_its_own() -> None:
    """What is put together from pieces is what the encoder would have written."""
    values = [value for chunk in image_load.values(image_load.CHUNK + 2) for value in chunk]
    requests = [codec.decode(values[n], PredictRequest) for n in (0, 1, image_load.CHUNK + 1)]

    assert len(values) == image_load.CHUNK + 2
    assert [request.id for request in requests] == [
        "000000000000",
        "000000000001",
        f"{image_load.CHUNK + 1:012}",
    ]
    assert {request.inputs[0].shape for request in requests} == {(1, *SHAPE)}
    images = [request.inputs[0].to_numpy() for request in requests]
    assert not np.array_equal(images[0], images[1])
    assert all(codec.encode(request) == values[int(request.id)] for request in requests)
    assert all(image.nbytes == IMAGE_BYTES for image in images)


@pytest.mark.parametrize("shape", [(3,), SHAPE])
def test_the_baselines_replies_are_as_large_as_headraces(shape: tuple[int, ...]) -> None:
    """The size is that of the reply which the worker would write."""
    outputs = {"y": np.zeros((1, *shape), np.uint8)}
    (reply,) = reply_columns.encode_replies(image_load.MODEL, 1, outputs, 1, [b"0" * image_load.ID_DIGITS])

    assert image_load.reply_bytes(shape) == len(reply)


def test_peak_memory_is_at_least_what_is_resident() -> None:
    """Both come from the kernel, in bytes."""
    resident = large_side_by_side.memory_bytes(os.getpid(), "VmRSS")

    assert MEBIBYTE < resident <= large_side_by_side.memory_bytes(os.getpid(), "VmHWM") + MEBIBYTE
