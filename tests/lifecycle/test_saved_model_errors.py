"""TensorFlow's errors in our words; made up here, because most are hard to bring about."""

import pytest

from lifecycle import errors, saved_model_errors


class OpError(Exception):
    """As TensorFlow's: a canonical code and a message."""

    def __init__(self, error_code: int, message: str) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.message = message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OpError(3, "shapes differ"), errors.InvalidInput),
        (OpError(11, "index 9 is not in [0, 5)"), errors.InvalidInput),
        (TypeError("no array"), errors.InvalidInput),
        (ValueError("setting an array element"), errors.InvalidInput),
        (OpError(13, "Unsupported object type int"), errors.InvalidInput),
        (OpError(8, "OOM when allocating tensor"), errors.OutOfMemory),
        (OpError(1, "Session has been closed."), errors.ExecutionInterrupted),
        (OpError(14, "device went away"), errors.ExecutionInterrupted),
        (MemoryError(), errors.OutOfMemory),
        (OpError(9, "Table not initialized."), errors.ExecutionFailed),
        (OpError(13, "cuDNN failed"), errors.ExecutionFailed),
        (RuntimeError("anything"), errors.ExecutionFailed),
    ],
)
def test_a_failed_call_tells_whose_fault_it_is(error: Exception, kind: type[errors.LifecycleError]) -> None:
    """The requester's, the machine's for the moment, or the model's."""
    assert type(saved_model_errors.run_error(error, "s")) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OpError(15, "checksum does not match"), errors.LoadFailed),
        (OpError(5, "variables.data-00000-of-00001; No such file"), errors.LoadFailed),
        (OpError(8, "OOM when allocating tensor"), errors.LoadFailed),
        (OSError("stale file handle"), errors.LoadFailed),
        (ValueError("The passed save_path is not a valid checkpoint: x"), errors.LoadFailed),
        (OpError(5, "Op type not registered 'Foo' in binary"), errors.InvalidModel),
        (OpError(3, "NodeDef mentions attr 'x' not in Op"), errors.InvalidModel),
        (KeyError("MatMul"), errors.InvalidModel),
    ],
)
def test_a_failed_load_tells_whether_it_may_pass(error: Exception, kind: type[errors.LoadFailed]) -> None:
    """What a complete copy of the files or more memory could heal is tried again."""
    assert type(saved_model_errors.load_error(error)) is kind


def test_a_reason_has_neither_nodes_nor_frames_nor_paths() -> None:
    """The first line that tells something is enough for a requester."""
    message = (
        "Graph execution error:\n\nDetected at node 'dense/MatMul' defined at (most recent call last):\n"
        '  File "/home/somebody/train.py", line 7, in <module>\n'
        "Node: 'dense/MatMul'\n"
        "OOM on /job:localhost/replica:0/device:GPU:0 by GPU_0_bfc, shape[2,3] {{node dense/MatMul}}\n"
        "\t [[{{node dense/MatMul}}]] [Op:__inference_f_1]"
    )

    assert saved_model_errors.shown_reason(OpError(8, message)) == "OOM on by GPU_0_bfc, shape[2,3]"


def test_an_error_without_words_is_named_by_its_class() -> None:
    """There is always something to show."""
    assert saved_model_errors.shown_reason(MemoryError()) == "MemoryError"


def test_an_endless_message_is_cut() -> None:
    """A reply carries a reason, not a dump."""
    assert len(saved_model_errors.shown_reason(ValueError("x" * 5000))) == 300


def fail(error: Exception, cause: Exception | None = None) -> Exception:
    """That error, raised from its cause and caught."""
    with pytest.raises(type(error)) as caught:
        raise error from cause
    return caught.value


def test_frames_are_dropped_along_the_whole_chain() -> None:
    """TensorFlow wraps its errors; each of them would hold a session by its frames."""
    inner = fail(OpError(15, "inner"))
    outer = fail(OpError(15, "outer"), inner)

    saved_model_errors.load_error(outer)

    assert outer.__cause__ is inner
    assert (outer.__traceback__, inner.__traceback__) == (None, None)
