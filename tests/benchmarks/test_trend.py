"""The slope of a line through samples, and how sure it is."""

import numpy as np
import pytest

from benchmarks.trend import PARTS, trend

SECONDS = np.arange(1800.0)


def test_a_straight_line_has_its_slope_and_no_uncertainty() -> None:
    """In the units of its times and values."""
    found = trend((SECONDS / 3600).tolist(), (200 + 12.5 * SECONDS / 3600).tolist())

    assert found.slope == pytest.approx(12.5)
    assert found.uncertainty == pytest.approx(0.0, abs=1e-6)


def test_what_stands_still_has_no_slope() -> None:
    """Not even an uncertain one."""
    found = trend(SECONDS.tolist(), [300.0] * len(SECONDS))

    assert (found.slope, found.uncertainty) == (0.0, 0.0)


def test_noise_is_uncertainty_and_no_slope() -> None:
    """The true slope lies within what is given or taken in about 19 of 20 runs, where samples follow each other too."""
    within = 0
    for seed in range(200):
        # Each value stands for a tenth of a part: samples a second apart are not evidence each.
        steps = np.random.default_rng(seed).standard_normal(10 * PARTS)
        found = trend(SECONDS.tolist(), (0.5 * SECONDS + np.repeat(steps, 9)).tolist())
        within += abs(found.slope - 0.5) <= found.uncertainty

    assert 180 <= within <= 198


def test_growth_that_is_there_is_seen_through_noise() -> None:
    """A leak of 30 MiB an hour beside memory that goes up and down by 2 MiB."""
    noise = 2 * np.random.default_rng(1).standard_normal(len(SECONDS))

    found = trend((SECONDS / 3600).tolist(), (30 * SECONDS / 3600 + noise).tolist())

    assert found.slope - found.uncertainty > 20


def test_too_few_samples_are_refused() -> None:
    """A line through them would say nothing."""
    with pytest.raises(ValueError, match="39 times"):
        trend([0.0] * 39, [0.0] * 39)
