"""`headrace worker`: run a worker until a signal ends it."""

from typing import TYPE_CHECKING

import click

from worker.commands.options import binding_options, setting_option, settings_options

if TYPE_CHECKING:
    from worker.settings_loading import Loaded


@click.command()
@settings_options
@setting_option(
    "--group", "kafka.group", "Consumer group; replicas of one deployment share it.", metavar="NAME"
)
@binding_options
@setting_option("--control-topic", "topics.control", "Topic of the desired models.", metavar="TOPIC")
@setting_option(
    "--status-topic", "topics.status", "Topic on which workers say what they serve.", metavar="TOPIC"
)
@setting_option(
    "--max-batch-rows", "batching.max_batch_rows", "Rows at which a batch closes.", type=int, metavar="ROWS"
)
@setting_option(
    "--batch-timeout-seconds",
    "batching.batch_timeout_seconds",
    "Seconds for which a batch waits for more rows.",
    type=float,
    metavar="SECONDS",
)
@setting_option("--worker-id", "worker_id", "Name of this worker; each has its own.", metavar="NAME")
@setting_option("--http-host", "http.host", "Address of /metrics, /livez and /readyz.", metavar="ADDRESS")
@setting_option("--http-port", "http.port", "Their port; 0: any, -1: none.", type=int, metavar="PORT")
@setting_option("--log-format", "log.format", "How log lines look.", type=click.Choice(["text", "json"]))
@setting_option(
    "--log-level",
    "log.level",
    "Least level that is logged.",
    type=click.Choice(["debug", "info", "warning", "error"]),
)
@click.pass_context
def worker(ctx: click.Context, loaded: "Loaded") -> None:
    """Serve models: requests in, replies out.

    Reads the control topic, loads the models that it names, joins the consumer group, and serves until
    SIGTERM or SIGINT: then it stops reading, finishes what it has read, commits, and leaves. Run as many as
    there are partitions. Every other setting: --set, HEADRACE_ variables, or the file; `headrace config`
    shows them.
    """
    from worker import app  # noqa: PLC0415 - a worker's parts are many, and --help needs none
    from worker.log import configure_logging  # noqa: PLC0415 - likewise

    configure_logging(loaded.settings.log.format, loaded.settings.log.level)
    ctx.exit(app.run(loaded.settings))
