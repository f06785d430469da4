"""What `headrace models` does: changes the control topic, shows it, and waits for the workers to follow."""

from collections.abc import Mapping
from typing import Any

import click

from schemas.model_config import ModelConfig, PastConfig
from worker.commands.control_access import ControlAccess
from worker.commands.failure import CommandFailedError
from worker.commands.model_changes import Change, check_not_frozen, frozen_at, is_same, present
from worker.commands.model_views import (
    ENTRY_COLUMNS,
    config_document,
    differences,
    differences_document,
    entry_document,
    entry_row,
    time_text,
)
from worker.commands.output import Output, styled, table
from worker.commands.status import await_life
from worker.commands.waiting import wait_until_done
from worker.control_record import check_model_name
from worker.control_view import ControlView
from worker.control_writer import Plan, Written, overtaken_by
from worker.convergence import Goal, Unwanted, Wanted, is_there


def set_model(
    access: ControlAccess,
    name: str,
    config: ModelConfig,
    output: Output,
    wait_seconds: float | None = None,
) -> None:
    """Write the config, show what has changed, and wait for it when *wait_seconds* is given.

    Raises:
        CommandFailedError: the wait has failed.
        InvalidControlRecord: the config breaks a rule.
    """

    def change(before: ModelConfig | None) -> ModelConfig:
        check_not_frozen(name, before)
        return config

    with access.writing() as writer:
        written = writer.write(name, change)
    _follow(access, written, output, wait_seconds)


def remove_model(access: ControlAccess, name: str, output: Output, wait_seconds: float | None = None) -> None:
    """Write the removal, and wait for it when *wait_seconds* is given.

    Raises:
        CommandFailedError: there is nothing to remove, or the wait has failed.
    """

    def plan(view: ControlView) -> Mapping[str, None]:
        if name not in view.models:
            raise CommandFailedError(f"model {name!r} is not on the control topic; nothing was removed")
        check_not_frozen(name, view.config(name))
        return {name: None}

    _follow(access, _write(access, name, plan), output, wait_seconds)


def freeze_model(
    access: ControlAccess, name: str, comment: str, output: Output, wait_seconds: float | None = None
) -> None:
    """Pin the versions that are served, and have commands change the model no more; waits as `set_model`.

    Raises:
        CommandFailedError: workers do not agree on what they serve, it is frozen already, or the wait has failed.
    """
    with access.watching() as reader:
        await_life(reader)
        live = reader.fleet.live(reader.now_ms(), access.group)
        served = {
            worker: [s.version for s in reader.fleet.servables(worker, name) if is_there(s)]
            for worker in live
        }
    change_model(access, name, frozen_at(name, served, comment), output, wait_seconds)


def change_model(
    access: ControlAccess,
    name: str,
    change: Change,
    output: Output,
    wait_seconds: float | None = None,
) -> None:
    """Make another config of the present one, as `set_model`; nothing is written where it would say the same.

    Raises:
        CommandFailedError: the change cannot be made, or the wait has failed.
        InvalidControlRecord: the config breaks a rule.
    """

    def plan(view: ControlView) -> Mapping[str, ModelConfig]:
        before = view.config(name)
        after = change(before)
        return {} if before is not None and is_same(before, after) else {name: after}

    _follow(access, _write(access, name, plan), output, wait_seconds)


def retry_model(access: ControlAccess, name: str, output: Output, wait_seconds: float | None = None) -> None:
    """Write the present config once more, so that workers try at once what has failed; waits as `set_model`.

    Raises:
        CommandFailedError: there is no valid config, or the wait has failed.
    """

    def plan(view: ControlView) -> Mapping[str, ModelConfig]:
        return {name: present(name, view.config(name))}

    written = _write(access, name, plan, sign=False)
    _follow(access, written, output, wait_seconds, "workers try what has failed again")


def _write(access: ControlAccess, name: str, plan: Plan, *, sign: bool = True) -> Written:
    """Write what the plan says of this one model; where that is nothing, the record that is there stands for it.

    Raises:
        InvalidControlRecord: the name, or the wanted config, breaks a rule.
        KafkaProblem: the broker has refused the record.
    """
    check_model_name(name)
    with access.writing() as writer:
        changes = writer.write_all(plan, sign=sign)
    for problem in changes.refused.values():
        raise problem
    if changes.written:
        return changes.written[0]
    entry = changes.view.models[name]
    return Written(name, entry.offset, entry.config, entry)


