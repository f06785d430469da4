"""A servable with a signature for each way of being asked, which fails when it is told to."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lifecycle.errors import InvalidInput
from lifecycle.signature import Signature, TensorSpec

POISON = -1.0
"""A row whose first number is this makes the model fail, whatever stands beside it."""
METHOD = "tensorflow/serving/predict"

Array = npt.NDArray[np.generic]


class LabServable:
    """`serving_default` doubles rows and adds the version; the other signatures are said beside them.

    Attributes:
        runs: the signature and the rows of each run, in order.
        broken: while true, every run fails.
        short: while true, the last row of each answer is missing.
        quoting: while true, every run is refused, with the first number of each row that it was given.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        self.runs: list[tuple[str, int]] = []
        self.broken = False
        self.short = False
        self.quoting = False
        rows = TensorSpec("x", "DT_FLOAT", (None, 2))
        answers = TensorSpec("y", "DT_FLOAT", (None, 2))
        square = TensorSpec("x", "DT_FLOAT", (2, 2))
        scalar = TensorSpec("x", "DT_FLOAT", ())
        texts = TensorSpec("y", "DT_STRING", (None,))
        self.signatures: Mapping[str, Signature] = {
            "serving_default": Signature("serving_default", METHOD, {"x": rows}, {"y": answers}),
            # Nothing free in dimension 0: its requests cannot be stacked.
            "square": Signature("square", METHOD, {"x": square}, {"y": square}),
            "scalar": Signature("scalar", METHOD, {"x": scalar}, {"y": scalar}),
            # A text for each row, as long as its first number says: answers of different sizes in one batch.
            "text": Signature("text", METHOD, {"x": rows}, {"y": texts}),
        }

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Run one signature."""
        del outputs  # each signature has one
        x = np.asarray(inputs["x"], np.float32)
        self.runs.append((signature, len(x) if x.ndim else 0))
        if self.quoting:
            raise InvalidInput(f"not these: {x[:, 0].tolist()}")
        if self.broken or (x == POISON).any():
            raise ValueError("this model does not like that number")
        if signature == "text":
            texts = np.empty(len(x), object)
            texts[:] = [b"t" * int(row[0]) for row in x]
            return {"y": texts}
        y = np.asarray(x * 2 + self.version, np.float32)
        return {"y": y[:-1] if self.short else y}


class LabLoader:
    """Loads a `LabServable`, or fails with an error."""

    def __init__(self, servable: LabServable, failure: Exception | None = None) -> None:
        self._servable = servable
        self._failure = failure

    def load(self) -> None:
        """Load."""
        if self._failure is not None:
            raise self._failure

    def unload(self) -> None:
        """Unload."""

    @property
    def servable(self) -> LabServable:
        """The servable."""
        return self._servable
