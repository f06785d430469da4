"""One object of a model's JSON file, read key by key, with errors that name the place."""

from collections.abc import Mapping, Sequence
from typing import cast

from lifecycle import errors

_MOST = 2**63 - 1
"""Larger than any count of bytes or elements."""


class JsonSection:
    """A JSON object at a place in a file. Each getter takes one key; `end` refuses what nobody took.

    Raises (from every method): InvalidModel, naming the place and what was expected there.
    """

    def __init__(self, place: str, value: object) -> None:
        if not isinstance(value, dict):
            raise errors.InvalidModel(f"{place}: expected an object, found {_shown(value)}")
        self.place = place
        self._left = cast("dict[str, object]", dict(value))

    def text(self, key: str) -> str:
        """A string that must be there."""
        value = self._left.pop(key, None)
        if not isinstance(value, str) or not value:
            raise self.wrong(key, "a string", value)
        return value

    def optional_text(self, key: str) -> str | None:
        """A string that may be missing."""
        return self.text(key) if key in self._left else None

    def number(self, key: str, default: float) -> float:
        """A number that may be missing."""
        value = self._left.pop(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, "a number", value)
        return value

    def seconds(self, key: str) -> float:
        """A span of time, 0 or more; 0 when missing."""
        value = self.number(key, 0.0)
        if not 0 <= value < float("inf"):
            raise self.wrong(key, "0 or more seconds", value)
        return value

    def string(self, key: str) -> bytes:
        """A string that must be there and may be empty, as bytes; `surrogateescape` has those that are no UTF-8."""
        value = self._left.pop(key, None)
        if not isinstance(value, str):
            raise self.wrong(key, "a string", value)
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise self.wrong(key, "a string", value) from None

    def one_of(self, key: str, numbers: Sequence[int]) -> int:
        """One of these whole numbers, which must be there: a number of a format, which others do not understand."""
        value = self._left.pop(key, None)
        if isinstance(value, bool) or not isinstance(value, int) or value not in numbers:
            raise self.wrong(key, f"{' or '.join(map(str, numbers))}, which this release reads", value)
        return value

    def whole(self, key: str, least: int = 0, most: int = _MOST) -> int:
        """A whole number from *least* to *most* that must be there."""
        value = self._left.pop(key, None)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            limits = f"{least} or more" if most == _MOST and least >= 0 else f"from {least} to {most}"
            raise self.wrong(key, f"a whole number, {limits}", value)
        return value

    def section(self, key: str) -> "JsonSection":
        """An object that must be there."""
        return JsonSection(f"{self.place}.{key}", self._left.pop(key, None))

    def plain(self, key: str) -> Mapping[str, object]:
        """An object of any values, as it stands; empty when missing."""
        value = self._left.pop(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "an object", value)
        return value

    def sections(self, key: str) -> Mapping[str, "JsonSection"]:
        """An object of objects that must be there."""
        value = self._left.pop(key, None)
        if not isinstance(value, dict):
            raise self.wrong(key, "an object", value)
        return {name: JsonSection(f"{self.place}.{key}.{name}", each) for name, each in value.items()}

    def list_of_sections(self, key: str) -> Sequence["JsonSection"]:
        """A list of objects that must be there."""
        value = self._left.pop(key, None)
        if not isinstance(value, list):
            raise self.wrong(key, "a list", value)
        return [JsonSection(f"{self.place}.{key}[{index}]", each) for index, each in enumerate(value)]

    def shape(self, key: str) -> tuple[int | None, ...] | None:
        """A list of sizes, in which null is any size; null in place of the list is any rank."""
        if key not in self._left:
            raise self.wrong(key, "a list of sizes", None)
        value = self._left.pop(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(_is_size(size) for size in value):
            raise self.wrong(key, "a list of sizes, with null for any size", value)
        return tuple(value)

    def fixed_shape(self, key: str) -> tuple[int, ...]:
        """A list of sizes that are all known."""
        value = self._left.pop(key, None)
        if not isinstance(value, list) or not all(size is not None and _is_size(size) for size in value):
            raise self.wrong(key, "a list of sizes", value)
        return tuple(value)

    def end(self) -> None:
        """Refuse the keys that were not taken: they are misspelt."""
        if self._left:
            raise errors.InvalidModel(f"{self.place}: unknown {', '.join(map(repr, sorted(self._left)))}")

    def wrong(self, key: str, expected: str, found: object) -> errors.InvalidModel:
        """The error that says what was expected at a key, to be raised by the caller."""
        return errors.InvalidModel(f"{self.place}.{key}: expected {expected}, found {_shown(found)}")


def _is_size(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)[:80]
