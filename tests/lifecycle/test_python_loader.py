"""Classes named by a version's own file, of modules that are allowed."""

import sys
from pathlib import Path

import numpy as np
import pytest

from lifecycle import errors
from lifecycle.python_loader import MOST_BYTES, SETTING, PythonLoader
from tests.kit import python_servables
from tests.kit.python_servables import MODULE, Scaled

ALLOWED = ("tests.kit.python_servables",)


def test_the_class_gets_directory_and_options_and_its_instance_serves(tmp_path: Path) -> None:
    """It is closed by the unload."""
    directory = python_servables.write(tmp_path / "1", "Scaled", factor=3)
    loader = PythonLoader(directory, ALLOWED)

    loader.load()

    servable = loader.servable
    assert isinstance(servable, Scaled)
    assert servable.directory == str(directory)
    found = servable.run("serving_default", {"x": np.ones(2, np.float32)}, ["y"])
    assert {name: array.tolist() for name, array in found.items()} == {"y": [3.0, 3.0]}
    loader.unload()
    assert servable.closed == 1
    with pytest.raises(RuntimeError, match="not loaded"):
        _ = loader.servable


def test_options_may_be_left_out(tmp_path: Path) -> None:
    """A class may need none."""
    (tmp_path / "servable.json").write_text(f'{{"class": "{MODULE}:Scaled"}}')
    loader = PythonLoader(tmp_path, ALLOWED)

    loader.load()

    assert loader.servable.signatures
    loader.unload()


@pytest.mark.parametrize(
    "modules", [(), ("tests.kit.python",), ("tests.kit.python_servables.deeper",), ("ests", "kit")]
)
def test_a_module_that_is_not_allowed_is_not_imported(tmp_path: Path, modules: tuple[str, ...]) -> None:
    """None is by default; the error says what to do."""
    made = len(Scaled.made)
    loader = PythonLoader(python_servables.write(tmp_path, "Scaled"), modules)

    with pytest.raises(errors.PermanentLoadFailure) as caught:
        loader.load()

    assert str(caught.value).startswith(f"module {MODULE!r} is none of those that {SETTING} allows (")
    assert "start the workers again" in str(caught.value)
    assert len(Scaled.made) == made


def test_what_lies_below_an_allowed_module_is_allowed(tmp_path: Path) -> None:
    """A package's name stands for all of it."""
    loader = PythonLoader(python_servables.write(tmp_path, "Scaled"), ["tests"])

    loader.load()
    loader.unload()


def test_a_module_beside_the_model_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where Python's path leads there, as it does for a worker that was started in such a place."""
    directory = python_servables.write(tmp_path / "m" / "1", "Own", "brought_along.own")
    package = directory / "brought_along"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "own.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.syspath_prepend(directory)

    with pytest.raises(errors.PermanentLoadFailure, match="lies beside the model itself"):
        PythonLoader(directory, ["brought_along"]).load()
    assert "brought_along" not in sys.modules


@pytest.mark.parametrize(
    ("name", "module", "kind", "said"),
    [
        ("Missing", MODULE, errors.PermanentLoadFailure, "has no class 'Missing'"),
        ("function", MODULE, errors.PermanentLoadFailure, "has no class 'function'"),
        ("NOT_OURS", MODULE, errors.PermanentLoadFailure, "module 'subprocess' is none of those"),
        (
            "Any",
            "tests.kit.nowhere",
            errors.PermanentLoadFailure,
            "cannot be imported .* ModuleNotFoundError",
        ),
        ("WithoutRun", MODULE, errors.PermanentLoadFailure, "makes no servable: it has no method `run`"),
        ("WithoutSignatures", MODULE, errors.PermanentLoadFailure, "`signatures` are no mapping, or empty"),
        ("Misnamed", MODULE, errors.PermanentLoadFailure, "signature 'other' is no"),
        ("Busy", MODULE, errors.LoadFailed, "could not be made of this version: OSError: the device is busy"),
        ("Refusing", MODULE, errors.InvalidModel, "^the weights are for another device$"),
    ],
)
def test_a_class_that_does_not_serve_says_why(
    tmp_path: Path, name: str, module: str, kind: type[errors.LoadFailed], said: str
) -> None:
    """Whether a repetition may help is told by the kind of error."""
    loader = PythonLoader(python_servables.write(tmp_path, name, module), ["tests.kit"])

    with pytest.raises(errors.LoadFailed, match=said) as caught:
        loader.load()

    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        ('{"class": "a:B"', errors.LoadFailed, "cut short"),
        ("", errors.LoadFailed, "cut short"),
        ("[]}", errors.InvalidModel, "is no JSON"),
        ("[" * 100_000 + "}", errors.InvalidModel, "is no JSON"),
        ('{"options": {}}', errors.InvalidModel, r"servable\.json\.class: expected a string, found nothing"),
        ('{"class": "ours.Class"}', errors.InvalidModel, "expected a module and a class"),
        ('{"class": "os:system.x"}', errors.InvalidModel, "expected a module and a class"),
        ('{"class": "../ours:Class"}', errors.InvalidModel, "expected a module and a class"),
        ('{"class": "a:B", "options": 3}', errors.InvalidModel, "options: expected an object, found 3"),
        ('{"class": "a:B", "option": {}}', errors.InvalidModel, "unknown 'option'"),
        ('{"class": "a:B"}' + " " * MOST_BYTES + "}", errors.InvalidModel, "more than 1,048,576 bytes"),
    ],
)
def test_a_file_that_says_something_else_is_refused(
    tmp_path: Path, content: str, kind: type[errors.LoadFailed], said: str
) -> None:
    """One that ends too early may still be on its way."""
    (tmp_path / "servable.json").write_text(content)

    with pytest.raises(errors.LoadFailed, match=said) as caught:
        PythonLoader(tmp_path, ["a"]).load()

    assert type(caught.value) is kind


def test_a_missing_file_may_still_come(tmp_path: Path) -> None:
    """Or its directory."""
    with pytest.raises(errors.LoadFailed, match=r"servable\.json cannot be read: No such file") as caught:
        PythonLoader(tmp_path / "1", ["a"]).load()

    assert caught.value.retriable
