"""The small model's latency while a thousand others are applied and load, beside the same minutes without.

Their loads take about a millisecond each, so that what is left is the way of a thousand records: control topic,
manager, status topic.
"""

from collections.abc import Mapping

from benchmarks import beside_loads, many_models
from benchmarks.beside_loads import LOADING, QUIET
from benchmarks.latency_figures import Figures
from benchmarks.many_models import SMALL_MODELS, SMALL_SETTLED
from benchmarks.scenario import Options, Outcome, Target
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
        targets,
        {"seconds": seconds, "models": SMALL_MODELS},
        (
            f"Loading: {SMALL_MODELS:,} models of one NumPy layer, set by one `headrace models apply`.",
            "They are removed once all are available.",
            "A load counts from the command until the status topic says that each model is available.",
        ),
    )


def targets(figures_of: Mapping[str, Figures]) -> list[Target]:
    """That there is no pause in serving, by medians by kind of phase.

    A thousand models take the core for seconds, so that everything is later; that no request waits for all of them is
    what is asked.
    """
    quiet, loading = figures_of[QUIET], figures_of[LOADING]
    return [
        Target(
            "the largest latency while loading by the quiet one", loading["max_ms"] / quiet["max_ms"], 5.0
        ),
        Target("replies missing", quiet["missing"] + loading["missing"], 0.0),
    ]
