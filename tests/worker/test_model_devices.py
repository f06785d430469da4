"""Devices that a model's record names: instances on each, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from lifecycle.instances import InstancesLoader
from lifecycle.resources import HOST
from lifecycle.saved_model_loader import SavedModelLoader
from schemas.model_config import DEVICES, ModelConfig
from tests.kit.models import SavedModels
from tests.kit.numpy_models import pixels
from worker import managing, model_devices
from worker.control_record import InvalidControlRecord, check_config
from worker.loaded_version import loaded_version
from worker.loaders import Loaders
from worker.model_streams import Stream
from worker.settings import Settings
from worker.version_sources import Source


@pytest.fixture(scope="module")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> SavedModels:
    """Written once."""
    return SavedModels(tmp_path_factory.mktemp("saved_models"))


def config(base_path: Path | str = "/m", devices: str = "CPU:0,CPU:0", **fields: Any) -> ModelConfig:
    """One with these devices."""
    return ModelConfig(str(base_path), parameters={DEVICES: devices.encode()}, **fields)


def test_devices_are_named_one_for_each_instance() -> None:
    """One that is named twice has two."""
    assert model_devices.named(config(devices="GPU:0,GPU:1,GPU:1")) == ("GPU:0", "GPU:1", "GPU:1")
    assert model_devices.named(ModelConfig("/m")) == ()
    assert model_devices.named(config(devices="gpu")) == ()


@pytest.mark.parametrize(
    "text", ["", "GPU", "gpu:0", "GPU:00", "GPU:-1", "TPU:0", "GPU:0,", "CPU:0;CPU:1", "GPU:٣"]
)
def test_what_names_no_device_is_refused(text: str) -> None:
    """With what was expected."""
    with pytest.raises(InvalidControlRecord, match=r"devices is .*expected devices, as in GPU:0,GPU:1"):
        check_config(config(devices=text))


def test_there_is_an_end_to_instances() -> None:
    """A slip of the hand would load a model until memory is full."""
    check_config(config(devices=",".join(["GPU:0"] * 64)))
    with pytest.raises(InvalidControlRecord, match="at most 64"):
        check_config(config(devices=",".join(["GPU:0"] * 65)))


@pytest.mark.parametrize("loader", ["numpy", "lookup_table", "vocabulary", "python", "mine"])
def test_loaders_that_put_nothing_on_a_device_are_refused_with_any(loader: str) -> None:
    """Rather than to pass over what was asked for."""
    with pytest.raises(InvalidControlRecord, match=f"models of loader '{loader}' are on none"):
        check_config(config(loader=loader))
    check_config(ModelConfig("/m", loader))


def test_a_loader_is_made_for_each_device() -> None:
    """Of one device its own; without any, as ever."""
    loaders = Loaders()
    several = loaders.loader(Source("saved_model", "/m/1", ("GPU:0", "CPU:0")), 1)
    assert isinstance(several, InstancesLoader)
    assert [each.options.device for each in several._loaders if isinstance(each, SavedModelLoader)] == [
        "GPU:0",
        "CPU:0",
    ]
    one = loaders.loader(Source("saved_model", "/m/1", ("GPU:1",)), 1)
    assert isinstance(one, SavedModelLoader)
    assert one.options.device == "GPU:1"
    with pytest.raises(KeyError):
        loaders.loader(Source("numpy", "/m/1", ("CPU:0",)), 1)


def test_another_device_is_another_source() -> None:
    """So that versions that are loaded already move to it, in turns."""
    stream = Stream(config=config(devices="CPU:0"), paths={1: "/m/1"})
    before = stream.wanted()
    stream.config = config(devices="CPU:0,CPU:0")
    assert before is not None
    assert stream.wanted() == {1: Source("saved_model", "/m/1", ("CPU:0", "CPU:0"))} != before


@pytest.mark.tensorflow
def test_a_worker_loads_and_warms_up_each_instance(saved_models: SavedModels) -> None:
    """With its settings, rules and roots; they answer alike, and need twice the memory of one."""
    directory = saved_models.dense()
    settings = Settings.model_validate({"lifecycle": {"base_path_roots": [str(directory.parent)]}})
    loaders, _ = managing.new_loaders(settings)
    once, twice = (
        loaders.loader(Source("saved_model", str(directory), devices), 1)
        for devices in (("CPU:0",), ("CPU:0", "CPU:0"))
    )
    assert twice.estimate_resources().of(HOST) == 2 * once.estimate_resources().of(HOST)  # type: ignore[attr-defined]

    with loaded_version(settings, config(directory.parent)) as loaded:
        found = [loaded.servable.run("serving_default", {"x": pixels(4)}, ["scores"]) for _ in range(2)]
        assert found[0]["scores"].tolist() == found[1]["scores"].tolist()
        assert len(getattr(loaded.servable, "instances", ())) == 2


@pytest.mark.tensorflow
@pytest.mark.parametrize(("threads", "told"), [(1, 1), (2, 0)])
def test_instances_that_would_have_nothing_to_do_are_told_of(
    saved_models: SavedModels, caplog: pytest.LogCaptureFixture, threads: int, told: int
) -> None:
    """With what would give them some."""
    settings = Settings.model_validate({"batching": {"threads": threads}})
    with loaded_version(settings, config(saved_models.dense().parent)):
        lines = [each for each in caplog.records if "more instances" in each.getMessage()]
    assert len(lines) == told


@pytest.mark.tensorflow
def test_a_device_that_is_not_there_fails_the_load_by_name(saved_models: SavedModels) -> None:
    """The state of the version says it."""
    with (
        pytest.raises(Exception, match="no device GPU:97 on this worker"),
        loaded_version(Settings(), config(saved_models.dense().parent, "CPU:0,GPU:97")),
    ):
        pass
