"""Serves a version by a Python class: one that the version's `servable.json` names, of a module that is allowed.

    {"class": "our_models.prices:Prices", "options": {"currency": "EUR"}}

The class is called with the version's directory and these options, and its instance is the servable
(`lifecycle.servable`). Its module is imported from where the process imports all its code, and never from the model's
directory: who writes models chooses among the classes that are installed, and brings none.
"""

import importlib
import importlib.util
import json
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from lifecycle import errors, resources
from lifecycle.json_section import JsonSection
from lifecycle.resources import ResourceAllocation
from lifecycle.servable import Servable
from lifecycle.signature import Signature

FILE_NAME = "servable.json"
MOST_BYTES = 1_048_576
"""Of that file: it holds a name and a few options."""

SETTING = "lifecycle.python_modules"

MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
"""What a module's name looks like."""

_CLASS = re.compile(rf"{MODULE.pattern}:[^\W\d]\w*")


class PythonLoader:
    """A loader of Python classes. Cheap to construct; its file is read, and the class imported, in `load`.

    Args:
        directory: the version's.
        modules: the modules whose classes may be named, each with those below it.
    """

    def __init__(self, directory: Path, modules: Collection[str] = ()) -> None:
        self._directory = directory
        self._modules = tuple(modules)
        self._servable: Servable | None = None

    @property
    def servable(self) -> Servable:
        """The instance. Requires: loaded and not yet unloaded."""
        if self._servable is None:
            raise RuntimeError("this Python servable is not loaded")
        return self._servable

    def estimate_resources(self) -> ResourceAllocation:
        """What the class says in a static method `estimate_resources` of directory and options; else by size on disk.

        Nothing, where the class cannot be had: its load tells why.

        Raises:
            PermanentLoadFailure: that method gives something else than a `ResourceAllocation`.
            Exception: what it raises.
        """
        try:
            place, options, made = self._found()
        except errors.LoadFailed:
            return resources.NOTHING
        ask = getattr(made, "estimate_resources", None)
        if ask is None:
            return resources.on_disk(self._directory)
        return resources.checked(ask(str(self._directory), options), place)

    def load(self) -> None:
        """Import the class and make the instance; on a load thread.

        Raises:
            LoadFailed: the file is missing or unreadable, or the class could not be called: may pass.
            InvalidModel: the file says something else than a class and options.
            PermanentLoadFailure: the module is not allowed or cannot be imported, or the class makes no servable.
        """
        place, options, made = self._found()
        self._servable = _checked(_called(made, place, self._directory, options), place)

    def unload(self) -> None:
        """Call the instance's `close`, where it has one, and forget it; on an unload thread."""
        servable, self._servable = self._servable, None
        close = getattr(servable, "close", None)
        if close is not None:
            close()

    def _found(self) -> tuple[str, Mapping[str, object], type]:
        """Where the class stands, the options, and the class. Raises as `load`."""
        place, options = read_class(self._directory)
        module, _, name = place.partition(":")
        self._check_allowed(module)
        made = getattr(_imported(module, self._directory), name, None)
        if not isinstance(made, type):
            raise errors.PermanentLoadFailure(f"module {module!r} on this worker has no class {name!r}")
        self._check_allowed(made.__module__)  # a module also holds what it imports for itself
        return place, options, made

    def _check_allowed(self, module: str) -> None:
        if not any(module == each or module.startswith(f"{each}.") for each in self._modules):
            allowed = ", ".join(map(repr, self._modules)) or "none"
            raise errors.PermanentLoadFailure(
                f"module {module!r} is none of those that {SETTING} allows ({allowed}); name another class in "
                f"{FILE_NAME}, or add the module to that setting and start the workers again"
            )


def read_class(directory: Path) -> tuple[str, Mapping[str, object]]:
    """The class (`module:name`) and the options that a version's file names; nothing is imported.

    Raises:
        LoadFailed: the file is missing or unreadable: it may still be on its way.
        InvalidModel: it says something else.
    """
    try:
        with (directory / FILE_NAME).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise errors.LoadFailed(
            f"{FILE_NAME} cannot be read: {error.strerror or type(error).__name__}"
        ) from error
    if len(data) > MOST_BYTES:
        raise errors.InvalidModel(f"{FILE_NAME} has more than {MOST_BYTES:,} bytes")
    if not data.rstrip().endswith(b"}"):
        raise errors.LoadFailed(f"{FILE_NAME} is cut short; is the model still being written?")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise errors.InvalidModel(f"{FILE_NAME} is no JSON: {error}") from error
    section = JsonSection(FILE_NAME, value)
    place, options = section.text("class"), section.plain("options")
    section.end()
    if _CLASS.fullmatch(place) is None:
        raise section.wrong("class", "a module and a class, as in 'our_models.prices:Prices'", place)
    return place, options


def _imported(module: str, directory: Path) -> ModuleType:
    try:
        _check_place(module.partition(".")[0], directory.parent)
        return importlib.import_module(module)
    except errors.LoadFailed:
        raise
    except Exception as error:
        raise errors.PermanentLoadFailure(
            f"module {module!r} cannot be imported on this worker: {type(error).__name__}: {error}"
        ) from error


def _check_place(package: str, base_path: Path) -> None:
    spec = importlib.util.find_spec(package)
    places = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or ())]
    # What is built in has no place.
    if any(_lies_under(place, base_path) for place in places if Path(place).is_absolute()):
        raise errors.PermanentLoadFailure(
            f"module {package!r} lies beside the model itself, and is not imported from there; take the base path "
            "out of Python's path (PYTHONPATH, or the directory that the worker was started in)"
        )


def _lies_under(place: str, folder: Path) -> bool:
    return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder))


def _called(made: type, place: str, directory: Path, options: Mapping[str, object]) -> Any:
    try:
        return made(str(directory), options)
    except errors.LoadFailed:
        raise
    except Exception as error:
        raise errors.LoadFailed(
            f"{place} could not be made of this version: {type(error).__name__}: {error}"
        ) from error


def _checked(servable: Any, place: str) -> Servable:
    if not callable(getattr(servable, "run", None)):
        raise errors.PermanentLoadFailure(f"{place} makes no servable: it has no method `run`")
    signatures = getattr(servable, "signatures", None)
    if not isinstance(signatures, Mapping) or not signatures:
        raise errors.PermanentLoadFailure(
            f"{place} makes no servable: its `signatures` are no mapping, or empty"
        )
    for name, signature in signatures.items():
        if not isinstance(signature, Signature) or signature.name != name:
            raise errors.PermanentLoadFailure(
                f"{place} makes no servable: signature {name!r} is no lifecycle.signature.Signature of that name"
            )
    made: Servable = servable
    return made
