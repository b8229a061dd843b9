"""Files of a limited size: by size alone, and several files per period."""

import logging
import multiprocessing
import os
import pathlib
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from concurrent_log import ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler
from concurrent_log.files.backups.numbered_names import NumberedNames
from concurrent_log.files.shared_state import State
from support.records import HOUR, TEN, Watched, WatchedBySize, all_lines, files, lines, write
from support.selection import first_quick

Make = Callable[..., WatchedBySize]
MakeTimed = Callable[..., Watched]


@pytest.fixture(params=["shared", "exclusive"])
def arm(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the arguments for each arm of the protocol."""
    return {} if request.param == "shared" else {"keep_file_open": False}


@pytest.fixture
def make(arm: dict[str, Any], tmp_path: pathlib.Path) -> Iterator[Make]:
    """Create a handler of ``app.log`` that rolls over by size, once for each arm of the protocol."""
    made = []

    def handler(**kwargs: Any) -> WatchedBySize:
        made.append(WatchedBySize(tmp_path / "app.log", **{"maxBytes": 20, "backupCount": 3, **arm, **kwargs}))
        return made[-1]

    yield handler
    for each in made:
        each.close()


@pytest.fixture
def make_timed(arm: dict[str, Any], tmp_path: pathlib.Path) -> Iterator[MakeTimed]:
    """Create a handler of ``app.log`` with a file for each hour, and a size limit."""
    made = []

    def handler(**kwargs: Any) -> Watched:
        made.append(Watched(tmp_path / "app.log", utc=True, **{"maxBytes": 20, **arm, **kwargs}))
        return made[-1]

    yield handler
    for each in made:
        each.close()


def sizes(folder: pathlib.Path) -> list[int]:
    """Return the sizes of all files in ``folder`` except the lock files, the largest first."""
    return sorted((path.stat().st_size for path in folder.iterdir() if not path.name.startswith(".")), reverse=True)


# By size alone


def test_file_ends_before_the_record_that_would_exceed_the_limit(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: a file does not reach maxBytes, and the newest backup is number 1, as in the standard class."""
    handler = make()
    for number in range(8):
        write(handler, f"number {number}")  # 9 bytes each

    assert files(tmp_path) == {
        "app.log": ["number 6", "number 7"],
        "app.log.1": ["number 4", "number 5"],
        "app.log.2": ["number 2", "number 3"],
        "app.log.3": ["number 0", "number 1"],
    }
    assert handler.problems == []


def test_backups_beyond_the_count_are_deleted(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: the newest backups are kept, without a gap."""
    handler = make(backupCount=2)
    for number in range(100, 200):
        write(handler, str(number))

    assert sorted(files(tmp_path)) == ["app.log", "app.log.1", "app.log.2"]
    assert sorted(map(int, all_lines(tmp_path))) == list(range(200 - len(all_lines(tmp_path)), 200))


def test_handlers_share_one_limit(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: bytes of other handlers count, and all handlers notice a rollover."""
    handlers = [make(maxBytes=100, backupCount=50) for _ in range(3)]
    for number in range(300):
        write(handlers[number % 3], f"record {number}")

    assert sizes(tmp_path)[0] < 100
    assert sizes(tmp_path)[-2] > 80  # all files except the current one are full
    assert sorted(all_lines(tmp_path)) == sorted(f"record {number}" for number in range(300))
    assert [handler.problems for handler in handlers] == [[], [], []]


def test_records_of_any_length_fill_the_files(make: Make, tmp_path: pathlib.Path) -> None:
    """No file reaches maxBytes, and none ends while the next record would fit."""
    first, second = make(maxBytes=4000, backupCount=999), make(maxBytes=4000, backupCount=999)
    chance = random.Random(3)
    logged = []
    for number in range(2000):
        logged.append(f"{number} " + "x" * chance.choice((0, 1, 10, 100, 1000)))
        write(chance.choice((first, second)), logged[-1])

    backups = NumberedNames(os.fspath(tmp_path / "app.log"), str).existing()
    in_order = [line for path in (*backups, tmp_path / "app.log") for line in lines(pathlib.Path(path))]
    assert in_order == logged
    for path, following in zip(backups, [*backups[1:], tmp_path / "app.log"], strict=True):
        size = os.stat(path).st_size
        assert size < 4000 <= size + len(lines(pathlib.Path(following))[0]) + 1


def test_record_above_the_limit_has_a_file_of_its_own(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: it is not lost, and is alone in its file."""
    handler = make(backupCount=9)
    for text in ("before", "x" * 100, "y" * 100, "after"):
        write(handler, text)

    assert [files(tmp_path)[name] for name in ("app.log.3", "app.log.2", "app.log.1", "app.log")] == [
        ["before"],
        ["x" * 100],
        ["y" * 100],
        ["after"],
    ]


def test_size_counts_bytes_not_characters(make: Make, tmp_path: pathlib.Path) -> None:
    """The standard class counts characters: eighteen of these would be in one file."""
    handler = make(encoding="utf-8")
    write(handler, "ä" * 9)
    write(handler, "ö" * 9)

    assert files(tmp_path) == {"app.log": ["ö" * 9], "app.log.1": ["ä" * 9]}


@pytest.mark.parametrize("limits", [{"maxBytes": 0}, {"backupCount": 0}])
def test_file_without_limit_or_backups_never_rolls_over(
    make: Make, tmp_path: pathlib.Path, limits: dict[str, int]
) -> None:
    """P6: as in the standard class; concurrent-log-handler empties the file if backupCount is 0."""
    handler = make(**limits)
    for number in range(20):
        write(handler, f"number {number}")

    assert files(tmp_path) == {"app.log": [f"number {number}" for number in range(20)]}


def test_old_records_stay_in_the_current_file(make: Make, tmp_path: pathlib.Path) -> None:
    """Only the size decides, not the creation time of a record."""
    handler = make()
    write(handler, "today")
    write(handler, "long ago", TEN)

    assert files(tmp_path) == {"app.log": ["today", "long ago"]}


def test_file_of_an_earlier_run_counts(make: Make, tmp_path: pathlib.Path) -> None:
    """The content from before the start of the program is part of the file's size."""
    (tmp_path / "app.log").write_text("earlier run\n")
    write(make(), "this run")

    assert files(tmp_path) == {"app.log": ["this run"], "app.log.1": ["earlier run"]}


def test_truncated_file_is_filled_again(make: Make, tmp_path: pathlib.Path) -> None:
    """The limit applies to the current size of the file."""
    handler = make(maxBytes=100)
    for number in range(5):
        write(handler, f"number {number}")
    os.truncate(tmp_path / "app.log", 0)
    for number in range(5, 15):
        write(handler, f"number {number}")

    assert files(tmp_path) == {"app.log": [f"number {number}" for number in range(5, 15)]}


@pytest.mark.parametrize("damage", ["remove", "empty", "garbage", "no grant"])
def test_lock_file_that_lost_the_grants_is_rebuilt(make: Make, tmp_path: pathlib.Path, damage: str) -> None:
    """P3: grants are only a cache; without them the size of the file decides."""
    lock_file = tmp_path / ".__app.lock"
    first, second = make(maxBytes=200, backupCount=99), make(maxBytes=200, backupCount=99)
    for number in range(120):
        write((first, second)[number % 2], f"number {number}")
        if number == 50:
            content = lock_file.read_bytes()
            if damage == "remove":
                lock_file.unlink()
            else:
                lock_file.write_bytes({"empty": b"", "garbage": b"\xff" * 60, "no grant": content[:32]}[damage])

    assert sorted(all_lines(tmp_path)) == sorted(f"number {number}" for number in range(120))
    # For a second, two writers with two lock files may each have a grant.
    assert sizes(tmp_path)[0] < (300 if damage == "remove" else 200)


def test_failing_rollover_continues_in_the_file(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: a rename that fails is reported once, costs no record, and is tried again."""
    handler = make()
    with monkeypatch.context() as patch:
        patch.setattr("concurrent_log.files.rollover.move", _refuse)
        for number in range(5):
            write(handler, f"number {number}")
    handler._log_file.view = handler._log_file.view._replace(expires=0, closes=0)  # as if the view had expired
    write(handler, "number 5")

    assert files(tmp_path) == {"app.log": ["number 5"], "app.log.1": [f"number {number}" for number in range(5)]}
    assert [type(problem) for problem in handler.problems] == [PermissionError]


def _refuse(source: str, destination: str) -> None:
    raise PermissionError(13, "denied", source)


def test_gap_left_by_a_killed_process_is_closed(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: a process killed while it renumbers leaves a gap; no backup is overwritten."""
    for number, text in ((1, "newest"), (3, "older"), (4, "oldest")):
        (tmp_path / f"app.log.{number}").write_text(f"{text}\n")
    handler = make(backupCount=9)
    for number in range(3):
        write(handler, f"number {number}")

    assert files(tmp_path) == {
        "app.log": ["number 2"],
        "app.log.1": ["number 0", "number 1"],
        "app.log.2": ["newest"],
        "app.log.3": ["older"],
        "app.log.4": ["oldest"],
    }


def test_other_files_are_not_deleted(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: a date is not a number, even if it looks like one."""
    others = ["app.log.20240517", "app.log.1.bak", "app.log.old", "app.log2.1", "app.log.01"]
    for name in others:
        (tmp_path / name).write_text("another program's\n")
    handler = make(backupCount=1)
    for number in range(20):
        write(handler, f"number {number}")

    assert sorted(files(tmp_path)) == sorted([*others, "app.log", "app.log.1"])
    assert all(files(tmp_path)[name] == ["another program's"] for name in others)


def test_lowered_count_deletes_the_surplus(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: the standard class would keep numbers 3 to 6 indefinitely."""
    for number in range(1, 7):
        (tmp_path / f"app.log.{number}").write_text(f"{number}\n")
    handler = make(backupCount=2)
    for number in range(3):
        write(handler, f"number {number}")

    assert sorted(files(tmp_path)) == ["app.log", "app.log.1", "app.log.2"]


def test_custom_namer_names_all_backups(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: names such as app.1.log are found, renumbered and deleted."""
    handler = make(backupCount=2)
    handler.namer = lambda name: re.sub(r"\.log\.(\d+)$", r".\1.log", name)
    for number in range(10):
        write(handler, f"number {number}")

    assert files(tmp_path) == {
        "app.log": ["number 8", "number 9"],
        "app.1.log": ["number 6", "number 7"],
        "app.2.log": ["number 4", "number 5"],
    }


def test_namer_may_return_a_path(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: the standard class passes it to os.rename, which accepts more than strings."""
    handler = make(backupCount=2)
    handler.namer = pathlib.Path
    for number in range(7):
        write(handler, f"number {number}")

    assert sorted(files(tmp_path)) == ["app.log", "app.log.1", "app.log.2"]
    assert handler.problems == []


def test_namer_without_a_number_keeps_one_backup(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: with backupCount=1 the standard class needs no number in the name; the older backup is deleted."""
    handler = make(backupCount=1)
    handler.namer = lambda name: str(tmp_path / "app.old")
    for number in range(7):
        write(handler, f"number {number}")

    assert files(tmp_path) == {"app.log": ["number 6"], "app.old": ["number 4", "number 5"]}
    assert handler.problems == []


def test_namer_without_a_number_replaces_no_kept_backup(make: Make, tmp_path: pathlib.Path) -> None:
    """P3, P4: one name for two backups is reported once, and costs neither a backup nor a record."""
    handler = make(backupCount=2)
    handler.namer = lambda name: str(tmp_path / "app.old")
    for number in range(7):
        write(handler, f"number {number}")

    assert files(tmp_path)["app.old"] == ["number 0", "number 1"]
    assert files(tmp_path)["app.log"] == [f"number {number}" for number in range(2, 7)]
    assert [str(problem) for problem in handler.problems] == [
        f"backups 1 and 2 have the same name, {tmp_path / 'app.old'}: fix the namer"
    ]


def test_do_rollover_starts_a_new_file(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: a program may request a rollover before the file is full."""
    handler = make()
    write(handler, "before")
    handler.doRollover()
    handler.doRollover()  # an empty file stays
    write(handler, "after")

    assert files(tmp_path) == {"app.log": ["after"], "app.log.1": ["before"]}


def test_do_rollover_without_backups_leaves_the_file(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: as in the standard class, backupCount=0 keeps no backups."""
    handler = make(backupCount=0)
    for number in range(3):
        write(handler, f"number {number}")
        handler.doRollover()

    assert files(tmp_path) == {"app.log": ["number 0", "number 1", "number 2"]}
    assert handler.problems == []


def test_descriptor_reused_by_the_program_is_not_touched(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: a daemon closes all descriptors; the handler does not write to a file that re-uses the lock file's number."""
    handler = make()
    write(handler, "number 0")
    with open(tmp_path / ".other", "w+b", buffering=0) as other:
        other.write(b"precious")
        os.dup2(other.fileno(), handler._lock_file.fd)
        for number in range(1, 4):
            write(handler, f"number {number}")

    assert (tmp_path / ".other").read_bytes() == b"precious"
    assert files(tmp_path) == {"app.log": ["number 2", "number 3"], "app.log.1": ["number 0", "number 1"]}
    assert handler.problems == []


def test_limit_may_be_changed_later(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: maxBytes and backupCount are attributes, as in the standard class."""
    handler = make(maxBytes=0)
    write(handler, "number 0")
    handler.maxBytes = 20
    handler._log_file.view = handler._log_file.view._replace(expires=0, closes=0)  # as if the view had expired
    for number in range(1, 4):
        write(handler, f"number {number}")

    assert files(tmp_path) == {"app.log": ["number 2", "number 3"], "app.log.1": ["number 0", "number 1"]}


def test_overridden_should_rollover_is_called(tmp_path: pathlib.Path) -> None:
    """P6: the program's own rule alone decides."""

    class OnDemand(ConcurrentRotatingFileHandler):
        def shouldRollover(self, record: logging.LogRecord | None) -> bool:
            return record is not None and record.msg == "now"

    handler = OnDemand(tmp_path / "app.log", maxBytes=5, backupCount=3)
    for text in ("a long record", "another long record", "now", "later"):
        write(handler, text)
    handler.close()

    assert files(tmp_path) == {"app.log": ["now", "later"], "app.log.1": ["a long record", "another long record"]}


@pytest.mark.parametrize("target", ["/dev/null"])
def test_device_is_never_rolled_over(target: str) -> None:
    """P6: a device has no size."""
    handler = WatchedBySize(target, maxBytes=1, backupCount=1)
    for number in range(3):
        write(handler, f"number {number}")
    handler.close()

    assert handler.problems == []
    assert not os.path.exists(f"{target}.1")


def test_child_of_a_fork_does_not_use_the_grant_of_its_parent(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: a grant from before a fork is not used twice."""
    handler, other = make(maxBytes=100_000, backupCount=9), make(maxBytes=100_000, backupCount=9)
    hundred = "x" * 99
    write(handler, hundred)  # gets a grant of an eighth of the file
    for _ in range(860):
        write(other, hundred)
    child = os.fork()
    if child == 0:
        try:
            for _ in range(120):
                write(handler, hundred)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    for _ in range(120):
        write(handler, hundred)

    assert all_lines(tmp_path) == [hundred] * (1 + 860 + 120 + 120)
    assert sizes(tmp_path)[0] < 100_000


def _write_many(folder: str, name: str, how_many: int, timed: bool) -> None:
    limits = {"maxBytes": 5000, "backupCount": 9999}
    path = os.path.join(folder, "app.log")
    handler: logging.Handler = (
        ConcurrentTimedRotatingFileHandler(path, when="S", utc=True, **limits)  # type: ignore[arg-type]
        if timed
        else ConcurrentRotatingFileHandler(path, **limits)  # type: ignore[arg-type]
    )
    for number in range(how_many):
        write(handler, f"{name} {number} " + "x" * (number % 90))
    handler.close()


@pytest.mark.parametrize("timed", first_quick([False, True]))
def test_no_file_of_many_writers_reaches_the_limit(tmp_path: pathlib.Path, timed: bool) -> None:
    """P1, P3: with any mix of writers, each record is there once, in order, and no file is too large."""
    context = multiprocessing.get_context("forkserver")
    writers = [context.Process(target=_write_many, args=(str(tmp_path), name, 3000, timed)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    found = _in_order(tmp_path, timed)
    late = 4 * 101 if timed else 0  # each writer may have one record in flight when a period ends
    assert sizes(tmp_path)[0] < 5000 + late
    assert sizes(tmp_path)[-2 if not timed else len(sizes(tmp_path)) // 2] > 4800
    for name in "abcd":
        assert [int(line.split()[1]) for line in found if line.startswith(name)] == list(range(3000))


def _in_order(folder: pathlib.Path, timed: bool) -> list[str]:
    names = [path.name for path in folder.glob("app.log?*")]
    names.sort(key=str if timed else lambda name: -int(name.rpartition(".")[2]))
    return [line for name in [*names, "app.log"] for line in lines(folder / name)]


# Time and size together


def test_period_has_as_many_files_as_it_needs(make_timed: MakeTimed, tmp_path: pathlib.Path) -> None:
    """P3: the names sort in the order of the records."""
    handler = make_timed()
    for number in range(6):
        write(handler, f"number {number}", TEN + number)
    write(handler, "eleven", TEN + HOUR)

    assert files(tmp_path) == {
        "app.log": ["eleven"],
        "app.log.2024-05-17_10": ["number 0", "number 1"],
        "app.log.2024-05-17_10.0001": ["number 2", "number 3"],
        "app.log.2024-05-17_10.0002": ["number 4", "number 5"],
    }


@pytest.mark.parametrize("count", [1, 2, 3])
def test_retention_keeps_whole_periods_without_a_gap(make_timed: MakeTimed, tmp_path: pathlib.Path, count: int) -> None:
    """P3: the newest periods are kept without a gap, and backupCount counts periods, not files."""
    handler = make_timed(backupCount=count)
    logged = []
    for hour in range(5):
        for number in range(7):
            logged.append(f"{hour} o'clock {number}")
            write(handler, logged[-1], TEN + hour * HOUR + number)

    found = [
        line
        for name in sorted(files(tmp_path), key=lambda name: (name == "app.log", name))
        for line in files(tmp_path)[name]
    ]
    assert found == logged[-7 * (count + 1) :]


def test_late_record_goes_to_the_last_file_of_its_period(make_timed: MakeTimed, tmp_path: pathlib.Path) -> None:
    """P2: it is appended to the end of its period, regardless of the size."""
    handler = make_timed()
    for number in range(3):
        write(handler, f"number {number}", TEN + number)
    write(handler, "eleven", TEN + HOUR)
    write(handler, "late for ten, and long", TEN + 4)

    assert files(tmp_path) == {
        "app.log": ["eleven"],
        "app.log.2024-05-17_10": ["number 0", "number 1"],
        "app.log.2024-05-17_10.0001": ["number 2", "late for ten, and long"],
    }


def test_number_is_never_reused(make_timed: MakeTimed, tmp_path: pathlib.Path) -> None:
    """P3: a removed file leaves no name that would sort in the wrong order."""
    handler = make_timed()
    for number in range(6):
        write(handler, f"number {number}", TEN + number)
    (tmp_path / "app.log.2024-05-17_10").unlink()
    write(handler, "number 6", TEN + 6)

    assert sorted(files(tmp_path)) == ["app.log", "app.log.2024-05-17_10.0001", "app.log.2024-05-17_10.0002"]


def test_rollover_by_size_reopens_no_earlier_period(make_timed: MakeTimed, tmp_path: pathlib.Path) -> None:
    """P2: a late record that has no backup does not turn the file into one of its own period."""
    handler = make_timed(backupCount=1)
    for hour in (0, 1, 2):
        write(handler, f"{hour} o'clock", TEN + hour * HOUR)
    write(handler, "much too late", TEN)
    state = State.from_bytes((tmp_path / ".__app.lock").read_bytes())

    assert state is not None
    assert state.start == TEN + 2 * HOUR
    assert files(tmp_path) == {
        "app.log": ["much too late"],
        "app.log.2024-05-17_11": ["1 o'clock"],
        "app.log.2024-05-17_12": ["2 o'clock"],
    }
