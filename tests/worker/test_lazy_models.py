"""Models that are loaded when they are first asked for, under a limit of memory or of their number."""

import logging
from typing import Any

import pytest

from lifecycle.servable_handle import ServableHandle
from lifecycle.servable_id import ServableId
from lifecycle.servable_state import ServableState
from schemas.errors import Code
from schemas.model_config import SPLIT
from tests.fakes.lazy_world import ALL, OTHERS, LazyWorld
from tests.fakes.servables import ManualExecutor
from worker.lazy_demand import WANTED_SECONDS
from worker.lazy_models import ANSWER_SECONDS, BACK_SOON_SECONDS, SETTLE_SECONDS, LazyLimits
from worker.model_table import Sleep
from worker.router import Divided, Refused

LOADED_AGAIN = "was unloaded for another"


def sleep_of(world: LazyWorld, name: str) -> Sleep | None:
    """How far a model is from being loaded."""
    model = world.table.lookup(name)
    assert model is not None
    return model.sleep


def held_though_asked_for_longest_ago(world: LazyWorld) -> ServableHandle:
    """A handle on `a`, which nobody has asked for since; `b` was asked for just now."""
    world.ask("a")
    world.ask("b")
    handle = world.handle("a")
    assert handle is not None
    world.step(1, 100.0)
    world.ask("b")
    return handle


def test_a_lazy_model_is_loaded_when_it_is_first_asked_for() -> None:
    """Not before; an eager one is there by itself."""
    world = LazyWorld()
    world.set_eager("eager")
    world.set_lazy("lazy", "other-lazy")
    world.step(20)
    assert world.available() == {"eager"}
    assert world.counts.wakes == 0

    assert world.ask("lazy") == 1
    assert world.available() == {"eager", "lazy"}
    assert (sleep_of(world, "lazy"), sleep_of(world, "other-lazy")) == (Sleep.AWAKE, Sleep.ASLEEP)
    assert (world.counts.wakes, world.counts.models_awake) == (1, 1)
    world.step(1000)
    assert world.available() == {"eager", "lazy"}


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "nobody"},
        {"name": "lazy", "binding": OTHERS},
        {"name": "lazy", "version": 9},
        {"name": "lazy", "label": "canary"},
    ],
    ids=["unknown model", "not served there", "unknown version", "unknown label"],
)
def test_what_a_requester_makes_up_wakes_nothing(asked: dict[str, Any]) -> None:
    """Only versions of models that the control topic names and the binding serves are loaded."""
    world = LazyWorld()
    world.set_lazy("lazy", labels={"stable": 1})
    assert isinstance(world.route(**asked), Refused)
    world.step(20)
    assert world.states() == {}
    assert world.demand.wanted(world.clock()) == []


def test_a_path_that_is_missing_is_told_and_wakes_nothing() -> None:
    """As for any other model."""
    world = LazyWorld()
    world.missing.add("lazy")
    world.set_lazy("lazy")
    world.step(2)
    refused = world.route("lazy")
    assert isinstance(refused, Refused)
    assert (refused.code, "cannot be listed" in refused.message) == (Code.UNAVAILABLE, True)
    world.step(2)
    assert sleep_of(world, "lazy") is Sleep.ASLEEP

    world.missing.clear()
    world.step(40)
    assert world.ask("lazy") == 1


def test_a_request_that_nobody_repeats_is_loaded_for_only_for_a_while() -> None:
    """While another holds its place, what was asked for once and given up is not loaded in the end."""
    world = LazyWorld(limits=LazyLimits(most_awake=1))
    world.set_lazy("a", "b")
    world.ask("a")
    held = world.handle("a")
    assert held is not None
    assert world.waits("b")
    world.step(1, SETTLE_SECONDS)
    assert world.unloaded == [ServableId("a", 1)]
    world.step(1, WANTED_SECONDS)
    held.release()
    world.step(20)
    assert world.available() == set()


