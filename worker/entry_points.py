"""What other distributions bring by entry points: which names there are, and who offers them.

Which names there are is read from the installed metadata; nothing is imported before it is needed, so that what is
broken fails alone.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata

from worker.control_record import InvalidControlRecord


@dataclass(frozen=True, slots=True)
class Offer:
    """One entry point: a distribution offers something by a name."""

    name: str
    distribution: str
    release: str
    entry_point: metadata.EntryPoint

    def __str__(self) -> str:
        return f"{self.entry_point.value} of {self.distribution} {self.release}"


@dataclass(frozen=True, slots=True)
class Offers:
    """What is installed.

    Attributes:
        usable: by name.
        problems: what cannot be used and why, a sentence each, for the log.
    """

    usable: Mapping[str, Offer]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One group of entry points.

    Attributes:
        group: its name.
        word: what one of them is, for messages.
        check_name: raises `InvalidControlRecord` for what no control record could name.
    """

    group: str
    word: str
    check_name: Callable[[str], None]


def find(
    kind: Kind, shipped: Iterable[str], distributions: Iterable[metadata.Distribution] | None = None
) -> Offers:
    """What *distributions* (by default: everything installed) bring of a kind beside the *shipped* names.

    A name that is offered twice, or that headrace has itself, is used by nobody: which of them a model gets must not
    depend on the order in which things were installed. Raises nothing for a broken distribution.
    """
    offers: dict[str, list[Offer]] = {}
    problems: list[str] = []
    for distribution in metadata.distributions() if distributions is None else distributions:
        try:
            for entry_point in distribution.entry_points.select(group=kind.group):
                offer = Offer(entry_point.name, distribution.name, distribution.version, entry_point)
                offers.setdefault(offer.name, []).append(offer)
        except Exception as error:  # noqa: BLE001 - other people's files; no fault in them may stop a worker
            problems.append(
                f"{_unreadable(distribution, kind)} ({type(error).__name__}: {error}); install it again"
            )
    usable = {}
    taken = frozenset(shipped)
    for name, offered in sorted(offers.items()):
        first_of_each = {_normal(offer.distribution): offer for offer in reversed(offered)}
        problem = _problem(kind, name, list(reversed(first_of_each.values())), taken)
        if problem is None:
            usable[name] = offered[0]
        else:
            problems.append(problem)
    return Offers(usable, tuple(problems))


def _normal(distribution: str) -> str:
    """One spelling for each distribution: it may be on the path twice, and only the first one is imported from."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _unreadable(distribution: metadata.Distribution, kind: Kind) -> str:
    try:
        which = f"the entry points of {distribution.name}"
    except Exception:  # noqa: BLE001 - as above
        which = "the metadata of an installed distribution"
    return f"{which} cannot be read, so no {kind.word} of it is known here"


def _problem(kind: Kind, name: str, offered: list[Offer], taken: frozenset[str]) -> str | None:
    """Why a name cannot be used."""
    who = " and ".join(map(str, offered))
    if name in taken:
        return (
            f"{kind.word} {name!r} is headrace's own; {who} must offer its {kind.word} by another name, and is "
            "not used"
        )
    if len(offered) > 1:
        return f"{kind.word} {name!r} is offered more than once, by {who}; none of them is used: remove all but one"
    try:
        kind.check_name(name)
    except InvalidControlRecord as error:
        return f"{error}; {who} is not used"
    return None
