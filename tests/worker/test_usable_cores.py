"""How many cores a worker may use, by affinity and by the limits of its control groups."""

import os
from pathlib import Path

import pytest

from worker.usable_cores import limits, usable_cores


def write(root: Path, path: str, text: str) -> None:
    """A file of the system's."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_a_container_s_limit_counts(tmp_path: Path) -> None:
    """In a container its own group is the topmost one that it sees; part of a core counts as one."""
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/cpu.max", "50000 100000\n")

    assert list(limits(tmp_path)) == [0.5]
    assert usable_cores(tmp_path) == 1


def test_each_group_above_can_limit(tmp_path: Path) -> None:
    """A service's slice may be narrower than the service; "max" is no limit."""
    write(tmp_path, "proc/self/cgroup", "0::/system.slice/headrace.service\n")
    write(tmp_path, "sys/fs/cgroup/system.slice/headrace.service/cpu.max", "max 100000\n")
    write(tmp_path, "sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n")

    assert list(limits(tmp_path)) == [1.5]


@pytest.mark.parametrize(("quota", "found"), [("250000", [2.5]), ("-1", [])])
def test_limits_of_version_one_count(tmp_path: Path, quota: str, found: list[float]) -> None:
    """Older systems have the quota and its period in files of their own."""
    write(tmp_path, "proc/self/cgroup", "7:memory:/a\n3:cpu,cpuacct:/a\n")
    write(tmp_path, "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", f"{quota}\n")
    write(tmp_path, "sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n")

    assert list(limits(tmp_path)) == found


@pytest.mark.parametrize("text", ["", "nonsense", "100000", "1 0", "a b"])
def test_what_cannot_be_read_is_no_limit(tmp_path: Path, text: str) -> None:
    """A file in another form must not keep a worker from starting."""
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/cpu.max", text)

    assert list(limits(tmp_path)) == []


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity")
def test_affinity_alone_counts_where_nothing_limits(tmp_path: Path) -> None:
    """There is always at least one core."""
    assert usable_cores(tmp_path) == len(os.sched_getaffinity(0))
