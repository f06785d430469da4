"""A poll's values to request columns: by layout where one is known, else one by one, learning layouts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas import alike_lengths
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import InvalidRequest, TooManyRows, WireError
from schemas.layout import learn
from schemas.layout_cache import LayoutCache
from schemas.layout_matcher import LayoutMatcher
from schemas.predict_request import PredictRequest
from schemas.request_columns import RequestColumns
from schemas.wire_limits import DEFAULT_LIMITS, WireLimits

GROWTH = 4
"""After so many records decoded one by one, one more is decoded before the rest is compared anew.

Each comparison looks at all records that are left; with geometric steps there are few, whatever arrives.
"""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A value that is no request that could be run.

    Attributes:
        index: which of the decoded values.
        error: why. An `InvalidRequest` can be answered, a `DecodeError` is for the dead-letter topic.
        request_id: the id to answer with; None where the value could not be decoded.
        model: the model that was asked for, likewise.
    """

    index: int
    error: WireError
    request_id: bytes | None
    model: str | None


@dataclass(slots=True)
class _Decoded:
    """What one call has decoded so far."""

    blocks: list[RequestColumns] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    one_by_one: int = 0


class RequestDecoder:
    """Decodes polls. The thread that polls owns it; it keeps layouts from one poll to the next.

    Args:
        catalog: the schemas; None for those that come with this release.
        limits: what a record may claim.
        max_layouts: so many layouts are kept.
        many_alike: so many records of one length are compared all at once, whatever their layouts.
    """

    def __init__(
        self,
        catalog: Catalog | None = None,
        limits: WireLimits = DEFAULT_LIMITS,
        max_layouts: int = 4096,
        many_alike: int = alike_lengths.MANY,
    ) -> None:
        self._codec = Codec(catalog, limits)
        self._limits = limits
        self._layouts = LayoutCache(max_layouts)
        self._matcher = LayoutMatcher(self._layouts, many_alike)

    def decode(
        self,
        values: Sequence[bytes | None],
        lengths: Sequence[int] | None = None,
        *,
        one_length: bool = False,
    ) -> tuple[list[RequestColumns], list[Rejected]]:
        """Sort values into blocks; each value is in exactly one block, or rejected.

        Blocks come in the order of their first request, requests within a block in the order of the values.
        What a value is taken for does not depend on its neighbours: the general decoder would say the same.

        Args:
            values: as the client gives them; None for a record without a value. Blocks refer to
                this sequence: it must not change afterwards.
            lengths: of the values, where the caller has them and none is missing.
            one_length: whether the caller has found them all equal.
        """
        decoded = _Decoded()
        if lengths is None and None not in values:
            lengths = [len(value) for value in values if value is not None]
            one_length = len(set(lengths)) == 1
        longest = None
        if lengths is not None:
            longest = lengths[0] if one_length else max(lengths, default=0)
        plain, pending = self._comparable(values, longest, decoded)
        held: dict[int, RequestColumns] = {}
        while pending:
            matches, pending = self._matcher.match(plain, pending, lengths, one_length=one_length)
            decoded.blocks += map(RequestColumns.of_match, matches)
            if held:
                # Learnt from, and forgotten before it was compared: the cache is smaller than one step.
                decoded.blocks += [held[p] for p in pending if p in held]
                pending = [p for p in pending if p not in held]
            step = 1 + decoded.one_by_one // GROWTH
            held = self._one_by_one(plain, pending[:step], decoded)
            decoded.one_by_one += step
            pending = [*sorted(held), *pending[step:]]
        decoded.blocks.sort(key=_first_index)
        decoded.rejected.sort(key=_index)
        return decoded.blocks, decoded.rejected

    def _comparable(
        self, values: Sequence[bytes | None], longest: int | None, decoded: _Decoded
    ) -> tuple[Sequence[bytes], Sequence[int]]:
        """The values and the positions of those that can be compared; none, or too large, is rejected.

        *longest* is the length of the longest value; None where one is missing.
        """
        if longest is not None and longest <= self._limits.record_bytes:
            return values, range(len(values))  # type: ignore[return-value]  # none is None, or it had no length
        positions = []
        for index, value in enumerate(values):
            if value is None or len(value) > self._limits.record_bytes:
                self._decode_one(value, index, decoded)
            else:
                positions.append(index)
        return [value or b"" for value in values], positions

    def _one_by_one(
        self, values: Sequence[bytes], positions: Sequence[int], decoded: _Decoded
    ) -> dict[int, RequestColumns]:
        """Decode the values at these positions; those that taught a layout are given back."""
        held: dict[int, RequestColumns] = {}
        for index in positions:
            learnt = self._decode_one(values[index], index, decoded)
            if learnt is not None:
                held[index] = learnt
        return held

    def _decode_one(self, value: bytes | None, index: int, decoded: _Decoded) -> RequestColumns | None:
        try:
            request, marks = self._codec.decode_marked(value, PredictRequest)
            self._check_rows(request)
        except InvalidRequest as error:
            request_id = None if error.request_id is None else error.request_id.encode()
            decoded.rejected.append(Rejected(index, error, request_id, error.model))
            return None
        except WireError as error:
            decoded.rejected.append(Rejected(index, error, None, None))
            return None
        columns = RequestColumns.of_one(request, index)
        layout = learn(value or b"", request, marks, self._limits.string_bytes)
        if layout is None:
            decoded.blocks.append(columns)
            return None
        self._layouts.add(layout)
        return columns

    def _check_rows(self, request: PredictRequest) -> None:
        most = self._limits.rows
        for tensor in request.inputs:
            if tensor.shape and tensor.shape[0] > most:
                message = f"input '{tensor.name}' has {tensor.shape[0]} rows, at most {most} (limit 'rows')"
                raise TooManyRows(message).of_request(request.id, request.model)


def _first_index(columns: RequestColumns) -> int:
    return columns.indices[0]


def _index(rejected: Rejected) -> int:
    return rejected.index
