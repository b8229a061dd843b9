"""The results as text: a page of the documentation, and the table of the README."""

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from measuring import Figure
from results import Results, Row

_BLOCK = re.compile(r"(<!-- figures -->\n).*?(<!-- /figures -->)", re.DOTALL)
_TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class ReadmeRow:
    """A row of the results that the README shows.

    Attributes:
        figure: The name of its figure.
        title: Its title.
        against: What ours was compared with.
        text: What was measured, in the words of a user.
        better: What follows the ratio where ours is better.
    """

    figure: str
    title: str
    against: str
    text: str
    better: str = "faster"


_STANDARD = "standard `TimedRotatingFileHandler`"
README_ROWS = (
    ReadmeRow("eight-processes", "8 processes", "concurrent-log-handler", "eight processes write one file"),
    ReadmeRow("by-size", "by size, 8 processes", "concurrent-log-handler", "the same, with files limited by size"),
    ReadmeRow(
        "longest-call",
        "longest call, 100 MB, `use_gzip=True`",
        "concurrent-log-handler with `use_gzip=True`",
        "longest logging call while a backup of 100 MB is compressed",
        "shorter",
    ),
    ReadmeRow(
        "by-size", "by size, one process", "standard `RotatingFileHandler`", "one process, a file limited by size"
    ),
    ReadmeRow("one-process", "typical format, with asctime", _STANDARD, "one process, a file limited by time"),
    ReadmeRow("background", "median of a call, bursts", _STANDARD, "a logging call with `BackgroundHandler`"),
    ReadmeRow(
        "background", "from call to file", "standard `QueueHandler` + `QueueListener`", "from that call to the file"
    ),
    ReadmeRow(
        "collector",
        "lost of a burst of 100,000",
        "log-collector-async 1.1.1, `info()`",
        "records lost when 100,000 are sent to a collector at once",
        "none lost",
    ),
)
_HEAD = ("what", "against", "ours", "theirs", "ratio", "lowest to highest", "bar", "goal", "")


def benchmarks_page(results: Results, figures: Iterable[Figure]) -> str:
    """Return the Markdown of ``docs/benchmarks.md``."""
    machine = "\n".join(f"| {name} | {value} |" for name, value in results.machine.items())
    parts = [_part(results, figure) for figure in figures if results.has(figure.name)]
    page = f"""\
# Benchmarks

See what each part costs before you use it. Every figure names its machine, and the rows in which this project loses
stay on the page.

This page is generated from the results. Measure on your own machine with the command below, in a clone with
`python -m pip install -e '.[benchmarks]'`:

<!-- not run: it takes minutes, and writes this page -->
```console
$ {results.command}
```

{results.date}, on this machine:

| | |
|---|---|
{machine}

Each comparison runs two ways to do the same work in pairs. A pair starts two new processes in a new folder, which work
alternately, so other load on the machine slows down both. A ratio is ours divided by theirs, the median of the pairs;
the next column shows the lowest and the highest ratio of a pair. The *bar* is the promise of this project, and the
*goal* is its aim.

{"".join(parts)}"""
    return page.rstrip() + "\n"


def readme_with_figures(readme: str, results: Results) -> str:
    """Return ``readme`` with a new table between its two markers, or unchanged if it has no markers."""
    table = readme_table(results)
    return _BLOCK.sub(lambda found: f"{found[1]}\n{table}\n{found[2]}", readme)


def readme_table(results: Results) -> str:
    """Return the table of the README: a few rows in the words of a user, with one in which we lose."""
    lines = ["| | compared with | theirs | ours | |", "|---|---|--:|--:|---|"]
    rows = {(row.figure, row.title, row.against): row for row in results.rows}
    for selected in README_ROWS:
        row = rows.get((selected.figure, selected.title, selected.against))
        if row is not None:
            lines.append(_line((selected.text, row.against, *_values(row), _gain(row, selected.better))))
    machine = f"{results.machine['CPU']}, {results.machine['cores']} cores, {results.machine['Python']}, {results.date}"
    return "\n".join(lines) + f"\n\nMeasured on {machine}.\n"


