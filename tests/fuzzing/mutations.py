"""What a hostile or broken producer might send: records that look like known ones, up to some point."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from schemas.varint import read_long
from tests.fuzzing.pieces import NUMBERS, SYMBOLS, Piece, Pieces, joined
from tests.schemas.strategies import long

SMALL_LIES = (0, 1, -1, 2, 62, 63, 64, 65, 127, 128, 255, 256)
LARGE_LIES = (65_535, 65_536, 65_537, 2**31 - 1, 2**31, -(2**31), 2**32, 2**62, 2**63 - 1, -(2**63))
NO_NUMBERS = (
    b"\xff" * 9 + b"\x01",
    b"\xff" * 9 + b"\x02",
    b"\xff" * 9 + b"\x7f",
    b"\xff" * 10,
    b"\x80",
    b"\x80" * 9 + b"\0",
)
NO_TEXTS = (
    b"\xff",
    b"\x80",
    b"\xc3",
    b"\xa9",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe6\xbc",
    b"\xf0\x9f\x99",
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a mutation may use: a record, another one to take parts from, and chance."""

    rng: random.Random
    pieces: Pieces
    other: Pieces

    def places(self, *kinds: str) -> list[int]:
        """Where pieces of these kinds are."""
        return [at for at, piece in enumerate(self.pieces) if piece.kind in kinds]

    def with_piece(self, at: int, raw: bytes) -> bytes:
        """The value with one piece replaced."""
        return joined([*self.pieces[:at], Piece("", raw), *self.pieces[at + 1 :]])

    def boundary(self) -> int:
        """A byte position between two pieces, or right beside it."""
        ends = [0]
        for piece in self.pieces:
            ends.append(ends[-1] + len(piece.raw))
        return min(max(0, self.rng.choice(ends) + self.rng.choice((-1, 0, 0, 1))), ends[-1])


Mutation = Callable[[Subject], bytes]


def flip_a_bit(subject: Subject) -> bytes:
    """One bit, at a boundary or anywhere."""
    value = bytearray(joined(subject.pieces))
    at = subject.boundary() if subject.rng.random() < 0.7 else subject.rng.randrange(len(value))
    value[min(at, len(value) - 1)] ^= 1 << subject.rng.randrange(8)
    return bytes(value)


def cut(subject: Subject) -> bytes:
    """The record ends too early."""
    return joined(subject.pieces)[: subject.boundary()]


def add_to_the_end(subject: Subject) -> bytes:
    """More bytes behind the end."""
    more = (
        b"\0",
        b"\0\0",
        b"\1",
        b"\2a\0",
        subject.rng.randbytes(3),
        joined(subject.pieces[-3:]),
        joined(subject.other),
    )
    return joined(subject.pieces) + subject.rng.choice(more)


def insert(subject: Subject) -> bytes:
    """More bytes at a boundary."""
    value, at = joined(subject.pieces), subject.boundary()
    more = subject.rng.choice((b"\0", b"\x80", b"\x80\0", subject.rng.randbytes(2)))
    return value[:at] + more + value[at:]


def remove(subject: Subject) -> bytes:
    """A few bytes less at a boundary."""
    value, at = joined(subject.pieces), subject.boundary()
    return value[:at] + value[at + subject.rng.randint(1, 4) :]


def lie_about_a_number(subject: Subject) -> bytes:
    """A length, count, size, branch, dimension or dtype says something else."""
    at = subject.rng.choice(subject.places(*NUMBERS))
    return subject.with_piece(at, _lie(subject.rng, subject.pieces[at].raw))


def lie_about_the_id(subject: Subject) -> bytes:
    """The id's length says something else: one more, one less, negative, overlong."""
    (at,) = subject.places("id length")
    return subject.with_piece(at, _lie(subject.rng, subject.pieces[at].raw))


def spoil_the_id(subject: Subject) -> bytes:
    """An id of the right length that is no UTF-8, also where only its edge is wrong."""
    (at,) = subject.places("id")
    raw, wrong = subject.pieces[at].raw, subject.rng.choice(NO_TEXTS)
    if len(raw) < len(wrong):
        return joined(
            [*subject.pieces[: at - 1], Piece("", long(len(wrong)) + wrong), *subject.pieces[at + 1 :]]
        )
    place = subject.rng.choice((0, len(raw) - len(wrong), subject.rng.randint(0, len(raw) - len(wrong))))
    return subject.with_piece(at, raw[:place] + wrong + raw[place + len(wrong) :])


def spoil_a_text(subject: Subject) -> bytes:
    """A name that is no UTF-8, or is another one of the same length."""
    at = subject.rng.choice(subject.places("text"))
    raw = subject.pieces[at].raw
    if not raw:
        return lie_about_a_number(subject)
    place = subject.rng.randrange(len(raw))
    return subject.with_piece(at, raw[:place] + subject.rng.choice((b"\xff", b"q", b"\0")) + raw[place + 1 :])


def another_end(subject: Subject) -> bytes:
    """Behind the id something else than no parameters."""
    (at,) = subject.places("id")
    entry = long(1) + b"k" + long(2) + b"vv"
    sized = long(-1) + long(len(entry)) + entry
    ends = (b"", b"\1", b"\2", b"\x80\0", long(1) + entry + b"\0", sized + b"\0", b"\1\0\0", b"\0\0")
    return joined(subject.pieces[: at + 1]) + subject.rng.choice(ends)


