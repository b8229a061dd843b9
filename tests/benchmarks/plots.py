"""Plots of the results: two bars for each row of a figure, and its curves."""

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator
from measuring import Figure
from page import comparison, curve_name
from results import Curve, Results, Row

_OURS, _THEIRS, _TEXT, _FAINT = "#1f6f8b", "#c9ced4", "#2b2f33", "#8a9096"
# Colours that people with colour blindness can distinguish, and markers for printing without colour.
_OF_OURS = ((_OURS, "o"), ("#2f8fd0", "s"), ("#0b3c5d", "^"))
_OF_OTHERS = ((_FAINT, "o"), ("#d55e00", "s"), ("#c28800", "^"), ("#b0679b", "D"))
_LINE_HEIGHT = 13  # points between the labels of two lines
_STYLE: Any = {
    "font.size": 10,
    "font.family": "sans-serif",
    "text.color": _TEXT,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _FAINT,
    "ytick.color": _TEXT,
    "figure.facecolor": "white",
    "svg.fonttype": "path",  # looks the same everywhere
    "svg.hashsalt": "concurrent_log",  # the same numbers make the same file
}


def draw(results: Results, figures: list[Figure], folder: Path, ending: str = "svg") -> list[Path]:
    """Draw all plots into ``folder`` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    plt.switch_backend("agg")  # no display is needed
    with plt.rc_context(_STYLE):
        for figure in figures:
            rows = [row for row in results.rows if row.figure == figure.name]
            if rows:
                drawn.append(_save(_bars(figure, rows), folder / f"benchmarks-{figure.name}.{ending}"))
            for at, curve in enumerate(curve for curve in results.curves if curve.figure == figure.name):
                if curve.lines:
                    drawn.append(_save(_lines(curve), folder / f"{curve_name(figure.name, at)}.{ending}"))
    return drawn


def _save(plot: Any, path: Path) -> Path:
    metadata = {"Date": None} if path.suffix == ".svg" else None
    plot.savefig(path, bbox_inches="tight", dpi=110, metadata=metadata)
    plt.close(plot)
    return path


def _bars(figure: Figure, rows: list[Row]) -> Any:
    """Return panels with two bars for each row: ours and theirs."""
    groups = _groups(rows)
    heights = [len(group) for group in groups]
    plot, panels = plt.subplots(
        len(groups),
        squeeze=False,
        figsize=(8, 0.95 * sum(heights) + 0.75 * len(groups) + 0.3),
        height_ratios=heights,
        layout="constrained",
    )
    plot.suptitle(figure.title, x=0.01, ha="left", fontweight="bold")
    for panel, group in zip(panels[:, 0], groups, strict=True):
        _panel(panel, group[0].unit, group)
    return plot


def _groups(rows: list[Row]) -> list[list[Row]]:
    """Return groups of rows that share a scale: one unit each, with much longer bars in a group of their own."""
    groups = []
    for unit in dict.fromkeys(row.unit for row in rows):
        left = [row for row in rows if row.unit == unit]
        while left:
            shortest = min(map(_length, left))
            groups.append([row for row in left if _length(row) <= 4 * shortest])
            left = [row for row in left if _length(row) > 4 * shortest]
    return groups


def _length(row: Row) -> float:
    return max(median(values) if values else 0 for values in (row.ours, row.theirs))


def _panel(panel: Any, unit: str, rows: list[Row]) -> None:
    for at, row in enumerate(rows):
        _bar(panel, at - 0.19, row.ours, _OURS)
        _bar(panel, at + 0.19, row.theirs, _THEIRS)
        if row.comparison is not None:
            end = max(row.ours + row.theirs)
            panel.annotate(comparison(row), (end, at), (8, 0), textcoords="offset points", va="center")
    panel.set_yticks(range(len(rows)), [_label(row) for row in rows])
    panel.invert_yaxis()
    panel.margins(x=0.12)
    panel.set_xlim(left=0)
    if panel.get_xlim()[1] > 1:
        panel.locator_params(axis="x", integer=True, nbins=6)
        panel.xaxis.set_major_formatter("{x:,.0f}")
    better = "more" if rows and rows[0].higher_is_better else "less"
    compared = " or ".join(dict.fromkeys(row.compared for row in rows))
    panel.set_xlabel(f"{unit} ({better} is better); dots: the single pairs; {compared}: median of the pairs")
    panel.tick_params(axis="y", length=0)


def _bar(panel: Any, y: float, values: list[float], colour: str) -> None:
    if values:
        panel.barh(y, median(values), height=0.36, color=colour)
        if len(values) > 1:
            panel.scatter(values, [y] * len(values), s=7, color=_TEXT, alpha=0.45, linewidths=0, zorder=3)


def _label(row: Row) -> str:
    against = row.against.replace("`", "")
    return f"{row.title.replace('`', '')}\nours, above\n{against}, below"


def _lines(curve: Curve) -> Any:
    many = len(curve.lines) > 2
    plot, panel = plt.subplots(figsize=(8, 4.2 if many else 2.8), layout="constrained")
    plot.suptitle(curve.title, x=0.01, ha="left", fontweight="bold")
    colours = {"ours": iter(_OF_OURS), "theirs": iter(_OF_OTHERS)}
    drawn = []
    for label, points in curve.lines.items():
        side = "ours" if label.startswith("ours") else "theirs"
        colour, marker = next(colours[side])
        x, y = zip(*points, strict=True)
        panel.plot(x, y, marker=marker, markersize=5, color=colour, label=label, zorder=3 if side == "ours" else 2)
        drawn.append((label, x[-1], y[-1], colour if many else _TEXT))
    _axes(panel, curve)
    panel.set_xlabel(curve.x)
    panel.set_ylabel(curve.y)
    _name_lines(plot, panel, drawn)
    return plot


def _axes(panel: Any, curve: Curve) -> None:
    """Scale the axes: from zero, or logarithmic with a tick at each point."""
    points = [point for line in curve.lines.values() for point in line]
    heights = [y for _, y in points]
    if "x" in curve.logarithmic:
        ticks = sorted({x for x, _ in points})
        if 0 in ticks:
            panel.set_xscale("symlog", linthresh=ticks[1])
        else:
            panel.set_xscale("log")
        panel.set_xticks(ticks)
        panel.xaxis.minorticks_off()
    else:
        panel.set_xlim(left=0)
    panel.xaxis.set_major_formatter("{x:,.0f}")
    if "y" in curve.logarithmic:
        panel.set_yscale("log")
        few = max(heights) < 100 * min(heights)
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        panel.yaxis.set_major_formatter("{x:,g}")
        panel.yaxis.set_minor_formatter("")
        panel.grid(axis="y", color=_THEIRS, linewidth=0.5)
    else:
        panel.set_ylim(0, 1.2 * max(heights))
        panel.yaxis.set_major_formatter("{x:,.10g}")


def _name_lines(plot: Any, panel: Any, ends: list[tuple[str, float, float, str]]) -> None:
    """Write the label of each line beside its end, without overlap."""
    plot.canvas.draw()  # only then it is known where a point lies
    lowest = float("-inf")
    for label, x, y, colour in sorted(ends, key=lambda end: end[2]):
        height = panel.transData.transform((x, y))[1] * 72 / plot.dpi
        lowest = max(height, lowest + _LINE_HEIGHT)
        panel.annotate(
            label,
            (x, y),
            (10, lowest - height),
            textcoords="offset points",
            va="center",
            color=colour,
            annotation_clip=False,
        )
