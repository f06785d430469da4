"""Where the kernel keeps the limits of this process's control groups: of its container, its service, the machine.

Source: the kernel's `admin-guide/cgroup-v2.rst` and `admin-guide/cgroup-v1/cgroups.rst`.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

UNIFIED = 2
"""The version of control groups whose folders have the files of every controller."""


def folders(controller: str, root: Path = Path("/")) -> Iterator[tuple[int, Path]]:
    """The version and the folder of each group of that controller, from this process's own up to the topmost one.

    None where the system does not tell. *root* is where its files are.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        path = PurePosixPath(group.lstrip("/"))
        if not controllers:
            yield from ((UNIFIED, root / "sys/fs/cgroup" / folder) for folder in (path, *path.parents))
        elif controller in controllers.split(","):
            yield from ((1, root / "sys/fs/cgroup" / controller / folder) for folder in (path, *path.parents))
