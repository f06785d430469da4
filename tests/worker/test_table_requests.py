"""Requests for lookup tables and vocabularies, from the request topic to the reply topic."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import lookup_table_writer, vocabulary_writer
from lifecycle.loader import Loader
from lifecycle.servable_id import ServableId
from lifecycle.source import AspiredVersion
from lifecycle.warmup import WarmedLoader
from schemas import codec
from schemas.model_config import ModelConfig
from schemas.predict_request import PredictRequest
from schemas.tensor import Tensor
from schemas.version_selection import SpecificVersions
from tests.fakes.request_path import Lab
from worker.loaders import Loaders
from worker.version_sources import Source


def serve(lab: Lab, name: str, loader: str, base_path: Path, *versions: int) -> None:
    """Put a model on the control topic and load its versions as a worker does."""
    config = ModelConfig(str(base_path), loader=loader, versions=SpecificVersions(versions))
    lab.table.apply(name.encode(), codec.encode(config), 0)
    loaders = Loaders(wrap=lambda loader, life: WarmedLoader(loader, life.batch_rows))

    def make(version: int) -> Loader:
        return loaders.loader(Source(loader, str(base_path / str(version))), version, batch_rows=(1, 8))

    aspired = [AspiredVersion(ServableId(name, each), functools.partial(make, each)) for each in versions]
    lab.manager.set_aspired_versions(name, aspired)
    lab.settle_models()


def ask(lab: Lab, model: str, rows: Any, **fields: Any) -> None:
    """Send a request; its id is its number."""
    lab.send(PredictRequest(model, inputs=(Tensor.from_numpy(*rows),), **fields))


def test_two_versions_of_a_table_answer_requests_of_any_number_of_keys(tmp_path: Path) -> None:
    """Each request gets its own rows, in its order, of the version that it asks for; no keys get no rows."""
    keys = [f"user {n}" for n in range(100)]
    for version in (1, 2):
        vectors = np.arange(200, dtype=np.float32).reshape(100, 2) * version
        lookup_table_writer.write(tmp_path / str(version), keys, {"vector": vectors}, key_name="user")
    lab = Lab()
    serve(lab, "users", "lookup_table", tmp_path, 1, 2)
    worker = lab.worker().join()
    for n in range(30):
        asked = np.array([keys[(7 * n + k) % 100] for k in range(n % 4)] + ["nobody"] * (n % 3), object)
        ask(lab, "users", ("user", asked), id=f"{n}", version=1 + n % 2)

    worker.until_committed(30)

    answers = {}
    for reply in lab.replies():
        assert reply.error is None
        outputs = {each.name: each.to_numpy().tolist() for each in reply.outputs}
        answers[reply.id] = (outputs["vector"], outputs["found"])
    assert answers == {
        f"{n}": (
            [[2 * (7 * n + k) % 200 * v, (2 * (7 * n + k) % 200 + 1) * v] for k in range(n % 4)]
            + [[0, 0]] * (n % 3),
            [True] * (n % 4) + [False] * (n % 3),
        )
        for n in range(30)
        for v in [1 + n % 2]
    }


def test_a_request_may_ask_for_some_of_the_outputs(tmp_path: Path) -> None:
    """And gets only those."""
    rows: dict[str, npt.ArrayLike] = {"vector": np.eye(3), "age": np.array([30, 40, 50], np.uint8)}
    lookup_table_writer.write(tmp_path / "1", np.array([5, -6, 7]), rows)
    lab = Lab()
    serve(lab, "users", "lookup_table", tmp_path, 1)
    worker = lab.worker().join()
    ask(lab, "users", ("keys", np.array([-6, 9])), outputs=("age",))

    worker.until_committed(1)

    (reply,) = lab.replies()
    assert [(each.name, each.to_numpy().tolist()) for each in reply.outputs] == [("age", [40, 0])]


def test_a_vocabulary_answers_both_ways(tmp_path: Path) -> None:
    """In one poll."""
    vocabulary_writer.write(tmp_path / "1", [b"the", b"\xff\0", b""])
    lab = Lab()
    serve(lab, "words", "vocabulary", tmp_path, 1)
    worker = lab.worker().join()
    ask(lab, "words", ("strings", np.array([b"", b"\xff\0", b"\xff", b"the"], object)), id="to ids")
    ask(lab, "words", ("ids", np.array([1, 5, 2])), id="to strings", signature="ids_to_strings")

    worker.until_committed(2)

    answers = {reply.id: reply.outputs[0].to_numpy().tolist() for reply in lab.replies()}
    assert answers == {"to ids": [2, 1, -1, 0], "to strings": [b"\xff\0", b"UNK", b""]}
