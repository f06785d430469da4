"""Dead letters on the real broker: looked at, sent again when the cause has gone; and one that is refused itself."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas import headers
from schemas.dead_letter import REPLAYS, essential
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.conftest import TopicFactory
from tests.kit import numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.topic_changes import change_topic
from tests.kit.verifier import DeadLetter, read_topic
from tests.kit.waiting import wait_until
from worker.reply_sizes import header_bytes

pytestmark = pytest.mark.kafka

MODEL = "three"
BATCH_BYTES = 61 + 21
"""The header of a record batch, and what a record takes besides its parts, at most."""


def asking(number: int) -> PredictRequest:
    """A request that is answered with scores."""
    x = Tensor.from_numpy("x", numpy_models.pixels(1, seed=number))
    return PredictRequest(MODEL, inputs=(x,), id=f"r{number}")


def listed(deployed: Deployment, *arguments: str) -> Any:
    """What `headrace dead-letters list` prints for programs."""
    done = deployed.command("dead-letters", "list", "--output", "json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])
def test_dead_letters_are_listed_shown_and_replayed_once_the_cause_has_gone(
    deployment: DeploymentFactory, topic: TopicFactory, tmp_path: Path, mode: str
) -> None:
    """Requests that named a reply topic which was not allowed get their replies; what is broken comes back, counted."""
    numpy_models.write_three_signatures(tmp_path / MODEL)
    deployed = deployment({"delivery.mode": mode}, partitions=2)
    deployed.set_model(MODEL, tmp_path / MODEL)
    elsewhere = topic("elsewhere")
    lost = [(headers.REPLY_TOPIC, elsewhere.encode()), (headers.CORRELATION_ID, b"c")]
    worker = deployed.start_worker()
    deployed.send(
        [asking(1), b"garbage", asking(2), asking(3)],
        keys=[b"a", b"b", b"c", None],
        headers=[lost, [("own", b"1")], lost, None],
    )
    deployed.wait_until_answered()
    assert worker.stop() == 0

    (garbage,) = listed(deployed, "--reason", "unknownframing")["dead_letters"]
    assert (garbage["key"], garbage["model"], garbage["replays"]) == ("b", None, 0)
    counted = listed(deployed, "--summary")["summary"]
    assert [(each["records"], each["reason"], each["worker"]) for each in counted] == [
        (2, "NoRouteError", "w1"),
        (1, "UnknownFraming", "w1"),
    ]
    shown = deployed.command("dead-letters", "show", f"{garbage['partition']}:{garbage['offset']}")
    assert shown.returncode == 0, shown.stderr
    assert "67 61 72 62 61 67 65" in shown.stdout
    assert "begins with" in shown.stdout
    if mode == "at_least_once":
        check_filters(deployed)

    # The cause goes: the reply topic is allowed.
    done = deployed.command("dead-letters", "replay", "--yes", "--output", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sent"] == {deployed.requests: 3}
    start = json.loads(done.stdout)["next"][deployed.dead_letters]
    binding = {**deployed.settings.bindings[0].model_dump(mode="json"), "allowed_reply_topics": [elsewhere]}
    deployed.start_worker({"bindings": [binding]})
    deployed.wait_until_answered()

    account = deployed.account({deployed.replies: 2, elsewhere: 1})
    assert {name: [r.code for r in replies] for name, replies in account.replies.items()} == {
        "r1": [0],
        "r2": [0],
        "r3": [0],
    }
    assert account.the_reply("r1").key == b"a"
    assert account.the_reply("r1").headers == [(headers.CORRELATION_ID, b"c")]
    (again,) = listed(deployed, "--from", start)["dead_letters"]
    assert (again["key"], again["replays"], again["worker"]) == ("b", 1, "w2")
    letter = next(each for each in account.dead_letters if (REPLAYS, b"1") in each.headers)
    assert letter.original_headers == [("own", b"1"), (REPLAYS, b"1")]

    place = f"{again['partition']}:{again['offset']}"
    last = deployed.command("dead-letters", "replay", place, "--yes", "--max-attempts", "1")
    assert last.returncode == 1
    assert "sent again once already" in last.stderr


def check_filters(deployed: Deployment) -> None:
    """What is chosen is what was asked for; and without a word of consent nothing is sent."""
    found = listed(deployed)
    assert (found["read"], found["matched"]) == (3, 3)
    assert {each["source"]["topic"] for each in found["dead_letters"]} == {deployed.requests}
    assert listed(deployed, "--model", MODEL)["matched"] == 2
    assert listed(deployed, "--since", "1h")["matched"] == 3
    assert listed(deployed, "--until", "1h")["matched"] == 0
    refused = deployed.command("dead-letters", "replay")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    planned = deployed.command("dead-letters", "replay", "--dry-run", "--output", "json")
    assert json.loads(planned.stdout)["chosen"] == {deployed.requests: 3}
    assert deployed.unanswered() == 0


@pytest.mark.parametrize("mode", ["at_least_once", "exactly_once"])
def test_a_dead_letter_that_is_refused_is_cut_and_then_stops_its_partition(
    deployment: DeploymentFactory, tmp_path: Path, mode: str
) -> None:
    """The headers that it can do without go first; then its partition stands still, loudly, and the other goes on."""
    numpy_models.write_three_signatures(tmp_path / MODEL)
    deployed = deployment({"delivery.mode": mode}, partitions=2)
    deployed.set_model(MODEL, tmp_path / MODEL)
    worker = deployed.start_worker()
    deployed.send([b"g" * 100], partition=0)
    deployed.wait_until_answered()
    (small,) = letters(deployed)
    whole, least = header_bytes(small.headers), header_bytes(essential(small.headers))
    size = 20_000 - BATCH_BYTES - (whole + least) // 2  # between the two: it fits once it is cut
    change_topic(deployed.where, deployed.dead_letters, {"max.message.bytes": "20000"})

    deployed.send([b"g" * size], partition=0)
    deployed.wait_until_answered()

    large = next(each for each in letters(deployed) if len(each.value or b"") == size)
    assert len(large.headers) == len(essential(small.headers))
    assert large.original == (deployed.requests, 0, 1)
    assert large.kind == "UnknownFraming"
    assert worker.not_ready() == []

    deployed.send([b"g" * 30_000, b"behind"], partition=0)
    worker.wait_for_log(
        "the broker refuses a dead letter, even without the headers that it can do without, so the partition stops: "
        "nothing from this record on is answered or committed until the dead-letter topic takes it; raise that topic's "
        "max.message.bytes (or mend what the problem says), then start the worker again"
    )
    deployed.send([asking(1)], partition=1)
    wait_until(lambda: deployed.unanswered() == 2, lambda: f"2 unanswered, not {deployed.unanswered()}")
    (reason,) = worker.not_ready()
    assert f"{deployed.requests}[0] stands still" in reason
    wait_until(lambda: worker.metric("headrace_stopped_partitions") == 1, "the metric")
    assert deployed.account().the_reply("r1").code == 0

    change_topic(deployed.where, deployed.dead_letters, {"max.message.bytes": "100000"})
    assert worker.stop() == 0
    deployed.start_worker()
    deployed.wait_until_answered()

    found = [each.value for each in letters(deployed)]
    assert found.count(b"g" * 30_000) == 1
    assert found.count(b"behind") in ({1} if mode == "exactly_once" else {1, 2})


def letters(deployed: Deployment) -> list[DeadLetter]:
    """Every dead letter."""
    found = read_topic(deployed.where, deployed.dead_letters, deployed.partitions)
    return [DeadLetter(m.value(), m.key(), list(m.headers() or ())) for m in found]
