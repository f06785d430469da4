"""The demo as people run it: whole, and interrupted."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from worker.demo.interruption import InterruptedByUserError, Interruption


@pytest.fixture
def environment(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the demo's temporary folder can be found."""
    return dict(os.environ) | {
        "TMPDIR": str(tmp_path),
        "HOME": str(tmp_path / "home"),
        # TensorFlow's Keras imports matplotlib where it is installed, as it is for our plots, and that keeps its fonts.
        "MPLCONFIGDIR": str(tmp_path_factory.mktemp("matplotlib")),
    }


def children_of(pid: int) -> Iterator[int]:
    """Processes that a process has started, where the system tells."""
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, tasks.read_text().split())


@pytest.mark.tensorflow
def test_the_demo_shows_what_it_promises(tmp_path: Path, environment: dict[str, str]) -> None:
    """Both versions answer, nothing fails, and nothing stays behind."""
    command = [sys.executable, "-m", "worker", "demo", "--rate", "100"]

    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Both versions have answered, and no request failed" in done.stdout
    assert "0 since the push" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_cleans_up(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    """Its children have ended and its folder is gone when it is."""
    command = [sys.executable, "-u", "-m", "worker", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as demo:
        assert demo.stdout is not None
        assert any("training" in line for line in iter(demo.stdout.readline, ""))
        children = list(children_of(demo.pid))
        demo.send_signal(number)
        rest = demo.stdout.read()

    assert demo.returncode == 130
    assert "interrupted; everything has been cleaned up" in rest
    assert list(tmp_path.iterdir()) == []
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_a_broker_that_is_not_there_is_told(tmp_path: Path, environment: dict[str, str]) -> None:
    """An address with nobody behind it is a sentence and an exit status, before anything is trained."""
    command = [sys.executable, "-m", "worker", "demo", "--bootstrap-server", "127.0.0.1:1"]

    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert done.returncode == 3
    assert "no Kafka broker answers at 127.0.0.1:1" in done.stdout
    assert "training" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_signal_ends_the_next_wait() -> None:
    """A signal only sets an event; whoever waits next is told, as often as they wait."""
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        interruption.wait(0)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        for _ in range(2):
            with pytest.raises(InterruptedByUserError):
                interruption.wait(60)

    assert signal.getsignal(signal.SIGINT) is before


def test_time_passes_where_nobody_interrupts() -> None:
    """A wait ends by itself, too."""
    done: list[Any] = []
    with Interruption() as interruption:
        interruption.wait(0.01)
        done.append(threading.current_thread())

    assert done
