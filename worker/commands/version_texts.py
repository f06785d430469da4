"""Which versions of a model are wanted, as people write it."""

from schemas.version_selection import AllVersions, LatestVersions, SpecificVersions, VersionSelection


def versions_text(selection: VersionSelection) -> str:
    """As `--versions` takes it."""
    match selection:
        case SpecificVersions(versions):
            return ",".join(map(str, versions))
        case LatestVersions(count):
            return f"latest:{count}"
        case AllVersions():
            return "all"


def versions_of(text: str) -> VersionSelection:
    """What `versions_text` has written.

    Raises:
        ValueError: it means nothing; the message says what was expected.
    """
    kind, colon, count = text.strip().partition(":")
    try:
        if kind == "all" and not colon:
            return AllVersions()
        if kind == "latest" and colon:
            return LatestVersions(int(count))
        return SpecificVersions(tuple(int(part) for part in text.split(",")))
    except ValueError:
        raise ValueError(
            f"{text.strip()!r} is not understood; expected numbers (3,4), latest:N or all"
        ) from None
