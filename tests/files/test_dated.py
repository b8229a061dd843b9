"""Dated files: the file of a record, by day and size, across processes, restarts and failures."""

import calendar
import copy
import logging
import logging.config
import os
import pathlib
import pickle
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from concurrent_log.dated import DatedFileHandler
from concurrent_log.files.log_file import LogFile
from support.records import DAY, HOUR, WatchedByDay, all_lines, files, record, write

NOON = calendar.timegm((2025, 1, 20, 3, 0, 0))  # noon of 2025-01-20 in Korea
MIDNIGHT = NOON + 12 * HOUR

Make = Callable[..., WatchedByDay]


class FixedClock:
    """A clock that stands still until a test sets it."""

    def __init__(self, moment: float) -> None:
        self.moment = moment

    def time(self) -> float:
        """Return the time of the clock."""
        return self.moment

    def time_ns(self) -> int:
        """Return the time in nanoseconds."""
        return int(self.moment * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FixedClock:
    """Return the clock of this process; it shows noon."""
    clock = FixedClock(NOON)
    monkeypatch.setattr(time, "time", clock.time)
    monkeypatch.setattr(time, "time_ns", clock.time_ns)
    return clock


@pytest.fixture(params=["shared", "exclusive"])
def make(request: pytest.FixtureRequest, clock: FixedClock, tmp_path: pathlib.Path) -> Iterator[Make]:
    """Create a handler of ``App_…_KST.log``, once for each arm of the protocol."""
    made = []
    arm = {} if request.param == "shared" else {"keep_file_open": False}

    def handler(*args: Any, folder: pathlib.Path = tmp_path, **kwargs: Any) -> WatchedByDay:
        made.append(WatchedByDay(folder, *args, **{"timezone": "KST", **arm, **kwargs}))
        return made[-1]

    yield handler
    for each in made:
        each.close()


def name(day: int, number: int) -> str:
    """Return the name of a file of January 2025."""
    return f"App_2025-01-{day}_{number:03}_KST.log"


# Days


def test_record_is_in_the_file_of_its_day(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P2: the day is that of the zone, and it is in the file's name from the first record on."""
    handler = make()
    write(handler, "noon")
    clock.moment = MIDNIGHT - 0.001
    write(handler, "last moment")
    clock.moment = MIDNIGHT
    write(handler, "midnight")
    clock.moment = MIDNIGHT + 3 * DAY
    write(handler, "three days later")

    assert files(tmp_path) == {
        name(20, 1): ["noon", "last moment"],
        name(21, 1): ["midnight"],
        name(24, 1): ["three days later"],
    }
    assert handler.problems == []


def test_no_file_is_created_before_the_first_record(make: Make, tmp_path: pathlib.Path) -> None:
    """A program that logs nothing creates no empty file."""
    handler = make()

    assert files(tmp_path) == {}
    assert handler.baseFilename == str(tmp_path / name(20, 1))


def test_second_handler_follows_to_the_new_file(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P3: the handler that starts the day's file does so for all."""
    first, second = make(), make()
    write(first, "a")
    write(second, "b")
    clock.moment = MIDNIGHT
    write(first, "c")
    write(second, "d")

    assert files(tmp_path) == {name(20, 1): ["a", "b"], name(21, 1): ["c", "d"]}


def test_late_record_goes_to_the_file_of_its_own_day(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P2: also if that file is from before the program started, or does not exist yet."""
    handler = make()
    write(handler, "noon")
    clock.moment = MIDNIGHT
    write(handler, "midnight")
    write(handler, "late", MIDNIGHT - 1)
    write(handler, "very late", MIDNIGHT - DAY - 1)
    write(make(), "late for another handler", MIDNIGHT - 1)

    assert files(tmp_path) == {
        name(19, 1): ["very late"],
        name(20, 1): ["noon", "late", "late for another handler"],
        name(21, 1): ["midnight"],
    }


def test_first_record_may_be_late(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P2: a record that was queued over midnight is in the file of the day before."""
    handler = make()
    clock.moment = MIDNIGHT + 1
    write(handler, "waited", MIDNIGHT - 1)
    write(handler, "today")

    assert files(tmp_path) == {name(20, 1): ["waited"], name(21, 1): ["today"]}


def test_record_from_the_future_starts_no_day(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: a day ends only when the clock says so, too."""
    handler = make()
    write(handler, "tomorrow", MIDNIGHT + 1)
    write(handler, "today")

    assert files(tmp_path) == {name(20, 1): ["tomorrow", "today"]}


def test_clock_that_steps_back_over_midnight(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P2: the new day continues, and a record created in the old day goes to that day's file."""
    handler = make()
    clock.moment = MIDNIGHT + 1
    write(handler, "new")
    clock.moment = MIDNIGHT - 2
    write(handler, "old")
    clock.moment = MIDNIGHT + 2
    write(handler, "new again")

    assert files(tmp_path) == {name(20, 1): ["old"], name(21, 1): ["new", "new again"]}


def test_file_from_a_wrong_clock_is_ignored(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P3: after a clock was a year ahead, the handler does not stay in a file of the future."""
    handler = make()
    clock.moment = MIDNIGHT + 10 * DAY
    write(handler, "wrong clock")
    clock.moment = NOON
    for number in range(3):
        write(handler, f"number {number}")
    clock.moment = MIDNIGHT
    write(handler, "next day")

    assert files(tmp_path) == {
        name(20, 1): ["number 0", "number 1", "number 2"],
        name(21, 1): ["next day"],
        name(31, 1): ["wrong clock"],
    }


@pytest.mark.parametrize(
    ("zone", "label", "day"),
    [
        ("UTC", "UTC", "2025-01-20"),
        ("KST", "KST", "2025-01-21"),
        ("Asia/Seoul", "Asia-Seoul", "2025-01-21"),
        ("America/Argentina/Buenos_Aires", "America-Argentina-Buenos_Aires", "2025-01-20"),
        ("Etc/GMT+9", "Etc-GMT+9", "2025-01-20"),
    ],
)
def test_day_is_that_of_the_zone(
    make: Make, clock: FixedClock, tmp_path: pathlib.Path, zone: str, label: str, day: str
) -> None:
    """P3: names spell the zone without a slash, which would be a folder."""
    clock.moment = MIDNIGHT
    write(make(timezone=zone), "now")
    write(make(timezone=zone), "found again")

    assert files(tmp_path) == {f"App_{day}_001_{label}.log": ["now", "found again"]}


@pytest.mark.parametrize(
    ("before", "after", "days"),
    [
        ((2024, 11, 3, 3, 59, 59), (2024, 11, 3, 4, 0, 0), ("2024-11-02", "2024-11-03")),  # clocks go back at two
        ((2024, 11, 4, 4, 59, 59), (2024, 11, 4, 5, 0, 0), ("2024-11-03", "2024-11-04")),
    ],
)
def test_day_of_a_zone_with_summer_time_may_have_25_hours(
    make: Make,
    clock: FixedClock,
    tmp_path: pathlib.Path,
    before: tuple[int, ...],
    after: tuple[int, ...],
    days: tuple[str, str],
) -> None:
    """P3: a day ends at midnight on the wall clock."""
    handler = make(timezone="America/New_York")
    for moment in (before, after):
        clock.moment = calendar.timegm(moment)
        write(handler, "record")

    assert list(files(tmp_path)) == [f"App_{day}_001_America-New_York.log" for day in days]


# Sizes


def test_number_rises_with_each_file(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P3: a file ends before the record that would exceed the limit, and each day starts with number one."""
    handler = make(maxBytes=20)
    for number in range(5):
        write(handler, f"number {number}")  # 9 bytes each
    clock.moment = MIDNIGHT
    write(handler, "midnight")

    assert files(tmp_path) == {
        name(20, 1): ["number 0", "number 1"],
        name(20, 2): ["number 2", "number 3"],
        name(20, 3): ["number 4"],
        name(21, 1): ["midnight"],
    }


def test_record_above_the_limit_has_a_file_of_its_own(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: it is not lost, and is alone in its file."""
    handler = make(maxBytes=20)
    for text in ("before", "x" * 100, "y" * 100, "after"):
        write(handler, text)

    assert list(files(tmp_path).values()) == [["before"], ["x" * 100], ["y" * 100], ["after"]]


def test_late_record_respects_the_size_limit(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P2, P3: if the last file of its day is full, the record starts another one."""
    handler, other = make(maxBytes=20), make(maxBytes=20)
    write(handler, "number 0")
    clock.moment = MIDNIGHT
    write(handler, "midnight")
    for number in range(1, 6):
        write((handler, other)[number % 2], f"number {number}", MIDNIGHT - 1)

    assert files(tmp_path) == {
        name(20, 1): ["number 0", "number 1"],
        name(20, 2): ["number 2", "number 3"],
        name(20, 3): ["number 4", "number 5"],
        name(21, 1): ["midnight"],
    }


def test_handlers_share_one_limit(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: bytes of other handlers count, for records of any length."""
    handlers = [make(maxBytes=1000) for _ in range(3)]
    chance = random.Random(5)
    logged = []
    for number in range(2000):
        logged.append(f"{number} " + "x" * chance.choice((0, 1, 10, 100)))
        write(chance.choice(handlers), logged[-1])

    found = files(tmp_path)
    assert all_lines(tmp_path) == logged
    assert list(found) == [name(20, number + 1) for number in range(len(found))]
    assert max(path.stat().st_size for path in tmp_path.glob("App*")) < 1000
    assert sum(sum(map(len, held)) + len(held) > 880 for held in found.values()) >= len(found) - 1


def test_numbers_continue_beyond_999(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: the thousandth file is the newest, although its name sorts as text before the second."""
    for number in (2, 998, 999):
        (tmp_path / name(20, number)).write_text("earlier\n")
    handler = make(maxBytes=8)
    for text in "abc":
        write(handler, text)
    write(make(maxBytes=8), "d")

    assert files(tmp_path)[name(20, 1000)] == ["a", "b", "c"]
    assert files(tmp_path)[name(20, 1001)] == ["d"]
    assert len(files(tmp_path)) == 5


def test_batch_is_written_like_single_records(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P2, P3: the records of one batch are divided among days and sizes as single records are."""
    handler, other = make(maxBytes=50), make(maxBytes=50)
    clock.moment = MIDNIGHT + 5
    batch = [record(f"number {number}", MIDNIGHT - 10 + number) for number in range(10, 90)]
    handler.emit_batch([record(f"number {number}", MIDNIGHT - 100 + number) for number in range(10, 30)])
    for number in range(0, 80, 20):
        (handler, other)[number // 20 % 2].emit_batch(batch[number : number + 20])

    of_day = {
        day: [line for path, held in files(tmp_path).items() if f"_2025-01-{day}_" in path for line in held]
        for day in (20, 21)
    }
    assert of_day == {
        20: [f"number {number}" for number in range(10, 30)],
        21: [f"number {number}" for number in range(10, 90)],
    }
    assert max(path.stat().st_size for path in tmp_path.glob("App*")) < 50
    assert handler.problems == other.problems == []


# Restarts, and other files in the folder


def test_restarted_program_continues_in_the_newest_file(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: as long as the file has room."""
    for number, text in ((1, "x" * 18), (2, "earlier")):
        (tmp_path / name(20, number)).write_text(f"{text}\n")
    handler = make(maxBytes=20)

    assert handler.baseFilename == str(tmp_path / name(20, 2))
    write(handler, "number 1")
    write(handler, "number 2")
    assert files(tmp_path) == {
        name(20, 1): ["x" * 18],
        name(20, 2): ["earlier", "number 1"],
        name(20, 3): ["number 2"],
    }


def test_program_restarted_on_the_next_day_starts_a_file(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P2: the file of the day before is not changed."""
    write(make(), "yesterday")
    clock.moment = MIDNIGHT
    write(make(), "today")

    assert files(tmp_path) == {name(20, 1): ["yesterday"], name(21, 1): ["today"]}


@pytest.mark.parametrize("day", [20, 21])
def test_empty_file_of_a_killed_process_is_used(
    make: Make, clock: FixedClock, tmp_path: pathlib.Path, day: int
) -> None:
    """P3: killed between creating the file and writing the lock file, a process leaves an empty file, but no gap."""
    handler = make(maxBytes=20)
    write(handler, "number 0")
    (tmp_path / name(day, 2 if day == 20 else 1)).touch()
    clock.moment = NOON if day == 20 else MIDNIGHT
    write(handler, "number 1, which is too much")
    write(make(maxBytes=20), "two")

    assert all_lines(tmp_path) == ["number 0", "number 1, which is too much", "two"]
    assert all(files(tmp_path).values())


def test_empty_file_of_yesterday_gets_no_record_of_today(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P2: an empty file belongs to the day in its name."""
    (tmp_path / name(20, 1)).touch()
    handler = make()
    clock.moment = MIDNIGHT
    write(handler, "today")
    handler.doRollover()
    handler.doRollover()

    assert {path: held for path, held in files(tmp_path).items() if held} == {name(21, 1): ["today"]}


def test_removed_file_is_created_again(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P4: noticed within a second, under the same name."""
    first, second = make(), make()
    write(first, "lost with the file")
    write(second, "lost with the file")
    (tmp_path / name(20, 1)).unlink()
    clock.moment += 1.5
    write(first, "first")
    write(second, "second")
    write(make(), "third")

    assert files(tmp_path) == {name(20, 1): ["first", "second", "third"]}
    assert first.problems == second.problems == []


def test_removed_folder_is_created_again(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P4: with a lock file that two handlers share again."""
    folder = tmp_path / "log"
    handlers = [make(folder=folder) for _ in range(2)]
    for handler in handlers:
        write(handler, "lost with the folder")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    clock.moment = MIDNIGHT
    for handler in handlers:
        write(handler, "new day")

    assert files(folder) == {name(21, 1): ["new day", "new day"]}


@pytest.mark.parametrize("damage", ["remove", "empty", "garbage"])
def test_lost_lock_file_is_rebuilt_from_the_names(make: Make, tmp_path: pathlib.Path, damage: str) -> None:
    """P3: the content of the lock file is only a cache."""
    lock_file = tmp_path / ".__App_YYYY-MM-DD_NNN_KST.lock"
    handlers = make(maxBytes=100), make(maxBytes=100)
    for number in range(60):
        write(handlers[number % 2], f"number {number}")
        if number == 30:
            if damage == "remove":
                lock_file.unlink()
            else:
                lock_file.write_bytes(b"" if damage == "empty" else b"\xff" * 60)

    assert sorted(all_lines(tmp_path)) == sorted(f"number {number}" for number in range(60))
    # For a second, two writers with two lock files may each have a grant.
    assert max(path.stat().st_size for path in tmp_path.glob("App*")) < (150 if damage == "remove" else 100)


def test_newer_file_of_another_program_is_used(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: all handlers use the file that a restarted program would use."""
    first = make()
    write(first, "a")
    (tmp_path / name(20, 7)).write_text("by clock\n")
    second = make()
    write(second, "b")
    write(first, "c")

    assert files(tmp_path) == {name(20, 1): ["a"], name(20, 7): ["by clock", "b", "c"]}


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_number_of_a_compressed_file_is_not_reused(
    make: Make, clock: FixedClock, tmp_path: pathlib.Path, ending: str
) -> None:
    """P3: a file compressed by a nightly job can be unpacked under its old name."""
    (tmp_path / (name(20, 1) + ending)).write_bytes(b"compressed")
    handler = make()
    clock.moment = MIDNIGHT
    write(handler, "today")
    write(handler, "late", MIDNIGHT - 1)

    assert (tmp_path / name(20, 2)).read_text() == "late\n"
    assert not (tmp_path / name(20, 1)).exists()


def test_folder_with_the_name_of_a_file_is_skipped(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: a path that cannot be written does not cost the record."""
    (tmp_path / name(20, 2)).mkdir()
    handler = make(maxBytes=8)
    for text in "abcde":
        write(handler, text)

    assert files(tmp_path) == {name(20, 1): ["a", "b", "c"], name(20, 3): ["d", "e"]}


def test_prefixes_do_not_disturb_each_other(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P3: a prefix that starts like another, one that looks like a whole name, and one with special characters."""
    prefixes = ["App", "App_2", "App_2025-01-20_001_KST.log", "a.c", "abc", "(x+)*[$^", "서버", "%Y"]
    handlers = [make(prefix, maxBytes=50) for prefix in prefixes]
    for number in range(9):
        clock.moment = NOON + number * 4 * HOUR
        for prefix, handler in zip(prefixes, handlers, strict=True):
            write(handler, f"{prefix} {number} xxxxxxxxxx")

    for prefix in prefixes:
        of_prefix = [
            path for path in files(tmp_path) if re.fullmatch(re.escape(prefix) + r"_.{10}_.{3}_KST\.log", path)
        ]
        assert [line for path in of_prefix for line in files(tmp_path)[path]] == [
            f"{prefix} {number} xxxxxxxxxx" for number in range(9)
        ]


@pytest.mark.parametrize(
    "stranger",
    [
        "App_2025-13-45_001_KST.log",
        "App_2025-01-20_09_KST.log",
        "App_2025-01-20_009_UTC.log",
        "App_2025-01-20_009_KST.log.old",
        "MyApp_2025-01-20_009_KST.log",
        "App_2025-01-20_00٩_KST.log",
        "App_0001-01-01_001_KST.log",
        "App_2025-01-20_001_KST_log",
    ],
)
def test_other_files_are_ignored(make: Make, tmp_path: pathlib.Path, stranger: str) -> None:
    """P3: a file with a similar name is not a file of the handler."""
    (tmp_path / stranger).write_text("another program's\n")
    handler = make(backupCount=1)
    write(handler, "mine")

    assert files(tmp_path) == {stranger: ["another program's"], name(20, 1): ["mine"]}


# Failures


def test_file_that_cannot_be_created_costs_no_record(
    make: Make, clock: FixedClock, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: records continue in the current file, the cause is reported once, and the handler tries again."""
    handler = make()
    write(handler, "before")
    clock.moment = MIDNIGHT
    with monkeypatch.context() as patch:
        patch.setattr(LogFile, "create_like", _refuse)
        write(handler, "midnight")
        write(handler, "still")
    clock.moment += 2
    write(handler, "after")

    assert files(tmp_path) == {name(20, 1): ["before", "midnight", "still"], name(21, 1): ["after"]}
    assert [type(problem) for problem in handler.problems] == [PermissionError]


def _refuse(self: LogFile, previous: os.stat_result) -> None:
    raise PermissionError(13, "denied", self.path)


def test_folder_that_cannot_be_listed_costs_no_record(
    make: Make, clock: FixedClock, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: the search for the next name may fail, too."""
    handler = make(maxBytes=20)
    write(handler, "number 0")
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", _fail)
        for number in range(1, 4):
            write(handler, f"number {number}")

    assert sorted(all_lines(tmp_path)) == [f"number {number}" for number in range(4)]
    assert [type(problem) for problem in handler.problems] == [OSError]


def _fail(path: str) -> None:
    raise OSError(24, "too many open files", path)


def test_re_entrant_record_is_written_once(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P1: a filter or a signal handler logs while a file is created."""
    handler = make(maxBytes=20)
    create = handler._log_file.create_like

    def create_and_log(previous: os.stat_result) -> None:
        write(handler, "nested")
        create(previous)

    handler._log_file.create_like = create_and_log  # type: ignore[method-assign]
    for number in range(3):
        write(handler, f"number {number}")

    assert Counter(all_lines(tmp_path))["nested"] >= 1
    assert [line for line in all_lines(tmp_path) if line != "nested"] == [f"number {number}" for number in range(3)]
    assert handler.problems == []


def test_interrupt_while_a_file_is_created_leaves_the_handler_usable(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1: an exception of a signal handler costs at most the record that it interrupted."""
    handler = make(maxBytes=20)
    write(handler, "number 0")
    write(handler, "number 1")
    with monkeypatch.context() as patch:
        patch.setattr(LogFile, "create_like", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            write(handler, "interrupted")
    write(handler, "number 2")

    assert files(tmp_path) == {name(20, 1): ["number 0", "number 1"], name(20, 2): ["number 2"]}


def _interrupt(self: LogFile, previous: os.stat_result) -> None:
    raise KeyboardInterrupt


# Retention


def test_days_beyond_the_count_are_deleted(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P3: the newest whole days before the current one are kept."""
    handler = make(maxBytes=20, backupCount=2)
    for day in range(5):
        clock.moment = NOON + day * DAY
        for number in range(3):
            write(handler, f"day {day} {number}")

    assert files(tmp_path) == {
        name(22 + day, 1 + part): [f"day {2 + day} {number}" for number in numbers]
        for day in range(3)
        for part, numbers in enumerate(((0, 1), (2,)))
    }


def test_record_of_a_deleted_day_goes_to_the_current_file(
    make: Make, clock: FixedClock, tmp_path: pathlib.Path
) -> None:
    """P1: it is not lost, and not deleted at once."""
    handler = make(backupCount=1)
    for day in range(3):
        clock.moment = NOON + day * DAY
        write(handler, f"day {day}")
    write(handler, "late for yesterday", NOON + DAY)
    write(handler, "much too late", NOON)

    assert files(tmp_path) == {name(21, 1): ["day 1", "late for yesterday"], name(22, 1): ["day 2", "much too late"]}


# The standard interface


def test_do_rollover_starts_the_next_file(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """P6: a program may request a new file; an empty one stays."""
    handler, other = make(), make()
    write(handler, "before")
    handler.doRollover()
    handler.doRollover()
    write(other, "after")
    clock.moment = MIDNIGHT
    other.doRollover()
    write(handler, "midnight")

    assert files(tmp_path) == {name(20, 1): ["before"], name(20, 2): ["after"], name(21, 1): ["midnight"]}


def test_next_path_is_the_name_of_the_next_file(make: Make, clock: FixedClock, tmp_path: pathlib.Path) -> None:
    """It can be called at any time, and creates nothing."""
    handler = make()
    write(handler, "record")

    assert handler.next_path() == str(tmp_path / name(20, 2))
    clock.moment = MIDNIGHT
    assert handler.next_path() == str(tmp_path / name(21, 1))
    assert list(files(tmp_path)) == [name(20, 1)]


def test_closed_handler_opens_the_file_again(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: as the standard handlers do."""
    handler = make()
    write(handler, "before")
    handler.close()
    write(handler, "after")

    assert files(tmp_path) == {name(20, 1): ["before", "after"]}


@pytest.mark.parametrize("copied", [copy.copy, lambda handler: pickle.loads(pickle.dumps(handler))])
def test_handler_can_be_pickled(
    make: Make, clock: FixedClock, tmp_path: pathlib.Path, copied: Callable[[WatchedByDay], WatchedByDay]
) -> None:
    """P6: also after a day."""
    handler = make()
    write(handler, "original")
    content = pickle.dumps(handler)
    clock.moment = MIDNIGHT
    write(handler, "midnight")
    for text, each in (("copy", pickle.loads(content)), ("another copy", copied(handler))):
        write(each, text)
        each.close()

    assert files(tmp_path) == {name(20, 1): ["original"], name(21, 1): ["midnight", "copy", "another copy"]}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"timezone": "Asia/Soul"}, ValueError, "timezone='Asia/Soul' is unknown: use an IANA name such as"),
        ({"timezone": ""}, ValueError, "timezone='' is unknown"),
        ({"timezone": "../etc/passwd"}, ValueError, "is unknown"),
        ({"timezone": 9}, TypeError, "timezone must be a name such as 'KST' or 'Asia/Seoul', not 9"),
        ({"maxBytes": -1}, ValueError, "maxBytes=-1 must not be negative; 0 is no limit"),
        ({"maxBytes": 1.5}, TypeError, "maxBytes must be a whole number"),
        ({"backupCount": -1}, ValueError, "backupCount=-1 must not be negative; 0 keeps everything"),
        ({"prefix": ""}, ValueError, "prefix='' must be the beginning of a file's name"),
        ({"prefix": "a/b"}, ValueError, "prefix='a/b' must be the beginning of a file's name"),
        ({"prefix": "a\0b"}, ValueError, "must be the beginning of a file's name"),
        ({"prefix": None}, TypeError, "prefix must be a string, not None"),
        ({"folder": None}, TypeError, "folder must be a path, not None"),
        ({"encoding": "utf-9"}, ValueError, "encoding='utf-9' is unknown"),
    ],
)
def test_invalid_argument_is_rejected(
    tmp_path: pathlib.Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The message names the argument, the value and the remedy."""
    with pytest.raises(error, match=re.escape(message)):
        DatedFileHandler(**{"folder": tmp_path, **arguments})

    assert files(tmp_path) == {}


def test_folder_that_is_a_file_is_rejected(tmp_path: pathlib.Path) -> None:
    """The message names the path."""
    (tmp_path / "log").touch()

    with pytest.raises(OSError, match=r"cannot write the log file .*App_.*_001_UTC\.log"):
        DatedFileHandler(tmp_path / "log")


def test_configuration_creates_the_handler(tmp_path: pathlib.Path) -> None:
    """P6: `logging.config.dictConfig` finds it by its name."""
    file = {"class": "concurrent_log.dated.DatedFileHandler", "folder": str(tmp_path), "timezone": "KST"}
    logger = {"handlers": ["file"], "propagate": False}
    logging.config.dictConfig({"version": 1, "handlers": {"file": file}, "loggers": {"dated": logger}})
    handler = logging.getLogger("dated").handlers.pop()
    write(handler, "configured")
    handler.close()

    assert all_lines(tmp_path) == ["configured"]
