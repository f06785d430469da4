"""What makes requests alike: those of one kind can be stacked and run in one batch."""

import math
from dataclasses import dataclass, field

from schemas.dtype import DType
from schemas.predict_request import PredictRequest


@dataclass(frozen=True, slots=True)
class TensorLayout:
    """One input of a kind.

    Attributes:
        name: the input's name.
        dtype: its dtype.
        inner_shape: the shape of one row (without dimension 0); the whole shape where the kind is not
            batchable.
        row_bytes: bytes of one row (of the whole input where the kind is not batchable); 0 for strings, of any
            length each.
    """

    name: str
    dtype: DType
    inner_shape: tuple[int, ...]
    row_bytes: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "row_bytes", math.prod(self.inner_shape) * self.dtype.itemsize)


@dataclass(frozen=True, slots=True)
class RequestKind:
    """Everything that requests of one batch have in common. Hashable, the hash computed once.

    Attributes:
        model: the model asked for.
        version: the version asked for, None for none.
        label: the label asked for, None for none.
        signature: the signature to run.
        outputs: the outputs wanted; empty for all.
        inputs: the inputs in the order of the request.
        batchable: whether dimension 0 of all inputs is the same number of rows. A request with a scalar,
            with inputs of different lengths or with none at all is a block of one and runs as it was sent.
        row_bytes: bytes of one row, all inputs together; strings count nothing.
    """

    model: str
    version: int | None
    label: str | None
    signature: str
    outputs: tuple[str, ...]
    inputs: tuple[TensorLayout, ...]
    batchable: bool = True
    row_bytes: int = field(init=False, repr=False, compare=False, default=0)
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        facts = (
            self.model,
            self.version,
            self.label,
            self.signature,
            self.outputs,
            self.inputs,
            self.batchable,
        )
        object.__setattr__(self, "_hash", hash(facts))
        object.__setattr__(self, "row_bytes", sum(layout.row_bytes for layout in self.inputs))

    def __hash__(self) -> int:
        return self._hash

    @classmethod
    def of(cls, request: PredictRequest) -> tuple["RequestKind", int | None]:
        """A request's kind, and its rows: None when it is not batchable."""
        inputs = request.inputs
        batchable = bool(inputs) and all(t.shape and t.shape[0] == inputs[0].shape[0] for t in inputs)
        layouts = tuple(TensorLayout(t.name, t.dtype, t.shape[1:] if batchable else t.shape) for t in inputs)
        kind = cls(
            request.model,
            request.version,
            request.label,
            request.signature,
            request.outputs,
            layouts,
            batchable,
        )
        return kind, inputs[0].shape[0] if batchable else None
