"""One record of each kind, as stored under golden/ when its schema was published.

A file of golden/ is named RECORD-FINGERPRINT.hex and is never changed: it is what that schema looked like on the wire.
Maps have one entry at most, so that every encoder writes the same bytes.
"""

from pathlib import Path

import numpy as np

from schemas.codec import Record
from schemas.model_config import BatchingOptions, ModelConfig, PastConfig
from schemas.predict_reply import PredictReply
from schemas.predict_request import PredictRequest
from schemas.servable_status import ServableState, ServableStatus
from schemas.signature_spec import SignatureSpec, TensorSpec
from schemas.status import Status
from schemas.tensor import Tensor
from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions
from schemas.worker_status import WorkerState, WorkerStatus

FOLDER = Path(__file__).parent / "golden"
STRINGS = Tensor.from_numpy("words", np.array([["é", "b"]]))
FLOATS = Tensor.from_numpy("scores", np.array([[0.5, -1.5]], "<f4"))

RECORDS: dict[str, Record] = {
    "Tensor": FLOATS,
    "Status": Status(5, "no model 'nobody'"),
    "PredictRequest": PredictRequest(
        "digits",
        None,
        "stable",
        "classify",
        ("scores",),
        (FLOATS, STRINGS),
        "request-1",
        {"added": b"\x00later"},
    ),
    "PredictReply": PredictReply("digits", 3, (FLOATS, STRINGS), None, "request-1", {"added": b"\x00later"}),
    "ModelConfig": ModelConfig(
        "/models/digits",
        "saved_model",
        SpecificVersions((3, 4)),
        {"stable": 3},
        BatchingOptions(512, 0.002, (1, 8, 512), None),
        7,
        "ada",
        1_700_000_000_000,
        "roll back",
        (
            PastConfig("/models/digits", versions=LatestVersions(2), revision=6),
            PastConfig("/models/digits", versions=AllVersions(), batching=BatchingOptions(), revision=5),
        ),
        {"added": b"\x00later"},
    ),
    "ServableStatus": ServableStatus(
        "worker-1",
        "digits",
        3,
        ServableState.AVAILABLE,
        0,
        "",
        41,
        (
            SignatureSpec(
                "serving_default",
                "tensorflow/serving/predict",
                (TensorSpec("image", "DT_FLOAT", (None, 64)), TensorSpec("flag", "DT_BOOL", ())),
                (TensorSpec("scores", "DT_FLOAT", None),),
            ),
        ),
        1_700_000_000_000,
        {"added": b"\x00later"},
    ),
    "WorkerStatus": WorkerStatus(
        "worker-1",
        "headrace",
        "host",
        "0.1.0",
        41,
        WorkerState.SERVING,
        15_000,
        1_700_000_000_000,
        {"added": b"x"},
    ),
}


def stored() -> dict[tuple[str, int], bytes]:
    """The stored values by record name and fingerprint."""
    found = {}
    for path in sorted(FOLDER.glob("*.hex")):
        name, fingerprint = path.stem.split("-")
        found[name, int(fingerprint, 16)] = bytes.fromhex(path.read_text())
    return found
