"""Classes that the loader `python` can name, good and broken; and what writes a version that names one."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle.errors import InvalidModel
from lifecycle.signature import Signature, TensorSpec

MODULE = __name__
Array = npt.NDArray[Any]

NOT_OURS = Popen
"""What this module holds and has not made."""


def write(directory: Path, name: str, module: str = MODULE, **options: object) -> Path:
    """Write a version that names a class, with these options."""
    directory.mkdir(parents=True, exist_ok=True)
    document = {"class": f"{module}:{name}", "options": options}
    (directory / "servable.json").write_text(json.dumps(document))
    return directory


class Scaled:
    """`serving_default`: `x` DT_FLOAT[?] to `y` and `z`, by the option `factor`, and `z` once more."""

    made: list["Scaled"] = []  # noqa: RUF012 - the tests look at what was made

    def __init__(self, directory: str, options: Mapping[str, Any]) -> None:
        self.directory = directory
        self.closed = 0
        self._factor = options.get("factor", 2)
        spec = TensorSpec("x", "DT_FLOAT", (None,))
        outputs = {name: TensorSpec(name, "DT_FLOAT", (None,)) for name in ("y", "z")}
        self.signatures = {"serving_default": Signature("serving_default", "predict", {"x": spec}, outputs)}
        self.made.append(self)

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:
        """The wanted outputs."""
        y = inputs["x"] * np.float32(self._factor)
        found = {"y": y, "z": y * np.float32(self._factor)}
        return {name: found[name] for name in outputs or found}

    def close(self) -> None:
        """Count it."""
        self.closed += 1


class WithoutRun:
    """No servable."""

    def __init__(self, directory: str, options: Mapping[str, Any]) -> None:
        self.signatures = Scaled(directory, options).signatures


class WithoutSignatures(Scaled):
    """Nothing to call."""

    def __init__(self, directory: str, options: Mapping[str, Any]) -> None:
        super().__init__(directory, options)
        self.signatures = {}


class Misnamed(Scaled):
    """A signature by another's name."""

    def __init__(self, directory: str, options: Mapping[str, Any]) -> None:
        super().__init__(directory, options)
        self.signatures = {"other": self.signatures["serving_default"]}


class Busy:
    """Cannot be made now."""

    def __init__(self, directory: str, options: Mapping[str, Any]) -> None:
        raise OSError("the device is busy")


class Refusing:
    """Cannot be made of this version, whatever one does."""

    def __init__(self, directory: str, options: Mapping[str, Any]) -> None:
        raise InvalidModel("the weights are for another device")


def function(directory: str, options: Mapping[str, Any]) -> Scaled:
    """No class."""
    return Scaled(directory, options)
