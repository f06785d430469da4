"""One source for several targets: each servable goes to one of them, by its name.

Source: TensorFlow Serving's `core/source_router.h`, `core/static_source_router.h` and `core/dynamic_source_router.h`.
What differs: a servable whose route changes is taken from its old target and given to the new one at once.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Generic

from lifecycle import errors
from lifecycle.source import V
from lifecycle.source_port import SourcePort


class SourceRouter(Generic[V]):
    """Routes by a function of the name that never changes. Thread-safe; a `source.Target`.

    Attributes:
        ports: the sources that the targets are connected to, one each.
    """

    def __init__(self, ports: int, route: Callable[[str], int]) -> None:
        """Nothing is connected yet.

        Args:
            ports: how many, 1 or more.
            route: the place in `ports` for a name, counted from 0; always the same one for the same name. Where
                unknown names go is for it to say: to a port of their own, or nowhere, by raising.
        """
        self.ports: tuple[SourcePort[V], ...] = _new_ports(ports)
        self._route = route

    def set_aspired_versions(self, name: str, versions: Sequence[V]) -> None:
        """Pass the complete list of one name on.

        Raises:
            NoRoute: there is no port of that number; nothing is passed on.
            Exception: what the function raises, or the target.
        """
        port = self._route(name)
        _check(f"servable {name!r}", port, self.ports)
        self.ports[port].say(name, versions)


class DynamicSourceRouter(Generic[V]):
    """Routes by a table of names that can be replaced at any time. Thread-safe; a `source.Target`.

    1. One target at most is told to have a name. Where a route changes, the old target is told an empty list, then the
       new one the last list: nothing is lost, though the source says nothing anew.
    2. The old target unloads while the new one loads: there may be a time in which neither has it available, and one
       in which both have it in memory.
    3. Where two ports lead to one manager, a version that moves between them keeps the loader that it has there
       (`source.AspiredVersionsCallback`), or its error, unless the manager's options say
       `reload_failed_when_aspired_again`.

    Attributes:
        ports: the sources that the targets are connected to, one each.
    """

    def __init__(self, ports: int, routes: Mapping[str, int], default: int) -> None:
        """Nothing is connected yet.

        Args:
            ports: how many, 1 or more.
            routes: the place in `ports`, counted from 0, of each name that has one.
            default: the place of all other names. Behind it may be a target like the others, or an adapter that
                only raises, so that a manager shows them as failed, with the reason.

        Raises:
            NoRoute: a port that is not there.
        """
        self.ports: tuple[SourcePort[V], ...] = _new_ports(ports)
        _check("every other servable", default, self.ports)
        self._default = default
        self._passing = threading.Lock()  # held while targets are told; guards the three below
        self._routes = self._checked(routes)
        self._lists: dict[str, Sequence[V]] = {}  # the last of each name, as far as it is not empty
        self._aspired_by: dict[str, int] = {}

    @property
    def routes(self) -> Mapping[str, int]:
        """The table as it is now."""
        return dict(self._routes)

    def set_aspired_versions(self, name: str, versions: Sequence[V]) -> None:
        """Pass the complete list of one name on; raises what the target raises, and the list before counts then."""
        with self._passing:
            self._tell(name, tuple(versions))

    def update_routes(self, routes: Mapping[str, int]) -> None:
        """Replace the table, and move what is aspired to where it belongs now.

        Raises:
            NoRoute: a port that is not there; nothing is changed.
            Exception: what a target raises. The table is the new one; what has not been moved by then is moved by the
                same call once more, or by the source's next list.
        """
        checked = self._checked(routes)
        with self._passing:
            self._routes = checked
            for name, versions in tuple(self._lists.items()):
                if self._aspired_by.get(name) != self._port_of(name):
                    self._tell(name, versions)

    def _tell(self, name: str, versions: Sequence[V]) -> None:
        port, before = self._port_of(name), self._aspired_by.get(name)
        if before is not None and before != port:
            with contextlib.suppress(errors.ManagerClosed):  # it has nothing any more
                self.ports[before].say(name, ())
            del self._aspired_by[name]
        self.ports[port].say(name, versions)
        if versions:
            self._lists[name], self._aspired_by[name] = versions, port
        else:
            self._lists.pop(name, None)
            self._aspired_by.pop(name, None)

    def _port_of(self, name: str) -> int:
        return self._routes.get(name, self._default)

    def _checked(self, routes: Mapping[str, int]) -> dict[str, int]:
        for name, port in routes.items():
            _check(f"servable {name!r}", port, self.ports)
        return dict(routes)


def _new_ports(count: int) -> tuple[SourcePort[V], ...]:
    if count < 1:
        raise ValueError(f"ports is {count}; expected 1 or more")
    return tuple(SourcePort[V]() for _ in range(count))


def _check(what: str, port: int, ports: Sequence[object]) -> None:
    if not 0 <= port < len(ports):
        raise errors.NoRoute(f"{what} is routed to port {port}; there are ports 0 to {len(ports) - 1}")
