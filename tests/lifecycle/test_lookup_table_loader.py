"""Lookup tables: what is found is what a dict finds, and what is wrong with the files is told."""

import json
import random
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import errors, lookup_table_writer
from lifecycle.aspired_versions_manager import AspiredVersionsManager, AspiredVersionsManagerOptions
from lifecycle.execution import BasicManagerOptions
from lifecycle.key_index import HASHING, Hashing
from lifecycle.lookup_table_loader import LookupTableLoader, LookupTableServable
from lifecycle.servable_id import ServableId
from lifecycle.signature import Signature, TensorSpec
from lifecycle.source import AspiredVersion
from lifecycle.string_columns import tensor_of
from lifecycle.warmup import WarmedLoader
from tests.fakes.servables import Driver
from tests.kit.hashings import HASHINGS
from tests.kit.waiting import PATIENCE_SECONDS

Array = npt.NDArray[Any]
Change = Callable[[dict[str, Any]], object]

INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 12)
STRINGS = (
    st.binary(max_size=30) | st.binary(max_size=2) | st.sampled_from([b"", b"\0", b"\0\0", b"a\0", b"a"])
)
hashings = pytest.mark.parametrize("hashing", HASHINGS.values(), ids=list(HASHINGS))


def loaded(directory: Path, hashing: Hashing = HASHING) -> LookupTableServable:
    """The servable of a table."""
    loader = LookupTableLoader(directory, hashing)
    loader.load()
    return loader.servable


def ask(servable: LookupTableServable, keys: Array) -> Mapping[str, Array]:
    """What it answers to keys."""
    return servable.run("serving_default", {"keys": keys}, ())


def vectors(count: int, version: int = 1) -> Array:
    """Rows that are all different."""
    return np.arange(4 * count, dtype=np.float32).reshape(count, 4) + version


def users(base_path: Path, version: int = 1, count: int = 100) -> Path:
    """A version of a table of integers: key n has the row `vectors(count, version)[n]`."""
    directory = base_path / str(version)
    lookup_table_writer.write(directory, np.arange(count), {"vector": vectors(count, version)})
    return directory


def words(base_path: Path) -> Path:
    """A table of strings."""
    rows = {"length": np.arange(3, dtype=np.int16)}
    lookup_table_writer.write(base_path / "1", ["one", "three", "seventeen letters"], rows)
    return base_path / "1"


@hashings
@given(st.lists(INTEGERS, unique=True, max_size=40), st.lists(INTEGERS, max_size=40))
def test_integers_are_found_as_a_dict_finds_them(
    hashing: Hashing, keys: list[int], others: list[int]
) -> None:
    """Those that are there with their rows, the others with the default row, also when hashes collide."""
    _is_like_a_dict(np.array(keys, np.int64), np.array(keys + others, np.int64), hashing)


@hashings
@given(st.lists(STRINGS, unique=True, max_size=40), st.lists(STRINGS, max_size=40))
def test_strings_are_found_as_a_dict_finds_them(
    hashing: Hashing, keys: list[bytes], others: list[bytes]
) -> None:
    """Byte for byte, zeros at the end included, also when hashes collide."""
    _is_like_a_dict(tensor_of(keys), tensor_of(keys + others), hashing)


