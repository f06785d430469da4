"""The small model's latency while a thousand others are applied and load, beside the same minutes without.

Their loads take about a millisecond each, so that what is left is the way of a thousand records: control topic,
manager, status topic.
"""

from benchmarks import beside_loads, many_models
from benchmarks.many_models import SMALL_MODELS, SMALL_SETTLED
from benchmarks.scenario import Options, Outcome
from benchmarks.scenarios import apply_tail

NAME = "apply_thousand"
TITLE = (
    f"Latency at 1,000 requests a second while {SMALL_MODELS:,} models are applied and load, again and again"
)


def run(options: Options) -> Outcome:
    """One worker; phases without and with loads in turn."""
    seconds = apply_tail.MEASURED_SECONDS * options.scale
    return beside_loads.outcome(
        apply_tail.phases(many_models.export_small, "numpy", SMALL_SETTLED, seconds, options.rounds),
        apply_tail.targets,
        {"seconds": seconds, "models": SMALL_MODELS},
        (
            f"Loading: {SMALL_MODELS:,} models of one NumPy layer, set by one `headrace models apply`.",
            "They are removed once all are available.",
            "A load counts from the command until the status topic says that each model is available.",
        ),
    )
