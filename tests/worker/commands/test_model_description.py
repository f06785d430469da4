"""`headrace models describe`, on topics in memory."""

from dataclasses import replace

import pytest

from schemas.model_config import GOLDEN, LOADING, SPLIT, WARMUP
from schemas.servable_status import ASLEEP, LOAD_SECONDS, MEMORY_BYTES, REQUESTS_ANSWERED, REQUESTS_FAILED
from schemas.signature_spec import SignatureSpec, TensorSpec
from schemas.version_selection import SpecificVersions
from tests.worker.commands.control_world import CONFIG, World, document, version, worker
from worker.commands import model_actions
from worker.commands.failure import CommandFailedError
from worker.commands.model_description import describe_model
from worker.commands.output import Output
from worker.status_topic import WHOLE_MODEL

X = TensorSpec("x", "DT_FLOAT", (None, 64))
Y = TensorSpec("y", "DT_INT64", None)
TAKES_X = SignatureSpec("serving_default", "predict", (X,), (X, Y))
TAKES_Y = SignatureSpec("serving_default", "predict", (Y,), (X,))
SAID = {
    LOAD_SECONDS: b"12.345",
    MEMORY_BYTES: b"host=3221225472 gpu:0=1",
    REQUESTS_ANSWERED: b"12000",
    REQUESTS_FAILED: b"34",
}


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> World:
    """Two workers have version 3; one also has 4, which takes something else, and fails to load 5; one is lost."""
    made = World()
    config = replace(
        CONFIG,
        versions=SpecificVersions((3, 4, 5)),
        labels={"stable": 3, "old": 3, "canary": 4},
        parameters={
            SPLIT: b"stable=95 canary=5",
            WARMUP: b"warn",
            LOADING: b"lazy",
            GOLDEN: b'{"inputs":[1],"outputs":[2]}',
        },
    )
    model_actions.set_model(made.access(), "m", config, Output("json"))
    made.say(
        worker("v"),
        worker(),
        worker("gone", lease_ms=0),
        version(3, on="v", signatures=(TAKES_X,), parameters=SAID),
        version(3, signatures=(TAKES_X,), parameters={REQUESTS_ANSWERED: b"5", REQUESTS_FAILED: b"0"}),
        version(4, signatures=(TAKES_Y,)),
        version(5, state="END", code=9, message="corrupt"),
        version(2, on="gone", signatures=(TAKES_X,)),
        version(7, model="another"),
    )
    capsys.readouterr()
    return made


def test_programs_get_everything(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """What is desired; each version with its labels, workers and signatures; lost workers apart."""
    describe_model(world.access(), "m", Output("json"))
    shown = document(capsys)
    assert (shown["model"], shown["desired"]["versions"], shown["problem"]) == ("m", "3,4,5", None)
    assert list(shown["versions"]) == ["5", "4", "3"]
    assert shown["versions"]["3"]["labels"] == ["old", "stable"]
    assert set(shown["versions"]["3"]["workers"]) == {"v", "w"}
    assert {w: said["load_seconds"] for w, said in shown["versions"]["3"]["workers"].items()} == {
        "v": 12.345,
        "w": None,
    }
    assert {w: said["memory_bytes"] for w, said in shown["versions"]["3"]["workers"].items()} == {
        "v": {"host": 3_221_225_472, "gpu:0": 1},
        "w": {},
    }
    counted = shown["versions"]["3"]
    assert {w: (s["requests_answered"], s["requests_failed"]) for w, s in counted["workers"].items()} == {
        "v": (12_000, 34),
        "w": (5, 0),
    }
    assert counted["requests"] == {"answered": 12_005, "failed": 34}
    assert shown["versions"]["3"]["signatures"] == {
        "serving_default": {
            "method_name": "predict",
            "batchable": False,
            "inputs": {"x": {"dtype": "DT_FLOAT", "shape": [None, 64]}},
            "outputs": {
                "x": {"dtype": "DT_FLOAT", "shape": [None, 64]},
                "y": {"dtype": "DT_INT64", "shape": None},
            },
        }
    }
    assert shown["versions"]["5"] == {
        "labels": [],
        "workers": {
            "w": {
                "state": "END",
                "code": 9,
                "message": "corrupt",
                "since": "1970-01-01T00:16:40Z",
                "load_seconds": None,
                "memory_bytes": {},
                "requests_answered": None,
                "requests_failed": None,
            }
        },
        "requests": {"answered": 0, "failed": 0},
        "signatures": {},
    }
    assert (shown["problems"], shown["lost_workers"]) == ({}, ["gone"])


def test_people_get_signatures_once_for_the_versions_that_share_them(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """And failures in words."""
    world.say(version(4, on="v", signatures=(TAKES_X,)))  # two workers may have other files
    world.say(version(5, on="v", state="START", parameters={ASLEEP: b"true"}))
    describe_model(world.access(), "m", Output())
    text = capsys.readouterr().out
    for piece in (
        "model 'm': versions 3,4,5 of /models/m (saved_model), revision 1 by ann@host at 1970-01-01T00:00:01Z: why",
        "requests that name neither version nor label: stable=95 canary=5",
        "warm-up: warn",
        "lazy: each worker loads it when it is first asked for there",
        "START (asleep)",
        "before a version is available it answers 1 golden request (",
        "old stable",
        "12.3 s",
        "3.00 GiB",
        "12,000 (34 failed)",
        "version 3 has answered 12,005 requests on all workers, and 34 with an error",
        "FAILED",
        "corrupt",
        "AVAILABLE (lost)",
        "version 4, 3 takes and gives",
        "version 4 takes and gives",
        "[?, 64]",
        "any rank",
    ):
        assert piece in text, piece
    assert text.count("takes and gives") == 2


def test_a_model_without_a_version_or_a_valid_record_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Each worker's reason, and what is wrong with the record."""
    world = World()
    world.control.add(b"m", b"garbage")
    world.say(worker(), version(WHOLE_MODEL, state="END", code=3, message="no ModelConfig"))
    describe_model(world.access(), "m", Output())
    text = capsys.readouterr().out
    assert "the control record of model 'm' is not valid: the value is no ModelConfig" in text
    assert "worker w: no ModelConfig" in text
    assert "no worker has a version of it" in text

    describe_model(world.access(), "m", Output("json"))
    shown = document(capsys)
    assert (shown["desired"], shown["versions"]) == (None, {})
    assert shown["problems"] == {"w": "no ModelConfig"}


def test_what_is_left_of_a_removed_model_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Until nothing is."""
    world = World()
    world.say(worker(), version(state="UNLOADING"))
    describe_model(world.access(), "m", Output())
    assert "is not on the control topic: what is left of it is going" in capsys.readouterr().out
    with pytest.raises(CommandFailedError, match=r"'x' is not on the control topic, and no worker"):
        describe_model(world.access(), "x", Output())
