"""The behaviour of one handler: periods, late records, overrides and errors, on both arms of the protocol."""

import configparser
import contextlib
import copy
import errno
import fcntl
import gc
import gzip
import io
import itertools
import logging
import logging.config
import logging.handlers
import os
import pathlib
import pickle
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import datetime
from datetime import time as time_of_day
from typing import Any

import pytest

from concurrent_log.files import adapter, log_file
from concurrent_log.files import rename as moving
from concurrent_log.files import rollover as rolling
from concurrent_log.files import torn_records as appending
from concurrent_log.files.lock_file import HeldLock, LockFile
from concurrent_log.files.view import NO_VIEW
from concurrent_log.files.writer import LogWriter
from support.deadlines import DEADLINE
from support.descriptors import open_descriptors
from support.paths import TESTS
from support.records import DAY, HOUR, TEN, Watched, all_lines, files, lines, record, write

Make = Callable[..., Watched]


# A stream just opened or just given up is closed by the garbage collector when an interrupt comes right there.
_LEAVES_STREAMS = pytest.mark.filterwarnings(
    "ignore:.*unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(params=["shared", "exclusive"])
def make(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Make:
    """Create a handler of ``app.log`` in UTC, once for each arm of the protocol."""
    made = []

    def handler(*args: Any, **kwargs: Any) -> Watched:
        kwargs.setdefault("utc", True)
        kwargs.setdefault("encoding", "utf-8")
        if request.param == "exclusive":
            kwargs.setdefault("keep_file_open", False)
        if not args and "filename" not in kwargs:
            args = (tmp_path / "app.log",)
        kwargs.setdefault("when", "H")
        made.append(Watched(*args, **kwargs))
        return made[-1]

    yield handler
    for each in made:
        each.close()


# Periods and rollover


def test_record_is_in_the_file_of_its_period(make: Make, tmp_path: pathlib.Path) -> None:
    """P2: the creation time of a record decides on the rollover, and the backup is named after its period."""
    handler = make()
    write(handler, "ten", TEN + 1)
    write(handler, "still ten", TEN + HOUR - 0.001)
    write(handler, "eleven", TEN + HOUR)
    write(handler, "two", TEN + 4 * HOUR)

    assert files(tmp_path) == {
        "app.log": ["two"],
        "app.log.2024-05-17_10": ["ten", "still ten"],
        "app.log.2024-05-17_11": ["eleven"],
    }
    assert handler.problems == []


def test_second_handler_does_not_roll_over_again(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: after one handler's rollover, the others notice it, and no record goes to the old file."""
    first, second = make(), make()
    write(first, "a", TEN)
    write(second, "b", TEN)
    write(first, "c", TEN + HOUR)
    write(second, "d", TEN + HOUR)

    assert files(tmp_path) == {"app.log": ["c", "d"], "app.log.2024-05-17_10": ["a", "b"]}


def test_idle_handler_neither_renames_nor_deletes_the_current_file(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: a process that was idle for two periods continues in today's file."""
    busy, idle = make(backupCount=1), make(backupCount=1)
    write(idle, "idle 10", TEN)
    write(busy, "busy 11", TEN + HOUR)
    write(busy, "busy 12", TEN + 2 * HOUR)
    write(idle, "idle 12", TEN + 2 * HOUR)

    assert files(tmp_path) == {"app.log": ["busy 12", "idle 12"], "app.log.2024-05-17_11": ["busy 11"]}


def test_two_log_files_are_independent(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: a handler's rollover does not affect another file."""
    quick, slow = make(tmp_path / "a.log", when="S"), make(tmp_path / "b.log", when="D")
    for second in range(3):
        write(quick, f"quick {second}", TEN + second)
        write(slow, f"slow {second}", TEN + second)

    assert files(tmp_path)["b.log"] == ["slow 0", "slow 1", "slow 2"]
    assert len(files(tmp_path)) == 4


def test_late_record_goes_to_the_backup_of_its_own_period(make: Make, tmp_path: pathlib.Path) -> None:
    """P2: also if it waited during a rollover, and for periods that had no file yet."""
    handler = make()
    write(handler, "ten", TEN)
    write(handler, "twelve", TEN + 2 * HOUR)
    write(handler, "late ten", TEN + 10)
    write(handler, "late eleven", TEN + HOUR)
    write(handler, "twelve again", TEN + 2 * HOUR + 1)

    assert files(tmp_path) == {
        "app.log": ["twelve", "twelve again"],
        "app.log.2024-05-17_10": ["ten", "late ten"],
        "app.log.2024-05-17_11": ["late eleven"],
    }


def test_late_record_reopens_no_earlier_period(make: Make, tmp_path: pathlib.Path) -> None:
    """P2, P3: also as the first record after a process killed in a rollover has left no log file."""
    handler = make()
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)
    (tmp_path / "app.log").rename(tmp_path / "app.log.2024-05-17_11")
    write(handler, "late ten", TEN + 1)
    write(handler, "late eleven", TEN + HOUR + 2)

    assert files(tmp_path) == {
        "app.log": ["late eleven"],
        "app.log.2024-05-17_10": ["ten", "late ten"],
        "app.log.2024-05-17_11": ["eleven"],
    }


def test_late_record_of_a_period_not_kept_goes_to_the_current_file(make: Make, tmp_path: pathlib.Path) -> None:
    """P2: if retention has deleted its period, the record is nevertheless not lost."""
    handler = make(backupCount=1)
    for hour in range(3):
        write(handler, str(hour), TEN + hour * HOUR)
    write(handler, "late", TEN)

    assert files(tmp_path) == {"app.log": ["2", "late"], "app.log.2024-05-17_11": ["1"]}


def test_record_from_the_future_causes_no_rollover(make: Make, tmp_path: pathlib.Path) -> None:
    """P2: a period ends only when the clock says so, too."""
    handler = make()
    write(handler, "now")
    write(handler, "tomorrow", handler.rolloverAt + DAY)

    assert files(tmp_path) == {"app.log": ["now", "tomorrow"]}


@pytest.mark.parametrize("created", [-1.0, float("nan"), float("-inf"), float("inf"), 1e300])
def test_record_with_an_impossible_time_is_written(make: Make, tmp_path: pathlib.Path, created: float) -> None:
    """P4: an invalid creation time does not cost the record."""
    handler = make()
    write(handler, "before")
    strange = record("strange")
    strange.created = created
    handler.handle(strange)

    assert files(tmp_path) == {"app.log": ["before", "strange"]}


@pytest.mark.parametrize(
    ("when", "interval", "at", "first", "second", "backup"),
    [
        ("S", 1, None, TEN, TEN + 1, "2024-05-17_10-00-00"),
        ("S", 5, None, TEN + 1, TEN + 5, "2024-05-17_10-00-00"),
        ("M", 1, None, TEN + 59, TEN + 60, "2024-05-17_10-00"),
        ("M", 15, None, TEN + 60, TEN + 900, "2024-05-17_10-00"),
        ("H", 6, None, TEN, TEN + 2 * HOUR, "2024-05-17_06"),
        ("D", 1, None, TEN, TEN + 14 * HOUR, "2024-05-17"),
        ("midnight", 1, None, TEN, TEN + 14 * HOUR, "2024-05-17"),
        ("MIDNIGHT", 1, time_of_day(9), TEN, TEN + 23 * HOUR, "2024-05-17"),
        ("W4", 1, None, TEN, TEN + 14 * HOUR, "2024-05-11"),
        ("w4", 1, time_of_day(12), TEN, TEN + 2 * HOUR, "2024-05-10"),
    ],
)
def test_each_schedule_rolls_over_at_its_boundary(
    make: Make,
    tmp_path: pathlib.Path,
    when: str,
    interval: int,
    at: time_of_day | None,
    first: float,
    second: float,
    backup: str,
) -> None:
    """P3: aligned to the clock, not to the start of the process, with one meaning of interval."""
    handler = make(when=when, interval=interval, atTime=at)
    write(handler, "a", first)
    write(handler, "b", second - 0.01)
    write(handler, "c", second)

    assert files(tmp_path) == {"app.log": ["c"], f"app.log.{backup}": ["a", "b"]}


def test_file_left_by_an_earlier_run_is_rolled_over_by_its_last_change(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: also without a lock file, so that a program that restarts often still rolls over."""
    (tmp_path / "app.log").write_text("old\n")
    os.utime(tmp_path / "app.log", (TEN, TEN))
    write(make(), "new", TEN + 2 * HOUR)

    assert files(tmp_path) == {"app.log": ["new"], "app.log.2024-05-17_10": ["old"]}


def test_restart_within_a_period_keeps_the_file(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: the period survives a restart, although the file was changed in between."""
    write(make(), "first", TEN)
    make().close()
    write(make(), "second", TEN + HOUR - 1)
    write(make(), "third", TEN + HOUR)

    assert files(tmp_path) == {"app.log": ["third"], "app.log.2024-05-17_10": ["first", "second"]}


def test_nothing_rolls_over_inside_the_constructor(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: a namer and a suffix that are set after construction apply to the first backup."""
    (tmp_path / "app.log").write_text("old\n")
    os.utime(tmp_path / "app.log", (TEN, TEN))
    handler = make()
    assert files(tmp_path) == {"app.log": ["old"]}
    assert not (tmp_path / ".__app.lock").exists()

    handler.suffix = "%Y%m%d"
    handler.namer = lambda name: name.replace("app.log.", "app-") + ".log"
    write(handler, "new")

    assert files(tmp_path) == {"app.log": ["new"], "app-20240517.log": ["old"]}


def test_file_that_rolls_over_while_a_handler_is_created(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: a worker starts while another one renames the file: the constructor does not fail."""
    write(make(), "ten", TEN)
    look = os.stat

    def gone(path: Any, **options: Any) -> os.stat_result:
        monkeypatch.setattr(os, "stat", look)
        raise FileNotFoundError(2, "renamed at this moment", path)

    monkeypatch.setattr(os.path, "exists", lambda path: True)
    monkeypatch.setattr(os, "stat", gone)
    handler = make(delay=True)
    write(handler, "more", TEN)

    assert files(tmp_path) == {"app.log": ["ten", "more"]}


@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("chosen", range(10))
def test_file_renamed_while_a_handler_is_created_is_not_mistaken_for_a_device(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, delay: bool, chosen: int
) -> None:
    """P2: the handler rolls over as usual if another process renames the file during any check of the constructor."""
    write(make(), "ten", TEN)
    look, numbers = os.stat, itertools.count()

    def stat_once_missing(path: Any, *args: Any, **options: Any) -> os.stat_result:
        if os.fspath(path).endswith("app.log") and next(numbers) == chosen:
            raise FileNotFoundError(2, "renamed at this moment", path)
        return look(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat_once_missing)
        handler = make(delay=delay)
    write(handler, "eleven", TEN + HOUR)

    assert files(tmp_path) == {"app.log": ["eleven"], "app.log.2024-05-17_10": ["ten"]}


def test_existing_backup_is_never_overwritten(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: if the name is taken, the backup gets a number."""
    (tmp_path / "app.log.2024-05-17_10").write_text("restored\n")
    handler = make()
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)

    assert files(tmp_path) == {
        "app.log": ["eleven"],
        "app.log.2024-05-17_10": ["restored"],
        "app.log.2024-05-17_10.0001": ["ten"],
    }


@pytest.mark.parametrize("has_renameat2", [True, False])
def test_backup_that_appears_at_the_last_moment_is_not_overwritten(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, has_renameat2: bool
) -> None:
    """P3: after the lock file was removed, two processes may roll over at once; neither replaces the other's backup."""
    if not has_renameat2:
        monkeypatch.setattr(moving, "_renameat2", None)
    handler = make()
    write(handler, "ten", TEN)
    move = rolling.move

    def too_late(source: str, destination: str) -> None:
        monkeypatch.setattr(rolling, "move", move)
        pathlib.Path(destination).write_text("another process's\n")
        move(source, destination)

    monkeypatch.setattr(rolling, "move", too_late)
    write(handler, "eleven", TEN + HOUR)

    assert files(tmp_path) == {
        "app.log": ["eleven"],
        "app.log.2024-05-17_10": ["another process's"],
        "app.log.2024-05-17_10.0001": ["ten"],
    }
    assert handler.problems == []


def test_empty_file_creates_no_backup(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: an hour without records removes no backup from retention."""
    handler = make(delay=False)
    write(handler, "eleven", TEN + HOUR)

    assert files(tmp_path) == {"app.log": ["eleven"]}


def test_do_rollover_starts_a_new_file_for_all(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: after the program requests a rollover, the other handlers follow, and no record is lost."""
    first, second = make(), make()
    write(first, "a", TEN)
    write(second, "b", TEN)
    first.doRollover()
    write(second, "c")
    first.doRollover()
    write(first, "d")

    found = files(tmp_path)
    assert found.pop("app.log") == ["d"]
    assert found.pop("app.log.2024-05-17_10") == ["a", "b"]
    assert list(found.values()) == [["c"]]


# Retention


def test_retention_keeps_the_newest_periods(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: the newest periods without a gap, and files of other programs are not deleted."""
    for stranger in ("app.log.err.2020-01-01_00", "app.log2.2020-01-01_00", "app.log.2020-01-01", "app.log.old"):
        (tmp_path / stranger).write_text("keep\n")
    handler = make(backupCount=3)
    for hour in range(8):
        write(handler, str(hour), TEN + hour * HOUR)

    found = files(tmp_path)
    assert [found.pop(name) for name in list(found) if found[name] == ["keep"]] == [["keep"]] * 4
    assert found == {
        "app.log": ["7"],
        "app.log.2024-05-17_14": ["4"],
        "app.log.2024-05-17_15": ["5"],
        "app.log.2024-05-17_16": ["6"],
    }


def test_retention_counts_periods_not_files(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: several backups of one period count once, and are deleted together."""
    for name in ("10", "10.0001", "10.0002", "11.gz", "11.0001.gz"):
        (tmp_path / f"app.log.2024-05-17_{name}").write_text(name + "\n")
    handler = make(backupCount=2)
    write(handler, "twelve", TEN + 2 * HOUR)
    write(handler, "thirteen", TEN + 3 * HOUR)

    assert sorted(files(tmp_path)) == [
        "app.log",
        "app.log.2024-05-17_11.0001.gz",
        "app.log.2024-05-17_11.gz",
        "app.log.2024-05-17_12",
    ]


@pytest.mark.parametrize(
    ("suffix", "namer"),
    [
        ("%Y-%m-%d_%H-%M-%S.log", None),
        ("%d-%m-%Y_%H%M%S", None),
        ("%d.%b.%Y %H-%M-%S", None),
        (None, lambda name: re.sub(r"app\.log\.(.*)", r"app.\1.log", name)),
        (None, lambda name: name + ".gz"),
        ("%Y%m%d-%H%M%S", lambda name: re.sub(r"app\.log\.(.*)", r"\1-app.log", name)),
    ],
)
def test_retention_finds_custom_names(
    make: Make, tmp_path: pathlib.Path, suffix: str | None, namer: Callable[[str], str] | None
) -> None:
    """P6: backups with a custom suffix or namer are deleted in the order of time."""
    handler = make(backupCount=2, when="S")
    if suffix:
        handler.suffix = suffix
    handler.namer = namer
    for second in range(5):
        write(handler, str(second), TEN + second * 40 * DAY)

    assert sorted(found[0] for found in files(tmp_path).values()) == ["2", "3", "4"]


def test_retention_uses_a_custom_ext_match(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: a custom pattern, anchored or not, decides which files are backups."""
    handler = make(backupCount=1)
    handler.suffix = "%Y%m%d_%H"
    handler.extMatch = re.compile(r"^\d{8}_\d{2}$")
    for hour in range(4):
        write(handler, str(hour), TEN + hour * HOUR)

    assert files(tmp_path) == {"app.log": ["3"], "app.log.20240517_12": ["2"]}


def test_retention_parses_times_in_custom_names(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: the ninth is older than the tenth, also if a custom pattern has days of one digit."""
    handler = make(backupCount=1)
    handler.suffix = "%Y-%m-%d"
    handler.extMatch = re.compile(r"^\d{4}-\d{1,2}-\d{1,2}$")
    for day in ("2024-5-9", "2024-5-10"):
        (tmp_path / f"app.log.{day}").touch()

    assert handler.getFilesToDelete() == [str(tmp_path / "app.log.2024-5-9")]


def test_backup_that_cannot_be_deleted_is_reported(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: records are still written, and the cause is reported once."""
    handler = make(backupCount=1)
    monkeypatch.setattr(os, "remove", lambda path: (_ for _ in ()).throw(PermissionError(13, "denied", path)))
    for hour in range(5):
        write(handler, str(hour), TEN + hour * HOUR)

    assert sorted(found[0] for found in files(tmp_path).values()) == ["0", "1", "2", "3", "4"]
    assert [type(error) for error in handler.problems] == [PermissionError]


# Problems around the file


def test_failing_rollover_continues_in_the_file_and_is_retried(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: it is reported once, not with every record; when the cause is gone, the file rolls over."""
    handler = make()
    write(handler, "ten", TEN)
    move = rolling.move
    monkeypatch.setattr(rolling, "move", lambda *names: (_ for _ in ()).throw(PermissionError(13, "denied")))
    for second in range(20):
        write(handler, f"eleven {second}", TEN + HOUR + second)
    assert len(lines(tmp_path / "app.log")) == 21
    assert [type(error) for error in handler.problems] == [PermissionError]

    monkeypatch.setattr(rolling, "move", move)
    write(handler, "twelve", TEN + 2 * HOUR)

    assert files(tmp_path)["app.log"] == ["twelve"]
    assert len(files(tmp_path)["app.log.2024-05-17_10"]) == 21
    assert len(handler.problems) == 1


def test_failing_rollover_is_reported_once_between_other_records(tmp_path: pathlib.Path) -> None:
    """P4: a record at a page boundary or a re-entrant record does not make an old cause a new one."""
    handler = Watched(tmp_path / "app.log", when="H", utc=True)

    def rotator(source: str, destination: str) -> None:
        write(handler, "inner")
        raise ZeroDivisionError

    handler.rotator = rotator
    write(handler, "ten", TEN)
    for _ in range(3):
        write(handler, "overdue")
        size = (tmp_path / "app.log").stat().st_size
        write(handler, "x" * (4095 - size % 4096))
        write(handler, "begins a page")
        handler._log_file.view = NO_VIEW  # as if the view had expired

    assert [type(error) for error in handler.problems] == [ZeroDivisionError]
    handler.close()


def test_rollover_that_fails_after_the_move_is_complete(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P2: once the file was moved, no record of the new period is appended to it."""
    handler = make()
    write(handler, "ten", TEN)
    fail = [OSError(errno.EMFILE, "too many open files")]
    opened = handler._open

    def fail_once() -> Any:
        if fail and not (tmp_path / "app.log").stat().st_size:
            raise fail.pop()
        return opened()

    monkeypatch.setattr(handler, "_open", fail_once)
    write(handler, "eleven", TEN + HOUR)
    write(handler, "still eleven", TEN + HOUR + 0.5)

    assert files(tmp_path) == {"app.log": ["eleven", "still eleven"], "app.log.2024-05-17_10": ["ten"]}
    assert [type(error) for error in handler.problems] == [OSError]


def test_rotator_that_fails_halfway_loses_nothing(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: a custom rotator may raise any exception."""
    handler = make()
    handler.rotator = lambda source, destination: 1 / 0
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)

    assert files(tmp_path) == {"app.log": ["ten", "eleven"]}
    assert [type(error) for error in handler.problems] == [ZeroDivisionError]


@pytest.mark.parametrize("damage", ["remove", "move", "remove folder"])
def test_removed_log_file_is_created_again(make: Make, tmp_path: pathlib.Path, damage: str) -> None:
    """P4: within a second, or at once if the record is of another second."""
    folder = tmp_path / "logs"
    handler = make(folder / "app.log")
    write(handler, "before", TEN)
    if damage == "remove":
        (folder / "app.log").unlink()
    elif damage == "move":
        (folder / "app.log").rename(folder / "moved")
    else:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    write(handler, "after", TEN + 1)

    assert lines(folder / "app.log") == ["after"]
    assert handler.problems == []


def test_truncated_log_file_is_appended_to_at_its_new_end(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: logrotate's copytruncate leaves no hole of zero bytes."""
    handler = make()
    write(handler, "before")
    os.truncate(tmp_path / "app.log", 0)
    write(handler, "after")

    assert files(tmp_path) == {"app.log": ["after"]}


@pytest.mark.parametrize("damage", ["remove", "empty", "garbage", "torn", "future"])
def test_lock_file_that_lost_its_state_is_rebuilt(make: Make, tmp_path: pathlib.Path, damage: str) -> None:
    """P3: the state is a cache; the log file's time of change replaces it."""
    from concurrent_log.files.shared_state import State

    lock_file = tmp_path / ".__app.lock"
    handler = make()
    write(handler, "ten", TEN)
    content = lock_file.read_bytes()
    if damage == "remove":
        lock_file.unlink()
    elif damage == "future":
        known = State.from_bytes(content)
        assert known is not None
        lock_file.write_bytes(known._replace(start=2**33, generation=known.generation + 1).to_bytes())
    else:
        lock_file.write_bytes({"empty": b"", "garbage": os.urandom(99), "torn": content[:10]}[damage])
    os.utime(tmp_path / "app.log", (TEN, TEN))
    write(handler, "still ten", TEN + 60)
    os.utime(tmp_path / "app.log", (TEN, TEN))
    write(make(), "eleven", TEN + HOUR)
    write(handler, "eleven too", TEN + HOUR)

    assert files(tmp_path) == {"app.log": ["eleven", "eleven too"], "app.log.2024-05-17_10": ["ten", "still ten"]}
    assert handler.problems == []


def test_lock_held_by_a_stopped_process_delays_but_loses_nothing(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: after lock_timeout records are written without the lock, and the cause is reported once."""
    handler = make(lock_timeout=0.05)
    write(handler, "ten", TEN)
    script = (
        "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / ".__app.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        other.send_signal(signal.SIGSTOP)
        for second in range(100):
            write(handler, f"eleven {second}", TEN + HOUR + second)
        assert len(lines(tmp_path / "app.log")) == 101
        assert [type(error) for error in handler.problems] == [TimeoutError]
        assert ".__app.lock" in str(handler.problems[0])
        other.kill()
    write(handler, "twelve", TEN + 2 * HOUR)

    assert files(tmp_path)["app.log"] == ["twelve"]
    assert len(handler.problems) == 1


def test_lock_file_that_cannot_be_created_costs_no_record(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: records are appended without it, and the file does not roll over."""
    (tmp_path / "locks").write_text("a file, where a folder was meant to be")
    handler = make(lock_file_directory=tmp_path / "locks")
    for hour in range(3):
        write(handler, str(hour), TEN + hour * HOUR)

    assert lines(tmp_path / "app.log") == ["0", "1", "2"]
    assert len(handler.problems) == 1


def test_namer_gets_only_names_with_times(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: a namer that parses the time gets names of backups only: at rollover, for retention and for late records."""

    def namer(name: str) -> str:
        folder, base = os.path.split(name)
        moment = datetime.strptime(base, "app.log.%Y-%m-%d_%H")
        return os.path.join(folder, "old", f"app-{moment:%Y-%m-%d_%H}.log")

    handler = make(backupCount=2)
    handler.namer = namer
    for hour in range(5):
        write(handler, str(hour), TEN + hour * HOUR)
    write(handler, "late", TEN + 3 * HOUR)

    assert files(tmp_path / "old") == {"app-2024-05-17_12.log": ["2"], "app-2024-05-17_13.log": ["3", "late"]}
    assert handler.problems == []


def test_late_record_without_a_writable_backup_goes_to_the_current_file(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: an error with the backup does not cost the late record."""
    handler = make()
    write(handler, "eleven", TEN + HOUR)
    (tmp_path / "app.log.2024-05-17_10").mkdir()
    write(handler, "late", TEN)

    assert files(tmp_path) == {"app.log": ["eleven", "late"]}
    assert [type(error) for error in handler.problems] == [IsADirectoryError]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change the user")
@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_worker_that_dropped_its_privileges_loses_nothing(tmp_path: pathlib.Path, mode: int) -> None:
    """P4: after a fork and a change of user, it keeps the inherited file, whether it may read the lock file or not."""
    tmp_path.chmod(0o755)
    handler = Watched(tmp_path / "app.log", when="H", utc=True, encoding="utf-8")
    write(handler, "root", TEN)
    (tmp_path / ".__app.lock").chmod(mode)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setuid(65534)
            for second in range(50):
                write(handler, f"nobody {second}", TEN + 1 + second * 100)
            status = len(handler.problems)
        finally:
            os._exit(status)
    problems = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    write(handler, "root again", TEN + 1)

    handler.close()
    assert all_lines(tmp_path) == ["root", *(f"nobody {second}" for second in range(50)), "root again"]
    assert problems <= 3


# Whole records


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change the user")
def test_permission_to_write_the_lock_file_can_be_granted_later(request: pytest.FixtureRequest) -> None:
    """P3, P4: a worker that may only read the lock file leaves rollovers to others, until it may write it."""
    folder = pathlib.Path(tempfile.mkdtemp())  # tmp_path is in a folder that other users may not enter
    request.addfinalizer(lambda: shutil.rmtree(folder))
    folder.chmod(0o777)
    lock_file = folder / ".__app.lock"
    handler = Watched(folder / "app.log", when="H", utc=True, encoding="utf-8")
    (folder / "app.log").chmod(0o666)
    write(handler, "root", TEN)
    lock_file.chmod(0o644)
    child = os.fork()
    if child == 0:
        status = 9
        try:
            os.seteuid(65534)  # the real user remains root
            write(handler, "eleven", TEN + HOUR)
            backups = len(list(folder.glob("app.log.*")))
            os.seteuid(0)
            lock_file.chmod(0o666)
            os.seteuid(65534)
            write(handler, "twelve", TEN + 2 * HOUR)
            write(handler, "thirteen", TEN + 3 * HOUR)
            status = backups * 3 + len(handler.problems)
        finally:
            os._exit(status)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert files(folder) == {
        "app.log": ["thirteen"],
        "app.log.2024-05-17_10": ["root", "eleven"],
        "app.log.2024-05-17_12": ["twelve"],
    }
    handler.close()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "shift_jis", "iso2022_jp"])
def test_each_encoding_is_read_back_whole(make: Make, tmp_path: pathlib.Path, encoding: str) -> None:
    """P1: each file has one byte-order mark, at its start, also with late records."""
    first, second = make(encoding=encoding), make(encoding=encoding)
    words = ["plain", "caf\u00e9"] if encoding == "latin-1" else ["plain", "\u8b66\u544a"]
    for word in words:
        write(first, word, TEN)
        write(second, word, TEN + HOUR)
        write(first, word, TEN + 1)

    for name in ("app.log", "app.log.2024-05-17_10"):
        text = (tmp_path / name).read_text(encoding=encoding)
        assert "\ufeff" not in text
        assert set(text.splitlines()) == set(words)
    assert first.problems + second.problems == []


@pytest.mark.parametrize(
    ("encoding", "errors", "written"),
    [
        ("ascii", None, "caf\\xe9 \\ud83d"),
        ("ascii", "strict", "caf\\xe9 \\ud83d"),
        ("ascii", "replace", "caf? ?"),
        ("ascii", "ignore", "caf "),
        ("utf-8", None, "caf\u00e9 \\ud83d"),
        ("utf-16", None, "caf\u00e9 \\ud83d"),
    ],
)
def test_character_that_the_encoding_lacks_costs_no_record(
    make: Make, tmp_path: pathlib.Path, encoding: str, errors: str | None, written: str
) -> None:
    """P4: a lone surrogate or a foreign letter is escaped, not lost, unless ``errors`` says otherwise."""
    handler = make(encoding=encoding, errors=errors)
    write(handler, "caf\u00e9 \ud83d")

    assert (tmp_path / "app.log").read_text(encoding=encoding) == written + "\n"
    assert handler.problems == []


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 10_000_000])
def test_record_of_any_size_is_one_line(make: Make, tmp_path: pathlib.Path, size: int) -> None:
    """P1: from the empty message to ten million characters, each in one record."""
    handler = make()
    for _ in range(3):
        write(handler, "x" * size)

    assert (tmp_path / "app.log").read_text() == ("x" * size + "\n") * 3


@contextlib.contextmanager
def _file_size_limited(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_record_that_does_not_fit_ends_on_its_own_line(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: the part of a record that a full disk accepted is reported, and affects no other record."""
    handler, other = make(), make()
    write(handler, "before")
    with _file_size_limited(16):
        for _ in range(3):
            write(handler, "too long " * 10)
    write(other, "other")
    write(handler, "after")

    assert files(tmp_path) == {"app.log": ["before", "too long", "other", "after"]}
    assert [error.errno in (errno.ENOSPC, errno.EFBIG) for error in handler.problems] == [True] * 3


def test_torn_record_before_another_record_is_closed(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1: if another process appended before the torn record could be closed, it ends with a terminator."""
    handler = make()
    write(handler, "before")

    def too_late(*arguments: Any) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        with open(tmp_path / "app.log", "a") as file:
            file.write("neighbour\n")
        appending.close_torn_record(*arguments)

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(log_file, "close_torn_record", too_late)
    with _file_size_limited(20):
        write(handler, "x" * 60)
    write(handler, "after")

    found = lines(tmp_path / "app.log")
    assert "neighbour" in found
    assert "after" in found
    assert all(re.fullmatch("before|x+|neighbour|after", line) for line in found)


def test_torn_record_is_not_cut_off_beside_a_process_without_the_lock(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1: two faults at once; a process that cannot get the lock appends between a look at the size and a cut."""
    handler = make()
    write(handler, "before")
    truncate, limits, appended = os.ftruncate, resource.getrlimit(resource.RLIMIT_FSIZE), []

    def append_neighbour() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        appended.append("neighbour")
        with open(tmp_path / "app.log", "a") as file:
            file.write("neighbour\n")

    def too_late(fd: int, size: int) -> None:
        append_neighbour()
        truncate(fd, size)

    monkeypatch.setattr(os, "ftruncate", too_late)
    with _file_size_limited(20):
        write(handler, "x" * 60)
    if not appended:
        append_neighbour()
    write(handler, "after")

    assert lines(tmp_path / "app.log") == ["before", "x" * 12, "neighbour", "after"]


def test_torn_record_shorter_than_the_terminator_is_closed(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: a terminator over it would reach into the record before it, which stays whole."""
    before = b"x" * 4093 + b"\r\n"
    (tmp_path / "app.log").write_bytes(before + b"2")
    write(make(terminator="\r\n"), "after")

    assert (tmp_path / "app.log").read_bytes() == before + b"\n" + b"after\r\n"


def test_interrupt_while_releasing_leaves_no_lock(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: not even until a garbage collection, if another problem is reported in the same call."""

    class Interruption(BaseException):
        pass

    def interrupted(section: HeldLock, *error: object) -> None:
        monkeypatch.undo()
        raise Interruption

    def take() -> None:
        taken.append(mutex.acquire(timeout=DEADLINE))
        mutex.release()

    handler = make(lock_timeout=0)
    write(handler, "before")
    mutex = handler._lock_file.mutex
    taken: list[bool] = []
    fd = os.open(tmp_path / ".__app.lock", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)  # Another process holds the lock and does not release it.
    gc.collect()
    gc.disable()
    try:
        monkeypatch.setattr(HeldLock, "__exit__", interrupted)
        with pytest.raises(Interruption):
            write(handler, "while it is locked")
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    finally:
        gc.enable()
        os.close(fd)

    assert taken == [True]
    assert {type(problem) for problem in handler.problems} <= {TimeoutError}


def test_torn_record_is_closed_after_a_failed_check(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: a signal handler raises before the file is opened, and then the disk is full."""
    handler = make()
    write(handler, "before")
    handler.close()

    def interrupted(*arguments: Any, **options: Any) -> None:
        raise InterruptedError

    monkeypatch.setattr(handler._log_writer, "look", interrupted)
    with _file_size_limited(40):
        write(handler, "too long " * 10)

    assert files(tmp_path) == {"app.log": ["before", "too long too long too long too l"]}
    assert [type(error) for error in handler.problems] == [InterruptedError, OSError]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters return records since Python 3.12")
def test_filter_may_replace_the_record(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: the record that a filter returns is written."""
    handler = make()
    handler.addFilter(lambda found: record(f"instead of {found.msg}", found.created))
    write(handler, "this", TEN)

    assert files(tmp_path) == {"app.log": ["instead of this"]}


def test_message_with_newlines_stays_together(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: with a custom terminator, records of many lines can be told apart."""
    handler = make(terminator="\x1e\n")
    write(handler, "one\ntwo")
    write(handler, "three")

    assert (tmp_path / "app.log").read_text() == "one\ntwo\x1e\nthree\x1e\n"


@pytest.mark.parametrize("terminator", ["\n", "\r\n", "--END--\n"])
def test_torn_record_of_a_killed_process_damages_no_other(make: Make, tmp_path: pathlib.Path, terminator: str) -> None:
    """P1: a killed write ends at a page boundary; the next record of any process is on a line of its own."""
    handler = make(terminator=terminator)
    write(handler, "first")
    with open(tmp_path / "app.log", "ab") as file:
        file.write(b"z" * (4096 - file.tell()))
    write(handler, "second")
    write(handler, "third")

    assert (tmp_path / "app.log").read_bytes().split(terminator.encode())[-3:] == [b"second", b"third", b""]


def test_torn_late_record_of_a_killed_process_damages_no_other(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: the same in a backup, for the next late record."""
    handler = make()
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)
    with open(tmp_path / "app.log.2024-05-17_10", "ab") as file:
        file.write(b"z" * (4096 - file.tell()))
    write(handler, "late", TEN + 1)

    assert files(tmp_path)["app.log.2024-05-17_10"] == ["ten", "z" * (4096 - 5), "late"]


def test_record_that_ends_at_a_page_is_kept(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: whole records that fill a page are not mistaken for torn ones."""
    handler = make()
    for word in ("a" * 4095, "b" * 4095, "c"):
        write(handler, word)

    assert files(tmp_path)["app.log"] == ["a" * 4095, "b" * 4095, "c"]


# Re-entrancy


def test_namer_that_logs_does_not_release_the_lock(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: the re-entrant record is written, and the rollover keeps its lock."""
    import fcntl

    handler = make()
    logger = logging.Logger("test")
    logger.addHandler(handler)
    free = []

    def namer(name: str) -> str:
        logger.warning("naming")
        with open(tmp_path / ".__app.lock") as probe:
            try:
                fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
                free.append(True)
            except BlockingIOError:
                free.append(False)
        return name

    handler.namer = namer
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)

    assert free
    assert not any(free[:1])
    assert sorted(all_lines(tmp_path)) == sorted(["ten", "eleven"] + ["naming"] * len(free))
    assert handler.problems == []


def test_re_entrant_record_that_does_not_fit_damages_no_other(tmp_path: pathlib.Path) -> None:
    """P1: the part of a namer's record that a full disk accepted is closed and reported."""
    handler = Watched(tmp_path / "app.log", when="H", utc=True)

    def namer(name: str) -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
        write(handler, "inner" * 10)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        handler.namer = None
        return name

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler.namer = namer
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)
    write(handler, "late ten", TEN + 1)

    assert files(tmp_path)["app.log"] == ["eleven"]
    assert files(tmp_path)["app.log.2024-05-17_10"] == ["ten", "innerinnerinner", "late ten"]
    assert [getattr(problem, "errno", None) for problem in handler.problems] == [errno.ENOSPC]
    handler.close()


def test_message_that_logs_while_it_is_formatted(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: formatting happens before locking, also through a second handler of the file."""
    first, second = make(), make()
    logger = logging.Logger("test")
    logger.addHandler(first)
    other = logging.Logger("other")
    other.addHandler(second)

    class Talkative:
        def __str__(self) -> str:
            other.info("inner")
            return "outer"

    logger.info("%s", Talkative())

    assert files(tmp_path) == {"app.log": ["inner", "outer"]}


@_LEAVES_STREAMS
def test_no_lock_is_left_by_interrupts_at_random_moments(make: Make, tmp_path: pathlib.Path) -> None:
    """P1, P4: a signal handler that raises leaves neither a lock nor a torn line behind."""
    import fcntl

    handler = make(when="S")
    interrupted = done = 0

    class Interrupt(BaseException):
        pass

    def interrupt(signum: int, frame: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    acknowledged = []
    try:
        for number in range(1500):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.000_02 + number % 97 * 0.000_003)
                write(handler, f"record {number}", TEN + number // 40)
                acknowledged.append(f"record {number}")
                done += 1
            except Interrupt:
                interrupted += 1
            finally:
                while True:
                    try:
                        signal.setitimer(signal.ITIMER_REAL, 0)
                        break
                    except Interrupt:
                        continue
            with open(tmp_path / ".__app.lock", "a") as probe:
                fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises if a lock is still held
            assert not handler._lock_file.held
    finally:
        signal.signal(signal.SIGALRM, before)

    handler.close()
    for fd, target in open_descriptors().items():  # An interrupt between open(2) and the next step leaves one open.
        if target.startswith(f"{tmp_path}{os.sep}"):
            os.close(fd)
    found = all_lines(tmp_path)
    gc.collect()
    assert interrupted > 100
    assert len(set(found)) == len(found)
    assert set(acknowledged) <= set(found)
    assert all(re.fullmatch(r"record \d+", line) for line in found)


def test_no_rollover_from_a_signal_handler_under_the_shared_lock(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1: a rollover requested while this process appends does not treat the shared lock as the exclusive one."""
    handler = Watched(tmp_path / "app.log", when="H", utc=True)
    write(handler, "first")  # creates the file under the exclusive lock
    write(handler, "second")
    outcomes: list[Exception | None] = []
    read = os.pread

    def interrupted(fd: int, size: int, offset: int) -> bytes:
        with handler._lock_file.hold(exclusive=True, timeout=0) as problem:
            outcomes.append(problem)
        return read(fd, size, offset)

    monkeypatch.setattr(adapter, "pread", interrupted)
    write(handler, "third")

    assert [type(outcome) for outcome in outcomes] == [TimeoutError]
    assert files(tmp_path) == {"app.log": ["first", "second", "third"]}
    handler.close()


def test_signal_handler_that_logs_loses_nothing(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: the records of the interrupted call and of the signal handler are both in the file."""
    handler = make(when="S")
    rings = []
    numbers = itertools.count()

    def ring(signum: int, frame: object) -> None:
        number = next(numbers)  # one step, because the next signal may arrive inside this one
        rings.append(number)
        write(handler, f"ring {number}", TEN + 50)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for number in range(3000):
            write(handler, f"record {number}", TEN + number // 60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert len(rings) > 20
    found = all_lines(tmp_path)
    assert sorted(found) == sorted([f"record {n}" for n in range(3000)] + [f"ring {n}" for n in rings])
    assert handler.problems == []


@pytest.mark.parametrize("keep_file_open", [None, False])
def test_signal_handler_that_reopens_the_file_loses_nothing(
    tmp_path: pathlib.Path, keep_file_open: bool | None
) -> None:
    """P1: gunicorn's USR1 handler closes and re-opens the stream, between any two steps of a record."""
    handler = Watched(
        tmp_path / "app.log", when="S", utc=True, encoding="utf-8", keep_file_open=keep_file_open, delay=True
    )
    reopened = []

    def reopen(signum: int, frame: object) -> None:
        handler.acquire()
        try:
            if handler.stream:
                handler.close()
                handler.stream = handler._open()
                reopened.append(signum)
        finally:
            handler.release()

    before = signal.signal(signal.SIGALRM, reopen)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        for number in range(6000):
            write(handler, f"record {number}", TEN + number // 50)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        handler.close()

    assert len(reopened) > 20
    assert sorted(all_lines(tmp_path)) == sorted(f"record {number}" for number in range(6000))
    assert handler.problems == []


def test_warnings_of_the_handler_reach_the_log(tmp_path: pathlib.Path) -> None:
    """P1: a warning raised while the file is opened is captured into the same log."""
    script = (
        "import logging, warnings, sys, concurrent_log\n"
        "class Noisy(concurrent_log.ConcurrentTimedRotatingFileHandler):\n"
        "    def _open(self):\n"
        "        warnings.warn('opening')\n"
        "        return super()._open()\n"
        "logging.captureWarnings(True)\n"
        "handler = Noisy('app.log', delay=True)\n"
        "logging.getLogger().addHandler(handler)\n"
        "logging.getLogger().warning('hello')\n"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)

    assert run.stderr == ""
    assert "hello" in lines(tmp_path / "app.log")


# The standard interface


def test_class_is_registered_in_logging_handlers(tmp_path: pathlib.Path) -> None:
    """P6: dictConfig accepts either name; the package's own name needs no import."""
    for number, name in enumerate(("logging.handlers.", "concurrent_log.")):
        imports = "import concurrent_log;" if number == 0 else ""
        script = (
            f"{imports}import logging.config; logging.config.dictConfig({{'version': 1, 'handlers': {{'f': {{"
            f"'class': '{name}ConcurrentTimedRotatingFileHandler', 'filename': 'app.log', 'when': 'midnight',"
            "'backupCount': 3, 'encoding': 'utf-8'}}, 'root': {'handlers': ['f'], 'level': 'INFO'}});"
            "logging.info('from dictConfig')"
        )
        subprocess.run([sys.executable, "-Werror", "-c", script], cwd=tmp_path, check=True)

    assert lines(tmp_path / "app.log") == ["from dictConfig"] * 2


def test_file_config_knows_the_class_by_its_short_name(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P6: ``class=handlers.ConcurrentTimedRotatingFileHandler``, as in an ini file for the standard class."""
    monkeypatch.chdir(tmp_path)
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(
        "[loggers]\nkeys=root\n[handlers]\nkeys=f\n[formatters]\nkeys=\n"
        "[logger_root]\nlevel=INFO\nhandlers=f\n"
        "[handler_f]\nclass=handlers.ConcurrentTimedRotatingFileHandler\nargs=('app.log', 'midnight', 1, 3, 'utf-8')\n"
    )
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logging.config.fileConfig(config, disable_existing_loggers=False)
        root.info("from fileConfig")
        root.handlers[-1].close()
    finally:
        root.handlers[:], root.level = before[0], before[1]

    assert lines(tmp_path / "app.log") == ["from fileConfig"]


def test_relative_name_and_missing_folders_survive_chdir(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P6: the file and its lock file stay in the folder of the first use."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    handler = make(pathlib.Path("logs/deep/app.log"), delay=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)

    assert sorted(os.listdir(tmp_path / "logs/deep")) == [".__app.lock", "app.log", "app.log.2024-05-17_10"]
    assert os.listdir(tmp_path / "elsewhere") == []


def test_lock_files_of_one_folder_do_not_collide(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: log files of the same name in two folders have two lock files in ``lock_file_directory``."""
    for folder in ("a", "b"):
        write(make(tmp_path / folder / "app.log", lock_file_directory=tmp_path / "locks"), folder)

    assert len(os.listdir(tmp_path / "locks")) == 2
    assert sorted(os.listdir(tmp_path / "a")) == ["app.log"]


def test_handler_writes_again_after_close(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: as the standard class does; gunicorn closes and opens the stream on USR1."""
    handler = make()
    write(handler, "a")
    handler.close()
    handler.close()
    write(handler, "b")
    handler.acquire()
    if handler.stream:
        handler.close()
        handler.stream = handler._open()
    handler.release()
    write(handler, "c")

    assert files(tmp_path) == {"app.log": ["a", "b", "c"]}


def test_closed_handlers_leave_no_descriptor(make: Make, tmp_path: pathlib.Path) -> None:
    """The descriptors of the file and of the lock file are closed."""
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        handler = make(tmp_path / f"{number}.log")
        write(handler, "x")
        handler.close()

    assert len(os.listdir("/proc/self/fd")) == before


def test_handler_can_be_pickled(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: it is rebuilt with all its arguments, so that spawn and forkserver workers can receive one."""
    handler = make(when="S", backupCount=2, delay=True)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler.addFilter(logging.Filter("test"))
    for twin in (pickle.loads(pickle.dumps(handler)), copy.deepcopy(handler), copy.copy(handler)):
        assert (twin.level, twin.backupCount, twin.baseFilename) == (logging.WARNING, 2, handler.baseFilename)
        assert twin.filters
        write(twin, "hello", TEN)
        twin.close()

    assert lines(tmp_path / "app.log") == ["INFO hello"] * 3


def test_custom_stream_is_written_to(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: setStream works as in the standard class."""
    handler = make()
    write(handler, "file")
    own = io.StringIO()
    before = handler.setStream(own)
    write(handler, "own")
    handler.setStream(before)
    write(handler, "file again")

    assert own.getvalue() == "own\n"
    assert files(tmp_path) == {"app.log": ["file", "file again"]}


def test_overridden_do_rollover_is_called(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: the recipe that writes a header into each new file."""

    class Headed(Watched):
        def doRollover(self) -> None:
            super().doRollover()
            if self.stream is None:
                self.stream = self._open()
            self.stream.write("header\n")

    handler = Headed(tmp_path / "app.log", when="H", utc=True, encoding="utf-8")
    for hour in range(3):
        write(handler, str(hour), TEN + hour * HOUR)
    handler.close()

    assert files(tmp_path) == {
        "app.log": ["header", "2"],
        "app.log.2024-05-17_10": ["0"],
        "app.log.2024-05-17_11": ["header", "1"],
    }
    assert handler.problems == []


def test_overridden_should_rollover_is_called(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: the recipe that also rolls over by size."""

    class Sized(Watched):
        def shouldRollover(self, record: logging.LogRecord | None) -> bool:
            return os.path.getsize(self.baseFilename) > 20 or super().shouldRollover(record)

    handler = Sized(tmp_path / "app.log", when="midnight", utc=True)
    for number in range(9):
        write(handler, f"record {number}", TEN + number)
    handler.close()

    assert all_lines(tmp_path) == [f"record {n}" for n in (6, 7, 8, 0, 1, 2, 3, 4, 5)]


def test_exception_of_a_signal_handler_is_reported_at_any_moment(tmp_path: pathlib.Path) -> None:
    """P4: a time limit that interrupts an overridden method is not ignored, and the record is written."""

    class TimeLimitError(Exception):
        pass

    class Slow(Watched):
        is_interrupted = False

        def computeRollover(self, currentTime: int) -> int:
            if self.is_interrupted:
                self.is_interrupted = False
                raise TimeLimitError  # as a signal handler does, at any line
            return super().computeRollover(currentTime)

    handler = Slow(tmp_path / "app.log", when="H", utc=True)
    write(handler, "first")
    handler._log_file.view = NO_VIEW
    handler.is_interrupted = True
    write(handler, "second")
    handler.close()

    assert [type(problem) for problem in handler.problems] == [TimeLimitError]
    assert all_lines(tmp_path) == ["first", "second"]


def test_overridden_compute_rollover_ends_the_period(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: a subclass may compute the end of a period."""

    class Every90(Watched):
        def computeRollover(self, currentTime: int) -> int:
            return int(currentTime) // 90 * 90 + 90

    handler = Every90(tmp_path / "app.log", when="S", utc=True)
    for second in (0, 50, 90, 179, 180):
        write(handler, str(second), TEN - TEN % 90 + second)
    handler.close()

    assert sorted(files(tmp_path).values()) == [["0", "50"], ["180"], ["90", "179"]]


def test_custom_rotator_creates_the_backups(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: the Cookbook's gzip rotator and namer work with retention."""
    handlers = make(backupCount=2), make(backupCount=2)
    for handler in handlers:
        handler.rotator = _gzip_and_remove
        handler.namer = lambda name: name + ".gz"
    for hour in range(5):
        for handler in handlers:
            write(handler, str(hour), TEN + hour * HOUR)

    assert sorted(os.listdir(tmp_path)) == [
        ".__app.lock",
        "app.log",
        "app.log.2024-05-17_12.gz",
        "app.log.2024-05-17_13.gz",
    ]
    assert gzip.decompress((tmp_path / "app.log.2024-05-17_13.gz").read_bytes()) == b"3\n3\n"
    assert lines(tmp_path / "app.log") == ["4", "4"]


def test_backup_that_a_rotator_compressed_is_never_overwritten(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: also if the rotator chooses the ending, and no namer knows it."""
    import gzip

    def rotator(source: str, destination: str) -> None:
        with open(source, "rb") as plain, gzip.open(destination + ".gz", "wb") as packed:
            packed.write(plain.read())
        os.remove(source)

    handler = make(when="D")
    handler.rotator = rotator
    for word in ("a", "b", "c"):
        write(handler, word)
        handler.doRollover()

    assert sorted(gzip.decompress(path.read_bytes()) for path in tmp_path.glob("*.gz")) == [b"a\n", b"b\n", b"c\n"]


def _gzip_and_remove(source: str, destination: str) -> None:
    with open(source, "rb") as plain, gzip.open(destination, "wb") as packed:
        packed.write(plain.read())
    os.remove(source)


def test_rotator_that_takes_longer_than_lock_timeout_loses_nothing(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: after a lock timeout, records are appended to a file that the rotator does not remove."""
    handler, impatient = make(), make(lock_timeout=0.01)
    write(handler, "ten", TEN)
    write(impatient, "impatient ten", TEN)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from support.records import *\n"
        "handler = Watched(sys.argv[2], when='H', utc=True, encoding='utf-8', lock_timeout=0.01)\n"
        "write(handler, 'other eleven', TEN + HOUR); print(handler.problems)\n"
    )

    def rotator(source: str, destination: str) -> None:
        with open(source, "rb") as plain, gzip.open(destination, "wb") as packed:
            packed.write(plain.read())
        command = [sys.executable, "-c", program, str(TESTS), str(tmp_path / "app.log")]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        write(handler, "from inside", TEN + HOUR)
        os.remove(source)
        assert "TimeoutError" in said

    handler.rotator = rotator
    handler.namer = lambda name: name + ".gz"
    write(handler, "eleven", TEN + HOUR)

    assert lines(tmp_path / "app.log") == ["other eleven", "from inside", "eleven"]
    assert gzip.decompress((tmp_path / "app.log.2024-05-17_10.gz").read_bytes()) == b"ten\nimpatient ten\n"
    assert sorted(os.listdir(tmp_path)) == [".__app.lock", "app.log", "app.log.2024-05-17_10.gz"]


def test_file_of_a_killed_rotator_becomes_a_backup(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: the next rollover finds a file that was prepared for a rotator that was killed."""
    (tmp_path / "app.log.rotating").write_text("nine\n")
    os.utime(tmp_path / "app.log.rotating", (TEN - 1, TEN - 1))
    handler = make()
    handler.rotator = _gzip_and_remove
    handler.namer = lambda name: name + ".gz"
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)

    assert sorted(os.listdir(tmp_path)) == [
        ".__app.lock",
        "app.log",
        "app.log.2024-05-17_09.gz",
        "app.log.2024-05-17_10.gz",
    ]
    assert handler.problems == []


@_LEAVES_STREAMS
def test_timeout_raised_by_a_signal_handler_writes_no_record_twice(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: the usual alarm that raises TimeoutError, at any moment of a record."""
    handler = make(when="S")

    def too_slow(signum: int, frame: object) -> None:
        raise TimeoutError("the program's own")

    before = signal.signal(signal.SIGALRM, too_slow)
    try:
        for number in range(3000):
            with contextlib.suppress(TimeoutError):
                signal.setitimer(signal.ITIMER_REAL, 0.000_02 + number % 89 * 0.000_003)
                write(handler, f"record {number}", TEN + number // 40)
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    found = all_lines(tmp_path)
    handler.problems.clear()
    gc.collect()
    assert len(found) > 1500
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"record \d+", line) for line in found)


def test_rollover_requested_during_a_record_follows_it(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: a SIGHUP handler calls doRollover() while a record is written; both happen, one after the other."""
    handler = make(keep_file_open=None)

    write(handler, "ten", TEN)
    handler._lock_file.held = True  # as in the middle of an append
    handler.doRollover()
    handler._lock_file.held = False
    for text in ("after", "and one look later"):
        write(handler, text, TEN + 1)
        handler._log_file.view = NO_VIEW  # as if the view had expired

    assert files(tmp_path) == {"app.log": ["after", "and one look later"], "app.log.2024-05-17_10": ["ten"]}


@pytest.mark.parametrize("behind", [2, 600])
def test_records_from_a_queue_take_the_straight_path(
    tmp_path: pathlib.Path, behind: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P5: with a delayed listener the handler checks the file once per second, not once per record."""
    looks = []

    class Counted(LogWriter):
        def look(self, *args: Any, **kwargs: Any) -> Any:
            looks.append(args)
            return super().look(*args, **kwargs)

    monkeypatch.setattr(adapter, "LogWriter", Counted)
    handler = Watched(tmp_path / "app.log", when="D", utc=True)
    created = TEN - behind
    for number in range(500):
        write(handler, str(number), created + number / 1000)
    handler.close()

    assert len(looks) <= 3
    assert len(lines(tmp_path / "app.log")) == 500


def test_new_file_has_the_mode_of_the_old_one(make: Make, tmp_path: pathlib.Path) -> None:
    """The users who could read the log before a rollover can read it afterwards, and no others."""
    handler = make()
    write(handler, "ten", TEN)
    (tmp_path / "app.log").chmod(0o640)
    os.chown(tmp_path / "app.log", -1, 4242) if os.getuid() == 0 else None
    write(handler, "eleven", TEN + HOUR)

    found = (tmp_path / "app.log").stat()
    assert stat.S_IMODE(found.st_mode) == 0o640
    assert os.getuid() != 0 or found.st_gid == 4242


# Targets that are not log files


@pytest.mark.parametrize("target", ["/dev/stdout", "/dev/stderr", "/proc/self/fd/1", "link"])
def test_standard_output_is_only_written_to(tmp_path: pathlib.Path, target: str) -> None:
    """P6: it never rolls over and has no lock file, also if it is redirected into a file."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    script = (
        "import concurrent_log, logging, sys\n"
        "handler = concurrent_log.ConcurrentTimedRotatingFileHandler(sys.argv[1], when='S', backupCount=1)\n"
        "for created in (1e9, 1.1e9, 1.2e9):\n"
        "    handler.handle(logging.makeLogRecord({'msg': 'hello', 'created': created}))\n"
    )
    with open(tmp_path / "out", "w") as out:
        command = [sys.executable, "-c", script, str(tmp_path / "link") if target == "link" else target]
        subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=True, cwd=tmp_path)

    assert lines(tmp_path / "out") == ["hello"] * 3
    assert sorted(os.listdir(tmp_path)) == ["link", "out"]
    assert not any(name.endswith(".lock") for name in os.listdir("/dev"))


def test_fifo_is_only_written_to(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: a named pipe gets the records, no lock file and no backup."""
    os.mkfifo(tmp_path / "pipe.log")
    heard = []
    reader = threading.Thread(target=lambda: heard.extend(lines(tmp_path / "pipe.log")))
    reader.start()
    handler = make(tmp_path / "pipe.log")
    for hour in range(3):
        write(handler, str(hour), TEN + hour * HOUR)
    handler.close()
    reader.join()

    assert heard == ["0", "1", "2"]
    assert os.listdir(tmp_path) == ["pipe.log"]


def test_fifo_gets_the_whole_record_despite_signals(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: a signal interrupts a write to a full pipe; the rest follows."""
    os.mkfifo(tmp_path / "pipe.log")
    heard = []

    def read_slowly() -> None:
        with open(tmp_path / "pipe.log", "rb", buffering=0) as pipe:
            while piece := pipe.read(65536):
                heard.append(piece)
                time.sleep(0.01)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    handler = make(tmp_path / "pipe.log")
    previous = signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
    try:
        write(handler, "x" * 1_000_000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    handler.close()
    reader.join()

    assert b"".join(heard) == b"x" * 1_000_000 + b"\n"
    assert handler.problems == []


def test_full_device_is_reported_not_raised(make: Make) -> None:
    """P4: a record that cannot be written is reported through handleError, and raises nothing into the program."""
    handler = make("/dev/full")
    write(handler, "x")

    assert [type(error) for error in handler.problems] == [OSError]


@pytest.mark.parametrize("is_there", [True, False])
def test_symbolic_link_shares_the_lock_of_its_file(make: Make, tmp_path: pathlib.Path, is_there: bool) -> None:
    """P3: two names of one file are one file, and the link stays, also if it was created before the file."""
    if is_there:
        (tmp_path / "real.log").write_text("")
    (tmp_path / "app.log").symlink_to("real.log")
    (tmp_path / "here").symlink_to(tmp_path, target_is_directory=True)
    first, second, third = make(), make(tmp_path / "real.log"), make(tmp_path / "here" / "app.log")
    write(first, "a", TEN)
    write(second, "b", TEN)
    write(third, "c", TEN + HOUR)
    write(first, "d", TEN + HOUR)

    assert (tmp_path / "app.log").is_symlink()
    assert lines(tmp_path / "real.log.2024-05-17_10") == ["a", "b"]
    assert lines(tmp_path / "real.log") == ["c", "d"]


def test_exception_right_after_locking_releases_the_lock(tmp_path: pathlib.Path) -> None:
    """P1: a program that keeps a signal handler's exception, with its frames, blocks no other thread."""
    lock_file = LockFile(str(tmp_path / "lock"))
    kept = []
    section = lock_file.hold(exclusive=True, timeout=1)
    steps = section._steps

    class Interrupting:
        close = steps.close

        def __next__(self) -> None:
            next(steps)
            raise KeyboardInterrupt

    section._steps = Interrupting()  # type: ignore[assignment]
    try:
        with section:
            pytest.fail("the section was entered")
    except KeyboardInterrupt as error:
        kept.append(error)

    assert not lock_file.held
    with LockFile(str(tmp_path / "lock")).hold(exclusive=True, timeout=0) as problem:
        assert problem is None


def test_reported_problems_are_freed_at_once(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: a problem is not kept alive by a reference cycle with its own traceback."""
    handler = make(lock_timeout=0.01)
    write(handler, "first", TEN)
    seen: list[weakref.ref[BaseException]] = []
    handler.handleError = lambda record: seen.append(weakref.ref(sys.exc_info()[1]))  # type: ignore[method-assign]
    handler.namer = lambda name: (_ for _ in ()).throw(NamingError(name))  # type: ignore[method-assign]
    gc.collect()
    gc.disable()
    try:
        write(handler, "second", TEN + HOUR)

        assert len(seen) == 1
        assert [reference() for reference in seen] == [None]
    finally:
        gc.enable()


class NamingError(Exception):
    """The exception of a namer in a test; unlike built-in exceptions, it supports weak references."""
