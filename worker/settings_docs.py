"""Writes `docs/settings.md` from the settings themselves: `python -m worker.settings_docs`."""

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from worker.settings import Settings, environment_name, group_of
from worker.settings_group import PATTERNS_IN_WORDS
from worker.settings_kafka import Binding

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

_INTRODUCTION = f"""# Settings

Generated from `worker/settings*.py` by `python -m worker.settings_docs`; change it there.

A value comes from the first of these that gives it:

1. a flag: one of its own (`headrace worker --help`), or `--set delivery.budget_rows=10000`
2. a variable: `{environment_name("delivery.budget_rows")}=10000` (two underscores between group
   and name; lists and tables as JSON)
3. a TOML file, named by `--config` or `HEADRACE_CONFIG`: `[delivery]`, `budget_rows = 10000`
4. the default

A name that is no setting is refused in each of them. `headrace config` shows what is in effect and where
each value came from; `headrace config --output toml` writes a file to start from. Secrets are masked
wherever settings are shown.

Any property of the Kafka client goes into `kafka.properties`, by its own name; [librdkafka's list][list] has
them all:

[list]: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md

```toml
[kafka.properties]
"security.protocol" = "SASL_SSL"
"sasl.mechanisms" = "SCRAM-SHA-512"
"sasl.username" = "headrace"
```

and its password into a variable of its own: `{environment_name("kafka.properties.sasl_password")}` (an
underscore for each dot). A file as Kafka's own tools take it works too: `--command-config FILE`.
"""


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, "## One worker\n\n" + _table({"worker_id": Settings.model_fields["worker_id"]})]
    for name, field in Settings.model_fields.items():
        group = group_of(field)
        if group is not None:
            fields = {f"{name}.{inner}": inner_field for inner, inner_field in group.model_fields.items()}
            parts.append(f"## {name}\n\n{inspect.getdoc(group)}\n\n{_table(fields)}")
        elif name == "bindings":
            parts.append(f"## bindings\n\n{_text(field)}\n\n{_table(dict(Binding.model_fields))}")
    return "\n".join(parts)


def _table(fields: dict[str, FieldInfo]) -> str:
    rows = ["| setting | values | default | meaning |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{name}` | {values(field)} | {_default(name, field)} | {_text(field)} |"
        for name, field in fields.items()
    ]
    return "\n".join(rows) + "\n"


def _text(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


def _default(name: str, field: FieldInfo) -> str:
    if name == "worker_id":
        return "*host*-*process*-*random*"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "none" if value is None else f"`{json.dumps(value)}`"


def values(field: FieldInfo) -> str:
    """What a setting can be, in words."""
    return ", ".join([_kind(field.annotation), *_bounds(field.annotation, field.metadata)])


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin is tuple:
        return "list"
    if origin is dict:
        return "table"
    if type(None) in arguments:
        return " or ".join(_kind(each) for each in arguments if each is not type(None))
    return {bool: "`true` or `false`", int: "whole number", float: "number", Path: "path"}.get(
        annotation, "text"
    )


def _bounds(annotation: Any, metadata: list[Any]) -> Iterator[str]:
    for argument in get_args(annotation) if get_origin(annotation) is not Literal else ():
        metadata = [*metadata, *getattr(argument, "__metadata__", ())]
    flat = [each for item in metadata for each in (item.metadata if isinstance(item, FieldInfo) else [item])]
    for each in flat:
        match each:
            case annotated_types.Ge(ge=bound):
                yield f"≥ {bound:,}"
            case annotated_types.Gt(gt=bound):
                yield f"> {bound:,}"
            case annotated_types.Le(le=bound):
                yield f"≤ {bound:,}"
            case annotated_types.MinLen(min_length=least):
                yield f"at least {least} long"
            case annotated_types.MaxLen(max_length=most):
                yield f"at most {most} long"
            case _ if (pattern := getattr(each, "pattern", None)) is not None:
                yield PATTERNS_IN_WORDS[pattern]
            case _:
                pass


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
