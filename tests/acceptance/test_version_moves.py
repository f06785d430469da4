"""Acceptance 3: versions move on the control topic while requests flow, and nobody notices but by the version."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import gated_models, numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.mixed_requests import MixedRequests, RowAnswers, wrong_replies
from tests.kit.verifier import difference
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.kafka

MODEL = "moving"
LABEL = "live"


@pytest.fixture
def two_versions(tmp_path: Path) -> Path:
    """Base path of a model whose two versions answer differently."""
    base = tmp_path / MODEL
    for version in (1, 2):
        numpy_models.write_three_signatures(base, version)
    return base


def move(deployed: Deployment, base: Path, versions: Sequence[int], live: int) -> None:
    """Say which versions are desired as a person does, and wait until the workers have followed."""
    done = deployed.command(
        *("models", "set", MODEL, "--base-path", str(base), "--loader", "numpy"),
        *("--wait", "--timeout", "120"),
        *("--versions", ",".join(map(str, versions)), "--label", f"{LABEL}={live}"),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_versions_move_under_flowing_requests_without_a_failure(
    deployment: DeploymentFactory, two_versions: Path
) -> None:
    """1, then 1 and 2, then 2, then 1 again: every reply is right for the version it names, and none failed."""
    deployed = deployment()
    deployed.set_model(MODEL, two_versions, [1], labels={LABEL: 1})
    for _ in range(2):
        deployed.start_worker()
    for worker in deployed.workers:
        worker.wait_until_assigned(2)
    mixed = MixedRequests(most_rows=8)

    def request(number: int) -> PredictRequest:
        record = mixed[number].record(MODEL)
        return record if number % 2 else replace(record, label=LABEL)

    # For each move, the requests between its end and the beginning of the next: (their numbers, latest, live).
    settled: list[tuple[range, int, int]] = []
    with deployed.traffic(request) as traffic:

        def flow() -> range:
            first = traffic.sent
            wait_until(lambda: traffic.sent >= first + 100, "requests that flow")
            certain = range(first, traffic.sent)
            wait_until(lambda: traffic.sent >= certain.stop + 50, "requests that flow")
            return certain

        settled.append((flow(), 1, 1))
        for versions, live in (((1, 2), 1), ((2,), 2), ((1,), 1)):
            move(deployed, two_versions, versions, live)
            settled.append((flow(), max(versions), live))
    deployed.wait_until_answered()

    found = deployed.account()
    requests = mixed.first(traffic.sent)
    assert found.errors() == {}
    assert found.missing(each.id for each in requests) == []
    assert found.repeated() == {}
    answers = {v: RowAnswers.of("numpy", str(two_versions / str(v)), v) for v in (1, 2)}
    assert wrong_replies(requests, found.replies.__getitem__, answers) == []
    for numbers, latest, live in settled:
        versions_of = {n: found.the_reply(mixed[n].id).value.version for n in numbers}
        assert {versions_of[n] for n in numbers if n % 2} == {latest}
        assert {versions_of[n] for n in numbers if n % 2 == 0} == {live}


def test_a_version_is_unloaded_only_after_its_last_request(
    deployment: DeploymentFactory, tmp_path: Path, gated: str
) -> None:
    """A request that takes long is answered by its version, which goes right after; others do not wait for it."""
    base = tmp_path / "slow"
    slow = numpy_models.write_three_signatures(base, 1, sleep_seconds=0.01)
    numpy_models.write_three_signatures(base, 2)
    deployed = deployment({"batching.threads": 2, "lifecycle.warmup": False})
    deployed.set_model("slow", base, [1], loader=gated)
    worker = deployed.start_worker()
    worker.wait_until_assigned(4)
    x = numpy_models.pixels(3)

    deployed.send([PredictRequest("slow", inputs=(Tensor.from_numpy("x", x),), id="long")])
    wait_until(
        lambda: worker.unanswered() == 1 and worker.metric("headrace_queue_rows") == 0,
        "the long request with the model",
    )
    deployed.set_model("slow", base, [2], loader=gated)
    deployed.wait_for_state("slow", 1, "UNLOADING")
    deployed.send([PredictRequest("slow", inputs=(Tensor.from_numpy("x", x),), id="short")])
    wait_until(lambda: deployed.replies_written() == 1, "the reply to the short request alone")
    assert [str(e.state) for e in deployed.status_events("slow") if e.version == 1][-1] == "UNLOADING"
    gated_models.open_gate(slow)
    deployed.wait_until_gone("slow", 1)
    deployed.wait_until_answered()

    found = deployed.account()
    replies = {name: found.the_reply(name) for name in ("long", "short")}
    assert {name: reply.value.version for name, reply in replies.items()} == {"long": 1, "short": 2}
    for reply in replies.values():
        version = reply.value.version or 0
        assert difference(reply.outputs, numpy_models.expected(version, "serving_default", {"x": x})) is None
    (end,) = [e for e in deployed.status_events("slow") if e.version == 1 and str(e.state) == "END"]
    assert end.code == 0
    assert replies["short"].timestamp_ms < replies["long"].timestamp_ms <= end.time
