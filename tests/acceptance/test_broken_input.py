"""Acceptance 5: whatever is wrong with a request, it alone is answered or dead-lettered, and the worker lives."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from schemas import codec, headers
from schemas.errors import Code
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.kit import numpy_models
from tests.kit.broker import Broker
from tests.kit.deployment import Deployment
from tests.kit.verifier import Account, DeadLetter, difference
from worker.kafka.records import Headers, Message

pytestmark = pytest.mark.kafka

MODEL = "three"
GOOD = 5
"""Good requests between every two bad ones."""
CORRELATION: tuple[str, bytes] = (headers.CORRELATION_ID, b"\x00\xffwhich")
OWN: tuple[str, bytes] = ("own", b"\xfe\xed")
REPLY_BYTES = 20_000


def good(number: int) -> PredictRequest:
    """A request that is answered with scores."""
    x = numpy_models.pixels(1 + number % 3, seed=number)
    return PredictRequest(MODEL, inputs=(Tensor.from_numpy("x", x),), id=f"good{number}")


def asking(name: str, *tensors: Tensor, **fields: str) -> bytes:
    """A request whose id is the name of what is wrong with it."""
    return codec.encode(PredictRequest(**{"model": MODEL, "inputs": tensors, "id": name, **fields}))  # type: ignore[arg-type]  # plain fields


def x(*shape: int, dtype: type[np.generic] = np.float32) -> Tensor:
    """The input of the model, of some shape."""
    return Tensor.from_numpy("x", np.zeros(shape, dtype))


def text(size_bytes: int) -> Tensor:
    """One row of the signature `strings`, which is echoed."""
    return Tensor.from_numpy("s", numpy_models.rows(b"t" * size_bytes))


@dataclass(frozen=True)
class Bad:
    """A record and what must come of it: an answer with a code and these words, or a dead letter with them."""

    value: bytes
    words: str
    code: Code | None = None
    more: Headers = field(default_factory=tuple)


BAD = {
    "garbage bytes": Bad(b"\xde\xad\xbe\xef nothing of ours", "the value begins with de ad"),
    "truncated Avro": Bad(asking("truncated", x(1, 64))[:-40], "228 bytes are left"),
    "wrong dtype": Bad(
        asking("wrong dtype", x(1, 64, dtype=np.int32)), "expected DT_FLOAT[?,64]", Code.INVALID_ARGUMENT
    ),
    "wrong shape": Bad(asking("wrong shape", x(1, 63)), "64 expected, 63 given", Code.INVALID_ARGUMENT),
    "unknown model": Bad(asking("unknown model", x(1, 64), model="nobody"), "'nobody'", Code.NOT_FOUND),
    "unknown signature": Bad(
        asking("unknown signature", x(1, 64), signature="nothing"), "'serving_default'", Code.INVALID_ARGUMENT
    ),
    "expired deadline": Bad(
        asking("expired deadline", x(1, 64)),
        "deadline",
        Code.DEADLINE_EXCEEDED,
        [(headers.TIMEOUT_MS, b"1")],
    ),
    "forbidden reply topic": Bad(
        asking("forbidden reply topic", x(1, 64)),
        "may name",
        more=[(headers.REPLY_TOPIC, b"somebody-elses")],
    ),
    "reply larger than its topic takes": Bad(
        asking("reply larger than its topic takes", text(30_000), signature="strings"),
        "max.message.bytes",
        Code.RESOURCE_EXHAUSTED,
    ),
}
ANSWERED = [name for name, bad in BAD.items() if bad.code is not None]
DEAD_LETTERED = [name for name, bad in BAD.items() if bad.code is None]


@dataclass
class Outcome:
    """What came of everything that was sent.

    Attributes:
        account: replies and dead letters.
        sent: the report of each bad record, with its place, by name.
        last: what came of a good request sent after all that.
        exit_status: how the worker ended when asked to.
        log: what it logged as an error.
    """

    account: Account
    sent: dict[str, Message]
    last: int
    exit_status: int
    errors: list[str]


@pytest.fixture(scope="module")
def outcome(kafka_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Every bad record between good ones, all there before the worker starts: so they are read in one poll."""
    folder = tmp_path_factory.mktemp("broken-input")
    numpy_models.write_three_signatures(folder / MODEL)
    limited = {"replies": {"max.message.bytes": str(REPLY_BYTES)}}
    with Deployment(kafka_broker, folder, partitions=1, topic_config=limited) as deployed:
        deployed.set_model(MODEL, folder / MODEL)
        sent = {}
        for number, (name, bad) in enumerate(BAD.items()):
            deployed.send([good(GOOD * number + n) for n in range(GOOD)])
            own = [OWN, CORRELATION, *bad.more]
            (sent[name],) = deployed.send([bad.value], keys=[name.encode()], headers=[own])
        deployed.send([good(GOOD * len(BAD))])
        worker = deployed.start_worker()
        deployed.wait_until_answered()
        before = deployed.account()
        deployed.send([good(10_000)])
        deployed.wait_until_answered()
        last = deployed.account().the_reply("good10000").code
        errors = [entry["event"] for entry in worker.log() if entry["level"] in {"error", "critical", "raw"}]
        yield Outcome(before, sent, last, worker.stop(), errors)


