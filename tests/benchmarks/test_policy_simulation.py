"""The simulation: small cases that were computed by hand, and what holds for every policy and every load."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from batching.options import QueueOptions
from benchmarks.policy_arrivals import Arrivals, Demand, Pattern
from benchmarks.policy_batchers import Batcher, PreferredSizes, Requests, ScheduledQueues
from benchmarks.policy_device import Cost
from benchmarks.policy_settings import FixedSize, IdleDevice, Own, Setting
from benchmarks.policy_simulation import Served, simulate

COST = Cost(1.0, 0.125)
OWN = Own(QueueOptions(max_batch_rows=128))
SETTINGS: Sequence[Setting] = (
    OWN,
    Own(QueueOptions(max_batch_rows=64, max_enqueued_batches=1)),
    FixedSize(64, 0.0),
    FixedSize(96, 2.5),
    FixedSize(64, 100.0),
    IdleDevice(128, (), 0.0),
    IdleDevice(128, (16, 32), 0.0),
    IdleDevice(128, (64, 128), 3.0),
    IdleDevice(96, (33,), 100.0),
)
DEMANDS = tuple(
    Demand(pattern, most_rows, load * COST.rows_per_second(64), 400.0, COST.seconds(64))
    for pattern, most_rows, load in itertools.product(Pattern, (1, 33), (0.25, 1.25))
)


def finished(setting: Setting, times: Sequence[float], rows: Sequence[int], devices: int = 1) -> list[float]:
    """When each of these requests is finished."""
    arrivals = Arrivals.of(times, rows)
    found: list[float] = simulate(
        arrivals, setting.batcher(arrivals, devices), COST, devices
    ).finished.tolist()
    return found


def batches(served: Served) -> list[tuple[int, int]]:
    """Each batch of a run on one device as the requests from … to before …; no two end at the same time."""
    edges = [0, *(np.flatnonzero(np.diff(served.finished)) + 1).tolist(), len(served.finished)]
    return list(itertools.pairwise(edges))


def test_ours_gives_an_idle_device_what_is_there() -> None:
    """The first request at once and alone; the two that come meanwhile together."""
    assert finished(OWN, [0.0, 0.5, 0.75], [1, 1, 2]) == [1.125, 2.5, 2.5]


def test_ours_uses_two_devices_at_a_time() -> None:
    """The second request goes to the second device; the third waits for the first one."""
    assert finished(OWN, [0.0, 0.5, 0.75], [1, 1, 1], devices=2) == [1.125, 1.625, 2.25]


def test_ours_makes_no_batch_larger_than_it_may() -> None:
    """What waits is divided between requests."""
    setting = Own(QueueOptions(max_batch_rows=4))

    assert finished(setting, [0.0, 0.5, 0.5, 0.5], [1, 2, 1, 3]) == [1.125, 2.5, 2.5, 3.875]


def test_what_a_full_queue_refuses_comes_later_in_its_order() -> None:
    """With room for one batch beside the one that runs: the time of a request still counts from when it came."""
    setting = Own(QueueOptions(max_batch_rows=2, max_enqueued_batches=1))

    assert finished(setting, [0.0, 0.25, 0.5, 0.5, 0.75], [1] * 5) == [1.125, 2.375, 2.375, 3.625, 3.625]


def test_tensorflow_waits_for_a_full_batch_or_the_time_of_the_first() -> None:
    """Two rows are full at 0.5; the third request goes at 0.75 + 4."""
    assert finished(FixedSize(2, 4.0), [0.0, 0.5, 0.75], [1, 1, 1]) == [1.75, 1.75, 5.875]


def test_tensorflow_sends_off_what_a_request_does_not_fit_into() -> None:
    """Two rows and two are more than three: the first goes when the second comes."""
    assert finished(FixedSize(3, 4.0), [0.0, 0.5], [2, 2]) == [1.75, 5.75]


def test_a_batch_whose_time_is_over_fills_while_the_device_is_busy() -> None:
    """The second request's time is over at 2.0625, the device idle at 2.125; between the two a third comes."""
    assert finished(FixedSize(8, 1.0), [0.0, 1.0625, 2.09375], [1, 1, 1]) == [2.125, 3.375, 3.375]


