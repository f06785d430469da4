"""What `headrace models` does: changes the control topic, shows it, and waits for the workers to follow."""

from typing import Any

import click

from schemas.model_config import ModelConfig
from worker.commands.control_access import ControlAccess
from worker.commands.failure import CommandFailedError
from worker.commands.model_views import (
    config_document,
    differences,
    entry_document,
    labels_text,
    time_text,
    versions_text,
)
from worker.commands.output import Output, styled, table
from worker.commands.waiting import wait_until_gone, wait_until_served
from worker.control_writer import Written, overtaken_by
from worker.convergence import Wanted


def change_model(
    access: ControlAccess,
    name: str,
    config: ModelConfig | None,
    output: Output,
    wait_seconds: float | None = None,
) -> None:
    """Write the config (None: the removal), show what has changed, and wait for it when *wait_seconds* is given.

    Raises:
        CommandFailedError: there is nothing to remove, or the wait has failed.
        InvalidControlRecord: the config breaks a rule.
    """

    def change(_before: ModelConfig | None) -> ModelConfig | None:
        return config

    with access.writing() as writer:
        if config is None and name not in access.read().models:
            raise CommandFailedError(f"model {name!r} is not on the control topic; nothing was removed")
        written = writer.write(name, change)
    overtaken = overtaken_by(written)
    before = written.before.config if written.before else None
    changed = [] if written.config is None else list(differences(before, written.config))
    document: dict[str, Any] = {
        "model": name,
        "offset": written.offset,
        "config": None if written.config is None else config_document(written.config),
        "changed": {field: {"from": old, "to": new} for field, old, new in changed},
        "replaced_unseen": [{"offset": offset, "author": author} for offset, author in overtaken.items()],
    }
    for offset, author in overtaken.items():
        _tell(
            f"warning: a record of {author} (control offset {offset}) came in between and is replaced by this "
            "one; look whether it matters"
        )
    changes = [table(("field", "before", "now"), changed)] if changed else []
    if wait_seconds is None:
        output.show(document, styled(_sentence(written), "green"), *changes)
        return
    if output.form == "table":  # the record is there, whatever comes of the wait
        output.show(document, styled(_sentence(written), "green"), *changes)
    try:
        document["workers"] = _wait(access, written, wait_seconds)
    except CommandFailedError as error:
        document["failed"] = str(error)
        if output.form == "json":
            output.show(document)
        raise
    output.show(document, styled("every live worker has followed", "green"))


def _wait(access: ControlAccess, written: Written, wait_seconds: float) -> dict[str, list[int]]:
    if written.config is None:
        wait_until_gone(access, written.name, written.offset, wait_seconds, _tell)
        return {}
    wanted = Wanted(written.name, written.offset, written.config.versions)
    served = wait_until_served(access, wanted, wait_seconds, _tell)
    return {worker: list(versions) for worker, versions in served.workers.items()}


def show_models(access: ControlAccess, output: Output) -> None:
    """Show what is desired."""
    view = access.read()
    entries = [view.models[name] for name in sorted(view.models)]
    rows = [
        (entry.name, None, None, None, None, None, None, styled(f"not valid: {entry.problem}", "bold red"))
        if entry.config is None
        else (
            entry.name,
            entry.config.revision,
            versions_text(entry.config.versions),
            labels_text(entry.config.labels),
            entry.config.base_path,
            entry.config.author,
            time_text(entry.config.time),
            entry.config.comment,
        )
        for entry in entries
    ]
    columns = ("model", "revision", "versions", "labels", "base path", "author", "time", "comment")
    shown = (
        table(columns, rows)
        if rows
        else "no model is set; set one with: headrace models set NAME --base-path DIR"
    )
    output.show([entry_document(entry) for entry in entries], shown)
    for offset, reason in view.rejected:
        _tell(f"warning: control record {offset} names no model: {reason}")


def await_model(
    access: ControlAccess, name: str, version: int | None, timeout_seconds: float, output: Output
) -> None:
    """Wait for a model and show which worker serves which of its versions.

    Raises:
        CommandFailedError: it is not on the control topic, has failed, or takes too long.
    """
    entry = access.read().models.get(name)
    if entry is None:
        raise CommandFailedError(f"model {name!r} is not on the control topic")
    if entry.config is None:
        raise CommandFailedError(f"the control record of model {name!r} is not valid: {entry.problem}")
    wanted = Wanted(name, entry.offset, entry.config.versions, version)
    served = wait_until_served(access, wanted, timeout_seconds, _tell)
    document = {
        "model": name,
        "offset": entry.offset,
        "workers": {worker: list(versions) for worker, versions in served.workers.items()},
    }
    rows = [(worker, ", ".join(map(str, versions))) for worker, versions in served.workers.items()]
    output.show(document, table(("worker", "versions available"), rows))


def _sentence(written: Written) -> str:
    if written.config is None:
        return f"model {written.name!r} is removed (control offset {written.offset})"
    revision = written.config.revision
    return f"model {written.name!r} is set (revision {revision}, control offset {written.offset})"


def _tell(line: str) -> None:
    click.echo(line, err=True)