def test_the_model_that_was_asked_for_longest_ago_makes_room() -> None:
    """For another lazy one; what was loaded first matters not."""
    world = LazyWorld(memory=3)
    world.set_lazy("a", "b", "c", "d")
    for name in ("a", "b", "c", "a"):
        world.ask(name)
        world.step(1, SETTLE_SECONDS)
    world.ask("d")

    assert world.available() == {"a", "c", "d"}
    assert world.unloaded == [ServableId("b", 1)]
    assert world.counts.unloads == {"memory": 1}


def test_an_eager_model_gets_room_and_is_never_unloaded_for_a_lazy_one() -> None:
    """However long ago it was asked for."""
    world = LazyWorld(memory=3)
    world.set_lazy("a", "b", "c")
    for name in ("a", "b", "c"):
        world.ask(name)
    world.step(1, SETTLE_SECONDS)
    world.set_eager("eager")
    world.until(lambda: world.available() == {"b", "c", "eager"})
    assert world.unloaded == [ServableId("a", 1)]

    for name in ("a", "b", "c", "a", "b", "c"):
        world.step(1, 100.0)
        world.ask(name)
        assert "eager" in world.available()
    assert ServableId("eager", 1) not in world.unloaded


def test_what_is_in_use_goes_last_and_never_under_a_request() -> None:
    """Its memory comes when its last request is answered; the request that waits for it waits so long."""
    world = LazyWorld(memory=2)
    world.set_lazy("a", "b", "c", "d")
    in_use = held_though_asked_for_longest_ago(world)
    world.step(1, SETTLE_SECONDS)
    world.ask("c")
    assert world.available() == {"a", "c"}

    also_in_use = world.handle("c")
    assert also_in_use is not None
    world.step(1, 100.0)
    for _ in range(20):
        assert world.waits("d")
        world.step()
    assert world.states()["a/1"] is ServableState.UNLOADING
    assert in_use.servable is not None
    assert world.available() == {"c"}
    in_use.release()
    world.ask("d")
    assert world.available() == {"c", "d"}
    also_in_use.release()


def test_a_model_that_is_too_big_fails_alone_and_has_nothing_unloaded_for_it() -> None:
    """Also where only what eager models leave is too little; its reason is told, and stays to be seen."""
    world = LazyWorld(memory=5)
    world.sizes.update(huge=6, large=5)
    world.set_eager("eager")
    world.set_lazy("a", "huge", "large")
    world.step()
    world.ask("a")
    world.step(1, 100.0)
    for name, reason in {"huge": "huge/1 is too big", "large": "there is no room for large/1"}.items():
        assert world.waits(name)
        world.step(5)
        refused = world.route(name)
        assert isinstance(refused, Refused)
        assert reason in refused.message
    assert world.unloaded == []
    assert world.available() == {"eager", "a"}

    world.remove("eager")
    world.until(lambda: "large" in world.available(), within_seconds=200.0)


def test_a_load_that_fails_is_told_and_tried_again_as_any_other() -> None:
    """The model stays awake meanwhile, with its reason, and its requests are refused at once."""
    world = LazyWorld()
    world.broken.add("lazy")
    world.set_lazy("lazy")
    assert world.waits("lazy")
    world.step(5)
    refused = world.route("lazy")
    assert isinstance(refused, Refused)
    assert "the weights are cut short" in refused.message
    assert world.states() == {"lazy/1": ServableState.END}

    world.broken.clear()
    world.step(2, 60.0)
    assert world.ask("lazy", 0.0) == 1


def test_no_more_than_the_number_are_loaded_and_those_that_leave_count() -> None:
    """Another is loaded once one has gone; which one, the order of asking says."""
    world = LazyWorld(limits=LazyLimits(most_awake=2))
    world.set_lazy("a", "b", "c")
    in_use = held_though_asked_for_longest_ago(world)
    in_use_too = world.handle("b")
    assert in_use_too is not None
    world.step(1, SETTLE_SECONDS)
    for _ in range(20):
        assert world.waits("c")
        world.step()
    assert world.states() == {"a/1": ServableState.UNLOADING, "b/1": ServableState.AVAILABLE}
    in_use.release()
    world.ask("c")
    assert world.available() == {"b", "c"}
    assert world.counts.unloads == {"number": 1}
    in_use_too.release()


