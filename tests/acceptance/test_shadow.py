"""A version is tried on a share of real requests, by the command that a person types, and nobody notices."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from schemas.model_config import SPLIT, WARMUP
from schemas.traffic_shadow import TrafficShadow
from tests.kit import failing_models, numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.mixed_requests import MixedRequests, RowAnswers, wrong_replies
from tests.kit.verifier import Account, account, read_topic
from tests.kit.waiting import wait_until
from worker.kafka.topic_facts import TopicSpec
from worker.traffic_shares import ShadowShare

pytestmark = pytest.mark.kafka

MODEL = "tried"
KEYS, SHARE = 300, 0.2
REQUESTS, AT_ONCE = 3_000, 200
PARTITIONS = 3


def user(number: int) -> bytes:
    """The key of a request of this number."""
    return b"user-%d" % (number % KEYS)


def ask(deployed: Deployment, mixed: MixedRequests, numbers: range) -> None:
    """Send these requests, some at a time, and wait for the answers."""
    for first in range(numbers.start, numbers.stop, AT_ONCE):
        some = range(first, min(first + AT_ONCE, numbers.stop))
        deployed.send([mixed[n].record(MODEL) for n in some], keys=list(map(user, some)))
    deployed.wait_until_answered()


def counted(deployed: Deployment, name: str, **labels: str) -> float:
    """A metric, of all workers together."""
    return sum(worker.metric(name, **labels) for worker in deployed.workers)


def shadow(deployed: Deployment, *arguments: str) -> None:
    """Type `headrace models shadow …`, and wait until every live worker has followed."""
    done = deployed.command("models", "shadow", MODEL, *arguments, "--wait", "--timeout", "120")
    assert done.returncode == 0, done.stdout + done.stderr


def written(deployed: Deployment, topic: str) -> Account:
    """What came of the shadow."""
    return account(read_topic(deployed.where, topic, PARTITIONS), [])


def answers_of(base: Path, versions: Sequence[int]) -> Mapping[int, RowAnswers]:
    """What versions answer."""
    return {version: RowAnswers.of("numpy", str(base / str(version)), version) for version in versions}


def test_a_version_is_tried_on_real_requests_and_nobody_notices(
    deployment: DeploymentFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reply is version 1's and right, whatever the shadow does: it answers, always fails, is missing."""
    base = tmp_path / MODEL
    for version in (1, 2, 3):
        numpy_models.write_three_signatures(base, version)
    failing_models.fail(base / "3")
    failing_models.offer(tmp_path / "site", monkeypatch)
    deployed = deployment(partitions=PARTITIONS)
    topic = f"{deployed.requests}.shadow"
    (refused,) = deployed.admin.create_topics([TopicSpec(topic, PARTITIONS, 1, {})]).values()
    assert refused is None
    parameters = {SPLIT: b"1=1", WARMUP: b"off"}
    deployed.set_model(
        MODEL, base, [1, 2, 3], labels={"next": 2}, loader=failing_models.LOADER, parameters=parameters
    )
    for _ in range(2):
        deployed.start_worker()
    wait_until(lambda: counted(deployed, "headrace_assigned_partitions") == PARTITIONS, "all assigned")
    mixed = MixedRequests("r", most_rows=4)
    chosen = set(ShadowShare(MODEL, TrafficShadow(2, SHARE)).chosen([user(n) for n in range(KEYS)]))
    wanted = {mixed[n].id for n in range(REQUESTS) if n % KEYS in chosen}

    shadow(deployed, "--to", "next", "--share", "20%", "--topic", topic)
    ask(deployed, mixed, range(REQUESTS))

    def settled() -> bool:
        done = counted(deployed, "headrace_shadow_requests_total", version="2", code="OK")
        dropped = counted(deployed, "headrace_shadow_dropped_total", model=MODEL)
        return done + dropped == len(wanted) and deployed.records_written(topic, PARTITIONS) == done

    wait_until(
        settled, lambda: f"{len(wanted)} given to the shadow, {deployed.records_written(topic)} written"
    )
    found = written(deployed, topic)
    tried = [mixed[n] for n in range(REQUESTS) if mixed[n].id in found.replies]
    assert found.errors() == {}
    assert found.replies.keys() <= wanted
    assert tried
    assert wrong_replies(tried, found.replies.__getitem__, answers_of(base, [2])) == []
    assert {reply.key for replies in found.replies.values() for reply in replies} <= {user(n) for n in chosen}

    shadow(deployed, "--to", "3", "--share", "100%", "--topic", topic)
    ask(deployed, mixed, range(REQUESTS, REQUESTS + 200))
    wait_until(
        lambda: counted(deployed, "headrace_shadow_requests_total", version="3", code="INTERNAL") > 0,
        "a shadow that fails",
    )
    shadow(deployed, "--off")
    deployed.set_model(
        MODEL,
        base,
        [1, 2, 9],
        loader=failing_models.LOADER,
        parameters={SPLIT: b"1=1", "shadow": f"9=1 {topic}".encode()},
    )
    end = REQUESTS + 200
    while not counted(deployed, "headrace_shadow_dropped_total", model=MODEL, reason="absent"):
        ask(deployed, mixed, range(end, end + 50))
        end += 50
    for worker in deployed.workers:
        assert worker.stop() == 0

    whole = deployed.account()
    requests = mixed.first(end)
    assert whole.errors() == {}
    assert whole.missing([each.id for each in requests]) == []
    assert whole.dead_letters == []
    assert wrong_replies(requests, whole.replies.__getitem__, answers_of(base, [1])) == []
    assert {reply.value.version for replies in whole.replies.values() for reply in replies} == {1}
