"""What one record of the control topic says, and whether it may be believed.

The key is a model's name, the value its complete desired state, or nothing: then the model is to go. A record
that breaks one of the rules here changes nothing that serves: it is an `InvalidControlRecord`, never a
removal. Commands check with the same functions before they write.
"""

import posixpath
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from schemas import codec
from schemas.errors import WireError
from schemas.model_config import LOADING_MODES, WARMUP_MODES, ModelConfig
from schemas.version_selection import (
    HIGHEST_VERSION,
    AllVersions,
    LatestVersions,
    SpecificVersions,
    VersionSelection,
)
from worker import (
    batching_parameters,
    batching_rules,
    model_devices,
    request_files,
    request_lines,
    signature_options,
    traffic_rules,
)
from worker.batching_rules import shown
from worker.operator_rules import OperatorRules
from worker.request_lines import InvalidLine
from worker.store_uris import is_uri, normal_place

LONGEST_NAME = 128
"""Characters of a model's name or a label; a name is part of status keys, log lines and metric labels."""

MOST_BYTES = 1_048_576
"""Of a record's value: four times what a config with its ten predecessors takes. What is applied is kept in memory."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_LONGEST_PATH = 4096

MOST_VERSIONS, MOST_LABELS = 1000, 1000
"""Of one model. Each version that is listed has a status of its own."""

MOST_GOLDEN_BYTES = 16_384
"""Of one config's golden requests: a record holds those of its ten predecessors, too."""

_LONGEST_PROBLEM = 1000


class InvalidControlRecord(Exception):
    """A control record cannot be applied. The message says which part is wrong and what was expected.

    It is cut where it is long: it has to fit a status record, a reply and a line of the log, whatever the record holds.
    It names a path only between quotation marks, which `told_reasons` takes out: requesters are told it when they ask
    for the model.
    """

    def __init__(self, problem: str) -> None:
        more = len(problem) - _LONGEST_PROBLEM
        cut = problem if more <= 0 else f"{problem[:_LONGEST_PROBLEM]}… and {more:,} characters more"
        super().__init__(cut)


@dataclass(frozen=True)
class Known:
    """What a record may say on this worker.

    Attributes:
        loaders: names of loaders; None does not check them.
        policies: names of policies; None does not check them.
        rules: what the operator allows.
    """

    loaders: Collection[str] | None = None
    policies: Collection[str] | None = None
    rules: OperatorRules = field(default_factory=OperatorRules)


def model_name(key: bytes | None) -> str:
    """The model that a record is about.

    Raises:
        InvalidControlRecord: the key is missing, no UTF-8, or no model name.
    """
    if not key:
        raise InvalidControlRecord("the record has no key; expected the model's name")
    try:
        name = key.decode()
    except UnicodeDecodeError:
        raise InvalidControlRecord(f"the key {key[:64]!r} is not UTF-8; expected the model's name") from None
    check_model_name(name)
    return name


def check_model_name(name: str) -> None:
    """Raise `InvalidControlRecord` unless *name* may name a model."""
    _check_name("model name", name)


def check_loader_name(name: str) -> None:
    """Raise `InvalidControlRecord` unless *name* may name a loader."""
    _check_name("loader", name)


def check_policy_name(name: str) -> None:
    """Raise `InvalidControlRecord` unless *name* may name a policy."""
    _check_name("policy", name)


def read_config(value: bytes, known: Known | None = None) -> ModelConfig:
    """The config that a record's value holds.

    Args:
        value: the record's value; a removal (no value) is the caller's to recognise.
        known: what may be said here; by default only the form is checked.

    Raises:
        InvalidControlRecord: the bytes are too many, or no `ModelConfig`, or it breaks a rule.
    """
    if len(value) > MOST_BYTES:
        raise InvalidControlRecord(f"the value has {len(value):,} bytes; at most {MOST_BYTES:,} are allowed")
    try:
        config = codec.decode(value, ModelConfig)
    except WireError as error:
        raise InvalidControlRecord(f"the value is no ModelConfig: {error}") from error
    check_config(config, known)
    return config


def check_config(config: ModelConfig, known: Known | None = None) -> None:
    """Raise `InvalidControlRecord`, naming everything that is wrong, unless *config* can be applied."""
    problems = [
        *_path_problems(config.base_path),
        *_name_problems("loader", config.loader),
        *([] if config.policy is None else _name_problems("policy", config.policy)),
        *_version_problems(config.versions),
        *_label_problems(config),
        *traffic_rules.problems(config),
        *_readiness_problems(config),
        *batching_rules.problems(config.batching),
        *batching_parameters.problems(config.parameters),
        *signature_options.problems(config.parameters),
        *model_devices.problems(config),
    ]
    if known is not None:
        problems += _not_allowed(config, known)
        problems += _unknown("policy", config.policy, known.policies)
    if problems:
        raise InvalidControlRecord("; ".join(dict.fromkeys(problems)))


