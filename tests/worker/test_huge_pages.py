"""When a worker asks for huge pages, and how it starts anew for them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.worker import ROOT
from worker import __main__ as program
from worker import huge_pages, process_end
from worker.commands import cli
from worker.huge_pages import TUNABLES

HUGE = "glibc.malloc.hugetlb=1"
STARTS_ANEW = """
import os, sys
from pathlib import Path
from worker import huge_pages

print("start", os.getpid(), flush=True)
if os.environ.get("SHOWN") == "no":
    del os.environ["GLIBC_TUNABLES"]
huge_pages.start_anew(Path(sys.argv[1]))
print(os.environ.get("GLIBC_TUNABLES"), sys.argv[2:], flush=True)
"""


@pytest.fixture
def mode(tmp_path: Path) -> Path:
    """The kernel's file, where huge pages are for those who ask."""
    file = tmp_path / "enabled"
    file.write_text("always [madvise] never\n")
    return file


@pytest.fixture
def _on_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "confstr", lambda _name: "glibc 2.36")


@pytest.mark.usefixtures("_on_glibc")
@pytest.mark.parametrize(
    ("given", "asked"), [({}, HUGE), ({TUNABLES: "glibc.rtld.nns=8"}, f"glibc.rtld.nns=8:{HUGE}")]
)
def test_they_are_asked_for_beside_what_is_set(given: dict[str, str], asked: str, mode: Path) -> None:
    """What an operator has set stays."""
    assert huge_pages.asking(given, mode) == {TUNABLES: asked}


@pytest.mark.usefixtures("_on_glibc")
@pytest.mark.parametrize("value", ["0", "1", "2"])
def test_an_operators_word_stands(value: str, mode: Path) -> None:
    """Also where it is no."""
    assert huge_pages.asking({TUNABLES: f"glibc.malloc.hugetlb={value}"}, mode) == {}


@pytest.mark.usefixtures("_on_glibc")
@pytest.mark.parametrize("text", ["[always] madvise never", "always madvise [never]", ""])
def test_where_all_or_none_get_them_there_is_nothing_to_ask(text: str, mode: Path) -> None:
    """Nor where the kernel does not say."""
    mode.write_text(text)
    assert huge_pages.asking({}, mode) == {}
    assert huge_pages.asking({}, mode.with_name("absent")) == {}


@pytest.mark.parametrize("answer", ["", None, ValueError("unrecognized configuration name")])
def test_another_c_library_is_not_asked(
    answer: str | Exception | None, mode: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows no such variable."""

    def confstr(_name: str) -> str | None:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(os, "confstr", confstr)
    assert huge_pages.asking({}, mode) == {}


def run_anew(mode: Path, **environment: str) -> list[str]:
    """The lines of a program that starts anew, with arguments of its own."""
    given = {name: value for name, value in os.environ.items() if name != TUNABLES} | environment
    done = subprocess.run(
        [sys.executable, "-c", STARTS_ANEW, str(mode), "one", "two words"],
        cwd=ROOT,
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(not huge_pages._is_glibc(), reason="only glibc is told by a variable")
def test_it_starts_anew_once_as_the_same_process(mode: Path) -> None:
    """Whoever watches or ends it by its id need not know; its arguments are the same."""
    first, again, end = run_anew(mode)
    assert first == again
    assert end == f"{HUGE} ['one', 'two words']"


def test_it_goes_straight_on_where_there_is_nothing_to_ask(mode: Path) -> None:
    """One start, nothing changed."""
    mode.write_text("always madvise [never]")
    _, end = run_anew(mode)
    assert end == "None ['one', 'two words']"


@pytest.mark.skipif(not huge_pages._is_glibc(), reason="only glibc is told by a variable")
def test_it_does_not_start_anew_for_ever(mode: Path) -> None:
    """A program that is not shown the variable, as one with privileges, goes on without; nothing else is left."""
    first, again, end = run_anew(mode, SHOWN="no", GLIBC_TUNABLES="glibc.rtld.nns=8")
    assert first == again
    assert end == "None ['one', 'two words']"


def test_what_cannot_start_anew_does_without(mode: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that forbids it costs speed, not the worker."""
    refused = []

    def execve(*_arguments: object) -> None:
        refused.append(1)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.delenv(TUNABLES, raising=False)
    monkeypatch.setattr(os, "confstr", lambda _name: "glibc 2.36")
    monkeypatch.setattr(os, "execve", execve)
    huge_pages.start_anew(mode)
    assert refused


@pytest.mark.parametrize(("arguments", "starts"), [(["--config", "a", "worker"], [1]), (["status"], [])])
def test_only_a_worker_starts_anew(
    arguments: list[str], starts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands are over before they copy anything."""
    started: list[int] = []
    monkeypatch.setattr(sys, "argv", ["headrace", *arguments])
    monkeypatch.setattr(huge_pages, "start_anew", lambda: started.append(1))
    monkeypatch.setattr(cli, "run", lambda: 0)
    monkeypatch.setattr(process_end, "end", lambda _status: None)
    program.main()
    assert started == starts
