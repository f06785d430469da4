"""The plot of `headrace tune`: throughput and run times over the rows of a batch."""

import importlib.util
from pathlib import Path

import click

from worker.commands.failure import CommandFailedError
from worker.commands.tune_views import Tuned

FORMS = (".png", ".svg", ".pdf")
DOTS_PER_INCH = 130


def check_can_draw(path: Path) -> None:
    """Say so before anything is measured when the plot could not be written.

    Raises:
        BadParameter: the name says no form that can be drawn, or its folder is not there.
        CommandFailedError: the library that draws is not installed.
    """
    if path.suffix.lower() not in FORMS:
        raise click.BadParameter(f"{path} should end in {', '.join(FORMS)}", param_hint="--plot")
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.absolute().parent}", param_hint="--plot")
    if importlib.util.find_spec("matplotlib") is None:
        raise CommandFailedError("--plot needs matplotlib, which is not installed: pip install matplotlib")


def draw(tuned: Tuned, path: Path) -> None:
    """Write the plot. Raises OSError when it cannot be written."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - only who wants a plot needs the library

    costs = tuned.measured.costs
    rows = [each.rows for each in costs]
    figure = Figure(figsize=(8, 6), layout="constrained")
    throughput, times = figure.subplots(2, 1, sharex=True)
    throughput.plot(rows, [each.rows_per_second for each in costs], marker="o")
    throughput.set_ylabel("rows/s")
    throughput.set_ylim(bottom=0)
    throughput.yaxis.set_major_formatter("{x:,.0f}")
    times.plot(rows, [each.seconds * 1000 for each in costs], marker="o", label="median")
    times.plot(rows, [each.p99_seconds * 1000 for each in costs], marker="o", label="p99")
    if tuned.p99_ms is not None:
        times.axhline(tuned.p99_ms / 2, linestyle=":", color="black", label="half of the p99 to keep")
    times.set_ylabel("ms a batch")
    times.set_yscale("log")
    times.yaxis.set_major_formatter("{x:g}")
    times.set_xscale("log", base=2)
    times.set_xticks(rows, labels=[f"{each:,}" for each in rows])
    times.set_xlabel("rows of a batch")
    if tuned.advice is not None:
        for axes in (throughput, times):
            axes.axvline(tuned.advice.max_batch_rows, linestyle="--", color="grey")
    times.legend()
    chosen = "" if tuned.advice is None else f": max_batch_rows {tuned.advice.max_batch_rows:,}"
    figure.suptitle(f"{tuned.model} version {tuned.version}, {tuned.signature}{chosen}")
    figure.savefig(path, dpi=DOTS_PER_INCH)