def _follow(
    access: ControlAccess,
    written: Written,
    output: Output,
    wait_seconds: float | None,
    sentence: str | None = None,
) -> None:
    """Show what has changed, and wait for it when *wait_seconds* is given."""
    before = written.before.config if written.before else None
    changed = [] if written.config is None else list(differences(before, written.config))
    document: dict[str, Any] = {
        "model": written.name,
        "offset": written.offset,
        "config": None if written.config is None else config_document(written.config),
        "changed": differences_document(changed),
        "replaced_unseen": tell_of_overtaken(written),
    }
    said = styled(sentence or _sentence(written), "green")
    changes = [table(("field", "before", "now"), changed)] if changed else []
    if wait_seconds is None:
        output.show(document, said, *changes)
        return
    if output.form == "table":  # the record is there, whatever comes of the wait
        output.show(document, said, *changes)
    try:
        document["workers"] = _wait(access, written, wait_seconds)
    except CommandFailedError as error:
        document["failed"] = str(error)
        if output.form == "json":
            output.show(document)
        raise
    output.show(document, styled("every live worker has followed", "green"))


def _wait(access: ControlAccess, written: Written, wait_seconds: float) -> dict[str, list[int]]:
    done = wait_until_done(access, goal_of(written), wait_seconds, tell)
    if written.config is None:
        return {}
    return {worker: list(versions) for worker, versions in done.workers.items()}


def goal_of(written: Written) -> Goal:
    """What has to be waited for, for a change to be done."""
    if written.config is None:
        return Unwanted(written.name, written.offset)
    return Wanted(written.name, written.offset, written.config.versions)


def tell_of_overtaken(written: Written) -> list[dict[str, Any]]:
    """Warn of the records that a change has replaced unseen; the same for programs."""
    overtaken = overtaken_by(written)
    for offset, author in overtaken.items():
        tell(
            f"warning: a record of {author} for model {written.name!r} (control offset {offset}) came in between "
            "and is replaced by this one; look whether it matters"
        )
    return [{"offset": offset, "author": author} for offset, author in overtaken.items()]


def show_models(access: ControlAccess, output: Output) -> None:
    """Show what is desired."""
    view = access.read()
    entries = [view.models[name] for name in sorted(view.models)]
    shown = (
        table(ENTRY_COLUMNS, map(entry_row, entries))
        if entries
        else "no model is set; set one with: headrace models set NAME --base-path DIR"
    )
    output.show([entry_document(entry) for entry in entries], shown)
    for offset, reason in view.rejected:
        tell(f"warning: control record {offset} names no model: {reason}")


def show_history(access: ControlAccess, name: str, output: Output) -> None:
    """Show a model's configs, the present one first, and what each has changed.

    Raises:
        CommandFailedError: it is not on the control topic.
    """
    _, config = _config(access, name)
    configs: list[ModelConfig | PastConfig] = [config, *config.history]
    documents, rows = [], []
    for each, older in zip(configs, [*configs[1:], None], strict=True):
        # Of the oldest that is kept nobody knows what it has changed, unless it was the model's first.
        known = older is not None or each.revision == 1
        changed = list(differences(older, each)) if known else []
        documents.append(
            config_document(each) | {"changed": differences_document(changed) if known else None}
        )
        lines = [f"{field}: {old} → {new}" if old else f"{field}: {new}" for field, old, new in changed]
        said = ("\n".join(lines) or "nothing") if known else None
        rows.append((each.revision, time_text(each.time), each.author, each.comment, said))
    columns = ("revision", "time", "author", "comment", "changed")
    output.show({"model": name, "configs": documents}, table(columns, rows))


def await_model(
    access: ControlAccess, name: str, version: int | None, timeout_seconds: float, output: Output
) -> None:
    """Wait for a model and show which worker serves which of its versions.

    Raises:
        CommandFailedError: it is not on the control topic, has failed, or takes too long.
    """
    offset, config = _config(access, name)
    wanted = Wanted(name, offset, config.versions, version)
    served = wait_until_done(access, wanted, timeout_seconds, tell)
    document = {
        "model": name,
        "offset": offset,
        "workers": {worker: list(versions) for worker, versions in served.workers.items()},
    }
    rows = [(worker, ", ".join(map(str, versions))) for worker, versions in served.workers.items()]
    output.show(document, table(("worker", "versions available"), rows))


def _config(access: ControlAccess, name: str) -> tuple[int, ModelConfig]:
    """A model's record: its offset, and what it says."""
    entry = access.read().models.get(name)
    if entry is None:
        raise CommandFailedError(f"model {name!r} is not on the control topic")
    if entry.config is None:
        raise CommandFailedError(f"the control record of model {name!r} is not valid: {entry.problem}")
    return entry.offset, entry.config


def _sentence(written: Written) -> str:
    if written.config is None:
        return f"model {written.name!r} is removed (control offset {written.offset})"
    revision = written.config.revision
    if written.before is not None and written.before.offset == written.offset:
        return f"model {written.name!r} is as wanted already (revision {revision}, control offset {written.offset})"
    return f"model {written.name!r} is set (revision {revision}, control offset {written.offset})"


def tell(line: str) -> None:
    """Show one line beside the result."""
    click.echo(line, err=True)
