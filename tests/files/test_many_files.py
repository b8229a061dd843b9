"""More log files than descriptors: rarely used files are closed, and each record is in its file exactly once (P1)."""

import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from concurrent_log import ConcurrentRotatingFileHandler
from concurrent_log.files.open_files import OpenFiles, open_files
from support.deadlines import DEADLINE
from support.descriptors import open_descriptors
from support.processes import environment
from support.records import HOUR, TEN, Watched, WatchedByDay, WatchedBySize, all_lines, files, lines, record, write

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="open files are read from /proc"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> OpenFiles:
    """Let the process keep the files of two writers open."""
    monkeypatch.setattr(open_files, "_most", lambda: 2)
    monkeypatch.setattr(open_files, "_writers", {})
    return open_files


def _open(folder: pathlib.Path) -> list[str]:
    """Return the names of the files in ``folder`` that this process has open."""
    targets = map(os.path.split, open_descriptors().values())
    return sorted(name for parent, name in targets if parent == str(folder))


def _by_size(folder: pathlib.Path, count: int, **options: Any) -> list[WatchedBySize]:
    return [
        WatchedBySize(folder / f"{number}.log", **{"maxBytes": 10**6, "backupCount": 3, **options})
        for number in range(count)
    ]


def _close(*handlers: logging.Handler) -> None:
    for handler in handlers:
        handler.close()


@pytest.mark.usefixtures("two")
def test_rarely_used_files_are_closed(tmp_path: pathlib.Path) -> None:
    """Five handlers log in turn: two of them have their two files open, and all records are written."""
    handlers = _by_size(tmp_path, 5)
    for turn in range(3):
        for handler in handlers:
            write(handler, f"turn {turn}")
    assert _open(tmp_path) == [".__3.lock", ".__4.lock", "3.log", "4.log"]
    _close(*handlers)

    assert _open(tmp_path) == []
    assert files(tmp_path) == {f"{number}.log": ["turn 0", "turn 1", "turn 2"] for number in range(5)}
    assert not any(handler.problems for handler in handlers)


@pytest.mark.usefixtures("two")
def test_handlers_without_a_record_are_closed_too(tmp_path: pathlib.Path) -> None:
    """Each constructor opens its file, as that of the standard class does; the files of earlier ones are closed."""
    handlers = _by_size(tmp_path, 5)

    assert _open(tmp_path) == ["3.log", "4.log"]
    for handler in handlers:
        write(handler, "first")
    _close(*handlers)
    assert all_lines(tmp_path) == ["first"] * 5


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("kind", [Watched, WatchedBySize, WatchedByDay])
def test_file_that_was_closed_rolls_over(tmp_path: pathlib.Path, kind: type) -> None:
    """While its files are closed, another process rolls it over: the next record goes to the new file."""
    options: Any = {"maxBytes": 24}
    if kind is not WatchedByDay:
        options |= {"filename": tmp_path / "logs" / "app.log", "backupCount": 9}
    else:
        options |= {"folder": tmp_path / "logs"}
    handler, peer = kind(**options), kind(**options)
    others = _by_size(tmp_path, 2)
    for number in range(9):
        write(handler if number % 3 else peer, f"record {number}")
        for other in others:
            write(other, "other")
        assert _open(tmp_path / "logs") == []
    _close(handler, peer, *others)

    found = files(tmp_path / "logs")
    assert sorted(line for each in found.values() for line in each) == [f"record {number}" for number in range(9)]
    assert len(found) >= 4
    assert handler.problems + peer.problems == []


@pytest.mark.usefixtures("two")
def test_late_record_after_the_files_were_closed(tmp_path: pathlib.Path) -> None:
    """A record of the previous hour goes to the backup of that hour, also as the first one after the files closed."""
    handler = Watched(tmp_path / "logs" / "app.log", when="H", utc=True)
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)
    others = _by_size(tmp_path, 3)
    write(handler, "late", TEN + 1)
    _close(handler, *others)

    assert files(tmp_path / "logs") == {"app.log": ["eleven"], "app.log.2024-05-17_10": ["ten", "late"]}


@pytest.mark.usefixtures("two")
def test_batch_after_the_files_were_closed(tmp_path: pathlib.Path) -> None:
    """`emit_batch` opens the files again, too."""
    handlers = _by_size(tmp_path, 4)
    for turn in range(2):
        for handler in handlers:
            handler.emit_batch([record(f"{turn} {number}") for number in range(3)])
    _close(*handlers)

    assert len(_open(tmp_path)) == 0
    assert files(tmp_path) == {
        f"{each}.log": [f"{turn} {number}" for turn in range(2) for number in range(3)] for each in range(4)
    }


