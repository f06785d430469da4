"""Lookup tables beside their peers: every contender answers rightly, and the figures follow from the runs."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import lookup_peers
from benchmarks.scenario import Options
from benchmarks.scenarios import lookup_table
from benchmarks.scenarios.lookup_table import BLOCKS, KINDS, Asked, Kind, Run


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_contender_answers_rightly(tmp_path: Path, kind: Kind) -> None:
    """`contenders` compares them, and each run looks up as many keys as it says."""
    vectors = lookup_table.make_versions(tmp_path, kind, 2000)

    contenders = lookup_table.contenders(tmp_path, Asked(kind, 2000, BLOCKS[-1]), vectors)

    assert len(contenders) == len(BLOCKS) + 3
    assert {run().lookups for run in contenders.values()} == {BLOCKS[-1]}


def test_a_wrong_answer_is_noticed() -> None:
    """So that nobody measures a table that finds nothing."""
    kind = KINDS[0]
    vectors = np.ones((1000, 4), np.float32)
    wrong = lookup_peers.in_dict(kind.keys(np.arange(1000)), vectors * 2)

    with pytest.raises(AssertionError, match="a table of int64 keys answers wrongly"):
        lookup_table.check(Asked(kind, 1000, 1000), wrong, vectors)


def test_it_runs_at_a_small_scale() -> None:
    """Every line has its figures, every target its measurement."""
    outcome = lookup_table.run(Options(rounds=1, scale=1e-4))

    assert len(outcome.lines) == len(KINDS) * (len(BLOCKS) + 3)
    assert all(line.values["lookups_per_second"] > 0 for line in outcome.lines)
    assert len(outcome.targets) == len(KINDS) * len(BLOCKS)
    assert outcome.settings["keys"] == 1000


def test_a_summary_is_of_medians() -> None:
    """Of the CPU time of a look-up."""
    found = lookup_table.summary([Run(1000, 0.001), Run(1000, 0.0005), Run(1000, 0.003)])

    assert found["ns"] == 1000
    assert round(found["lookups_per_second"]) == 1_000_000
    assert round(found["spread"], 9) == 2.5
