"""The devices that a model's versions are loaded on: a parameter of its control record, and which loaders know of any.

`GPU:0,GPU:1` is an instance on each; a device that is named twice has two.
"""

import re
from collections.abc import Iterator, Sequence

from schemas.model_config import DEVICES, ModelConfig

MOST_INSTANCES = 64
EXPECTED = f"devices, as in GPU:0,GPU:1 or CPU:0, at most {MOST_INSTANCES} in all"
PLACEABLE = ("saved_model", "keras")
"""The loaders of models that TensorFlow runs, and so on a device."""
_NAME = re.compile(r"(?:CPU|GPU):(?:0|[1-9][0-9]{0,2})", re.ASCII)


def read(text: str) -> Sequence[str]:
    """The devices that a text names, one for each instance.

    Raises:
        ValueError: it is something else.
    """
    names = text.split(",")
    if len(names) > MOST_INSTANCES or not all(map(_NAME.fullmatch, names)):
        raise ValueError(f"{text[:32]!r}; expected {EXPECTED}")
    return names


def named(config: ModelConfig) -> tuple[str, ...]:
    """Those that a config names, one for each instance; none: each version is loaded once, where its loader puts it."""
    said = config.parameters.get(DEVICES)
    try:
        return () if said is None else tuple(read(said.decode(errors="replace")))
    except ValueError:  # such a record is not applied
        return ()


def problems(config: ModelConfig) -> Iterator[str]:
    """What is wrong with devices for a model of that loader, in words."""
    if named(config) and config.loader not in PLACEABLE:
        yield (
            f"devices are named, and models of loader {config.loader!r} are on none; only those of "
            f"{' and '.join(PLACEABLE)} are"
        )
