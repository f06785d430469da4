"""What is made of a device's journal, and the device itself."""

import os
from pathlib import Path

import pytest

from benchmarks import device_journal, device_loader, device_replicas
from benchmarks.device_journal import Journal, Run
from lifecycle.warmup import WarmedLoader
from worker import custom_loaders
from worker.loaders import SHIPPED, Loaders
from worker.version_sources import Source


def runs(*starts: float, seconds: float = 1.0, rows: int = 32) -> list[Run]:
    """Runs of one length."""
    return [Run(start, start + seconds, rows) for start in starts]


def test_a_journal_is_read_while_it_is_written(tmp_path: Path) -> None:
    """Each run is there once it has been added, by its start; a process that has not begun has none."""
    journal = Journal(tmp_path)
    journal.add(Run(2.0, 3.0, 32))
    journal.add(Run(1.0, 2.0, 7))

    assert device_journal.read(tmp_path, os.getpid()) == [Run(1.0, 2.0, 7), Run(2.0, 3.0, 32)]
    assert device_journal.read(tmp_path, 0) == []
    journal.close()


def test_a_new_journal_knows_nothing_of_an_old_one(tmp_path: Path) -> None:
    """Process numbers come again."""
    old = Journal(tmp_path)
    old.add(Run(1.0, 2.0, 32))
    old.close()

    Journal(tmp_path).close()

    assert device_journal.read(tmp_path, os.getpid()) == []


def test_runs_count_as_busy_as_far_as_they_lie_in_the_time() -> None:
    """Those that reach over its edges count in part, those outside not at all."""
    journal = runs(-2.0, -0.5, 1.0, 3.75)

    assert device_journal.busy_share(journal, 0.0, 4.0) == (0.5 + 1.0 + 0.25) / 4.0
    assert device_journal.ended_within(journal, 0.5, 2.0) == runs(-0.5)


def test_gaps_are_what_lies_between_runs() -> None:
    """Runs that follow at once have none between them."""
    assert device_journal.gaps(runs(0.0, 1.0, 2.5)) == [0.0, 0.5]


def test_figures_are_those_of_all_devices_in_the_time_measured() -> None:
    """Busy on average and at the least, idle times together, rates by the replies."""
    busy, lazy = runs(*range(11)), runs(*range(0, 11, 2), 10.5, rows=16)

    found = device_replicas.figures([busy, lazy], (0.0, 100, 2.0), (10.0, 420, 3.0), [5, 6])

    assert found.records_per_second == 32.0
    assert (found.busy, found.least_busy) == (0.75, 0.5)
    assert (found.gap_p50_ms, found.gap_p99_ms) == (0.0, 1000.0)
    assert found.rows_a_batch == pytest.approx((9 * 32 + 5 * 16) / 14)
    assert found.cpu_us_per_record == pytest.approx(1.0 / 320 * 1e6)
    assert found.left == (5, 6)


@pytest.mark.parametrize("journal", [[], runs(1.0, 2.0)])
def test_a_device_without_work_at_the_end_makes_a_run_worthless(journal: list[Run]) -> None:
    """It says that the requests ran out, rather than a number that is too low."""
    with pytest.raises(RuntimeError, match="ran out before the time was over"):
        device_replicas.figures([runs(*range(11)), journal], (0.0, 0, 0.0), (10.0, 10, 1.0), [0])


def test_a_worker_finds_the_device_as_an_installed_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batches take the device's time, one after the other, and are in the journal."""
    site, version = tmp_path / "site", tmp_path / "dense" / "1"
    device_loader.offer(site)
    device_loader.write(version, batch_seconds=0.001, journal=tmp_path)
    monkeypatch.syspath_prepend(site)
    loaders = Loaders(custom_loaders.find(SHIPPED).factories, lambda loader, _life: WarmedLoader(loader))
    loader = loaders.loader(Source(device_loader.NAME, str(version)), 1)

    loader.load()
    (signature,) = loader.servable.signatures.values()
    assert signature.batchable
    loader.unload()

    (run,) = device_journal.read(tmp_path, os.getpid())
    assert run.rows == 1
    assert run.end - run.start == pytest.approx(0.001)
