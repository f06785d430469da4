"""Shows settings to people and programs: each value with its origin, or as a TOML file to start from.

Secrets are masked here, so whatever prints settings takes them from here.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from worker.settings_loading import DEFAULT, Loaded, Origin
from worker.settings_secrets import MASK, mask


@dataclass(frozen=True)
class Shown:
    """One setting as it may be shown."""

    name: str
    value: Any
    """A plain value, fit for JSON; a secret is masked."""
    origin: Origin


def shown(loaded: Loaded) -> list[Shown]:
    """Every setting in the order of the documentation; client properties and bindings in their parts."""
    return [Shown(name, value, loaded.origin(name.partition("[")[0])) for name, value in _flat(plain(loaded))]


def plain(loaded: Loaded) -> dict[str, Any]:
    """The settings as a tree of plain values, secrets masked."""
    tree: dict[str, Any] = loaded.settings.model_dump(mode="json")
    for name in ("properties", "consumer_properties", "producer_properties"):
        tree["kafka"][name] = {key: mask(key, value) for key, value in tree["kafka"][name].items()}
    return tree


def as_toml(loaded: Loaded) -> str:
    """The settings as a file that gives them again, without secrets and a worker's own random name."""
    tree = plain(loaded)
    own_name = loaded.origin("worker_id").kind != DEFAULT
    lines = [f"worker_id = {json.dumps(tree['worker_id'])}"] if own_name else []
    for group, values in tree.items():
        if isinstance(values, Mapping):
            lines += _table(group, values)
    for binding in tree["bindings"]:
        lines += ["", "[[bindings]]", *_entries(binding)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", f"[{name}]", *_entries({k: v for k, v in values.items() if not isinstance(v, Mapping)}))
    for inner, table in values.items():
        if isinstance(table, Mapping) and table:
            yield from ("", f"[{name}.{inner}]")
            for key, value in table.items():
                quoted = json.dumps(key)
                yield f"# {quoted} is secret" if MASK in str(value) else f"{quoted} = {_toml(value)}"


def _entries(values: Mapping[str, Any]) -> Iterator[str]:
    return (f"{key} = {_toml(value)}" for key, value in values.items() if value is not None)


def _toml(value: Any) -> str:
    # JSON's texts, numbers, truth values and lists are TOML's too, but for the character DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        elif key == "bindings":
            for number, binding in enumerate(value):
                yield from _flat(binding, f"bindings[{number}].")
        else:
            yield prefix + key, value
