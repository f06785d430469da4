"""The client library's own log lines, in Python's logging.

librdkafka tells each connection attempt as an error. What an operator has to know comes as a problem as well
(`ConsumerEvents.on_problem`), so its lines are kept one step lower, and warnings about a property that is
meant for another kind of client are debugging.
"""

import logging

from worker.settings_secrets import without_secrets

LOGGER_NAME = "headrace.kafka.client"


class _OneStepLower(logging.Filter):
    """Lowers the level of librdkafka's lines, which lose their secrets; the handlers' levels then decide."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is still wanted at its new level."""
        message = without_secrets(record.getMessage())
        record.msg, record.args = message, ()
        if "CONFWARN" in message or "GETPID" in message:
            record.levelno = logging.DEBUG
        elif record.levelno >= logging.WARNING:
            record.levelno = logging.INFO
        record.levelname = logging.getLevelName(record.levelno)
        return logging.getLogger(record.name).isEnabledFor(record.levelno)


def client_logger() -> logging.Logger:
    """The logger that clients are given; the same each time."""
    logger = logging.getLogger(LOGGER_NAME)
    if not any(isinstance(known, _OneStepLower) for known in logger.filters):
        logger.addFilter(_OneStepLower())
    return logger
