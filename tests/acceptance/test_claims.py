"""Large data on the real broker, whose topics take 1 MB: 30 MB go by claims, either way, or an error says why not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.claim import claims_of, with_data
from schemas.errors import Code
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from tests.fakes.stores import claimed
from tests.kit import numpy_models
from tests.kit.deployment import Deployment, DeploymentFactory
from tests.kit.verifier import Reply
from tests.kit.worker import RunningWorker
from worker import claim_store
from worker.client import Client

pytestmark = pytest.mark.kafka

MODEL, WIDTH = "large", 3_750_000
ROWS = np.random.default_rng(7).standard_normal((2, WIDTH), dtype=np.float32)
"""30 MB; the model says where the largest number of each row is."""
SHA = "sha256:" + "0" * 64
MODES = pytest.mark.parametrize("mode", ["at_least_once", "exactly_once", "queue"])


def write_model(folder: Path) -> None:
    """`serving_default`: `x` DT_FLOAT[?,3750000] to `best` DT_INT64[?]. `strings`: `s` to `echo`, both DT_STRING[?]."""
    texts = {"dtype": "DT_STRING", "shape": [None]}
    signatures = {
        "serving_default": {
            "inputs": {"x": {"dtype": "DT_FLOAT", "shape": [None, WIDTH]}},
            "outputs": {"best": {"dtype": "DT_INT64", "shape": [None]}},
            "steps": [{"kind": "argmax", "input": "x", "output": "best"}],
        },
        "strings": {
            "inputs": {"s": texts},
            "outputs": {"echo": texts},
            "steps": [{"kind": "identity", "input": "s", "output": "echo"}],
        },
    }
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.json").write_text(json.dumps({"signatures": signatures}))


def serve(
    make: DeploymentFactory, folder: Path, *, mode: str = "at_least_once", **options: Any
) -> tuple[Deployment, RunningWorker, str, str]:
    """A deployment with a worker and the model; where requests' data may lie, and where replies' data goes."""
    write_model(folder / MODEL)
    (folder / "in").mkdir()
    read_root, write_root = f"file://{folder}/in", f"file://{folder}/out"
    settings = {"delivery.mode": mode, "claims.roots": [read_root], "claims.write_root": write_root}
    deployed = make(settings, partitions=1, **options)
    deployed.set_model(MODEL, folder / MODEL)
    worker = deployed.start_worker()
    if mode == "queue":
        worker.wait_until_ready()
    else:
        worker.wait_until_assigned(1)
    return deployed, worker, read_root, write_root


def ask(name: str, rows: np.ndarray = ROWS) -> PredictRequest:
    """Where the largest numbers are."""
    return PredictRequest(MODEL, inputs=(Tensor.from_numpy("x", rows),), id=name)


def echo(name: str, size_bytes: int) -> PredictRequest:
    """A request that is answered with a text of that size."""
    text = Tensor.from_numpy("s", numpy_models.rows(b"t" * size_bytes))
    return PredictRequest(MODEL, signature="strings", inputs=(text,), id=name)


def fetched(reply: Reply, root: str) -> bytes:
    """The one text of a reply that lies below a root."""
    (tensor,) = reply.value.outputs
    claim = claims_of(reply.value.parameters)["echo"]
    with claim_store.reading(claim.uri, root) as file:
        data = file.read()
    assert type(claim).of_data(claim.uri, [data]) == claim
    (text,) = with_data(tensor, data).to_numpy()
    return bytes(text)


@MODES
def test_a_request_and_a_reply_of_30_mb(deployment: DeploymentFactory, tmp_path: Path, mode: str) -> None:
    """Each by claim, with neighbours that went as ever; every way of delivery has them."""
    deployed, worker, read_root, write_root = serve(deployment, tmp_path, mode=mode)
    small = [echo(f"small{n}", 60) for n in range(20)]

    deployed.send(
        [*small[:10], claimed(ask("in"), read_root), claimed(echo("out", 30_000_000), read_root), *small[10:]]
    )
    deployed.wait_until_answered(120.0)

    found = deployed.account()
    assert found.errors() == {}
    assert found.repeated() == {}
    assert found.the_reply("in").outputs["best"].tolist() == ROWS.argmax(axis=-1).tolist()
    assert fetched(found.the_reply("out"), write_root) == b"t" * 30_000_000
    assert {found.the_reply(each.id).outputs["echo"][0] for each in small} == {b"t" * 60}
    assert worker.metric("headrace_claim_bytes_total", action="write") == 30_000_008
    assert worker.stop() == 0


def test_without_settings_both_are_told_why(deployment: DeploymentFactory, tmp_path: Path) -> None:
    """Clear errors, and the neighbours are answered."""
    topics = {"requests": {"max.message.bytes": "8000000"}}
    write_model(tmp_path / MODEL)
    deployed = deployment(partitions=1, topic_config=topics)
    deployed.set_model(MODEL, tmp_path / MODEL)
    worker = deployed.start_worker()
    worker.wait_until_assigned(1)

    deployed.send([claimed(ask("in"), f"file://{tmp_path}/in"), echo("out", 3_000_000), echo("small", 10)])
    deployed.wait_until_answered()

    found = deployed.account()
    assert {name: found.the_reply(name).code for name in ("in", "out", "small")} == {
        "in": Code.FAILED_PRECONDITION,
        "out": Code.RESOURCE_EXHAUSTED,
        "small": 0,
    }
    assert "claims.roots" in found.the_reply("in").message
    assert "max.message.bytes" in found.the_reply("out").message
    assert worker.stop() == 0


def test_lies_fail_alone(deployment: DeploymentFactory, tmp_path: Path) -> None:
    """Each with its code; their neighbours are answered, and no message says where anything lies."""
    deployed, worker, read_root, _ = serve(deployment, tmp_path)
    secret = tmp_path / "secret"
    secret.write_bytes(b"the secret")
    (tmp_path / "in" / "link").symlink_to(secret)
    short = claimed(echo("size", 2000), read_root, named="short")
    (tmp_path / "in" / "short").write_bytes(b"\0" * 100)
    lies = {
        "size": short,
        "checksum": claimed(echo("checksum", 2000), read_root, checksum=SHA),
        "place": claimed(echo("place", 2), read_root, uri=f"{read_root}/../secret"),
        "link": claimed(echo("link", 2), read_root, uri=f"{read_root}/link"),
        "missing": claimed(echo("missing", 2), read_root, stored=False),
    }

    deployed.send(
        [echo("before", 10), *lies.values(), claimed(echo("honest", 5), read_root), echo("behind", 10)]
    )
    deployed.wait_until_answered()

    found = deployed.account()
    codes = {name: found.the_reply(name).code for name in found.replies}
    invalid = dict.fromkeys(("size", "checksum", "place", "link"), Code.INVALID_ARGUMENT)
    assert codes == {"before": 0, "honest": 0, "behind": 0, "missing": Code.NOT_FOUND, **invalid}
    for name in lies:
        message = found.the_reply(name).message
        assert "'s'" in message
        assert not [word for word in ("secret", str(tmp_path), "headrace-") if word in message]
    assert worker.stop() == 0


def test_the_client_goes_there_and_back(deployment: DeploymentFactory, tmp_path: Path) -> None:
    """30 MB in and 30 MB out as if the topics took them; what the client stored is gone afterwards."""
    deployed, worker, read_root, write_root = serve(deployment, tmp_path)
    text = numpy_models.rows(b"s" * 30_000_000)

    with Client(
        deployed.settings.kafka.bootstrap_servers,
        request_topic=deployed.requests,
        reply_topic=deployed.replies,
        claims_root=read_root,
        trusted_roots=[write_root],
        timeout_seconds=120.0,
    ) as client:
        answer = client.predict(MODEL, {"s": text}, signature="strings")

    assert answer["echo"].tolist() == text.tolist()
    assert [path for path in (tmp_path / "in").rglob("*") if path.is_file()] == []
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == 1
    assert worker.stop() == 0


def test_the_command_trusts_its_own_settings(deployment: DeploymentFactory, tmp_path: Path) -> None:
    """`headrace request` prints what lies elsewhere as if it had come in the reply."""
    limits = {"replies": {"max.message.bytes": "20000"}}
    deployed, worker, _, _ = serve(deployment, tmp_path, topic_config=limits)
    asked = json.dumps({"inputs": {"s": ["t" * 30_000]}})
    (tmp_path / "request.json").write_text(asked)

    done = deployed.command(
        "request", MODEL, "--signature", "strings", "--file", str(tmp_path / "request.json")
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"outputs": ["t" * 30_000]}
    assert worker.metric("headrace_claim_seconds_count", action="write") == 1
    assert worker.stop() == 0
