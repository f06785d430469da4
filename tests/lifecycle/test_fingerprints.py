"""Hashes of keys."""

import random

import numpy as np
import pytest

from lifecycle import fingerprints
from lifecycle.string_columns import StringColumns

LENGTHS = (*range(140), *range(1000, 1100), 4096, 4097, 100_000)


GOLDEN = [
    "9ae16a3b2f90404f",
    "b3454265b6df75e3",
    "1a5502de4a1f8101",
    "ad052244b781c4eb",
    "7241ce1f8ef74dc4",
    "3ff2e52ef910c925",
    "5b7616b854568a1f",
    "620aa2052bf44963",
]
"""What strings of each way of hashing have had since the first table."""


def strings() -> list[bytes]:
    """Of every length around which the way of hashing changes, some twice."""
    source = random.Random(1)
    return [source.randbytes(length) for length in LENGTHS for _ in range(1 + length % 2)]


@pytest.mark.tensorflow
@pytest.mark.parametrize("buckets", [1000, 2**31 - 1, 2**62 - 57, 2**63 - 1])
def test_strings_fall_into_tensorflows_buckets(buckets: int) -> None:
    """The hash is that of its tables and of `to_hash_bucket_fast`."""
    import tensorflow as tf

    given = strings()

    found = fingerprints.of_strings(StringColumns.of(given)) % buckets

    assert found.tolist() == tf.strings.to_hash_bucket_fast(given, buckets).numpy().tolist()


def test_a_string_has_its_hash_whatever_is_beside_it() -> None:
    """Blocks and their order do not matter."""
    given = strings()
    together = fingerprints.of_strings(StringColumns.of(given)).tolist()

    alone = [int(fingerprints.of_strings(StringColumns.of([each]))[0]) for each in given]
    ends = fingerprints.of_strings(StringColumns.of([given[0], given[-1]])).tolist()
    backwards = fingerprints.of_strings(StringColumns.of(given[::-1])).tolist()

    assert together == alone == backwards[::-1]
    assert ends == [together[0], together[-1]]


def test_hashes_stay_as_they_are_in_files() -> None:
    """A table that was made once is understood later."""
    given = [b"", b"a", b"abcd", b"0123456789", b"x" * 20, b"x" * 50, b"x" * 100, b"x" * 2000]

    found = fingerprints.of_strings(StringColumns.of(given)).tolist()

    assert [f"{each:016x}" for each in found] == GOLDEN


def test_integers_have_hashes_of_their_own() -> None:
    """No two share one, and the numbers around zero and at the ends are spread."""
    keys = np.concatenate([np.arange(-50_000, 50_000), np.arange(1000) << 40, [2**63 - 1, -(2**63)]])
    keys = np.unique(keys)

    hashes = fingerprints.of_integers(keys)

    assert len(np.unique(hashes)) == len(keys)
    assert np.bincount((hashes >> 60).astype(np.int64), minlength=16).min() > len(keys) / 16 * 0.9


def test_an_integers_hash_is_splitmix64() -> None:
    """The reference's own output: the generator's state is the key."""
    gamma, seed = 0x9E3779B97F4A7C15, 1234567
    states = [(seed + gamma * step) % 2**64 for step in (1, 2, 3)]

    found = fingerprints.of_integers(np.array(states, np.uint64).view(np.int64))

    assert found.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
