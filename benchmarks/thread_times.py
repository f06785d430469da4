"""What each thread of a process has used, by the kernel's count."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import CLOCK_TICKS


@dataclass(frozen=True, slots=True)
class ThreadTime:
    """One thread.

    Attributes:
        name: the kernel's name for it: `rdk:broker1`, `tf_Compute`; Python's threads all have the program's.
        user_seconds: in the program.
        system_seconds: in the kernel, on its behalf.
    """

    name: str
    user_seconds: float = 0.0
    system_seconds: float = 0.0


def read(pid: int) -> dict[str, ThreadTime]:
    """Every thread of a process, by the kernel's number for it."""
    found = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        try:
            text = (folder / "stat").read_text(encoding="utf-8")
        except FileNotFoundError:
            continue  # it has ended since it was listed
        found[folder.name] = parse(text)
    return found


def parse(text: str) -> ThreadTime:
    """A line of /proc/PID/task/TID/stat; a name may have blanks and brackets in it."""
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return ThreadTime(head.partition("(")[2], int(fields[11]) / CLOCK_TICKS, int(fields[12]) / CLOCK_TICKS)


def between(
    before: Mapping[str, ThreadTime], after: Mapping[str, ThreadTime], names: Mapping[str, str]
) -> dict[str, ThreadTime]:
    """What was used between two looks, by name, threads of one name together, the greediest first.

    *names* has better names for some threads, by the kernel's number.
    """
    added: dict[str, ThreadTime] = {}
    for number, now in after.items():
        name = names.get(number, now.name)
        then, so_far = before.get(number, ThreadTime(name)), added.get(name, ThreadTime(name))
        added[name] = ThreadTime(
            name,
            so_far.user_seconds + now.user_seconds - then.user_seconds,
            so_far.system_seconds + now.system_seconds - then.system_seconds,
        )
    by_time = sorted(added.values(), key=lambda each: -(each.user_seconds + each.system_seconds))
    return {each.name: each for each in by_time}
