"""Distributions as an installer leaves them: a folder of modules and a `.dist-info` beside them."""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path


def install(
    folder: Path,
    name: str,
    offers: Mapping[str, str],
    *,
    group: str = "headrace.loaders",
    release: str = "1.0",
    entry_points: str = "",
) -> metadata.Distribution:
    """Put a distribution into a folder of `sys.path`; *offers* are its entry points in *group*.

    *entry_points* is the text of the file instead, for what no installer would write.
    """
    info = folder / f"{name.replace('-', '_')}-{release}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n")
    lines = [f"{offer} = {value}\n" for offer, value in offers.items()]
    (info / "entry_points.txt").write_text(entry_points or f"[{group}]\n{''.join(lines)}")
    return metadata.Distribution.at(info)
