"""The results as pictures: two bars for each row of a figure, and its curves."""

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
from measuring import Figure
from page import curve_name, ratio_of
from results import Curve, Results, Row

_OURS, _THEIRS, _TEXT, _FAINT = "#1f6f8b", "#c9ced4", "#2b2f33", "#8a9096"
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
            drawn.append(_save(_bars(figure, rows), folder / f"benchmarks-{figure.name}.{ending}"))
            for at, curve in enumerate(curve for curve in results.curves if curve.figure == figure.name):
                drawn.append(_save(_lines(curve), folder / f"{curve_name(figure.name, at)}.{ending}"))
    return drawn


def _save(plot: Any, path: Path) -> Path:
    metadata = {"Date": None} if path.suffix == ".svg" else None
    plot.savefig(path, bbox_inches="tight", dpi=110, metadata=metadata)
    plt.close(plot)
    return path


def _bars(figure: Figure, rows: list[Row]) -> Any:
    """Return panels in which every row has a bar for ours and one for the other."""
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
    """Return the rows that share a scale: those of one unit, the much longer bars apart from the others."""
    groups = []
    for unit in dict.fromkeys(row.unit for row in rows):
        shortest = min(_length(row) for row in rows if row.unit == unit)
        for is_long in (False, True):
            group = [row for row in rows if row.unit == unit and (_length(row) > 4 * shortest) == is_long]
            groups += [group] if group else []
    return groups


def _length(row: Row) -> float:
    return max(median(values) if values else 0 for values in (row.ours, row.theirs))


def _panel(panel: Any, unit: str, rows: list[Row]) -> None:
    for at, row in enumerate(rows):
        _bar(panel, at - 0.19, row.ours, _OURS)
        _bar(panel, at + 0.19, row.theirs, _THEIRS)
        if row.ratio is not None:
            end = max(row.ours + row.theirs)
            panel.annotate(ratio_of(row), (end, at), (8, 0), textcoords="offset points", va="center")
    panel.set_yticks(range(len(rows)), [_label(row) for row in rows])
    panel.invert_yaxis()
    panel.margins(x=0.12)
    panel.set_xlim(left=0)
    if panel.get_xlim()[1] > 1:
        panel.locator_params(axis="x", integer=True)
        panel.xaxis.set_major_formatter("{x:,.0f}")
    better = "more" if rows and rows[0].higher_is_better else "less"
    panel.set_xlabel(f"{unit} ({better} is better); dots: the single pairs; ratio: median of the pairs")
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
    plot, panel = plt.subplots(figsize=(8, 2.8), layout="constrained")
    plot.suptitle(curve.title, x=0.01, ha="left", fontweight="bold")
    for at, (label, points) in enumerate(curve.lines.items()):
        x, y = zip(*points, strict=True)
        panel.plot(x, y, marker="o", markersize=4, color=(_OURS, _FAINT)[min(at, 1)], label=label)
        panel.annotate(label, (x[-1], y[-1]), (8, 0), textcoords="offset points", va="center")
    panel.set_xlim(left=0)
    panel.set_ylim(0, 1.2 * max(y for points in curve.lines.values() for _, y in points))
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.set_xlabel(curve.x)
    panel.set_ylabel(curve.y)
    return plot
