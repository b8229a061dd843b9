"""Descriptors that change hands: a number that the handler opened belongs to another file of the program by now.

The program's files and sockets keep their content and stay open; the handler opens its log again.
"""

import fcntl
import gc
import gzip
import os
import pathlib
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.descriptors import open_descriptors
from support.processes import in_a_child
from support.records import (
    HOUR,
    TEN,
    Watched,
    WatchedByDay,
    WatchedBySize,
    all_lines,
    files,
    lines,
    record,
    wait_until,
    write,
)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the numbers are read from /proc"),
    pytest.mark.filterwarnings("ignore:.*unclosed:ResourceWarning"),
]

Handler = Watched | WatchedBySize | WatchedByDay
Make = Callable[..., Handler]

_SECRET = b"the program's own bytes\n"


def _by_time(folder: pathlib.Path, **options: Any) -> Watched:
    return Watched(folder / "app.log", when="midnight", **options)


def _by_size(folder: pathlib.Path, **options: Any) -> WatchedBySize:
    return WatchedBySize(folder / "app.log", maxBytes=10**6, backupCount=3, **options)


def _by_day(folder: pathlib.Path, **options: Any) -> WatchedByDay:
    return WatchedByDay(folder, "app", maxBytes=10**6, **options)


@pytest.fixture(params=[_by_time, _by_size, _by_day], ids=["by-time", "by-size", "by-day"])
def make(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Make]:
    """Return a function that creates a handler in the folder ``logs``, of each kind."""
    made: list[Handler] = []

    def handler(**options: Any) -> Handler:
        (tmp_path / "logs").mkdir(exist_ok=True)
        made.append(request.param(tmp_path / "logs", **options))
        return made[-1]

    yield handler
    for each in made:
        each.close()


def _numbers(handler: Handler) -> dict[str, int]:
    return {"log": handler.stream.fileno(), "lock": handler._lock_file.fd}


class _Theirs:
    """A file of the program that has the number ``fd``."""

    def __init__(self, path: pathlib.Path, fd: int, content: bytes = _SECRET) -> None:
        self._path = path
        path.write_bytes(content)
        self.fd = fd
        other = os.open(path, os.O_RDWR | os.O_APPEND)
        if other != fd:
            os.dup2(other, fd)
            os.close(other)
        os.lseek(fd, 0, os.SEEK_END)
        self._content = content

    def is_untouched(self) -> bool:
        """Return whether the file is open under its number, with the content that the program gave it."""
        os.write(self.fd, b"more")
        self._content += b"more"
        os.lseek(self.fd, 0, os.SEEK_END)
        return self._path.read_bytes() == self._content and os.path.samestat(os.fstat(self.fd), self._path.stat())


# Closed by somebody else, or replaced


@pytest.mark.parametrize("which", ["log", "lock"])
@pytest.mark.parametrize("is_soon", [True, False], ids=["at-once", "after-the-next-look"])
def test_number_closed_by_the_program_stays_the_programs(
    make: Make, tmp_path: pathlib.Path, which: str, is_soon: bool
) -> None:
    """A library closes a descriptor twice, and the program's next file gets the number of the log or the lock file."""
    handler = make()
    write(handler, "before")
    fd = _numbers(handler)[which]
    os.close(fd)
    theirs = _Theirs(tmp_path / "theirs", fd)
    if not is_soon:
        handler._log_file.view = handler._log_file.view._replace(closes=0, until=0)
    for number in range(3):
        write(handler, f"after {number}")
        assert theirs.is_untouched()
    handler.close()

    assert theirs.is_untouched()
    assert handler.problems == []
    assert all_lines(tmp_path / "logs") == ["before", "after 0", "after 1", "after 2"]
    os.close(fd)


@pytest.mark.parametrize("which", ["log", "lock"])
def test_number_replaced_by_dup2_stays_the_programs(make: Make, tmp_path: pathlib.Path, which: str) -> None:
    """``os.dup2`` over the number: the daemon's own file takes its place without a close."""
    handler = make()
    write(handler, "before")
    theirs = _Theirs(tmp_path / "theirs", _numbers(handler)[which])
    write(handler, "after")
    handler.close()

    assert theirs.is_untouched()
    assert handler.problems == []
    assert all_lines(tmp_path / "logs") == ["before", "after"]
    os.close(theirs.fd)


