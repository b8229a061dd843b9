"""The history of monitored services: folds the records of their monitors into one entry for each service.

Records are added newest first, and only their times are stored. Memory grows with the number of services and of their
changes, up to a limit. All times are in microseconds since 1970.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from concurrent_log.collector.server.query.monitor_events import SUMMARY_EVENTS, MonitorEvent, ServiceReport
from concurrent_log.collector.server.timestamps import parse_timestamp
from concurrent_log.collector.store.reader import iso_time

MAX_PROGRAMS = MAX_SERVICES = 1000
MAX_SEGMENTS = 100  # of the history of a service
MAX_TOTAL_SEGMENTS = 20_000  # of all services together
RESPONSE_TIME_STEPS = 60  # in the whole range
_SECOND = 1_000_000
_DEFAULT_REPORT_INTERVAL = 300 * _SECOND  # if fewer than two reports are known
_SILENCE_MARGIN = 30 * _SECOND
_FLAPPING = {"flapping": True, "settled": False, "started": False}
_STATUS_RANKS = {"unhealthy": 0, "degraded": 3, "unknown": 4, "healthy": 5}
_MONITOR_RANKS = {"silent": 1, "replaced": 6, "stopped": 7}  # ranks of programs whose monitors do not report


class ProgramId(NamedTuple):
    """The program in which a monitor runs."""

    service: str | None
    environment: str | None
    host: str | None
    process_id: int | None


class _Span(NamedTuple):
    """A status from ``since`` to ``until``."""

    since: int
    until: int
    status: str
    error: str | None = None


@dataclass
class _StatusStart:
    """The earliest known time of a status; None means that the service was not monitored."""

    status: str | None
    since: int
    error: str | None


class _ServiceHistory:
    """The history of one service, from its newest record backwards."""

    def __init__(self, newest: ServiceReport, at: int) -> None:
        self.newest, self.last_seen, self.oldest = newest, at, at
        self.is_flapping: bool | None = None
        self.is_cut = False
        self.response_times: dict[int, float] = {}
        self._starts: list[_StatusStart] = []

    @property
    def is_watched(self) -> bool:
        """Whether the newest report contains the service."""
        return self._starts[0].status is not None

    def add(self, status: str | None, at: int, error: str | None = None) -> None:
        """Add the status at a time before all others."""
        if self.is_cut:
            return
        if self._starts and self._starts[-1].status == status:
            self._starts[-1].since = at
            self._starts[-1].error = error or self._starts[-1].error
        elif len(self._starts) < MAX_SEGMENTS:
            self._starts.append(_StatusStart(status, at, error))
        else:
            self.is_cut = True

    def spans(self, until: int) -> Iterator[_Span]:
        """Yield the spans up to a time, newest first."""
        for start in self._starts:
            if start.status is not None and start.since < until:
                yield _Span(start.since, until, start.status, start.error)
            until = start.since


@dataclass
class _Summary:
    """An event about all services; a monitor with very many services splits it into several records."""

    event: str
    begin: int
    end: int
    names: set[str]
    is_complete: bool

    def precedes(self, at: int, event: MonitorEvent) -> bool:
        """Whether a record, which is older than all others, is an earlier part of this summary."""
        names = {service.name for service in event.services}
        is_near = event.event == self.event and self.begin - at <= _SILENCE_MARGIN
        return is_near and bool(names) and names.isdisjoint(self.names)

    def add_part(self, at: int, event: MonitorEvent) -> None:
        """Add an earlier part."""
        self.begin = at
        self.names.update(service.name for service in event.services)
        self.is_complete = self.is_complete and event.is_complete


@dataclass
class _ProgramHistory:
    """The records of one program's monitor, from the newest backwards."""

    last_seen: int
    has_stopped: bool
    started_at: int = 0
    services: dict[str, _ServiceHistory] = field(default_factory=dict)
    _times: list[int] = field(default_factory=list)
    _stops: set[int] = field(default_factory=set)
    _intervals: list[int] = field(default_factory=list)  # between two reports
    _summaries: list[_Summary] = field(default_factory=list)  # the oldest two, the newer one first

    def add(self, at: int, event: MonitorEvent) -> None:
        """Add a record that is older than all others."""
        self._times.append(at)
        if event.event == "stopped":
            self._stops.add(at)
        elif event.event == "started":
            self.started_at = max(self.started_at, at)
        if event.event in SUMMARY_EVENTS:
            self._add_summary(at, event)

    def _add_summary(self, at: int, event: MonitorEvent) -> None:
        newer = self._summaries[-1:]
        if newer and newer[0].precedes(at, event):
            newer[0].add_part(at, event)
            return
        if newer and newer[0].event == "report" and event.event != "stopped":
            self._intervals.append(newer[0].begin - at)
        names = {service.name for service in event.services}
        self._summaries = [*newer, _Summary(event.event, at, at, names, event.is_complete)]

    def unwatched_since(self, at: int, until: int) -> int | None:
        """Return when a service that was reported at ``at``, and next at ``until``, was no longer watched; or None."""
        for summary in reversed(self._summaries):
            if summary.is_complete and at < summary.begin and summary.end < until:
                return summary.begin
        return None

    @property
    def silence_limit(self) -> int:
        """The time without a record after which the monitor counts as silent."""
        # Use the longer one of the newest two intervals, because a process may have two monitors.
        return 2 * max(self._intervals[:2], default=_DEFAULT_REPORT_INTERVAL) + _SILENCE_MARGIN

    def pauses(self, until: int) -> list[_Span]:
        """Return the spans in which the monitor was silent or stopped, newest first."""
        limit = self.silence_limit
        found: list[_Span] = []
        for at in self._times:
            if at in self._stops:
                # One stop may be split into several records.
                is_same = bool(found) and found[-1].status == "stopped" and found[-1].since == until
                found.append(_Span(at, found.pop().until if is_same else until, "stopped"))
            elif until - at > limit:
                found.append(_Span(at, until, "silent"))
            until = at
        return found


