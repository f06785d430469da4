"""Kafka's default partitioner, for the fake broker (org.apache.kafka.common.utils.Utils.murmur2, 32 bits)."""

_MIX = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The hash as an unsigned number."""
    value = (0x9747B28C ^ len(data)) & _MASK
    whole = len(data) - len(data) % 4
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _MIX & _MASK
        word = (word ^ word >> 24) * _MIX & _MASK
        value = (value * _MIX & _MASK) ^ word
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * _MIX & _MASK
    value = (value ^ value >> 13) * _MIX & _MASK
    return value ^ value >> 15


def partition_for(key: bytes, partitions: int) -> int:
    """Where Java's producer puts a record with this key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
