"""How a prediction fails, as the caller of `worker.client` sees it: one tree, with the codes of the wire."""

from schemas.errors import Code


class PredictError(Exception):
    """A request without a prediction: by the worker's own code and message, or see the subclasses.

    `version` is the version that answered, None where none did.
    """

    def __init__(self, code: int, message: str, *, model: str, version: int | None = None) -> None:
        self.code = _code(code)
        self.message = message
        self.model = model
        self.version = version
        super().__init__(f"{self.code.name}: {message}")


class NoReply(PredictError, TimeoutError):
    """No reply came in time. The request may still be read and answered; nobody waits for that answer."""

    def __init__(self, model: str, timeout_seconds: float, request_topic: str) -> None:
        message = f"no reply within {timeout_seconds:g} s to a request for '{model}' on '{request_topic}'"
        super().__init__(Code.DEADLINE_EXCEEDED, message, model=model)


class NotSent(PredictError):
    """Kafka did not take the request, so no worker has seen it; the cause is chained where there is one."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(Code.UNAVAILABLE, f"the request was not sent: {reason}", model=model)


class ClientClosed(PredictError):
    """The client was closed, or had to stop, while the request was outstanding or before it was made."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(Code.CANCELLED, reason, model=model)


def _code(number: int) -> Code:
    """A code by its number; one that a newer worker invented counts as UNKNOWN."""
    try:
        return Code(number)
    except ValueError:
        return Code.UNKNOWN
