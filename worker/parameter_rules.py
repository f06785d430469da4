"""Rules for single parameters of a control record: what is wrong with each, in words."""

import re
from collections.abc import Iterator, Sequence

_DECIMAL = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6})?")
_MOST_P99_MS = 3_600_000


def mode_problems(what: str, said: str | None, modes: Sequence[str]) -> Iterator[str]:
    """What is wrong with a mode: it is none of these."""
    if said is not None and said not in modes:
        yield f"{what} is {said[:32]!r}; expected {' or '.join(modes)}"


def priority_problems(priority: str | None) -> Iterator[str]:
    """What is wrong with a priority."""
    if priority is not None and not (len(priority) == 1 and priority.isascii() and priority.isdigit()):
        yield f"priority is {priority[:32]!r}; expected one digit, 0 to 9"


def p99_problems(p99_ms: str | None) -> Iterator[str]:
    """What is wrong with a latency objective."""
    if p99_ms is not None and not (_DECIMAL.fullmatch(p99_ms) and float(p99_ms) <= _MOST_P99_MS):
        yield f"p99_ms is {p99_ms[:32]!r}; expected a decimal number, 0 to {_MOST_P99_MS:,}"
