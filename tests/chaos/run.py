"""One run: requests on schedule, faults at random; afterwards every request is accounted for."""

import json
import math
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from schemas.errors import Code
from tests.chaos import faults
from tests.chaos.order import out_of_order
from tests.chaos.scene import MODEL, SLOW, VERSIONS, Scene
from tests.kit import numpy_models
from tests.kit.broker import BrokerFailed, KafkaBroker
from tests.kit.deployment import MISSED_SOON, Deployment
from tests.kit.mixed_requests import MixedRequests, RowAnswers
from tests.kit.models import SavedModels
from tests.kit.verifier import Account
from worker.share_group import LOCK_MS

PARTITIONS = 8
MOST_ROWS = 4
BUDGET_ROWS = 8192
MODEL_SECONDS = 0.002
SLOW_EVERY, SLOW_SECONDS = 20, 0.2
"""One in so many requests is for the slow model, which takes so long for a batch, on the partitions of the others."""
SEND_SECONDS = 0.02
START_SECONDS, HEAL_SECONDS, ANSWER_SECONDS = 180.0, 180.0, 300.0
SHOWN = 10
QUEUE = "queue"
QUEUE_LOCK_MS = 10_000
"""How long a queue waits for what a worker has taken: as long as the longest freeze, so that some are overtaken."""
GIVEN_UP = "the most that there are"
FORGOTTEN = "likely deleted already and hence can be skipped"
"""What Kafka 4.3 logs where it writes no end of a transaction to a partition that has no leader at that moment, as when
its only broker restarts: nobody can read on behind it, until an operator ends it. Seen once in a hundred restarts."""
OFFSETS = "__consumer_offsets"
"""Where that partition is one of these, the offsets of a committed transaction are lost with the next transaction of
the same worker that is aborted (`only_kafka` shows it without a worker); what they covered is read again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen.

    Attributes:
        seed: decides the faults, in their order; when exactly they strike, the machine does.
        seconds: how long faults strike, at least.
        requests: sent evenly over that time, at least.
        workers: how many there should be.
        pauses: the shortest and the longest time between two faults, in seconds.
        loader: `numpy`, whose workers are soon up again, or `saved_model`.
        mode: `at_least_once`, `exactly_once` or `queue`.
        ordered: whether replies are to keep the order of their requests, and that is looked at.
        faults: how many strike, at least, however long each of them takes here.
        only: the faults that there are; all where none is named.
        protocol: of the group: `classic` or `consumer`.
    """

    seed: int
    seconds: float
    requests: int
    workers: int = 4
    pauses: tuple[float, float] = (1.0, 4.0)
    loader: str = "numpy"
    mode: str = "at_least_once"
    ordered: bool = False
    faults: int = 1
    only: tuple[str, ...] = ()
    protocol: str = "classic"


@dataclass(slots=True)
class Verdict:
    """What came of it.

    Attributes:
        requests: how many were sent.
        struck: the faults, by name.
        missing: requests without a reply.
        wrong: what is wrong with replies, a line each.
        dead_letters: requests that became one, none of which should.
        unexpected: workers that ended, or not in the way they should.
        repeated: requests with more than one reply.
        repeated_rows: rows of replies too many.
        allowed_rows: rows that may be repeated: the budget of each worker that a fault concerned; None: any number.
        out_of_order: requests that were answered behind later ones, where replies are to keep their order.
        given_up: requests that a queue delivered as often as it does, each answered so and a dead letter.
        seconds: from the first fault to the last reply.
    """

    requests: int
    struck: Counter[str]
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    dead_letters: int = 0
    unexpected: list[str] = field(default_factory=list)
    repeated: int = 0
    repeated_rows: int = 0
    allowed_rows: int | None = 0
    out_of_order: list[str] = field(default_factory=list)
    given_up: int = 0
    seconds: float = 0.0

    def failures(self) -> list[str]:
        """What broke a promise, a line or more each; empty when nothing did."""
        found = (
            [f"{len(self.missing)} requests without a reply: {self.missing[:SHOWN]}"] if self.missing else []
        )
        found += [f"{len(self.wrong)} wrong replies:", *self.wrong[:SHOWN]] if self.wrong else []
        if self.dead_letters != self.given_up:
            found.append(f"{self.dead_letters} dead letters; {self.given_up} there should be")
        if self.out_of_order:
            found.append(f"{len(self.out_of_order)} replies out of order: {self.out_of_order[:SHOWN]}")
        found += self.unexpected
        if self.allowed_rows is not None and self.repeated_rows > self.allowed_rows:
            found.append(f"{self.repeated_rows} rows were repeated; {self.allowed_rows} may be")
        return found

    def __str__(self) -> str:
        struck = ", ".join(f"{name} {count}" for name, count in sorted(self.struck.items()))
        allowed = "any number" if self.allowed_rows is None else f"{self.allowed_rows:,}"
        return (
            f"{self.requests:,} requests, {self.struck.total()} faults ({struck}) in {self.seconds:.0f} s: "
            f"{len(self.missing)} missing, {len(self.wrong)} wrong, {self.dead_letters} dead letters, "
            f"{len(self.out_of_order)} out of order, "
            f"{self.given_up} given up, {self.repeated:,} repeated ({self.repeated_rows:,} rows; {allowed} may be)"
        )


