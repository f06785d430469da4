"""What the latency scenario asks for."""

from benchmarks.scenarios.latency import AT_ONCE, ECHO, QUIET_LATE_MS, TIMED, notes, targets


def _run(p50_ms: float, p99_ms: float = 0.0, missing: float = 0.0) -> dict[str, float]:
    others = dict.fromkeys(("p90_ms", "p999_ms", "max_ms", "late_p99_ms", "core_percent"), 0.0)
    return {"p50_ms": p50_ms, "p99_ms": p99_ms, "missing": missing, **others}


def test_all_targets_are_met_at_their_bounds() -> None:
    """p50 a millisecond above echo's, p99 twice echo's, and the time-out on top, are just allowed."""
    found = targets({ECHO: _run(1.0, 4.0), AT_ONCE: _run(2.0, 8.0), TIMED: _run(7.0)})

    assert all(target.met for target in found)


def test_each_target_fails_by_its_own_figure() -> None:
    """Each figure past its bound fails one target."""
    good = {ECHO: _run(1.0, 4.0), AT_ONCE: _run(2.0, 8.0), TIMED: _run(7.0)}
    bad = (
        {AT_ONCE: _run(2.5, 8.0)},
        {AT_ONCE: _run(2.0, 8.5)},
        {TIMED: _run(7.5)},
        {TIMED: _run(7.0, missing=1.0)},
    )

    for number, changed in enumerate(bad):
        met = [target.met for target in targets({**good, **changed})]
        assert met == [at != number for at in range(len(bad))]


def test_a_busy_machine_is_told_of() -> None:
    """Where the sender itself could not keep its schedule, the table says that it says little."""
    quiet = {ECHO: _run(1.0), AT_ONCE: _run(2.0), TIMED: _run(7.0)}
    busy = {**quiet, AT_ONCE: {**_run(2.0), "late_p99_ms": QUIET_LATE_MS + 1.5}}

    assert len(notes(busy)) == len(notes(quiet)) + 1
    assert "3.5 ms" in notes(busy)[-1]
