"""The same small records, with a reply topic and a correlation id of its own in each record's headers."""

from benchmarks.scenario import Options, Outcome
from benchmarks.side_by_side import Bounds, measure

NAME = "with_headers"
TITLE = "Small records with a reply topic and a correlation id in their headers"


def run(options: Options) -> Outcome:
    """Echo, hand loop and headrace in turn; all of them copy the headers to the replies."""
    return measure(options, Bounds(cost_by_hand_loop=0.3, rate_by_hand_loop=None), headers=True)
