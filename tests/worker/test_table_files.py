"""Files that tables are made of: what is taken, and what is told of a line that is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worker import table_files
from worker.csv_lines import TableFileError
from worker.table_files import CsvTable

USERS = "user,vector[1],vector[0],age\n5,2,1,30\n-7,4.5,3,40\n"
OF_USERS = CsvTable("user", "DT_INT64", {"age": "DT_INT8"})


def csv_table(tmp_path: Path, text: str | bytes, table: CsvTable = OF_USERS) -> list[Any]:
    """The blocks of a file."""
    path = tmp_path / "users.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(table_files.csv_table(path, table))


def test_columns_become_outputs(tmp_path: Path) -> None:
    """Numbered ones a row, in the order of their numbers; DT_FLOAT unless another dtype is said."""
    ((keys, rows),) = csv_table(tmp_path, USERS)

    assert (keys.dtype, keys.tolist()) == (np.dtype(np.int64), [5, -7])
    assert list(rows) == ["vector", "age"]
    assert (rows["vector"].dtype, rows["vector"].tolist()) == (np.dtype(np.float32), [[1, 2], [3, 4.5]])
    assert (rows["age"].dtype, rows["age"].tolist()) == (np.dtype(np.int8), [30, 40])


def test_string_keys_are_bytes_as_they_stand(tmp_path: Path) -> None:
    """Quoted, empty, with line feeds in them, no UTF-8; a byte order mark belongs to no name."""
    text = b'\xef\xbb\xbfname,x\n"a,""b""",1\n"",2\n"two\nlines",3\n\n\xff\xc3\xa4,nan\r\n'

    ((keys, rows),) = csv_table(tmp_path, text, CsvTable("name", "DT_STRING"))

    assert keys == [b'a,"b"', b"", b"two\nlines", b"\xff\xc3\xa4"]
    assert str(rows["x"].tolist()) == "[1.0, 2.0, 3.0, nan]"