@pytest.mark.parametrize("name", ANSWERED)
def test_a_bad_request_is_answered_with_the_reason(outcome: Outcome, name: str) -> None:
    """One reply with its id, key and correlation id, the code that says what kind of fault it is, and the reason."""
    reply = outcome.account.the_reply(name)

    assert reply.code == BAD[name].code
    assert BAD[name].words in reply.message
    assert reply.key == name.encode()
    assert reply.headers == [CORRELATION]
    assert reply.value.outputs == ()


@pytest.mark.parametrize("name", DEAD_LETTERED)
def test_what_cannot_be_answered_is_a_dead_letter(outcome: Outcome, name: str) -> None:
    """One dead letter with the original's bytes, key and headers, its place, and the reason; and no reply."""
    letter = only(outcome.account, name)

    assert letter.value == BAD[name].value
    assert letter.original_headers == [OWN, CORRELATION, *BAD[name].more]
    assert BAD[name].words in letter.reason
    report = outcome.sent[name]
    assert letter.original == (report.topic(), report.partition(), report.offset())
    assert name not in outcome.account.replies


def test_there_is_no_other_outcome(outcome: Outcome) -> None:
    """Nothing is answered twice, nothing is both answered and dead-lettered, and nothing is missing."""
    neighbours = [f"good{n}" for n in range(GOOD * len(BAD) + 1)]

    assert outcome.account.missing([*neighbours, *ANSWERED]) == []
    assert outcome.account.strangers([*neighbours, *ANSWERED]) == []
    assert outcome.account.repeated() == {}
    assert len(outcome.account.dead_letters) == len(DEAD_LETTERED)


def test_neighbours_in_the_same_batch_are_unharmed(outcome: Outcome) -> None:
    """Every good request has the scores of its own rows."""
    for number in range(GOOD * len(BAD) + 1):
        reply = outcome.account.the_reply(f"good{number}")
        inputs = {"x": numpy_models.pixels(1 + number % 3, seed=number)}
        wanted = numpy_models.expected(1, "serving_default", inputs)
        assert reply.code == 0, reply.message
        assert difference(reply.outputs, wanted) is None


def test_the_worker_lives(outcome: Outcome) -> None:
    """It answers a last good request, ends in order, and found nothing of all this an error of its own."""
    assert outcome.last == 0
    assert outcome.exit_status == 0
    assert outcome.errors == []


def only(account: Account, name: str) -> DeadLetter:
    """The one dead letter with that key."""
    found = [letter for letter in account.dead_letters if letter.key == name.encode()]
    assert len(found) == 1, f"{name} has {len(found)} dead letters"
    return found[0]
