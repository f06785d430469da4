"""Loads a vocabulary: strings to ids and back, mapped into memory (`vocabulary_format` has the format)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lifecycle import errors, fingerprints, key_index, model_files, string_columns, vocabulary_format
from lifecycle.key_index import HASHING, Hashing, StringIndex
from lifecycle.resources import NOTHING, ResourceAllocation
from lifecycle.signature import Signature
from lifecycle.string_columns import Integers, StringColumns
from lifecycle.vocabulary_format import (
    FILE_NAME,
    IDS,
    IDS_FILE,
    STARTS_FILE,
    STRINGS,
    STRINGS_TO_IDS,
    VocabularyFormat,
)

Array = npt.NDArray[Any]


class VocabularyServable:
    """The servable of a vocabulary; thread-safe, because nothing is written.

    Args:
        vocabulary: what its JSON file says.
        index: finds strings.
        ids: the id of each string, by its position in the index.
        starts: where each string begins among the stored ones, by its id.
    """

    def __init__(
        self, vocabulary: VocabularyFormat, index: StringIndex, ids: Integers, starts: Integers
    ) -> None:
        self._signatures = vocabulary.signatures
        self._options = vocabulary.options
        self._count = vocabulary.strings.count
        self._index = index
        self._ids = ids
        self._starts = starts

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Each way to call it, by name."""
        return self._signatures

    def run(self, signature: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Mapping[str, Array]:  # noqa: ARG002 - each signature has one output
        """Strings to ids, or ids to strings.

        Raises:
            InvalidInput: a string is no bytes.
            ExecutionFailed: the files of the vocabulary contradict each other.
            OutOfMemory: memory ran out.
        """
        try:
            if signature == STRINGS_TO_IDS:
                return {IDS: self._to_ids(StringColumns.of(inputs[STRINGS].tolist()))}
            return {STRINGS: self._to_strings(inputs[IDS])}
        except IndexError as error:
            raise errors.ExecutionFailed(
                f"the vocabulary's files contradict each other ({error}); the version has to be made anew"
            ) from error
        except MemoryError as error:
            raise errors.OutOfMemory(f"signature {signature!r} ran out of memory") from error

    def _to_ids(self, strings: StringColumns) -> Integers:
        positions = self._index.find_strings(strings)
        ids = np.full(len(strings), self._options.default_id, np.int64)
        known = np.flatnonzero(positions < self._count)
        ids[known] = self._ids.take(positions[known])
        if self._options.oov_buckets and len(known) < len(ids):
            unknown = np.flatnonzero(positions == self._count)
            hashes = fingerprints.of_strings(strings.of_rows(unknown))
            ids[unknown] = (hashes % self._options.oov_buckets).astype(np.int64) + self._count
        return ids

    def _to_strings(self, ids: Integers) -> Array:
        known = np.flatnonzero((ids >= 0) & (ids < self._count))
        strings = np.full(len(ids), self._options.default_string, object)
        found = self._index.stored.strings(self._starts.take(ids[known]))
        strings[known] = string_columns.tensor_of(found)
        return strings


class VocabularyLoader:
    """A loader of vocabularies. Cheap to construct; maps its files in `load`.

    `hashing` is that by which the vocabulary was made.
    """

    def __init__(self, directory: Path, hashing: Hashing = HASHING) -> None:
        self._directory = directory
        self._hashing = hashing
        self._servable: VocabularyServable | None = None

    @property
    def servable(self) -> VocabularyServable:
        """The loaded vocabulary. Requires: loaded and not yet unloaded."""
        if self._servable is None:
            raise RuntimeError("this vocabulary is not loaded")
        return self._servable

    def estimate_resources(self) -> ResourceAllocation:
        """Nothing: its files are mapped, and the kernel takes their pages back when memory is short."""
        return NOTHING

    def load(self) -> None:
        """Check sizes and headers and map the files, in milliseconds whatever the size; on a load thread.

        Raises:
            LoadFailed: files are missing, unreadable or cut short: may pass.
            InvalidModel: the files contradict the format; the message names the place.
        """
        vocabulary = vocabulary_format.read_format(self._directory)
        index = key_index.open_string_index(self._directory, vocabulary.strings, FILE_NAME, self._hashing)
        shape = (vocabulary.strings.count,)
        ids = model_files.map_array(self._directory, IDS_FILE, FILE_NAME, np.int64, shape)
        starts = model_files.map_array(self._directory, STARTS_FILE, FILE_NAME, np.int64, shape)
        self._servable = VocabularyServable(vocabulary, index, ids, starts)

    def unload(self) -> None:
        """Let go of the files; on an unload thread."""
        self._servable = None
