"""Issue 5, acceptance 1, in short: random faults, and every request accounted for. `make chaos` is the long one."""

from pathlib import Path

import pytest

from tests.chaos.run import Plan, run
from tests.kit.maven_jars import JavaUnavailable, do_without

pytestmark = pytest.mark.kafka

SEED = 20261121


def test_random_faults_lose_nothing_and_repeat_no_more_than_the_budget(tmp_path: Path) -> None:
    """Workers are killed, frozen, replaced, and so is the broker, while versions switch."""
    try:
        verdict = run(Plan(SEED, seconds=30.0, requests=15_000, workers=3), tmp_path, print)
    except JavaUnavailable as error:
        do_without("no Kafka broker", error)

    assert verdict.failures() == []
    assert verdict.requests >= 15_000
    assert verdict.struck.total() >= 5
