"""The GPU check, on a made-up GPU: the machine here may have none."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks import gpu_check

pytestmark = pytest.mark.tensorflow

SMALL = gpu_check.Load(width=32, layers=2, requests=60, most_rows=4, max_batch_rows=16, reloads=1)


def device(used: Iterator[int], taken: Iterator[int]) -> gpu_check.Device:
    """A GPU of a gibibyte that answers with those numbers, in the order in which it is asked."""
    return gpu_check.Device("made up", 2**30, lambda: next(taken), lambda: next(used))


def test_without_a_gpu_it_says_so_and_exits_77() -> None:
    """Whoever calls it can tell "not checked" from "failed"."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_check"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
    )

    assert (done.returncode, done.stdout) == (77, "no GPU\n")


def test_a_gpu_that_behaves_passes_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way runs: build, load, warm up, batch, compare, unload, load again."""
    weights = SMALL.weight_bytes
    good = device(used=iter([0, weights, 0]), taken=iter([0, 2 * weights, 2 * weights, 2 * weights]))

    assert gpu_check.main(lambda: good, SMALL) == 0

    printed = capsys.readouterr().out
    assert re.findall(r"(\S.*\S)\s+ok\n", printed) == [
        "weights lie on the GPU",
        "memory is not grabbed whole",
        "each request has its own answer",
        "unloading frees the weights",
        "loading again takes no more",
    ]


def test_a_gpu_that_misbehaves_fails_every_check_of_its_memory(capsys: pytest.CaptureFixture[str]) -> None:
    """Weights elsewhere, memory grabbed whole, kept, and taken anew by the next load."""
    weights = SMALL.weight_bytes
    bad = device(used=iter([0, 0, weights]), taken=iter([0, 2**30, 0, weights]))

    assert gpu_check.main(lambda: bad, SMALL) == 1

    assert capsys.readouterr().out.count("FAILED") == 4
