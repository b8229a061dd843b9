"""Compressed backups: no record is lost, no file is left behind, no process is blocked."""

import contextlib
import errno
import gzip
import itertools
import multiprocessing
import os
import pathlib
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from concurrent_log.files import compression
from concurrent_log.files.compression import Compressor
from concurrent_log.files.gzip_members import append_member, end_of_last_member
from concurrent_log.files.lock_file import LockFile
from concurrent_log.files.view import NO_VIEW
from support.deadlines import DEADLINE
from support.records import HOUR, TEN, Watched, WatchedBySize, as_in_another_process, files, lines, wait_until, write

Make = Callable[..., Watched]
_TEN, _ELEVEN, _TWELVE = (f"app.log.2024-05-17_{hour}" for hour in (10, 11, 12))


@pytest.fixture(params=["shared", "exclusive"])
def make(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Make]:
    """Create a handler of ``app.log`` that compresses its backups, once for each arm of the protocol."""
    made: list[Watched] = []

    def handler(**kwargs: Any) -> Watched:
        arm = {} if request.param == "shared" else {"keep_file_open": False}
        made.append(Watched(tmp_path / "app.log", utc=True, use_gzip=True, encoding="utf-8", **arm, **kwargs))
        return made[-1]

    yield handler
    wait_until(_is_quiet)
    for each in made:
        each.close()


@pytest.fixture(autouse=True)
def no_notice_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait until all writers have noticed that a lock file was removed: only two tests remove it."""
    monkeypatch.setattr(compression, "_NOTICE_SECONDS", 0.0)


def _is_quiet() -> bool:
    """Return whether no backup is being compressed in this process."""
    return not any(thread.name == "concurrent-log-gzip" for thread in threading.enumerate())


def unpacked(folder: pathlib.Path) -> dict[str, list[str]]:
    """Return the lines of all files in ``folder`` but the hidden ones, by name."""
    wait_until(_is_quiet)
    found = {}
    for path in folder.iterdir():
        if not path.name.startswith("."):
            content = path.read_bytes()
            plain = gzip.decompress(content) if path.suffix == ".gz" else content
            found[path.name] = plain.decode("utf-8").splitlines()
    return found


# The compressed backup


def test_backup_is_compressed(make: Make, tmp_path: pathlib.Path) -> None:
    """A backup becomes NAME.gz, and no other file is left."""
    handler = make()
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)

    assert unpacked(tmp_path) == {"app.log": ["eleven"], f"{_TEN}.gz": ["ten"]}
    assert sorted(os.listdir(tmp_path)) == [".__app.gz.lock", ".__app.lock", "app.log", f"{_TEN}.gz"]
    assert handler.problems == []


def test_backups_by_size_are_compressed_under_their_new_numbers(tmp_path: pathlib.Path) -> None:
    """A backup that gets another number while it is compressed keeps its records and its place."""
    handler = WatchedBySize(tmp_path / "app.log", maxBytes=200, backupCount=500, use_gzip=True)
    for number in range(2000):
        write(handler, f"number {number}")
    wait_until(_is_quiet)
    write(handler, "x" * 300)  # another rollover
    found = unpacked(tmp_path)
    handler.close()

    numbered = sorted((name for name in found if name != "app.log"), key=lambda name: -int(name.split(".")[2]))
    assert [line for name in numbered for line in found[name]] == [f"number {number}" for number in range(2000)]
    assert all(name.endswith(".gz") for name in numbered)
    assert handler.problems == []


def test_compressed_backup_keeps_mode_and_time(make: Make, tmp_path: pathlib.Path) -> None:
    """The compressed backup has the mode and the modification time of the plain one."""
    handler = make()
    write(handler, "ten", TEN)
    (tmp_path / "app.log").chmod(0o604)
    os.utime(tmp_path / "app.log", (TEN + 5, TEN + 6))
    write(handler, "eleven", TEN + HOUR)
    wait_until(_is_quiet)
    status = (tmp_path / f"{_TEN}.gz").stat()

    assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o604, TEN + 6)


def test_retention_counts_compressed_backups(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: the newest periods are kept, compressed or not."""
    handler = make(backupCount=2)
    for hour in range(6):
        write(handler, f"{hour}", TEN + hour * HOUR)
        wait_until(_is_quiet)

    assert unpacked(tmp_path) == {
        "app.log": ["5"],
        "app.log.2024-05-17_13.gz": ["3"],
        "app.log.2024-05-17_14.gz": ["4"],
    }


