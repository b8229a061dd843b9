"""Measure our handlers beside others, and write the results down: ``python tests/benchmarks --help``.

Nothing here is a test: a figure that misses its bar is printed as missed, and the exit status stays 0. It is 1
where something could not be measured at all.
"""

import argparse
import datetime
import sys
from pathlib import Path

import backup_counts
import by_size
import collector_formats
import collector_outage
import collector_query
import javascript_page
import longest_call
import many_processes
import memory
import one_process
import process_counts
import seed_test
from machine import describe
from measuring import Course, Duel, Figure, fight, follow, judged
from page import benchmarks_page, comparison, readme_with_figures, summary
from results import Curve, Results, Row
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import background
import collector
import health
import javascript

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = "python tests/benchmarks --write"
RESULTS = Path("docs", "benchmarks.json")
_FIGURES = (
    one_process.figure,
    by_size.figure,
    many_processes.figure,
    process_counts.figure,
    backup_counts.figure,
    longest_call.figure,
    background.figure,
    seed_test.figure,
    memory.figure,
    collector.figure,
    collector_formats.figure,
    collector_query.figure,
    collector_outage.figure,
    javascript.figure,
    javascript_page.figure,
    health.figure,
)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks as the command line says, and return the exit status."""
    options = _parser().parse_args(arguments)
    figures = _chosen(options.only, options.quick)
    if options.check:
        return _check(figures, options.project)
    results = Results.load(options.results) if options.results else _measure(figures, options)
    if options.json:
        results.save(options.json)
    if options.write:
        _write(results, options.project)
    _print(judged(results, figures))
    return int(any(part.missing for part in (*results.rows, *results.curves)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a short form that only shows that the benchmarks work")
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        help="only these figures, separated by commas; --write keeps the others",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="save the results there")
    parser.add_argument("--directory", metavar="DIR", help="lay the log files here, to measure its file system")
    parser.add_argument("--write", action="store_true", help="write the page, its plots and the table of the README")
    parser.add_argument("--results", metavar="FILE", type=Path, help="do not measure; take the results from there")
    parser.add_argument("--check", action="store_true", help="say whether page and README are what the results make")
    parser.add_argument("--project", metavar="DIR", type=Path, default=PROJECT, help="where docs/ and README.md are")
    return parser


def _chosen(names: list[str] | None, quick: bool) -> list[Figure]:
    figures = [figure(quick) for figure in _FIGURES]
    known = [figure.name for figure in figures]
    names = [name for given in names or () for name in given.split(",")]
    if unknown := set(names) - set(known):
        sys.exit(f"no figure is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return [figure for figure in figures if not names or figure.name in names]


def _measure(figures: list[Figure], options: argparse.Namespace) -> Results:
    directory = options.directory
    results = Results(datetime.date.today().isoformat(), COMMAND, options.quick, describe(directory))
    with _progress() as progress:
        for figure in figures:
            for duel in figure.duels:
                results.rows.extend(_fight(duel, figure, directory, progress))
            for course in figure.courses:
                results.curves.extend(_follow(course, figure, directory, progress))
    return results


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def _fight(duel: Duel, figure: Figure, directory: str | None, progress: Progress) -> list[Row]:
    task = progress.add_task(f"{figure.name}: {duel.title} / {duel.against}", total=duel.pairs)
    rows = fight(duel, figure.name, directory, lambda: progress.advance(task))
    for row in rows:
        progress.console.print(f"{row.title}, against {row.against}: {_outcome(row)}", markup=False)
    return rows


def _outcome(row: Row) -> str:
    return f"not measured: {row.missing}" if row.missing else f"{comparison(row)} {row.verdict}"


def _follow(course: Course, figure: Figure, directory: str | None, progress: Progress) -> list[Curve]:
    task = progress.add_task(f"{figure.name}: {', '.join(course.quantities)}", total=len(course.works) * course.rounds)
    return follow(course, figure.name, directory, lambda: progress.advance(task))


def _write(results: Results, project: Path) -> None:
    from plots import draw  # only here: measuring needs no matplotlib

    if results.quick:
        sys.exit("the quick form is too short to be written down; leave out --quick")
    figures = _chosen([], quick=False)
    if not all(results.has(figure.name) for figure in figures):
        try:
            results = results.with_earlier(Results.load(project / RESULTS))
        except ValueError as error:
            sys.exit(f"measure all figures, without --only: those of {RESULTS} are from another machine ({error})")
    results.save(project / RESULTS)
    results = Results.load(project / RESULTS)  # so that the page shows exactly what the file contains
    for path, text in _texts(results, figures, project).items():
        path.write_text(text, encoding="utf-8")
    draw(results, figures, project / "docs" / "images")


def _check(figures: list[Figure], project: Path) -> int:
    results = Results.load(project / RESULTS)
    texts = _texts(results, figures, project)
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path} is not what {RESULTS} makes: {COMMAND} --results {RESULTS}")
    _judge(results, figures)
    return int(bool(stale))


def _judge(results: Results, figures: list[Figure]) -> None:
    """Print which bars are met and missed, and which figures are not measured yet."""
    for row in judged(results, figures).rows:
        if row.bar is not None or row.missing:
            print(f"{row.title}, against {row.against}: {_outcome(row)}")
    for figure in figures:
        if not results.has(figure.name):
            print(f"{figure.name}: not measured yet: {COMMAND}")


def _texts(results: Results, figures: list[Figure], project: Path) -> dict[Path, str]:
    """Return the generated texts by the path of their file."""
    results = judged(results, figures)
    texts = {project / "docs" / "benchmarks.md": benchmarks_page(results, figures)}
    readme = project / "README.md"
    if readme.exists():
        texts[readme] = readme_with_figures(readme.read_text(encoding="utf-8"), results)
    return texts


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
        for label, reason in curve.missing.items():
            console.print(f"{curve.title}, {label}: not measured: {reason}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
