"""What a wait looks like."""

import io
import sys
from collections.abc import Mapping

import pytest
from rich.console import Console
from rich.live import Live

from schemas.version_selection import SpecificVersions
from tests.fakes.clock import FakeClock
from tests.worker.commands.control_world import World, version, worker
from worker.commands.progress import Lines, LiveTable, new_bar, new_progress, summary
from worker.commands.waiting import wait_for_all
from worker.convergence import Converged, Failed, Outcome, Waiting, Wanted
from worker.status_topic import key_of

DONE, BAD, SLOW = Converged({"w": (1,)}), Failed("w", "corrupt"), Waiting(("w: version 1 is LOADING",))


def test_a_summary_counts() -> None:
    """What there is none of is left out, but for what is done."""
    assert summary({"a": DONE, "b": DONE, "c": BAD, "d": SLOW}) == "2 done, 1 failed, 1 waited for"
    assert summary({"a": BAD}) == "0 done, 1 failed"
    assert summary({"a": DONE}) == "1 done"


def test_lines_tell_what_has_changed() -> None:
    """Of one model each change; nothing once it is done."""
    told: list[str] = []
    lines = Lines(told.append, FakeClock())
    for outcome in (SLOW, SLOW, Waiting(("w: x", "v: y")), DONE):
        lines.show({"m": outcome})
    assert told == ["waiting: w: version 1 is LOADING", "waiting: w: x; v: y"]


def test_lines_of_many_models_are_few() -> None:
    """One every two seconds, with the first models."""
    told: list[str] = []
    clock = FakeClock()
    lines = Lines(told.append, clock)
    several: dict[str, Outcome] = dict.fromkeys("abcd", SLOW)
    lines.show(several)
    lines.show(several | {"a": DONE})
    slow = "w: version 1 is LOADING"
    assert told == [f"0 done, 4 waited for: a: {slow} | b: {slow} | c: {slow} | 1 more"]

    clock.advance(2.0)
    lines.show(several | {"a": DONE, "b": BAD})
    assert told[1:] == [
        "1 done, 1 failed, 2 waited for: c: w: version 1 is LOADING | d: w: version 1 is LOADING"
    ]


def drawn(outcomes: Mapping[str, Outcome]) -> str:
    """The table on a terminal."""
    out = io.StringIO()
    with Live(console=Console(file=out, force_terminal=True, width=100), auto_refresh=False) as live:
        LiveTable(live).show(outcomes)
    return out.getvalue()


def test_a_live_table_shows_failures_first_and_counts_the_rest() -> None:
    """It has room for twenty lines."""
    text = drawn({f"m{n:02}": SLOW for n in range(25)} | {"bad": BAD, "good": DONE})
    assert text.index("corrupt") < text.index("m00")
    assert "m18" in text
    assert "m19" not in text
    assert "and 6 more" in text
    assert "1 done, 1 failed, 25 waited for" in text


def test_a_terminal_has_a_table_and_a_file_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error decides: the result may go elsewhere."""
    told: list[str] = []
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with new_progress(told.append) as progress:
        progress.show({"m": SLOW})
        progress.tell("by the way")
    assert told == []
    assert "version 1 is LOADING" in terminal.getvalue()
    assert "by the way" in terminal.getvalue()

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with new_progress(told.append) as progress:
        progress.show({"m": SLOW})
    assert told == ["waiting: w: version 1 is LOADING"]


def test_a_worker_that_falls_silent_is_told_and_not_waited_for() -> None:
    """One that has said goodbye is not told; nor is one that was silent before."""
    world = World()
    world.say(worker("old", lease_ms=0), worker("quiet"), worker("leaves"), worker(), version())
    world.news = [[], [worker("quiet", lease_ms=0)]]
    told: list[str] = []

    def tell(line: str) -> None:
        if not told:
            world.status.add(key_of(worker("leaves")), None)
        told.append(line)

    outcomes = wait_for_all(world.access(), [Wanted("m", 0, SpecificVersions((1,)))], 60.0, tell)

    assert outcomes == {"m": Converged({"w": (1,)})}
    assert told == [
        "waiting: leaves: version 1 is not there yet; quiet: version 1 is not there yet",
        "warning: worker quiet has stopped reporting (last heard 1970-01-01T00:16:40Z) and is not waited for any more",
    ]


def test_a_terminal_has_a_bar_and_a_file_has_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise."""
    told: list[str] = []
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    with new_bar("measuring", 2, told.append) as step:
        step("1 row")
    assert told == []
    assert "measuring: 1 row" in terminal.getvalue()
    assert "1/2" in terminal.getvalue()

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with new_bar("measuring", 2, told.append) as step:
        step("1 row")
    assert told == ["1 row"]