def _not_allowed(config: ModelConfig, known: Known) -> Iterator[str]:
    if (problem := known.rules.roots.problem_of_text(config.base_path)) is not None:
        yield problem
    if (problem := known.rules.problem_of_shadow(config.shadow)) is not None:
        yield problem
    if isinstance(config.versions, SpecificVersions):
        many = known.rules.problem_of_versions(len(config.versions.versions))
        yield from () if many is None else (many,)
    disabled = known.rules.problem_of_loader(config.loader, known.loaders or ())
    if disabled is not None:
        yield disabled
    else:
        yield from _unknown("loader", config.loader, known.loaders)


def _unknown(what: str, name: str | None, names: Collection[str] | None) -> Iterator[str]:
    if names is not None and name is not None and name not in names:
        yield f"{what} {name!r} does not exist on this worker, which has {', '.join(sorted(names))}"


def _check_name(what: str, name: str) -> None:
    if len(name) > LONGEST_NAME:
        raise InvalidControlRecord(
            f"{what} {name[:32]!r}… has {len(name)} characters; at most {LONGEST_NAME} are allowed"
        )
    if not _NAME.fullmatch(name):
        raise InvalidControlRecord(
            f"{what} {name!r} is not allowed; expected letters, digits, '_', '.' and '-', the first of them "
            "a letter, a digit or '_'"
        )


def _name_problems(what: str, name: str) -> Iterator[str]:
    try:
        _check_name(what, name)
    except InvalidControlRecord as error:
        yield str(error)


def _path_problems(path: str) -> Iterator[str]:
    if not path:
        yield "base_path is empty"
    elif len(path) > _LONGEST_PATH or "\0" in path:
        yield f"base_path is no path: it is longer than {_LONGEST_PATH} characters or holds a zero byte"
    elif is_uri(path):
        try:
            normal_place(path, "base_path")
        except ValueError as error:
            yield str(error)
    elif not posixpath.isabs(path):
        yield "base_path is not absolute; workers run in directories of their own"


def _version_problems(selection: VersionSelection) -> Iterator[str]:
    match selection:
        case SpecificVersions(versions):
            if not versions:
                yield "versions is an empty list; remove the model to serve none"
            if len(versions) > MOST_VERSIONS:
                yield f"versions lists {len(versions):,} versions; at most {MOST_VERSIONS:,} are allowed"
            if len(set(versions)) != len(versions):
                yield f"versions {shown(versions)} names a version twice"
            if any(not 0 <= version <= HIGHEST_VERSION for version in versions):
                yield f"versions {shown(versions)}: expected 0 or more"
        case LatestVersions(count):
            if count < 1:
                yield f"latest:{count}: expected 1 or more"
        case AllVersions():
            pass


def _label_problems(config: ModelConfig) -> Iterator[str]:
    if len(config.labels) > MOST_LABELS:
        yield f"there are {len(config.labels):,} labels; at most {MOST_LABELS:,} are allowed"
        return
    for label, version in config.labels.items():
        yield from _name_problems("label", label)
        if isinstance(config.versions, SpecificVersions) and version not in config.versions.versions:
            yield f"label {label!r} points to version {version}, which is not among the versions listed"
        elif version < 0:
            yield f"label {label!r} points to version {version}; expected 0 or more"


def _readiness_problems(config: ModelConfig) -> Iterator[str]:
    chosen = ("warmup", config.warmup, WARMUP_MODES), ("loading", config.loading, LOADING_MODES)
    for what, said, modes in chosen:
        if said is not None and said not in modes:
            yield f"{what} is {said[:32]!r}; expected {' or '.join(modes)}"
    if config.golden is None:
        return
    size, lines = len(config.golden.encode()), config.golden.split("\n")
    if size > MOST_GOLDEN_BYTES:
        yield (
            f"golden has {size:,} bytes; at most {MOST_GOLDEN_BYTES:,} are allowed in a record: put the others "
            f"beside each version, into {request_files.GOLDEN_LINES}"
        )
        return
    try:
        for _ in request_lines.golden(lines, "golden"):
            pass
    except InvalidLine as error:
        yield str(error)
