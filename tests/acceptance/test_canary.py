"""A canary under constant load: 5 %, 50 %, all, and back, by the commands that a person types, with a worker killed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.deployment import MISSED_SOON, Deployment, DeploymentFactory
from tests.kit.mixed_requests import MixedRequests, RowAnswers, wrong_replies
from tests.kit.verifier import Account
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.kafka

MODEL = "tried"
KEYS = 50_000
"""So many users; of 100,000 requests each has two."""
REQUESTS = 100_000
AT_ONCE = 5_000
FLOWING_KEYS = 500


@dataclass
class Phase:
    """Requests of the constant flow that were sent while every worker had one config.

    Attributes:
        numbers: which.
        allowed: the versions that may have answered them.
    """

    numbers: range
    allowed: set[int]


def command(deployed: Deployment, *arguments: str) -> None:
    """Type `headrace models …`, and wait until every live worker has followed."""
    name, *rest = arguments
    done = deployed.command("models", name, MODEL, *rest, "--wait", "--timeout", "120")
    assert done.returncode == 0, done.stdout + done.stderr


def ask(deployed: Deployment, phase: str) -> None:
    """Send each user's two requests, and wait for the answers."""
    tensor = Tensor.from_numpy("x", numpy_models.pixels(1))
    for first in range(0, REQUESTS, AT_ONCE):
        numbers = range(first, first + AT_ONCE)
        deployed.send(
            [PredictRequest(MODEL, inputs=(tensor,), id=f"{phase} {n}") for n in numbers],
            keys=[user(n) for n in numbers],
        )


def user(number: int) -> bytes:
    """The key of a request of this number."""
    return b"user-%d" % (number % KEYS)


def versions_of_users(found: Account, phase: str) -> dict[bytes, int]:
    """Which version answered each user in a phase; every request has its reply, and one user never two versions."""
    versions: dict[bytes, int] = {}
    for n in range(REQUESTS):
        for reply in found.replies[f"{phase} {n}"]:
            version = reply.value.version
            assert version is not None
            assert versions.setdefault(user(n), version) == version, f"{user(n)!r} was given two versions"
    return versions


def share(versions: Mapping[bytes, int], version: int) -> float:
    """The part of all users that a version has."""
    return Counter(versions.values())[version] / len(versions)


def test_a_canary_grows_and_is_taken_back_and_nobody_notices(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """Shares are as said, users keep their version, replies name a version that was allowed, and none failed."""
    base = tmp_path / MODEL
    for version in (1, 2):
        numpy_models.write_three_signatures(base, version)
    deployed = deployment(MISSED_SOON, partitions=6)
    deployed.set_model(MODEL, base, [1], labels={"stable": 1})
    for _ in range(3):
        deployed.start_worker()
    for worker in deployed.workers:
        worker.wait_until_assigned(2)
    mixed = MixedRequests("flow", most_rows=4)
    phases: list[Phase] = []

    with deployed.traffic(
        lambda number: mixed[number].record(MODEL), key=lambda number: b"user-%d" % (number % FLOWING_KEYS)
    ) as traffic:

        def settled(allowed: Iterable[int]) -> None:
            first = traffic.sent
            wait_until(lambda: traffic.sent >= first + 300, "requests that flow")
            phases.append(Phase(range(first, traffic.sent), set(allowed)))

        settled({1})
        both = ("--versions", "1,2", "--label", "stable=1", "--label", "canary=2")
        command(
            deployed,
            *("set", "--base-path", str(base), "--loader", "numpy", *both),
            *("--split", "stable=95", "--split", "canary=5"),
        )
        ask(deployed, "5 %")
        settled({1, 2})
        command(deployed, "split", "stable=50", "canary=50")
        deployed.workers[0].kill()
        ask(deployed, "50 %")
        back = deployed.start_worker({"worker_id": "w1"})
        back.wait_until_assigned(2)
        settled({1, 2})
        command(deployed, "promote", "canary")
        settled({2})
        ask(deployed, "all")
        command(deployed, "rollback", "--revision", "1")
        settled({1})
    deployed.wait_until_answered()

    found = deployed.account()
    requests = mixed.first(traffic.sent)
    asked = [f"{phase} {n}" for phase in ("5 %", "50 %", "all") for n in range(REQUESTS)]
    assert found.errors() == {}
    assert found.missing([*(each.id for each in requests), *asked]) == []
    answers = {v: RowAnswers.of("numpy", str(base / str(v)), v) for v in (1, 2)}
    assert wrong_replies(requests, found.replies.__getitem__, answers) == []
    for phase in phases:
        versions = {reply.value.version for n in phase.numbers for reply in found.replies[mixed[n].id]}
        assert versions <= phase.allowed

    few, half, whole = (versions_of_users(found, phase) for phase in ("5 %", "50 %", "all"))
    assert share(few, 2) == pytest.approx(0.05, abs=0.01)
    assert share(half, 2) == pytest.approx(0.5, abs=0.01)
    assert set(whole.values()) == {2}
    assert all(half[key] == 2 for key, version in few.items() if version == 2), "a user left the canary"