@pytest.mark.parametrize("which", ["log", "lock"])
def test_socket_under_the_number_gets_no_record(make: Make, tmp_path: pathlib.Path, which: str) -> None:
    """A connection of the program has the number: nothing is sent over it, and it stays open."""
    handler = make()
    write(handler, "before")
    fd = _numbers(handler)[which]
    ours, peer = socket.socketpair()
    with ours, peer:
        os.dup2(ours.fileno(), fd)
        write(handler, "after")
        handler.close()
        with socket.socket(fileno=fd) as same:
            same.send(b"request")
            received = peer.recv(100)

    assert received == b"request"
    assert handler.problems == []
    assert all_lines(tmp_path / "logs") == ["before", "after"]


@pytest.mark.parametrize("which", ["log", "lock"])
def test_pipe_under_the_number_gets_no_record(make: Make, tmp_path: pathlib.Path, which: str) -> None:
    """The writing end of a pipe has the number: the reader gets only what the program writes."""
    handler = make()
    write(handler, "before")
    reader, writer = os.pipe()
    fd = _numbers(handler)[which]
    os.dup2(writer, fd)
    write(handler, "after")
    handler.close()
    os.write(fd, b"theirs")

    assert os.read(reader, 100) == b"theirs"
    assert handler.problems == []
    assert all_lines(tmp_path / "logs") == ["before", "after"]
    for each in (reader, writer, fd):
        os.close(each)


def test_lock_of_the_program_under_the_number_is_kept(make: Make, tmp_path: pathlib.Path) -> None:
    """The program's pid file has the lock file's number, and is locked: writing a record does not unlock it."""
    handler = make()
    write(handler, "before")
    theirs = _Theirs(tmp_path / "service.pid", _numbers(handler)["lock"])
    fcntl.flock(theirs.fd, fcntl.LOCK_EX)
    write(handler, "after")
    handler.close()

    with open(tmp_path / "service.pid") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert theirs.is_untouched()
    assert all_lines(tmp_path / "logs") == ["before", "after"]
    os.close(theirs.fd)


def test_file_with_the_same_position_under_the_number_gets_no_record(make: Make, tmp_path: pathlib.Path) -> None:
    """The file that has the number now is as long as the log: the handler notices at the latest after a second."""
    handler = make()
    write(handler, "before")
    theirs = _Theirs(tmp_path / "theirs", _numbers(handler)["log"], b"before\n")
    handler._log_file.view = handler._log_file.view._replace(closes=0, until=0)
    write(handler, "after")
    handler.close()

    assert theirs.is_untouched()
    assert all_lines(tmp_path / "logs") == ["before", "after"]
    os.close(theirs.fd)


def test_closing_the_handler_leaves_the_programs_files_open(make: Make, tmp_path: pathlib.Path) -> None:
    """Only ``close`` is called after both numbers changed hands; a second ``close`` does no harm either."""
    handler = make()
    write(handler, "before")
    theirs = [_Theirs(tmp_path / which, fd) for which, fd in _numbers(handler).items()]
    handler.close()
    handler.close()

    assert all(each.is_untouched() for each in theirs)
    for each in theirs:
        os.close(each.fd)


def test_rollover_leaves_the_programs_files_alone(make: Make, tmp_path: pathlib.Path) -> None:
    """``doRollover`` is the first call after both numbers changed hands."""
    handler = make()
    write(handler, "before")
    theirs = [_Theirs(tmp_path / which, fd) for which, fd in _numbers(handler).items()]
    if isinstance(handler, WatchedByDay):
        handler.doRollover()
    else:
        handler.doRollover()
    write(handler, "after")
    handler.close()

    assert all(each.is_untouched() for each in theirs)
    assert sorted(files(tmp_path / "logs").values()) == [["after"], ["before"]]
    assert handler.problems == []
    for each in theirs:
        os.close(each.fd)


