"""One source for several targets."""

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lifecycle import errors
from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from lifecycle.source import ServableData, connect
from lifecycle.source_adapter import LoaderFactory, SourceAdapter
from lifecycle.source_router import DynamicSourceRouter, SourceRouter
from tests.fakes.servables import Driver, FakeLoader
from tests.fakes.targets import RecordingTarget
from tests.kit.waiting import PATIENCE_SECONDS

Data = ServableData[str]
Target = RecordingTarget[Data]


def data(name: str, *versions: int) -> list[Data]:
    """These versions of a name."""
    return [ServableData(ServableId(name, version), "here") for version in versions]


def connected(router: SourceRouter[Data] | DynamicSourceRouter[Data]) -> list[Target]:
    """A target at each port."""
    targets = [Target() for _ in router.ports]
    for port, target in zip(router.ports, targets, strict=True):
        connect(port, target)
    return targets


def dynamic(routes: Mapping[str, int], ports: int = 3, default: int = 2) -> DynamicSourceRouter[Data]:
    """A router whose last port is the default one."""
    return DynamicSourceRouter(ports, routes, default)


# By a function


def test_name_decides_the_target() -> None:
    """Each list goes to the one target that the function says."""
    router = SourceRouter[Data](2, {"zero": 0, "one": 1}.__getitem__)
    zero, one = connected(router)

    router.set_aspired_versions("zero", data("zero", 0))
    router.set_aspired_versions("one", data("one", 1))

    assert zero.told == [("zero", data("zero", 0))]
    assert one.told == [("one", data("one", 1))]


def test_function_may_look_at_parts_of_the_name() -> None:
    """What fits several rules goes where the function says first; what fits none, to the port kept for that."""
    kinds = ("text", "image")

    def route(name: str) -> int:
        return next((place for place, kind in enumerate(kinds) if kind in name), len(kinds))

    router = SourceRouter[Data](3, route)
    targets = connected(router)
    for name in ("text-short", "text-of-image", "image", "sound"):
        router.set_aspired_versions(name, data(name, 7))

    assert [list(target.aspired) for target in targets] == [
        ["text-short", "text-of-image"],
        ["image"],
        ["sound"],
    ]


@pytest.mark.parametrize("port", [-1, 2])
def test_port_that_is_not_there_is_refused(port: int) -> None:
    """The source hears that its list went nowhere, and why."""
    router = SourceRouter[Data](2, lambda _: port)
    targets = connected(router)

    with pytest.raises(errors.NoRoute, match=f"'m' is routed to port {port}; there are ports 0 to 1"):
        router.set_aspired_versions("m", data("m", 1))

    assert [target.told for target in targets] == [[], []]


def test_function_may_refuse_a_name() -> None:
    """What the function raises reaches the source."""
    router = SourceRouter[Data](1, {"n": 0}.__getitem__)

    with pytest.raises(KeyError, match="m"):
        router.set_aspired_versions("m", data("m", 1))


def test_lists_wait_for_targets_that_are_not_connected_yet() -> None:
    """A port without a target keeps what is for it; the other ports, and the source, go on."""
    router = SourceRouter[Data](2, {"zero": 0, "one": 1}.__getitem__)
    zero, one = Target(), Target()
    router.set_aspired_versions("zero", data("zero", 1))
    connect(router.ports[0], zero)
    router.set_aspired_versions("one", data("one", 1))
    router.set_aspired_versions("zero", data("zero", 2))

    assert zero.told == [("zero", data("zero", 1)), ("zero", data("zero", 2))]
    connect(router.ports[1], one)
    assert one.told == [("one", data("one", 1))]


def test_router_needs_a_port() -> None:
    """Without any port it could not do anything."""
    with pytest.raises(ValueError, match="ports is 0; expected 1 or more"):
        SourceRouter[Data](0, lambda _: 0)


# By a table


def test_table_decides_and_the_rest_goes_to_the_default_port() -> None:
    """Names of the table go to their ports, all others to the default one."""
    router = dynamic({"foo": 0, "bar": 1}, ports=4, default=3)
    targets = connected(router)

    for name in ("foo", "bar", "other"):
        router.set_aspired_versions(name, data(name, 7))

    assert router.routes == {"foo": 0, "bar": 1}
    assert [target.told for target in targets] == [
        [("foo", data("foo", 7))],
        [("bar", data("bar", 7))],
        [],
        [("other", data("other", 7))],
    ]


