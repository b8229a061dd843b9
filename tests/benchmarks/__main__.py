"""Measure what our handlers cost beside others, and write it down: ``python tests/benchmarks --help``.

Nothing here is a test: a figure that misses its bar is printed as missed, and the exit status stays 0. It is 1
where something could not be measured at all.
"""

import argparse
import datetime
import sys
from pathlib import Path

import many_processes
import memory
import one_process
import seed_test
from machine import describe
from measuring import Course, Duel, Figure, fight, follow
from page import benchmarks_page, readme_with_figures, summary, write_text
from results import Curve, Results, Row
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = "python tests/benchmarks --write"
_FIGURES = (one_process.figure, many_processes.figure, seed_test.figure, memory.figure)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks as the command line says, and return the exit status."""
    options = _parser().parse_args(arguments)
    figures = _chosen(options.only, options.quick)
    if options.write and (options.only or options.quick):
        sys.exit("--write is for a full run: leave out --only and --quick")
    console = Console(stderr=True)
    results = Results.load(options.results) if options.results else _measure(figures, options.directory, console)
    if options.json:
        results.save(options.json)
    if options.write:
        _write(results, figures, options.project)
    _print(results)
    return int(any(row.missing for row in results.rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a short form that only shows that the benchmarks work")
    parser.add_argument("--only", metavar="NAME", action="append", help="this figure only; may be repeated")
    parser.add_argument("--json", metavar="FILE", type=Path, help="save the results there")
    parser.add_argument("--directory", metavar="DIR", help="lay the log files here, to measure its file system")
    parser.add_argument("--write", action="store_true", help="write the page, its plots and the table of the README")
    parser.add_argument("--results", metavar="FILE", type=Path, help="do not measure; take the results from there")
    parser.add_argument("--project", metavar="DIR", type=Path, default=PROJECT, help="where --write finds docs/")
    return parser


def _chosen(names: list[str] | None, quick: bool) -> list[Figure]:
    figures = [figure(quick) for figure in _FIGURES]
    known = [figure.name for figure in figures]
    if unknown := set(names or ()) - set(known):
        sys.exit(f"no figure is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [figure for figure in figures if not names or figure.name in names]


def _measure(figures: list[Figure], directory: str | None, console: Console) -> Results:
    results = Results(datetime.date.today().isoformat(), COMMAND, describe(directory))
    with _progress(console) as progress:
        for figure in figures:
            for duel in figure.duels:
                results.rows.append(_fight(duel, figure, directory, progress))
            for course in figure.courses:
                results.curves.extend(_follow(course, figure, directory, progress))
    return results


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _fight(duel: Duel, figure: Figure, directory: str | None, progress: Progress) -> Row:
    task = progress.add_task(f"{figure.name}: {duel.title} / {duel.against}", total=duel.pairs)
    row = fight(duel, figure.name, directory, lambda: progress.advance(task))
    if row.missing:
        progress.console.print(f"{duel.title} against {duel.against} was not measured: {row.missing}", markup=False)
    return row


def _follow(course: Course, figure: Figure, directory: str | None, progress: Progress) -> list[Curve]:
    task = progress.add_task(f"{figure.name}: {', '.join(course.quantities)}", total=len(course.works))
    return follow(course, figure.name, directory, lambda: progress.advance(task))


def _write(results: Results, figures: list[Figure], project: Path) -> None:
    docs = project / "docs"
    results.save(docs / "benchmarks.json")
    results = Results.load(docs / "benchmarks.json")  # so that the page says what anybody makes of the file
    write_text(docs / "benchmarks.md", benchmarks_page(results, figures))
    readme = project / "README.md"
    if readme.exists():
        write_text(readme, readme_with_figures(readme.read_text(encoding="utf-8"), results))
    from plots import draw  # only here: measuring needs no matplotlib

    draw(results, figures, docs / "images")


def _print(results: Results) -> None:
    console = Console()
    console.print(", ".join(f"{name}: {value}" for name, value in results.machine.items()), markup=False)
    table = Table("what", "against", "ours", "theirs", "ratio", "spread", "bar", "goal", "")
    for row in results.rows:
        table.add_row(*(cell.replace("`", "").replace("**", "") for cell in summary(row)))
    console.print(table)
    for curve in results.curves:
        ends = (f"{label} {points[0][1]:.4g} → {points[-1][1]:.4g}" for label, points in curve.lines.items())
        console.print(f"{curve.title}, {curve.y}: {', '.join(ends)}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