def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Verdict:
    """Make everything, let faults strike, heal, and account for each request. *folder* keeps the logs.

    Raises:
        AssertionError: the workers did not come up, or what was left was not answered in time.
        BrokerFailed: it has forgotten a transaction, and so what was left cannot be answered, or was answered twice.
    """
    chance = random.Random(plan.seed)
    mixed = MixedRequests(most_rows=MOST_ROWS)
    models = _models(plan.loader, folder)
    settings = {
        **_member_settings(plan),
        "delivery.mode": plan.mode,
        "delivery.budget_rows": BUDGET_ROWS,
        "delivery.poll_records": 512,
    }
    if plan.ordered:
        settings |= {"delivery.request_coordinates": True}
        settings |= {} if plan.mode == "exactly_once" else {"delivery.reply_order": "partition"}
    rate = plan.requests / plan.seconds
    struck: Counter[str] = Counter()
    with KafkaBroker() as broker, Deployment(broker, folder, settings, partitions=PARTITIONS) as deployed:
        if group_config := _group_config(plan):
            deployed.admin.change_group_config(deployed.group, group_config)
        scene = Scene(deployed, broker, models[MODEL].base_path, loader=plan.loader, workers=plan.workers)
        deployed.set_model(SLOW, models[SLOW].base_path, [VERSIONS[0]])
        scene.desire()
        for place in range(plan.workers):
            scene.start(place)
        for worker in deployed.workers:
            worker.wait_until_ready(START_SECONDS)
        began = time.monotonic()
        with deployed.traffic(
            lambda number: mixed[number].record(_model_of(number)),
            at_once=math.ceil(rate * SEND_SECONDS),
            pause_seconds=SEND_SECONDS,
            # What is repeated then comes to the same partition.
            key=(lambda number: b"%d" % number) if plan.ordered else None,
        ) as traffic:
            while (
                time.monotonic() < began + plan.seconds
                or traffic.sent < plan.requests
                or struck.total() < plan.faults
            ):
                scene.sleep(chance.uniform(*plan.pauses))
                name = faults.strike(scene, chance, plan.only)
                struck[name] += 1
                say(f"{time.monotonic() - began:6.1f} s, {traffic.sent:,} sent: {name}")
        say("healing")
        scene.heal(HEAL_SECONDS)
        found = _found(scene)
        verdict = _account(found, traffic.sent, mixed, models)
        _look_closer(verdict, found, scene, folder, once=plan.mode == "exactly_once")
        if plan.ordered:
            verdict.out_of_order = out_of_order(found.all_replies())
        verdict.struck, verdict.unexpected = struck, scene.unexpected
        verdict.seconds = time.monotonic() - began
        if plan.mode == QUEUE:
            verdict.allowed_rows = None
        elif plan.mode == "at_least_once":
            concerned = sum(count * faults.concerned(name, plan.workers) for name, count in struck.items())
            verdict.allowed_rows = BUDGET_ROWS * concerned
        return verdict


def _found(scene: Scene) -> Account:
    """What became of the requests, once each of them has its reply."""
    try:
        scene.deployed.wait_until_answered(ANSWER_SECONDS)
    except AssertionError as error:
        _blame(scene.broker, error)
        raise
    return scene.deployed.account()