@pytest.mark.parametrize("port", [-1, 3])
def test_table_with_a_port_that_is_not_there_is_refused(port: int) -> None:
    """At the beginning as later; a refused table changes nothing."""
    with pytest.raises(errors.NoRoute, match=f"'foo' is routed to port {port}"):
        dynamic({"foo": port})
    with pytest.raises(errors.NoRoute, match=f"every other servable is routed to port {port}"):
        dynamic({}, default=port)
    router = dynamic({"foo": 0})
    targets = connected(router)
    router.set_aspired_versions("foo", data("foo", 1))

    with pytest.raises(errors.NoRoute, match=f"'bar' is routed to port {port}"):
        router.update_routes({"foo": 1, "bar": port})

    assert router.routes == {"foo": 0}
    assert [len(target.told) for target in targets] == [1, 0, 0]


def test_servable_moves_with_its_route() -> None:
    """A new table takes what is aspired from the old target and gives it to the new one, without the source."""
    router = dynamic({"foo": 0})
    first, second, default = connected(router)
    router.set_aspired_versions("foo", data("foo", 7))
    router.set_aspired_versions("bar", data("bar", 7))

    router.update_routes({"bar": 0, "foo": 1})

    assert first.told == [("foo", data("foo", 7)), ("foo", []), ("bar", data("bar", 7))]
    assert second.told == [("foo", data("foo", 7))]
    assert default.told == [("bar", data("bar", 7)), ("bar", [])]


def test_old_target_hears_of_a_move_first() -> None:
    """So that one target at a time has it; also where both ports lead to one target, the new list is the last word."""
    router, target = dynamic({"foo": 0}), Target()
    for port in router.ports:
        connect(port, target)
    router.set_aspired_versions("foo", data("foo", 1))

    router.update_routes({"foo": 1})

    assert target.told == [("foo", data("foo", 1)), ("foo", []), ("foo", data("foo", 1))]


def test_lists_after_a_move_go_to_the_new_target() -> None:
    """The old one hears no more of it."""
    router = dynamic({"foo": 0})
    first, second, _ = connected(router)
    router.set_aspired_versions("foo", data("foo", 1))
    router.update_routes({"foo": 1})

    router.set_aspired_versions("foo", data("foo", 2))

    assert (first.aspired, second.aspired) == ({}, {"foo": data("foo", 2)})
    assert len(first.told) == 2


def test_what_stays_where_it_is_is_not_told_again() -> None:
    """A table that says the same for a name, in whatever way, moves nothing."""
    router = dynamic({"foo": 0})
    targets = connected(router)
    for name in ("foo", "bar"):
        router.set_aspired_versions(name, data(name, 1))

    router.update_routes({"foo": 0, "bar": 2, "new": 1})

    assert [len(target.told) for target in targets] == [1, 0, 1]


def test_what_is_not_aspired_any_more_does_not_move() -> None:
    """After an empty list nobody has it, wherever its route leads."""
    router = dynamic({"foo": 0})
    first, second, _ = connected(router)
    router.set_aspired_versions("foo", data("foo", 1))
    router.set_aspired_versions("foo", [])

    router.update_routes({"foo": 1})

    assert first.told == [("foo", data("foo", 1)), ("foo", [])]
    assert second.told == []


def test_move_that_a_target_refuses_can_be_repeated() -> None:
    """What has not arrived is kept, and arrives with the same table once more."""
    router = dynamic({"foo": 0})
    first, second, _ = connected(router)
    router.set_aspired_versions("foo", data("foo", 1))
    second.refusal = ValueError("not now")
    with pytest.raises(ValueError, match="not now"):
        router.update_routes({"foo": 1})
    assert (first.aspired, second.aspired, router.routes) == ({}, {}, {"foo": 1})
    second.refusal = None

    router.update_routes({"foo": 1})

    assert (first.aspired, second.aspired) == ({}, {"foo": data("foo", 1)})


def test_move_that_a_target_refuses_can_be_taken_back() -> None:
    """The old target, which has been told to let go, is told the list again."""
    router = dynamic({"foo": 0})
    first, second, _ = connected(router)
    router.set_aspired_versions("foo", data("foo", 1))
    second.refusal = ValueError("not now")
    with pytest.raises(ValueError, match="not now"):
        router.update_routes({"foo": 1})

    router.update_routes({"foo": 0})

    assert (first.aspired, second.aspired) == ({"foo": data("foo", 1)}, {})


def test_closed_manager_does_not_keep_what_moves_away() -> None:
    """An old target that is closed has nothing any more: it need not be told."""
    router = dynamic({"foo": 0})
    first, second, _ = connected(router)
    router.set_aspired_versions("foo", data("foo", 1))
    first.refusal = errors.ManagerClosed("closed")

    router.update_routes({"foo": 1})

    assert second.aspired == {"foo": data("foo", 1)}


def test_list_that_is_refused_was_not_said() -> None:
    """A move takes the last list that a target has taken."""
    router = dynamic({"foo": 0})
    first, second, _ = connected(router)
    router.set_aspired_versions("foo", data("foo", 1))
    first.refusal = errors.InvalidAspiration("twice")
    with pytest.raises(errors.InvalidAspiration):
        router.set_aspired_versions("foo", data("foo", 2, 2))
    first.refusal = None

    router.update_routes({"foo": 1})

    assert (first.aspired, second.aspired) == ({}, {"foo": data("foo", 1)})


