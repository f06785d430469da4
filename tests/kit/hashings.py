"""Ways to spread keys that collide, beside the real one."""

import dataclasses

import numpy as np

from lifecycle import fingerprints
from lifecycle.key_index import HASHING, Hashing

ONE_BUCKET = Hashing(
    lambda keys: np.zeros(len(keys), np.uint64), lambda strings: np.zeros(len(strings), np.uint64)
)
"""Every key has the same hash."""

FEW_HASHES = Hashing(
    lambda keys: fingerprints.of_integers(keys) & np.uint64(3 << 62),
    lambda strings: fingerprints.of_strings(strings) & np.uint64(3 << 62),
)
"""Four hashes for all keys."""

ONE_HASH_A_LENGTH = dataclasses.replace(
    HASHING, of_strings=lambda strings: strings.lengths.astype(np.uint64) << np.uint64(60)
)
"""Strings of one length collide."""

HASHINGS = {
    "real": HASHING,
    "one bucket": ONE_BUCKET,
    "few hashes": FEW_HASHES,
    "one hash a length": ONE_HASH_A_LENGTH,
}
