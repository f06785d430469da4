"""TensorFlow's errors in this package's words.

Nothing here imports TensorFlow: its errors are known by their `error_code` (the canonical integers) and
`message`. The original is chained as the cause; the new message keeps the first line that tells something and
loses node names, graph frames and paths, because it may be sent to whoever made the request.
"""

import logging
import re

from lifecycle import errors

_log = logging.getLogger(__name__)

_CANCELLED, _INVALID_ARGUMENT, _DEADLINE_EXCEEDED = 1, 3, 4
_RESOURCE_EXHAUSTED, _FAILED_PRECONDITION, _ABORTED = 8, 9, 10
_OUT_OF_RANGE, _UNIMPLEMENTED, _UNAVAILABLE = 11, 12, 14

_PASSING = {_CANCELLED, _DEADLINE_EXCEEDED, _ABORTED, _UNAVAILABLE}
_REFUSED_INPUT = {_INVALID_ARGUMENT, _OUT_OF_RANGE}
_WRONG_MODEL = {_INVALID_ARGUMENT, _FAILED_PRECONDITION, _UNIMPLEMENTED}

_NOISE = re.compile(r"\{\{.*?\}\}|\[\[.*?\]\]|(?<![\w.])(?:/[\w.\-:+@]+){2,}")
_HEADINGS = ("Graph execution error", "Detected at node", "File ", "Defined at", "Original stack", "Node:")
_LONGEST_REASON = 300


def run_error(error: Exception, signature: str) -> errors.LifecycleError:
    """What a failed call of that signature means; raise the result from the original."""
    code = getattr(error, "error_code", None)
    what = f"signature {signature!r}"
    reason = shown_reason(error)
    if code in _REFUSED_INPUT or isinstance(error, TypeError | ValueError) or "Unsupported object" in reason:
        return errors.InvalidInput(f"{what} refused its inputs: {reason}")
    if code == _RESOURCE_EXHAUSTED or isinstance(error, MemoryError):
        return errors.OutOfMemory(f"{what} ran out of memory: {reason}")
    if code in _PASSING:
        return errors.ExecutionInterrupted(f"{what} was not run to its end: {reason}")
    return errors.ExecutionFailed(f"{what} failed: {reason}")


def load_error(error: Exception) -> errors.LoadFailed:
    """What a failed load means; raise the result from the original.

    The frames of the original are dropped, once they are logged for debugging: an error that is kept for a
    status would keep a whole session.
    """
    _log.debug("a SavedModel could not be loaded", exc_info=error)
    _forget_frames(error)
    reason = shown_reason(error)
    if "not a valid checkpoint" in str(error):
        return errors.LoadFailed(
            "the variables of the SavedModel are missing; is the model still being written?"
        )
    if "Op type not registered" in str(error):
        return errors.InvalidModel(f"the SavedModel needs an operation that this TensorFlow lacks: {reason}")
    code = getattr(error, "error_code", None)
    if code in _WRONG_MODEL or isinstance(error, ValueError | TypeError | KeyError):
        return errors.InvalidModel(f"the SavedModel is refused by TensorFlow: {reason}")
    return errors.LoadFailed(f"the SavedModel could not be loaded: {reason}")


def _forget_frames(error: BaseException | None) -> None:
    # TensorFlow's frames hold the session in closures, which traceback.clear_frames does not reach.
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def shown_reason(error: BaseException) -> str:
    """The first line of an error that tells something, without nodes, frames and paths."""
    text = getattr(error, "message", None) or str(error)
    for line in str(text).splitlines():
        if line.strip().startswith(_HEADINGS):
            continue
        reason = " ".join(_NOISE.sub(" ", line).split())
        if reason:
            return reason[:_LONGEST_REASON]
    return type(error).__name__