def test_a_model_that_has_failed_takes_no_place() -> None:
    """Nothing of it is loaded."""
    world = LazyWorld(limits=LazyLimits(most_awake=1))
    world.broken.add("broken")
    world.set_lazy("broken", "a")
    assert world.waits("broken")
    world.step(5)
    world.ask("a")
    world.step(1, 100.0)
    assert isinstance(world.route("broken"), Refused)
    assert world.available() == {"a"}
    assert world.unloaded == []


def test_an_idle_model_is_unloaded_after_its_time() -> None:
    """One that is asked for now and then stays, one in use too, and an eager one anyway."""
    world = LazyWorld(limits=LazyLimits(idle_seconds=30.0))
    world.set_eager("eager")
    world.set_lazy("a", "b", "c")
    for name in ("a", "b", "c"):
        world.ask(name)
    in_use = world.handle("c")
    assert in_use is not None
    for _ in range(4):
        world.step(2, 10.0)
        world.ask("b")
    assert world.available() == {"eager", "b", "c"}
    assert world.counts.unloads == {"idle": 1}
    in_use.release()
    world.step(2, 30.0)
    assert world.available() == {"eager"}
    assert world.ask("a") == 1


def test_a_model_stays_until_what_was_held_for_it_could_be_answered() -> None:
    """One that nobody has come to yet for longer than one that has answered."""
    world = LazyWorld(memory=1)
    world.set_lazy("a", "b")
    assert world.waits("a")
    world.step(3)
    assert world.available() == {"a"}
    for _ in range(round(ANSWER_SECONDS / 0.05) - 10):
        assert world.waits("b")
        world.step()
    assert world.available() == {"a"}
    world.ask("b")
    assert world.available() == {"b"}

    began = world.clock()
    world.ask("a")
    assert world.clock() - began < 2 * SETTLE_SECONDS


@pytest.mark.parametrize("versions", [(1,), (1, 2)])
def test_two_models_that_do_not_fit_beside_each_other_take_turns(versions: tuple[int, ...]) -> None:
    """Also where each has a part of its versions loaded and waits for the room of the other one's."""
    world = LazyWorld(memory=len(versions))
    world.set_lazy("a", "b", versions=versions)
    for _ in range(10):
        world.ask_all("a", "b")
    assert world.counts.unloads["memory"] >= 10


def test_a_load_that_is_cancelled_to_make_room_is_no_failure_of_its_version() -> None:
    """Requests that name the version wait on."""
    world = LazyWorld(memory=2)
    world.set_lazy("a", "b", versions=(1, 2))
    cancelled = 0
    for _ in range(200):
        for name in ("a", "b"):
            for version in (1, 2):
                world.answers(name, version=version)
        cancelled += sum(each.error is not None for each in world.manager.states())
        world.step()
    assert cancelled > 0


def test_many_models_are_all_answered_where_few_fit() -> None:
    """Each request that is held is answered in the end; models that fail or are too big hold up nobody."""
    world = LazyWorld(memory=4)
    names = [f"m{number:02}" for number in range(12)]
    world.set_lazy(*names)
    for _ in range(5):
        world.ask_all(*names)
    assert len(world.available()) == 4
    assert world.counts.models_awake == 4


def test_until_all_of_a_model_is_there_only_a_version_that_is_named_answers() -> None:
    """The latest, a label and a split would otherwise mean what happens to be loaded first."""
    loads = ManualExecutor()
    world = LazyWorld(loads=loads)
    parameters = {SPLIT: b"stable=50 2=50"}
    world.set_lazy("m", versions=(1, 2), labels={"stable": 1}, parameters=parameters)
    world.step()
    assert world.waits("m")
    world.step(2)
    while "m" not in world.available():
        loads.run()
        world.step()
    (there,) = (each.version for each in world.manager.available_ids())
    assert not world.waits("m", version=there)
    assert world.waits("m", version=3 - there)
    assert world.waits("m")
    assert world.waits("m", label="stable")

    while loads.jobs:
        loads.run()
        world.step()
    world.step()
    assert isinstance(world.route("m"), Divided)
    assert world.ask("m", 0.0, label="stable") == 1
    assert world.ask("m", 0.0, version=2) == 2


