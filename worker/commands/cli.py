"""The commands by name, each imported when it is called, and how the command line ends."""

import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

import click
from rich.console import Console
from rich.text import Text

from worker.commands.failure import exit_code_of
from worker.exit_codes import ExitCode


class Entry(NamedTuple):
    """Where a command is, and its line in the list of commands."""

    module: str
    attribute: str
    summary: str


COMMANDS: dict[str, Entry] = {
    "demo": Entry("worker.commands.demo_command", "demo", "Show the main job on this machine, in a minute."),
    "worker": Entry("worker.commands.worker_command", "worker", "Serve models: requests in, replies out."),
    "topics": Entry(
        "worker.commands.topics", "topics", "Create the topics of a deployment; say who needs which rights."
    ),
    "models": Entry("worker.commands.models", "models", "Say which models and versions are served."),
    "status": Entry(
        "worker.commands.status",
        "status",
        "Show workers, models, versions and their states, with reasons, and the batch queues.",
    ),
    "request": Entry("worker.commands.request", "request", "Ask the model NAME, and print its reply."),
    "dead-letters": Entry(
        "worker.commands.dead_letters", "dead_letters", "Look at dead letters, and send them again."
    ),
    "inspect": Entry(
        "worker.commands.inspect_model",
        "inspect",
        "Show the signatures of the model in DIR: names, dtypes and shapes.",
    ),
    "tune": Entry(
        "worker.commands.tune",
        "tune",
        "Measure a model's batches on this machine, and say which options suit.",
    ),
    "tables": Entry("worker.commands.tables", "tables", "Make lookup tables and vocabularies out of files."),
    "config": Entry(
        "worker.commands.config", "config", "Show the settings in effect and where each is from."
    ),
}

INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that knows its commands' names and summaries, and imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the library's signature
        """The names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(entry.module), entry.attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Each command has its own --help. Exit status: 0 done, 1 failed, 2 not understood, 3 no broker, "
    "4 wrong configuration, 75 try again.",
)
@click.version_option(package_name="headrace", message="headrace %(version)s")
def cli() -> None:
    """TensorFlow Serving for Kafka: versioned models, micro-batches, replies on a topic.

    Workers read requests from a topic, run them through models, and write replies to another; which models
    and versions they serve is said on a control topic. Settings come from defaults, a TOML file (--config),
    HEADRACE_ variables and flags; each wins over those before it.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line to its exit status; whatever fails is told in one sentence on standard error."""
    try:
        result = cli.main(arguments, prog_name="headrace", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; Python must not complain about it at its end.
        sys.stdout = None
        return ExitCode.DONE
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        show_failure(str(error))
        return code
    return result if isinstance(result, int) else ExitCode.DONE


def show_failure(message: str) -> None:
    """Say in red on standard error what went wrong."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("Error: ", "bold red"), (message, "red")))
