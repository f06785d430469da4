"""Making lookup tables: whole or not at all, from arrays or from blocks that do not fit in memory."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifecycle import errors, lookup_table_writer
from lifecycle.lookup_table_loader import LookupTableLoader
from lifecycle.string_columns import tensor_of
from tests.kit.hashings import FEW_HASHES, ONE_BUCKET

VECTOR = {"vector": np.zeros((2, 4), np.float32)}


def files(directory: Path) -> dict[str, bytes]:
    """The contents of every file."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def made(base_path: Path, keys: Any, rows: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """What a new table answers to its own keys, and to one that is not there."""
    lookup_table_writer.write(base_path / "1", keys, rows, **options)
    loader = LookupTableLoader(base_path / "1")
    loader.load()
    signature = loader.servable.signatures["serving_default"]
    strings = signature.inputs["keys"].dtype == "DT_STRING"
    asked = tensor_of([*keys, b"?"]) if strings else np.array([*keys, -9])
    answer = loader.servable.run("serving_default", {"keys": asked}, ())
    return {name: array.tolist() for name, array in answer.items()}


@pytest.mark.parametrize("memory_bytes", [0, 1000, 40_000, 10**9])
def test_blocks_make_the_same_files_as_arrays_do(tmp_path: Path, memory_bytes: int) -> None:
    """Whether they fit in memory or not, and whatever their sizes."""
    source = np.random.default_rng(5)
    keys = np.unique(source.integers(-(10**9), 10**9, 3000))
    rows = source.standard_normal((len(keys), 3)).astype(np.float32)
    cuts = [0, 0, 1, 700, 2500, len(keys)]
    lookup_table_writer.write(tmp_path / "1", keys, {"vector": rows})

    lookup_table_writer.write_blocks(
        tmp_path / "2",
        ((keys[a:b], {"vector": rows[a:b]}) for a, b in itertools.pairwise(cuts)),
        memory_bytes=memory_bytes,
    )

    assert files(tmp_path / "1") == files(tmp_path / "2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


@pytest.mark.parametrize("memory_bytes", [0, 5000, 10**9])
def test_blocks_of_strings_make_the_same_files_as_a_list_does(tmp_path: Path, memory_bytes: int) -> None:
    """Likewise, with strings of all lengths."""
    keys = [bytes([65 + n % 26]) * (n % 50) + str(n).encode() for n in range(1000)] + [b""]
    place = np.arange(len(keys))
    lookup_table_writer.write(tmp_path / "1", keys, {"place": place})

    lookup_table_writer.write_blocks(
        tmp_path / "2",
        ((keys[a : a + 100], {"place": place[a : a + 100]}) for a in range(0, len(keys), 100)),
        memory_bytes=memory_bytes,
    )

    assert files(tmp_path / "1") == files(tmp_path / "2")


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ([b"a", b"b"], [b"a", b"b"]),
        (["a", "ä"], [b"a", "ä".encode()]),
        (np.array(["a", "ä"]), [b"a", "ä".encode()]),
        (np.array([b"a", b"bc"]), [b"a", b"bc"]),
        (np.array([b"a\0", "b"], object), [b"a\0", b"b"]),
        (np.array([1, 2], np.uint8), [1, 2]),
        ([1, -(2**63)], [1, -(2**63)]),
        (np.array([2**63 - 1, 0], np.uint64), [2**63 - 1, 0]),
    ],
)
def test_keys_are_taken_in_every_form(tmp_path: Path, keys: Any, shown: list[Any]) -> None:
    """Text is UTF-8; integers of any width are int64."""
    lookup_table_writer.write(tmp_path / "1", keys, {"place": np.array([5, 6], np.int8)})
    loader = LookupTableLoader(tmp_path / "1")
    loader.load()
    asked = tensor_of(shown) if isinstance(shown[0], bytes) else np.array(shown)

    answer = loader.servable.run("serving_default", {"keys": asked}, ["place"])

    assert answer["place"].tolist() == [5, 6]


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint64", "float16", "float64", "complex64", "complex128", ">f4"]
)
def test_rows_of_every_dtype_come_back_exactly(tmp_path: Path, dtype: str) -> None:
    """Of either byte order, and from views that are not contiguous."""
    rows = np.array([[0, 1, 2], [3, 0, 5]]).astype(dtype)[:, ::2]

    answer = made(tmp_path, [10, 20], {"x": rows})

    assert answer["x"] == [*rows.tolist(), np.zeros(2, dtype).tolist()]


def test_a_key_that_is_not_there_gets_the_default_row(tmp_path: Path) -> None:
    """One number for all of a row, a row, or zeros."""
    rows = {"a": np.ones((1, 2), np.float32), "b": np.ones((1, 2), np.int32), "c": np.ones(1)}

    answer = made(tmp_path, [1], rows, default_rows={"a": float("nan"), "b": [-1, 7]})

    assert np.isnan(answer["a"][1]).all()
    assert answer["b"][1] == [-1, 7]
    assert answer["c"][1] == 0
    assert answer["found"] == [True, False]


@pytest.mark.parametrize("hashing", [None, FEW_HASHES, ONE_BUCKET])
@pytest.mark.parametrize("memory_bytes", [0, 10**9])
@pytest.mark.parametrize(
    ("keys", "key", "rows"), [([4, 7, 9, 7], 7, (1, 3)), ([b"a", b"", b"a\0", b""], b"", (1, 3))]
)
def test_a_key_that_stands_twice_is_refused(
    tmp_path: Path, hashing: Any, memory_bytes: int, keys: list[Any], key: Any, rows: tuple[int, int]
) -> None:
    """By both rows; nothing is left behind."""
    blocks = [(keys[:2], {"x": np.zeros(2)}), (keys[2:], {"x": np.zeros(2)})]
    options = {} if hashing is None else {"hashing": hashing}

    with pytest.raises(errors.DuplicateKey) as caught:
        lookup_table_writer.write_blocks(tmp_path / "1", blocks, memory_bytes=memory_bytes, **options)

    assert (caught.value.key, caught.value.rows) == (key, rows)
    assert str(caught.value) == f"key {key!r} stands in rows 1 and 3, counted from 0; each key may stand once"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("keys", "rows", "message"),
    [
        ([1, 2], {}, "expected at least one"),
        ([1, 2], {"found": np.zeros(2)}, "with a name other than 'found'"),
        ([1, 2], {"": np.zeros(2)}, "expected at least one, each with a name"),
        ([1, 2], {"x": np.zeros(3)}, r"output 'x' has shape \[3\]; expected a row for each of 2 keys"),
        ([1, 2], {"x": np.float32(1)}, r"output 'x' has shape \[\]"),
        ([1, 2], {"x": np.array(["a", "b"])}, "output 'x' is of <U1; expected numbers"),
        ([1, 2], {"x": np.array([b"a", b"b"])}, r"output 'x' is of \|S1; expected numbers"),
        ([1, 2], {"x": np.array(["2020-01-01"] * 2, "M8[D]")}, "output 'x' is of datetime64"),
        ([1.0, 2.0], VECTOR, r"the keys are float64\[2\]; expected integers or strings"),
        ([[1, 2]], VECTOR, r"the keys are int64\[1, 2\]; expected integers or strings"),
        ([], {"x": np.zeros(0)}, r"the keys are float64\[0\]"),
        (np.array([1, 2**63], np.uint64), VECTOR, "row 1: key 9223372036854775808 is larger than an int64"),
        (["a", 5], VECTOR, "row 1: key 5 is neither bytes nor text"),
        (["a", "\ud800"], VECTOR, r"row 1: key '\\ud800' is neither bytes nor text"),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, keys: Any, rows: Any, message: str) -> None:
    """With the place, what was expected, and what came; nothing is left behind."""
    with pytest.raises(errors.InvalidTable, match=message):
        lookup_table_writer.write(tmp_path / "1", keys, rows)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (([b"a"], {"x": np.zeros(1)}), "keys from row 1 on are DT_STRING; before they are DT_INT64"),
        (([2], {"y": np.zeros(1)}), "rows from 1 on: the outputs are .*'y'.*; before they are .*'x'"),
        (([2], {"x": np.zeros(1, np.float32)}), "the outputs are .*DT_FLOAT.*; before they are .*DT_DOUBLE"),
        (([2], {"x": np.zeros((1, 1))}), "rows from 1 on: the outputs are"),
    ],
)
def test_blocks_are_all_of_one_kind(tmp_path: Path, second: Any, message: str) -> None:
    """The first one says which."""
    with pytest.raises(errors.InvalidTable, match=message):
        lookup_table_writer.write_blocks(tmp_path / "1", [([1], {"x": np.zeros(1)}), second])


def test_no_block_says_nothing(tmp_path: Path) -> None:
    """Nobody knows what the keys would be."""
    with pytest.raises(errors.InvalidTable, match="no block of keys was given"):
        lookup_table_writer.write_blocks(tmp_path / "1", [])


@pytest.mark.parametrize(
    ("default", "message"),
    [
        ({"y": 0}, "a default row is given for y; the outputs are x"),
        ({"x": [1, 2, 3]}, r"default row of output 'x' is int64\[3\] and does not fit DT_INT8\[2\]"),
        ({"x": 0.5}, "is float64.* and does not fit DT_INT8"),
        ({"x": 128}, "is int64.* and does not fit DT_INT8"),
        ({"x": "a"}, "and does not fit DT_INT8"),
    ],
)
def test_a_default_row_has_to_fit(tmp_path: Path, default: Any, message: str) -> None:
    """In shape and dtype, so that it comes back as it was given."""
    with pytest.raises(errors.InvalidTable, match=message):
        lookup_table_writer.write(tmp_path / "1", [1], {"x": np.zeros((1, 2), np.int8)}, default_rows=default)


def test_a_default_decimal_may_be_rounded_but_not_become_infinite(tmp_path: Path) -> None:
    """As in the rows themselves."""
    rows = {"x": np.zeros(1, np.float16)}

    assert made(tmp_path, [1], rows, default_rows={"x": 0.1})["x"] == [0, float(np.float16(0.1))]
    with pytest.raises(errors.InvalidTable, match="does not fit DT_HALF"):
        lookup_table_writer.write(tmp_path / "2", [1], rows, default_rows={"x": 1e9})


def test_a_version_that_is_there_is_not_changed(tmp_path: Path) -> None:
    """Whether a table, an empty folder or a link that leads nowhere."""
    lookup_table_writer.write(tmp_path / "1", [1, 2], VECTOR)
    before = files(tmp_path / "1")
    (tmp_path / "2").mkdir()
    (tmp_path / "3").symlink_to(tmp_path / "nowhere")

    for name in ("1", "2", "3"):
        with pytest.raises(errors.InvalidTable, match="is there already; a version is never changed"):
            lookup_table_writer.write(tmp_path / name, [1, 2], VECTOR)

    assert files(tmp_path / "1") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "3"]


def test_a_version_that_comes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """The one that was there first stays."""

    def blocks() -> Iterator[Any]:
        lookup_table_writer.write(tmp_path / "1", [1, 2], VECTOR)
        yield [3, 4], VECTOR

    with pytest.raises(errors.InvalidTable, match="is there already"):
        lookup_table_writer.write_blocks(tmp_path / "1", blocks())

    assert np.load(tmp_path / "1" / "keys.npy").tolist() != [3, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_while_it_is_made_no_worker_sees_a_version(tmp_path: Path) -> None:
    """What is unfinished has a name that is no number; when the blocks fail it is gone."""
    seen: list[str] = []

    def blocks() -> Iterator[Any]:
        for key in range(3):
            yield [key], {"x": np.zeros(1)}
        seen.extend(path.name for path in (tmp_path / "users").iterdir())
        raise KeyError("the database has gone")

    with pytest.raises(KeyError, match="the database has gone"):
        lookup_table_writer.write_blocks(tmp_path / "users" / "1", blocks(), memory_bytes=0)

    assert len(seen) == 1
    assert seen[0].startswith(".1.")
    assert list((tmp_path / "users").iterdir()) == []
