"""Periods: the same everywhere, without gaps, through every change of the clocks (P3)."""

import os
import subprocess
import sys
from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concurrent_log.files.periods import Schedule
from support.paths import TESTS
from support.selection import first_quick

KINDS = ["S", "M", "H", "D", "midnight", *(f"W{day}" for day in range(7))]
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata", "UTC"]

AT_0230 = time(2, 30)
# zone, when, interval, atTime, an instant in UTC, and the period's start and end in the zone's own time
TABLE = [
    # The clocks go forward at 02:00 to 03:00: a day of 23 hours, and no hour between 02:00 and 03:00.
    ("Europe/Berlin", "midnight", 1, None, "2024-03-31T12:00", "2024-03-31T00:00+01:00", "2024-04-01T00:00+02:00"),
    ("Europe/Berlin", "H", 1, None, "2024-03-31T00:30", "2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00"),
    ("Europe/Berlin", "H", 1, None, "2024-03-31T01:00", "2024-03-31T03:00+02:00", "2024-03-31T04:00+02:00"),
    # They go back at 03:00 to 02:00: a day of 25 hours, and the repeated hour is one period.
    ("Europe/Berlin", "midnight", 1, None, "2024-10-27T12:00", "2024-10-27T00:00+02:00", "2024-10-28T00:00+01:00"),
    ("Europe/Berlin", "H", 1, None, "2024-10-27T00:30", "2024-10-27T02:00+02:00", "2024-10-27T03:00+01:00"),
    ("Europe/Berlin", "H", 1, None, "2024-10-27T01:30", "2024-10-27T02:00+02:00", "2024-10-27T03:00+01:00"),
    ("Europe/Berlin", "M", 1, None, "2024-10-27T00:58", "2024-10-27T02:58+02:00", "2024-10-27T02:59+02:00"),
    ("Europe/Berlin", "M", 1, None, "2024-10-27T01:30", "2024-10-27T02:59+02:00", "2024-10-27T03:00+01:00"),
    # A time of day that occurs twice, or not at all.
    ("Europe/Berlin", "midnight", 1, AT_0230, "2024-10-27T01:00", "2024-10-27T02:30+02:00", "2024-10-28T02:30+01:00"),
    ("Europe/Berlin", "midnight", 1, AT_0230, "2024-03-31T12:00", "2024-03-31T03:00+02:00", "2024-04-01T02:30+02:00"),
    ("America/New_York", "midnight", 1, None, "2024-03-10T12:00", "2024-03-10T00:00-05:00", "2024-03-11T00:00-04:00"),
    ("America/New_York", "midnight", 1, None, "2024-11-03T12:00", "2024-11-03T00:00-04:00", "2024-11-04T00:00-05:00"),
    ("America/New_York", "H", 4, None, "2024-11-03T05:30", "2024-11-03T00:00-04:00", "2024-11-03T04:00-05:00"),
    # Daylight saving of half an hour.
    ("Australia/Lord_Howe", "H", 1, None, "2024-04-06T15:20", "2024-04-07T01:00+11:00", "2024-04-07T02:00+10:30"),
    ("Australia/Lord_Howe", "H", 1, None, "2024-10-05T15:40", "2024-10-06T02:30+11:00", "2024-10-06T03:00+11:00"),
    ("Australia/Lord_Howe", "D", 1, None, "2024-10-05T15:40", "2024-10-06T00:00+10:30", "2024-10-07T00:00+11:00"),
    # A day without a midnight, and one with 23:00 to 24:00 twice.
    ("America/Sao_Paulo", "midnight", 1, None, "2018-11-04T12:00", "2018-11-04T01:00-02:00", "2018-11-05T00:00-02:00"),
    ("America/Sao_Paulo", "midnight", 1, None, "2018-02-18T02:30", "2018-02-17T00:00-02:00", "2018-02-18T00:00-03:00"),
    # An offset of half an hour: hours begin on the wall clock of the zone, not of UTC.
    ("Asia/Kolkata", "H", 1, None, "2024-01-01T00:00", "2024-01-01T05:00+05:30", "2024-01-01T06:00+05:30"),
    ("Asia/Kolkata", "M", 20, None, "2024-01-01T00:00", "2024-01-01T05:20+05:30", "2024-01-01T05:40+05:30"),
    # W0 without a time ends at the end of Monday, as in the standard library; with a time it begins then, on Monday.
    ("UTC", "W0", 1, None, "2024-05-17T10:00", "2024-05-14T00:00+00:00", "2024-05-21T00:00+00:00"),
    ("UTC", "W0", 1, time(12), "2024-05-17T10:00", "2024-05-13T12:00+00:00", "2024-05-20T12:00+00:00"),
    ("UTC", "W6", 1, time(0), "2024-05-17T10:00", "2024-05-12T00:00+00:00", "2024-05-19T00:00+00:00"),
    ("UTC", "S", 15, None, "2024-05-17T10:00:59", "2024-05-17T10:00:45+00:00", "2024-05-17T10:01+00:00"),
    ("UTC", "H", 6, None, "2024-05-17T10:00", "2024-05-17T06:00+00:00", "2024-05-17T12:00+00:00"),
    ("UTC", "D", 1, time(12), "2024-05-17T10:00", "2024-05-17T00:00+00:00", "2024-05-18T00:00+00:00"),
]  # fmt: skip


