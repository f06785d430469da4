"""A worker in a process of its own: started as anybody would start one, with settings by environment."""

import contextlib
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_ROOT = Path(__file__).parents[2]
_REQUEST_SECONDS = 2.0


class ChildFailedError(Exception):
    """A process of the demo ended, or did not get ready. `log_tail` has its last lines."""

    def __init__(self, message: str, log_tail: str) -> None:
        super().__init__(message)
        self.log_tail = log_tail


class Child:
    """A Python module run in a process and a session of its own, with its output in a file.

    Leaving the context ends it: SIGTERM first, SIGKILL when it has not ended in `grace_seconds`. A session of
    its own, so that Ctrl-C in the terminal reaches only the demo, which then ends its children in order.
    """

    def __init__(
        self, arguments: list[str], log: Path, environment: Mapping[str, str], grace_seconds: float = 10.0
    ) -> None:
        self.log = log
        self._grace_seconds = grace_seconds
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, by this interpreter
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Keras, which TensorFlow imports, would write its configuration into the home folder.
                env=clean_environment({"KERAS_HOME": str(log.parent / "keras"), **environment}),
                cwd=log.parent,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its group."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def exit_code(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def end(self) -> None:
        """Ask it to end, make it if it does not, and wait until it has."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._grace_seconds)
        self._process.kill()
        self._process.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its output."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def clean_environment(own: Mapping[str, str], inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment in which the demo's settings are the only ones, and this code is the one that is run."""
    kept = {name: value for name, value in inherited.items() if not name.startswith("HEADRACE_")}
    path = os.pathsep.join(filter(None, (str(_ROOT), kept.get("PYTHONPATH"))))
    return kept | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "2"} | dict(own)


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(
    worker: Child, port: int, wait: Callable[[float], object], deadline: Callable[[], bool]
) -> None:
    """Wait until the worker's `/readyz` says that it takes requests.

    Args:
        worker: its process.
        port: of its pages.
        wait: lets so many seconds pass, or ends the demo.
        deadline: whether it has taken too long.

    Raises:
        ChildFailedError: it has ended, or is not ready in time.
    """
    while not _answers(port):
        code = worker.exit_code()
        if code is not None:
            raise ChildFailedError(
                f"the worker ended with exit status {code} before it was ready", worker.log_tail()
            )
        if deadline():
            raise ChildFailedError("the worker did not get ready in time", worker.log_tail())
        wait(0.1)


def read_metrics(port: int) -> str:
    """The worker's metrics page; empty where it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_REQUEST_SECONDS) as page:
            text: str = page.read().decode()
            return text
    except OSError:
        return ""


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=_REQUEST_SECONDS):
            return True
    except OSError:
        return False
