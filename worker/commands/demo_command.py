"""`headrace demo`: the main job on this machine, in a minute."""

from pathlib import Path

import click


@click.command()
@click.option(
    "--bootstrap-server",
    metavar="HOST:PORT",
    help="Play on this Kafka broker instead of an embedded one; topics are made and deleted again.",
)
@click.option(
    "--command-config",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True),
    help="File of client properties for that broker, as Kafka's own tools take it.",
)
@click.option(
    "--rate",
    metavar="N",
    type=click.FloatRange(min=1, max=2000),
    default=400,
    show_default=True,
    help="Requests a second.",
)
@click.pass_context
def demo(ctx: click.Context, bootstrap_server: str | None, command_config: Path | None, rate: float) -> None:
    """Show the main job on this machine, in a minute.

    Trains two versions of a model that reads handwritten digits, starts a broker and a worker, sends digits
    as Kafka requests, and pushes the second version while they flow. Nothing is left behind. Exit status 0
    only when both versions have answered and no request failed.
    """
    from worker.demo.play import Options, run  # noqa: PLC0415 - --help needs none of it
    from worker.demo.screen import Screen  # noqa: PLC0415 - likewise

    ctx.exit(run(Options(bootstrap_server, command_config, requests_per_second=rate), Screen()))
