"""How the services of programs are and were: records of their monitors, folded into one entry for each service.

Records are taken newest first, and only their times are kept: what else is held grows with the services, and with how
often they changed, up to a limit.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from concurrent_log.collector.server.query.monitor_events import ALL, Sighting, Told
from concurrent_log.collector.server.timestamps import microseconds_of
from concurrent_log.collector.store.reader import iso

MOST_PROGRAMS = MOST_SERVICES = 1000
MOST_SEGMENTS = 100  # of the history of a service, and of all together so many:
MOST_TOGETHER = 20_000
STEPS = 60  # into which a range is divided for response times
_SECOND = 1_000_000
_BETWEEN = 300 * _SECOND  # from one report to the next, where two have not been seen
_GRACE = 30 * _SECOND
_FLAPPING = {"flapping": True, "settled": False, "started": False}
_RANKS = {"unhealthy": 0, "degraded": 3, "unknown": 4, "healthy": 5}
_ASIDE = {"silent": 1, "replaced": 6, "stopped": 7}  # ranks of programs whose monitors say nothing


class Who(NamedTuple):
    """The program in which a monitor runs, as its records name it."""

    service: str | None
    environment: str | None
    host: str | None
    process_id: int | None


class _Span(NamedTuple):
    """What was so from ``since`` to ``until``."""

    since: int
    until: int
    status: str
    error: str | None = None


@dataclass
class _Run:
    """A status that a service had, from its oldest time on; None where it was not watched."""

    status: str | None
    since: int
    error: str | None


class _Service:
    """A service that a program watches, known from its newest record backwards."""

    def __init__(self, newest: Sighting, at: int) -> None:
        self.newest, self.last_seen, self.oldest = newest, at, at
        self.is_flapping: bool | None = None
        self.is_cut = False
        self.slowest: dict[int, float] = {}
        self._runs: list[_Run] = []

    @property
    def is_watched(self) -> bool:
        """Whether the newest report tells of it."""
        return self._runs[0].status is not None

    def was(self, status: str | None, at: int, error: str | None = None) -> None:
        """Note how it was at a time, which is before all that is known."""
        if self.is_cut:
            return
        if self._runs and self._runs[-1].status == status:
            self._runs[-1].since = at
            self._runs[-1].error = error or self._runs[-1].error
        elif len(self._runs) < MOST_SEGMENTS:
            self._runs.append(_Run(status, at, error))
        else:
            self.is_cut = True

    def spans(self, until: int) -> Iterator[_Span]:
        """Yield how it was, the newest first."""
        for run in self._runs:
            if run.status is not None and run.since < until:
                yield _Span(run.since, until, run.status, run.error)
            until = run.since


@dataclass
class _Summary:
    """What was told of all services, in one record or in several right after each other."""

    event: str
    begin: int
    end: int
    names: set[str]
    is_whole: bool

    def has_part(self, at: int, told: Told) -> bool:
        """Whether a record, which is before all that is known, is its beginning."""
        names = {sighting.name for sighting in told.sightings}
        is_near = told.event == self.event and self.begin - at <= _GRACE
        return is_near and bool(names) and names.isdisjoint(self.names)

    def add(self, at: int, told: Told) -> None:
        """Take a part."""
        self.begin = at
        self.names.update(sighting.name for sighting in told.sightings)
        self.is_whole = self.is_whole and told.is_whole


@dataclass
class _Program:
    """A program whose monitor has reported, known from its newest record backwards."""

    last_seen: int
    has_stopped: bool
    started_at: int = 0
    services: dict[str, _Service] = field(default_factory=dict)
    _times: list[int] = field(default_factory=list)
    _stops: set[int] = field(default_factory=set)
    _between: list[int] = field(default_factory=list)  # two reports
    _summaries: list[_Summary] = field(default_factory=list)  # the oldest two, the newer one first

    def note(self, at: int, told: Told) -> None:
        """Note a record, which is before all that is known."""
        self._times.append(at)
        if told.event == "stopped":
            self._stops.add(at)
        elif told.event == "started":
            self.started_at = max(self.started_at, at)
        if told.event in ALL:
            self._summarise(at, told)

    def _summarise(self, at: int, told: Told) -> None:
        newer = self._summaries[-1:]
        if newer and newer[0].has_part(at, told):
            newer[0].add(at, told)
            return
        if newer and newer[0].event == "report" and told.event != "stopped":
            self._between.append(newer[0].begin - at)
        self._summaries = [*newer, _Summary(told.event, at, at, {each.name for each in told.sightings}, told.is_whole)]

    def unwatched_from(self, at: int, until: int) -> int | None:
        """Return when a service was watched no longer that was told at a time, and then not until another one."""
        for summary in reversed(self._summaries):
            if summary.is_whole and at < summary.begin and summary.end < until:
                return summary.begin
        return None

    @property
    def patience(self) -> int:
        """How long the monitor may say nothing: for twice as long as between two of its reports, and a little."""
        # The longer one of the newest two, since a process may have two monitors.
        return 2 * max(self._between[:2], default=_BETWEEN) + _GRACE

    def pauses(self, until: int) -> list[_Span]:
        """Return when the monitor said nothing, the newest first."""
        patience = self.patience
        found: list[_Span] = []
        for at in self._times:
            if at in self._stops:
                # It may take several records to say so.
                is_same = bool(found) and found[-1].status == "stopped" and found[-1].since == until
                found.append(_Span(at, found.pop().until if is_same else until, "stopped"))
            elif until - at > patience:
                found.append(_Span(at, until, "silent"))
            until = at
        return found


class Programs:
    """What records say of services within a range; all times are in microseconds since 1970.

    Attributes:
        is_cut: Whether there were more programs or services than are held.
    """

    def __init__(self, since: int, until: int) -> None:
        self._since, self._until = since, until
        self._programs: dict[Who, _Program] = {}
        self._services = 0
        self.is_cut = False

    def add(self, at: int, who: Who, told: Told) -> None:
        """Take a record, which is older than those before; what is from after the range counts as from its end."""
        at = min(at, self._until)
        program = self._programs.get(who)
        if program is None:
            if len(self._programs) >= MOST_PROGRAMS:
                self.is_cut = True
                return
            program = self._programs[who] = _Program(at, told.event == "stopped")
        program.note(at, told)
        for sighting in told.sightings:
            self._see(program, at, told.event, sighting)

    def _see(self, program: _Program, at: int, event: str, sighting: Sighting) -> None:
        service = program.services.get(sighting.name)
        if service is None:
            if self._services >= MOST_SERVICES:
                self.is_cut = True
                return
            self._services += 1
            service = program.services[sighting.name] = _Service(sighting, at)
            service.oldest = self._until + 1
        unwatched = program.unwatched_from(at, service.oldest)
        if unwatched is not None:
            service.was(None, unwatched)
        service.oldest = at
        service.was(sighting.status, at, sighting.error)
        if service.is_flapping is None:
            service.is_flapping = _FLAPPING.get(event)
        if sighting.response_time_ms is not None:
            step = min((at - self._since) * STEPS // max(1, self._until - self._since), STEPS - 1)
            service.slowest[step] = max(sighting.response_time_ms, service.slowest.get(step, 0))

    def described(self) -> list[dict[str, Any]]:
        """Return the programs with their services as JSON objects, the worst first."""
        started: dict[tuple[str | None, ...], int] = {}
        for who, program in self._programs.items():
            place = who[:3]
            started[place] = max(started.get(place, 0), program.started_at)
        most = max(1, min(MOST_SEGMENTS, MOST_TOGETHER // max(1, self._services)))
        found = [
            self._described(who, program, started[who[:3]] > program.last_seen, most)
            for who, program in self._programs.items()
        ]
        return sorted(found, key=_rank)

    def _described(self, who: Who, program: _Program, is_replaced: bool, most: int) -> dict[str, Any]:
        monitor = "running"
        if program.has_stopped:
            monitor = "stopped"
        elif self._until - program.last_seen > program.patience:
            monitor = "replaced" if is_replaced else "silent"
        pauses = program.pauses(self._until)
        watched = {name: each for name, each in program.services.items() if each.is_watched}
        services = [self._entry(name, each, pauses, most) for name, each in watched.items()]
        return {
            **who._asdict(),
            "monitor": monitor,
            "last_seen": iso(program.last_seen),
            "services": sorted(services, key=lambda each: (_rank_of(each), each["name"])),
        }

    def _entry(self, name: str, service: _Service, pauses: list[_Span], most: int) -> dict[str, Any]:
        newest = service.newest
        spans = list(islice(_with_pauses(service.spans(self._until), pauses), most + 1))
        since = None if newest.since is None else microseconds_of(newest.since)
        if since is None or since > service.last_seen:
            since = next((span.since for span in spans if span.status == newest.status), service.last_seen)
        return {
            "name": name,
            "status": newest.status,
            "since": iso(since),
            "last_seen": iso(service.last_seen),
            "response_time_ms": newest.response_time_ms,
            "error": newest.error,
            "consecutive_failures": newest.consecutive_failures,
            "breaker": newest.breaker,
            "critical": newest.critical,
            "is_flapping": bool(service.is_flapping),
            "history": [_segment(span) for span in reversed(spans[:most])],
            "is_cut": service.is_cut or len(spans) > most,
            "response_times": [service.slowest.get(step) for step in range(STEPS)],
        }


def _with_pauses(spans: Iterable[_Span], pauses: list[_Span]) -> Iterator[_Span]:
    """Yield the spans, and in place of what is within a pause, the pause; the newest first, as both are."""
    waiting = pauses[::-1]
    for span in spans:
        until = span.until
        while waiting and waiting[-1].until > span.since:
            pause = waiting[-1]
            since, end = max(pause.since, span.since), min(pause.until, until)
            if since < end:
                if end < until:
                    yield span._replace(since=end, until=until)
                yield _Span(since, end, pause.status)
                until = since
            if pause.since < span.since:
                break  # It goes on in the span before.
            waiting.pop()
        if span.since < until:
            yield span._replace(until=until)


def _segment(span: _Span) -> dict[str, Any]:
    return {"since": iso(span.since), "until": iso(span.until), "status": span.status, "error": span.error}


def _rank_of(service: dict[str, Any]) -> int:
    is_less = service["status"] == "unhealthy" and not service["critical"]
    return _RANKS[service["status"]] + 2 * is_less


def _rank(program: dict[str, Any]) -> tuple[Any, ...]:
    """Return what programs are sorted by."""
    worst = min(map(_rank_of, program["services"]), default=max(_RANKS.values()))
    names = (program["service"] or "", program["host"] or "", program["process_id"] or 0, program["environment"] or "")
    return _ASIDE.get(program["monitor"], worst), names
