"""The control of latency, on a simulated device and a clock of its own, beside the best of fixed options."""

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batching.latency_control import Bounds, Choice, LatencyControl, Verdict
from batching.latency_window import LatencyWindow

Cost = Callable[[int, float], float]


def linear(base: float, each: float) -> Cost:
    """What a batch of so many rows costs, at any time."""
    return lambda rows, now: base + each * rows


@dataclass
class Load:
    """Rows that come by themselves, `rate` a second; or of so many clients, each of which waits for its answer."""

    rate: float = 0.0
    clients: int = 0


@dataclass
class Outcome:
    """What the last part of a simulation has seen."""

    rows_per_second: float
    p99_seconds: float


class Simulation:
    """One queue and one device: a batch leaves when the device is free and it is full, or has waited long enough."""

    def __init__(self, load: Load, cost: Cost, seed: int = 1) -> None:
        self.now = 0.0
        self._load = load
        self._cost = cost
        self._random = random.Random(seed)
        self._queue: deque[float] = deque(0.0 for _ in range(load.clients))
        self._next = self._gap() if load.rate else float("inf")
        self.runs: list[tuple[float, list[float]]] = []

    def _gap(self) -> float:
        return self._random.expovariate(self._load.rate)

    def _arrive(self, until: float) -> None:
        while self._next <= until:
            self._queue.append(self._next)
            self._next += self._gap()

    def batch(self, choice: Choice) -> tuple[list[tuple[float, int]], float, bool]:
        """Run the next batch: its tasks, how long it ran, whether it was full."""
        if not self._queue:
            self.now = max(self.now, self._next)
            self._arrive(self.now)
        due = self._queue[0] + choice.timeout_seconds
        while len(self._queue) < choice.rows and self._next <= max(self.now, due):
            self.now = max(self.now, self._next)
            self._arrive(self.now)
        full = len(self._queue) >= choice.rows
        if not full:
            self.now = max(self.now, due)
            self._arrive(self.now)
        taken = [self._queue.popleft() for _ in range(min(choice.rows, len(self._queue)))]
        seconds = self._cost(len(taken), self.now)
        self.now += seconds
        self._arrive(self.now)
        if self._load.clients:
            self._queue.extend(self.now for _ in taken)
        self.runs.append((self.now, [self.now - at for at in taken]))
        return [(at, 1) for at in taken], seconds, full

    def outcome(self, since: float) -> Outcome:
        """Of all batches that have ended since then."""
        latencies = sorted(itertools.chain.from_iterable(each for at, each in self.runs if at >= since))
        return Outcome(len(latencies) / (self.now - since), latencies[int(0.99 * (len(latencies) - 1))])


def controlled(control: LatencyControl, simulation: Simulation, until: float) -> Iterator[Choice]:
    """Run so long; each choice, after it has been made."""
    while simulation.now < until:
        tasks, seconds, full = simulation.batch(control.choice)
        control.ran(tasks, simulation.now, seconds, full=full)
        if control.step(simulation.now):
            yield control.choice


def best_fixed(bounds: Bounds, load: Load, cost: Cost, seconds: float = 20.0) -> Outcome | None:
    """The most throughput of all fixed options that keep the objective; None: none does."""
    found = []
    for rows in bounds.sizes:
        for part in (0.0, 0.1, 0.25, 0.5, 0.75):
            simulation = Simulation(load, cost, seed=2)
            while simulation.now < seconds:
                simulation.batch(Choice(rows, part * bounds.p99_seconds))
            outcome = simulation.outcome(seconds / 4)
            if outcome.p99_seconds <= bounds.p99_seconds:
                found.append(outcome)
    return max(found, key=lambda each: each.rows_per_second, default=None)


def padded(sizes: tuple[int, ...], base: float, each: float) -> Cost:
    """A device that is given whole sizes."""
    return lambda rows, now: base + each * next(size for size in sizes if size >= rows)


SIZES = (1, 8, 64, 512)

