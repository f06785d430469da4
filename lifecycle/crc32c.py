"""CRC-32C of bytes, fast enough for files of images without a library of its own.

The bytes are cut into pieces whose registers NumPy advances side by side; then the registers are joined two by two,
which is linear algebra over bits. Source: RFC 3720, appendix B.4, for the polynomial.
"""

import math

import numpy as np
import numpy.typing as npt

_POLYNOMIAL = np.uint32(0x82F63B78)
_ALL_ONES = 0xFFFFFFFF
_BITS = np.arange(32, dtype=np.uint32)
_MASK_DELTA = 0xA282EAD8

Registers = npt.NDArray[np.uint32]


def _table() -> Registers:
    registers = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        registers = np.where(registers & 1, (registers >> 1) ^ _POLYNOMIAL, registers >> 1)
    return registers


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """The checksum of *data*."""
    # The register's start value acts on the first four bytes as if it were part of them.
    head = int.from_bytes(data[:4].ljust(4, b"\0"), "little") ^ _ALL_ONES
    if len(data) < 4:
        register = np.array([head], np.uint32)
        for _ in data:
            register = _advanced(register, np.uint8(0))
        return int(register[0]) ^ _ALL_ONES
    width = math.isqrt(len(data)) + 1
    pieces = -(-len(data) // width)
    block = np.zeros(pieces * width, np.uint8)  # zeros in front change nothing as long as the register is 0
    start = len(block) - len(data)
    block[start:] = np.frombuffer(data, np.uint8)
    block[start : start + 4] = np.frombuffer(head.to_bytes(4, "little"), np.uint8)
    registers = np.zeros(pieces, np.uint32)
    for column in np.ascontiguousarray(block.reshape(pieces, width).T):
        registers = _advanced(registers, column)
    return int(_joined(registers, _zeros_matrix(width))) ^ _ALL_ONES


def masked(data: bytes) -> int:
    """The checksum as files of TFRecords hold it, so that a checksum of checksums is none itself."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & _ALL_ONES


def _advanced(registers: Registers, values: npt.NDArray[np.uint8] | np.uint8) -> Registers:
    """The registers after one more byte each."""
    advanced: Registers = _TABLE[(registers ^ values) & 0xFF] ^ (registers >> np.uint32(8))
    return advanced


def _joined(registers: Registers, matrix: Registers) -> np.uint32:
    """The register of all pieces in a row; *matrix* advances one over a piece of zeros."""
    while len(registers) > 1:
        if len(registers) % 2:
            registers = np.concatenate([np.zeros(1, np.uint32), registers])
        registers = _applied(matrix, registers[0::2]) ^ registers[1::2]
        matrix = _applied(matrix, matrix)
    first: np.uint32 = registers[0]
    return first


def _applied(matrix: Registers, registers: Registers) -> Registers:
    """Each register multiplied by a matrix of bits, whose columns are the registers of single bits."""
    bits = (registers[:, None] >> _BITS) & np.uint32(1)
    product: Registers = np.bitwise_xor.reduce(bits * matrix, axis=1)
    return product


def _zeros_matrix(size: int) -> Registers:
    """What so many bytes of zeros do to a register."""
    power = _advanced(np.uint32(1) << _BITS, np.uint8(0))
    matrix = np.uint32(1) << _BITS
    while size:
        if size & 1:
            matrix = _applied(power, matrix)
        power = _applied(power, power)
        size >>= 1
    return matrix
