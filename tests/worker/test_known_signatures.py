"""What the fleet's word on a model is good for."""

from typing import Any

import pytest

from schemas import codec
from schemas.dtype import DType
from schemas.servable_status import ServableState, ServableStatus
from schemas.signature_spec import SignatureSpec, TensorSpec
from schemas.worker_status import WorkerState, WorkerStatus
from worker.fleet import Fleet
from worker.known_signatures import KnownModel, UnknownSignature, known_model

NOW_MS = 100_000


def signature(name: str = "serving_default", **inputs: str) -> SignatureSpec:
    """A signature with inputs of these dtypes."""
    specs = tuple(TensorSpec(each, dtype, (None,)) for each, dtype in inputs.items())
    return SignatureSpec(name, "tensorflow/serving/predict", specs, ())


class World:
    """A status topic, as far as a fleet sees it."""

    def __init__(self) -> None:
        self.fleet = Fleet()

    def worker(self, name: str = "w", heard_ms: int = NOW_MS) -> None:
        """A worker says that it lives, for ten seconds from then."""
        status = WorkerStatus(name, "headrace", "host", "1", 0, WorkerState.SERVING, 10_000, 0)
        self.fleet.apply(name.encode(), codec.encode(status), heard_ms)

    def version(self, version: int, *signatures: SignatureSpec, worker: str = "w", **fields: Any) -> None:
        """A worker says how a version does."""
        status = ServableStatus(
            worker, "digits", version, **({"state": ServableState.AVAILABLE} | fields), signatures=signatures
        )
        self.fleet.apply(f"{worker}/digits/{version}".encode(), codec.encode(status), NOW_MS)

    def known(self, model: str = "digits") -> KnownModel:
        """What is known now."""
        return known_model(self.fleet, NOW_MS + 1, model)


@pytest.fixture
def world() -> World:
    """Nobody yet."""
    return World()


def test_inputs_are_those_of_the_version_that_workers_choose(world: World) -> None:
    """The highest available one, in the signature's order; or the one that is asked for."""
    world.worker()
    world.version(2, signature(x="DT_FLOAT"))
    world.version(3, signature(b="DT_INT64", a="DT_STRING"))
    world.version(4, state=ServableState.LOADING)

    assert world.known().inputs("serving_default") == {"b": DType.DT_INT64, "a": DType.DT_STRING}
    assert list(world.known().inputs("serving_default") or ()) == ["b", "a"]
    assert world.known().inputs("serving_default", 2) == {"x": DType.DT_FLOAT}
    assert world.known().inputs("serving_default", 4) == world.known().inputs("serving_default")


def test_what_nobody_serves_is_not_known(world: World) -> None:
    """A version that is loading, or that nobody has, or a model that nobody has."""
    world.worker()
    world.version(4, state=ServableState.LOADING)

    assert world.known().inputs("serving_default") is None
    assert world.known().inputs("serving_default", 4) is None
    assert world.known("other").inputs("serving_default") is None


def test_the_word_of_the_lost_does_not_count(world: World) -> None:
    """A worker whose lease has run out serves nothing."""
    world.worker(heard_ms=NOW_MS - 20_000)
    world.version(1, signature(x="DT_FLOAT"))

    assert world.known().live_workers == 0
    assert world.known().inputs("serving_default") is None


def test_a_signature_that_is_not_there_is_told_with_those_that_are(world: World) -> None:
    """Before anything is sent."""
    world.worker()
    world.version(2, signature(x="DT_FLOAT"), signature("classify", x="DT_FLOAT"))

    with pytest.raises(
        UnknownSignature, match="version 2 of model 'digits' has no signature 'clasify'; it has cl"
    ):
        world.known().inputs("clasify")


def test_inputs_that_no_request_can_carry_are_told(world: World) -> None:
    """A resource, a variant, or what a later release may invent."""
    world.worker()
    world.version(2, signature(x="DT_RESOURCE"))

    with pytest.raises(UnknownSignature, match="the input 'x' is DT_RESOURCE"):
        world.known().inputs("serving_default")


def test_advice_names_what_to_look_at(world: World) -> None:
    """From nobody there to everything there."""
    assert "no worker is alive" in world.known().advice()
    world.worker()
    assert world.known().advice().startswith("1 worker is alive, and none knows the model 'digits'")
    world.version(2, state=ServableState.END, code=14, message="disk on fire")
    assert "none has the model 'digits' available (version 2: disk on fire)" in world.known().advice()
    world.worker("v")
    world.version(1, signature(x="DT_FLOAT"), worker="v")
    assert "2 workers are alive and can serve it" in world.known().advice()
    told = world.known().advice(2)
    assert (
        "2 workers are alive, and none has version 2 of 'digits' available (version 2: disk on fire)" in told
    )
    assert "versions of it that can answer: 1" in told
