"""A look through a record by its schema, before a decoder is let at it.

A decoder believes what a record claims: it allocates for a count, recurses for a depth, and takes an
overlong varint or trailing bytes without a word. The walk allocates nothing, visits each byte once, and is
bounded by `WireLimits`; what it lets pass decodes. Each type of the writer's schema becomes a closure once,
so that a walk costs calls and no look-ups.

On its way the walk marks where the data of each tensor lies and where a request's id begins;
`schemas.layout` learns from these marks.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from schemas import scalar_walkers
from schemas.block_walker import Entries, blocks
from schemas.errors import LimitExceeded, Truncated
from schemas.marks import Marks, Walker
from schemas.wire_limits import WireLimits

FIXED_SIZES = {"null": 0, "boolean": 1, "float": 4, "double": 8}
TENSOR_DATA = "Tensor.data"
REQUEST_ID = "PredictRequest.id"
PARAMETERS = ".parameters"
LIMITS_BY_FIELD = {"Tensor.shape": "dims", "PredictRequest.outputs": "output_names"}


def walk(walker: Walker, value: bytes, start: int, limits: WireLimits) -> tuple[int, Marks]:
    """Look through one record from `start` on; the position behind it, and the marks.

    Raises:
        Truncated: the value ends inside the record.
        InvalidStructure: it is not as Avro defines it.
        LimitExceeded: it claims more than the limits allow.
    """
    marks = Marks(limits)
    try:
        return walker(value, start, marks), marks
    except IndexError:
        raise Truncated(f"the value ends inside the record, after {len(value)} bytes") from None


class WalkCompiler:
    """Makes the closures of one schema, as fastavro parses it, under one set of limits."""

    def __init__(self, limits: WireLimits) -> None:
        self._limits = limits
        self._named: dict[str, Walker] = {}
        self._smallest = dict(FIXED_SIZES)
        self._by_kind: Mapping[str, Callable[[Mapping[str, Any], str], Walker]] = {
            "record": self._record,
            "enum": self._enumeration,
            "fixed": self._fixed,
            "array": self._array,
            "map": self._map,
        }

    def compile(self, schema: Any, where: str = "") -> Walker:
        """The walker of a schema. `where` is the field that messages name."""
        if isinstance(schema, str):
            return self._named[schema] if schema in self._named else self._primitive(schema, where)
        if isinstance(schema, Sequence):
            return scalar_walkers.union([self.compile(branch, where) for branch in schema], where)
        make = self._by_kind.get(schema["type"])
        return self.compile(schema["type"], where) if make is None else make(schema, where)

    def _primitive(self, kind: str, where: str) -> Walker:
        if kind == "string":
            make = scalar_walkers.request_id if where == REQUEST_ID else scalar_walkers.text
            return make(where, self._limits.string_bytes)
        if kind == "bytes":
            return self._bytes(where)
        if kind in {"int", "long"}:
            return scalar_walkers.integer(where, bounded=kind == "int")
        return (
            scalar_walkers.boolean(where)
            if kind == "boolean"
            else scalar_walkers.fixed(FIXED_SIZES[kind], where)
        )

    def _bytes(self, where: str) -> Walker:
        if where == TENSOR_DATA:
            return scalar_walkers.tensor_data(where)
        limit = "parameter_bytes" if where.endswith(PARAMETERS) else "record_bytes"
        return scalar_walkers.plain_bytes(where, getattr(self._limits, limit), limit)

    def _enumeration(self, schema: Mapping[str, Any], where: str) -> Walker:
        walker = self._named[schema["name"]] = scalar_walkers.enumeration(len(schema["symbols"]), where)
        return walker

    def _fixed(self, schema: Mapping[str, Any], where: str) -> Walker:
        self._smallest[schema["name"]] = schema["size"]
        walker = self._named[schema["name"]] = scalar_walkers.fixed(schema["size"], where)
        return walker

    def _record(self, schema: Mapping[str, Any], _: str) -> Walker:
        name: str = schema["name"]
        short = name.rpartition(".")[2]
        fields: list[Walker] = []

        def record(buffer: bytes, position: int, marks: Marks) -> int:
            for field in fields:
                position = field(buffer, position, marks)
            return position

        # Until the fields are known, a reference to the record is one from inside it.
        self._named[name] = self._inner(name, record)
        self._smallest[name] = 0
        fields += [self.compile(f["type"], f"{short}.{f['name']}") for f in schema["fields"]]
        self._smallest[name] = sum(self._size(f["type"]) for f in schema["fields"])
        self._named[name] = record
        return record

    def _inner(self, name: str, record: Walker) -> Walker:
        most = self._limits.depth

        def inner(buffer: bytes, position: int, marks: Marks) -> int:
            if not marks.depth_left:
                raise LimitExceeded(f"{name} is nested deeper than {most} (limit 'depth')")
            marks.depth_left -= 1
            position = record(buffer, position, marks)
            marks.depth_left += 1
            return position

        return inner

    def _array(self, schema: Mapping[str, Any], where: str) -> Walker:
        items = schema["items"]
        return blocks(self.compile(items, where), self._entries(where, items, self._size(items)))

    def _map(self, schema: Mapping[str, Any], where: str) -> Walker:
        key, value = self._primitive("string", where), self.compile(schema["values"], where)

        def entry(buffer: bytes, position: int, marks: Marks) -> int:
            return value(buffer, key(buffer, position, marks), marks)

        return blocks(entry, self._entries(where, None, 1 + self._size(schema["values"])))

    def _size(self, schema: Any) -> int:
        """The fewest bytes that a datum of the schema takes."""
        if isinstance(schema, str):
            return self._smallest.get(schema, 1)
        if isinstance(schema, Sequence):
            return 1 + min(map(self._size, schema))
        return self._smallest.get(schema.get("name", schema["type"]), 1)

    def _entries(self, where: str, items: Any, smallest: int) -> Entries:
        """How many entries an array or map may have, and the limit's name."""
        named = items.get("name", "") if isinstance(items, Mapping) else items
        if isinstance(named, str) and named.endswith(".Tensor"):
            limit = "tensors"
        elif where.endswith(PARAMETERS):
            limit = "parameters"
        else:
            limit = LIMITS_BY_FIELD.get(where, "items")
        return Entries(where, smallest, limit, getattr(self._limits, limit), self._limits.record_items)
