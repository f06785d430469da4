"""The parts of the documentation that are generated from the code: `python -m tests.docs.parts` writes them.

Each lies in its page between `<!-- NAME:start -->` and `<!-- NAME:end -->`. The pages about settings and metrics are
generated whole, by `worker.settings_docs` and `worker.metrics_docs`.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from pydantic.fields import FieldInfo

from schemas.catalog import Catalog
from schemas.errors import Code
from tests.docs import wire_example
from tests.docs.pages import ROOT
from worker.access_rights import Role, needs_of
from worker.kafka.rights import Resource
from worker.metrics_list import METRICS
from worker.settings import Settings, group_of
from worker.settings_kafka import Binding
from worker.settings_serving import DeliverySettings

README, WIRE, SECURITY = ROOT / "README.md", ROOT / "docs" / "wire.md", ROOT / "docs" / "security.md"
PURPOSES = {
    "PredictRequest": "the value of a record on a request topic",
    "PredictReply": "the value of a record on a reply topic",
    "Tensor": "inside of requests and replies",
    "Status": "inside of replies",
    "ModelConfig": "control topic, key: model name",
    "ServableStatus": "status topic, key: worker/model/version",
    "WorkerStatus": "status topic, key: worker",
}


def settings_table() -> str:
    """Every setting, its default, and what it is in a sentence."""
    return _table(("setting", "default", "what it is"), _settings_rows())


def metrics_table() -> str:
    """Every metric, and what it counts."""
    rows = ((f"`{metric.name}`", metric.kind.value, metric.meaning) for metric in METRICS)
    return _table(("metric", "type", "what it tells"), rows)


def schemas_table() -> str:
    """Every schema file and its fingerprint, as a number and as it stands at the beginning of a value."""
    rows = []
    for record, purpose in PURPOSES.items():
        fingerprint = Catalog.published().current(record).fingerprint
        head = b"\xc3\x01" + fingerprint.to_bytes(8, "little")
        rows.append(
            (
                f"[`{record}`](../schemas/avsc/{record}.avsc)",
                purpose,
                f"`{fingerprint:016x}`",
                f"`{head.hex(' ')}`",
            )
        )
    return _table(("schema", "where", "fingerprint", "first ten bytes"), rows)


def codes_table() -> str:
    """The codes that replies can have."""
    return _table(
        ("code", "name", "when"),
        ((str(int(code)), f"`{code.name}`", when) for code, when in _CODES.items()),
    )


def rights_table() -> str:
    """Which rights each role needs, where everything has its default name."""
    settings = Settings(delivery=DeliverySettings(mode="exactly_once"))
    rows: dict[tuple[str, str, str], list[str]] = {}
    for role in Role:
        on_each: dict[str, tuple[list[str], list[str]]] = {}
        for need in needs_of(role, settings):
            right = need.right
            names = f"`{right.name}`" + (" and all that begins with it" if right.prefixed else "")
            operations, purposes = on_each.setdefault(f"{_RESOURCES[right.resource]} {names}", ([], []))
            operations.append(right.operation)
            purposes.append(need.purpose)
        for resource, (operations, purposes) in on_each.items():
            rows.setdefault((_ROLES[role], ", ".join(operations), "; ".join(purposes)), []).append(resource)
    return _table(
        ("who", "on what", "rights", "for"),
        ((who, ", ".join(resources), rights, what) for (who, rights, what), resources in rows.items()),
    )


def request_bytes() -> str:
    """The example's request, annotated."""
    fingerprint = Catalog.published().current("PredictRequest").fingerprint
    return _fenced(wire_example.annotated(wire_example.request_pieces(fingerprint)))


def reply_bytes() -> str:
    """The example's reply, annotated."""
    fingerprint = Catalog.published().current("PredictReply").fingerprint
    return _fenced(wire_example.annotated(wire_example.reply_pieces(fingerprint)))


_ROLES = {
    Role.WORKER: "`worker`: workers",
    Role.CLIENT: "`client`: programs that ask, `headrace request`",
    Role.OPERATOR: "`operator`: `headrace models`, `headrace status`, `headrace dead-letters`",
    Role.CREATOR: "`creator`: `headrace topics create`",
}
_RESOURCES = {
    Resource.TOPIC: "topic",
    Resource.GROUP: "group",
    Resource.TRANSACTIONAL_ID: "where delivery is exactly once, transactional id",
}

PARTS: Mapping[tuple[Path, str], Callable[[], str]] = {
    (README, "settings"): settings_table,
    (README, "metrics"): metrics_table,
    (README, "request-bytes"): request_bytes,
    (WIRE, "schemas"): schemas_table,
    (WIRE, "codes"): codes_table,
    (WIRE, "reply-bytes"): reply_bytes,
    (SECURITY, "rights"): rights_table,
}

_CODES = {
    Code.INVALID_ARGUMENT: "the request contradicts itself or the model's signature; the message says what "
    "was expected",
    Code.DEADLINE_EXCEEDED: "the time in `headrace-timeout-ms` was over before a model could take the request",
    Code.NOT_FOUND: "the model or the version is not on the control topic, or not served by this request topic; or "
    "there is no data at the place that a [claim](#claims) names",
    Code.PERMISSION_DENIED: "the worker may not read the place that a claim names",
    Code.RESOURCE_EXHAUSTED: "the request has more rows, claims more, or its reply has more bytes, than are taken",
    Code.FAILED_PRECONDITION: "the worker takes no claims, or has no library for the store that a claim names",
    Code.INTERNAL: "the model failed while it ran; the worker's log has the details",
    Code.UNAVAILABLE: "the model is on the control topic, and no version of it can answer now; or the store of claimed "
    "data does not answer",
}


def between(text: str, name: str) -> str:
    """What stands between a part's markers.

    Raises:
        LookupError: a marker is missing.
    """
    start, end = _bounds(text, name)
    return text[start:end]


def with_part(text: str, name: str, content: str) -> str:
    """The page with a part's content replaced.

    Raises:
        LookupError: a marker is missing.
    """
    start, end = _bounds(text, name)
    return f"{text[:start]}{content}\n{text[end:]}"


def _bounds(text: str, name: str) -> tuple[int, int]:
    first, last = f"<!-- {name}:start -->\n", f"<!-- {name}:end -->"
    start, end = text.find(first), text.find(last)
    if start < 0 or end < 0:
        raise LookupError(f"no part {name!r}; it is marked by {first.strip()} and {last}")
    return start + len(first), end


def _settings_rows() -> Iterator[tuple[str, str, str]]:
    for name, field in Settings.model_fields.items():
        group = group_of(field)
        if name == "bindings":
            for inner, inner_field in Binding.model_fields.items():
                yield f"`bindings` `{inner}`", _default(inner_field), _sentence(inner_field)
        elif group is not None:
            for inner, inner_field in group.model_fields.items():
                yield f"`{name}.{inner}`", _default(inner_field), _sentence(inner_field)
        else:
            yield (
                f"`{name}`",
                "host, process, random" if name == "worker_id" else _default(field),
                _sentence(field),
            )


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    return "none" if value is None else f"`{json.dumps(value)}`"


def _sentence(field: FieldInfo) -> str:
    text = " ".join((field.description or "").split()).replace("|", "\\|")
    first, end, _ = text.partition(". ")
    return first + "." if end else text


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _fenced(text: str) -> str:
    return f"```text\n{text}\n```"


def main() -> None:
    """Write every part into its page."""
    for (page, name), content in PARTS.items():
        text = page.read_text(encoding="utf-8")
        page.write_text(with_part(text, name, content()), encoding="utf-8")
        sys.stdout.write(f"wrote {name} in {page.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