def test_files_of_one_period_are_compressed_in_order(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: several files of one period keep their numbers."""
    handler = make(maxBytes=30)
    for number in range(9):
        write(handler, f"number {number}", TEN + number)
        wait_until(_is_quiet)
    write(handler, "eleven", TEN + HOUR)
    found = unpacked(tmp_path)

    assert sorted(found) == ["app.log", f"{_TEN}.0001.gz", f"{_TEN}.0002.gz", f"{_TEN}.gz"]
    assert found[f"{_TEN}.0002.gz"] == ["number 6", "number 7", "number 8"]


def test_backups_named_by_a_namer_are_compressed(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: app.DATE.log becomes app.DATE.log.gz, and retention finds it."""
    handler = make(backupCount=1)
    handler.namer = lambda name: name.replace("app.log.", "app.") + ".log"
    for hour in range(4):
        write(handler, f"{hour}", TEN + hour * HOUR)
        wait_until(_is_quiet)

    assert unpacked(tmp_path) == {"app.log": ["3"], "app.2024-05-17_12.log.gz": ["2"]}


def test_backups_of_a_compressing_rotator_are_not_compressed_again(make: Make, tmp_path: pathlib.Path) -> None:
    """P6: the Cookbook's gzip rotator and namer work, and their files are not compressed again."""
    handler = make(backupCount=2)
    handler.namer = lambda name: name + ".gz"
    handler.rotator = _pack
    for hour in range(5):
        write(handler, f"{hour}", TEN + hour * HOUR)

    assert unpacked(tmp_path) == {
        "app.log": ["4"],
        "app.log.2024-05-17_12.gz": ["2"],
        "app.log.2024-05-17_13.gz": ["3"],
    }


def _pack(source: str, destination: str) -> None:
    with open(source, "rb") as plain, gzip.open(destination, "wb") as packed:
        packed.write(plain.read())
    os.remove(source)


# Late records


def test_late_record_is_appended_to_the_compressed_backup(make: Make, tmp_path: pathlib.Path) -> None:
    """P2: it becomes another member of the gzip file."""
    handler = make()
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)
    wait_until(_is_quiet)
    write(handler, "late", TEN + 1)
    write(handler, "later", TEN + 2)

    assert unpacked(tmp_path) == {"app.log": ["eleven"], f"{_TEN}.gz": ["ten", "late", "later"]}
    assert handler.problems == []


