"""Reading and writing what claims name: files of this machine above all, where links and pipes lie in wait."""

import os
import stat
from pathlib import Path

import pytest

from tests.fakes.stores import new_root
from worker import claim_store


def read(uri: str, root: str) -> bytes:
    """All that lies there."""
    with claim_store.reading(uri, root) as file:
        return file.read()


@pytest.fixture(params=["file", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A root in either store."""
    return f"file://{tmp_path}/in" if request.param == "file" else new_root()


def test_what_was_written_is_read_listed_and_removed(root: str) -> None:
    """Folders come with their first file; removing twice is no error, since another may be faster."""
    place = f"{root}/a/b"
    claim_store.write(place, [b"one", bytearray(b"two"), memoryview(b"three")])

    assert read(place, root) == b"onetwothree"
    assert claim_store.names_in(root) == ["a"]
    assert claim_store.names_in(f"{root}/a") == ["b"]
    assert claim_store.remove(place)
    assert not claim_store.remove(place)
    claim_store.remove_folder(f"{root}/a")
    assert claim_store.names_in(f"{root}/a") == []
    with pytest.raises(FileNotFoundError):
        read(place, root)


def test_a_folder_with_something_in_it_stays(root: str) -> None:
    """Nothing is removed that was not asked for."""
    claim_store.write(f"{root}/a/b", [b"x"])

    claim_store.remove_folder(f"{root}/a")

    assert read(f"{root}/a/b", root) == b"x"


def test_what_is_large_is_written_whole(root: str) -> None:
    """In pieces, in order."""
    data = os.urandom(claim_store.CHUNK_BYTES * 2 + 7)

    claim_store.write(f"{root}/x", [data])

    assert read(f"{root}/x", root) == data


def test_no_link_below_a_root_is_followed(tmp_path: Path) -> None:
    """Neither to a file nor through a folder, inside the root or out of it."""
    (tmp_path / "secret").write_bytes(b"secret")
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "plain").write_bytes(b"plain")
    (inside / "file").symlink_to(tmp_path / "secret")
    (inside / "inner").symlink_to(inside / "plain")
    (inside / "folder").symlink_to(tmp_path)

    root = f"file://{inside}"
    assert read(f"{root}/plain", root) == b"plain"
    for name in ("file", "inner", "folder/secret"):
        with pytest.raises(claim_store.NoPlainFileError):
            read(f"{root}/{name}", root)


def test_a_root_may_be_a_link_itself(tmp_path: Path) -> None:
    """It is the operator's."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_bytes(b"x")
    (tmp_path / "root").symlink_to(tmp_path / "real")

    root = f"file://{tmp_path}/root"
    assert read(f"{root}/x", root) == b"x"


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe that nobody writes to would be waited for without end; a folder has no bytes."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)

    root = f"file://{tmp_path}"
    for name in ("pipe", "folder", "folder/none/x"):
        with pytest.raises((claim_store.NoPlainFileError, FileNotFoundError)):
            read(f"{root}/{name}", root)


def test_a_root_that_is_not_there_may_come_back(tmp_path: Path) -> None:
    """It is not the requester's fault, so it is another error than a file that is missing."""
    root = f"file://{tmp_path}/not-mounted"

    with pytest.raises(ConnectionError, match="mounted"):
        read(f"{root}/x", root)
