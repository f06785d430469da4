"""Batching options that a control record says in its parameters: the name of each, and what its text means.

Whoever adds one adds it here, to the options of `headrace models set` and to the fields of a file of models; the
record's rules, its views and `headrace tune` go by this list.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from batching.options import HIGHEST_PRIORITY, LOWEST_PRIORITY, Filling, PaddingPolicy
from schemas import model_config
from worker import model_devices, ragged_options

Parameters = Mapping[str, bytes]
MOST_ROWS = 1_048_576
_DECIMAL = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6})?")
_SHOWN = 32


@dataclass(frozen=True, slots=True)
class BatchingParameter:
    """One of them.

    Attributes:
        name: in the record, and in a file of models.
        title: in tables for people.
        expected: what its text has to be, in words.
        read: the value of a text, or ValueError.
        write: the text of a value.
        repeated: the option of `headrace models set` that is given for each line of it; None: there is one for all.
    """

    name: str
    title: str
    expected: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str
    repeated: str | None = None

    def words(self, parameters: Parameters) -> list[str]:
        """What to type after `headrace models set` to say the same as a record; nothing where it says nothing."""
        text = self.text(parameters)
        if text is None:
            return []
        if self.repeated is not None:
            return [word for line in text.splitlines() for word in (self.repeated, line)]
        return ["--" + self.name.replace("_", "-"), text]

    def text(self, parameters: Parameters) -> str | None:
        """What a record says, as it stands there; None where it says nothing."""
        said = parameters.get(self.name)
        # What is no UTF-8 becomes a text that means nothing, and is refused with the other ones.
        return None if said is None else said.decode(errors="replace")

    def value(self, parameters: Parameters) -> Any:
        """What a valid record says; None where it says nothing.

        Raises:
            ValueError: it is not valid.
        """
        text = self.text(parameters)
        return None if text is None else self.read(text)

    def problems(self, parameters: Parameters) -> Iterator[str]:
        """What is wrong with it, in words."""
        try:
            self.value(parameters)
        except ValueError:
            yield f"{self.name} is {self.text(parameters)[:_SHOWN]!r}; expected {self.expected}"  # type: ignore[index]

    def document(self, parameters: Parameters) -> Any:
        """For programs; of what another program wrote and means nothing, nothing."""
        try:
            return self.value(parameters)
        except ValueError:
            return None


def decimal_text(number: float) -> str:
    """To a millionth, without zeros at the end."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _decimal(most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        if not _DECIMAL.fullmatch(text) or float(text) > most:
            raise ValueError(text)
        return float(text)

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))):
            raise ValueError(text)
        if not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return read


def _one_of(modes: type[StrEnum]) -> tuple[str, Callable[[str], StrEnum]]:
    return " or ".join(modes), modes


_MOST_P99_MS, _MOST_AGEING_SECONDS = 3_600_000, 3_600
PRIORITY = BatchingParameter(
    model_config.PRIORITY, "priority", "one digit, 0 to 9", _whole(LOWEST_PRIORITY, HIGHEST_PRIORITY)
)
PADDING_POLICY = BatchingParameter(model_config.PADDING_POLICY, "padding policy", *_one_of(PaddingPolicy))
FILLING = BatchingParameter(model_config.FILLING, "filling", *_one_of(Filling))
AGEING_SECONDS = BatchingParameter(
    model_config.AGEING_SECONDS,
    "ageing in s",
    f"a decimal number, 0 to {_MOST_AGEING_SECONDS:,}",
    _decimal(_MOST_AGEING_SECONDS),
    decimal_text,
)
MAX_REQUEST_ROWS = BatchingParameter(
    model_config.MAX_REQUEST_ROWS,
    "rows of a request",
    f"a number, 0 to {MOST_ROWS:,}",
    _whole(0, MOST_ROWS),
)
P99_MS = BatchingParameter(
    model_config.P99_MS,
    "p99 in ms",
    f"a decimal number, 0 to {_MOST_P99_MS:,}",
    _decimal(_MOST_P99_MS),
    decimal_text,
)
RAGGED = BatchingParameter(
    model_config.RAGGED,
    "ragged",
    f"off, on, or at most {ragged_options.MOST_SIZES:,} sizes that increase, as in 32,64,128",
    ragged_options.mode_of,
)
RAGGED_PAD_VALUES = BatchingParameter(
    model_config.RAGGED_PAD_VALUES,
    "pad values",
    "INPUT=VALUE on each line",
    ragged_options.pad_values_of,
    "\n".join,
    repeated="--pad-value",
)
DEVICES = BatchingParameter(
    model_config.DEVICES, "devices", model_devices.EXPECTED, model_devices.read, ",".join
)
ALL = (
    PRIORITY,
    FILLING,
    AGEING_SECONDS,
    PADDING_POLICY,
    MAX_REQUEST_ROWS,
    P99_MS,
    RAGGED,
    RAGGED_PAD_VALUES,
    DEVICES,
)


def problems(parameters: Parameters) -> Iterator[str]:
    """What is wrong with any of them, in words."""
    for each in ALL:
        yield from each.problems(parameters)


def encoded(values: Mapping[str, Any]) -> dict[str, bytes]:
    """The parameters of a record that say these values, by their names; None: nothing is said."""
    return {
        each.name: each.write(values[each.name]).encode() for each in ALL if values.get(each.name) is not None
    }
