"""What `headrace models describe` shows: a model as it is wanted, and as the workers say that it is."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from lifecycle.resources import bytes_text
from schemas.model_config import LAZY
from schemas.servable_status import ServableStatus
from schemas.signature_spec import SignatureSpec
from worker.commands import signature_views
from worker.commands.control_access import ControlAccess
from worker.commands.failure import CommandFailedError
from worker.commands.model_views import config_document, golden_text, time_text
from worker.commands.output import Output, styled, table
from worker.commands.status import await_life, requests_text, shown_state
from worker.commands.version_texts import versions_text
from worker.control_view import ControlEntry
from worker.status_topic import WHOLE_MODEL


def describe_model(access: ControlAccess, name: str, output: Output) -> None:
    """Show what is desired of a model, where each version is loaded, and what it takes and gives.

    Raises:
        CommandFailedError: it is neither on the control topic nor said anything of.
        KafkaProblem: a topic is missing, or cannot be read.
    """
    entry = access.read().models.get(name)
    with access.watching() as reader:
        await_life(reader)
        said = list(reader.fleet.servables(model=name))
        live = reader.fleet.live(reader.now_ms())
    if entry is None and not said:
        raise CommandFailedError(
            f"model {name!r} is not on the control topic, and no worker says anything of it; see: headrace models list"
        )
    here = [each for each in said if each.worker in live]
    lost = [each for each in said if each.worker not in live]
    labels = _labels(entry)
    signatures = _signatures(here)
    document = {
        "model": name,
        "desired": None if entry is None or entry.config is None else config_document(entry.config),
        "problem": None if entry is None else entry.problem,
        "versions": {
            str(version): {
                "labels": labels.get(version, []),
                "workers": {each.worker: _status_document(each) for each in of_version},
                "requests": _requests_document(of_version),
                "signatures": {
                    each.name: signature_views.document(each) for each in _known(signatures, version)
                },
            }
            for version, of_version in _by_version(here).items()
            if version != WHOLE_MODEL
        },
        "problems": {each.worker: each.message for each in here if each.version == WHOLE_MODEL},
        "lost_workers": sorted({each.worker for each in lost}),
    }
    output.show(document, *_shown(name, entry, here, lost, signatures))


def _labels(entry: ControlEntry | None) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for label, version in sorted(
        {} if entry is None or entry.config is None else entry.config.labels.items()
    ):
        found.setdefault(version, []).append(label)
    return found


def _by_version(said: Iterable[ServableStatus]) -> dict[int, list[ServableStatus]]:
    found: dict[int, list[ServableStatus]] = {}
    for each in sorted(said, key=lambda status: (-status.version, status.worker)):
        found.setdefault(each.version, []).append(each)
    return found


def _signatures(said: Iterable[ServableStatus]) -> dict[tuple[SignatureSpec, ...], list[int]]:
    """What versions take and give, and which of them it is, highest first."""
    found: dict[tuple[SignatureSpec, ...], list[int]] = {}
    for version, statuses in _by_version(said).items():
        for specs in dict.fromkeys(each.signatures for each in statuses if each.signatures):
            found.setdefault(specs, []).append(version)
    return found


def _known(signatures: Mapping[tuple[SignatureSpec, ...], Sequence[int]], version: int) -> Iterator[Any]:
    for specs, versions in signatures.items():
        if version in versions:
            yield from map(signature_views.reported, specs)


def _status_document(status: ServableStatus) -> dict[str, Any]:
    return {
        "state": str(status.state),
        "code": status.code,
        "message": status.message,
        "since": time_text(status.time),
        "load_seconds": status.load_seconds,
        "memory_bytes": status.memory_bytes,
        "requests_answered": status.requests_answered,
        "requests_failed": status.requests_failed,
    }


def _requests_document(of_version: Iterable[ServableStatus]) -> dict[str, int]:
    """Of all workers together, each since it began."""
    counted = list(of_version)
    return {
        "answered": sum(each.requests_answered or 0 for each in counted),
        "failed": sum(each.requests_failed or 0 for each in counted),
    }


def _shown(
    name: str,
    entry: ControlEntry | None,
    here: Sequence[ServableStatus],
    lost: Sequence[ServableStatus],
    signatures: Mapping[tuple[SignatureSpec, ...], Sequence[int]],
) -> Iterator[RenderableType]:
    labels = _labels(entry)
    yield from _shown_desired(name, entry)
    for each in here:
        if each.version == WHOLE_MODEL:
            yield styled(f"worker {each.worker}: {each.message}", "bold red")
    rows = [
        (
            each.version,
            " ".join(labels.get(each.version, [])),
            each.worker,
            shown_state(each) if each in here else styled(f"{each.state} (lost)", "dim"),
            time_text(each.time),
            None if each.load_seconds is None else f"{each.load_seconds:,.1f} s",
            " ".join(f"{device} {bytes_text(size)}" for device, size in each.memory_bytes.items()),
            requests_text(each),
            each.message,
        )
        for each in sorted([*here, *lost], key=lambda status: (-status.version, status.worker))
        if each.version != WHOLE_MODEL
    ]
    if rows:
        titles = (
            "version",
            "labels",
            "worker",
            "state",
            "since",
            "loaded in",
            "memory",
            "requests",
            "reason",
        )
        yield table(titles, rows)
        for version, of_version in _by_version(here).items():
            together = _requests_document(of_version)
            if len(of_version) > 1 and any(together.values()):
                failed = f", and {together['failed']:,} with an error" if together["failed"] else ""
                yield f"version {version} has answered {together['answered']:,} requests on all workers{failed}"
    else:
        yield styled("no worker has a version of it", "yellow")
    for specs, versions in signatures.items():
        yield styled(f"version {', '.join(map(str, versions))} takes and gives", "bold")
        taken = [row for spec in specs for row in signature_views.rows(signature_views.reported(spec))]
        yield table(signature_views.COLUMNS, taken)


def _shown_desired(name: str, entry: ControlEntry | None) -> Iterator[RenderableType]:
    if entry is None:
        yield styled(f"model {name!r} is not on the control topic: what is left of it is going", "yellow")
    elif entry.config is None:
        yield styled(f"the control record of model {name!r} is not valid: {entry.problem}", "bold red")
    else:
        config = entry.config
        by = f"revision {config.revision} by {config.author} at {time_text(config.time) or 'an unknown time'}"
        why = f": {config.comment}" if config.comment else ""
        what = f"versions {versions_text(config.versions)} of {config.base_path} ({config.loader})"
        yield styled(f"model {name!r}: {what}, {by}{why}", "bold")
        if config.split is not None:
            yield f"requests that name neither version nor label: {config.split}"
        if config.shadow is not None:
            yield f"tried on a share of these: {config.shadow}"
        if config.loading == LAZY:
            yield "lazy: each worker loads it when it is first asked for there, until others need the room"
        if config.warmup is not None:
            yield f"warm-up: {config.warmup}"
        if config.golden is not None:
            yield f"before a version is available it answers {golden_text(config)}"
