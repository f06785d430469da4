"""What the exit status of each `headrace` command means, so that scripts can tell what to do next."""

import enum


class ExitCode(enum.IntEnum):
    """The exit statuses of the command line; a command documents only what it adds to this."""

    DONE = 0
    """What was asked for has been done."""
    FAILED = 1
    """It was tried and failed, or what was checked is wrong: a model failed, a wait timed out."""
    USAGE = 2
    """The command line cannot be understood; nothing was tried."""
    UNREACHABLE = 3
    """The broker cannot be reached, or does not let us."""
    MISCONFIGURED = 4
    """Settings or the control topic are wrong, or two workers have one `group.instance.id`; trying again without a
    change cannot help."""
    TEMPORARY = 75
    """It failed for a reason that may pass by itself (EX_TEMPFAIL of sysexits.h): try again."""
