"""The release that runs: the installed distribution's version, or a word for a checkout that is not installed."""

from importlib import metadata

DISTRIBUTION = "headrace"


def _version() -> str:
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "0+checkout"


VERSION = _version()
