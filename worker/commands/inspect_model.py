"""`headrace inspect DIR`: what a model takes and gives, read from its files before anything serves it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType

from worker.commands import signature_views
from worker.commands.options import output_option
from worker.commands.output import Output, styled, table
from worker.exit_codes import ExitCode
from worker.model_directory import EXPECTED, InspectedGraph, InspectedVersion, inspect_directory


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@output_option
@click.pass_context
def inspect(context: click.Context, directory: Path, output: Output) -> None:
    """Show the signatures of the model in DIR: names, dtypes and shapes.

    DIR is one version (it holds saved_model.pb, model.json, lookup_table.json, vocabulary.json or a .keras file), or a
    base path whose versions lie in folders named by numbers. Neither a broker nor TensorFlow is needed.

    Exit status 1: there is no model in DIR, or the files of a version are wrong.
    """
    versions = inspect_directory(directory)
    output.show(as_document(directory, versions), *as_tables(directory, versions))
    if not versions or any(version.problem for version in versions):
        context.exit(ExitCode.FAILED)


def as_tables(directory: Path, versions: Sequence[InspectedVersion]) -> Iterator[RenderableType]:
    """For people: each version with its problem, or its signatures in a table."""
    if not versions:
        yield styled(
            f"{directory} holds no model: expected {' or '.join(EXPECTED)} in it, "
            "or versions in folders named by numbers",
            "red",
        )
    for version in versions:
        name = "model" if version.version is None else f"version {version.version}"
        yield styled(f"{name} ({version.loader or 'no model'}) in {version.path}", "bold")
        if version.problem is not None:
            yield styled(version.problem, "red")
        for graph in version.graphs:
            yield from _graph_tables(graph)


def as_document(directory: Path, versions: Sequence[InspectedVersion]) -> dict[str, Any]:
    """For programs: an open size is null, and so is a shape of open rank."""
    return {
        "path": str(directory),
        "versions": [
            {
                "version": version.version,
                "path": str(version.path),
                "loader": version.loader,
                "problem": version.problem,
                "graphs": [_graph_document(graph) for graph in version.graphs],
            }
            for version in versions
        ],
    }


def _graph_tables(graph: InspectedGraph) -> Iterator[RenderableType]:
    if graph.tags:
        yield styled(f"tags: {', '.join(graph.tags)}", "dim")
    if graph.signatures:
        rows = [row for signature in graph.signatures.values() for row in signature_views.rows(signature)]
        yield table(signature_views.COLUMNS, rows)
    else:
        yield styled("no signature can be called by a request", "yellow")
    for name, reason in graph.unservable.items():
        yield styled(f"signature {name!r} is not served: {reason}", "yellow")


def _graph_document(graph: InspectedGraph) -> dict[str, Any]:
    return {
        "tags": list(graph.tags),
        "signatures": {
            name: signature_views.document(signature) for name, signature in graph.signatures.items()
        },
        "unservable": dict(graph.unservable),
    }
