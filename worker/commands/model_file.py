"""A file of models, as `headrace models apply` takes it: TOML or JSON, one table for each model.

A JSON list is also taken, as `headrace models list --output json` prints it; what only a record has (author, time,
history) is passed over there.
"""

import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.model_config import (
    EAGER,
    FROZEN,
    GOLDEN,
    LOADING,
    POLICY,
    SHADOW,
    SIGNATURES,
    SPLIT,
    WARMUP,
    ModelConfig,
)
from schemas.traffic_shadow import TrafficShadow
from schemas.traffic_split import TrafficSplit, target_of
from schemas.version_selection import LatestVersions, SpecificVersions, VersionSelection
from worker import batching_parameters, control_record, request_lines, signature_options
from worker.commands.failure import CommandFailedError
from worker.commands.version_texts import versions_of
from worker.control_record import InvalidControlRecord
from worker.exit_codes import ExitCode
from worker.signature_options import BatchingFields, SignatureOptions
from worker.store_uris import is_uri

STDIN = "-"

_OF_THE_RECORD = frozenset({"model", "offset", "problem", "revision", "author", "time", "history"})
_JSON = re.compile(r"\s*(\{|\[\s*[{\]])")
"""How JSON begins and TOML does not: a TOML table is `[name]`."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class _Shadow(_Part):
    to: str | int
    share: float
    topic: str | None = None


class _Model(_Part):
    base_path: str
    loader: str = "saved_model"
    versions: int | str | list[int] | None = None
    labels: dict[str, int] = Field(default_factory=dict)
    batching: BatchingFields | None = None
    signatures: dict[str, SignatureOptions] | None = None
    policy: str | None = None
    split: dict[str, float] | None = None
    shadow: _Shadow | None = None
    frozen: str | None = None
    warmup: str | None = None
    golden: str | list[dict[str, Any]] | None = None
    loading: str | None = None
    priority: int | None = None
    filling: str | None = None
    ageing_seconds: float | None = None
    padding_policy: str | None = None
    max_request_rows: int | None = None
    p99_ms: float | None = None
    ragged: str | None = None
    ragged_pad_values: list[str] | None = None
    devices: list[str] | None = None
    comment: str = ""


class _File(_Part):
    models: dict[str, dict[str, Any]]


def read_models(name: str, comment: str = "") -> Mapping[str, ModelConfig]:
    """The models of a file (`-`: of standard input), in its order; *comment* is for those that have none.

    A relative base path, or file of golden requests, is meant from the file's folder (from the working directory for
    standard input); a URI is not changed.

    Raises:
        CommandFailedError: it cannot be read, or something in it is wrong: each thing is named, on a line of its own.
        OSError: there is no such file, or it may not be read.
    """
    path = None if name == STDIN else Path(name)
    try:
        text = sys.stdin.read() if path is None else path.read_text()
        tables = _tables(text, path)
    except (ValueError, RecursionError) as error:  # also what UnicodeDecodeError and both decoders raise
        raise _wrong([f"{name}: {error}"]) from None
    folder = os.path.abspath("." if path is None else path.parent)  # noqa: PTH100 - links stay
    problems: list[str] = []
    configs: dict[str, ModelConfig] = {}
    for model, table in tables.items():
        wrong = list(_name_problems(model))
        try:
            configs[model] = _config(_Model.model_validate(table), folder, comment)
            control_record.check_config(configs[model])
        except ValidationError as error:
            wrong += [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        except (ValueError, InvalidControlRecord) as error:
            wrong.append(str(error))
        problems += [f"{name}: model {model!r}: {each}" for each in wrong]
    if problems:
        raise _wrong(problems)
    if not configs:
        raise _wrong([f"{name}: names no model; expected a table [models.NAME] with a base_path for each"])
    return configs


def _tables(text: str, path: Path | None) -> Mapping[str, dict[str, Any]]:
    suffix = "" if path is None else path.suffix.lower()
    if suffix == ".json" or (suffix != ".toml" and _JSON.match(text)):
        document = json.loads(text, object_pairs_hook=_without_twins)
    else:
        document = tomllib.loads(text)
    if isinstance(document, list):
        return _listed(document)
    try:
        return _File.model_validate(document).models
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError(f"expected a table [models.NAME] for each model; {wrong}") from None


def _listed(documents: list[Any]) -> Mapping[str, dict[str, Any]]:
    """What `models list` prints."""
    tables: dict[str, dict[str, Any]] = {}
    for number, document in enumerate(documents):
        if not isinstance(document, dict) or not isinstance(document.get("model"), str):
            problem = f"item {number} of the list is no model: it has no name in `model`"
            raise ValueError(problem)  # noqa: TRY004 - of the file, not of a caller
        name = document["model"]
        if name in tables:
            raise ValueError(f"model {name!r} is in the list twice")
        if document.get("problem") is not None:
            raise ValueError(
                f"the record of model {name!r} was not valid ({document['problem']}); take it out"
            )
        tables[name] = {field: value for field, value in document.items() if field not in _OF_THE_RECORD}
    return tables


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice")
    return result


def _name_problems(name: str) -> Iterator[str]:
    try:
        control_record.check_model_name(name)
    except InvalidControlRecord as error:
        yield str(error)


def _config(model: _Model, folder: str, comment: str) -> ModelConfig:
    split = None if model.split is None else str(TrafficSplit.of(model.split.items()))
    named = {
        POLICY: model.policy,
        FROZEN: model.frozen,
        SPLIT: split,
        SHADOW: None if model.shadow is None else _shadow(model.shadow),
        WARMUP: model.warmup,
        GOLDEN: _golden(model.golden, folder),
        LOADING: None if model.loading == EAGER else model.loading,
        SIGNATURES: signature_options.text(model.signatures) if model.signatures else None,
    }
    base_path = model.base_path
    if base_path and not is_uri(base_path):
        base_path = os.path.normpath(os.path.join(folder, base_path))  # noqa: PTH118
    return ModelConfig(
        base_path,
        model.loader,
        _selection(model.versions),
        model.labels,
        None if model.batching is None else model.batching.batching(),
        comment=model.comment or comment,
        parameters={name: text.encode() for name, text in named.items() if text is not None}
        | batching_parameters.encoded(model.model_dump()),
    )


def _shadow(given: _Shadow) -> str:
    try:
        return str(TrafficShadow(target_of(str(given.to)), given.share, given.topic))
    except ValueError as error:
        raise ValueError(f"shadow: {error}") from None


def _golden(given: str | list[dict[str, Any]] | None, folder: str) -> str | None:
    """The lines of golden requests that stand in the file of models, or in a file that it names."""
    if given is None:
        return None
    if isinstance(given, list):
        try:
            lines = [request_lines.line_of(each) for each in given]
        except TypeError as error:  # a date of TOML
            raise ValueError(f"golden: {error}") from None
        return request_lines.canonical(lines, "golden") or None
    try:
        text = Path(folder, given).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"golden: {given!r} cannot be read: {error}") from None
    found = request_lines.canonical(text.split("\n"), repr(given))
    if not found:
        raise ValueError(f"golden: {given!r} has no request")
    return found


def _selection(versions: int | str | list[int] | None) -> VersionSelection:
    match versions:
        case None:
            return LatestVersions()
        case int():
            return SpecificVersions((versions,))
        case str():
            return versions_of(versions)
        case _:
            return SpecificVersions(tuple(versions))


def _wrong(problems: list[str]) -> CommandFailedError:
    return CommandFailedError("\n".join(problems), ExitCode.USAGE)