CASES = {
    "little load": (Bounds(0.05, 256), Load(rate=50), linear(0.004, 0.0001)),
    "half the load": (Bounds(0.05, 256), Load(rate=2000), linear(0.004, 0.0001)),
    "nearly all there is": (Bounds(0.1, 512), Load(rate=6000), linear(0.004, 0.0001)),
    "clients that wait": (Bounds(0.05, 256), Load(clients=200), linear(0.004, 0.0001)),
    "clients, a tight objective": (Bounds(0.02, 256), Load(clients=50), linear(0.002, 0.0001)),
    "padding": (Bounds(0.05, 512, SIZES), Load(rate=400), padded(SIZES, 0.001, 0.0002)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("start", [Choice(1024, 0.0), Choice(1024, 1.0), Choice(1, 0.0)], ids=str)
def test_it_comes_to_the_throughput_of_the_best_fixed_options(case: str, start: Choice) -> None:
    """Wherever it begins: the objective is kept in the end, with 95 % of what the best of a grid does."""
    bounds, load, cost = CASES[case]
    best = best_fixed(bounds, load, cost)
    assert best is not None, "the case has no answer"
    control, simulation = LatencyControl(bounds, start, 0.0), Simulation(load, cost)
    for _ in controlled(control, simulation, 150.0):
        pass
    outcome = simulation.outcome(120.0)
    assert control.verdict is Verdict.KEPT
    assert outcome.p99_seconds <= bounds.p99_seconds
    assert outcome.rows_per_second >= 0.95 * best.rows_per_second


@pytest.mark.parametrize(
    ("bounds", "load", "cost"),
    [
        (Bounds(0.003, 256), Load(rate=100), linear(0.004, 0.0001)),
        (Bounds(0.05, 256), Load(rate=9000), linear(0.004, 0.0001)),
        (Bounds(0.01, 256), Load(clients=200), linear(0.004, 0.0001)),
    ],
    ids=["one run takes longer", "more comes than it can do", "too many clients"],
)
def test_it_says_that_it_cannot(bounds: Bounds, load: Load, cost: Cost) -> None:
    """Where no fixed options keep the objective either; and it does not throw throughput away for nothing."""
    assert best_fixed(bounds, load, cost, 10.0) is None
    control, simulation = LatencyControl(bounds, Choice(256, 0.0), 0.0), Simulation(load, cost)
    for _ in controlled(control, simulation, 60.0):
        pass
    assert control.verdict is Verdict.CANNOT
    fixed = Simulation(load, cost)
    while fixed.now < 60.0:
        fixed.batch(Choice(256, 0.0))
    assert simulation.outcome(0.0).rows_per_second >= 0.85 * fixed.outcome(0.0).rows_per_second


def test_it_follows_a_cost_that_changes() -> None:
    """A device that becomes five times as slow for a minute: it cannot, and afterwards the objective is kept again."""
    bounds = Bounds(0.03, 256)

    def cost(rows: int, now: float) -> float:
        return (0.004 + 0.0001 * rows) * (5 if 60 <= now < 120 else 1)

    control, simulation = LatencyControl(bounds, Choice(256, 0.01), 0.0), Simulation(Load(rate=500), cost)
    verdicts = []
    for until in (60.0, 120.0, 200.0):
        for _ in controlled(control, simulation, until):
            pass
        verdicts.append(control.verdict)
    assert verdicts == [Verdict.KEPT, Verdict.CANNOT, Verdict.KEPT]


def test_its_options_come_to_rest() -> None:
    """Every new choice makes new queues: under a steady load they become rare."""
    bounds = Bounds(0.05, 256)
    control, simulation = (
        LatencyControl(bounds, Choice(256, 0.0), 0.0),
        Simulation(Load(rate=2000), linear(0.004, 0.0001)),
    )
    changes = [0, 0]
    for half, until in enumerate((150.0, 300.0)):
        before = control.choice
        for choice in controlled(control, simulation, until):
            changes[half] += choice != before
            before = choice
    assert changes[1] <= 20
    assert changes[1] <= changes[0]


def test_padding_that_costs_too_much_ends_at_the_size_below() -> None:
    """A few rows padded to many: the size that keeps the objective is found."""
    bounds = Bounds(0.05, 512, SIZES)
    control = LatencyControl(bounds, Choice(512, 0.0), 0.0)
    cost: Cost = lambda rows, now: 0.12 if control.choice.rows == 512 else 0.005  # noqa: E731 - as the others
    for _ in controlled(control, Simulation(Load(rate=300), cost), 30.0):
        pass
    assert control.verdict is Verdict.KEPT
    assert control.choice.rows < 512


@given(
    p99_seconds=st.floats(0.001, 10),
    sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=8, unique=True).map(sorted),
    allowed=st.booleans(),
    most_wait=st.one_of(st.none(), st.floats(0, 20)),
    start=st.builds(Choice, st.integers(1, 5000), st.floats(0, 100)),
    batches=st.lists(
        st.tuples(st.floats(0, 20), st.integers(1, 300), st.floats(0, 5), st.booleans()), max_size=60
    ),
)
def test_it_never_leaves_its_bounds(
    p99_seconds: float,
    sizes: list[int],
    allowed: bool,
    most_wait: float | None,
    start: Choice,
    batches: list[tuple[float, int, float, bool]],
) -> None:
    """Whatever the batches say."""
    bounds = Bounds(p99_seconds, sizes[-1], tuple(sizes) if allowed else (), most_wait)
    control, now = LatencyControl(bounds, start, 0.0, window_batches=1, window_seconds=0.5), 0.0
    for latency, rows, run_seconds, full in batches:
        now += run_seconds
        control.ran([(now - latency, rows)], now, run_seconds, full=full)
        control.step(now)
        assert control.choice.rows in bounds.sizes
        assert 1 <= control.choice.rows <= sizes[-1]
        assert 0 <= control.choice.timeout_seconds <= min(p99_seconds, most_wait or p99_seconds)
        if most_wait == 0:
            assert control.choice.timeout_seconds == 0


def test_nothing_is_said_before_there_were_enough_batches() -> None:
    """Nineteen batches, or less than two seconds, are too few."""
    control = LatencyControl(Bounds(0.05, 8), Choice(8, 0.0), 0.0)
    for _ in range(19):
        control.ran([(0.0, 8)], 1.0, 0.1, full=True)
    assert not control.step(60.0)
    control.ran([(0.0, 8)], 1.0, 0.1, full=True)
    assert not control.step(1.9)
    assert control.verdict is Verdict.UNKNOWN
    assert control.step(60.0)
    assert (control.verdict, control.p99_seconds) == (Verdict.MISSED, 1.0)


def test_the_window_tells_the_p99_from_above() -> None:
    """Within a twentieth, never below; by rows, not by tasks."""
    window = LatencyWindow(0.0)
    window.add([(0.01, 980), (0.02, 10), (0.5, 10)], 0.1, full=False)
    assert 0.02 <= window.p99_seconds() <= 0.02 * 1.05
    window.add([(0.5, 1)], 0.1, full=False)
    assert window.p99_seconds() == 0.5
    assert (window.rows, window.batches, window.full) == (1001, 2, 0)
    assert window.rows_per_run_second() == pytest.approx(1001 / 0.2)


def test_an_empty_window_says_so() -> None:
    """No batch, no time: no division by nothing."""
    window = LatencyWindow(1.0)
    assert (window.p99_seconds(), window.rows_per_second(1.0), window.busy(1.0)) == (0.0, 0.0, 0.0)
    assert window.usual_rows() == 0.0