def test_a_new_version_of_a_model_that_is_awake_comes_as_that_of_any_other() -> None:
    """The old one answers until then; of one that sleeps the next request loads the new one."""
    world = LazyWorld()
    world.set_lazy("awake", "asleep")
    world.ask("awake")
    world.set_lazy("awake", "asleep", versions=(2,))
    world.step()
    for _ in range(5):
        assert world.ask("awake", 0.0) in {1, 2}
        world.step()
    assert world.states() == {"awake/2": ServableState.AVAILABLE}
    assert world.ask("asleep") == 2


def test_a_model_that_becomes_lazy_stays_loaded_until_its_room_is_needed() -> None:
    """And one that becomes eager is loaded at once, and stays."""
    world = LazyWorld(memory=2)
    world.set_eager("a")
    world.set_lazy("b")
    world.step(3)
    world.set_lazy("a")
    world.set_eager("b")
    world.step(3)
    assert world.available() == {"a", "b"}
    assert world.unloaded == []

    world.set_lazy("c")
    world.step(1, ANSWER_SECONDS)
    world.ask("c")
    assert world.available() == {"b", "c"}


def test_more_that_become_lazy_than_may_be_loaded_go_until_it_is_right() -> None:
    """The limit holds for all that are lazy, however they became so."""
    world = LazyWorld(limits=LazyLimits(most_awake=2))
    names = ("a", "b", "c", "d")
    world.set_eager(*names)
    world.step(3)
    world.set_lazy(*names)
    world.step(5, ANSWER_SECONDS)
    assert len(world.available()) == 2
    assert world.counts.unloads == {"number": 2}


def test_a_lazy_model_that_is_removed_goes_and_comes_back_asleep() -> None:
    """Nothing is remembered of it."""
    world = LazyWorld()
    world.set_lazy("a")
    world.ask("a")
    world.remove("a")
    world.step(3)
    assert world.states() == {}
    assert world.counts.models_awake == 0
    assert not world.demand.watched
    world.set_lazy("a")
    world.step(3)
    assert world.states() == {}
    assert world.ask("a") == 1


def test_an_invalid_record_leaves_a_lazy_model_as_it_is() -> None:
    """Awake or asleep."""
    world = LazyWorld()
    world.set_lazy("awake", "asleep")
    world.ask("awake")
    for name in (b"awake", b"asleep"):
        world.table.apply(name, b"garbage", 9)
    world.step(3)
    assert world.available() == {"awake"}
    assert world.ask("asleep") == 1


def test_it_is_told_when_models_are_unloaded_for_each_other(caplog: pytest.LogCaptureFixture) -> None:
    """Not when one comes back after a long time."""
    world = LazyWorld(memory=1)
    world.set_lazy("a", "b")
    with caplog.at_level(logging.INFO):
        for name in ("a", "b", "a"):
            world.step(1, BACK_SOON_SECONDS)
            world.ask(name)
        assert not [each for each in caplog.messages if LOADED_AGAIN in each]
        world.ask("b")
        assert len([each for each in caplog.messages if LOADED_AGAIN in each]) == 1
    unloaded = [each for each in caplog.records if "is unloaded until" in each.getMessage()]
    assert [vars(each)["reason"] for each in unloaded] == ["memory"] * len(unloaded)
    assert vars(unloaded[0])["for"] == "b/1"


def test_a_load_with_no_lazy_model_about_waits_for_nobody() -> None:
    """It is refused as ever; so is one that only sleeping models could make room for."""
    world = LazyWorld(memory=1)
    world.set_lazy("lazy")
    world.set_eager("a", "b")
    world.step(5)
    assert sorted(world.states().values(), key=lambda each: each.name) == [
        ServableState.AVAILABLE,
        ServableState.END,
    ]
    assert not world.lazy.may_make_room(ServableId("c", 1), world.tracker.used())


def test_a_binding_that_serves_it_wakes_it() -> None:
    """Whichever of them."""
    world = LazyWorld()
    world.set_lazy("other")
    assert world.ask("other", binding=OTHERS) == 1
    assert world.ask("other", 0.0, binding=ALL) == 1