class ProgramHistories:
    """The histories of all programs within a range.

    Attributes:
        is_cut: Whether programs or services were omitted, because there are too many.
    """

    def __init__(self, since: int, until: int) -> None:
        self._since, self._until = since, until
        self._programs: dict[ProgramId, _ProgramHistory] = {}
        self._service_count = 0
        self.is_cut = False

    def add(self, at: int, program_id: ProgramId, event: MonitorEvent) -> None:
        """Add a record that is older than all others; a time after the range counts as its end."""
        at = min(at, self._until)
        program = self._programs.get(program_id)
        if program is None:
            if len(self._programs) >= MAX_PROGRAMS:
                self.is_cut = True
                return
            program = self._programs[program_id] = _ProgramHistory(at, event.event == "stopped")
        program.add(at, event)
        for report in event.services:
            self._add_report(program, at, event.event, report)

    def _add_report(self, program: _ProgramHistory, at: int, event: str, report: ServiceReport) -> None:
        service = program.services.get(report.name)
        if service is None:
            if self._service_count >= MAX_SERVICES:
                self.is_cut = True
                return
            self._service_count += 1
            service = program.services[report.name] = _ServiceHistory(report, at)
            service.oldest = self._until + 1
        unwatched = program.unwatched_since(at, service.oldest)
        if unwatched is not None:
            service.add(None, unwatched)
        service.oldest = at
        service.add(report.status, at, report.error)
        if service.is_flapping is None:
            service.is_flapping = _FLAPPING.get(event)
        if report.response_time_ms is not None:
            last_step = RESPONSE_TIME_STEPS - 1
            step = min((at - self._since) * RESPONSE_TIME_STEPS // max(1, self._until - self._since), last_step)
            service.response_times[step] = max(report.response_time_ms, service.response_times.get(step, 0))

    def describe(self) -> list[dict[str, Any]]:
        """Return the programs with their services as JSON objects, worst first."""
        started: dict[tuple[str | None, ...], int] = {}
        for program_id, program in self._programs.items():
            name = program_id[:3]
            started[name] = max(started.get(name, 0), program.started_at)
        limit = max(1, min(MAX_SEGMENTS, MAX_TOTAL_SEGMENTS // max(1, self._service_count)))
        found = [
            self._describe_program(program_id, program, started[program_id[:3]] > program.last_seen, limit)
            for program_id, program in self._programs.items()
        ]
        return sorted(found, key=_program_order)

    def _describe_program(
        self, program_id: ProgramId, program: _ProgramHistory, is_replaced: bool, limit: int
    ) -> dict[str, Any]:
        monitor = "running"
        if program.has_stopped:
            monitor = "stopped"
        elif self._until - program.last_seen > program.silence_limit:
            monitor = "replaced" if is_replaced else "silent"
        pauses = program.pauses(self._until)
        watched = {name: each for name, each in program.services.items() if each.is_watched}
        services = [self._describe_service(name, each, pauses, limit) for name, each in watched.items()]
        return {
            **program_id._asdict(),
            "monitor": monitor,
            "last_seen": iso_time(program.last_seen),
            "services": sorted(services, key=lambda each: (_service_rank(each), each["name"])),
        }

    def _describe_service(self, name: str, service: _ServiceHistory, pauses: list[_Span], limit: int) -> dict[str, Any]:
        newest = service.newest
        spans = list(islice(_overlay_pauses(service.spans(self._until), pauses), limit + 1))
        since = None if newest.since is None else parse_timestamp(newest.since)
        if since is None or since > service.last_seen:
            since = next((span.since for span in spans if span.status == newest.status), service.last_seen)
        return {
            "name": name,
            "status": newest.status,
            "since": iso_time(since),
            "last_seen": iso_time(service.last_seen),
            "response_time_ms": newest.response_time_ms,
            "error": newest.error,
            "consecutive_failures": newest.consecutive_failures,
            "breaker": newest.breaker,
            "critical": newest.critical,
            "is_flapping": bool(service.is_flapping),
            "history": [_describe_span(span) for span in reversed(spans[:limit])],
            "is_cut": service.is_cut or len(spans) > limit,
            "response_times": [service.response_times.get(step) for step in range(RESPONSE_TIME_STEPS)],
        }


def _overlay_pauses(spans: Iterable[_Span], pauses: list[_Span]) -> Iterator[_Span]:
    """Yield the spans, with pauses in place of the parts that they overlap; all are newest first."""
    remaining = pauses[::-1]
    for span in spans:
        until = span.until
        while remaining and remaining[-1].until > span.since:
            pause = remaining[-1]
            since, end = max(pause.since, span.since), min(pause.until, until)
            if since < end:
                if end < until:
                    yield span._replace(since=end, until=until)
                yield _Span(since, end, pause.status)
                until = since
            if pause.since < span.since:
                break  # The pause also overlaps the previous span.
            remaining.pop()
        if span.since < until:
            yield span._replace(until=until)


def _describe_span(span: _Span) -> dict[str, Any]:
    return {
        "since": iso_time(span.since),
        "until": iso_time(span.until),
        "status": span.status,
        "error": span.error,
    }


def _service_rank(service: dict[str, Any]) -> int:
    is_optional = service["status"] == "unhealthy" and not service["critical"]
    return _STATUS_RANKS[service["status"]] + 2 * is_optional


def _program_order(program: dict[str, Any]) -> tuple[Any, ...]:
    worst = min(map(_service_rank, program["services"]), default=max(_STATUS_RANKS.values()))
    names = (program["service"] or "", program["host"] or "", program["process_id"] or 0, program["environment"] or "")
    return _MONITOR_RANKS.get(program["monitor"], worst), names