def test_late_record_has_no_second_byte_order_mark(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: a compressed file in UTF-16 is read back whole."""
    handler = make()
    handler.close()
    handler = Watched(tmp_path / "app.log", utc=True, use_gzip=True, encoding="utf-16")
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)
    wait_until(_is_quiet)
    write(handler, "late", TEN + 1)
    handler.close()

    assert gzip.decompress((tmp_path / f"{_TEN}.gz").read_bytes()).decode("utf-16") == "ten\nlate\n"


@pytest.mark.parametrize("moment", ["copied", "packed"])
def test_late_record_during_compression_is_not_lost(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """P1: a record appended after the compressor read the file, and before it took the lock, is added at the end."""
    step = {"copied": "copyfileobj", "packed": "fsync"}[moment]
    module: Any = {"copied": compression.shutil, "packed": compression.os}[moment]
    original, calls = getattr(module, step), []

    def late(*args: Any) -> None:
        original(*args)
        if not calls:
            calls.append(step)
            write(handler, "late", TEN + 1)

    handler = make()
    write(handler, "ten", TEN)
    monkeypatch.setattr(module, step, late)
    write(handler, "eleven", TEN + HOUR)

    assert unpacked(tmp_path) == {"app.log": ["eleven"], f"{_TEN}.gz": ["ten", "late"]}
    assert calls == [step]


def test_handler_that_saw_the_plain_backup_finds_the_compressed_one(make: Make, tmp_path: pathlib.Path) -> None:
    """P1: a process no longer relies on its check of a backup once the backup is compressed."""
    handler, other = make(), make()
    for each in (handler, other):
        write(each, "ten", TEN)
    held = LockFile(os.fspath(tmp_path / ".__app.gz.lock"))
    with held.hold(exclusive=True, timeout=1):
        write(handler, "eleven", TEN + HOUR)
        write(other, "late", TEN + 1)
        wait_until(_is_quiet)
    held.close()
    Compressor(handler._file_options.lock_path, handler._lock_file.create).start(handler._backups.existing, print)
    wait_until(_is_quiet)
    write(other, "later", TEN + 2)

    assert unpacked(tmp_path) == {"app.log": ["eleven"], f"{_TEN}.gz": ["ten", "ten", "late", "later"]}


def test_late_record_of_a_period_compressed_by_others_is_not_lost(make: Make, tmp_path: pathlib.Path) -> None:
    """P2: it gets a file of its own beside a backup in another compression format."""
    (tmp_path / f"{_TEN}.xz").write_bytes(b"compressed by another program")
    handler = make()
    write(handler, "eleven", TEN + HOUR)
    write(handler, "late", TEN)

    assert unpacked(tmp_path)[f"{_TEN}.0001.gz"] == ["late"]


def test_half_a_member_of_a_killed_process_hides_nothing(tmp_path: pathlib.Path) -> None:
    """P1: half a member, left by a killed writer at a page boundary, is removed before the next member (RFC 1952)."""
    path = tmp_path / "backup.gz"
    noise = os.urandom(6000)
    path.write_bytes(gzip.compress(b"first\n"))
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(gzip.compress(noise)[: 4096 - whole])

    append_member(str(path), b"second\n")

    assert gzip.decompress(path.read_bytes()) == b"first\nsecond\n"


def test_member_that_ends_at_a_page_is_kept(tmp_path: pathlib.Path) -> None:
    """P1: a whole file whose size is a multiple of the page size loses nothing."""
    path = tmp_path / "backup.gz"
    length = next(n for n in range(4000, 4096) if len(gzip.compress(os.urandom(n))) == 4096)
    noise = os.urandom(length)
    path.write_bytes(gzip.compress(noise))

    append_member(str(path), b"second\n")

    assert end_of_last_member(str(path)) == path.stat().st_size
    assert gzip.decompress(path.read_bytes()) == noise + b"second\n"


@pytest.mark.parametrize("fits", [0, 10])
def test_member_that_does_not_fit_is_removed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, fits: int
) -> None:
    """P1, P4: a full disk leaves the backup unchanged."""
    import resource

    path = tmp_path / "backup.gz"
    path.write_bytes(gzip.compress(b"first\n"))
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + fits, limits[1]))
    try:
        with pytest.raises(OSError, match=r"space|large"):
            append_member(str(path), b"second\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)

    assert path.read_bytes() == before


# Killed processes and failures


def _roll_over_and_die(folder: str, module: str, step: str, call: int, after: bool) -> None:
    handler = Watched(os.path.join(folder, "app.log"), utc=True, use_gzip=True)
    patched: Any = {"os": compression.os, "shutil": compression.shutil, "compression": compression}[module]
    original = getattr(patched, step)
    calls = itertools.count(1)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        is_the_one = threading.current_thread() is not threading.main_thread() and next(calls) == call
        if is_the_one and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return original(*args, **kwargs)
        finally:
            if is_the_one:
                os.kill(os.getpid(), signal.SIGKILL)

    setattr(patched, step, deadly)
    write(handler, "eleven", TEN + HOUR)
    wait_until(_is_quiet)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("module", "step", "call"),
    [
        ("os", "remove", 1),
        ("os", "remove", 2),
        ("compression", "create", 1),
        ("shutil", "copyfileobj", 1),
        ("os", "fsync", 1),
        ("os", "utime", 1),
        ("compression", "move", 1),
        ("os", "rename", 1),
        ("os", "remove", 4),
    ],
)
def test_compression_of_a_killed_process_is_finished(
    make: Make, tmp_path: pathlib.Path, module: str, step: str, call: int, after: bool
) -> None:
    """P1: wherever a process is killed, the next rollover finishes the compression, and no record is duplicated."""
    handler = make()
    write(handler, "ten", TEN)
    victim = multiprocessing.get_context("fork").Process(
        target=_roll_over_and_die, args=(str(tmp_path), module, step, call, after)
    )
    victim.start()
    victim.join()
    write(handler, "late", TEN + 1)
    write(handler, "twelve", TEN + 2 * HOUR)

    assert victim.exitcode == -signal.SIGKILL
    assert unpacked(tmp_path) == {"app.log": ["twelve"], f"{_TEN}.gz": ["ten", "late"], f"{_ELEVEN}.gz": ["eleven"]}
    assert sorted(name for name in os.listdir(tmp_path) if name.startswith(".")) == [".__app.gz.lock", ".__app.lock"]
    assert handler.problems == []


def test_failing_compression_is_reported_once_and_keeps_the_backup(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4: the plain backup stays, and is compressed as soon as that is possible."""
    handler = make()
    write(handler, "10", TEN)
    with monkeypatch.context() as patch:
        patch.setattr(compression.gzip, "GzipFile", _refuse)
        for hour in (11, 12, 13):
            write(handler, f"{hour}", TEN + (hour - 10) * HOUR)
            wait_until(_is_quiet)
        plain, hidden = unpacked(tmp_path), sorted(tmp_path.glob(".*"))
    write(handler, "14", TEN + 4 * HOUR)
    packed = unpacked(tmp_path)

    assert plain == {"app.log": ["13"], _TEN: ["10"], _ELEVEN: ["11"], _TWELVE: ["12"]}
    assert hidden == [tmp_path / ".__app.gz.lock", tmp_path / ".__app.lock"]  # no unfinished file on a full disk
    assert sorted(packed) == ["app.log", *(f"app.log.2024-05-17_{hour}.gz" for hour in (10, 11, 12, 13))]
    assert [type(problem) for problem in handler.problems] == [OSError]


def _refuse(*args: Any) -> None:
    raise OSError(5, "Input/output error")


def test_lock_file_that_cannot_be_used_is_reported(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: a worker that dropped its privileges and cannot lock reports it, and loses nothing."""
    (tmp_path / ".__app.gz.lock").mkdir()
    handler = make()
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)

    assert unpacked(tmp_path) == {_TEN: ["ten"], "app.log": ["eleven"]}
    assert [type(problem) for problem in handler.problems] == [IsADirectoryError]


def test_namer_that_fails_in_the_thread_is_reported(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: every error goes to handleError, and none to standard error."""

    def namer(name: str) -> str:
        if threading.current_thread().name == "concurrent-log-gzip":
            raise LookupError("no name for you")
        return name

    handler = make()
    handler.namer = namer
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)

    assert unpacked(tmp_path) == {_TEN: ["ten"], "app.log": ["eleven"]}
    assert [type(problem) for problem in handler.problems] == [LookupError]


def test_two_different_files_of_one_name_are_both_kept(make: Make, tmp_path: pathlib.Path) -> None:
    """P3: a restored compressed file is neither overwritten nor mistaken for the backup's copy."""
    handler = make()
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)
    wait_until(_is_quiet)
    (tmp_path / _TEN).write_text("restored, and not the same\n")
    write(handler, "twelve", TEN + 2 * HOUR)
    found = unpacked(tmp_path)

    assert (found[_TEN], found[f"{_TEN}.gz"]) == (["restored, and not the same"], ["ten"])
    assert f"{_ELEVEN}.gz" in found
    assert [str(problem) for problem in handler.problems] == [
        f"{tmp_path / _TEN}.gz exists and is not a copy of {tmp_path / _TEN}; remove or rename one of them"
    ]


