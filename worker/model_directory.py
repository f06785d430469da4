"""What lies in a model's directory, without loading it: for `headrace inspect`, before a model is served.

A directory is one version, or a base path whose versions are its children named by numbers. TensorFlow is not
imported. Single-threaded, reads files only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lifecycle import (
    keras_file,
    lookup_table_format,
    numpy_model,
    python_loader,
    saved_model_signatures,
    vocabulary_format,
)
from lifecycle.errors import LoadFailed
from lifecycle.signature import Signature
from schemas.version_selection import AllVersions
from worker import version_paths


@dataclass(frozen=True, slots=True)
class InspectedGraph:
    """One graph of a version.

    Attributes:
        tags: how a SavedModel names it (`serve`); the others have no tags.
        signatures: those that requests can call, by name.
        unservable: signatures that they cannot, and why.
    """

    tags: tuple[str, ...]
    signatures: Mapping[str, Signature]
    unservable: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InspectedVersion:
    """One version as its files describe it.

    Attributes:
        version: None where a version's own directory was named by something else than a number.
        loader: the name for `models set --loader`; None where no model was recognised.
        problem: why it would not load, as far as its files tell; None when nothing is wrong.
    """

    version: int | None
    path: Path
    loader: str | None
    graphs: Sequence[InspectedGraph] = ()
    problem: str | None = None


def inspect_directory(directory: Path) -> tuple[InspectedVersion, ...]:
    """The version that a directory is, or the versions under it, ascending; none when it is neither."""
    if _loader_of(directory) is not None:
        name = directory.absolute().name
        return (_inspect_version(int(name) if name.isdecimal() else None, directory),)
    found = version_paths.find_versions(str(directory), AllVersions()).paths
    return tuple(_inspect_version(version, Path(found[version])) for version in sorted(found))


def _inspect_version(version: int | None, directory: Path) -> InspectedVersion:
    loader = _loader_of(directory)
    if loader is None:
        expected = " or ".join(EXPECTED)
        return InspectedVersion(version, directory, None, problem=f"there is no model: expected {expected}")
    try:
        return InspectedVersion(version, directory, loader, _READERS[loader](directory))
    except LoadFailed as error:
        return InspectedVersion(version, directory, loader, problem=str(error))


def _loader_of(directory: Path) -> str | None:
    loader = next((loader for name, loader in FILES.items() if (directory / name).is_file()), None)
    return "keras" if loader is None and any(directory.glob(keras_file.PATTERN)) else loader


def _saved_model_graphs(directory: Path) -> list[InspectedGraph]:
    return [
        InspectedGraph(
            tuple(sorted(graph.tags)),
            {name: each.signature for name, each in graph.signatures.items() if each.unservable is None},
            {name: each.unservable for name, each in graph.signatures.items() if each.unservable is not None},
        )
        for graph in saved_model_signatures.read_meta_graphs(directory)
    ]


def _numpy_graphs(directory: Path) -> list[InspectedGraph]:
    return [InspectedGraph((), numpy_model.read_model(directory).signatures, {})]


def _lookup_table_graphs(directory: Path) -> list[InspectedGraph]:
    return [InspectedGraph((), lookup_table_format.read_format(directory).signatures, {})]


def _vocabulary_graphs(directory: Path) -> list[InspectedGraph]:
    return [InspectedGraph((), vocabulary_format.read_format(directory).signatures, {})]


def _python_graphs(directory: Path) -> list[InspectedGraph]:
    python_loader.read_class(directory)  # nothing is imported, so that its signatures stay unknown
    return []


def _keras_graphs(directory: Path) -> list[InspectedGraph]:
    keras_file.check(keras_file.find(directory))  # Keras is not imported, so that its signatures stay unknown
    return []


FILES: Mapping[str, str] = {
    saved_model_signatures.FILE_NAME: "saved_model",
    saved_model_signatures.TEXT_FILE_NAME: "saved_model",
    numpy_model.FILE_NAME: "numpy",
    lookup_table_format.FILE_NAME: "lookup_table",
    vocabulary_format.FILE_NAME: "vocabulary",
    python_loader.FILE_NAME: "python",
}
"""By the file that tells what a directory holds, the loader that understands it."""
EXPECTED = (*FILES, keras_file.PATTERN)
"""Of these files one tells it."""
_READERS: Mapping[str, Callable[[Path], Sequence[InspectedGraph]]] = {
    "saved_model": _saved_model_graphs,
    "numpy": _numpy_graphs,
    "lookup_table": _lookup_table_graphs,
    "vocabulary": _vocabulary_graphs,
    "python": _python_graphs,
    "keras": _keras_graphs,
}
