"""How much a record may claim. Each bound is checked before anything is allocated for what it bounds."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Bounds on one record; past one of them it is refused with `LimitExceeded`, naming the bound.

    Attributes:
        record_bytes: the whole value. Above what a broker takes by default (1 MiB), below what a client
            fetches at once.
        tensors: tensors of one record.
        dims: dimensions of one tensor; numpy knows no more than 64.
        output_names: outputs that a request names.
        parameters: entries of `parameters`.
        parameter_bytes: one value of `parameters`.
        string_bytes: one name, id, message or path.
        items: entries of any other array or map, and so strings of one DT_STRING tensor.
        record_items: entries of all arrays and maps of a record together: what bounds the time to look
            through it.
        depth: nesting of a recursive record; ours are not, a newer schema's may be.
    """

    record_bytes: int = 64 * MIB
    tensors: int = 256
    dims: int = 64
    output_names: int = 256
    parameters: int = 64
    parameter_bytes: int = 64 * KIB
    string_bytes: int = 64 * KIB
    items: int = 65_536
    record_items: int = 131_072
    depth: int = 16


DEFAULT_LIMITS = WireLimits()
