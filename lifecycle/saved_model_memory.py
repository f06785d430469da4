"""How much memory a SavedModel takes, by the sizes of its files: without TensorFlow, and without reading them.

Variables lie in a checkpoint as they lie in memory, so its data files tell their bytes. A graph takes several times
its file while it is brought in: it is read, parsed, and made into operations. Files that come with a model mostly fill
tables of strings, whose entries take more than their characters.
"""

from pathlib import Path

from lifecycle import resources
from lifecycle.resources import HOST, Device, ResourceAllocation
from lifecycle.saved_model_signatures import FILE_NAME, TEXT_FILE_NAME

VARIABLES_FACTOR = 2.0
"""Memory of a loaded model by the bytes of its variables: kernels keep weights a second time, as they like them
(ResNet50: 1.8 to 1.9, a model of large matrices: 1)."""
LOADING_FACTOR = 0.25
"""By the bytes of its variables, what is taken besides while they are read."""
GRAPH_FACTOR = 16.0
"""Memory by the bytes of the graph's file, while it is brought in; constants are in it (of 32 MiB of them: 14.5)."""
LOADED_GRAPH_FACTOR = 10.0
"""The same of a loaded model (5 to 9)."""
ASSETS_FACTOR = 8.0
"""Memory by the bytes of the files that come with a model (a table of 300,000 words: 5)."""
BASE_BYTES = 4 << 20
"""Of any model: its session, its calls, what a first run allocates (up to 1 MiB for small ones)."""


def before_load(directory: Path, device: Device = HOST) -> ResourceAllocation:
    """What a load takes at most, and what the model takes after it, where its variables are on that device.

    Files that cannot be seen count nothing: the load tells what is wrong with them.
    """
    variables, graph, assets = _sizes(directory)
    loading = round(BASE_BYTES + LOADING_FACTOR * variables + GRAPH_FACTOR * graph + ASSETS_FACTOR * assets)
    if device == HOST:
        return resources.host(loading + round(VARIABLES_FACTOR * variables))
    # They come by way of the host.
    return resources.host(loading + variables) + _on(device, variables)


def after_load(directory: Path, device: Device = HOST) -> ResourceAllocation:
    """What a loaded model takes, where its variables are on that device; no more than before."""
    variables, graph, assets = _sizes(directory)
    loaded = round(BASE_BYTES + LOADED_GRAPH_FACTOR * graph + ASSETS_FACTOR * assets)
    if device == HOST:
        return resources.host(loaded + round(VARIABLES_FACTOR * variables))
    return resources.host(loaded) + _on(device, variables)


def _on(device: Device, variables: int) -> ResourceAllocation:
    return ResourceAllocation({device: BASE_BYTES + round(VARIABLES_FACTOR * variables)})


def _sizes(directory: Path) -> tuple[int, int, int]:
    """The bytes of its variables, of its graph, and of the files that come with it."""
    graph = resources.size_of(directory / FILE_NAME) or resources.size_of(directory / TEXT_FILE_NAME)
    return (
        resources.file_bytes(directory / "variables", "variables.data-*"),
        graph,
        resources.file_bytes(directory / "assets"),
    )
