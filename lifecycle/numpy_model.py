"""The format of a NumPy model: a directory with model.json and the .npy files that it names.

For small linear models and perceptrons, and for runs that need a model at once and without TensorFlow::

    {
      "load_seconds": 0,
      "sleep_seconds": 0,
      "signatures": {
        "serving_default": {
          "inputs": {"pixels": {"dtype": "DT_FLOAT", "shape": [null, 64]}},
          "outputs": {"scores": {"dtype": "DT_FLOAT", "shape": [null, 10]},
                      "digit": {"dtype": "DT_INT64", "shape": [null]}},
          "steps": [
            {"kind": "dense", "input": "pixels", "output": "scores",
             "weights": "weights.npy", "bias": "bias.npy", "activation": "softmax"},
            {"kind": "argmax", "input": "scores", "output": "digit"}
          ]
        }
      }
    }

Steps run in order; each takes an input of the signature or the output of an earlier step and gives its own
output a name; outputs of the signature are found by name (`numpy_steps` lists the kinds). `load_seconds` and
`sleep_seconds` are optional: loading takes at least the one, each call holds its thread for the other, as a
slow model on a device does. A model is tried on zeros when it is loaded, so that what it declares is what it
does.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import dtype_names, errors, model_files, numpy_steps
from lifecycle.json_section import JsonSection
from lifecycle.signature import Signature, TensorSpec

FILE_NAME = "model.json"
METHOD_NAME = "headrace/numpy"

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """What one signature computes: steps over named values."""

    signature: Signature
    steps: Sequence[tuple[str, str, numpy_steps.Step]]

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """The wanted outputs; every one when none is named."""
        values = dict(inputs)
        with np.errstate(all="ignore"):  # infinities are answers, not warnings
            for source, target, step in self.steps:
                values[target] = step(values[source])
        return {name: values[name] for name in outputs or self.signature.outputs}


@dataclasses.dataclass(frozen=True, slots=True)
class NumpyModel:
    """A model as its directory describes it."""

    programs: Mapping[str, Program]
    load_seconds: float
    sleep_seconds: float

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Each way to call it, by name."""
        return {name: program.signature for name, program in self.programs.items()}


def read_model(directory: Path) -> NumpyModel:
    """Read a model and its arrays.

    Raises:
        LoadFailed: the directory, its model.json or an array is missing or unreadable: it may be on its way.
        InvalidModel: something there contradicts the format; the message names the place.
    """
    section = JsonSection(FILE_NAME, model_files.read_document(directory, FILE_NAME, "a NumPy model"))
    read_array = functools.cache(lambda name: model_files.read_array(directory, name, FILE_NAME))
    load_seconds, sleep_seconds = section.seconds("load_seconds"), section.seconds("sleep_seconds")
    programs = {
        name: _read_program(name, each, read_array) for name, each in section.sections("signatures").items()
    }
    section.end()
    if not programs:
        raise section.wrong("signatures", "at least one signature", {})
    for program in programs.values():
        _try_out(program)
    return NumpyModel(dict(sorted(programs.items())), load_seconds, sleep_seconds)


def _read_program(name: str, section: JsonSection, read_array: numpy_steps.ReadArray) -> Program:
    inputs = {key: _read_spec(key, each) for key, each in section.sections("inputs").items()}
    outputs = {key: _read_spec(key, each) for key, each in section.sections("outputs").items()}
    known, steps = set(inputs), []
    for each in section.list_of_sections("steps"):
        source, target = each.text("input"), each.text("output")
        if source not in known:
            raise each.wrong("input", f"one of {', '.join(sorted(known))}", source)
        if target in known:
            raise each.wrong("output", "a new name", target)
        known.add(target)
        steps.append((source, target, numpy_steps.read_step(each, read_array)))
    section.end()
    missing = sorted(outputs.keys() - known)
    if missing or not outputs or not inputs:
        what = (
            f"no step gives the outputs {', '.join(missing)}" if missing else "inputs or outputs are missing"
        )
        raise errors.InvalidModel(f"{section.place}: {what}")
    return Program(Signature(name, METHOD_NAME, inputs, outputs), steps)


def _read_spec(name: str, section: JsonSection) -> TensorSpec:
    dtype, shape = section.text("dtype"), section.shape("shape")
    section.end()
    if dtype_names.numpy_dtype(dtype) is None:
        raise section.wrong("dtype", "the name of a dtype, such as DT_FLOAT", dtype)
    return TensorSpec(name, dtype, shape)


def _try_out(program: Program) -> None:
    """Run a program on two rows of zeros and compare what comes with what it declares."""
    name = program.signature.name
    inputs = {key: _zeros(spec) for key, spec in program.signature.inputs.items()}
    try:
        outputs = program.run(inputs, ())
    except errors.InvalidModel:
        raise
    except Exception as error:
        raise errors.InvalidModel(f"{FILE_NAME}: signature {name!r} fails on zeros: {error}") from error
    for key, spec in program.signature.outputs.items():
        found = outputs[key]
        dtype = dtype_names.dtype_name(found.dtype) or found.dtype.name
        if spec.difference(dtype, found.shape) is not None:
            raise errors.InvalidModel(
                f"{FILE_NAME}: output {key!r} of signature {name!r} is declared {spec}, "
                f"and is {dtype}{list(found.shape)} for two rows of zeros"
            )


def _zeros(spec: TensorSpec) -> Array:
    shape = [2 if size is None else size for size in (spec.shape if spec.shape is not None else (None,))]
    dtype = dtype_names.numpy_dtype(spec.dtype)
    zeros: Array = np.zeros(shape, dtype)
    if spec.dtype == "DT_STRING":
        zeros.fill(b"")
    return zeros
