"""`headrace config`: the settings in effect, and where each came from."""

import json
from typing import TYPE_CHECKING

import click

from worker.commands.options import settings_options
from worker.commands.output import Output, styled, table

if TYPE_CHECKING:
    from worker.settings_loading import Loaded


@click.command()
@settings_options
@click.option(
    "--output",
    "form",
    type=click.Choice(["table", "json", "toml"]),
    default="table",
    show_default=True,
    help="A table for people, JSON for programs, or TOML: a file to start from.",
)
def config(loaded: "Loaded", form: str) -> None:
    """Show the settings in effect and where each is from.

    Defaults, then the TOML file, then HEADRACE_ variables, then flags: each wins over those before it.
    Secrets are masked. Asks no broker.
    """
    from worker.settings_display import as_toml, plain, shown  # noqa: PLC0415 - --help needs none of it

    if form == "toml":
        click.echo(as_toml(loaded), nl=False)
        return
    rows = shown(loaded)
    origins = {row.name: {"kind": row.origin.kind, "place": row.origin.place} for row in rows}
    document = {"settings": plain(loaded), "origins": origins}
    lines = [
        (
            row.name if row.origin.kind == "default" else styled(row.name, "bold"),
            _brief(row.value),
            row.origin.place or row.origin.kind,
        )
        for row in rows
    ]
    Output("json" if form == "json" else "table").show(document, table(("setting", "value", "from"), lines))


def _brief(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
