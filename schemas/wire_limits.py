"""How much a record may claim. Each bound is checked before anything is allocated for what it bounds."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
NUMPY_DIMS = 64


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Bounds on one record; past one of them it is refused with `LimitExceeded`, naming the bound.

    Attributes:
        record_bytes: the whole value. Above what a broker takes by default (1 MiB), below what a client
            fetches at once.
        tensors: tensors of one record.
        rows: dimension 0 of each input of a request. Rows may have no bytes at all, and still cost a model's memory.
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
    rows: int = 65_536
    dims: int = NUMPY_DIMS
    output_names: int = 256
    parameters: int = 64
    parameter_bytes: int = 64 * KIB
    string_bytes: int = 64 * KIB
    items: int = 65_536
    record_items: int = 131_072
    depth: int = 16

    def __post_init__(self) -> None:
        if self.dims > NUMPY_DIMS:
            raise ValueError(f"dims is {self.dims}; numpy knows no more than {NUMPY_DIMS} dimensions")


DEFAULT_LIMITS = WireLimits()
