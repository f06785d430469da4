"""The loaders that a control record may name: those of headrace here, others in `custom_loaders`.

A loader is made when a version is aspired and reads nothing before it loads, so that TensorFlow is imported
only on a worker that has a SavedModel to load.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lifecycle.instances import InstancesLoader
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
from worker.model_devices import PLACEABLE
from worker.store_uris import is_remote
from worker.version_sources import Source

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


def placed(
    session: SessionOptions, rules: GraphRules | None = None
) -> Callable[[str], Mapping[str, LoaderFactory]]:
    """Those of models that can be put on a device, by the name of that device; as `shipped` has them otherwise."""

    def on(device: str) -> Mapping[str, LoaderFactory]:
        there = shipped(replace(session, device=device), rules)
        return {name: there[name] for name in PLACEABLE}

    return on


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
        on_device: Callable[[str], Mapping[str, LoaderFactory]] | None = None,
    ) -> None:
        """Offer *factories*; *wrap* puts something around each loader, such as a warm-up.

        Around that, *fetching* copies what lies in a store to this machine. *on_device* has the factories of models
        that can be put on a device, by its name.
        """
        self._factories = dict(factories)
        self._wrap = wrap
        self._fetching = fetching
        self._on_device = on_device or placed(SessionOptions())

    def __contains__(self, name: object) -> bool:
        return name in self._factories

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._factories))

    def __len__(self) -> int:
        return len(self._factories)

    def loader(
        self,
        source: Source,
        version: int,
        batch_rows: Sequence[int] = (1,),
        config: Callable[[], ModelConfig | None] = lambda: None,
        *,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Loader:
        """A new loader for one life of one version.

        Args:
            source: the name of the loader, the version's directory or URI, and the devices, with an instance on each;
                without any there is one, where the loader puts it.
            version: its number.
            batch_rows: as `Life` has them.
            config: likewise.
            wanted: whether anybody wants the version; what takes long gives up, as far as it can, once nobody does.

        Raises:
            KeyError: there is no such loader, or it puts nothing on a device; whoever applies a control record checks
                that before.
        """
        name = source.loader
        factories = [self._on_device(device)[name] for device in source.devices] or [self._factories[name]]

        def make(directory: str) -> Loader:
            each = [factory(directory, version) for factory in factories]
            loader = each[0] if len(each) == 1 else InstancesLoader(each)
            return loader if self._wrap is None else self._wrap(loader, Life(directory, batch_rows, config))

        if self._fetching is not None and is_remote(source.path):
            return FetchedLoader(make, self._fetching, source.path, wanted)
        return make(source.path)