def test_triton_without_a_delay_prefers_a_size_of_what_is_there() -> None:
    """One at once, for there is no more; then four of the five that wait, then the last one."""
    setting = IdleDevice(8, (4,), 0.0)

    assert finished(setting, [0.0, *[0.5] * 5], [1] * 6) == [1.125, *[2.625] * 4, 3.75]


def test_triton_without_a_preferred_size_takes_what_waits() -> None:
    """As ours does."""
    setting = IdleDevice(8, (), 0.0)

    assert finished(setting, [0.0, *[0.5] * 5], [1] * 6) == [1.125, *[2.75] * 5]


def test_triton_waits_for_a_preferred_size() -> None:
    """Until there is one, or the oldest request has waited for the delay."""
    setting = IdleDevice(8, (2, 4), 2.0)

    assert finished(setting, [0.0, 1.0], [1, 3]) == [2.5, 2.5]
    assert finished(setting, [0.0, 1.0], [1, 2]) == [3.375, 3.375]
    assert finished(setting, [0.0, 1.0], [1, 1]) == [2.25, 2.25]


def test_triton_does_not_let_a_request_beyond_the_preferred_sizes_wait_for_its_delay() -> None:
    """One row waits until four more come, which would be too many together; those four are a preferred size."""
    assert finished(IdleDevice(8, (4,), 2.0), [0.0, 1.0], [1, 4]) == [2.125, 3.625]


def test_triton_takes_all_once_the_delay_is_over() -> None:
    """When the device is idle, at 1.5, the oldest has waited for a second: no size is preferred any more."""
    setting = IdleDevice(8, (2, 4), 1.0)

    assert finished(setting, [0.0, 0.5, 0.5, 0.5], [4, 1, 1, 1]) == [1.5, 2.875, 2.875, 2.875]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("devices", [1, 3])
def test_each_request_is_finished_once_and_in_order(setting: Setting, devices: int) -> None:
    """Whatever comes; batches start in the order of their requests, within their size."""
    for demand in DEMANDS:
        arrivals = demand.arrivals(1)
        served = simulate(arrivals, setting.batcher(arrivals, devices), COST, devices)

        assert not np.isnan(served.finished).any()
        assert (served.latency >= COST.seconds(1)).all()
        if devices == 1:
            sizes = [arrivals.rows(first, stop) for first, stop in batches(served)]
            assert len(sizes) == served.batches
            assert max(sizes) <= setting.largest_rows
            assert (np.diff(served.finished) >= 0).all()
            assert served.busy_seconds == sum(map(COST.seconds, sizes))


@pytest.mark.parametrize("setting", [OWN, FixedSize(64, 0.0), IdleDevice(128, (), 0.0)], ids=str)
def test_without_waiting_a_device_is_idle_only_where_nothing_waits(setting: Setting) -> None:
    """Each batch starts when its first request comes or when the batch before it ends."""
    for demand in DEMANDS:
        arrivals = demand.arrivals(2)
        served = simulate(arrivals, setting.batcher(arrivals), COST)
        idle_at = 0.0
        for first, stop in batches(served):
            start = max(idle_at, arrivals.time(first))
            idle_at = start + COST.seconds(arrivals.rows(first, stop))
            assert served.finished[first] == idle_at


class OneByOne:
    """Gives another batcher each request by itself, at its time."""

    def __init__(self, arrivals: Arrivals, inner: Batcher) -> None:
        self._arrivals = arrivals
        self._inner = inner
        self._come = 0

    def add(self, stop: int, now: float) -> None:
        """One after the other."""
        for number in range(self._come, stop):
            self._inner.add(number + 1, self._arrivals.time(number))
        self._come = stop

    def take(self, now: float) -> Sequence[Requests]:
        """As the other."""
        return self._inner.take(now)

    def finished(self, tasks: Sequence[Requests], now: float, seconds: float) -> None:
        """As the other."""
        self._inner.finished(tasks, now, seconds)

    def due_at(self, now: float) -> float | None:
        """As the other."""
        return self._inner.due_at(now)

    @property
    def rows_to_next(self) -> int:
        """Each request is looked at."""
        return 1


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("devices", [1, 2])
def test_handing_over_many_requests_at_once_changes_nothing(setting: Setting, devices: int) -> None:
    """Every request is finished when it would be if each were a task of its own."""
    for demand in DEMANDS:
        arrivals = demand.arrivals(3)
        together = simulate(arrivals, setting.batcher(arrivals, devices), COST, devices)
        apart = simulate(arrivals, OneByOne(arrivals, setting.batcher(arrivals, devices)), COST, devices)

        assert np.array_equal(together.finished, apart.finished)


