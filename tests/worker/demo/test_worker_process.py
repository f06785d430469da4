"""The demo's child processes: how they start, and that they end."""

import sys
import threading
from pathlib import Path

import pytest

from tests.kit.waiting import wait_until
from worker.demo.worker_process import Child, ChildFailedError, clean_environment, free_port, wait_until_ready


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where a child writes; its folder is importable by the child, and it is its working directory."""
    return tmp_path / "child.log"


def script(log: Path, name: str, text: str) -> list[str]:
    """A module beside the log, to be run by its name."""
    (log.parent / f"{name}.py").write_text(text)
    return [name]


def test_leaving_the_context_ends_the_child(log: Path) -> None:
    """A child that would run for ever is gone afterwards, its output kept."""
    forever = script(log, "forever", "import threading\nprint('here')\nthreading.Event().wait()\n")

    with Child(forever, log, {}) as child:
        wait_until(lambda: "here" in child.log_tail(), "its first words")
        assert child.exit_code() is None

    assert child.exit_code() is not None


def test_a_child_that_ignores_the_request_is_killed(log: Path) -> None:
    """SIGTERM first; after the grace time there is no choice."""
    stubborn = (
        "import signal, threading\nsignal.signal(signal.SIGTERM, lambda *_: print('no'))\nprint('here')\n"
    )
    stubborn += "while True: threading.Event().wait(0.1)\n"

    with Child(script(log, "stubborn", stubborn), log, {}, grace_seconds=0.5) as child:
        wait_until(lambda: "here" in child.log_tail(), "its first words")

    assert child.exit_code() == -9


def test_a_child_that_has_ended_by_itself_is_no_trouble(log: Path) -> None:
    """Its exit status stays."""
    with Child(script(log, "short", "raise SystemExit(3)"), log, {}) as child:
        wait_until(lambda: child.exit_code() == 3, "its end")

    assert child.exit_code() == 3


def test_the_tail_has_the_last_lines(log: Path) -> None:
    """Of both output and errors."""
    text = "import sys\nfor i in range(50): print(i)\nsys.stdout.flush()\nprint('wrong', file=sys.stderr)\n"
    with Child(script(log, "talk", text), log, {}) as child:
        wait_until(lambda: child.exit_code() is not None, "its end")

    assert child.log_tail(3) == "48\n49\nwrong"


def test_a_worker_that_ends_is_not_waited_for(log: Path) -> None:
    """What it said last comes with the error."""
    broken = script(log, "broken", "print('no such setting')\nraise SystemExit(4)")

    with Child(broken, log, {}) as child, pytest.raises(ChildFailedError) as caught:
        wait_until_ready(child, free_port(), threading.Event().wait, lambda: False)

    assert "exit status 4" in str(caught.value)
    assert caught.value.log_tail == "no such setting"


def test_a_worker_that_is_not_ready_in_time_is_told(log: Path) -> None:
    """The deadline is the caller's."""
    forever = script(log, "waits", "import threading\nthreading.Event().wait()\n")

    with Child(forever, log, {}) as child, pytest.raises(ChildFailedError, match="in time"):
        wait_until_ready(child, free_port(), lambda _: None, lambda: True)


def test_a_worker_is_ready_when_its_page_says_so(log: Path) -> None:
    """Any page that answers 200 will do for the test."""
    port = free_port()
    (log.parent / "readyz").write_text("ok")
    server = ["http.server", str(port), "--bind", "127.0.0.1"]

    with Child(server, log, {}) as child:
        wait_until_ready(child, port, threading.Event().wait, lambda: False)


def test_the_users_own_settings_do_not_reach_the_children() -> None:
    """Whatever HEADRACE variables a person has set are theirs; the rest of the environment is passed on."""
    inherited = {"HEADRACE_KAFKA__GROUP": "production", "HOME": "/home/someone", "PYTHONPATH": "/elsewhere"}

    found = clean_environment({"HEADRACE_HTTP__PORT": "1"}, inherited)

    assert "HEADRACE_KAFKA__GROUP" not in found
    assert (found["HOME"], found["HEADRACE_HTTP__PORT"]) == ("/home/someone", "1")
    assert found["PYTHONPATH"].endswith("/elsewhere")
    assert sys.executable