def instant(text: str) -> float:
    """Return the timestamp of an ISO 8601 time, in UTC if it has no zone."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


@pytest.mark.parametrize(("zone", "when", "interval", "at", "utc", "start", "end"), TABLE)
def test_period_follows_the_wall_clock(
    zone: str, when: str, interval: int, at: time | None, utc: str, start: str, end: str
) -> None:
    """P3: boundaries are aligned to the clock of the zone, through both changes of the clocks."""
    period = Schedule(when, interval, at, ZoneInfo(zone)).period(instant(utc))

    assert period == (instant(start), instant(end))


def test_machine_zone_gives_the_same_periods_as_the_named_zone() -> None:
    """P3: the whole table also holds if the zone is the machine's own (``TZ``)."""
    script = (
        "import sys, os, time; sys.path.insert(0, sys.argv[1])\n"
        "import files.test_periods as t\n"
        "for zone, when, interval, at, utc, start, end in t.TABLE:\n"
        "    os.environ['TZ'] = zone; time.tzset()\n"
        "    period = t.Schedule(when, interval, at).period(t.instant(utc))\n"
        "    assert period == (t.instant(start), t.instant(end)), (zone, when, utc, period)\n"
        "print(len(t.TABLE))\n"
    )
    here = str(TESTS)
    run = subprocess.run(
        [sys.executable, "-c", script, here], capture_output=True, text=True, cwd=os.path.dirname(here)
    )

    assert run.stderr == ""
    assert run.stdout.strip() == str(len(TABLE))


schedules = st.builds(
    Schedule,
    st.sampled_from(KINDS),
    st.integers(1, 40),
    st.none() | st.times().map(lambda t: t.replace(microsecond=0, fold=0)),
    st.sampled_from(ZONES).map(ZoneInfo),
)
instants = st.floats(0, instant("2037-12-31T00:00"))


@given(schedules, instants)
@settings(max_examples=200, deadline=None)
def test_every_instant_is_in_exactly_one_period(schedule: Schedule, at: float) -> None:
    """P3: a period contains its instant, and adjacent periods share a boundary."""
    period = schedule.period(at)

    assert period.start <= at < period.end
    assert schedule.period(period.start) == period
    assert schedule.period(period.end - 1) == period
    assert schedule.period(period.end).start == period.end
    assert schedule.period(period.start - 1).end == period.start


@given(schedules, instants, st.sampled_from(KINDS))
@settings(max_examples=200, deadline=None)
def test_names_sort_in_the_order_of_their_periods(schedule: Schedule, at: float, when: str) -> None:
    """P3: a later period never has a name that sorts earlier, not even when clocks go back."""
    suffix = "%Y-%m-%d_%H-%M-%S"
    period = schedule.period(at)
    later = schedule.period(period.end)

    assert schedule.name(period.start, suffix) < schedule.name(later.start, suffix)


@pytest.mark.parametrize("zone", first_quick(ZONES, 3))
@pytest.mark.parametrize("when", ["H", "D", "midnight"])
def test_a_year_has_as_many_periods_as_its_calendar(zone: str, when: str) -> None:
    """P3: a year has each hour or day once, none twice and none left out."""
    schedule = Schedule(when, 1, None, ZoneInfo(zone))
    at = datetime(2018, 1, 1, tzinfo=ZoneInfo(zone))
    names = []
    end = at.replace(year=2019).timestamp()
    now = at.timestamp()
    while now < end:
        period = schedule.period(now)
        names.append(schedule.name(period.start, "%Y-%m-%d_%H" if when == "H" else "%Y-%m-%d"))
        now = period.end

    assert now == end
    assert len(set(names)) == len(names)
    if when != "H":
        assert names == [(datetime(2018, 1, 1) + timedelta(days=day)).strftime("%Y-%m-%d") for day in range(365)]


@pytest.mark.parametrize("when", KINDS)
def test_boundary_belongs_to_the_later_period(when: str) -> None:
    """P2: a record created exactly on the boundary is in the new file; one just before it, in the old file."""
    schedule = Schedule(when, 1, None, timezone.utc)
    period = schedule.period(instant("2024-05-17T10:00"))

    assert schedule.period(period.end).start == period.end
    assert schedule.period(period.end - 1e-6) == period


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("X",), ValueError, "when='X' is unknown: use S, M, H, D, midnight or W0"),
        (("W",), ValueError, "when='W' is unknown"),
        (("W7",), ValueError, "W0 (Monday) to W6"),
        ((5,), TypeError, "when must be a string such as 'midnight', not 5"),
        (("H", 0), ValueError, "interval=0 must be at least 1"),
        (("H", -1), ValueError, "interval=-1"),
        (("H", 1.5), TypeError, "interval must be a whole number, not 1.5"),
        (("H", float("nan")), TypeError, "interval must be a whole number, not nan"),
        (("H", 0.0), ValueError, "interval=0 must be at least 1"),
        (("H", True), TypeError, "interval must be a whole number, not True"),
        (("H", "2"), TypeError, "interval must be a whole number, not '2'"),
        (("midnight", 1, "12:00"), TypeError, "atTime must be a datetime.time, not '12:00'"),
        (("midnight", 1, datetime(2024, 1, 1)), TypeError, "atTime must be a datetime.time"),
    ],
)
def test_invalid_schedule_is_rejected(arguments: tuple, error: type[Exception], says: str) -> None:
    """One clear line: the argument, the value, the remedy."""
    with pytest.raises(error) as caught:
        Schedule(*arguments)

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