def test_link_to_a_missing_file_is_reported(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: the thread does not retry endlessly if a compressed backup was moved to a folder that no longer exists."""
    (tmp_path / _TEN).write_text("restored\n")
    (tmp_path / f"{_TEN}.gz").symlink_to(tmp_path / "gone" / "app.log.gz")
    handler = make()
    write(handler, "eleven", TEN + HOUR)
    write(handler, "twelve", TEN + 2 * HOUR)
    wait_until(_is_quiet)

    assert lines(tmp_path / _TEN) == ["restored"]
    assert (tmp_path / f"{_ELEVEN}.gz").exists()
    assert [(problem.errno, problem.filename) for problem in handler.problems] == [
        (errno.EINVAL, f"{tmp_path / _TEN}.gz")
    ]


def test_two_logs_of_one_name_share_a_folder_of_backups(tmp_path: pathlib.Path) -> None:
    """P1: each has a temporary file of its own in the folder, so that neither overwrites that of the other."""
    for folder in ("one", "two"):
        handler = Watched(tmp_path / folder / "app.log", utc=True, use_gzip=True)
        handler.namer = lambda name, folder=folder: str(tmp_path / "old" / f"{folder}-{os.path.basename(name)}")
        write(handler, "ten", TEN)
        write(handler, "eleven", TEN + HOUR)
        wait_until(_is_quiet)
        handler.close()

        temporary = handler._compressor._temporary(str(tmp_path / "old"))
        pathlib.Path(temporary).write_text("as if this one was still at work")
        assert handler.problems == []
    packed = unpacked(tmp_path / "old")

    assert packed == {f"one-{_TEN}.gz": ["ten"], f"two-{_TEN}.gz": ["ten"]}
    assert len(list((tmp_path / "old").glob(".*"))) == 2


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="the system cannot refuse to follow a link")
@pytest.mark.parametrize("kind", ["symlink", "link"])
def test_link_in_place_of_the_temporary_file_is_not_written_to(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Another user with write access to the folder cannot make the handler overwrite a file of ours."""
    victim = tmp_path / ".victim"
    victim.write_text("precious")
    monkeypatch.setattr(compression, "create", lambda path, wanted: getattr(os, kind)(victim, path))
    handler = make()
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)

    assert unpacked(tmp_path) == {_TEN: ["ten"], "app.log": ["eleven"]}
    assert victim.read_text() == "precious"
    assert len(handler.problems) == 1


