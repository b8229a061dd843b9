"""Batches: `emit_batch` appends many records under one lock, with the same guarantees as `emit`."""

import collections
import logging
import multiprocessing
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import pytest

from concurrent_log.files.lock_file import LockFile
from support.deadlines import DEADLINE
from support.records import HOUR, TEN, Watched, files, lines, record, write
from support.selection import SHARED_FIRST, first_quick
from support.writers import ARMS, ROLLING, STEADY, Account, Writers, account_for, contents_of

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

_BATCH = 60  # maximum number of records
_BY_SIZE = {"class_name": "ConcurrentRotatingFileHandler", "maxBytes": 50_000, "backupCount": 2000}
_ROLLING = [
    *ROLLING,
    pytest.param({**STEADY[0].values[0], "maxBytes": 9_000}, id="timed-and-by-size"),
    pytest.param(_BY_SIZE, id="by-size"),
]
# With a byte-order mark, each record takes the exclusive lock on both arms.
_EACH_WAY = pytest.mark.parametrize(
    ("keep_file_open", "encoding"),
    first_quick([(None, "utf-8"), (False, "utf-8"), (None, "utf-16")]),
    ids=["shared", "exclusive", "utf-16"],
)


class TestManyProcesses:
    """Some processes log batches, others log one record at a time, all to one file."""

    @_EACH_WAY
    @pytest.mark.parametrize("options", _ROLLING)
    def test_rollovers_during_batches_lose_nothing(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        encoding: str,
        writers: Callable[..., Writers],
        tmp_path: pathlib.Path,
    ) -> None:
        """P1, P2, P3: each record is found once, in order, in the file of its second, and no file reaches maxBytes."""
        folder = tmp_path / "logs"
        folder.mkdir()
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open, encoding=encoding)
        team.start(count=2, batch=_BATCH)
        team.start(count=1)
        team.wait_for_calls(500)
        logged = team.finish()
        contents = [(name, content.decode(encoding).encode()) for name, content in contents_of(folder)]
        found = account_for(logged, contents)

        assert found.is_perfect(), str(found)
        assert not found.reported
        assert len(contents) > 3
        _assert_in_order(found)
        if options.get("when") == "S":
            _assert_in_their_seconds(found)
        if "maxBytes" in options:
            assert max(path.stat().st_size for path in folder.glob("app.log*")) < options["maxBytes"]

    @_EACH_WAY
    def test_late_batches_lose_nothing(
        self, keep_file_open: bool | None, encoding: str, writers: Callable[..., Writers], tmp_path: pathlib.Path
    ) -> None:
        """P1, P2: every other batch is two seconds late, while other processes append and roll over."""
        folder = tmp_path / "logs"
        folder.mkdir()
        team = writers(folder / "app.log", **ROLLING[0].values[0], keep_file_open=keep_file_open, encoding=encoding)
        team.start(count=2, batch=_BATCH, late=2.0)
        team.start(count=1, batch=_BATCH)
        team.start(count=1)
        team.wait_for_calls(500)
        logged = team.finish()
        found = account_for(logged, [(name, data.decode(encoding).encode()) for name, data in contents_of(folder)])

        assert found.is_perfect(), str(found)
        assert not found.reported
        _assert_in_their_seconds(found)

    @pytest.mark.skipif(sys.platform == "win32", reason="a process is stopped by a signal")
    @SHARED_FIRST
    def test_process_stopped_with_the_lock_blocks_no_batch(
        self, keep_file_open: bool | None, writers: Callable[..., Writers], tmp_path: pathlib.Path
    ) -> None:
        """P1, P4: after lock_timeout, batches are written without the lock, and each process waits for it only once."""
        folder = tmp_path / "logs"
        folder.mkdir()
        team = writers(folder / "app.log", **ROLLING[0].values[0], keep_file_open=keep_file_open, lock_timeout=1.0)
        team.start(count=2, batch=_BATCH, late=2.0)
        here, there = multiprocessing.Pipe()
        # From Python 3.14 on, the default is a fork server, and then the process is no child of this one.
        arguments = (str(folder / ".__app.lock"), there)
        holder = multiprocessing.get_context("spawn").Process(target=_hold_and_stop, args=arguments)
        holder.start()
        os.waitpid(holder.pid or 0, os.WUNTRACED)
        began = time.monotonic()
        try:
            team.wait_for_calls(1000)
            took = time.monotonic() - began
        finally:
            os.kill(holder.pid or 0, signal.SIGCONT)
        assert (here.recv(), here.recv()) == ("held", "released")
        team.wait_for_calls(1000)
        here.send("go")
        holder.join()
        found = account_for(team.finish(), contents_of(folder))

        assert found.is_perfect(), str(found)
        assert 0 < len(found.reported) <= 2 * len(team.processes)
        assert took < DEADLINE

    @pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals")
    @SHARED_FIRST
    @pytest.mark.parametrize(
        "rounds", [3, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(1800)])], ids=["few", "many"]
    )
    def test_killed_processes_lose_nothing(
        self, rounds: int, keep_file_open: bool | None, writers: Callable[..., Writers], tmp_path: pathlib.Path
    ) -> None:
        """P1: part of a killed writer's last batch may be there, in order, with a torn record on its own line."""
        for turn in range(rounds):
            folder = tmp_path / f"logs-{turn}"
            folder.mkdir()
            team = writers(folder / "app.log", **ROLLING[0].values[0], keep_file_open=keep_file_open)
            team.start(count=4, batch=_BATCH)
            for row in range(3):
                team.kill(row)
                team.wait_for_calls(50)
            found = account_for(team.finish(), contents_of(folder))
            acknowledged = collections.Counter(call.source for call in found.logged)

            assert found._replace(unknown=[], torn={}).is_perfect(), str(found)
            assert all(
                source in team.killed and 0 <= number - acknowledged[source] < _BATCH
                for source, number in found.unknown
            )
            assert sum(map(len, found.torn.values())) <= 3
            _assert_in_order(found)