def test_name_that_gets_a_route_to_the_manager_that_had_refused_it_is_loaded() -> None:
    """Whoever forgot a route adds it and sees the model served, if failed versions are loaded when aspired again."""

    def refuse(servable_id: ServableId, path: str) -> LoaderFactory:
        raise errors.NoRoute(f"{servable_id.name} has no route")

    manager = AspiredVersionsManager(AspiredVersionsManagerOptions(reload_failed_when_aspired_again=True))
    router = dynamic({}, ports=2, default=1)
    for port, adapter in zip(
        router.ports, (SourceAdapter(lambda *_: FakeLoader), SourceAdapter(refuse)), strict=True
    ):
        connect(port, adapter)
        connect(adapter, manager)
    driver = Driver(manager)
    router.set_aspired_versions("foo", data("foo", 1))
    driver.until_state(ServableId("foo", 1), ServableState.END)
    assert "foo has no route" in str(manager.states()[0].error)

    router.update_routes({"foo": 0})

    driver.until_state(ServableId("foo", 1), ServableState.AVAILABLE)
    assert manager.close(PATIENCE_SECONDS) == ()


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_threads_that_speak_and_one_that_reroutes() -> None:
    """However they meet: at the end the last list of each name is where the table says, and nowhere else."""
    names, rounds = ("a", "b", "c"), 200
    router = dynamic({})
    targets = connected(router)

    def speak(name: str) -> None:
        for version in range(rounds):
            router.set_aspired_versions(name, data(name, version))

    def reroute() -> None:
        for number in range(rounds):
            router.update_routes({name: (number + place) % 3 for place, name in enumerate(names)})

    threads = [threading.Thread(target=speak, args=(name,)) for name in names]
    threads.append(threading.Thread(target=reroute))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)

    for name in names:
        found = [
            (place, target.aspired[name]) for place, target in enumerate(targets) if name in target.aspired
        ]
        assert found == [(router.routes[name], data(name, rounds - 1))]


NAMES = ("a", "b", "c")
PORTS = st.integers(0, 2)


class AnyRouting(RuleBasedStateMachine):
    """Lists, tables, late targets and targets that refuse, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.router = dynamic({})
        self.targets = [Target() for _ in self.router.ports]
        self.waiting = set(range(3))  # ports without a target
        self.said: dict[str, list[Data]] = {}
        self.versions = 0

    @rule(name=st.sampled_from(NAMES), count=st.integers(0, 2))
    def say(self, name: str, count: int) -> None:
        """A new complete list of versions that never were before."""
        versions = data(name, *range(self.versions, self.versions + count))
        self.versions += count
        try:
            self.router.set_aspired_versions(name, versions)
        except ValueError:
            return  # as if it had not been said
        self.said[name] = versions

    @rule(routes=st.dictionaries(st.sampled_from(NAMES), PORTS))
    def reroute(self, routes: dict[str, int]) -> None:
        """A new table, which may arrive in part only."""
        try:
            self.router.update_routes(routes)
        except ValueError:
            assert any(target.refusal for target in self.targets)
        assert self.router.routes == routes

    @precondition(lambda self: self.waiting)
    @rule(choice=st.data())
    def connect(self, choice: st.DataObject) -> None:
        """A target comes late."""
        port = choice.draw(st.sampled_from(sorted(self.waiting)))
        if self.targets[port].refusal is None:
            connect(self.router.ports[port], self.targets[port])
            self.waiting.discard(port)

    @rule(port=PORTS, refuses=st.booleans())
    def refuse(self, port: int, *, refuses: bool) -> None:
        """A target takes nothing from now on, or takes everything again."""
        self.targets[port].refusal = ValueError("not now") if refuses else None

    @rule()
    def settle(self) -> None:
        """Once all targets are there and take what they are told, each list is where it belongs."""
        for port, target in enumerate(self.targets):
            target.refusal = None
            if port in self.waiting:
                connect(self.router.ports[port], target)
        self.waiting.clear()
        self.router.update_routes(self.router.routes)
        for port, target in enumerate(self.targets):
            assert target.aspired == self.at(port)

    def at(self, port: int) -> dict[str, Sequence[Data]]:
        """What belongs to a port."""
        routes = self.router.routes
        return {name: said for name, said in self.said.items() if said and routes.get(name, 2) == port}

    @invariant()
    def one_target_at_most_has_a_name(self) -> None:
        """Nothing is served twice, at no time."""
        held = [name for target in self.targets for name in target.aspired]
        assert len(held) == len(set(held))


TestAnyRouting = AnyRouting.TestCase
TestAnyRouting.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
