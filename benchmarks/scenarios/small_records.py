"""Small records without headers: 64 floats in, 10 out."""

from benchmarks.scenario import Options, Outcome
from benchmarks.side_by_side import Bounds, measure

NAME = "small_records"
TITLE = "Small records: 64 floats in, 10 out"


def run(options: Options) -> Outcome:
    """Echo, hand loop and headrace in turn."""
    return measure(options, Bounds(), headers=False)
