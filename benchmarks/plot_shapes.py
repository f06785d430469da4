"""The shapes of plots: bars, sizes, percentiles, time. Light, few lines, colours that the colour-blind can tell apart.

The colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/).
"""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl

mpl.use("Agg")  # draws to files, on machines without a display

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, ScalarFormatter

OWN, PEER = "#0072B2", "#B0B0B0"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
DASHES = ("-", "--", "-.", ":")
WIDTH_INCHES = 8.0
TITLE_CHARACTERS = 74


def canvas(title: str, height_inches: float = 4.2) -> tuple[Figure, Axes]:
    """An empty plot; its title says what it shows."""
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    wrapped = textwrap.fill(title, TITLE_CHARACTERS)
    figure.suptitle(wrapped, x=0.01, ha="left", fontsize=12, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=10)
    return figure, axes


def bars(
    title: str, values: Mapping[str, float], unit: str, form: str = ",.2f", own: Sequence[str] = ("headrace",)
) -> Figure:
    """A bar for each name, the first on top, with its value at its end; those of *own* stand out."""
    figure, axes = canvas(title, 1.6 + 0.45 * len(values))
    names = list(values)
    colours = [OWN if name in own else PEER for name in names]
    drawn = axes.barh(range(len(names)), list(values.values()), color=colours, height=0.68)
    labels = [format(value, form) for value in values.values()]
    axes.bar_label(drawn, labels=labels, padding=4, fontsize=10)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(unit, fontsize=10)
    axes.tick_params(axis="y", length=0)
    return figure


def sizes(title: str, values: Mapping[int, float], size: str, unit: str, *, within: float) -> Figure:
    """A value by size, each twice or more the one before; the band is *within* that share of the first."""
    figure, axes = canvas(title)
    numbers, heights = list(values), list(values.values())
    first = heights[0]
    low, high = first * (1 - within), first * (1 + within)
    axes.axhspan(low, high, color=PEER, alpha=0.3, lw=0, label=f"within {within:.0%} of the first")
    axes.plot(numbers, heights, color=OWN, marker="o", lw=2)
    for number, height in values.items():
        axes.annotate(f"{height:.2f}", (number, height), (0, 9), textcoords="offset points", ha="center")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(numbers))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, max(*heights, high) * 1.2)
    axes.set_xlabel(size, fontsize=10)
    axes.set_ylabel(unit, fontsize=10)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def percentiles(title: str, shares: Sequence[float], curves: Mapping[str, Sequence[float]]) -> Figure:
    """Latency by percentile, drawn as one request in so many, so that the tail has as much room as the rest."""
    figure, axes = canvas(title)
    shown = [n for n, share in enumerate(shares) if 0 < share < 100]
    one_in = [1 / (1 - shares[n] / 100) for n in shown]
    for number, (name, curve) in enumerate(curves.items()):
        colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        axes.plot(one_in, [curve[n] for n in shown], label=name, color=colour, ls=dashes, lw=2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    marks = {2: "p50", 10: "p90", 100: "p99", 1000: "p99.9", 10000: "p99.99"}
    named = [mark for mark in marks if mark <= max(one_in) * 1.001]
    axes.xaxis.set_major_locator(FixedLocator(named))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: marks.get(round(value), "")))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(1.5, max(one_in))
    axes.grid(visible=True, color="#E5E5E5", lw=0.8)
    axes.set_xlabel("percentile", fontsize=10)
    axes.set_ylabel("latency, ms", fontsize=10)
    axes.legend(frameon=False, fontsize=10)
    return figure


def over_time(
    title: str, seconds: Sequence[float], curves: Mapping[str, Sequence[float]], unit: str
) -> Figure:
    """Values over time, on a logarithmic scale; the last curve stands out."""
    figure, axes = canvas(title)
    for number, (name, curve) in enumerate(curves.items()):
        last = number == len(curves) - 1
        colour = COLOURS[3] if last else COLOURS[number]
        axes.plot(seconds[: len(curve)], curve, label=name, color=colour, lw=1.0, alpha=0.9)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(
        FuncFormatter(lambda value, _: f"{value:g}" if f"{value:g}"[0] in "25" else "")
    )
    axes.grid(visible=True, axis="y", color="#E5E5E5", lw=0.8)
    axes.set_xlabel("seconds", fontsize=10)
    axes.set_ylabel(unit, fontsize=10)
    axes.legend(frameon=False, fontsize=10, loc="upper right")
    return figure


def steps(title: str, curves: Sequence[Sequence[float]], step: str, unit: str) -> Figure:
    """Values step by step, from 0, one line for each run."""
    figure, axes = canvas(title)
    for curve in curves:
        axes.plot(range(1, len(curve) + 1), curve, color=OWN, marker="o", ms=4, lw=1.5, alpha=0.7)
    axes.set_ylim(0, max(map(max, curves)) * 1.2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(step, fontsize=10)
    axes.set_ylabel(unit, fontsize=10)
    return figure


def panels(
    title: str,
    curves: Mapping[str, Mapping[str, Sequence[float]]],
    at: Sequence[float],
    labels: tuple[str, str],
    columns: int = 3,
) -> Figure:
    """Small plots side by side, with the same curves over the same places in each; the last curve stands out.

    *curves* are by panel and by name; *labels* are those of the two axes.
    """
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(WIDTH_INCHES, 1.4 + 1.7 * rows), layout="constrained", facecolor="white")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    wrapped = textwrap.fill(title, TITLE_CHARACTERS)
    figure.suptitle(wrapped, x=0.01, ha="left", fontsize=12, fontweight="bold")
    for axes in grid.flat[len(curves) :]:
        axes.set_visible(False)
    for axes, (name, of_panel) in zip(grid.flat, curves.items(), strict=False):
        others = iter(COLOURS[1:])
        for number, (curve, values) in enumerate(of_panel.items(), 1):
            last = number == len(of_panel)
            colour, marker = (OWN, "o") if last else (next(others), "s^"[number % 2])
            axes.plot(at, values, label=curve, color=colour, marker=marker, ms=4, lw=2 if last else 1.5)
        axes.set_title(name, fontsize=9)
        axes.xaxis.set_major_locator(FixedLocator(at))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, axis="y", color="#E5E5E5", lw=0.8)
        axes.tick_params(labelsize=8)
    for axes in grid[-1]:
        axes.set_xlabel(labels[0], fontsize=8)
    for axes in grid[:, 0]:
        axes.set_ylabel(labels[1], fontsize=8)
    lines, names = grid.flat[0].get_legend_handles_labels()
    figure.legend(lines, names, frameon=False, fontsize=9, loc="outside lower center", ncols=len(names))
    return figure
