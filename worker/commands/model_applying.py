"""What `headrace models apply` does: makes the control topic say what a file says, and waits for the workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.model_config import ModelConfig
from worker.commands.control_access import ControlAccess
from worker.commands.failure import CommandFailedError, exit_code_of
from worker.commands.model_actions import goal_of, tell, tell_of_overtaken
from worker.commands.model_changes import check_not_frozen, is_same
from worker.commands.model_views import differences, differences_document
from worker.commands.output import Output, styled, table
from worker.commands.progress import summary
from worker.commands.waiting import wait_for_all
from worker.control_view import ControlEntry, ControlView
from worker.control_writer import Changes, Written
from worker.convergence import Converged, Failed, Outcome, Waiting
from worker.exit_codes import ExitCode
from worker.kafka.errors import KafkaProblem
from worker.store_uris import is_uri

_NAMED = 5


@dataclass(frozen=True)
class ApplyOptions:
    """How a file is applied.

    Attributes:
        prune: whether models that are not in the file are removed.
        dry_run: whether it is only shown what would change.
        wait_seconds: how long to wait for the workers; None: not at all.
    """

    prune: bool = False
    dry_run: bool = False
    wait_seconds: float | None = None


@dataclass(frozen=True)
class Difference:
    """What lies between the control topic and the file, by model.

    Attributes:
        set: what is to be written, and the record before.
        same: those that are as the file says.
        removed: those that are to go.
        left: those that the file does not name and that stay.
    """

    set: Mapping[str, tuple[ControlEntry | None, ModelConfig]]
    same: Mapping[str, ControlEntry]
    removed: Mapping[str, ControlEntry]
    left: Sequence[str]


def difference(view: ControlView, wanted: Mapping[str, ModelConfig], *, prune: bool) -> Difference:
    """What has to be written so that the topic says what is wanted."""
    changed: dict[str, tuple[ControlEntry | None, ModelConfig]] = {}
    same = {}
    for name, config in wanted.items():
        entry = view.models.get(name)
        if entry is not None and entry.config is not None and is_same(entry.config, config):
            same[name] = entry
        else:
            changed[name] = entry, config
    others = {name: view.models[name] for name in sorted(view.models.keys() - wanted.keys())}
    return Difference(changed, same, others if prune else {}, [] if prune else list(others))


def apply_models(
    access: ControlAccess, wanted: Mapping[str, ModelConfig], output: Output, options: ApplyOptions
) -> None:
    """Write what differs from the file, and nothing else; show it; wait for every model when asked to.

    Raises:
        CommandFailedError: the broker has refused records, or models have failed or are not served in time; every
            other model has been written, or waited for, all the same.
        InvalidControlRecord: a config breaks a rule; nothing was written.
        KafkaProblem: a topic is missing, or could not be read or written.
    """
    if options.dry_run:
        found = difference(access.read(), wanted, prune=options.prune)
        output.show(_document(found) | {"written": False}, *_shown(found, "nothing was written"))
        return
    found, changes = _write(access, wanted, prune=options.prune)
    document = _document(found) | {"written": True}
    document["refused"] = {name: str(problem) for name, problem in changes.refused.items()}
    document["replaced_unseen"] = {
        written.name: overtaken for written in changes.written if (overtaken := tell_of_overtaken(written))
    }
    if output.form == "table":
        output.show(None, *_shown(found, f"{len(changes.written):,} written"))
    failure = _refusal(changes.refused)
    if options.wait_seconds is not None:
        outcomes = _wait(access, found, changes, options.wait_seconds)
        document["outcomes"] = {name: _outcome_document(outcome) for name, outcome in outcomes.items()}
        failed = [(name, *_how(each)) for name, each in outcomes.items() if not isinstance(each, Converged)]
        if output.form == "table":
            said = styled(summary(outcomes), "bold red" if failed else "green")
            output.show(None, *([table(("model", "is", "why"), failed)] if failed else []), said)
        failure = failure or _shortfall(outcomes, options.wait_seconds)
    if output.form == "json":
        output.show(document)
    if failure is not None:
        raise failure


def _write(
    access: ControlAccess, wanted: Mapping[str, ModelConfig], *, prune: bool
) -> tuple[Difference, Changes]:
    found: list[Difference] = []

    def plan(view: ControlView) -> Mapping[str, ModelConfig | None]:
        seen = difference(view, wanted, prune=prune)
        for name in [*seen.set, *seen.removed]:
            check_not_frozen(name, view.config(name))
        found.append(seen)
        return {name: config for name, (_, config) in seen.set.items()} | dict.fromkeys(seen.removed)

    with access.writing() as writer:
        changes = writer.write_all(plan)
    return found[0], changes


def _wait(
    access: ControlAccess, found: Difference, changes: Changes, wait_seconds: float
) -> Mapping[str, Outcome]:
    """Wait for what was written, and for what was there as wanted: it may not be served yet."""
    there = [Written(name, entry.offset, entry.config, entry) for name, entry in found.same.items()]
    goals = [goal_of(each) for each in [*there, *changes.written]]
    return wait_for_all(access, sorted(goals, key=lambda goal: goal.model), wait_seconds, tell)


def warn_of_paths(wanted: Mapping[str, ModelConfig]) -> None:
    """Say which base paths are no directories here; the workers may see others."""
    paths = {each.base_path for each in wanted.values() if not is_uri(each.base_path)}
    missing = sorted(path for path in paths if not Path(path).is_dir())
    if missing:
        more = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
        tell(
            f"warning: this machine has no directory {', '.join(missing[:_NAMED])}{more}; the workers must see "
            "what a base path names"
        )


def _before(entry: ControlEntry | None) -> ModelConfig | None:
    return None if entry is None else entry.config


def _document(found: Difference) -> dict[str, Any]:
    return {
        "set": {
            name: {
                "new": entry is None,
                "changed": differences_document(differences(_before(entry), config)),
            }
            for name, (entry, config) in found.set.items()
        },
        "unchanged": list(found.same),
        "removed": list(found.removed),
        "not_in_file": list(found.left),
    }


def _shown(found: Difference, end: str) -> list[Any]:
    """The difference for people: a line for each field that changes."""
    rows: list[tuple[object, ...]] = []
    for name, (entry, config) in found.set.items():
        before = _before(entry)
        what = styled("new", "green") if entry is None else styled("changed", "yellow")
        if entry is not None and before is None:
            what = styled("was not valid", "yellow")
        for field, old, new in differences(before, config):
            rows.append((name, what, field, old, new))
            name, what = "", styled("", "")  # noqa: PLW2901 - once for each model
    rows += [(name, styled("removed", "red"), None, None, None) for name in found.removed]
    counts = [f"{len(found.same):,} unchanged", end]
    if found.left:
        counts.insert(1, f"{len(found.left):,} not in the file and left alone (--prune removes them)")
    lines = [table(("model", "", "field", "before", "now"), rows)] if rows else []
    return [*lines, styled("; ".join(counts), "green")]


def _outcome_document(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Converged(workers):
            return {"done": True, "workers": {worker: list(versions) for worker, versions in workers.items()}}
        case Failed(worker, reason):
            return {"done": False, "failed_on": worker, "reason": reason}
        case Waiting(reasons):
            return {"done": False, "waiting": list(reasons)}


def _how(outcome: Outcome) -> tuple[object, str]:
    if isinstance(outcome, Failed):
        return styled("failed", "bold red"), f"{outcome.worker}: {outcome.reason}"
    assert isinstance(outcome, Waiting)
    return styled("not there yet", "yellow"), "; ".join(outcome.reasons)


def _refusal(refused: Mapping[str, KafkaProblem]) -> CommandFailedError | None:
    if not refused:
        return None
    name, problem = next(iter(refused.items()))
    return CommandFailedError(
        f"the records of {len(refused):,} models could not be written; of {name!r}: {problem} (apply the file "
        "again once that is mended: what has been written stays as it is)",
        exit_code_of(problem) or ExitCode.FAILED,
    )


def _shortfall(outcomes: Mapping[str, Outcome], wait_seconds: float) -> CommandFailedError | None:
    failed = [name for name, outcome in outcomes.items() if isinstance(outcome, Failed)]
    late = [name for name, outcome in outcomes.items() if isinstance(outcome, Waiting)]
    said = [f"{len(failed):,} failed ({_names(failed)})"] if failed else []
    said += [f"{len(late):,} not done after {wait_seconds:g} s ({_names(late)})"] if late else []
    if not said:
        return None
    return CommandFailedError(f"of {len(outcomes):,} models {' and '.join(said)}")


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
