"""What keys are spread by: 64-bit hashes of whole blocks of keys, the same in every process.

Strings get FarmHash's Fingerprint64, by which TensorFlow spreads strings over buckets
(`tf.strings.to_hash_bucket_fast`, `tf.lookup.StaticVocabularyTable`), so that ids of strings outside a vocabulary are
those that a model was trained with. Source: Geoff Pike, FarmHash, `farmhashna::Hash64`; tested against TensorFlow.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lifecycle.string_columns import Integers, StringColumns, Words

_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_SEED = 81
_BLOCK_BYTES = 64
_BLOCK = struct.Struct("<8Q")
_LONGEST_TOGETHER = 1024
"""Bytes. A string is hashed block after block; so few are longer that arrays of them would cost more than numbers."""
_ALL = (1 << 64) - 1

_Word = Any
"""An array of words, or one word as a Python number, which has to be kept to its 64 bits."""
_State = tuple[_Word, _Word, _Word, _Word, _Word, _Word, _Word]


def of_integers(keys: Integers) -> Words:
    """Hash int64 keys: different keys have different hashes. Source: Sebastiano Vigna's SplitMix64, its finaliser."""
    mixed: _Word = keys.view(np.uint64)
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB
    hashes: Words = mixed ^ (mixed >> 31)
    return hashes


def of_strings(strings: StringColumns) -> Words:
    """Fingerprint64 of each string."""
    lengths = strings.lengths
    hashes = np.empty(len(strings), np.uint64)
    shortest, longest = (int(lengths.min()), int(lengths.max())) if len(strings) else (0, -1)
    above = -1
    for most, hash_rows in _BY_LENGTH:
        if shortest <= most and longest > above:
            rows = np.flatnonzero((lengths > above) & (lengths <= most))
            hashes[rows] = hash_rows(strings, rows) if len(rows) else 0
        above = most
    if longest > above:
        for row in np.flatnonzero(lengths > above):
            hashes[row] = _alone(strings.string(int(row)))
    return hashes


def _up_to_3(strings: StringColumns, rows: Integers) -> _Word:
    starts, lengths = strings.starts[rows], strings.lengths[rows]
    first, middle, last = (
        strings.unaligned(starts + at) & 0xFF for at in (0, lengths >> 1, np.maximum(lengths - 1, 0))
    )
    y = first + (middle << 8)
    z = _unsigned(lengths) + (last << 2)
    hashes = _shifted(y * _K2 ^ z * _K0) * _K2
    hashes[lengths == 0] = _K2
    return hashes


def _up_to_7(strings: StringColumns, rows: Integers) -> _Word:
    starts, lengths = strings.starts[rows], strings.lengths[rows]
    first = strings.unaligned(starts) & 0xFFFFFFFF
    last = strings.unaligned(starts + lengths - 4) & 0xFFFFFFFF
    return _joined(_unsigned(lengths) + (first << 3), last, _factor(lengths))


def _up_to_16(strings: StringColumns, rows: Integers) -> _Word:
    starts, lengths = strings.starts[rows], strings.lengths[rows]
    factor = _factor(lengths)
    a = strings.unaligned(starts) + _K2
    b = strings.unaligned(starts + lengths - 8)
    c = _rotated(b, 37) * factor + a
    d = (_rotated(a, 25) + b) * factor
    return _joined(c, d, factor)


def _up_to_32(strings: StringColumns, rows: Integers) -> _Word:
    starts, lengths = strings.starts[rows], strings.lengths[rows]
    ends, factor = starts + lengths, _factor(lengths)
    a = strings.unaligned(starts) * _K1
    b = strings.unaligned(starts + 8)
    c = strings.unaligned(ends - 8) * factor
    d = strings.unaligned(ends - 16) * _K2
    u = _rotated(a + b, 43) + _rotated(c, 30) + d
    return _joined(u, a + _rotated(b + _K2, 18) + c, factor)


def _up_to_64(strings: StringColumns, rows: Integers) -> _Word:
    starts, lengths = strings.starts[rows], strings.lengths[rows]
    ends, factor = starts + lengths, _factor(lengths)
    a = strings.unaligned(starts) * _K2
    b = strings.unaligned(starts + 8)
    c = strings.unaligned(ends - 8) * factor
    d = strings.unaligned(ends - 16) * _K2
    y = _rotated(a + b, 43) + _rotated(c, 30) + d
    z = _joined(y, a + _rotated(b + _K2, 18) + c, factor)
    e = strings.unaligned(starts + 16) * factor
    f = strings.unaligned(starts + 24)
    g = (y + strings.unaligned(ends - 32)) * factor
    h = (z + strings.unaligned(ends - 24)) * factor
    u = _rotated(e + f, 43) + _rotated(g, 30) + h
    return _joined(u, e + _rotated(f + a, 18) + g, factor)


