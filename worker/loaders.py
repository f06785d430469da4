"""The loaders that a control record may name: those of headrace here, others in `custom_loaders`.

A loader is made when a version is aspired and reads nothing before it loads, so that TensorFlow is imported
only on a worker that has a SavedModel to load.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lifecycle.keras_loader import KerasLoader
from lifecycle.loader import Loader
from lifecycle.lookup_table_loader import LookupTableLoader
from lifecycle.numpy_loader import NumpyLoader
from lifecycle.python_loader import PythonLoader
from lifecycle.saved_model_judgement import GraphRules
from lifecycle.saved_model_loader import SavedModelLoader
from lifecycle.saved_model_session import SessionOptions
from lifecycle.vocabulary_loader import VocabularyLoader
from schemas.model_config import ModelConfig
from worker.fetched_loader import FetchedLoader, Fetching
from worker.store_uris import is_remote

LoaderFactory = Callable[[str, int], Loader]
"""Makes the loader of one version; gets its directory and its number."""


def _numpy(path: str, _version: int) -> Loader:
    return NumpyLoader(Path(path))


def _lookup_table(path: str, _version: int) -> Loader:
    return LookupTableLoader(Path(path))


def _vocabulary(path: str, _version: int) -> Loader:
    return VocabularyLoader(Path(path))


def shipped(
    session: SessionOptions | None = None,
    rules: GraphRules | None = None,
    python_modules: Collection[str] = (),
) -> Mapping[str, LoaderFactory]:
    """The loaders that headrace brings, by the names that control records use.

    Args:
        session: what each SavedModel and Keras model runs in.
        rules: what these may be.
        python_modules: where Python classes may come from.
    """

    def saved_model(path: str, _version: int) -> Loader:
        return SavedModelLoader(Path(path), options=session, rules=rules)

    def keras(path: str, _version: int) -> Loader:
        return KerasLoader(Path(path), options=session, rules=rules)

    def python(path: str, _version: int) -> Loader:
        return PythonLoader(Path(path), python_modules)

    return {
        "saved_model": saved_model,
        "keras": keras,
        "numpy": _numpy,
        "lookup_table": _lookup_table,
        "vocabulary": _vocabulary,
        "python": python,
    }


SHIPPED = shipped()
"""Those, with TensorFlow's own thread pools, and nothing allowed that has to be."""


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of one life of a version when its loader is made.

    Attributes:
        path: its directory.
        batch_rows: the numbers of rows that its batches will have.
        config: its model's config, as it is when it is asked for; None: there is none.
    """

    path: str
    batch_rows: Sequence[int] = (1,)
    config: Callable[[], ModelConfig | None] = lambda: None


class Loaders:
    """The registry of one worker: immutable, so any thread may ask it; a container of the loaders' names."""

    def __init__(
        self,
        factories: Mapping[str, LoaderFactory] = SHIPPED,
        wrap: Callable[[Loader, Life], Loader] | None = None,
        fetching: Fetching | None = None,
    ) -> None:
        """Offer *factories*; *wrap* puts something around each loader, such as a warm-up.

        Around that, *fetching* copies what lies in a store to this machine.
        """
        self._factories = dict(factories)
        self._wrap = wrap
        self._fetching = fetching

    def __contains__(self, name: object) -> bool:
        return name in self._factories

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._factories))

    def __len__(self) -> int:
        return len(self._factories)

    def loader(
        self,
        name: str,
        path: str,
        version: int,
        batch_rows: Sequence[int] = (1,),
        config: Callable[[], ModelConfig | None] = lambda: None,
        *,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Loader:
        """A new loader for one life of one version.

        Args:
            name: of the loader.
            path: the version's directory, or its URI.
            version: its number.
            batch_rows: as `Life` has them.
            config: likewise.
            wanted: whether anybody wants the version; what takes long gives up, as far as it can, once nobody does.

        Raises:
            KeyError: there is no such loader; whoever applies a control record checks that before.
        """
        factory = self._factories[name]

        def make(directory: str) -> Loader:
            loader = factory(directory, version)
            return loader if self._wrap is None else self._wrap(loader, Life(directory, batch_rows, config))

        if self._fetching is not None and is_remote(path):
            return FetchedLoader(make, self._fetching, path, wanted)
        return make(path)