def _look_closer(verdict: Verdict, found: Account, scene: Scene, folder: Path, *, once: bool) -> None:
    """See to what must not be."""
    if verdict.missing:
        _blame(scene.broker)
    if verdict.repeated:
        _list_repeated(found, folder / "repeated.jsonl")
    if verdict.repeated and once:
        # Only the broker's own files tell what became of a transaction; they go with the broker.
        shutil.copytree(scene.broker.folder, folder / "broker")
        if scene.broker.has_logged(FORGOTTEN, OFFSETS):
            raise BrokerFailed(
                f"the broker has lost offsets of committed transactions, so that {verdict.repeated} requests that "
                "were answered already were read again"
            )


def _blame(broker: KafkaBroker, error: AssertionError | None = None) -> None:
    """Raise BrokerFailed where the broker has forgotten a transaction: then the run says nothing about workers."""
    if broker.has_logged(FORGOTTEN):
        raise BrokerFailed(
            "the broker has forgotten to end a transaction, and what lies behind it is not read"
        ) from error


def _member_settings(plan: Plan) -> Mapping[str, object]:
    """What lets a group miss a worker soon, as far as members say it."""
    if plan.mode == QUEUE:
        return {}
    if plan.protocol == "consumer":
        return {"kafka.consumer_properties.group.protocol": "consumer"}
    return MISSED_SOON


def _group_config(plan: Plan) -> Mapping[str, str]:
    """The same, as far as the broker is told."""
    if plan.mode == QUEUE:
        return {LOCK_MS: str(QUEUE_LOCK_MS)}
    return {"consumer.session.timeout.ms": "6000"} if plan.protocol == "consumer" else {}


def _account(found: Account, sent: int, mixed: MixedRequests, models: Mapping[str, "_Model"]) -> Verdict:
    verdict = Verdict(sent, Counter(), dead_letters=len(found.dead_letters))
    for number in range(sent):
        request = mixed[number]
        replies = found.replies.get(request.id, ())
        if not replies:
            verdict.missing.append(request.id)
        given_up = [reply for reply in replies if reply.code == Code.INTERNAL and GIVEN_UP in reply.message]
        verdict.given_up += len(given_up)
        rest = (reply for reply in replies if reply not in given_up)
        answers = models[_model_of(number)].answers
        verdict.wrong += filter(None, (request.wrong(reply, answers) for reply in rest))
        if len(replies) > 1:
            verdict.repeated += 1
            verdict.repeated_rows += request.rows * (len(replies) - 1)
    return verdict


def _list_repeated(found: Account, file: Path) -> None:
    """Requests with several replies, a line each: where those lie, and when they were made."""
    with file.open("w", encoding="utf-8") as lines:
        for request_id in found.repeated():
            places = [(r.partition, r.offset, r.timestamp_ms) for r in found.replies[request_id]]
            lines.write(json.dumps({"id": request_id, "replies": places}) + "\n")


def _model_of(number: int) -> str:
    """The model that the request with this number is for."""
    return MODEL if number % SLOW_EVERY else SLOW


@dataclass(frozen=True, slots=True)
class _Model:
    """Where a model is, and what its versions answer."""

    base_path: Path
    answers: Mapping[int, RowAnswers]


def _models(loader: str, folder: Path) -> dict[str, _Model]:
    """The model with both versions, and the slow one."""
    if loader == "saved_model":
        make = SavedModels(folder).three_signatures
    else:
        make = partial(numpy_models.write_three_signatures, folder / MODEL, sleep_seconds=MODEL_SECONDS)
    paths = {version: make(version) for version in VERSIONS}
    answers = {version: RowAnswers.of(loader, str(path), version) for version, path in paths.items()}
    slow_version = VERSIONS[0]
    slow = numpy_models.write_three_signatures(folder / SLOW, slow_version, sleep_seconds=SLOW_SECONDS)
    twin = numpy_models.write_three_signatures(
        folder / "twin", slow_version
    )  # asked row by row, and not slow
    return {
        MODEL: _Model(paths[slow_version].parent, answers),
        SLOW: _Model(slow.parent, {slow_version: RowAnswers.of("numpy", str(twin), slow_version)}),
    }