def test_garbage_collection_leaves_the_programs_files_open(tmp_path: pathlib.Path) -> None:
    """A handler is dropped without ``close`` after both numbers changed hands."""
    handler = WatchedBySize(tmp_path / "app.log")
    write(handler, "before")
    theirs = [_Theirs(tmp_path / which, fd) for which, fd in _numbers(handler).items()]
    del handler
    gc.collect()

    assert all(each.is_untouched() for each in theirs)
    for each in theirs:
        os.close(each.fd)


def test_late_record_does_not_reach_the_programs_file(tmp_path: pathlib.Path) -> None:
    """The number changed hands, and the next record belongs to a backup."""
    handler = Watched(tmp_path / "app.log", when="H", utc=True)
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)
    theirs = [_Theirs(tmp_path / f".{which}", fd) for which, fd in _numbers(handler).items()]
    write(handler, "late", TEN + 1)
    write(handler, "eleven again", TEN + HOUR + 1)
    handler.close()

    assert all(each.is_untouched() for each in theirs)
    assert files(tmp_path) == {"app.log": ["eleven", "eleven again"], "app.log.2024-05-17_10": ["ten", "late"]}
    for each in theirs:
        os.close(each.fd)


def test_batch_does_not_reach_the_programs_file(make: Make, tmp_path: pathlib.Path) -> None:
    """``emit_batch`` also looks at the descriptors before it writes."""
    handler = make()
    write(handler, "before")
    theirs = [_Theirs(tmp_path / which, fd) for which, fd in _numbers(handler).items()]
    handler.emit_batch([record(f"batch {number}") for number in range(3)])
    handler.close()

    assert all(each.is_untouched() for each in theirs)
    assert all_lines(tmp_path / "logs") == ["before", "batch 0", "batch 1", "batch 2"]
    for each in theirs:
        os.close(each.fd)


# Daemons


@pytest.mark.parametrize("opens_its_files", [False, True])
def test_daemon_that_closes_every_descriptor_logs_on(make: Make, tmp_path: pathlib.Path, opens_its_files: bool) -> None:
    """A daemon forks, calls ``os.closerange`` and opens files of its own, which get the old numbers."""
    handler = make()
    write(handler, "before")
    numbers = _numbers(handler).values()

    def daemon() -> None:
        os.closerange(0, 256)
        theirs = []
        while opens_its_files and not set(numbers) <= set(theirs):
            theirs.append(os.open(tmp_path / f"theirs-{len(theirs)}", os.O_RDWR | os.O_CREAT | os.O_APPEND))
        for number in range(3):
            write(handler, f"daemon {number}")
        handler.close()
        for fd in theirs:
            os.write(fd, b"x")

    status = in_a_child(daemon)
    write(handler, "parent")

    assert status == 0
    assert {path.read_bytes() for path in tmp_path.glob("theirs-*")} == ({b"x"} if opens_its_files else set())
    assert handler.problems == []
    assert all_lines(tmp_path / "logs") == ["before", "daemon 0", "daemon 1", "daemon 2", "parent"]


def test_daemon_that_preserves_the_log_file_logs_on(make: Make, tmp_path: pathlib.Path) -> None:
    """python-daemon's ``files_preserve=[handler.stream]``: the log stays open, the lock file is closed."""
    handler = make()
    write(handler, "before")

    def daemon() -> None:
        kept = handler.stream.fileno()
        os.closerange(0, kept)
        os.closerange(kept + 1, 256)
        write(handler, "daemon")
        handler.close()

    assert in_a_child(daemon) == 0
    write(handler, "parent")
    assert all_lines(tmp_path / "logs") == ["before", "daemon", "parent"]


def test_double_fork_with_standard_streams_on_devnull_logs_on(make: Make, tmp_path: pathlib.Path) -> None:
    """The recipe of Stevens: fork twice, ``setsid``, close all, ``dup2`` of /dev/null over 0, 1 and 2."""
    handler = make()
    write(handler, "before")

    def daemon() -> None:
        os.setsid()

        def grandchild() -> None:
            os.chdir("/")
            os.closerange(0, 256)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 1)
            os.dup2(null, 2)
            write(handler, "daemon")

        if in_a_child(grandchild):
            raise AssertionError("the grandchild failed")

    assert in_a_child(daemon) == 0
    assert all_lines(tmp_path / "logs") == ["before", "daemon"]


