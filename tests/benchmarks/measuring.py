"""Measuring two ways to do the same work in turn, each in a child process of its own.

A machine is never quiet: what runs beside the benchmark slows down whatever is being measured. So nothing is
measured first one and then the other. Each *pair* starts two fresh children and lets them work in turn; what
counts is the median over the pairs of the ratio within a pair.

A child is a figure's file, run as a program with its arguments as JSON. For every line on its standard input
it does the work once, and answers with one line of JSON: ``{"value": …}``, ``"lost"`` where it counted records, and
``"plan"`` where a database says how it did it.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from peers import folder_with
from results import Curve, Results, Row

HERE = Path(__file__).resolve().parent
LONGEST_ROUND = 600.0  # seconds after which a child is taken for stuck


class MeasuringError(Exception):
    """A child could not do its work; the message holds the end of what it wrote to standard error."""


_FAILURES = (MeasuringError, OSError, subprocess.SubprocessError)
_Pair = list[tuple[dict[str, Any], dict[str, Any]]]  # the answers of both, round by round
_Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Work:
    """What a child does: the ``script`` (a file of this folder), and the arguments of its ``prepare``.

    Attributes:
        script: The name of the file.
        arguments: Passed to the function that the script gives to `serve`, besides ``folder``.
        requirement: A package from PyPI that stands before all others on the child's import path.
    """

    script: str
    arguments: dict[str, Any]
    requirement: str = ""


@dataclass(frozen=True)
class Duel:
    """Two works to be measured in turn: ``pairs`` times, with ``rounds`` of work by each in each pair.

    Attributes:
        compared: "ratio", or "difference" where it counts how much more ours is; the bar and the goal are of that.
        further: What else the children answer beside ``value``, by its key: the titles of rows without a bar.
    """

    title: str
    against: str
    unit: str
    ours: Work
    theirs: Work
    pairs: int
    rounds: int = 1
    bar: float | None = None
    goal: float | None = None
    compared: str = "ratio"
    further: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Course:
    """Works whose values are curves: each child's value maps a key of ``quantities`` to its points.

    Attributes:
        quantities: For each key, the title of the plot and what its y axis shows.
        x: What the x axis shows.
        works: The works by the label of their lines.
        rounds: How often each work is done, in turn; a point is the median.
        logarithmic: Which axes are: "x", and keys of ``quantities`` for the y axes of their plots.
    """

    quantities: dict[str, tuple[str, str]]
    x: str
    works: dict[str, Work]
    rounds: int = 1
    logarithmic: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A question, and the measurements that answer it.

    Attributes:
        name: One word or a few with hyphens; also names the plot.
        title: The heading of its part of the page.
        text: What was done, in a few sentences of Markdown.
    """

    name: str
    title: str
    text: str
    duels: list[Duel] = field(default_factory=list)
    courses: list[Course] = field(default_factory=list)


def fight(duel: Duel, figure: str, directory: str | None, advance: Callable[[], None]) -> list[Row]:
    """Measure both works of ``duel`` and return the rows; a failure is noted in its row."""
    pairs: list[_Pair] = []
    missing = ""
    try:
        for number in range(duel.pairs):
            pairs.append(_measure_pair(duel, number, directory))
            advance()
    except _FAILURES as error:
        missing = str(error)
    row = Row(
        figure=figure,
        title=duel.title,
        against=duel.against,
        unit=duel.unit,
        **_columns(pairs, "value"),
        bar=duel.bar,
        goal=duel.goal,
        lost=(_most_lost(pairs, 0), _most_lost(pairs, 1)),
        missing=missing,
        compared=duel.compared,
        plan=pairs[-1][-1][0].get("plan", "") if pairs else "",
    )
    more = [
        replace(row, title=title, bar=None, goal=None, compared="ratio", plan="", **_columns(pairs, key))
        for key, title in duel.further.items()
    ]
    return [replace(each, ratios=[]) if missing else each for each in (row, *more)]


def _columns(pairs: list[_Pair], key: str) -> dict[str, Any]:
    """Return, for each pair, the median of the rounds of either side, and of their ratios."""
    columns: dict[str, Any] = {"ours": [], "theirs": [], "ratios": []}
    for pair in pairs:
        values = [(ours[key], theirs[key]) for ours, theirs in pair]
        columns["ours"].append(median(ours for ours, _ in values))
        columns["theirs"].append(median(theirs for _, theirs in values))
        if all(theirs for _, theirs in values):
            columns["ratios"].append(median(ours / theirs for ours, theirs in values))
    return columns


