"""What a scenario is: something measured beside its peers in one run, in several interleaved rounds.

A scenario says what it measured (`Outcome`), as a table of medians, with the targets that the project has set itself;
`report` prints it, keeps it as JSON, and `plots` draws it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Options:
    """How long to measure.

    Attributes:
        rounds: how often each contender runs.
        scale: more (above 1) or fewer records, or seconds, than the scenario usually takes.
    """

    rounds: int = 5
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: the key of its values, what people read above it, and how a value is written."""

    key: str
    title: str
    form: str = ",.2f"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: a contender or a size, and its values by column; a column may be without one."""

    name: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Target:
    """What the project asks of itself, and what was measured.

    Attributes:
        text: in words, for the table: "CPU a record by echo's".
        measured: the ratio, rate or time.
        bound: what is asked for.
        at_most: whether the bound is a ceiling; a floor otherwise.
    """

    text: str
    measured: float
    bound: float
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether the measured value is within the bound."""
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a scenario.

    Attributes:
        columns: the columns of its table; the first one of the printed table is the lines' names.
        lines: medians over the rounds.
        targets: what was asked for; empty where nothing is.
        runs: every single run, as plain data for the JSON file, so that spreads can be looked at later.
        settings: what one must know to run it again.
        notes: what a reader must know to read the table, a sentence each.
        series: what a plot is drawn from, as plain data; each scenario's own.
    """

    columns: Sequence[Column]
    lines: Sequence[Line]
    targets: Sequence[Target]
    runs: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any]
    notes: Sequence[str] = ()
    series: Mapping[str, Any] = field(default_factory=dict)


class Scenario(Protocol):
    """A module of `benchmarks.scenarios`: measured by `make bench SCENARIO=its name`."""

    NAME: str
    TITLE: str

    def run(self, options: Options) -> Outcome:
        """Measure, printing a line a run so that whoever waits sees that it goes on."""
        ...