def another_shape(subject: Subject) -> bytes:
    """Data of the right length under another shape: dimensions moved, or changed in place."""
    places = subject.places("dim")
    if not places:
        return lie_about_a_number(subject)
    pieces, (one, two) = list(subject.pieces), subject.rng.choices(places, k=2)
    if subject.rng.random() < 0.5:
        pieces[one], pieces[two] = pieces[two], pieces[one]
    else:
        number, _ = read_long(pieces[one].raw, 0)
        pieces[one] = Piece("dim", long(number + subject.rng.choice((-1, 1, 63, 64, 2**31, -number))))
    return joined(pieces)


def another_dtype(subject: Subject) -> bytes:
    """A tensor says another dtype, also one that there is not."""
    places = subject.places("dtype")
    if not places:
        return lie_about_a_number(subject)
    return subject.with_piece(subject.rng.choice(places), long(subject.rng.randint(-1, len(SYMBOLS) + 1)))


def other_data(subject: Subject) -> bytes:
    """Data of another length, which is said or not said."""
    places = subject.places("data", "string")
    if not places:
        return lie_about_a_number(subject)
    at = subject.rng.choice(places)
    raw = subject.pieces[at].raw
    changed = subject.rng.choice((raw + b"\0", raw[:-1], raw + raw, raw + bytes(4), b""))
    if subject.rng.random() < 0.5:
        return subject.with_piece(at, changed)
    return joined(
        [*subject.pieces[: at - 1], Piece("", long(len(changed)) + changed), *subject.pieces[at + 1 :]]
    )


def move_pieces(subject: Subject) -> bytes:
    """A piece is missing, there twice, or has changed places with another one."""
    pieces = list(subject.pieces)
    one, two = subject.rng.randrange(len(pieces)), subject.rng.randrange(len(pieces))
    match subject.rng.randrange(3):
        case 0:
            del pieces[one]
        case 1:
            pieces.insert(one, pieces[two])
        case _:
            pieces[one], pieces[two] = pieces[two], pieces[one]
    return joined(pieces)


def splice(subject: Subject) -> bytes:
    """The beginning of one record and the end of another, cut between pieces."""
    rng, one, two = subject.rng, subject.pieces, subject.other
    at = rng.randrange(len(one))
    kind = one[at].kind
    alike = [place for place, piece in enumerate(two) if piece.kind == kind]
    onward = rng.choice(alike) if alike and rng.random() < 0.8 else rng.randrange(len(two))
    return joined(one[:at]) + joined(two[onward:])


def another_header(subject: Subject) -> bytes:
    """The framing or the fingerprint is another one's, or its end is missing."""
    value = joined(subject.pieces)
    header = (
        b"",
        b"\xc3",
        b"\xc3\x01",
        b"\0\0\0\0\1",
        b'{"',
        value[:9],
        b"\xc3\x02" + value[2:10],
        subject.rng.randbytes(10),
    )
    return subject.rng.choice(header) + value[10:]


def havoc(subject: Subject) -> bytes:
    """A few bytes anywhere are something else."""
    value = bytearray(joined(subject.pieces))
    for _ in range(subject.rng.randint(1, 4)):
        value[subject.rng.randrange(len(value))] = subject.rng.randrange(256)
    return bytes(value)


MUTATIONS: tuple[Mutation, ...] = (
    flip_a_bit,
    cut,
    add_to_the_end,
    insert,
    remove,
    lie_about_a_number,
    lie_about_the_id,
    spoil_the_id,
    spoil_a_text,
    another_end,
    another_shape,
    another_dtype,
    other_data,
    move_pieces,
    splice,
    another_header,
    havoc,
)
SAME_LENGTH: tuple[Mutation, ...] = (flip_a_bit, spoil_the_id, spoil_a_text, another_dtype, havoc)
OF_ANY_RECORD: tuple[Mutation, ...] = (
    flip_a_bit,
    cut,
    add_to_the_end,
    insert,
    remove,
    lie_about_a_number,
    spoil_a_text,
    move_pieces,
    splice,
    another_header,
    havoc,
)
"""Those that need nothing that requests alone have."""


def mutated(rng: random.Random, pieces: Pieces, other: Pieces, *, same_length: bool) -> bytes:
    """The value of one record, damaged in one way; in one that mostly leaves its length, when asked for."""
    return rng.choice(SAME_LENGTH if same_length else MUTATIONS)(Subject(rng, pieces, other))


def mutated_record(rng: random.Random, pieces: Pieces, other: Pieces) -> bytes:
    """The value of one record of any kind, damaged in one way."""
    return rng.choice(OF_ANY_RECORD)(Subject(rng, pieces, other))


def _lie(rng: random.Random, raw: bytes) -> bytes:
    """Another number, or none, where a number was."""
    number, _ = read_long(raw, 0)
    match rng.randrange(5):
        case 0:
            return long(max(-(2**63), min(number + rng.choice((-2, -1, 1, 2, 63, 64)), 2**63 - 1)))
        case 1:
            return long(-number)
        case 2:
            return long(number, padding=rng.choice((1, 2, 8, 9, 10)))
        case 3:
            return rng.choice(NO_NUMBERS)
        case _:
            return long(rng.choice((*SMALL_LIES, *LARGE_LIES)))
