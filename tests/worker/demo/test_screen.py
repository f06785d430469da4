"""How the demo looks where there is no terminal, and what its tables say."""

import io

import pytest
from rich.console import Console

from tests.fakes.clock import FakeClock
from worker.demo.batch_rows import Bar
from worker.demo.report import Sample, summarise
from worker.demo.screen import Screen

SAMPLES = [
    *(Sample(i / 10, i / 10 + 0.02, 4, version=1, correct=2) for i in range(50)),
    *(Sample(5 + i / 10, 5 + i / 10 + 0.02, 4, version=2, correct=4) for i in range(50)),
]


class Page:
    """A screen on a page in memory."""

    def __init__(self, *, terminal: bool = False, encoding: str = "utf-8") -> None:
        self.clock = FakeClock()
        self._bytes = io.BytesIO()
        file = io.TextIOWrapper(self._bytes, encoding=encoding, write_through=True)
        console = Console(file=file, force_terminal=terminal, width=100, highlight=False, color_system=None)
        self.screen = Screen(console, self.clock)
        self._encoding = encoding

    @property
    def text(self) -> str:
        """All that has been printed."""
        return self._bytes.getvalue().decode(self._encoding)

    @property
    def lines(self) -> list[str]:
        """What is on the page, without indentation and empty lines."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]


def test_a_step_is_told_when_it_begins_and_when_it_is_done() -> None:
    """With what it found and how long it took."""
    page = Page()

    with page.screen.step("starting a broker") as facts:
        page.clock.advance(1.25)
        facts.append("127.0.0.1:1")

    assert page.lines == ["starting a broker ...", "\u2713 starting a broker (127.0.0.1:1)  1.2 s"]


def test_a_step_that_fails_is_not_ticked_off() -> None:
    """The error is somebody else's to show."""
    page = Page(terminal=True)

    with pytest.raises(RuntimeError), page.screen.step("starting a broker"):
        raise RuntimeError

    assert "\u2713" not in page.text


def test_what_happens_now_is_a_line_every_two_seconds() -> None:
    """A file is not flooded."""
    page = Page()

    for tick in range(41):
        page.screen.now(f"at {tick}")
        page.clock.advance(0.125)

    assert page.lines == ["at 0", "at 16", "at 32"]


def test_the_report_has_what_the_demo_shows() -> None:
    """Accuracy by version, rates, percentiles, the switch, failures, and the rows of batches."""
    page = Page()

    page.screen.report(summarise(SAMPLES, pushed_at=4.5), [Bar(1, 1.0, 5), Bar(2, 2.0, 0), Bar(3, 4.0, 160)])

    text = page.text
    assert "50.0%" in text
    assert "100.0%" in text
    assert "10 requests/s, 40 rows/s" in text
    assert "p50 20.0 ms" in text
    assert "version 2 pushed after 4.5 s, its first answer 0.5 s later" in text
    assert "0 of 100 requests, 0 since the push" in text
    bars = {
        line.split()[0]: line.count("\u2588") for line in page.lines if line.split()[0] in {"1", "2", "3-4"}
    }
    assert bars["3-4"] == 32


def test_a_run_without_answers_can_be_shown() -> None:
    """Also when everything has failed."""
    page = Page()

    page.screen.report(summarise([Sample(0.0, 1.0, 1, error="no")], 0.5), [])

    assert "1 of 1 requests, 1 since the push" in page.text


def test_terminals_without_unicode_get_plain_signs() -> None:
    """Nothing that such a file cannot hold is printed."""
    page = Page(encoding="ascii")

    with page.screen.step("starting a broker"):
        pass
    page.screen.report(summarise(SAMPLES, 4.5), [Bar(1, 1.0, 5)])
    page.screen.commands("Go on:", [("headrace status", "who serves what")])

    assert "ok starting a broker" in page.text
    assert "#####" in page.text
    assert "headrace status" in page.text


def test_failures_come_with_the_end_of_the_log() -> None:
    """As it is: brackets in it are no markup."""
    page = Page()

    page.screen.failure(["version 2 never answered"], "ERROR [loader] broken")

    assert page.lines == [
        "failed: version 2 never answered",
        "the last lines of the log:",
        "ERROR [loader] broken",
    ]
