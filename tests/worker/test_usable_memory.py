"""How much memory models may take, by the machine and by the limits of its control groups."""

from pathlib import Path

import pytest

from worker import usable_memory
from worker.usable_memory import PROCESS_BYTES, for_models, limits, physical

GIB = 1 << 30
BUDGET = 256 << 20
RESERVE = PROCESS_BYTES + BUDGET * 3 // 2


def write(root: Path, path: str, text: str) -> None:
    """A file of the system's."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def machine(root: Path, size: int) -> None:
    """A machine with that much memory."""
    write(root, "proc/meminfo", f"MemFree:        1 kB\nMemTotal:       {size >> 10} kB\n")


def test_the_machine_s_memory_counts_where_nothing_limits_it(tmp_path: Path) -> None:
    """Without what the process and requests take."""
    machine(tmp_path, 16 * GIB)

    assert list(physical(tmp_path)) == [16 * GIB]
    assert for_models(BUDGET, tmp_path) == 16 * GIB - RESERVE


def test_each_group_above_can_limit(tmp_path: Path) -> None:
    """The narrowest counts; "max" is no limit."""
    machine(tmp_path, 16 * GIB)
    write(tmp_path, "proc/self/cgroup", "0::/system.slice/headrace.service\n")
    write(tmp_path, "sys/fs/cgroup/system.slice/headrace.service/memory.max", "max\n")
    write(tmp_path, "sys/fs/cgroup/system.slice/memory.max", f"{4 * GIB}\n")
    write(tmp_path, "sys/fs/cgroup/memory.max", f"{8 * GIB}\n")

    assert list(limits(tmp_path)) == [4 * GIB, 8 * GIB]
    assert for_models(BUDGET, tmp_path) == 4 * GIB - RESERVE


@pytest.mark.parametrize(("text", "found"), [(str(4 * GIB), [4 * GIB]), ("9223372036854771712", [])])
def test_limits_of_version_one_count(tmp_path: Path, text: str, found: list[int]) -> None:
    """Older systems tell "none" by a number that no machine has."""
    write(tmp_path, "proc/self/cgroup", "7:cpu:/a\n3:memory:/a\n")
    write(tmp_path, "sys/fs/cgroup/memory/a/memory.limit_in_bytes", f"{text}\n")

    assert list(limits(tmp_path)) == found


def test_a_small_container_keeps_half_for_models(tmp_path: Path) -> None:
    """Small models in NumPy need neither TensorFlow nor the whole budget."""
    machine(tmp_path, GIB)

    assert for_models(BUDGET, tmp_path) == GIB // 2


@pytest.mark.parametrize("text", ["", "nonsense", "MemTotal:", "MemTotal: many kB"])
def test_what_cannot_be_read_is_no_limit(tmp_path: Path, text: str) -> None:
    """A file in another form must not keep a worker from starting."""
    write(tmp_path, "proc/meminfo", text)
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/memory.max", text)

    assert for_models(BUDGET, tmp_path) is None


def test_this_machine_has_memory() -> None:
    """Whatever its system is."""
    found = usable_memory.for_models(BUDGET)

    assert found is not None
    assert found > 0
