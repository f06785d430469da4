"""Acceptance 5: a reply topic limited to 20 KB, known beforehand or not; only what is too large becomes an error."""

from pathlib import Path

import pytest

from schemas.errors import Code
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import gated_models, numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.topic_changes import change_topic
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker

pytestmark = pytest.mark.kafka

MODEL = "three"
LIMIT = {"max.message.bytes": "20000"}
TOGETHER = {"kafka.producer_properties.linger.ms": 200}
"""So that replies that could share a record batch do."""


def echo(name: str, size_bytes: int) -> PredictRequest:
    """A request that is answered with a text of that size."""
    text = Tensor.from_numpy("s", numpy_models.rows(b"t" * size_bytes))
    return PredictRequest(MODEL, signature="strings", inputs=(text,), id=name)


LARGE = {"max.message.bytes": "8000000"}


@pytest.fixture(params=["known beforehand", "lowered afterwards"])
def limited(
    request: pytest.FixtureRequest, deployment: DeploymentFactory, tmp_path: Path, gated: str
) -> tuple[Deployment, RunningWorker, bool]:
    """A worker that answers on a topic of 20 KB, once its model is open; and whether it knew that when it started.

    One that learns it from the broker's refusals has pauses between two looks of its own.
    """
    numpy_models.write_three_signatures(tmp_path / MODEL, sleep_seconds=1e-6)
    known = request.param == "known beforehand"
    settings = {**TOGETHER, "lifecycle.warmup": False}
    deployed = deployment(settings, partitions=1, topic_config={"replies": LIMIT} if known else {})
    deployed.set_model(MODEL, tmp_path / MODEL, loader=gated)
    worker = deployed.start_worker()
    worker.wait_until_assigned(1)
    if not known:
        change_topic(deployed.where, deployed.replies, LIMIT)
    return deployed, worker, known


def answer_together(
    deployed: Deployment,
    worker: RunningWorker,
    folder: Path,
    requests: list[PredictRequest],
    keys: list[bytes | None] | None = None,
) -> None:
    """Send requests, and have them answered once the worker has all of them."""
    deployed.send(requests, keys=keys)
    wait_until(lambda: worker.unanswered() == len(requests), lambda: f"requests read: {worker.unanswered()}")
    gated_models.open_gate(folder / MODEL / "1")
    deployed.wait_until_answered()


def finish(deployed: Deployment, worker: RunningWorker) -> None:
    """The worker lives: it answers a last request, and ends in order."""
    deployed.send([echo("last", 10)])
    deployed.wait_until_answered()
    assert deployed.account().the_reply("last").code == 0
    assert worker.stop() == 0


def refused(worker: RunningWorker) -> float:
    """Replies that the broker did not take."""
    return worker.metric("headrace_replies_refused_total", reason="MessageTooLarge")


def test_one_reply_of_30_kb_among_20_small_ones(
    limited: tuple[Deployment, RunningWorker, bool], tmp_path: Path
) -> None:
    """The small ones arrive; the large one becomes an error that says why."""
    deployed, worker, known = limited
    small = [f"small{n}" for n in range(20)]
    requests = [echo(name, 60) for name in small]

    answer_together(deployed, worker, tmp_path, [*requests[:10], echo("large", 30_000), *requests[10:]])

    found = deployed.account()
    assert {name: found.the_reply(name).code for name in small} == dict.fromkeys(small, 0)
    assert {found.the_reply(name).outputs["echo"][0] for name in small} == {b"t" * 60}
    large = found.the_reply("large")
    assert large.code == Code.RESOURCE_EXHAUSTED
    assert "max.message.bytes" in large.message
    assert found.dead_letters == []
    assert (refused(worker) == 0) is known
    finish(deployed, worker)


def test_1000_replies_of_100_bytes(limited: tuple[Deployment, RunningWorker, bool], tmp_path: Path) -> None:
    """All of them together are more than the topic takes at once; each arrives, once."""
    deployed, worker, known = limited
    ids = [f"{n}" for n in range(1000)]

    answer_together(deployed, worker, tmp_path, [echo(each, 70) for each in ids])

    found = deployed.account()
    assert found.missing(ids) == []
    assert found.repeated() == {}
    assert found.codes() == {0: 1000}
    assert found.dead_letters == []
    assert (refused(worker) == 0) is known
    finish(deployed, worker)


def test_a_request_that_no_answer_fits_is_a_dead_letter(
    limited: tuple[Deployment, RunningWorker, bool], tmp_path: Path
) -> None:
    """Its key alone is larger than the reply topic takes: it alone is a dead letter, and nothing stands still."""
    deployed, worker, _ = limited
    key = b"k" * 30_000

    requests = [echo("before", 10), echo("unanswerable", 10), echo("behind", 10)]
    answer_together(deployed, worker, tmp_path, requests, [None, key, None])

    found = deployed.account()
    assert {name: [reply.code for reply in replies] for name, replies in found.replies.items()} == {
        "before": [0],
        "behind": [0],
    }
    (letter,) = found.dead_letters
    assert letter.key == key
    assert letter.kind == "ReplyTooLargeError"
    finish(deployed, worker)


def test_topics_that_take_more_than_the_default_are_used_in_full(
    deployment: DeploymentFactory, tmp_path: Path
) -> None:
    """Requests, replies and dead letters of 3 MB pass where their topics take 8 MB; the clients have no say in it."""
    numpy_models.write_three_signatures(tmp_path / MODEL)
    deployed = deployment(
        partitions=1, topic_config=dict.fromkeys(("requests", "replies", "dead_letters"), LARGE)
    )
    deployed.set_model(MODEL, tmp_path / MODEL)
    worker = deployed.start_worker()
    garbage = b"g" * 3_000_000

    deployed.send([echo("large", 3_000_000), garbage, echo("small", 10)])
    deployed.wait_until_answered()

    found = deployed.account()
    assert found.the_reply("large").outputs["echo"][0] == b"t" * 3_000_000
    assert found.the_reply("small").code == 0
    assert [letter.value for letter in found.dead_letters] == [garbage]
    finish(deployed, worker)