def test_child_that_closes_from_a_number_up_logs_on(make: Make, tmp_path: pathlib.Path) -> None:
    """``closefrom(3)`` in a forked child, while the parent goes on with the descriptors."""
    handler = make()
    write(handler, "before")

    def child() -> None:
        os.closerange(3, 256)
        write(handler, "child")
        gc.collect()

    assert in_a_child(child) == 0
    write(handler, "parent")
    assert handler.problems == []
    assert all_lines(tmp_path / "logs") == ["before", "child", "parent"]


@pytest.mark.slow
def test_no_acknowledged_record_is_lost_by_a_library_that_closes_descriptors(
    make: Make, tmp_path: pathlib.Path
) -> None:
    """Every few records another number is closed and reused: all records are in the log, in order."""
    handler = make()
    theirs: list[_Theirs] = []
    write(handler, "0")
    for number in range(1, 300):
        if number % 7 == 0:
            numbers = list(_numbers(handler).values())
            fd = numbers[number % 2]
            if fd >= 0:
                os.close(fd)
                theirs.append(_Theirs(tmp_path / f"theirs-{number}", fd))
        write(handler, str(number))
    handler.close()

    assert all_lines(tmp_path / "logs") == [str(number) for number in range(300)]
    assert handler.problems == []
    assert all(each.is_untouched() for each in theirs)
    for each in theirs:
        os.close(each.fd)


def test_compression_leaves_the_programs_files_alone(tmp_path: pathlib.Path) -> None:
    """The numbers change hands before the rollover after which a thread compresses."""
    (tmp_path / "logs").mkdir()
    handler = WatchedBySize(tmp_path / "logs" / "app.log", maxBytes=20, backupCount=2, use_gzip=True)
    write(handler, "first record")
    theirs = [_Theirs(tmp_path / which, fd) for which, fd in _numbers(handler).items()]
    write(handler, "second record")
    compressed = tmp_path / "logs" / "app.log.1.gz"
    wait_until(compressed.exists)
    handler.close()

    assert gzip.decompress(compressed.read_bytes()) == b"first record\n"
    assert all(each.is_untouched() for each in theirs)
    for each in theirs:
        os.close(each.fd)


# Dropped handlers


@pytest.mark.parametrize("logs", [True, False])
@pytest.mark.parametrize("kind", [_by_time, _by_size, _by_day])
def test_dropped_handlers_give_back_their_descriptors(
    tmp_path: pathlib.Path, kind: Callable[[pathlib.Path], Handler], logs: bool
) -> None:
    """Handlers are dropped without ``close``, as with the standard class."""
    before = open_descriptors()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for number in range(50):
            handler = kind(tmp_path / str(number))
            if logs:
                write(handler, "record")
            del handler
        gc.collect()

    assert open_descriptors() == before


def test_dropped_handlers_of_one_file_leave_the_others_working(tmp_path: pathlib.Path) -> None:
    """The lock file is shared: it stays open as long as one handler of the file exists."""
    kept = WatchedBySize(tmp_path / "app.log")
    write(kept, "0")
    for number in range(1, 20):
        dropped = WatchedBySize(tmp_path / "app.log")
        write(dropped, str(number))
        del dropped
    gc.collect()
    write(kept, "20")

    assert lines(tmp_path / "app.log") == [str(number) for number in range(21)]
    kept.close()


def test_dropped_handlers_with_cycles_give_back_their_descriptors(tmp_path: pathlib.Path) -> None:
    """A subclass refers to itself, such as by a bound method as its namer."""
    before = open_descriptors()
    for number in range(20):
        handler = Watched(tmp_path / f"{number}.log", when="H")
        handler.namer = handler.format  # type: ignore[assignment]
        write(handler, "record")
        del handler
    gc.collect()

    assert open_descriptors() == before
