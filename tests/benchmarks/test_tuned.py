"""What the scenario of tuned options asks for, and how it says what was chosen."""

from benchmarks.dense_model import INPUTS
from benchmarks.load import values
from benchmarks.scenarios.tuned import COMPILED, DEFAULTS, DEMO, TUNED, is_default, said, targets
from schemas import codec
from schemas.model_config import BatchingOptions
from schemas.predict_request import PredictRequest


def _line(rate: float, p99_ms: float, missing: float = 0.0) -> dict[str, float]:
    return {"records_per_second": rate, "p99_ms": p99_ms, "missing": missing}


GOOD = {
    f"{model}, {what}": [_line(*figures)] * 3
    for model in (DEMO, COMPILED)
    for what, figures in ((DEFAULTS, (1000.0, 10.0)), (TUNED, (950.0, 11.0)))
}


def test_each_target_fails_by_its_own_figure() -> None:
    """All are met at their bounds; each figure past its bound fails one."""
    both = (DEMO, COMPILED)
    assert all(target.met for target in targets(GOOD, both))
    bad = (
        {f"{DEMO}, {TUNED}": _line(900.0, 10.0)},
        {f"{DEMO}, {TUNED}": _line(1000.0, 12.0)},
        {f"{COMPILED}, {TUNED}": _line(900.0, 10.0)},
        {f"{COMPILED}, {TUNED}": _line(1000.0, 12.0)},
        {f"{COMPILED}, {DEFAULTS}": _line(1000.0, 10.0, missing=1.0)},
    )
    for number, changed in enumerate(bad):
        worse = {name: [GOOD[name][0], figures, figures] for name, figures in changed.items()}
        met = [target.met for target in targets({**GOOD, **worse}, both)]
        assert met == [at != number for at in range(len(bad))]


def test_rounds_are_compared_each_with_itself() -> None:
    """A machine that is slow for a round is so for both; and one round that differs decides nothing."""
    rounds = {
        f"{COMPILED}, {DEFAULTS}": [_line(100.0, 90.0), _line(1000.0, 10.0), _line(1000.0, 10.0)],
        f"{COMPILED}, {TUNED}": [_line(100.0, 90.0), _line(1000.0, 10.0), _line(10.0, 1000.0)],
    }
    assert [target.measured for target in targets(rounds, [COMPILED])] == [1.0, 1.0, 0.0]


def test_what_is_chosen_may_be_the_defaults() -> None:
    """Then there is nothing to compare."""
    assert is_default(BatchingOptions(1024, 0.0, ()))
    for other in (
        BatchingOptions(512, 0.0, ()),
        BatchingOptions(1024, 0.1, ()),
        BatchingOptions(1024, 0.0, (1024,)),
    ):
        assert not is_default(other)


def test_options_are_said_as_a_person_would() -> None:
    """Sizes by name, or that there are none."""
    assert said(BatchingOptions(1024, 0.0, ())) == "1,024 rows, a wait of 0 ms, any size"
    assert said(BatchingOptions(64, 0.0025, (1, 64))) == "64 rows, a wait of 2.5 ms, sizes 1, 64"


def test_requests_have_the_input_that_the_model_names() -> None:
    """The demo's model calls its floats otherwise than the benchmarks' own."""
    (chunk,) = values(2, "pixels")
    for value in chunk:
        (tensor,) = codec.decode(value, PredictRequest).inputs
        assert (tensor.name, tensor.to_numpy().shape) == ("pixels", (1, INPUTS))
