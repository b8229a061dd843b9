"""Measuring two ways to do the same work in turn, each in a child process of its own.

A machine is never quiet: what runs beside the benchmark slows down whatever is being measured. So nothing is
measured first one and then the other. Each *pair* starts two fresh children and lets them work in turn; what
counts is the median over the pairs of the ratio within a pair.

A child is a figure's file, run as a program with its arguments as JSON. For every line on its standard input
it does the work once, and answers with one line of JSON: ``{"value": …}``, and ``"lost"`` where it counted records.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from peers import folder_with
from results import Curve, Row

HERE = Path(__file__).resolve().parent
LONGEST_ROUND = 600.0  # seconds after which a child is taken for stuck


class MeasuringError(Exception):
    """A child could not do its work; the message holds the end of what it wrote to standard error."""


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
    """Two works to be measured in turn: ``pairs`` times, with ``rounds`` of work by each in each pair."""

    title: str
    against: str
    unit: str
    ours: Work
    theirs: Work
    pairs: int
    rounds: int = 1
    bar: float | None = None
    goal: float | None = None
    headline: bool = False


@dataclass(frozen=True)
class Course:
    """Works whose values are curves: each child's value maps a key of ``quantities`` to its points.

    Attributes:
        quantities: For each key, the title of the plot and what its y axis shows.
        x: What the x axis shows.
        works: The works by the label of their lines.
    """

    quantities: dict[str, tuple[str, str]]
    x: str
    works: dict[str, Work]


@dataclass(frozen=True)
class Figure:
    """A question to the machine, and what is measured to answer it.

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


def fight(duel: Duel, figure: str, directory: str | None, advance: Callable[[], None]) -> Row:
    """Measure both works of ``duel`` and return what came out; what fails is said in the row."""
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    ratios: list[float] = []
    missing = ""
    try:
        for pair in range(duel.pairs):
            one = _measure_pair(duel, pair, directory)
            ours += [_median_of([first for first, _ in one])]
            theirs += [_median_of([second for _, second in one])]
            if all(second["value"] for _, second in one):
                ratios.append(median(first["value"] / second["value"] for first, second in one))
            advance()
    except (MeasuringError, OSError, subprocess.SubprocessError) as error:
        missing = str(error)
    return Row(
        figure=figure,
        title=duel.title,
        against=duel.against,
        unit=duel.unit,
        ours=[answer["value"] for answer in ours],
        theirs=[answer["value"] for answer in theirs],
        ratios=[] if missing else ratios,
        bar=duel.bar,
        goal=duel.goal,
        headline=duel.headline,
        lost=(_most_lost(ours), _most_lost(theirs)),
        missing=missing,
    )


def follow(course: Course, figure: str, directory: str | None, advance: Callable[[], None]) -> list[Curve]:
    """Measure all works of ``course`` and return its curves."""
    values = {}
    for label, work in course.works.items():
        with child(work, directory) as one_round:
            values[label] = one_round()["value"]
        advance()
    return [
        Curve(figure, title, course.x, y, {label: value[key] for label, value in values.items()})
        for key, (title, y) in course.quantities.items()
    ]


def _measure_pair(duel: Duel, pair: int, directory: str | None) -> list[tuple[dict[str, float], dict[str, float]]]:
    with ExitStack() as stack:
        ours = stack.enter_context(child(duel.ours, directory))
        theirs = stack.enter_context(child(duel.theirs, directory))
        answers = []
        for number in range(duel.rounds):
            # Whoever goes second finds the machine as the first one left it: take turns at that, too.
            if (pair + number) % 2:
                second = theirs()
                answers.append((ours(), second))
            else:
                answers.append((ours(), theirs()))
        return answers


def _median_of(answers: list[dict[str, float]]) -> dict[str, float]:
    return {key: median(answer[key] for answer in answers) for key in answers[0]}


def _most_lost(answers: list[dict[str, float]]) -> int:
    return int(max((answer.get("lost", 0) for answer in answers), default=0))


@contextmanager
def child(work: Work, directory: str | None = None) -> Iterator[Callable[[], dict[str, Any]]]:
    """Start a child with a fresh folder in ``directory``, and yield the function that lets it work once."""
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
    """Be a child: prepare with the arguments from the command line, then work once for each line of input."""
    one_round = prepare(**json.loads(sys.argv[1]))
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(one_round()), flush=True)
