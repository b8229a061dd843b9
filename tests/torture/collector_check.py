"""Checks every record after a round of the collector's torture test: which are missing, and which are stored twice."""

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
    """The problems of a round, and the numbers of records logged, stored, dropped, and lost as documented."""

    problems: list[str] = field(default_factory=list)
    logged: int = 0
    stored: int = 0
    dropped: int = 0
    unsent: int = 0  # in a process that was killed without a spool


@dataclass
class _Evidence:
    """The data about each source: its notes, its stored records, and the reports of its process."""

    returned: dict[str, int]
    flushed: dict[str, int]
    stored: "dict[str, list[int]]"
    sequences: "dict[str, list[int]]"
    reports: dict[str, dict[str, Any]]


def check(plan: Round, outcome: Outcome) -> Findings:
    """Return the findings of a round."""
    evidence = _collect_evidence(outcome)
    findings = Findings(problems=list(outcome.proxy.problems))
    findings.logged = sum(evidence.returned.values())
    findings.stored = sum(map(len, evidence.stored.values()))
    findings.dropped = sum(sum(report["dropped"].values()) for report in evidence.reports.values())
    for checks in (_check_unique, _check_acknowledged, _check_spooled, _check_order, _check_counts, _check_ends):
        findings.problems += checks(plan, outcome, evidence)
    findings.unsent = findings.logged - findings.dropped - findings.stored
    return findings


def _collect_evidence(outcome: Outcome) -> _Evidence:
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
    return _Evidence(returned, flushed, stored, sequences, reports)


def _program(source: str) -> str:
    """Return the name of the program of a source, without the suffix of a fork."""
    return source.split(".")[0].split("f")[0]


def _describe(problem: str, records: "Iterator[Any] | list[Any]") -> list[str]:
    listed = list(records)
    return [f"{len(listed):,} {problem}: {', '.join(map(str, listed[:_SHOWN]))}"] if listed else []


def _check_unique(plan: Round, outcome: Outcome, evidence: _Evidence) -> list[str]:
    """Return the records that are stored twice, and those that were never logged."""
    counts = {source: Counter(numbers) for source, numbers in evidence.stored.items()}
    twice = [
        (source, number, outcome.proxy.acknowledged.get((source, number)))
        for source, each in counts.items()
        for number, count in each.items()
        if count > 1
    ]
    # The last call may have been killed before it returned.
    unknown = [
        (s, n)
        for s, numbers in evidence.stored.items()
        for n in numbers
        if not 0 < n <= evidence.returned.get(s, 0) + 1
    ]
    return _describe("records stored twice", twice) + _describe("records stored but never logged", unknown)


def _check_acknowledged(plan: Round, outcome: Outcome, evidence: _Evidence) -> list[str]:
    """Return the missing records that the server has acknowledged, or that a flush has confirmed."""
    stored = {source: set(numbers) for source, numbers in evidence.stored.items()}
    acknowledged = [each for each in outcome.proxy.acknowledged if each[0] in evidence.returned]
    missing = [(source, number) for source, number in acknowledged if number not in stored.get(source, ())]
    flushed = [
        (source, number)
        for source, last in evidence.flushed.items()
        if not _is_bounded(outcome, source)
        for number in range(1, last + 1)
        if number not in stored.get(source, ()) and (source, number) not in outcome.damaged
    ]
    return _describe("records acknowledged but missing", missing) + _describe("records flushed but missing", flushed)


def _is_bounded(outcome: Outcome, source: str) -> bool:
    """Return whether the queue of the source may overflow."""
    return any(name in outcome.started[_program(source)].options for name in ("capacity", "max_queue_size"))


def _check_spooled(plan: Round, outcome: Outcome, evidence: _Evidence) -> list[str]:
    """Return the missing records that were in a spool."""
    if plan.small_disk == "spool":
        return []
    return _describe("spooled records missing", [
        (source, number)
        for source, last in evidence.returned.items()
        if outcome.started[_program(source)].spool is not None
        for number in sorted(set(range(1, last + 1)) - set(evidence.stored.get(source, ())))
        if (source, number) not in outcome.damaged
    ])  # fmt: skip


def _check_order(plan: Round, outcome: Outcome, evidence: _Evidence) -> list[str]:
    """Return the sources whose records are out of order, as stored or by their sequence numbers."""
    wrong = []
    for source, numbers in evidence.stored.items():
        in_memory_first = plan.small_disk == "spool" and outcome.started[_program(source)].spool is not None
        if numbers != sorted(numbers) and not in_memory_first:
            wrong.append(source)
        by_number = [sequence for _, sequence in sorted(zip(numbers, evidence.sequences[source], strict=True))]
        if by_number != sorted(by_number):
            wrong.append(f"{source} by sequence")
    return _describe("sources out of order", wrong)


def _check_counts(plan: Round, outcome: Outcome, evidence: _Evidence) -> list[str]:
    """Return the processes in which the number of logged records differs from those stored and dropped."""
    problems = []
    for name, report in evidence.reports.items():
        logged = sum(report["logged"].values())
        stored = sum(len(evidence.stored.get(source, ())) for source in report["logged"])
        dropped, queued = sum(report["dropped"].values()), report["queued"]
        if outcome.started[_program(name)].spool is not None and outcome.damaged:
            continue  # Another process counts the damaged records.
        if not logged - dropped - queued <= stored <= logged - dropped:
            problems.append(
                f"{name}: logged {logged} != stored {stored} + dropped {report['dropped']} + queued {queued}"
            )
    dropped = sum(sum(report["dropped"].values()) for report in evidence.reports.values())
    if not outcome.killed and outcome.drops != dropped:
        problems.append(f"clients report {dropped:,} losses, the server {outcome.drops:,}")
    return problems


def _check_ends(plan: Round, outcome: Outcome, evidence: _Evidence) -> list[str]:
    """Return the programs that did not end properly, and what they left behind."""
    missing = [name for name in outcome.started if name not in evidence.reports and name not in outcome.killed]
    problems = _describe("programs without a report", missing)
    problems += [f"records left in spool {spool}: {count}" for spool, count in outcome.left.items() if count]
    queued = [
        (name, report["queued"])
        for name, report in evidence.reports.items()
        if report["queued"] and outcome.started[_program(name)].spool is None
    ]
    problems += _describe("programs ended with queued records, although the server was healthy", queued)
    where = max(outcome.errors.find("Traceback"), outcome.errors.find("Logging error"))
    if where >= 0:
        problems.append(f"error on stderr: {outcome.errors[max(0, where - 200) : where + 1500]}")
    return problems


def faults_of(outcome: Outcome) -> "Counter[str]":
    """Return the number of times that each fault was injected, by name."""
    return Counter({fault.value: outcome.faults[fault] for fault in Fault}) + outcome.proxy.faults
