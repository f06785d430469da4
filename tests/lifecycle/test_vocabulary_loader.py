"""Vocabularies: strings to ids and back, as TensorFlow's tables do it."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import errors, vocabulary_writer
from lifecycle.key_index import HASHING, Hashing
from lifecycle.signature import Signature, TensorSpec
from lifecycle.string_columns import tensor_of
from lifecycle.vocabulary_format import VocabularyOptions
from lifecycle.vocabulary_loader import VocabularyLoader, VocabularyServable
from tests.kit.hashings import HASHINGS

Array = npt.NDArray[Any]
Change = Callable[[dict[str, Any]], object]

STRINGS = st.binary(max_size=30) | st.binary(max_size=2) | st.sampled_from([b"", b"\0", b"a\0", b"a"])


def loaded(directory: Path, hashing: Hashing = HASHING) -> VocabularyServable:
    """The servable of a vocabulary."""
    loader = VocabularyLoader(directory, hashing)
    loader.load()
    return loader.servable


def vocabulary(base_path: Path, strings: Any = (b"the", b"of", b"and"), **options: Any) -> VocabularyServable:
    """A new vocabulary, loaded."""
    vocabulary_writer.write(base_path / "1", strings, VocabularyOptions(**options))
    return loaded(base_path / "1")


def ids(servable: VocabularyServable, *strings: bytes) -> list[int]:
    """The ids of strings."""
    found: list[int] = servable.run("serving_default", {"strings": tensor_of(strings)}, ())["ids"].tolist()
    return found


def strings(servable: VocabularyServable, *asked: int) -> list[bytes]:
    """The strings of ids."""
    answer = servable.run("ids_to_strings", {"ids": np.array(asked, np.int64)}, ["strings"])["strings"]
    found: list[bytes] = answer.tolist()
    return found


@pytest.mark.parametrize("hashing", HASHINGS.values(), ids=list(HASHINGS))
@given(st.lists(STRINGS, unique=True, max_size=40), st.lists(STRINGS, max_size=20))
def test_it_is_a_list_and_a_dict(hashing: Hashing, known: list[bytes], others: list[bytes]) -> None:
    """Ids are places in the list, whatever the hashes."""
    places = {string: place for place, string in enumerate(known)}
    asked = [-1, *range(len(known) + 2), -(2**63), 2**63 - 1]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary_writer.write(Path(folder) / "1", tensor_of(known), hashing=hashing)
        servable = loaded(Path(folder) / "1", hashing)
        found, back = ids(servable, *known, *others), strings(servable, *asked)

    assert found == [places.get(string, -1) for string in known + others]
    assert back == [b"UNK", *known, b"UNK", b"UNK", b"UNK", b"UNK"]


@pytest.mark.tensorflow
@pytest.mark.parametrize("buckets", [1, 3, 1000])
def test_strings_outside_it_share_the_ids_that_tensorflow_gives_them(tmp_path: Path, buckets: int) -> None:
    """A model that was trained with a StaticVocabularyTable finds its ids again."""
    import tensorflow as tf

    known = ["emerson", "lake", "palmer", ""]
    asked = [*known, "king", "crimson", "k\0", "ä" * 40, *(f"user {n}" * (n % 30) + "!" for n in range(300))]
    table = tf.lookup.StaticVocabularyTable(
        tf.lookup.KeyValueTensorInitializer(known, tf.range(len(known), dtype=tf.int64)), buckets
    )

    servable = vocabulary(tmp_path, known, oov_buckets=buckets)

    encoded = [string.encode() for string in asked]
    assert ids(servable, *encoded) == table.lookup(tf.constant(encoded)).numpy().tolist()


def test_strings_outside_it_get_the_default_id_where_there_are_no_buckets(tmp_path: Path) -> None:
    """And ids outside it the default string."""
    servable = vocabulary(tmp_path, default_id=-7, default_string=b"\xff?")

    assert ids(servable, b"of", b"off", b"") == [1, -7, -7]
    assert strings(servable, 2, 3, -1) == [b"and", b"\xff?", b"\xff?"]


def test_ids_of_buckets_have_the_default_string(tmp_path: Path) -> None:
    """Nobody knows which string it was."""
    servable = vocabulary(tmp_path, oov_buckets=5)
    (outside,) = ids(servable, b"off")

    assert 3 <= outside < 8
    assert strings(servable, outside) == [b"UNK"]


def test_the_signatures_are_two(tmp_path: Path) -> None:
    """Each way has one input and one output, and is batchable."""
    texts = TensorSpec("strings", "DT_STRING", (None,))
    numbers = TensorSpec("ids", "DT_INT64", (None,))

    assert vocabulary(tmp_path).signatures == {
        "serving_default": Signature(
            "serving_default", "headrace/vocabulary", {"strings": texts}, {"ids": numbers}
        ),
        "ids_to_strings": Signature(
            "ids_to_strings", "headrace/vocabulary", {"ids": numbers}, {"strings": texts}
        ),
    }


def test_strings_of_any_kind_are_in_it(tmp_path: Path) -> None:
    """Long ones, empty ones, with zeros at the end, no UTF-8."""
    every = [b"x" * 1_000_000, b"", b"\0\0", b"\xff", b"12345678", b"12345678\0"]
    servable = vocabulary(tmp_path, every)

    assert ids(servable, *every, b"\0") == [0, 1, 2, 3, 4, 5, -1]
    assert strings(servable, 5, 4, 3, 2, 1, 0) == every[::-1]


@pytest.mark.parametrize("memory_bytes", [0, 3000, 10**9])
def test_blocks_make_the_same_files_as_a_list_does(tmp_path: Path, memory_bytes: int) -> None:
    """Whether they fit in memory or not."""
    words = [f"word {n}" * (n % 7) + str(n) for n in range(700)]
    vocabulary_writer.write(tmp_path / "1", words)

    vocabulary_writer.write_blocks(
        tmp_path / "2", (words[at : at + 99] for at in range(0, 700, 99)), memory_bytes=memory_bytes
    )

    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("strings_given", "options", "message"),
    [
        ([1, 2], VocabularyOptions(), "the strings of a vocabulary are DT_INT64; expected bytes or text"),
        (["a"], VocabularyOptions(oov_buckets=-1), "oov_buckets is -1; expected 0 or more"),
        (["a"], VocabularyOptions(default_id=2**63), "default_id is 9223372036854775808; expected an int64"),
        (["a"], VocabularyOptions(1, 0), "default_id is 0, but with 1 oov_buckets no string gets it"),
        (["a", "b", "a"], VocabularyOptions(), "key b'a' stands in rows 0 and 2"),
    ],
)
def test_what_contradicts_itself_is_refused(
    tmp_path: Path, strings_given: Any, options: VocabularyOptions, message: str
) -> None:
    """With what was expected; nothing is left behind."""
    with pytest.raises(errors.InvalidTable, match=message):
        vocabulary_writer.write(tmp_path / "1", strings_given, options)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda v: v.update(format=0),
            "vocabulary.json.format: expected 1, which this release reads, found 0",
        ),
        (
            lambda v: v["strings"].update(dtype="DT_INT64"),
            "vocabulary.json.strings: unknown 'longest', 'words'",
        ),
        (
            lambda v: v["strings"].update(words=2),
            "strings.words: expected a whole number, 3 or more, found 2",
        ),
        (lambda v: v["strings"].update(count=2), "vocabulary.json says uint64[2, 2]"),
        (lambda v: v.update(oov_buckets=2**63), "oov_buckets: expected a whole number, from 0 to"),
        (lambda v: v.update(default_id=2**63), "default_id: expected a whole number, from -"),
        (lambda v: v.update(default_string=5), "default_string: expected a string, found 5"),
        (lambda v: v.update(default_string="\ud800"), "default_string: expected a string"),
        (lambda v: v.update(more=1), "vocabulary.json: unknown 'more'"),
    ],
)
def test_a_wrong_file_is_refused_by_the_place(tmp_path: Path, change: Change, message: str) -> None:
    """Each error names the key, what was expected there and what was found; retrying is no use."""
    vocabulary(tmp_path)
    file = tmp_path / "1" / "vocabulary.json"
    described = json.loads(file.read_text())
    change(described)
    file.write_text(json.dumps(described))

    with pytest.raises(errors.InvalidModel) as caught:
        VocabularyLoader(tmp_path / "1").load()

    assert message in str(caught.value)


def test_a_table_of_integers_is_no_vocabulary(tmp_path: Path) -> None:
    """Its index has other files."""
    vocabulary(tmp_path)
    file = tmp_path / "1" / "vocabulary.json"
    described = json.loads(file.read_text())
    described["strings"] = {"dtype": "DT_INT64", "count": 3, "bucket_bits": 2}
    file.write_text(json.dumps(described))

    with pytest.raises(errors.InvalidModel, match=r"strings\.dtype: expected DT_STRING, found 'DT_INT64'"):
        VocabularyLoader(tmp_path / "1").load()


def test_each_file_is_missed_and_may_still_come(tmp_path: Path) -> None:
    """One that is missing or cut short is told by its name and may be retried."""
    vocabulary(tmp_path)
    for path in (tmp_path / "1").iterdir():
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(errors.LoadFailed, match=f"{path.name} cannot be read: No such file"):
            loaded(tmp_path / "1")
        path.write_bytes(whole[:-2])
        with pytest.raises(errors.LoadFailed, match=f"{path.name} is cut short"):
            loaded(tmp_path / "1")
        path.write_bytes(whole)
    loaded(tmp_path / "1")
    with pytest.raises(errors.LoadFailed, match="does not exist; expected a vocabulary there"):
        loaded(tmp_path / "2")


@pytest.mark.parametrize("change", [1, 1000])
def test_what_contradicts_itself_inside_fails_the_calls_that_meet_it(tmp_path: Path, change: int) -> None:
    """It is found when it is read, because loading does not read everything; other calls go on."""
    vocabulary(tmp_path)
    starts = np.load(tmp_path / "1" / "starts.npy")
    np.save(tmp_path / "1" / "starts.npy", starts + change)
    servable = loaded(tmp_path / "1")

    with pytest.raises(errors.ExecutionFailed, match="files contradict each other"):
        strings(servable, 0, 1, 2)
    assert ids(servable, b"the", b"of", b"and") == [0, 1, 2]


def test_text_instead_of_bytes_is_the_requesters_fault(tmp_path: Path) -> None:
    """Only who calls from Python can do that."""
    with pytest.raises(errors.InvalidInput, match="is to be given as bytes"):
        ids(vocabulary(tmp_path), "the")  # type: ignore[arg-type]


def test_unload_forgets_the_vocabulary(tmp_path: Path) -> None:
    """After it there is no servable."""
    vocabulary(tmp_path)
    loader = VocabularyLoader(tmp_path / "1")
    loader.load()

    loader.unload()

    with pytest.raises(RuntimeError, match="is not loaded"):
        _ = loader.servable