def _together(strings: StringColumns, rows: Integers) -> _Word:
    """Longer strings block by block; those with fewer blocks leave earlier."""
    starts, lengths = strings.starts[rows], strings.lengths[rows]
    blocks = (lengths - 1) // _BLOCK_BYTES

    def block(places: Integers) -> list[Words]:
        return [strings.unaligned(places + 8 * n) for n in range(8)]

    state = [np.full(len(rows), word, np.uint64) for word in _first_state(0)]
    state[0] += strings.unaligned(starts)
    for step in range(int(blocks.max())):
        going = np.flatnonzero(blocks > step)
        x, y, z, v0, v1, w0, w1 = (each[going] for each in state)
        stirred = _stirred((x, y, z, v0, v1, w0, w1), block(starts[going] + step * _BLOCK_BYTES))
        for each, words in zip(state, stirred, strict=True):
            each[going] = words
    x, y, z, v0, v1, w0, w1 = state
    return _finished(
        (x, y, z, v0, v1, w0, w1),
        block(starts + lengths - _BLOCK_BYTES),
        _unsigned((lengths - 1) & (_BLOCK_BYTES - 1)),
    )


def _alone(string: bytes) -> int:
    """The same for one string, in Python's numbers."""
    state = _first_state(_BLOCK.unpack_from(string)[0])
    whole = (len(string) - 1) // _BLOCK_BYTES * _BLOCK_BYTES
    for words in _BLOCK.iter_unpack(memoryview(string)[:whole]):
        state = _stirred(state, words)
    last = _BLOCK.unpack_from(string, len(string) - _BLOCK_BYTES)
    return int(_finished(state, last, (len(string) - 1) & (_BLOCK_BYTES - 1)))


def _first_state(first_word: int) -> _State:
    """x, y, z and both words of v and w, before the first block."""
    y = (_SEED * _K1 + 113) & _ALL
    z = (_shifted((y * _K2 + 113) & _ALL) * _K2) & _ALL
    return (_SEED * _K2 + first_word) & _ALL, y, z, 0, 0, 0, 0


def _stirred(state: _State, s: Sequence[_Word]) -> _State:
    """The state after one more block of eight words."""
    x, y, z, v0, v1, w0, w1 = state
    x = _rotated(x + y + v0 + s[1], 37) * _K1
    y = _rotated(y + v1 + s[6], 42) * _K1
    x = (x ^ w1) & _ALL
    y = (y + v0 + s[5]) & _ALL
    z = (_rotated(z + w0, 33) * _K1) & _ALL
    v0, v1 = _weak(s[0:4], v1 * _K1, x + w0)
    w0, w1 = _weak(s[4:8], z + w1, y + s[2])
    return z, y, x, v0, v1, w0, w1


def _finished(state: _State, s: Sequence[_Word], left: _Word) -> _Word:
    """The hash, out of the last 64 bytes, of which one more than *left* had not been stirred in."""
    x, y, z, v0, v1, w0, w1 = state
    factor = _K1 + ((z & 0xFF) << 1)
    w0 = w0 + left
    v0 = v0 + w0
    w0 = w0 + v0
    x = _rotated(x + y + v0 + s[1], 37) * factor
    y = _rotated(y + v1 + s[6], 42) * factor
    x = x ^ (w1 * 9)
    y = y + v0 * 9 + s[5]
    z = _rotated(z + w0, 33) * factor
    v0, v1 = _weak(s[0:4], v1 * factor, x + w0)
    w0, w1 = _weak(s[4:8], z + w1, y + s[2])
    u = _joined(v0, w0, factor) + _shifted(y & _ALL) * _K0 + x
    return _joined(u, _joined(v1, w1, factor) + z, factor)


def _weak(s: Sequence[_Word], a: _Word, b: _Word) -> tuple[_Word, _Word]:
    """Four words into two."""
    a = a + s[0]
    b = _rotated(b + a + s[3], 21)
    c = a
    a = a + s[1] + s[2]
    return (a + s[3]) & _ALL, (b + _rotated(a, 44) + c) & _ALL


def _joined(u: _Word, v: _Word, factor: _Word) -> _Word:
    """Two words into one."""
    a = _shifted(((u ^ v) * factor) & _ALL)
    b = _shifted(((v ^ a) * factor) & _ALL)
    return (b * factor) & _ALL


def _factor(lengths: Integers) -> _Word:
    return (_unsigned(lengths) << 1) + _K2


def _unsigned(numbers: Integers) -> Words:
    return numbers.astype(np.uint64)


def _shifted(word: _Word) -> _Word:
    return word ^ (word >> 47)


def _rotated(word: _Word, bits: int) -> _Word:
    word = word & _ALL
    return ((word >> bits) | (word << (64 - bits))) & _ALL


_BY_LENGTH: Sequence[tuple[int, Callable[[StringColumns, Integers], _Word]]] = (
    (3, _up_to_3),
    (7, _up_to_7),
    (16, _up_to_16),
    (32, _up_to_32),
    (64, _up_to_64),
    (_LONGEST_TOGETHER, _together),
)
"""Which way strings of so many bytes are hashed, and no more."""
