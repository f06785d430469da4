"""Acceptance 2: two worker processes share a topic, and every request has one right reply, whoever is killed."""

from pathlib import Path

import pytest

from tests.kit.deployment import MISSED_SOON, Deployment, DeploymentFactory
from tests.kit.mixed_requests import MixedRequest, MixedRequests, RowAnswers, wrong_replies
from tests.kit.models import SavedModels
from tests.kit.verifier import Account
from tests.kit.waiting import wait_until
from tests.kit.worker import RunningWorker

pytestmark = pytest.mark.kafka

MODEL = "mixed"
SMALL_STEPS = {"delivery.budget_rows": 16_384, "delivery.poll_records": 256}
"""Whoever is killed has read some, and much is still to come."""


def start_two(deployed: Deployment) -> list[RunningWorker]:
    """Two workers, each of which has two of the four partitions."""
    workers = [deployed.start_worker(), deployed.start_worker()]
    for worker in workers:
        worker.wait_until_assigned(2)
    return workers


def send(deployed: Deployment, requests: list[MixedRequest]) -> None:
    """Write them without keys, so that every partition gets some."""
    deployed.send([request.record(MODEL) for request in requests])


def assert_each_has_a_right_reply(
    found: Account, requests: list[MixedRequest], answers: RowAnswers, *, repeats: bool = False
) -> None:
    """None is missing, none is wrong, none is dead-lettered, and (unless allowed) none has two replies."""
    ids = [request.id for request in requests]
    assert found.missing(ids) == []
    assert found.strangers(ids) == []
    assert wrong_replies(requests, found.replies.__getitem__, {1: answers}) == []
    assert found.dead_letters == []
    if not repeats:
        assert found.repeated() == {}


@pytest.mark.tensorflow
def test_20_000_requests_for_a_saved_model_get_one_right_reply_each(
    deployment: DeploymentFactory, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two workers answer 20,000 requests of 1 to 64 rows and three signatures, each once, as the model does."""
    path = SavedModels(tmp_path_factory.mktemp("models")).three_signatures()
    deployed = deployment()
    deployed.set_model(MODEL, path.parent, [1], loader="saved_model")
    workers = [deployed.start_worker(), deployed.start_worker()]
    answers = RowAnswers.of("saved_model", str(path), 1)
    for worker in workers:
        worker.wait_until_assigned(2)

    requests = MixedRequests().first(20_000)
    send(deployed, requests)
    deployed.wait_until_answered()

    assert_each_has_a_right_reply(deployed.account(), requests, answers)
    shares = [worker.metric("headrace_requests_total", code="OK") for worker in workers]
    assert sum(shares) == 20_000
    assert min(shares) > 0


def test_sigterm_in_the_middle_loses_and_repeats_nothing(
    deployment: DeploymentFactory, busy_model: Path, numpy_answers: RowAnswers
) -> None:
    """A worker that is asked to end finishes what it has read, and the other one goes on behind it."""
    deployed = deployment(SMALL_STEPS)
    deployed.set_model(MODEL, busy_model, [1])
    first, second = start_two(deployed)
    requests = MixedRequests().first(20_000)

    half = [request.record(MODEL) for request in requests[:10_000]]
    deployed.begin_sending(half)
    wait_until(lambda: first.unanswered() > 0, "a worker with unanswered requests", every_seconds=0.01)
    first.terminate()
    send(deployed, requests[10_000:])

    assert first.wait() == 0
    deployed.wait_until_answered()
    assert_each_has_a_right_reply(deployed.account(), requests, numpy_answers)
    assert second.stop() == 0


def test_a_worker_that_joins_in_the_middle_loses_and_repeats_nothing(
    deployment: DeploymentFactory, busy_model: Path, numpy_answers: RowAnswers
) -> None:
    """Partitions go over to it once what was read from them is answered and committed."""
    deployed = deployment(SMALL_STEPS)
    deployed.set_model(MODEL, busy_model, [1])
    first = deployed.start_worker()
    first.wait_until_assigned(4)
    mixed = MixedRequests()

    with deployed.traffic(lambda number: mixed[number].record(MODEL), at_once=20) as traffic:
        wait_until(lambda: first.unanswered() > 0, "a worker with unanswered requests", every_seconds=0.01)
        second = deployed.start_worker()
        second.wait_until_assigned(2)
        wait_until(lambda: second.metric("headrace_requests_total") > 100, "answers by the second worker")
    deployed.wait_until_answered()

    assert_each_has_a_right_reply(deployed.account(), mixed.first(traffic.sent), numpy_answers)
    assert [worker.stop() for worker in (first, second)] == [0, 0]


def test_sigkill_in_the_middle_loses_nothing(
    deployment: DeploymentFactory, busy_model: Path, numpy_answers: RowAnswers
) -> None:
    """What a killed worker had not committed is answered by the other; at most a budget of rows is repeated."""
    deployed = deployment({**SMALL_STEPS, **MISSED_SOON})
    deployed.set_model(MODEL, busy_model, [1])
    first, _ = start_two(deployed)
    requests = MixedRequests().first(20_000)

    half = [request.record(MODEL) for request in requests[:10_000]]
    deployed.begin_sending(half)
    wait_until(lambda: first.unanswered() > 0, "a worker with unanswered requests", every_seconds=0.01)
    first.kill()
    send(deployed, requests[10_000:])

    deployed.wait_until_answered()
    found = deployed.account()
    assert_each_has_a_right_reply(found, requests, numpy_answers, repeats=True)
    rows = {request.id: request.rows for request in requests}
    assert sum(rows[each] for each in found.repeated()) <= deployed.settings.delivery.budget_rows