def test_figures_of_a_run() -> None:
    """Throughput is what was finished in time; what is late by how much is seen in the latency."""
    arrivals = Arrivals.of([0.0, 0.5, 2.0], [1, 3, 4])
    served = simulate(arrivals, OWN.batcher(arrivals), COST)

    assert served.finished.tolist() == [1.125, 2.5, 4.0]
    assert served.latency.tolist() == [1.125, 2.0, 2.0]
    assert served.rows_per_second == 0.5
    assert served.p99_seconds == 2.0
    assert served.rows_a_batch == pytest.approx(8 / 3)


def test_missed_deadlines_are_counted_by_priority() -> None:
    """Of all requests, or of those of a level; those without deadlines miss none that one could count."""
    columns = np.array([0.0, 0.5, 0.5]), np.array([1, 1, 1])
    arrivals = Arrivals(*columns, np.array([0, 0, 1]), np.array([1.125, 2.0, 9.0]))
    served = simulate(arrivals, OWN.batcher(arrivals), COST)

    assert served.missed_share() == pytest.approx(1 / 3)
    assert (served.missed_share(0), served.missed_share(1)) == (0.5, 0.0)
    plain = Arrivals(*columns)
    with pytest.raises(ValueError, match="no deadlines"):
        simulate(plain, OWN.batcher(plain), COST).missed_share()
    unranked = Arrivals(*columns, deadlines=np.array([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="no priorities"):
        simulate(unranked, OWN.batcher(unranked), COST).missed_share(0)


class Keeper:
    """A batcher that gives nothing out."""

    rows_to_next = 1000

    def add(self, stop: int, now: float) -> None:
        """Keep them."""

    def take(self, now: float) -> Sequence[Requests]:
        """Nothing."""
        return ()

    def finished(self, tasks: Sequence[Requests], now: float, seconds: float) -> None:
        """Never."""

    def due_at(self, now: float) -> float | None:
        """Never."""
        return None


class Repeater(Keeper):
    """A batcher that gives the first request out again and again."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    def take(self, now: float) -> Sequence[Requests]:
        """The first one."""
        return (Requests(self._arrivals, 0, 1),)


def test_a_batcher_that_loses_requests_is_found_out() -> None:
    """Rather than a table that leaves them out."""
    arrivals = Arrivals.of([0.0, 1.0], [1, 1])

    with pytest.raises(RuntimeError, match="never given"):
        simulate(arrivals, Keeper(), COST)
    with pytest.raises(RuntimeError, match="request 0 was given to a device a second time"):
        simulate(arrivals, Repeater(arrivals), COST)


def test_a_block_of_requests_is_cut_between_two_of_them() -> None:
    """As late as fits, and not at all before the first one's end."""
    arrivals = Arrivals.of([0.0, 0.0, 0.0], [2, 3, 4])
    block = Requests(arrivals, 0, 3)
    cut = block.split(8)

    assert block.rows == 9
    assert cut is not None
    assert [(each.first, each.stop, each.rows) for each in cut] == [(0, 2, 5), (2, 3, 4)]
    assert block.split(1) is None


def test_batchers_say_what_they_wait_for() -> None:
    """The rows that are missing, and the time at which they go without them."""
    arrivals = Arrivals.of([1.0, 2.0], [3, 2])
    queue = ScheduledQueues(arrivals, QueueOptions(16, 4.0))
    sizes = PreferredSizes(arrivals, 16, (4, 8), 4.0)
    batchers: tuple[Batcher, ...] = (queue, sizes)
    for batcher in batchers:
        assert batcher.due_at(0.5) is None
        batcher.add(1, 1.0)
        assert batcher.due_at(1.5) == 5.0
    assert (queue.rows_to_next, sizes.rows_to_next) == (13, 1)
    queue.add(2, 2.0)
    assert queue.rows_to_next == 11
