"""What can go wrong, drawn by chance from a seed."""

import random
from collections.abc import Callable, Collection, Mapping

from tests.chaos.scene import Scene, tried

Fault = Callable[[Scene, random.Random], None]
"""Strikes now, and puts off what heals it."""

LONGEST_FREEZE_SECONDS = 10.0
"""Past the time in which a silent member is missed (6 s here), so that some workers lose their partitions frozen."""


def _kill(scene: Scene, chance: random.Random) -> None:
    place = chance.choice(scene.running())
    scene.kill(place)
    scene.later(chance.uniform(0.0, 2.0), lambda: scene.start(place))


def _freeze(scene: Scene, chance: random.Random) -> None:
    scene.freeze(chance.choice(scene.running()), chance.uniform(0.2, LONGEST_FREEZE_SECONDS))


def _replace(scene: Scene, chance: random.Random) -> None:
    place = chance.choice(scene.running())
    scene.end(place)
    scene.start(place)


def _shrink(scene: Scene, chance: random.Random) -> None:
    place = chance.choice(scene.running())
    scene.end(place)
    scene.later(chance.uniform(1.0, 6.0), lambda: scene.start(place))


def _grow(scene: Scene, chance: random.Random) -> None:
    scene.add(chance.uniform(3.0, 10.0))


def _switch(scene: Scene, _chance: random.Random) -> None:
    tried(scene.switch_version)


def _restart_broker(scene: Scene, _chance: random.Random) -> None:
    scene.broker.restart()


def _kill_broker(scene: Scene, _chance: random.Random) -> None:
    scene.broker.kill()
    scene.broker.start()


def _freeze_broker(scene: Scene, chance: random.Random) -> None:
    scene.broker.freeze()
    try:
        scene.sleep(chance.uniform(0.5, 5.0))
    finally:
        scene.broker.thaw()


OF_WORKERS: Mapping[str, Fault] = {
    "kill a worker": _kill,
    "freeze a worker": _freeze,
    "replace a worker": _replace,
    "one worker fewer": _shrink,
    "one worker more": _grow,
}
FAULTS: Mapping[str, Fault] = {
    **OF_WORKERS,
    "switch versions": _switch,
    "restart the broker": _restart_broker,
    "kill the broker": _kill_broker,
    "freeze the broker": _freeze_broker,
}
WEIGHTS: Mapping[str, int] = {
    "kill a worker": 4,
    "freeze a worker": 3,
    "replace a worker": 3,
    "one worker fewer": 2,
    "one worker more": 2,
    "switch versions": 4,
    "restart the broker": 1,
    "kill the broker": 1,
    "freeze the broker": 1,
}
"""Faults of the broker stop everybody, and hide those of workers."""


def concerned(name: str, workers: int) -> int:
    """How many of so many workers may repeat what they had not committed."""
    if name in OF_WORKERS:
        # Who joins or leaves takes partitions from the others, who finish first; who is too slow for that repeats.
        return workers if name in {"one worker more", "replace a worker", "one worker fewer"} else 1
    return 0 if name == "switch versions" else workers


def strike(scene: Scene, chance: random.Random, only: Collection[str] = ()) -> str:
    """One fault (of *only* these, where there are any); its name. Faults of workers need one that they can strike."""
    weights = {name: weight for name, weight in WEIGHTS.items() if not only or name in only}
    name = chance.choices(list(weights), list(weights.values()))[0]
    if name in OF_WORKERS and not scene.running():
        name = "one worker more"
    FAULTS[name](scene, chance)
    return name
