"""Issue 5, acceptance 9: workers and clients of two releases together, and an upgrade and its way back under load."""

import itertools
from collections import Counter
from pathlib import Path

import pytest

from schemas import framing
from schemas.model_config import ModelConfig
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.version_selection import SpecificVersions
from tests.kit import numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.mixed_requests import MixedRequest, MixedRequests, RowAnswers, wrong_replies
from tests.kit.releases import Release, two_releases
from tests.kit.verifier import account, read_topic
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker, run_command

pytestmark = pytest.mark.kafka

MODEL = "mixed"
PARTITIONS = 4
REPLIES_EACH = 2_000
"""Between two changes, so that each state of the group answers some."""


class Upgrade:
    """A group with workers of two releases, asked by clients of both."""

    def __init__(self, deployed: Deployment, folder: Path) -> None:
        self.deployed = deployed
        self.releases = two_releases(folder)
        self.codecs = {release: release.codec() for release in self.releases}
        self.workers: list[tuple[Release, RunningWorker]] = []
        self.mixed = MixedRequests(most_rows=8)

    def start(self, release: Release) -> RunningWorker:
        """One worker more."""
        worker = self.deployed.start_worker(program=release.program)
        self.workers.append((release, worker))
        return worker

    def replace(self, worker: RunningWorker, release: Release) -> RunningWorker:
        """End a worker in order, and start one of another release in its place."""
        assert worker.stop() == 0
        self.workers = [(r, w) for r, w in self.workers if w is not worker]
        return self.start(release)

    def client_of(self, number: int) -> Release:
        """Which release a request comes from: they take turns, by three as there are three signatures."""
        return self.releases[number // 3 % 2]

    def request(self, number: int) -> bytes:
        """A request, as a client of one of the releases writes it."""
        return self.codecs[self.client_of(number)].encode(self.mixed[number].record(MODEL))

    def desire(self, release: Release, base_path: Path, *versions: int) -> None:
        """Say on the control topic, as that release does, which versions are desired."""
        config = ModelConfig(str(base_path), "numpy", SpecificVersions(versions))
        self.deployed.send(
            [self.codecs[release].encode(config)], keys=[MODEL.encode()], topic=self.deployed.control
        )

    def wait_for_replies(self) -> None:
        """Let so many more come."""
        wanted = self.deployed.replies_written() + REPLIES_EACH
        wait_until(
            lambda: self.deployed.replies_written() >= wanted,
            lambda: f"{wanted} replies; there are {self.deployed.replies_written()}",
        )

    def wait_for_version(self, version: int) -> None:
        """Wait until every worker has loaded it."""
        for _, worker in self.workers:
            wait_until(
                lambda worker=worker: any(
                    e.get("version") == version for e in worker.log("version available")
                ),  # type: ignore[misc]
                lambda worker=worker: f"version {version}; the log ends:\n{worker.log_tail()}",  # type: ignore[misc]
            )


def test_two_releases_share_a_group_and_replace_each_other_under_load(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """Nothing is missing or wrong, whoever asks, whoever answers, in whichever schema it is written."""
    base_path = tmp_path / MODEL
    paths = {v: numpy_models.write_three_signatures(base_path, v, sleep_seconds=0.002) for v in (1, 2)}
    upgrade = Upgrade(deployment(partitions=PARTITIONS), tmp_path / "schemas")
    earlier, later = upgrade.releases
    upgrade.desire(earlier, base_path, 1)
    old, _, new, _ = [upgrade.start(release) for release in (earlier, earlier, later, later)]
    for _, worker in upgrade.workers:
        worker.wait_until_assigned(1)

    with upgrade.deployed.traffic(upgrade.request, at_once=20) as traffic:
        upgrade.wait_for_replies()
        upgrade.desire(later, base_path, 1, 2)  # a config that the later release writes
        upgrade.wait_for_version(2)
        upgrade.wait_for_replies()
        for release in upgrade.releases:
            assert_all_are_listed(upgrade, release)
        upgrade.replace(old, later).wait_until_assigned(1)
        upgrade.wait_for_replies()
        upgrade.replace(new, earlier).wait_until_assigned(1)  # and back
        upgrade.wait_for_replies()
    upgrade.deployed.wait_until_answered()

    answers = {v: RowAnswers.of("numpy", str(path), v) for v, path in paths.items()}
    assert_every_pair_has_answered(upgrade, [upgrade.mixed[n] for n in range(traffic.sent)], answers)


def assert_all_are_listed(upgrade: Upgrade, release: Release) -> None:
    """`headrace status` of a release shows the workers of both."""
    shown = run_command(("status",), upgrade.deployed.flags, program=release.program)
    assert shown.returncode == 0, shown.stderr
    for number in range(1, 1 + len(upgrade.workers)):
        assert f"w{number}" in shown.stdout


def assert_every_pair_has_answered(
    upgrade: Upgrade, requests: list[MixedRequest], answers: dict[int, RowAnswers]
) -> None:
    """Each request has its reply, right for its version; and each release has answered clients of each."""
    deployed, reader = upgrade.deployed, upgrade.codecs[upgrade.releases[1]]
    messages = read_topic(deployed.where, deployed.replies, PARTITIONS)
    letters = read_topic(deployed.where, deployed.dead_letters, PARTITIONS)
    found = account(messages, letters, codec=reader)
    ids = [request.id for request in requests]

    assert found.dead_letters == []
    assert found.missing(ids) == []
    assert found.strangers(ids) == []
    assert wrong_replies(requests, found.replies.__getitem__, answers) == []
    assert found.versions().keys() == {1, 2}
    number_of = {request.id: number for number, request in enumerate(requests)}
    writers = {
        upgrade.codecs[release].catalog.current(PredictReply.record_name).fingerprint: release.name
        for release in upgrade.releases
    }
    pairs = Counter(
        (
            upgrade.client_of(number_of[reader.decode(m.value(), PredictReply).id]).name,
            writers[framing.fingerprint_of(m.value())],
        )
        for m in messages
    )
    assert set(pairs) == set(itertools.product(("earlier", "later"), repeat=2))
    assert min(pairs.values()) > len(requests) // 20


def test_the_schemas_of_two_releases_differ(tmp_path: Path) -> None:
    """It is no test of two releases unless they write differently, and each reads what the other writes."""
    earlier, later = (release.codec() for release in two_releases(tmp_path))
    request, config = PredictRequest("m"), ModelConfig("/m")

    assert earlier.encode(request) != later.encode(request)
    assert earlier.decode(later.encode(request), PredictRequest) == request
    assert later.decode(earlier.encode(request), PredictRequest) == request
    assert earlier.encode(config) != later.encode(config)
    assert earlier.decode(later.encode(config), ModelConfig) == config
    assert later.decode(earlier.encode(config), ModelConfig) == config
