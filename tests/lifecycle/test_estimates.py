"""What the loaders that read plain files say that they need."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle import errors, lookup_table_writer, resources, vocabulary_writer
from lifecycle.lookup_table_loader import LookupTableLoader
from lifecycle.numpy_loader import NumpyLoader
from lifecycle.python_loader import PythonLoader
from lifecycle.resources import HOST, NOTHING, ResourceAllocation, host
from lifecycle.vocabulary_loader import VocabularyLoader
from lifecycle.warmup import WarmedLoader
from tests.contracts.loader_cases import CASES, LoaderCase
from tests.kit import numpy_models, python_servables
from tests.kit.python_servables import MODULE, Scaled


class Sized(Scaled):
    """Says what it needs."""

    @staticmethod
    def estimate_resources(directory: str, options: Mapping[str, Any]) -> ResourceAllocation:
        """By an option; the directory is there."""
        assert Path(directory, "servable.json").is_file()
        return host(options["size"])


class WronglySized(Scaled):
    """Says it in a form of its own."""

    @staticmethod
    def estimate_resources(directory: str, options: Mapping[str, Any]) -> int:
        """A number."""
        return 5


def python_loader(directory: Path, name: str, **options: object) -> PythonLoader:
    """A loader of a class of this module."""
    return PythonLoader(python_servables.write(directory, name, __name__, **options), [__name__, MODULE])


def test_a_numpy_model_needs_its_arrays(tmp_path: Path) -> None:
    """As large as their files, before and after."""
    directory = numpy_models.write_dense(tmp_path)
    weights, bias = numpy_models.weights(1)
    loader = NumpyLoader(directory)

    said = loader.estimate_resources().of(HOST)
    loader.load()

    assert weights.nbytes + bias.nbytes <= said < weights.nbytes + bias.nbytes + 1000
    assert loader.estimate_resources() == host(said)


def test_mapped_tables_need_no_memory_of_their_own(tmp_path: Path) -> None:
    """The kernel takes their pages back when memory is short."""
    rows = {"vector": np.zeros((1000, 16), np.float32)}
    lookup_table_writer.write(tmp_path / "table", np.arange(1000), rows)
    vocabulary_writer.write(tmp_path / "words", [str(number) for number in range(1000)])
    for loader in (LookupTableLoader(tmp_path / "table"), VocabularyLoader(tmp_path / "words")):
        assert resources.estimate(loader) == NOTHING
        loader.load()
        assert resources.estimate(loader) == NOTHING


def test_a_python_class_may_say_what_it_needs(tmp_path: Path) -> None:
    """By directory and options, before an instance is made."""
    made = len(Scaled.made)

    assert python_loader(tmp_path, "Sized", size=12345).estimate_resources() == host(12345)
    assert len(Scaled.made) == made


def test_a_python_class_that_says_nothing_counts_by_its_files(tmp_path: Path) -> None:
    """A fifth more than they have on disk."""
    loader = PythonLoader(python_servables.write(tmp_path, "Scaled"), [MODULE])
    (tmp_path / "weights.bin").write_bytes(bytes(100_000))

    assert 120_000 < loader.estimate_resources().of(HOST) < 121_000


def test_a_python_class_that_says_something_else_is_refused(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(
        errors.PermanentLoadFailure, match="test_estimates:WronglySized gives a int; expected"
    ):
        python_loader(tmp_path, "WronglySized").estimate_resources()


def test_a_python_class_that_cannot_be_had_needs_nothing(tmp_path: Path) -> None:
    """Its load tells why."""
    loader = PythonLoader(python_servables.write(tmp_path, "Scaled"))

    assert loader.estimate_resources() == NOTHING
    with pytest.raises(errors.PermanentLoadFailure):
        loader.load()


def test_a_warm_up_changes_no_estimate(tmp_path: Path) -> None:
    """What stands around a loader passes on what it says."""
    inner = NumpyLoader(numpy_models.write_dense(tmp_path))

    assert WarmedLoader(inner).estimate_resources() == inner.estimate_resources() != NOTHING


@pytest.mark.parametrize("case", CASES)
def test_an_estimate_reads_no_model_and_grows_by_no_load(case: LoaderCase, tmp_path: Path) -> None:
    """Of each kind of loader; of what is not there, too, it raises nothing."""
    resources.estimate(case.broken(tmp_path))
    loader = case.good(tmp_path)
    before = resources.estimate(loader)

    loader.load()

    after = resources.estimate(loader)
    assert after.at_most(before) == after
    loader.unload()
