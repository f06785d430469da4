"""Says in the log what becomes of versions: the line that an operator looks for after `models set`."""

import logging

from lifecycle.servable_state import ServableEvent, ServableState

log = logging.getLogger(__name__)

EVENTS = {
    ServableState.LOADING: "version loading",
    ServableState.AVAILABLE: "version available",
    ServableState.UNLOADING: "version on its way out; requests that have it may finish",
    ServableState.END: "version unloaded",
}


def log_event(event: ServableEvent) -> None:
    """A subscriber of the manager's bus; any thread, does not block."""
    facts = {"model": event.id.name, "version": event.id.version}
    if event.error is not None:
        log.error("version failed; what else serves goes on", extra={**facts, "problem": str(event.error)})
    elif event.state in EVENTS:
        log.info(EVENTS[event.state], extra=facts)
