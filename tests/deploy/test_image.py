"""The `Dockerfile` and the locks that it installs, checked without Docker."""

import re
from pathlib import Path

import pytest
import yaml

from worker.settings_loading import load_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def locked(name: str) -> set[str]:
    """The packages of a lock, with version and marker."""
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return {line.rstrip(" \\") for line in lines if re.match(r"[A-Za-z0-9]", line)}


@pytest.mark.parametrize("path", re.findall(r"^COPY (?!--)([^\n]+) \S+$", DOCKERFILE, re.MULTILINE))
def test_what_is_copied_exists_and_is_in_the_context(path: str) -> None:
    """The context holds only what `.dockerignore` lets through."""
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    for name in path.split():
        assert (ROOT / name).exists()
        assert any(Path(name).match(pattern) for pattern in allowed), name


def test_every_package_of_the_distribution_is_copied() -> None:
    """A forgotten one would be missing at run time only."""
    import tomllib

    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    tops = {package.partition(".")[0] for package in packages}

    assert tops <= set(re.findall(r"^COPY (\w+) \w+$", DOCKERFILE, re.MULTILINE))


def test_everything_is_installed_by_hash() -> None:
    """No package comes from outside of the locks."""
    installs = re.findall(r"pip install ([^\n]+)", DOCKERFILE)

    assert all("--require-hashes" in i or i.startswith("--no-deps --no-build-isolation") for i in installs)


def test_the_demo_lock_adds_to_the_runtime_lock() -> None:
    """The second image changes no version of the first, and both are what the tests ran with."""
    assert locked("runtime.lock") < locked("demo.lock") <= locked("dev.lock")
    assert any(package.startswith("scikit-learn==") for package in locked("demo.lock"))


def test_its_variables_are_settings() -> None:
    """A misspelt one would keep every container from starting."""
    pairs = re.findall(r"(HEADRACE_\w+)=(\S+)", DOCKERFILE)

    assert pairs
    assert len(load_settings({}, dict(pairs)).origins) == len(pairs)


def test_the_signal_to_end_reaches_the_worker() -> None:
    """The entry point is no shell, which would not pass SIGTERM on; it is the command of the distribution."""
    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE)

    assert yaml.safe_load(entry) == ["headrace"]


def test_containers_do_not_run_as_root() -> None:
    """Whatever stage is built."""
    for stage in DOCKERFILE.split("\nFROM ")[1:]:
        assert re.findall(r"^USER (\w+)$", stage, re.MULTILINE)[-1] == "headrace"
