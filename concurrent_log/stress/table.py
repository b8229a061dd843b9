"""The output of a stress test on a terminal: a progress bar while it runs, then a table."""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from concurrent_log.stress.runner import Result

_ROWS: tuple[tuple[str, Callable[[Result], int], bool], ...] = (
    ("records", lambda result: result.tally.expected, False),
    ("found", lambda result: result.tally.found, False),
    ("lost", lambda result: result.tally.lost, True),
    ("duplicated", lambda result: result.tally.duplicated, True),
    ("torn", lambda result: result.tally.torn, True),
    ("wrong period", lambda result: result.tally.misplaced, True),
    ("out of order", lambda result: result.tally.out_of_order, True),
    ("never logged", lambda result: result.tally.unknown, True),
    ("errors reported", lambda result: result.errors.total(), True),
    ("workers killed", lambda result: result.killed, False),
    ("unacknowledged", lambda result: result.tally.unacknowledged, False),
    ("files", lambda result: result.tally.files, False),
    ("rollovers", lambda result: result.tally.rollovers, False),
    ("records per second", lambda result: round(result.records_per_second), False),
)


@contextlib.contextmanager
def progress_bar(title: str, records: int) -> Iterator[Callable[[int], None]]:
    """Show a bar for the body of a ``with`` statement, and yield a function that sets the number of written records."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    # Refreshed explicitly: a refreshing thread would make every fork of this process unsafe.
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, auto_refresh=False, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(title, total=records)

        def move(done: int) -> None:
            progress.update(task, completed=done, refresh=True)

        yield move


def show(results: Sequence[Result], title: str) -> None:
    """Print one column for each result, with wrong numbers in red and a verdict at the bottom."""
    console = Console()
    table = Table(show_footer=True)
    table.add_column("", footer="verdict")
    for result in results:
        table.add_column(_heading(result.handler), justify="right", footer=_verdict(result))
    for name, value, is_wrong in _ROWS:
        table.add_row(name, *(_number(value(result), is_wrong) for result in results))
    console.print(title, highlight=False)
    console.print(table)
    for result in results:
        for error, times in result.errors.most_common(3):
            console.print(f"{result.handler} reported {times:,} times: {error}", markup=False, highlight=False)


def _heading(handler: str) -> str:
    """Return the package and the class name, in short lines."""
    package, _, _ = handler.partition(".")
    name = handler.rpartition(".")[2]
    return f"{package}\n" + re.sub(r"(?<!^)(?=TimedRotating|(?<!Timed)Rotating|FileHandler)", "\n", name)


def _verdict(result: Result) -> Text:
    if result.tally.ok:
        return Text("nothing is wrong", style="bold green")
    return Text("lost records" if result.tally.lost else "something is wrong", style="bold red")


def _number(value: int, is_wrong: bool) -> Text:
    return Text(f"{value:,}", style="bold red" if is_wrong and value else "")