def _is_like_a_dict(keys: Array, asked: Array, hashing: Hashing) -> None:
    rows = vectors(len(keys))
    default = np.array([-1, -2, -3, -4], np.float32)
    expected = dict(zip(keys.tolist(), rows, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "1"
        lookup_table_writer.write(
            directory, keys, {"vector": rows}, default_rows={"vector": default}, hashing=hashing
        )
        found = ask(loaded(directory, hashing), asked)

    assert found["found"].tolist() == [key in expected for key in asked.tolist()]
    assert found["vector"].tolist() == [expected.get(key, default).tolist() for key in asked.tolist()]


def test_many_keys_are_found(tmp_path: Path) -> None:
    """Also in a table that is written in several chunks, and in large blocks."""
    source = np.random.default_rng(3)
    keys = source.permutation(np.unique(source.integers(-(2**63), 2**63 - 1, 200_000)))
    lookup_table_writer.write(tmp_path / "1", keys, {"place": np.arange(len(keys))})

    found = ask(loaded(tmp_path / "1"), keys[::-1])

    np.testing.assert_array_equal(found["place"], np.arange(len(keys))[::-1])
    assert found["found"].all()


def test_many_strings_are_found(tmp_path: Path) -> None:
    """Likewise."""
    keys = [f"user-{number:x}".encode() for number in range(100_000)]
    lookup_table_writer.write(tmp_path / "1", keys, {"place": np.arange(len(keys))})

    found = ask(loaded(tmp_path / "1"), tensor_of([*keys, b"user-"]))

    np.testing.assert_array_equal(found["place"], [*range(len(keys)), 0])
    assert found["found"].tolist() == [True] * len(keys) + [False]


def test_strings_of_any_kind_are_keys(tmp_path: Path) -> None:
    """Empty, very long, no UTF-8, with zeros, and all but equal ones."""
    long = bytes(range(256)) * 4096
    keys = [
        b"",
        b"\0",
        b"\0" * 8,
        b"\xff\xfe",
        long,
        long + b"\0",
        long[:-1] + b"?",
        b"12345678",
        b"12345678\0",
    ]
    lookup_table_writer.write(tmp_path / "1", keys, {"place": np.arange(len(keys))})

    found = ask(loaded(tmp_path / "1"), tensor_of([*keys, long[:-1], b"1234567", b"\0" * 9]))

    assert found["place"][: len(keys)].tolist() == list(range(len(keys)))
    assert found["found"].tolist() == [True] * len(keys) + [False] * 3


def test_the_signature_says_what_a_row_is(tmp_path: Path) -> None:
    """One input, the outputs with their shapes, and whether the key was there."""
    lookup_table_writer.write(
        tmp_path / "1",
        ["ann", "bob"],
        {"vector": vectors(2), "age": np.array([30, 40], np.uint8), "grid": np.zeros((2, 3, 2), bool)},
        key_name="user",
    )

    servable = loaded(tmp_path / "1")

    assert servable.signatures == {
        "serving_default": Signature(
            "serving_default",
            "headrace/lookup_table",
            {"user": TensorSpec("user", "DT_STRING", (None,))},
            {
                "vector": TensorSpec("vector", "DT_FLOAT", (None, 4)),
                "age": TensorSpec("age", "DT_UINT8", (None,)),
                "grid": TensorSpec("grid", "DT_BOOL", (None, 3, 2)),
                "found": TensorSpec("found", "DT_BOOL", (None,)),
            },
        )
    }
    assert servable.signatures["serving_default"].batchable
    answer = servable.run("serving_default", {"user": tensor_of([b"bob"])}, ["age"])
    assert {name: array.tolist() for name, array in answer.items()} == {"age": [40]}


def test_a_table_without_keys_finds_nothing(tmp_path: Path) -> None:
    """The default row stands for all of them."""
    rows = {"vector": np.empty((0, 2), np.float32)}
    lookup_table_writer.write(tmp_path / "1", np.empty(0, np.int64), rows, default_rows={"vector": [1.5, 2]})

    found = ask(loaded(tmp_path / "1"), np.array([1, 2]))

    assert found["vector"].tolist() == [[1.5, 2], [1.5, 2]]
    assert not found["found"].any()


def test_no_keys_get_no_rows(tmp_path: Path) -> None:
    """An empty block is a block."""
    found = ask(loaded(users(tmp_path)), np.empty(0, np.int64))

    assert (found["vector"].shape, found["found"].shape) == ((0, 4), (0,))


def test_what_is_given_back_is_the_callers(tmp_path: Path) -> None:
    """It may be written to, and neither the file nor another answer changes."""
    servable = loaded(users(tmp_path))

    ask(servable, np.array([1]))["vector"][:] = -1

    assert ask(servable, np.array([1]))["vector"].tolist() == vectors(100)[1:2].tolist()


def test_text_instead_of_bytes_is_the_requesters_fault(tmp_path: Path) -> None:
    """Only who calls from Python can do that."""
    with pytest.raises(errors.InvalidInput, match="is to be given as bytes"):
        ask(loaded(words(tmp_path)), np.array(["one"], object))


def test_two_versions_are_served_side_by_side_and_one_goes(tmp_path: Path) -> None:
    """Each answers by its own rows; the one that stays answers on, under handles that were there before."""
    manager = AspiredVersionsManager(AspiredVersionsManagerOptions(basic=BasicManagerOptions(0, 0)))
    driver = Driver(manager)

    def aspire(*versions: int) -> None:
        manager.set_aspired_versions("users", [_aspired(tmp_path, version) for version in versions])
        wanted = tuple(ServableId("users", version) for version in versions)
        driver.until(lambda: manager.available_ids() == wanted and not manager.pending_names())

    for version in (1, 2):
        users(tmp_path, version)
    aspire(1, 2)
    key = {"keys": np.array([7])}
    for version in (1, 2):
        with manager.handle("users", version) as handle:
            answer = handle.servable.run("serving_default", key, ["vector"])
            assert answer["vector"].tolist() == vectors(100, version)[7:8].tolist()
    with manager.handle("users", 2) as handle:
        aspire(2)
        shutil.rmtree(tmp_path / "1")
        answer = handle.servable.run("serving_default", key, ["vector"])
    assert answer["vector"].tolist() == vectors(100, 2)[7:8].tolist()
    assert manager.close(PATIENCE_SECONDS) == ()


def _aspired(base_path: Path, version: int) -> AspiredVersion:
    return AspiredVersion(
        ServableId("users", version), lambda: WarmedLoader(LookupTableLoader(base_path / str(version)))
    )


def test_a_directory_that_is_removed_serves_on_until_the_version_is_unloaded(tmp_path: Path) -> None:
    """The files stay with whoever has mapped them."""
    servable = loaded(users(tmp_path, count=5000))

    shutil.rmtree(tmp_path / "1")

    np.testing.assert_array_equal(ask(servable, np.arange(5000))["vector"], vectors(5000))


def test_unload_forgets_the_table(tmp_path: Path) -> None:
    """After it there is no servable."""
    loader = LookupTableLoader(users(tmp_path))
    loader.load()

    loader.unload()

    with pytest.raises(RuntimeError, match="is not loaded"):
        _ = loader.servable


@pytest.mark.parametrize("make", [users, words])
def test_each_file_is_missed_and_may_still_come(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """One that is missing or cut short is told by its name and may be retried."""
    directory = make(tmp_path)
    names = [path.name for path in directory.iterdir()]
    for name in names:
        path, whole = directory / name, (directory / name).read_bytes()
        path.unlink()
        with pytest.raises(errors.LoadFailed, match=f"{name} cannot be read: No such file") as missing:
            LookupTableLoader(directory).load()
        assert missing.value.retriable
        for size in (0, 7, len(whole) - 3):
            path.write_bytes(whole[:size])
            with pytest.raises(errors.LoadFailed, match=f"{name} is cut short") as short:
                LookupTableLoader(directory).load()
            assert short.value.retriable
        path.write_bytes(whole)
    assert len(names) in {4, 5}
    LookupTableLoader(directory).load()
    with pytest.raises(errors.LoadFailed, match="does not exist; expected a lookup table there"):
        LookupTableLoader(tmp_path / "2").load()


@pytest.mark.parametrize("make", [users, words])
def test_a_file_of_another_size_or_kind_is_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """Longer than its header says, of another shape, of another dtype, in another order, or no array at all."""
    directory = make(tmp_path)
    for path in directory.glob("*.npy"):
        whole, array = path.read_bytes(), np.load(path)
        wrong: Sequence[tuple[bytes | Array, str]] = (
            (whole + b"x", "has .* bytes; an array of"),
            (array[1:], f"{path.name} holds .*; lookup_table.json says"),
            (array.astype(np.complex64), f"{path.name} holds complex64"),
            (np.stack([array] * 2, axis=-1), f"{path.name} holds"),
            (b"\x93NUMPY" + bytes(len(whole)), "is no array of numbers"),
        )
        for content, message in wrong:
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                np.save(path, content)
            with pytest.raises(errors.InvalidModel, match=message):
                LookupTableLoader(directory).load()
        path.write_bytes(whole)
    LookupTableLoader(directory).load()


def test_an_array_in_fortran_order_is_refused(tmp_path: Path) -> None:
    """Its rows would not lie together."""
    directory = users(tmp_path)
    path = directory / "output-0.npy"
    np.save(path, np.asfortranarray(np.load(path)))

    with pytest.raises(errors.InvalidModel, match=r"output-0\.npy holds .* in Fortran order; "):
        LookupTableLoader(directory).load()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.update(format=2),
            "lookup_table.json.format: expected 1, which this release reads, found 2",
        ),
        (lambda t: t.update(format=True), "lookup_table.json.format: expected 1"),
        (
            lambda t: t.pop("format"),
            "lookup_table.json.format: expected 1, which this release reads, found nothing",
        ),
        (lambda t: t.update(rows=1), "lookup_table.json: unknown 'rows'"),
        (lambda t: t.pop("keys"), "lookup_table.json.keys: expected an object, found nothing"),
        (lambda t: t["keys"].update(count=-1), "keys.count: expected a whole number, 0 or more, found -1"),
        (lambda t: t["keys"].update(count=1.0), "keys.count: expected a whole number, 0 or more, found 1.0"),
        (lambda t: t["keys"].update(count=99), "lookup_table.json says int64[99]"),
        (
            lambda t: t["keys"].update(bucket_bits=0),
            "bucket_bits: expected a whole number, from 1 to 48, found 0",
        ),
        (
            lambda t: t["keys"].update(bucket_bits=6),
            "buckets.npy holds uint32[129]; lookup_table.json says uint32[65]",
        ),
        (
            lambda t: t["keys"].update(dtype="DT_INT32"),
            "keys.dtype: expected DT_INT64 or DT_STRING, found 'DT_INT32'",
        ),
        (lambda t: t["keys"].update(words=3), "lookup_table.json.keys: unknown 'words'"),
        (lambda t: t["keys"].update(name=""), "keys.name: expected a string"),
        (lambda t: t.update(outputs={}), "outputs: expected at least one output"),
        (lambda t: t["outputs"].update(found=t["outputs"]["vector"]), "expected another name than 'found'"),
        (
            lambda t: t["outputs"]["vector"].update(dtype="DT_STRING"),
            "vector.dtype: expected the name of a numeric",
        ),
        (lambda t: t["outputs"]["vector"].update(dtype="DT_HALF"), "says float16[101, 4]"),
        (lambda t: t["outputs"]["vector"].update(shape=[None]), "vector.shape: expected a list of sizes"),
        (lambda t: t["outputs"]["vector"].update(file="../1/output-0.npy"), "is no .npy file beside it"),
        (lambda t: t["outputs"]["vector"].update(file="lookup_table.json"), "is no .npy file beside it"),
    ],
)
def test_a_wrong_file_is_refused_by_the_place(tmp_path: Path, change: Change, message: str) -> None:
    """Each error names the key, what was expected there and what was found; retrying is no use."""
    directory = users(tmp_path)
    table = json.loads((directory / "lookup_table.json").read_text())
    change(table)
    (directory / "lookup_table.json").write_text(json.dumps(table))

    with pytest.raises(errors.InvalidModel) as caught:
        LookupTableLoader(directory).load()

    assert message in str(caught.value)


