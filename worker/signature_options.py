"""Batching options for single signatures of a model: a parameter of its control record, in JSON.

`{"embed": {"max_batch_rows": 16, "padding_policy": "batch_down"}}`: of each signature that is named what differs from
the rest of its model.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.model_config import SIGNATURES, BatchingOptions
from worker import batching_parameters, batching_rules
from worker.batching_parameters import Parameters

MOST_SIGNATURES, MOST_BYTES = 100, 16_384
"""Of one config: a record holds those of its ten predecessors, too."""
_LONGEST_NAME = 128


class BatchingFields(BaseModel):
    """The batching options that a record has fields for, in a file."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    max_batch_rows: int | None = None
    batch_timeout_seconds: float | None = None
    allowed_batch_rows: list[int] | None = None
    max_enqueued_batches: int | None = None

    def batching(self) -> BatchingOptions | None:
        """As a record has them; None where none is said."""
        sizes = self.allowed_batch_rows
        options = BatchingOptions(
            self.max_batch_rows,
            self.batch_timeout_seconds,
            None if sizes is None else tuple(sizes),
            self.max_enqueued_batches,
        )
        return None if options == BatchingOptions() else options


class SignatureOptions(BatchingFields):
    """What one signature has otherwise than its model."""

    priority: int | None = None
    filling: str | None = None
    ageing_seconds: float | None = None
    padding_policy: str | None = None
    max_request_rows: int | None = None
    p99_ms: float | None = None
    ragged: str | None = None
    ragged_pad_values: list[str] | None = None

    def parameters(self) -> Parameters:
        """Those that a record says in its parameters."""
        return batching_parameters.encoded(self.model_dump())


def text(options: Mapping[str, SignatureOptions]) -> str:
    """As the record has it: the same for the same options."""
    said = {name: each.model_dump(exclude_none=True) for name, each in sorted(options.items())}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def of(parameters: Parameters) -> Mapping[str, SignatureOptions]:
    """What a record says, by signature; empty where it says nothing.

    Raises:
        ValueError: it is not valid; the message says what is wrong, and where.
    """
    said = parameters.get(SIGNATURES)
    if said is None:
        return {}
    if len(said) > MOST_BYTES:
        raise ValueError(f"signatures has {len(said):,} bytes; at most {MOST_BYTES:,} are allowed")
    try:
        tables = json.loads(said)
    except (ValueError, RecursionError):
        raise ValueError("signatures is no JSON; expected an object of options by signature") from None
    if not isinstance(tables, dict) or len(tables) > MOST_SIGNATURES:
        raise ValueError(f"signatures: expected an object with at most {MOST_SIGNATURES} signatures")
    return {_name(name): _options(name, table) for name, table in tables.items()}


def names(parameters: Parameters) -> set[str]:
    """The signatures that a record names; none where it is not valid."""
    try:
        return set(of(parameters))
    except ValueError:
        return set()


def padded_inputs(parameters: Parameters) -> set[str]:
    """The inputs that a record has pad values for, whatever the signature; none where it is not valid."""
    try:
        each = (parameters, *(options.parameters() for options in of(parameters).values()))
        values = [batching_parameters.RAGGED_PAD_VALUES.value(said) for said in each]
    except ValueError:
        return set()
    return {text.split("=", 1)[0] for said in values for text in said or ()}


def problems(parameters: Parameters) -> Iterator[str]:
    """What is wrong with it, in words."""
    try:
        found = of(parameters)
    except ValueError as error:
        yield str(error)
        return
    for name, options in found.items():
        for problem in (
            *batching_rules.problems(options.batching()),
            *batching_parameters.problems(options.parameters()),
        ):
            yield f"signature {name!r}: {problem}"


def document(parameters: Parameters) -> dict[str, Any] | None:
    """For programs, as a file of models has it; of what another program wrote and means nothing, nothing."""
    try:
        found = of(parameters)
    except ValueError:
        return None
    return {name: each.model_dump(exclude_none=True) for name, each in found.items()} or None


def _name(name: str) -> str:
    if not name or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"signatures names {name[:32]!r}; expected the name of a signature, of at most {_LONGEST_NAME} characters"
        )
    return name


def _options(name: str, table: object) -> SignatureOptions:
    try:
        return SignatureOptions.model_validate(table)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'options'}: {each['msg']}" for each in error.errors()
        )
        raise ValueError(f"signature {name!r}: {wrong}") from None
