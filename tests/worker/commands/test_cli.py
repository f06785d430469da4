"""The command line as a whole: what it lists, what it loads, how it ends."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from worker.commands.cli import COMMANDS, cli, run
from worker.commands.failure import CommandFailedError, exit_code_of
from worker.control_topic import ControlTopicMisconfigured
from worker.exit_codes import ExitCode
from worker.kafka import errors
from worker.settings_loading import SettingsInvalidError


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_exists_and_is_listed_as_it_describes_itself(name: str) -> None:
    """The list, which imports nothing, agrees with the commands."""
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert (command.help or "").partition("\n")[0] == COMMANDS[name].summary


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name: str) -> None:
    """Help needs no broker, no settings and no model."""
    result = CliRunner().invoke(cli, [name, "--help"])

    assert result.exit_code == 0, result.output
    assert COMMANDS[name].summary in " ".join(result.output.split())


def test_help_loads_nothing_heavy() -> None:
    """Whoever asks what there is waits for neither TensorFlow nor Kafka nor the settings."""
    program = (
        "import sys; from worker.commands.cli import run; run(['--help']); "
        "print([m for m in ('tensorflow', 'confluent_kafka', 'pydantic', 'numpy', 'fastavro') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    """Bug reports name it."""
    assert run(["--version"]) == ExitCode.DONE
    assert capsys.readouterr().out.startswith("headrace 0.")


@pytest.mark.parametrize("arguments", [["nothing"], ["config", "--nothing"], ["config", "--set", "novalue"]])
def test_what_cannot_be_understood_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, and a hint at the help."""
    assert run(arguments) == ExitCode.USAGE
    assert "Error:" in capsys.readouterr().err


def test_settings_that_cannot_be_used_are_told_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 4, each wrong one on its line, nothing on standard output, no traceback."""
    status = run(["config", "--set", "http.port=x", "--set", "kafka.groop=y"])
    out, err = capsys.readouterr()

    assert status == ExitCode.MISCONFIGURED
    assert out == ""
    assert "--set http.port: should be a valid integer" in err
    assert "--set kafka.groop: is no setting; did you mean kafka.group?" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandFailedError("x"), ExitCode.FAILED),
        (CommandFailedError("x", ExitCode.TEMPORARY), ExitCode.TEMPORARY),
        (errors.BrokerUnreachable("x"), ExitCode.UNREACHABLE),
        (errors.TimedOut("x"), ExitCode.UNREACHABLE),
        (errors.NotAuthorized("x"), ExitCode.UNREACHABLE),
        (errors.AuthenticationFailed("x"), ExitCode.UNREACHABLE),
        (errors.InvalidProperty("x"), ExitCode.MISCONFIGURED),
        (errors.Retriable("x"), ExitCode.TEMPORARY),
        (errors.TopicMissing("x"), ExitCode.FAILED),
        (ControlTopicMisconfigured("x"), ExitCode.MISCONFIGURED),
        (SettingsInvalidError([]), ExitCode.MISCONFIGURED),
        (PermissionError("x"), ExitCode.FAILED),
        (ZeroDivisionError("x"), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_means_an_exit_status(error: Exception, code: ExitCode | None) -> None:
    """The most particular class decides; a fault of headrace itself keeps its traceback."""
    assert exit_code_of(error) == code