def _values(row: Row) -> tuple[str, str]:
    space = "" if row.unit == "%" else " "
    theirs, ours = (f"{_value(values)}{space}{row.unit}" if values else "" for values in (row.theirs, row.ours))
    return theirs, ours


def _gain(row: Row, better: str) -> str:
    if row.ratio is None:
        return "not measured"
    if row.ratio == 0:
        return f"**{better}**"
    gain = row.ratio if row.higher_is_better else 1 / row.ratio
    if gain < 1:
        return f"{1 / gain - 1:.0%} slower"
    return f"**{gain:.{0 if gain >= 10 else 1}f}{_TIMES} {better}**"


def summary(row: Row) -> tuple[str, ...]:
    """Return the cells of ``row`` for a table, under `_HEAD`."""
    spread = f"{_ratio(min(row.ratios))} … {_ratio(max(row.ratios))}" if len(row.ratios) > 1 else ""
    cells = (_value(row.ours), _value(row.theirs), comparison(row), spread, _limit(row, row.bar), _limit(row, row.goal))
    return (f"{row.title}, {row.unit}", row.against, *cells, _verdict(row))


def _part(results: Results, figure: Figure) -> str:
    rows = [row for row in results.rows if row.figure == figure.name]
    curves = [curve for curve in results.curves if curve.figure == figure.name]
    measured = f" Measured on {results.earlier[figure.name]}." if figure.name in results.earlier else ""
    text = textwrap.fill(figure.text + measured, 120, break_on_hyphens=False)
    lines = [f"## {figure.title}", "", text, ""]
    if rows:
        lines += [_line(_HEAD), "|---|---|--:|--:|--:|--:|--:|--:|---|", *(_line(summary(row)) for row in rows)]
        lines += ["", *(_lost(row) for row in rows if any(row.lost)), *(_plan(row) for row in rows if row.plan)]
        lines += [f"![{figure.title}](images/benchmarks-{figure.name}.svg)", ""]
    for at, curve in enumerate(curves):
        lines += [f"![{curve.title}](images/{curve_name(figure.name, at)}.svg)\n"] if curve.lines else []
        lines += [f"Not measured: {curve.title}, {label}.\n" for label in curve.missing]
    return "\n".join(lines) + "\n"


def curve_name(figure: str, at: int) -> str:
    """Return the name of the file, without its ending, that holds a figure's curve number ``at``."""
    return f"benchmarks-{figure}-{at + 1}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _lost(row: Row) -> str:
    ours, theirs = row.lost
    return f"Most records lost in one run, {row.title}: ours {ours:,}, {row.against} {theirs:,}.\n"


def _plan(row: Row) -> str:
    return f"The plan of *{row.title}*:\n\n```{{code-block}} text\n{row.plan}\n```\n"


def _place(row: Row) -> str:
    return {"one-process": "one process, ", "background": "in the background, ", "collector": "to a collector, "}.get(
        row.figure, ""
    )


def _verdict(row: Row) -> str:
    if row.missing:
        return "not measured"
    return "**missed**" if row.verdict == "missed" else row.verdict


def _value(values: list[float]) -> str:
    if not values:
        return ""
    value = median(values)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def comparison(row: Row) -> str:
    """Return the ratio or the difference of ``row`` as it is printed."""
    return "" if row.comparison is None else _compared(row, row.comparison)


def _limit(row: Row, limit: float | None) -> str:
    if limit is None:
        return ""
    return f"{'≥' if row.higher_is_better else '≤'} {_compared(row, limit)}"


def _compared(row: Row, value: float) -> str:
    return f"{value:+.2f} {row.unit}" if row.compared == "difference" else f"{_ratio(value)}{_TIMES}"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.1g}"