def test_one_process_compresses_at_a_time(make: Make, tmp_path: pathlib.Path) -> None:
    """A process that finds another one compressing leaves the backups to it."""
    handler = make()
    write(handler, "ten", TEN)
    held = LockFile(os.fspath(tmp_path / ".__app.gz.lock"))
    with held.hold(exclusive=True, timeout=1):
        write(handler, "eleven", TEN + HOUR)
        left_alone = sorted(unpacked(tmp_path))
    held.close()
    write(handler, "twelve", TEN + 2 * HOUR)

    assert left_alone == ["app.log", _TEN]
    assert sorted(unpacked(tmp_path)) == ["app.log", f"{_TEN}.gz", f"{_ELEVEN}.gz"]
    assert handler.problems == []


def test_interpreter_does_not_wait_for_compression(tmp_path: pathlib.Path) -> None:
    """A program may end while a backup is compressed; the next one finishes it."""
    program = (
        "import sys, concurrent_log.files.compression as c, threading, concurrent_log, logging\n"
        "c.shutil.copyfileobj = lambda *args: threading.Event().wait()\n"
        "h = concurrent_log.ConcurrentRotatingFileHandler('app.log', maxBytes=10, backupCount=5, use_gzip=True)\n"
        "for n in range(3): h.handle(logging.makeLogRecord({'msg': f'number {n}'}))\n"
        "assert any(t.name == 'concurrent-log-gzip' for t in threading.enumerate())\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=DEADLINE)
    handler = WatchedBySize(tmp_path / "app.log", maxBytes=10, backupCount=5, use_gzip=True)
    write(handler, "number 3")
    found = unpacked(tmp_path)
    handler.close()

    assert found == {
        "app.log": ["number 3"],
        "app.log.1.gz": ["number 2"],
        "app.log.2.gz": ["number 1"],
        "app.log.3.gz": ["number 0"],
    }


def test_records_do_not_wait_for_compression(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P5: while a backup is compressed, this process and others write and roll over."""
    handler, other = make(), make()
    write(handler, "ten", TEN)
    goes_on, original = threading.Event(), compression.shutil.copyfileobj

    def slow(*args: Any) -> None:
        goes_on.wait()
        original(*args)

    monkeypatch.setattr(compression.shutil, "copyfileobj", slow)
    write(handler, "eleven", TEN + HOUR)
    for each in (handler, other):
        write(each, "late", TEN + 1)
        write(each, "eleven, too", TEN + HOUR)
    write(other, "twelve", TEN + 2 * HOUR)
    meanwhile = files(tmp_path)
    goes_on.set()

    assert meanwhile == {
        "app.log": ["twelve"],
        _TEN: ["ten", "late", "late"],
        _ELEVEN: ["eleven", "eleven, too", "eleven, too"],
    }
    assert sorted(unpacked(tmp_path)) == ["app.log", f"{_TEN}.gz", f"{_ELEVEN}.gz"]


def test_child_forked_during_compression_writes_and_compresses(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1: a child forked during a compression inherits no lock."""
    handler = make()
    write(handler, "ten", TEN)
    goes_on, original = threading.Event(), compression.shutil.copyfileobj
    parent = os.getpid()

    def slow(*args: Any) -> None:
        if os.getpid() == parent:
            goes_on.wait()
        original(*args)

    monkeypatch.setattr(compression.shutil, "copyfileobj", slow)
    write(handler, "eleven", TEN + HOUR)
    child = os.fork()
    if child == 0:
        try:
            write(handler, "child", TEN + HOUR)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    goes_on.set()

    assert unpacked(tmp_path) == {"app.log": ["eleven", "child"], f"{_TEN}.gz": ["ten"]}


@pytest.fixture
def positions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let each thread compress until it is paused; return the list of the positions where threads begin to."""
    seen: list[int] = []
    original = compression.shutil.copyfileobj

    def copy(source: Any, target: Any, size: int) -> None:
        if isinstance(source, compression._Pausable):
            seen.append(source._file.tell())
            if len(seen) == 1:
                target.write(source.read(size))
                wait_until(lambda: source._compressor._is_parking)
        original(source, target, size)

    monkeypatch.setattr(compression.shutil, "copyfileobj", copy)
    monkeypatch.setattr(compression, "_CHUNK", 1000)
    return seen


def _pause(handler: Watched) -> None:
    """Stop the threads of the handler's compressor, as a fork does."""
    handler._compressor.prepare_fork()
    handler._compressor.park(20)

    assert _is_quiet()


def test_compression_continues_after_a_fork(make: Make, tmp_path: pathlib.Path, positions: list[int]) -> None:
    """P1, P8: the thread ends before a fork; the next one continues where it stopped, and nothing stands twice."""
    handler = make()
    ten = [f"{number} {'x' * 100}" for number in range(100)]
    for line in ten:
        write(handler, line, TEN)
    write(handler, "eleven", TEN + HOUR)
    wait_until(lambda: bool(positions))
    _pause(handler)
    while_forking = {*os.listdir(tmp_path)}
    handler._compressor.resume()

    assert unpacked(tmp_path) == {"app.log": ["eleven"], f"{_TEN}.gz": ten}
    assert positions == [0, 1000]
    assert while_forking == {".__app.gz", ".__app.gz.lock", ".__app.lock", "app.log", _TEN}
    assert sorted(os.listdir(tmp_path)) == [".__app.gz.lock", ".__app.lock", "app.log", f"{_TEN}.gz"]
    assert handler.problems == []


@pytest.mark.parametrize("change", ["late record", "temporary file removed", "temporary file of another process"])
def test_compression_starts_again_where_a_file_changed_during_a_fork(
    change: str, make: Make, tmp_path: pathlib.Path, positions: list[int]
) -> None:
    """P1: what another process did to the files meanwhile is never mixed with what was compressed before."""
    handler = make()
    ten = [f"{number} {'x' * 100}" for number in range(100)]
    for line in ten:
        write(handler, line, TEN)
    write(handler, "eleven", TEN + HOUR)
    wait_until(lambda: bool(positions))
    _pause(handler)
    if change == "late record":
        write(handler, "late", TEN + 1)
        ten.append("late")
    else:
        (tmp_path / ".__app.gz").unlink()
        if change == "temporary file of another process":
            (tmp_path / ".__app.gz").write_bytes(gzip.compress(b"something else"))
    handler._compressor.resume()

    assert unpacked(tmp_path) == {"app.log": ["eleven"], f"{_TEN}.gz": ten}
    assert positions == [0, 0]
    assert sorted(os.listdir(tmp_path)) == [".__app.gz.lock", ".__app.lock", "app.log", f"{_TEN}.gz"]
    assert handler.problems == []


def test_many_forks_do_not_keep_a_backup_from_being_compressed(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P8: the wait for writers that saw no rollover does not begin again with each fork."""
    monkeypatch.setattr(compression, "_NOTICE_SECONDS", 0.5)
    monkeypatch.setattr(compression, "_CHUNK", 100)
    handler = make()
    write(handler, "ten" * 1000, TEN)
    write(handler, "eleven", TEN + HOUR)
    pauses = itertools.count()

    def is_compressed_between_forks() -> bool:
        threading.Event().wait(0.01)
        next(pauses)
        _pause(handler)
        handler._compressor.resume()
        return (tmp_path / f"{_TEN}.gz").exists()

    wait_until(is_compressed_between_forks)

    assert unpacked(tmp_path) == {"app.log": ["eleven"], f"{_TEN}.gz": ["ten" * 1000]}
    assert next(pauses) > 1
    assert handler.problems == []


def test_rollover_during_a_fork_is_compressed_after_it(make: Make, tmp_path: pathlib.Path) -> None:
    """P8: no thread begins before the fork is over."""
    handler = make()
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)
    wait_until(_is_quiet)
    _pause(handler)
    write(handler, "twelve", TEN + 2 * HOUR)
    quiet, meanwhile = _is_quiet(), {*os.listdir(tmp_path)}
    handler._compressor.resume()

    assert quiet
    assert _ELEVEN in meanwhile
    assert unpacked(tmp_path) == {"app.log": ["twelve"], f"{_TEN}.gz": ["ten"], f"{_ELEVEN}.gz": ["eleven"]}


@pytest.mark.parametrize("same", [False, True])
def test_renumbered_backup_is_not_mistaken_for_its_copy(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    """P1, P3: while a backup is opened, a rollover gives its number to another one, perhaps with the same content."""
    handler = WatchedBySize(tmp_path / "app.log", maxBytes=15, backupCount=9, use_gzip=True)
    (tmp_path / "app.log.1.gz").write_bytes(gzip.compress(b"the same\n" if same else b"other\n"))
    (tmp_path / "app.log.2").write_text("the same\n")
    real_open = compression.LongOpenFile

    def renumber(path: str, mode: str) -> Any:
        file = real_open(path, mode)
        if path == str(tmp_path / "app.log.2"):
            monkeypatch.undo()
            (tmp_path / "app.log.2").rename(tmp_path / "app.log.3")
            (tmp_path / "app.log.1.gz").rename(tmp_path / "app.log.2.gz")
            (tmp_path / "app.log.1").write_text("new\n")
        return file

    monkeypatch.setattr(compression, "LongOpenFile", renumber)
    handler._log_writer._hooks.tidy(None)
    found = unpacked(tmp_path)
    handler.close()

    assert found == {
        "app.log": [],
        "app.log.1.gz": ["new"],
        "app.log.2.gz": ["the same" if same else "other"],
        "app.log.3.gz": ["the same"],
    }


def test_record_written_without_the_lock_is_not_lost(
    make: Make, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1: after a lock timeout, a record goes to a file that is compressed and deleted; it is written again."""
    other = make()
    write(other, "ten", TEN)
    handler = make(lock_timeout=0.01)
    write(handler, "ten, too", TEN)
    handler._lock_file.close()
    holder = LockFile(handler._file_options.lock_path)

    def too_late(raw: Any, data: bytes) -> Any:
        monkeypatch.undo()
        with contextlib.suppress(RuntimeError):
            held.close()
        write(other, "eleven", TEN + HOUR)
        wait_until(_is_quiet)
        return handler._log_file.write(raw, data)

    with contextlib.ExitStack() as held:
        held.enter_context(holder.hold(exclusive=True, timeout=1))
        as_in_another_process(handler)
        monkeypatch.setattr(handler._log_file, "write", too_late)
        write(handler, "without the lock", TEN)
    holder.close()

    assert unpacked(tmp_path) == {"app.log": ["eleven", "without the lock"], f"{_TEN}.gz": ["ten", "ten, too"]}
    assert [type(problem) for problem in handler.problems] == [TimeoutError]


class FakeTime:
    """The monotonic clock and the sleep of the module ``time``; the clock stands still until the test advances it."""

    def __init__(self) -> None:
        self.is_awaited = False
        self._now = 0.0
        self._advanced = threading.Condition()

    def monotonic(self) -> float:
        """Return the time of the clock."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Wait until the test has advanced the clock by ``seconds``."""
        with self._advanced:
            until = self._now + seconds
            self.is_awaited = True
            self._advanced.wait_for(lambda: self._now >= until, DEADLINE)

    def advance(self, seconds: float) -> None:
        """Advance the clock."""
        with self._advanced:
            self._now += seconds
            self._advanced.notify_all()


def test_record_written_with_a_removed_lock_file_is_compressed_too(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P1: for a second, a process with the removed lock file may write to the backup that another one compresses."""
    clock = FakeTime()
    monkeypatch.setattr(compression, "_NOTICE_SECONDS", 1.1)
    monkeypatch.setattr(compression, "time", clock)
    monkeypatch.setattr(compression, "native_sleep", clock.sleep)
    unaware, other = (Watched(tmp_path / "app.log", utc=True, use_gzip=True) for _ in range(2))
    as_in_another_process(unaware)
    for each in (unaware, other):
        write(each, "ten", TEN)
    os.utime(tmp_path / "app.log", (TEN, TEN))  # Without a lock file, it determines the period.
    (tmp_path / ".__app.lock").unlink()
    other._log_file.view = NO_VIEW  # as if its view had expired
    write(other, "eleven", TEN + HOUR)
    wait_until(lambda: clock.is_awaited or _is_quiet())  # It is quiet if the compression did not wait for the writer.
    clock.advance(1.0)
    write(unaware, "ten, too", TEN)

    assert (tmp_path / _TEN).read_text() == "ten\nten\nten, too\n"
    clock.advance(0.2)
    assert unpacked(tmp_path) == {"app.log": ["eleven"], f"{_TEN}.gz": ["ten", "ten", "ten, too"]}
    for each in (unaware, other):
        each.close()
