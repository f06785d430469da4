"""The import rules of the tree, checked on the syntax trees so that no package has to be importable."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "schemas": {"schemas"},
    "batching": {"batching"},
    "lifecycle": {"lifecycle"},
    "worker": {"schemas", "batching", "lifecycle", "worker"},
}
OWNERS = {
    "confluent_kafka": {"worker.kafka"},
    "tensorflow": {"lifecycle.saved_model", "worker.demo.training"},
    "fastavro": {"schemas.catalog", "schemas.codec"},
    "fsspec": {"worker.stores"},
    "pydantic": {"worker.settings", "worker.signature_options", "worker.commands.model_file"},
    "pydantic_settings": {"worker.settings"},
    "prometheus_client": {"worker.metrics", "worker.health"},
    "click": {"worker.commands", "worker.__main__", "worker.demo"},
    "rich": {"worker.commands", "worker.__main__", "worker.demo"},
    "matplotlib": {"worker.commands.tune_plot"},
    "sklearn": {"worker.demo.training"},
}
STARTS_THREADS = {
    "batching.deadline_keeper",
    "batching.shared_scheduler",
    "lifecycle.threads",
    "worker.client",
    "worker.control_thread",
    "worker.health",
}
LONGEST_MODULE_LINES = 300


def module_files() -> Iterator[tuple[str, Path]]:
    """Each module's dotted name and file."""
    for top in MAY_IMPORT:
        for path in sorted((ROOT / top).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path


MODULES = dict(module_files())


def imports(path: Path) -> Iterator[str]:
    """Every dotted name that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def owned_by(name: str, owners: set[str]) -> bool:
    """Whether a module is one of the owners, inside one, or shares an owner's prefix in its file name."""
    return any(name == o or name.startswith((o + ".", o + "_")) for o in owners)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name: str) -> None:
    """A package imports only itself and the packages that it may stand on."""
    allowed = MAY_IMPORT[name.split(".", maxsplit=1)[0]]
    wrong = [t for t in imports(MODULES[name]) if t.split(".")[0] in MAY_IMPORT.keys() - allowed]

    assert wrong == []


@pytest.mark.parametrize("name", MODULES)
def test_each_outside_library_has_named_owners(name: str) -> None:
    """Each client library is imported by its owners only."""
    wrong = [
        t
        for t in imports(MODULES[name])
        if (owners := OWNERS.get(t.split(".")[0])) is not None and not owned_by(name, owners)
    ]

    assert wrong == []


@pytest.mark.parametrize("name", MODULES)
def test_module_fits_one_reading(name: str) -> None:
    """No module is longer than 300 lines."""
    assert len(MODULES[name].read_text().splitlines()) <= LONGEST_MODULE_LINES


@pytest.mark.parametrize("name", sorted(set(MODULES) - STARTS_THREADS))
def test_threads_start_in_named_modules(name: str) -> None:
    """Threads and pools are constructed in the named modules only."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))

            assert called not in {"Thread", "Timer", "ThreadPoolExecutor"}


def test_modules_form_no_cycle() -> None:
    """The module graph can be sorted."""
    graph = {m: {t for t in imports(p) if t in MODULES} for m, p in MODULES.items()}

    tuple(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("package", [m for m, p in MODULES.items() if p.name == "__init__.py"])
def test_charter_names_every_module(package: str) -> None:
    """A package's charter names each of its modules, so that a reader finds the reading order there."""
    init = MODULES[package]
    charter = ast.get_docstring(ast.parse(init.read_text())) or ""
    siblings = [p.stem for p in init.parent.glob("*.py") if not p.stem.startswith("__")]
    siblings += [p.parent.name for p in init.parent.glob("*/__init__.py")]

    assert [s for s in siblings if f"`{s}`" not in charter] == []