def test_an_index_with_other_ends_is_refused(tmp_path: Path) -> None:
    """Both are looked at when the version is loaded."""
    directory = users(tmp_path)
    starts = np.load(directory / "buckets.npy")
    starts[-1] -= 1
    np.save(directory / "buckets.npy", starts)

    with pytest.raises(errors.InvalidModel, match=r"buckets\.npy goes from 0 to 99; .* says from 0 to 100"):
        LookupTableLoader(directory).load()


def test_what_contradicts_itself_inside_fails_the_look_ups_that_meet_it(tmp_path: Path) -> None:
    """It is found when it is read, because loading does not read the rows; the worker lives on."""
    directory = users(tmp_path)
    starts = np.load(directory / "buckets.npy")
    starts[1:-1] += 1000
    np.save(directory / "buckets.npy", starts)
    servable = loaded(directory)

    with pytest.raises(errors.ExecutionFailed, match=r"files contradict each other .* made anew"):
        ask(servable, np.arange(100))


def test_strings_that_contradict_their_index_fail_the_look_ups_that_meet_them(tmp_path: Path) -> None:
    """Likewise."""
    directory = words(tmp_path)
    entries = np.load(directory / "entries.npy")
    entries[:, 1] += 1000
    np.save(directory / "entries.npy", entries)
    servable = loaded(directory)

    with pytest.raises(errors.ExecutionFailed, match="files contradict each other"):
        ask(servable, tensor_of([b"one", b"three"]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [users, words])
def test_whatever_bytes_change_only_errors_of_ours_come(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """A broken file fails its version or its look-ups, with a reason, and never in another way."""
    directory = make(tmp_path)
    keys = np.arange(100) if make is users else tensor_of([b"one", b"two", b"three"])
    source = random.Random(7)
    reasons = set()
    for path in sorted(directory.iterdir()) * 60:
        whole = path.read_bytes()
        changed = bytearray(whole)
        for _ in range(source.randint(1, 3)):
            changed[source.randrange(len(whole))] = source.choice(b"\0\xff(9'x")
        path.write_bytes(changed)
        try:
            servable = loaded(directory)
            (name,) = servable.signatures["serving_default"].inputs  # which may be what has changed
            servable.run("serving_default", {name: keys}, ())
        except (errors.LoadFailed, errors.ExecutionFailed) as error:
            reasons.add(type(error))
        path.write_bytes(whole)
    assert errors.InvalidModel in reasons