@pytest.mark.skipif(sys.platform == "win32", reason="mounts a disk")
@SHARED_FIRST
@pytest.mark.parametrize("options", first_quick(ROLLING + STEADY))
@pytest.mark.parametrize("late", first_quick([0.0, 2.0]), ids=["current", "late"])
def test_full_disk_loses_only_reported_records(
    late: float,
    options: dict[str, Any],
    keep_file_open: bool | None,
    writers: Callable[..., Writers],
    mount: Callable[..., None],
    tmp_path: pathlib.Path,
) -> None:
    """P1, P4: the disk is full three times and freed three times; every unreported record is there once, whole."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "-t", "tmpfs", "-o", "size=3m", "tmpfs")
    ballast = [folder / f".ballast-{number}" for number in range(3)]
    for path in ballast:
        path.write_bytes(b"\0" * 700_000)
    team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
    team.start(count=2, batch=_BATCH, late=late)
    team.start(count=1)
    for path in ballast:
        team.wait_for_more_reports(20)
        path.unlink()
        team.wait_for_any(50)
    found = account_for(team.finish(), contents_of(folder))

    assert found._replace(torn={}).is_perfect(), str(found)
    assert found.unexplained() == [], str(found)
    assert len(found.reported) > 60


class TestShortWrites:
    """A full disk accepts only the beginning of a batch; then there is space again."""

    @ARMS
    @pytest.mark.parametrize("is_followed", [False, True], ids=["last", "followed"])
    @pytest.mark.parametrize("room", [1, 25, 40])
    def test_late_batch_is_written_once(
        self,
        tmp_path: pathlib.Path,
        monkeypatch: pytest.MonkeyPatch,
        keep_file_open: bool | None,
        is_followed: bool,
        room: int,
    ) -> None:
        """P1: records already in the backup, before what another process appended, are not written again."""
        handler = Watched(tmp_path / "app.log", when="H", utc=True, keep_file_open=keep_file_open)
        write(handler, "ten", TEN)
        write(handler, "eleven", TEN + HOUR)
        backup = tmp_path / "app.log.2024-05-17_10"
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", _short_once(backup, room, is_followed))
            handler.emit_batch([record(f"late {number:03}", TEN + 1) for number in range(20)])
        handler.close()
        found = lines(backup)
        late = [line for line in found if line.startswith("late") and len(line) == len("late 000")]
        reported = len(handler.problems)

        assert sorted(set(late)) == sorted(late)
        assert len(late) == 20 - reported
        assert reported == (keep_file_open is False and room == 1)
        assert found.count("other") == is_followed
        assert len(found) <= 1 + len(late) + is_followed + 1
        assert files(tmp_path)["app.log"] == ["eleven"]

    def test_late_record_that_does_not_fit_removes_no_other(
        self, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """P1: another process appends to the backup right after the part that fitted."""
        handler = Watched(tmp_path / "app.log", when="H", utc=True)
        write(handler, "ten", TEN)
        write(handler, "eleven", TEN + HOUR)
        backup = tmp_path / "app.log.2024-05-17_10"
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", _short_once(backup, 3, True))
            write(handler, "late", TEN + 1)
        handler.close()

        assert lines(backup) == ["ten", "la", "other", "late"]
        assert handler.problems == []


class TestFaults:
    """An error with one record of a batch does not affect the others."""

    @ARMS
    def test_record_without_a_time_affects_no_other(self, tmp_path: pathlib.Path, keep_file_open: bool | None) -> None:
        """P4: a filter, or a record from another source, has put text in place of the time."""

        class Plain(Watched):
            def format(self, record: logging.LogRecord) -> str:
                return str(record.msg)

        handler = Plain(tmp_path / "app.log", keep_file_open=keep_file_open)
        records = [record(str(number)) for number in range(5)]
        records[2].created = "noon"  # type: ignore[assignment]
        handler.emit_batch(records)
        handler.close()

        assert lines(tmp_path / "app.log") == ["0", "1", "3", "4"]
        assert {type(problem) for problem in handler.problems} == {TypeError}


def _short_once(path: pathlib.Path, room: int, is_followed: bool) -> Callable[[int, bytes], int]:
    """Return a function like `os.write` whose first write is short, and is followed by another process's data."""
    write_whole, is_done = os.write, False

    def write_less(fd: int, data: bytes) -> int:
        nonlocal is_done
        if is_done:
            return write_whole(fd, data)
        is_done = True
        written = write_whole(fd, data[:room])
        if is_followed:
            _append(path, b"other\n")
        return written

    return write_less


def _append(path: pathlib.Path, data: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(data)


def _assert_in_order(found: Account) -> None:
    """Check that the records of each writer are in the order of logging, in each file."""
    for name, calls in found.held.items():
        newest: dict[int, int] = {}
        for call in calls:
            assert call.number > newest.get(call.source, -1), f"{name}: {call}"
            newest[call.source] = call.number


def _assert_in_their_seconds(found: Account) -> None:
    """Check that each backup contains the records of the second in its name."""
    for name, calls in found.held.items():
        own = name.partition(".log.")[2][: len("2024-05-17_10-00-00")]
        seconds = {time.strftime("%Y-%m-%d_%H-%M-%S", time.gmtime(int(call.created))) for call in calls}
        assert not own or seconds == {own}, f"{name} holds records of {seconds}"
        assert len(seconds) == 1


def _hold_and_stop(path: str, pipe: Connection) -> None:
    with LockFile.at(path).hold(exclusive=True, timeout=DEADLINE):
        pipe.send("held")
        os.kill(os.getpid(), signal.SIGSTOP)
    pipe.send("released")
    pipe.recv()
