"""How long a thread may have a core to itself while others wait, so that requests never wait for a load's turn to end.

Linux (6.12 and later) lets a thread name its slice. One with a short slice that wakes is run at once, where a thread
with a longer one has the core; both have their fair share all the same. Measured on one core, with a thread that
computes beside: a thread of the usual slice waited 2.2 ms for the core (median), one of 0.5 ms waited 0.03.

Not priorities (nice): a load holds the interpreter again and again, and with a low priority it would hold it for as
long as anybody else on the machine has something to do. With `nice` 10 beside other busy processes requests waited
640 ms.
"""

import ctypes
import os
import platform
import struct
import threading

SERVING_SECONDS = 0.0005
"""As long as threads hold the interpreter (`process_tuning`); half a millisecond goes unnoticed in a latency."""

_SYSTEM_CALLS = {"x86_64": 314, "aarch64": 274}  # sched_setattr, for which the C library has no function
_ATTRIBUTES = struct.Struct(
    "IIQiIQQQ"
)  # linux/sched/types.h: size, policy, flags, nice, priority, three times


def run_soon() -> bool:
    """Give the calling thread, and those that it starts from now on, a short slice; False where that cannot be done.

    An older kernel takes the call and does nothing.
    """
    return _set_slice(SERVING_SECONDS)


def run_as_usual() -> bool:
    """Give the calling thread the system's own slice again; for threads that load and unload."""
    return _set_slice(0.0)


def slice_seconds() -> float:
    """The calling thread's slice; 0 where it cannot be told, as on kernels before 6.12."""
    call = _system_call("sched_getattr")
    attributes = ctypes.create_string_buffer(_ATTRIBUTES.size)
    if call is None or ctypes.CDLL(None).syscall(call, 0, attributes, _ATTRIBUTES.size, 0):
        return 0.0
    return float(_ATTRIBUTES.unpack(attributes.raw)[5]) / 1e9


def _set_slice(seconds: float) -> bool:
    call = _system_call("sched_setattr")
    if call is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False  # another policy is an operator's choice
    nice = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, round(seconds * 1e9), 0, 0)
    return bool(ctypes.CDLL(None).syscall(call, 0, wanted, 0) == 0)


def _system_call(name: str) -> int | None:
    number = _SYSTEM_CALLS.get(platform.machine()) if platform.system() == "Linux" else None
    return number if number is None or name == "sched_setattr" else number + 1
