"""What a `.keras` file holds, read without Keras; and the refusal of one that needs more than Keras itself.

A `.keras` file says in `config.json` which classes make up the model, each with its module. Keras takes classes of its
own from there, and those that somebody has registered in the process. Here only Keras's own are taken, and of these
none that runs what a file brings: a model is data, and `lifecycle.python_loader` is for those that are programs.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lifecycle import errors

PATTERN = "*.keras"
CONFIG = "config.json"
MOST_CONFIG_BYTES = 67_108_864
"""Of `config.json`, unpacked: it describes layers, and holds no weights."""

BRING_PROGRAMS = frozenset(
    {"Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}
)
"""Keras's own classes that run Python, or a graph, which the file or a place that it names brings."""


def find(directory: Path) -> Path:
    """The one file of a version.

    Raises:
        LoadFailed: there is none, or the directory cannot be read: may pass.
        InvalidModel: there are several.
    """
    try:
        found = sorted(each.name for each in directory.iterdir() if each.match(PATTERN))
    except OSError as error:
        raise errors.LoadFailed(f"{directory} cannot be read: {error.strerror}") from error
    if not found:
        raise errors.LoadFailed(f"{directory} holds no {PATTERN} file; is the model still being written?")
    if len(found) > 1:
        raise errors.InvalidModel(
            f"{directory} holds {', '.join(found[:3])}; a version has one {PATTERN} file"
        )
    return directory / found[0]


def check(file: Path) -> None:
    """Read what the model is made of.

    Raises:
        InvalidModel: it is no `.keras` file of Keras 3, or needs code beyond Keras's own.
        LoadFailed: it cannot be read: may pass.
    """
    config = _read_config(file)
    # What it was trained with is not loaded.
    for part in _parts({key: value for key, value in config.items() if key != "compile_config"}):
        problem = _problem_of(part)
        if problem is not None:
            raise errors.InvalidModel(f"{file.name} {problem}")


def _read_config(file: Path) -> Mapping[str, Any]:
    try:
        with zipfile.ZipFile(file) as archive, archive.open(CONFIG) as opened:
            text = opened.read(MOST_CONFIG_BYTES + 1)
        config = json.loads(text) if len(text) <= MOST_CONFIG_BYTES else None
    except OSError as error:
        raise errors.LoadFailed(f"{file} cannot be read: {error.strerror}") from error
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        RecursionError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise errors.InvalidModel(
            f"{file.name} is no file of Keras 3 ({type(error).__name__}: {error}); write it by "
            "model.save('model.keras')"
        ) from error
    if len(text) > MOST_CONFIG_BYTES:
        raise errors.InvalidModel(
            f"{CONFIG} in {file.name} has more than {MOST_CONFIG_BYTES:,} bytes; is it a model?"
        )
    if not isinstance(config, dict):
        raise errors.InvalidModel(f"{CONFIG} in {file.name} describes no model; write it anew by model.save")
    return config


def _parts(config: object) -> Iterator[Mapping[str, Any]]:
    """Every table in a config, whatever the depth."""
    left = [config]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield part
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(part)


def _problem_of(part: Mapping[str, Any]) -> str | None:
    name, module = part.get("class_name"), part.get("module")
    what = part.get("config") if name == "function" else name
    if isinstance(name, str) and name in BRING_PROGRAMS:
        return f"has a {name}, which runs a program that the file brings; build the model from other layers of Keras"
    if isinstance(module, str) and module not in {"keras", "builtins"} and not module.startswith("keras."):
        return (
            f"needs {what!r} of {module!r}, and only what Keras itself has is loaded; build the model from its layers, "
            "export it as a SavedModel, or serve it by a class of yours (loader python)"
        )
    return None
