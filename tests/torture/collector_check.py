"""Looks after a round of the collector's torture test for every record: what is missing, or there twice."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from support.programs.collector_source import numbers_in
from torture.collector_plan import Fault, Round
from torture.collector_round import Outcome

_SHOWN = 8


@dataclass
class Findings:
    """What was found: problems, and how many records were logged, stored, dropped, and lost as they may be."""

    problems: list[str] = field(default_factory=list)
    logged: int = 0
    stored: int = 0
    dropped: int = 0
    unsaved: int = 0


@dataclass
class _Books:
    """What is known of each source: what it noted, what is stored, and what its process reported."""

    returned: dict[str, int]
    flushed: dict[str, int]
    stored: "dict[str, list[int]]"
    sequences: "dict[str, list[int]]"
    reports: dict[str, dict[str, Any]]


def check(plan: Round, outcome: Outcome) -> Findings:
    """Return what a round came to, and what is wrong."""
    books = _books(outcome)
    found = Findings(problems=list(outcome.proxy.problems))
    found.logged = sum(books.returned.values())
    found.stored = sum(map(len, books.stored.values()))
    found.dropped = sum(sum(report["dropped"].values()) for report in books.reports.values())
    for checks in (_never_twice, _acknowledged, _complete, _in_order, _accounted, _finished):
        found.problems += checks(plan, outcome, books)
    found.unsaved = found.logged - found.dropped - found.stored
    return found


def _books(outcome: Outcome) -> _Books:
    notes = outcome.folder / "notes"
    numbers = {path.stem: numbers_in(path) for path in notes.glob("*.ledger")}
    stored: defaultdict[str, list[int]] = defaultdict(list)
    sequences: defaultdict[str, list[int]] = defaultdict(list)
    for source, number, sequence in outcome.stored:
        if not source.startswith("last-"):
            stored[source].append(number)
            sequences[source].append(sequence)
    returned = {source: each[0] for source, each in numbers.items()}
    flushed = {source: each[1] for source, each in numbers.items()}
    reports = {path.stem: json.loads(path.read_text()) for path in notes.glob("*.report")}
    return _Books(returned, flushed, stored, sequences, reports)


def _program(source: str) -> str:
    """Return the name of the program of a source, without its forks."""
    return source.split(".")[0].split("f")[0]


def _some(what: str, records: "Iterator[Any] | list[Any]") -> list[str]:
    found = list(records)
    return [f"{len(found):,} {what}: {', '.join(map(str, found[:_SHOWN]))}"] if found else []


def _never_twice(plan: Round, outcome: Outcome, books: _Books) -> list[str]:
    """Return what is stored twice, or was never logged."""
    counts = {source: Counter(numbers) for source, numbers in books.stored.items()}
    twice = [
        (source, number, outcome.proxy.acknowledged.get((source, number)))
        for source, each in counts.items()
        for number, count in each.items()
        if count > 1
    ]
    # The last call may have been killed before it returned.
    alien = [
        (s, n) for s, numbers in books.stored.items() for n in numbers if not 0 < n <= books.returned.get(s, 0) + 1
    ]
    return _some("records stored twice", twice) + _some("records stored that nobody logged", alien)


def _acknowledged(plan: Round, outcome: Outcome, books: _Books) -> list[str]:
    """Return what the server has acknowledged and is missing, or a flush has promised."""
    there = {source: set(numbers) for source, numbers in books.stored.items()}
    acknowledged = [each for each in outcome.proxy.acknowledged if each[0] in books.returned]
    missing = [(source, number) for source, number in acknowledged if number not in there.get(source, ())]
    flushed = [
        (source, number)
        for source, last in books.flushed.items()
        if not _is_bounded(outcome, source)
        for number in range(1, last + 1)
        if number not in there.get(source, ()) and (source, number) not in outcome.damaged
    ]
    return _some("records acknowledged but missing", missing) + _some("records flushed but missing", flushed)


def _is_bounded(outcome: Outcome, source: str) -> bool:
    """Return whether its queue may overflow."""
    return any(name in outcome.started[_program(source)].options for name in ("capacity", "max_queue_size"))


def _complete(plan: Round, outcome: Outcome, books: _Books) -> list[str]:
    """Return what is missing although it was in a spool."""
    if plan.small_disk == "spool":
        return []
    return _some("spooled records missing", [
        (source, number)
        for source, last in books.returned.items()
        if outcome.started[_program(source)].spool is not None
        for number in sorted(set(range(1, last + 1)) - set(books.stored.get(source, ())))
        if (source, number) not in outcome.damaged
    ])  # fmt: skip


def _in_order(plan: Round, outcome: Outcome, books: _Books) -> list[str]:
    """Return the sources whose records are not in order: as stored, and by their sequence."""
    wrong = []
    for source, numbers in books.stored.items():
        in_memory_first = plan.small_disk == "spool" and outcome.started[_program(source)].spool is not None
        if numbers != sorted(numbers) and not in_memory_first:
            wrong.append(source)
        by_number = [sequence for _, sequence in sorted(zip(numbers, books.sequences[source], strict=True))]
        if by_number != sorted(by_number):
            wrong.append(f"{source} by sequence")
    return _some("sources out of order", wrong)


def _accounted(plan: Round, outcome: Outcome, books: _Books) -> list[str]:
    """Return the processes in which logged is not stored and dropped together."""
    problems = []
    for name, report in books.reports.items():
        logged = sum(report["logged"].values())
        stored = sum(len(books.stored.get(source, ())) for source in report["logged"])
        dropped, queued = sum(report["dropped"].values()), report["queued"]
        if outcome.started[_program(name)].spool is not None and outcome.damaged:
            continue  # Who finds damage counts it.
        if not logged - dropped - queued <= stored <= logged - dropped:
            problems.append(f"{name}: logged {logged} != stored {stored} + dropped {report['dropped']} + left {queued}")
    dropped = sum(sum(report["dropped"].values()) for report in books.reports.values())
    if not outcome.killed and outcome.drops != dropped:
        problems.append(f"clients lost {dropped:,}, and the server knows of {outcome.drops:,}")
    return problems


def _finished(plan: Round, outcome: Outcome, books: _Books) -> list[str]:
    """Return who did not end well."""
    missing = [name for name in outcome.started if name not in books.reports and name not in outcome.killed]
    problems = _some("programs without a report", missing)
    problems += [f"records left in spool {spool}: {count}" for spool, count in outcome.left.items() if count]
    queued = [
        (name, report["queued"])
        for name, report in books.reports.items()
        if report["queued"] and outcome.started[_program(name)].spool is None
    ]
    problems += _some("programs ended with records that wait, on a healthy server", queued)
    where = max(outcome.complaints.find("Traceback"), outcome.complaints.find("Logging error"))
    if where >= 0:
        problems.append(f"somebody complained: {outcome.complaints[max(0, where - 200) : where + 1500]}")
    return problems


def faults_of(outcome: Outcome) -> "Counter[str]":
    """Return what was done, by name."""
    return Counter({fault.value: outcome.faults[fault] for fault in Fault}) + outcome.proxy.faults
