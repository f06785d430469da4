"""The devices that TensorFlow sees in this process, and how much of the GPUs' memory it may take."""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lifecycle import errors, saved_model_tensorflow
from lifecycle.resources import HOST, Device


@functools.cache
def gpu_memory(driver: Path = saved_model_tensorflow.NVIDIA_DRIVER) -> Mapping[Device, int]:
    """Bytes that TensorFlow may take of each GPU, as it finds them when it first looks; none on a machine without.

    What other processes have of a GPU by then is not counted, nor is what TensorFlow leaves to the driver. Called on
    load threads: where there is NVIDIA's *driver* it imports TensorFlow and has it look, which takes seconds; elsewhere
    nothing.
    """
    if not driver.exists():
        return {}
    saved_model_tensorflow.import_tensorflow()
    from tensorflow.core.protobuf import config_pb2  # noqa: PLC0415  # TensorFlow is imported late
    from tensorflow.python.client import device_lib  # noqa: PLC0415  # likewise

    # As for sessions: otherwise to look would take all of it.
    options = config_pb2.GPUOptions(allow_growth=True)
    return memory_of(device_lib.list_local_devices(config_pb2.ConfigProto(gpu_options=options)))


def memory_of(found: Iterable[Any]) -> Mapping[Device, int]:
    """Of TensorFlow's descriptions of devices (`DeviceAttributes`), the GPUs and their bytes."""
    return {
        Device("gpu", int(each.name.rpartition(":")[2])): each.memory_limit
        for each in found
        if each.device_type == "GPU"
    }


def memory_device(name: str, gpus: Iterable[Device]) -> Device:
    """Whose memory the variables of a model take that is on the device of that name; empty: TensorFlow chooses."""
    if not name:
        return min(gpus, default=HOST)
    kind, _, instance = name.partition(":")
    return Device("gpu", int(instance)) if kind == "GPU" else HOST


def check(name: str, found: Iterable[Any]) -> None:
    """See that there is a device of that name (`GPU:1`) among those of a session.

    Raises:
        PermanentLoadFailure: there is none; with those that there are.
    """
    names = sorted(each.name.rpartition("/device:")[2] for each in found)
    if name not in names:
        raise errors.PermanentLoadFailure(
            f"there is no device {name} on this worker, where TensorFlow sees {', '.join(names)}; take one of these, "
            "or start the worker where there is such a device"
        )