def judged(results: Results, figures: Iterable[Figure]) -> Results:
    """Return ``results`` with the bars and goals of ``figures``, and a row for each duel that they lack.

    The figures are the only place with bars and goals: one that is raised there counts for what was measured before.
    """
    known = {figure.name: figure for figure in figures}
    rows = [row for row in results.rows if row.figure not in known]
    for figure in known.values():
        measured = {(row.title, row.against): row for row in results.rows if row.figure == figure.name}
        for duel in figure.duels if measured else ():
            key = duel.title, duel.against
            row = measured.pop(key, Row(figure.name, *key, duel.unit, [], [], [], missing="no run since it was added"))
            rows.append(replace(row, bar=duel.bar, goal=duel.goal))
            further = ((title, duel.against) for title in duel.further.values())
            rows += [measured.pop(key) for key in further if key in measured]
        rows += measured.values()
    return replace(results, rows=rows)


def follow(course: Course, figure: str, directory: str | None, advance: Callable[[], None]) -> list[Curve]:
    """Measure all works of ``course`` in turn and return its curves; a failure is noted in its curve."""
    values: dict[str, list[dict[str, _Points]]] = {label: [] for label in course.works}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        children: dict[str, Callable[[], dict[str, Any]]] = {}
        for _ in range(course.rounds):
            for label, work in course.works.items():
                try:
                    if label not in missing:
                        children[label] = children.get(label) or stack.enter_context(child(work, directory))
                        values[label].append(children[label]()["value"])
                except _FAILURES as error:
                    missing[label] = str(error)
                advance()
    return [
        Curve(
            figure,
            title,
            course.x,
            y,
            {label: _medians([one[key] for one in values[label]]) for label in course.works if label not in missing},
            "x" * ("x" in course.logarithmic) + "y" * (key in course.logarithmic),
            missing,
        )
        for key, (title, y) in course.quantities.items()
    ]


def _medians(rounds: list[_Points]) -> _Points:
    """Return the points of one line: x, and the median of the rounds at x."""
    return [(points[0][0], median(y for _, y in points)) for points in zip(*rounds, strict=True)]


def _measure_pair(duel: Duel, pair: int, directory: str | None) -> _Pair:
    with ExitStack() as stack:
        ours = stack.enter_context(child(duel.ours, directory))
        theirs = stack.enter_context(child(duel.theirs, directory))
        answers = []
        for number in range(duel.rounds):
            # The first one changes the state of the machine for the second: alternate the order.
            if (pair + number) % 2:
                second = theirs()
                answers.append((ours(), second))
            else:
                answers.append((ours(), theirs()))
        return answers


def _most_lost(pairs: list[_Pair], side: int) -> int:
    """Return the largest median of lost records among the pairs; ``side`` is 0 for ours, 1 for theirs."""
    return int(max((median(answers[side].get("lost", 0) for answers in pair) for pair in pairs), default=0))


@contextmanager
def child(work: Work, directory: str | None = None) -> Iterator[Callable[[], dict[str, Any]]]:
    """Start a child with a new folder in ``directory``, and yield a function that runs its work once."""
    with tempfile.TemporaryDirectory(dir=directory, prefix="benchmark-") as folder, tempfile.TemporaryFile() as errors:
        command = [sys.executable, str(HERE / work.script), json.dumps({**work.arguments, "folder": folder})]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
            env=_environment(work),
        )
        assert process.stdin
        assert process.stdout
        try:
            _answer(process, errors)  # it is ready

            def one_round() -> dict[str, Any]:
                assert process.stdin
                process.stdin.write("\n")
                process.stdin.flush()
                answer: dict[str, Any] = json.loads(_answer(process, errors))
                return answer

            yield one_round
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _environment(work: Work) -> dict[str, str]:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    environment.pop("PYTHONPATH", None)
    if work.requirement:
        environment["PYTHONPATH"] = folder_with(work.requirement)
    return environment


def _answer(process: "subprocess.Popen[str]", errors: Any) -> str:
    assert process.stdout
    watchdog = threading.Timer(LONGEST_ROUND, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline()
    finally:
        watchdog.cancel()
    if not line:
        process.wait(10)
        errors.seek(0)
        raise MeasuringError(errors.read().decode(errors="replace")[-2000:] or f"exit status {process.returncode}")
    return line


def serve(prepare: Callable[..., Callable[[], dict[str, Any]]]) -> None:
    """Run as the child: prepare with the arguments of the command line, then work once for each line of input."""
    one_round = prepare(**json.loads(sys.argv[1]))
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(one_round()), flush=True)
