"""Issue 5, acceptance 1, in short: random faults, and every request accounted for. `make chaos` is the long one."""

from pathlib import Path

import pytest

from tests.chaos.faults import OF_WORKERS
from tests.chaos.run import Plan, Verdict, run
from tests.kit.maven_jars import JavaUnavailable, do_without

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(1200)]

SEED = 20261121


def struck(plan: Plan, folder: Path) -> Verdict:
    """What comes of a plan."""
    try:
        return run(plan, folder, print)
    except JavaUnavailable as error:
        do_without("no Kafka broker", error)


def test_random_faults_lose_nothing_and_repeat_no_more_than_the_budget(tmp_path: Path) -> None:
    """Workers are killed, frozen, replaced, and so is the broker, while versions switch."""
    verdict = struck(Plan(SEED, seconds=30.0, requests=15_000, faults=5, workers=3), tmp_path)

    assert verdict.failures() == []
    assert verdict.requests >= 15_000


def test_random_faults_of_workers_repeat_nothing_exactly_once(tmp_path: Path) -> None:
    """Workers come and go; the broker stays, because it may forget transactions when it goes (`run.FORGOTTEN`)."""
    only = (*OF_WORKERS, "switch versions")
    plan = Plan(SEED + 3, seconds=20.0, requests=8_000, faults=5, workers=3, mode="exactly_once", only=only)

    verdict = struck(plan, tmp_path)

    assert verdict.failures() == []


def test_random_faults_keep_the_order_of_replies(tmp_path: Path) -> None:
    """Where replies are to keep it: what is repeated after a crash comes in order, too."""
    verdict = struck(
        Plan(SEED + 1, seconds=20.0, requests=8_000, faults=3, workers=2, ordered=True), tmp_path
    )

    assert verdict.failures() == []


def test_random_faults_lose_nothing_out_of_a_queue(tmp_path: Path) -> None:
    """Workers and broker come and go, and what one had taken goes to the others."""
    verdict = struck(
        Plan(SEED + 2, seconds=20.0, requests=8_000, faults=3, workers=3, mode="queue"), tmp_path
    )

    assert verdict.failures() == []
