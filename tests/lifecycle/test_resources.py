"""Quantities of memory by device."""

from pathlib import Path

import pytest

from lifecycle import errors, resources
from lifecycle.resources import HOST, NOTHING, Device, ResourceAllocation, gpu, host
from tests.fakes.servables import FakeLoader, SizedLoader

GPU = Device("gpu", 1)


def test_quantities_are_added_and_taken_away_by_device() -> None:
    """What one of them does not name is 0 there, and no device has less than nothing."""
    both = host(5) + gpu(7, 1)

    assert (both.of(HOST), both.of(GPU), both.of(Device("gpu", 0))) == (5, 7, 0)
    assert both + NOTHING == both
    assert both - host(2) == host(3) + gpu(7, 1)
    assert both - host(9) - gpu(7, 1) == NOTHING
    assert both.at_most(host(3) + gpu(9, 1)) == host(3) + gpu(7, 1)
    assert both.at_most(NOTHING) == NOTHING


def test_nothing_of_a_device_is_as_if_it_were_not_named() -> None:
    """So that equal quantities are equal."""
    assert host(0) == NOTHING == ResourceAllocation({GPU: 0})


def test_less_than_nothing_is_refused() -> None:
    """No memory is negative."""
    with pytest.raises(ValueError, match="-1 bytes of GPU 1's memory; expected 0 or more"):
        gpu(-1, 1)


def test_a_quantity_cannot_be_changed() -> None:
    """Neither by what it was made of nor through what it shows."""
    made_of = {HOST: 1}
    quantity = ResourceAllocation(made_of)
    made_of[HOST] = 2

    assert quantity == host(1)
    with pytest.raises(TypeError):
        quantity.memory[HOST] = 3  # type: ignore[index]


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (NOTHING, "no memory"),
        (host(1023), "1,023 bytes of the host's memory"),
        (host(1536), "1.50 KiB of the host's memory"),
        (host(3 << 20), "3.00 MiB of the host's memory"),
        (gpu(5 << 29, 0), "2.50 GiB of GPU 0's memory"),
    ],
)
def test_people_can_read_it(quantity: ResourceAllocation, text: str) -> None:
    """With a unit that suits its size, and whose memory it is."""
    assert str(quantity) == text


def test_several_devices_are_all_named() -> None:
    """And each has a short name of its own."""
    assert str(host(1) + gpu(2, 1)) in {
        "1 bytes of the host's memory and 2 bytes of GPU 1's memory",
        "2 bytes of GPU 1's memory and 1 bytes of the host's memory",
    }
    assert [str(HOST), str(GPU)] == ["host", "gpu:1"]


def test_a_loader_is_asked_and_one_that_cannot_say_needs_nothing() -> None:
    """Loaders of others go on working."""
    assert resources.estimate(SizedLoader(7)) == host(7)
    assert resources.estimate(FakeLoader()) == NOTHING


def test_an_estimate_of_another_type_is_refused() -> None:
    """With the name of the class, and what is expected."""

    class Wrong(FakeLoader):
        def estimate_resources(self) -> int:
            return 5

    with pytest.raises(
        errors.PermanentLoadFailure, match="estimate_resources of Wrong gives a int; expected a lifec"
    ):
        resources.estimate(Wrong())


def test_the_files_of_a_directory_are_added_up(tmp_path: Path) -> None:
    """Whatever the depth; what cannot be seen counts nothing, since a load says best what is wrong with it."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a.npy").write_bytes(bytes(100))
    (tmp_path / "deep" / "er" / "b.npy").write_bytes(bytes(50))
    (tmp_path / "deep" / "c.json").write_bytes(bytes(10))
    (tmp_path / "gone.npy").symlink_to(tmp_path / "nowhere")

    assert resources.file_bytes(tmp_path) == 160
    assert resources.file_bytes(tmp_path, "*.npy") == 150
    assert resources.on_disk(tmp_path) == host(192)
    assert resources.on_disk(tmp_path / "missing") == NOTHING
    assert resources.size_of(tmp_path / "missing") == 0
