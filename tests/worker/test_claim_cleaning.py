"""Cleaning up: what is old enough goes, and nothing that we have not written."""

import pytest

from tests.fakes.stores import TroubledStore, new_root
from worker import claim_store
from worker.claim_cleaning import ClaimCleaning
from worker.claim_places import FOLDER_SECONDS, folder_of, has_expired, is_file, new_place

NOW = 1_700_000_000.0
KEEP = 3600.0


@pytest.fixture(autouse=True)
def no_trouble() -> None:
    """The troubled store begins well."""
    TroubledStore.reset()


class Rig:
    """A cleaning whose clock the test sets."""

    def __init__(self, root: str, group: str = "serving") -> None:
        self.folder = folder_of(root, group)
        self.now = NOW
        self.removed = 0
        self.cleaning = ClaimCleaning(self.folder, KEEP, on_removed=self._count, wall=lambda: self.now)

    def _count(self, files: int) -> None:
        self.removed += files

    def write(self) -> str:
        """A file written now; its place."""
        place = new_place(self.folder, self.now)
        claim_store.write(place, [b"data"])
        return place


def there(place: str) -> bool:
    """Whether there is such a file."""
    folder, name = place.rsplit("/", 1)
    return name in claim_store.names_in(folder)


@pytest.mark.parametrize("protocol", ["memory", "file"])
def test_what_is_too_old_is_removed_and_what_is_not_stays(
    protocol: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Kept for as long as was set and at most ten minutes more; its folder goes too."""
    rig = Rig(new_root() if protocol == "memory" else f"file://{tmp_path_factory.mktemp('claims')}")
    old = [rig.write() for _ in range(3)]
    rig.now += KEEP / 2
    young = rig.write()

    rig.now = NOW + KEEP - 1
    rig.cleaning.step()
    assert all(map(there, old))
    rig.now = NOW + KEEP + FOLDER_SECONDS
    rig.cleaning.step()

    assert not any(map(there, old))
    assert there(young)
    assert rig.removed == 3
    assert claim_store.names_in(rig.folder) == [young.split("/")[-2]]


def test_nothing_is_removed_that_we_have_not_written() -> None:
    """Files of others, folders of others, another group's."""
    root = new_root()
    rig, other = Rig(root), Rig(root, "other")
    old = rig.write()
    folder = old.rsplit("/", 1)[0]
    others = [
        other.write(),
        f"{folder}/report.csv",
        f"{folder}/{'0' * 31}",
        f"{rig.folder}/models/{'0' * 32}",
        f"{rig.folder}/20231199T0000Z/{'0' * 32}",
        f"{root}/20200101T0000Z/{'0' * 32}",
    ]
    for place in others[1:]:
        claim_store.write(place, [b"theirs"])

    rig.now += 10 * KEEP
    rig.cleaning.step()

    assert not there(old)
    assert all(map(there, others))
    assert rig.removed == 1


def test_two_at_once_do_each_other_no_harm() -> None:
    """What the other has removed is not counted, and is no error."""
    root = new_root()
    first, second = Rig(root), Rig(root)
    first.write()
    first.now = second.now = NOW + 2 * KEEP

    first.cleaning.step()
    second.cleaning.step()

    assert (first.removed, second.removed) == (1, 0)


def test_a_store_in_trouble_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """The thread lives, one line says what to expect, and the next step does the work."""
    rig = Rig(new_root("troubled"))
    place = rig.write()
    rig.now += 2 * KEEP
    real = TroubledStore.ls

    def fails(*_arguments: object, **_keywords: object) -> None:
        raise OSError("no answer from https://user:pass123@store/x?signature=abc123")

    TroubledStore.ls = fails
    try:
        rig.cleaning.step()
        rig.cleaning.step()
    finally:
        TroubledStore.ls = real
    assert there(place)
    assert [record.message for record in caplog.records] == [
        "old data of replies cannot be removed; it stays under claims.write_root until it can"
    ]
    assert not [secret for secret in ("pass123", "abc123") if secret in str(vars(caplog.records[0]))]

    rig.cleaning.step()
    assert not there(place)


def test_an_end_does_not_wait_for_the_rest() -> None:
    """It is removed by whoever comes next."""
    rig = Rig(new_root())
    place = rig.write()
    rig.now += 2 * KEEP

    rig.cleaning.close()
    rig.cleaning.step()

    assert there(place)


def test_places_are_ours_unguessable_and_told_apart() -> None:
    """By group, whatever its name; and no two are the same."""
    root = "memory://out"
    folders = {folder_of(root, group) for group in ("a", "a.", "../a", "ä", "a" * 200, "A")}
    assert len(folders) == 6
    assert {folder.count("/") for folder in folders} == {3}
    assert not [folder for folder in folders if ".." in folder]

    places = {new_place("f", NOW) for _ in range(1000)}
    assert len(places) == 1000
    _, stamp, name = places.pop().split("/")
    assert is_file(name)
    assert not has_expired(stamp, 0.0, NOW)
    assert has_expired(stamp, 0.0, NOW + FOLDER_SECONDS)
