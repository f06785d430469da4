"""Counted references on one version."""

import gc
import threading
import weakref

import pytest

from lifecycle.servable_handle import Pins
from lifecycle.servable_id import ServableId
from tests.fakes.servables import AddingServable

ID = ServableId("m", 1)


def pins() -> Pins:
    """Pins of a new servable."""
    return Pins(ID, AddingServable(1.0))


def test_handle_gives_its_servable() -> None:
    """A handle knows the id and the servable that it keeps."""
    held = AddingServable(1.0)
    handle = Pins(ID, held).take()

    assert handle is not None
    assert (handle.id, handle.servable) == (ID, held)


def test_context_manager_releases() -> None:
    """Leaving the block releases the handle."""
    subject = pins()
    handle = subject.take()
    assert handle is not None
    with handle:
        assert subject.held == 1

    assert subject.held == 0
    assert repr(handle) == "<ServableHandle m/1 released>"


def test_released_handle_has_no_servable() -> None:
    """A handle that was released does not lead to a servable that may be gone."""
    handle = pins().take()
    assert handle is not None
    handle.release()

    with pytest.raises(RuntimeError, match="m/1 was released"):
        _ = handle.servable
    with pytest.raises(RuntimeError, match="m/1 was released"):
        handle.another()


def test_release_counts_once() -> None:
    """Releasing twice does not release somebody else's handle."""
    subject = pins()
    first, second = subject.take(), subject.take()
    assert first is not None
    assert second is not None

    first.release()
    first.release()

    assert subject.held == 1


def test_close_without_handles_is_idle_at_once() -> None:
    """When nothing is held, the closer learns it from the return value and is not called back."""
    called: list[str] = []

    assert pins().close(lambda: called.append("idle"))
    assert called == []


def test_closed_pins_give_no_handle() -> None:
    """A version on its way out is not taken anew."""
    subject = pins()
    subject.close(lambda: None)

    assert subject.take() is None


def test_last_release_calls_back_once() -> None:
    """The callback comes with the last release, also when a handle was cloned after the close."""
    called: list[str] = []
    subject = pins()
    first = subject.take()
    assert first is not None
    assert not subject.close(lambda: called.append("idle"))
    second = first.another()

    first.release()
    assert called == []
    second.release()
    second.release()

    assert called == ["idle"]


def test_callback_may_look_at_the_pins() -> None:
    """The callback runs outside the lock of the count."""
    subject = pins()
    seen: list[int] = []
    handle = subject.take()
    assert handle is not None
    subject.close(lambda: seen.append(0 if subject.take() is None else 1))

    handle.release()

    assert seen == [0]


def test_released_handle_keeps_nothing_in_memory() -> None:
    """A handle that lies around after its release does not keep the servable once the pins have let it go."""
    subject = pins()
    handle = subject.take()
    assert handle is not None
    kept = weakref.ref(handle.servable)
    handle.release()

    subject.servable = None
    gc.collect()

    assert kept() is None


def test_count_is_right_under_many_threads() -> None:
    """Threads that take, clone and release at the same time leave nothing held, and one callback."""
    subject = pins()
    called: list[str] = []
    last = subject.take()
    assert last is not None

    def work() -> None:
        for _ in range(500):
            handle = subject.take()
            assert handle is not None
            with handle, handle.another():
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert subject.held == 1
    assert not subject.close(lambda: called.append("idle"))
    last.release()
    assert called == ["idle"]
