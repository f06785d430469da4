"""Processes that take part are pinned, quiet, and ended; one that fails is told with its last words."""

import os
import sys
import textwrap
from pathlib import Path

import pytest

from benchmarks import processes

WAITS = "import time; print('up', flush=True); time.sleep(60)"


def python(program: str) -> list[str]:
    """A command that runs a program."""
    return [sys.executable, "-c", textwrap.dedent(program)]


def test_a_process_is_pinned_from_its_first_moment_and_ended_with_the_block() -> None:
    """Its affinity is that core alone, that of the process that starts it stays, and nothing of it is left."""
    before = os.sched_getaffinity(0)
    core = min(before)
    program = """
        import signal, sys, threading
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        while True:
            threading.Event().wait(0.05)
    """
    ends = "import os, sys; sys.exit(len(os.sched_getaffinity(0)))"
    with processes.started(python(program), core=core) as process:
        assert os.sched_getaffinity(process.pid) == {core}
        assert os.sched_getaffinity(0) == before
        with (
            pytest.raises(ChildProcessError, match="status 1"),
            processes.started(python(ends), core=core) as other,
        ):
            other.finish()
        # Until the program has its handler, SIGTERM ends it with a status that counts as failure.
        handled = Path(f"/proc/{process.pid}/status")
        while not _catches_term(handled.read_text(encoding="utf-8")):
            process.check()

    assert not Path(f"/proc/{process.pid}").exists()


def test_one_that_fails_is_told_with_what_it_wrote() -> None:
    """The end of its output is in the error."""
    with (
        pytest.raises(ChildProcessError, match=r"ended with status 3; it wrote:\n(.*\n)*out of luck"),
        processes.started(python("import sys; print('out of luck'); sys.exit(3)")) as process,
    ):
        process.finish()


def test_a_block_that_waited_in_vain_is_told_what_the_process_wrote() -> None:
    """A worker that never answers has mostly said why."""
    program = "import time; print('no model is set', flush=True); time.sleep(60)"

    def wait_in_vain() -> None:
        with processes.started(python(program)) as process:
            while "no model" not in process.last_words():
                process.check()
            raise TimeoutError("0 of 10 replies")

    with pytest.raises(TimeoutError) as caught:
        wait_in_vain()
    assert any("it wrote:\nno model is set" in note for note in caught.value.__notes__)


def test_the_error_of_the_block_wins_and_the_process_is_killed() -> None:
    """What went wrong here is not hidden by how the process ended."""
    with pytest.raises(ZeroDivisionError), processes.started(python(WAITS)) as process:
        raise ZeroDivisionError

    assert not Path(f"/proc/{process.pid}").exists()


def test_what_prepares_something_is_run_to_its_end(tmp_path: Path) -> None:
    """It has done its work when the call returns."""
    processes.finish(python(f"open({str(tmp_path / 'made')!r}, 'w').close()"))

    assert (tmp_path / "made").exists()


def _catches_term(status: str) -> bool:
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> 14 & 1)
