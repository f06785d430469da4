"""The format of a vocabulary: a directory with vocabulary.json, an index of its strings, and two .npy files.

::

    {
      "format": 1,
      "strings": {"dtype": "DT_STRING", "count": 30000, "bucket_bits": 15, "words": 75000, "longest": 18},
      "oov_buckets": 0,
      "default_id": -1,
      "default_string": "UNK"
    }

`key_index` has the files of the strings. `ids.npy` has the id of each by position (int64), `starts.npy` by id where it
begins in `key_words.npy` (int64). The ids are 0, 1, 2 … in the order in which the strings were given; those from the
number of strings on are those of `oov_buckets`. `default_string` is UTF-8; bytes that are none are written as Python's
`surrogateescape` does it. `vocabulary_writer` makes such a directory.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from lifecycle import model_files
from lifecycle.json_section import JsonSection
from lifecycle.key_index import KeyIndexOptions
from lifecycle.signature import Signature, TensorSpec

FILE_NAME = "vocabulary.json"
FORMAT = 1
METHOD_NAME = "headrace/vocabulary"
STRINGS_TO_IDS, IDS_TO_STRINGS = "serving_default", "ids_to_strings"
STRINGS, IDS = "strings", "ids"
IDS_FILE, STARTS_FILE = "ids.npy", "starts.npy"
LEAST_ID, MOST_ID = -(2**63), 2**63 - 1


@dataclasses.dataclass(frozen=True, slots=True)
class VocabularyOptions:
    """What becomes of strings and ids that the vocabulary does not have.

    Attributes:
        oov_buckets: ids that strings outside the vocabulary share, by their hash; 0 gives all of them `default_id`.
        default_id: the id of a string outside the vocabulary, where there are no such buckets.
        default_string: the string of an id outside the vocabulary, those of the buckets included.
    """

    oov_buckets: int = 0
    default_id: int = -1
    default_string: bytes = b"UNK"


@dataclasses.dataclass(frozen=True, slots=True)
class VocabularyFormat:
    """A vocabulary as its JSON file describes it."""

    strings: KeyIndexOptions
    options: VocabularyOptions

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Both ways to call it."""
        strings = {STRINGS: TensorSpec(STRINGS, "DT_STRING", (None,))}
        ids = {IDS: TensorSpec(IDS, "DT_INT64", (None,))}
        return {
            STRINGS_TO_IDS: Signature(STRINGS_TO_IDS, METHOD_NAME, strings, ids),
            IDS_TO_STRINGS: Signature(IDS_TO_STRINGS, METHOD_NAME, ids, strings),
        }

    def document(self) -> dict[str, object]:
        """As `read_format` takes it."""
        return {
            "format": FORMAT,
            "strings": self.strings.document(),
            "oov_buckets": self.options.oov_buckets,
            "default_id": self.options.default_id,
            "default_string": self.options.default_string.decode("utf-8", "surrogateescape"),
        }


def read_format(directory: Path) -> VocabularyFormat:
    """Read a vocabulary's JSON file.

    Raises:
        LoadFailed: the directory or the file is missing, unreadable or cut short.
        InvalidModel: something there contradicts the format; the message names the place.
    """
    section = JsonSection(FILE_NAME, model_files.read_document(directory, FILE_NAME, "a vocabulary"))
    section.one_of("format", (FORMAT,))
    strings = section.section("strings")
    index = KeyIndexOptions.read(strings)
    strings.end()
    if index.dtype != "DT_STRING":
        raise strings.wrong("dtype", "DT_STRING", index.dtype)
    options = VocabularyOptions(
        section.whole("oov_buckets", 0, MOST_ID - index.count),
        section.whole("default_id", LEAST_ID, MOST_ID),
        section.string("default_string"),
    )
    section.end()
    return VocabularyFormat(index, options)