def test_a_long_file_comes_in_blocks(tmp_path: Path) -> None:
    """So that it may be larger than memory."""
    lines = "".join(f"{n},{n}\n" for n in range(70_000))

    blocks = csv_table(tmp_path, "user,x\n" + lines, CsvTable("user", "DT_INT64"))

    assert len(blocks) == 3
    assert np.concatenate([keys for keys, _ in blocks]).tolist() == list(range(70_000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "users.csv is empty; expected a line of column names first"),
        ("user,age\n", "users.csv has no line after the names of its columns"),
        ("name,age\n1,1\n", "line 1: no column is named 'user'; there are 'name', 'age'"),
        ("user,age,age\n1,1,1\n", "line 1: two columns are named 'age'"),
        ("user,x\n1,1\n", "a dtype is given for 'age'; the columns are 'user', 'x'"),
        ("user,age\n1,1\n2\n", "line 3: 1 columns; the first line names 2"),
        ("user,age\n1,1\n\n2,3,4\n", "line 4: 3 columns; the first line names 2"),
        ("user,age\n1,1\nx,2\n", "line 3, column 'user': 'x' is no whole number"),
        ("user,age\n1,1\n1.0,2\n", "line 3, column 'user': '1.0' is no whole number"),
        (f"user,age\n{2**63},1\n", f"line 2, column 'user': '{2**63}' is out of the range of int64"),
        ("user,age\n1,128\n", "line 2, column 'age': '128' is out of the range of int8"),
        ("user,age,x\n1,1,\n", "line 2, column 'x': '' is no number"),
        ("user,age,x\n1,1,1\n2,2,1e39\n", "line 3, column 'x': '1e39' is too large for float32"),
        (
            "user,age,v[0],v[2]\n1,1,1,1\n",
            "output 'v' are 'v[0]', 'v[2]'; expected 'v' alone, or v[0], v[1] … without",
        ),
        ("user,age,v,v[0]\n1,1,1,1\n", "output 'v' are 'v', 'v[0]'; expected 'v' alone"),
        ('user,age\n1,"1\n2,2\n', "line 3: unexpected end of data"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """The file, the line, the column, what stands there."""
    with pytest.raises(TableFileError) as caught:
        csv_table(tmp_path, text)

    assert (
        str(tmp_path / "users.csv") in str(caught.value)
        or "a dtype is given" in message
        or "output" in message
    )
    assert message in str(caught.value)


def test_an_infinity_that_stands_there_is_taken(tmp_path: Path) -> None:
    """Only one that comes of rounding is refused."""
    ((_, rows),) = csv_table(tmp_path, "user,x\n1,-inf\n", CsvTable("user", "DT_INT64"))

    assert rows["x"].tolist() == [float("-inf")]


def test_an_npz_file_has_keys_and_outputs(tmp_path: Path) -> None:
    """All arrays but the keys are outputs."""
    np.savez(tmp_path / "t.npz", user=np.array([1, 2]), vector=np.eye(2))

    keys, rows = table_files.npz_table(tmp_path / "t.npz", "user")

    assert keys.tolist() == [1, 2]
    assert {name: array.tolist() for name, array in rows.items()} == {"vector": [[1, 0], [0, 1]]}


def test_an_npz_file_that_is_none_is_told(tmp_path: Path) -> None:
    """Also one with a pickle in it, which could run code."""
    path = tmp_path / "t.npz"
    path.write_bytes(b"PK\x03\x04 but no more")
    with pytest.raises(TableFileError, match=r"t\.npz cannot be read as arrays"):
        table_files.npz_table(path, "keys")
    path.write_bytes(b"text")
    with pytest.raises(TableFileError, match=r"t\.npz cannot be read as arrays"):
        table_files.npz_table(path, "keys")
    with path.open("wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(TableFileError, match="holds a single array; expected named ones"):
        table_files.npz_table(path, "keys")
    np.savez(path, keys=np.array([object()]), allow_pickle=True)
    with pytest.raises(TableFileError, match=r"t\.npz cannot be read as arrays"):
        table_files.npz_table(path, "keys")
    np.savez(path, ids=np.arange(3))
    with pytest.raises(TableFileError, match="has no array 'keys' for the keys; it has 'ids'"):
        table_files.npz_table(path, "keys")
    with pytest.raises(TableFileError, match="has no array 'strings' for the strings; it has 'ids'"):
        list(table_files.strings(path, "strings"))


def test_strings_are_lines_columns_or_arrays(tmp_path: Path) -> None:
    """A last line needs no line feed; an empty line is an empty string."""
    (tmp_path / "words.txt").write_bytes(b"the\r\n\nof\r\xff\nand")
    (tmp_path / "words.csv").write_text("n,word\n1,the\n2,\n")
    np.savez(tmp_path / "words.npz", word=np.array(["the", "of"]))

    def read(name: str) -> list[Any]:
        return [list(block) for block in table_files.strings(tmp_path / name, "word")]

    assert read("words.txt") == [[b"the", b"", b"of\r\xff", b"and"]]
    assert read("words.csv") == [[b"the", b""]]
    assert read("words.npz") == [["the", "of"]]


def test_a_lone_array_is_not_taken_for_a_list(tmp_path: Path) -> None:
    """Its bytes are no lines."""
    np.save(tmp_path / "words.npy", np.array(["the"]))

    with pytest.raises(TableFileError, match=r"an array without a name; write it by numpy\.savez, as 'word'"):
        list(table_files.strings(tmp_path / "words.npy", "word"))


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    """It is more likely a mistake than a vocabulary."""
    (tmp_path / "words.txt").touch()

    with pytest.raises(TableFileError, match=r"words\.txt is empty; expected a string on each line"):
        list(table_files.strings(tmp_path / "words.txt", "word"))


def test_a_row_is_found_again_in_its_file(tmp_path: Path) -> None:
    """By what an editor shows."""
    (tmp_path / "t.csv").write_text('a,b\n1,2\n\n"3\n",4\n5,6\n')

    assert [table_files.row_place(tmp_path / "t.csv", row) for row in range(3)] == [
        "line 2",
        "line 5",
        "line 6",
    ]
    assert table_files.row_place(tmp_path / "t.txt", 6) == "line 7"
    assert table_files.row_place(tmp_path / "t.npz", 6) == "element 6"
