"""How a command fails: one sentence (what, with what, what to do) and an exit status for scripts."""

from worker.exit_codes import ExitCode


class CommandFailedError(Exception):
    """A command cannot do what it was asked for. The message is shown as it is."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


def exit_code_of(error: Exception) -> ExitCode | None:
    """The exit status that an error means; None for one that is a fault of headrace itself."""
    if isinstance(error, CommandFailedError):
        return error.code
    # Imported late: a command that fails early has loaded none of them, and then the error is none of theirs.
    from schemas.errors import SchemaFileError  # noqa: PLC0415
    from worker.control_record import InvalidControlRecord  # noqa: PLC0415
    from worker.control_topic import ControlTopicError  # noqa: PLC0415
    from worker.kafka import errors  # noqa: PLC0415
    from worker.settings_loading import SettingsInvalidError  # noqa: PLC0415

    codes: dict[type[Exception] | tuple[type[Exception], ...], ExitCode] = {
        (
            SettingsInvalidError,
            ControlTopicError,
            errors.InvalidProperty,
            SchemaFileError,
        ): ExitCode.MISCONFIGURED,
        (
            errors.BrokerUnreachable,
            errors.TimedOut,
            errors.NotAuthorized,
            errors.AuthenticationFailed,
        ): ExitCode.UNREACHABLE,
        errors.Retriable: ExitCode.TEMPORARY,
        errors.KafkaProblem: ExitCode.FAILED,
        InvalidControlRecord: ExitCode.USAGE,
        OSError: ExitCode.FAILED,
    }
    return next((code for kinds, code in codes.items() if isinstance(error, kinds)), None)