@pytest.mark.usefixtures("two")
def test_number_of_a_closed_file_belongs_to_the_program(tmp_path: pathlib.Path) -> None:
    """The program's next files get the numbers: no record lands in them, and they stay open."""
    handlers = _by_size(tmp_path, 4)
    for handler in handlers:
        write(handler, "before")
    theirs = [os.open(tmp_path / f"theirs-{number}", os.O_RDWR | os.O_CREAT) for number in range(8)]
    for handler in handlers:
        write(handler, "after")
    _close(*handlers)

    assert [os.fstat(fd).st_size for fd in theirs] == [0] * 8
    for fd in theirs:
        os.close(fd)
    assert {name: found for name, found in files(tmp_path).items() if name.endswith(".log")} == {
        f"{number}.log": ["before", "after"] for number in range(4)
    }


# In use


@pytest.mark.usefixtures("two")
def test_handler_that_another_thread_uses_keeps_its_files(tmp_path: pathlib.Path) -> None:
    """A thread is in the middle of a record: other handlers neither wait for it nor close its files."""
    entered, leave = threading.Event(), threading.Event()

    class Slow(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            entered.set()
            assert leave.wait(DEADLINE)
            return super().format(record)

    busy, *others = _by_size(tmp_path, 4)
    write(busy, "before")
    busy.setFormatter(Slow())
    thread = threading.Thread(target=write, args=(busy, "slow"))
    thread.start()
    assert entered.wait(DEADLINE)
    for handler in others:
        write(handler, "other")
    is_open = "0.log" in _open(tmp_path)
    leave.set()
    thread.join(DEADLINE)
    _close(busy, *others)

    assert is_open
    assert lines(tmp_path / "0.log") == ["before", "slow"]


@pytest.mark.usefixtures("two")
def test_formatter_that_logs_elsewhere_loses_no_record(tmp_path: pathlib.Path) -> None:
    """While a record is formatted, this thread logs to other files, so that the record's own file is closed."""
    outer, *others = _by_size(tmp_path, 4)

    class Nested(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            for handler in others:
                write(handler, "nested")
            return super().format(record)

    write(outer, "before")
    outer.setFormatter(Nested())
    write(outer, "after")
    _close(outer, *others)

    assert files(tmp_path) == {
        "0.log": ["before", "after"],
        **{f"{number}.log": ["nested"] for number in (1, 2, 3)},
    }
    assert outer.problems == []


@pytest.mark.usefixtures("two")
def test_handler_that_logs_while_another_is_closed(tmp_path: pathlib.Path) -> None:
    """`close` of one handler logs to others, and to itself: all records are written, and no file stays open."""

    class Farewell(WatchedBySize):
        others: "list[WatchedBySize]"

        def close(self) -> None:
            for other in self.others:
                write(other, f"closing {os.path.basename(self.baseFilename)}")
            super().close()

    first = Farewell(tmp_path / "first.log")
    others = _by_size(tmp_path, 3)
    first.others = [*others, first]
    write(first, "before")
    first.close()
    _close(*others)

    assert files(tmp_path) == {
        "first.log": ["before", "closing first.log"],
        **{f"{number}.log": ["closing first.log"] for number in range(3)},
    }
    assert _open(tmp_path) == []


@pytest.mark.usefixtures("two")
def test_threads_that_close_each_other_s_files_lose_nothing(tmp_path: pathlib.Path) -> None:
    """Four threads log to ten files, of which two may be open, while the files roll over."""
    handlers = _by_size(tmp_path, 10, maxBytes=400, backupCount=1000)

    def work(source: int) -> None:
        for number in range(100):
            write(handlers[(source + number) % 10], f"thread {source} record {number:03}")

    threads = [threading.Thread(target=work, args=(source,)) for source in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    _close(*handlers)

    expected = [f"thread {source} record {number:03}" for source in range(4) for number in range(100)]
    assert sorted(all_lines(tmp_path)) == expected
    assert [handler.problems for handler in handlers] == [[]] * 10
    assert _open(tmp_path) == []


@pytest.mark.usefixtures("two")
def test_child_continues_with_files_that_the_parent_closed(tmp_path: pathlib.Path) -> None:
    """A fork with open and with closed files: parent and child write to all of them."""
    handlers = _by_size(tmp_path, 5)
    for handler in handlers:
        write(handler, "before")
    child = os.fork()
    if child == 0:
        try:
            for turn in range(2):
                for handler in handlers:
                    write(handler, f"child {turn}")
            if len(_open(tmp_path)) != 4 or any(handler.problems for handler in handlers):
                os._exit(1)
        finally:
            os._exit(0)
    for handler in handlers:
        write(handler, "parent")
    status = os.waitpid(child, 0)[1]
    _close(*handlers)

    assert status == 0
    assert {name: sorted(found) for name, found in files(tmp_path).items()} == {
        f"{number}.log": ["before", "child 0", "child 1", "parent"] for number in range(5)
    }


# What a program knows of its stream


@pytest.mark.usefixtures("two")
def test_stream_is_open_for_the_program(tmp_path: pathlib.Path) -> None:
    """A subclass writes to ``self.stream`` in ``emit``, as with the standard class, also after the file was closed."""

    class Numbered(WatchedBySize):
        def emit(self, record: logging.LogRecord) -> None:
            self.stream.write("next:\n")
            super().emit(record)

    handler = Numbered(tmp_path / "app.log")
    others = _by_size(tmp_path, 3)
    for turn in range(2):
        write(handler, f"turn {turn}")
        for other in others:
            write(other, "other")
    handler.flush()
    assert "app.log" not in _open(tmp_path)
    _close(handler, *others)

    assert lines(tmp_path / "app.log") == ["next:", "turn 0", "next:", "turn 1"]
    assert handler.problems == []


@pytest.mark.usefixtures("two")
def test_file_that_a_subclass_opens_stays_open(tmp_path: pathlib.Path) -> None:
    """``_open`` of a subclass writes a header: it is not called again; only the lock file is closed."""

    class WithHeader(WatchedBySize):
        def _open(self) -> Any:
            stream = open(self.baseFilename, "a", encoding="utf-8")  # noqa: SIM115 - the handler closes it
            stream.write("header\n")
            return stream

    handlers: list[WatchedBySize] = [WithHeader(tmp_path / f"header-{number}.log") for number in range(3)]
    others = _by_size(tmp_path, 3)
    for turn in range(2):
        for handler in (*handlers, *others):
            write(handler, f"turn {turn}")
    still_open = _open(tmp_path)
    _close(*handlers, *others)

    assert [name for name in still_open if "header" in name] == [f"header-{number}.log" for number in range(3)]
    for number in range(3):
        assert lines(tmp_path / f"header-{number}.log") == ["header", "turn 0", "turn 1"]


@pytest.mark.usefixtures("two")
def test_stream_that_the_program_set_stays(tmp_path: pathlib.Path) -> None:
    """The program sets a stream that it opened: it is never closed for want of descriptors."""
    handler, *others = _by_size(tmp_path, 4)
    handler.stream.close()
    handler.stream = theirs = open(tmp_path / "0.log", "a", encoding="utf-8")  # noqa: SIM115 - the handler closes it
    write(handler, "before")
    for other in others:
        write(other, "other")

    assert handler.stream is theirs
    assert not theirs.closed
    write(handler, "after")
    _close(handler, *others)
    assert lines(tmp_path / "0.log") == ["before", "after"]


# Files that could not be opened again


@pytest.fixture
def open_folder() -> Iterator[pathlib.Path]:
    """Return a folder that every user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


@pytest.mark.usefixtures("two")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs the rights of root")
@pytest.mark.parametrize("way", ["user", "root"])
def test_file_that_could_not_be_opened_again_stays_open(open_folder: pathlib.Path, way: str) -> None:
    """After the process dropped its privileges, or called chroot, the files of rarely used handlers stay open."""
    tmp_path = open_folder
    handlers = _by_size(tmp_path, 2)
    for handler in handlers:
        write(handler, "root")
    os.chmod(tmp_path / "0.log", 0o600)
    (tmp_path / "jail").mkdir()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for handler in handlers:
                write(handler, "child")
            if way == "user":
                (tmp_path / "jail").chmod(0o777)
                os.setuid(65534)
            else:
                os.chroot(tmp_path / "jail")
            others = _by_size(tmp_path / "jail" if way == "user" else pathlib.Path("/"), 4)
            for turn in range(2):
                for other in others:
                    write(other, f"other {turn}")
            write(handlers[0], "after")
            status = 0
        except BaseException as error:
            os.write(2, repr(error).encode())
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    _close(*handlers)

    assert lines(tmp_path / "0.log") == ["root", "child", "after"]
    assert lines(tmp_path / "1.log") == ["root", "child"]
    for number in range(4):
        assert lines(tmp_path / "jail" / f"{number}.log") == ["other 0", "other 1"]


# No descriptor left


@pytest.fixture
def few_descriptors() -> Iterator[list[int]]:
    """Let the process have 100 more descriptors, and close at the end those that the test puts into the list."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, open_descriptors())) + 100, before[1]))
    yield taken
    for fd in taken:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_program_that_uses_all_descriptors_loses_no_record(
    tmp_path: pathlib.Path, few_descriptors: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program opens files up to the limit: handlers close theirs for each other, and roll over (P4)."""
    monkeypatch.setattr(open_files, "_writers", {})
    handlers = _by_size(tmp_path, 12, maxBytes=30, backupCount=100)
    for handler in handlers:
        write(handler, "record 0")
    try:
        while True:
            few_descriptors.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    late = [WatchedBySize(tmp_path / f"{number}.log", maxBytes=30, backupCount=100) for number in (12, 13)]
    for number in range(1, 10):
        for handler in (*handlers, *late):
            write(handler, f"record {number}")
    while few_descriptors:
        os.close(few_descriptors.pop())
    _close(*handlers, *late)

    assert [handler.problems for handler in (*handlers, *late)] == [[]] * 14
    assert sorted(all_lines(tmp_path)) == sorted(
        [f"record {number}" for number in range(10)] * 12 + [f"record {number}" for number in range(1, 10)] * 2
    )
    assert len(files(tmp_path)) > 14 * 3


_TENANTS = """
import logging, os, resource, sys, threading
from concurrent_log import ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler

resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
TENANTS, RECORDS, folder = 700, 5, sys.argv[1]

def logger(tenant):
    made = logging.getLogger(f"tenant.{tenant}")
    made.propagate = False
    made.setLevel(logging.INFO)
    path = os.path.join(folder, f"{tenant}.log")
    if tenant % 2:
        made.addHandler(ConcurrentRotatingFileHandler(path, maxBytes=150, backupCount=1000))
    else:
        made.addHandler(ConcurrentTimedRotatingFileHandler(path, when="midnight", maxBytes=150))
    return made

loggers = [logger(tenant) for tenant in range(TENANTS)]

def work(source):
    for number in range(RECORDS):
        for tenant in range(TENANTS):
            loggers[(tenant * 11 + number) % TENANTS].info("%s record %d", source, number)

for child in range(3):
    if os.fork() == 0:
        work(f"child {child}")
        assert len(os.listdir("/proc/self/fd")) < 600
        logging.shutdown()
        os._exit(0)
threads = [threading.Thread(target=work, args=(f"thread {number}",)) for number in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for child in range(3):
    assert os.wait()[1] == 0
assert len(os.listdir("/proc/self/fd")) < 600
"""


@pytest.mark.slow
def test_700_tenants_with_1024_descriptors(tmp_path: pathlib.Path) -> None:
    """Four processes, one with two threads, log to 700 files that roll over; each may open 1,024 files."""
    done = subprocess.run(
        [sys.executable, "-c", _TENANTS, str(tmp_path)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE * 4,
    )

    assert done.stderr == ""
    assert done.returncode == 0
    expected = sorted(
        f"{source} record {number}"
        for source in ("child 0", "child 1", "child 2", "thread 0", "thread 1")
        for number in range(5)
    )
    found: dict[str, list[str]] = {}
    for name, content in files(tmp_path).items():
        found.setdefault(name.split(".")[0], []).extend(content)
    assert {tenant: sorted(content) for tenant, content in found.items()} == {
        str(tenant): expected for tenant in range(700)
    }
    assert len(files(tmp_path)) > 1400


def test_dropped_handlers_leave_nothing_behind(tmp_path: pathlib.Path, two: OpenFiles) -> None:
    """Handlers whose files were closed are deleted without ``close``: no descriptor, no reference is left."""
    for number in range(20):
        write(ConcurrentRotatingFileHandler(tmp_path / f"{number}.log"), "record")

    assert len(two) == 0
    assert _open(tmp_path) == []
    assert all_lines(tmp_path) == ["record"] * 20
