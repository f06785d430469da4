"""Distributions as an installer leaves them: a folder of modules and a `.dist-info` beside them."""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path


def install(
    folder: Path, name: str, loaders: Mapping[str, str], *, release: str = "1.0", entry_points: str = ""
) -> metadata.Distribution:
    """Put a distribution into a folder of `sys.path`; *loaders* are its entry points in `headrace.loaders`.

    *entry_points* is the text of the file instead, for what no installer would write.
    """
    info = folder / f"{name.replace('-', '_')}-{release}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n")
    lines = [f"{loader} = {value}\n" for loader, value in loaders.items()]
    (info / "entry_points.txt").write_text(entry_points or f"[headrace.loaders]\n{''.join(lines)}")
    return metadata.Distribution.at(info)
