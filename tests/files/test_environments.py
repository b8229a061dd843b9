"""Where programs run: in a chroot, with a frozen clock, in folders that the handler creates, on other systems."""

import contextlib
import fcntl
import os
import pathlib
import stat
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Literal

import pytest

from concurrent_log.files import file_systems
from concurrent_log.files.file_systems import is_atomic, is_local_on_macos
from support.processes import in_a_child, run
from support.records import HOUR, TEN, Watched, WatchedByDay, WatchedBySize, all_lines, files, lines, write

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="chroot, statfs and modes as Linux has them"),
    pytest.mark.filterwarnings("ignore:.*unclosed file:ResourceWarning"),
]

NOBODY = 65534


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return the folder of the log file."""
    path = tmp_path / "logs"
    path.mkdir()
    return path


def _look_again(handler: Any) -> None:
    """Let the last look at the file be more than a second ago."""
    handler._log_file.view = handler._log_file.view._replace(closes=0, until=0)


def _everything_in(jail: pathlib.Path) -> list[str]:
    return [str(path.relative_to(jail)) for path in jail.rglob("*")]


# chroot


@pytest.mark.parametrize("kind", [Watched, WatchedBySize, WatchedByDay])
def test_open_file_goes_on_after_chroot(
    root: None, tmp_path: pathlib.Path, folder: pathlib.Path, kind: Callable[..., Any]
) -> None:
    """A daemon configures logging and then calls chroot: its records reach the log, and no file appears inside."""
    jail = tmp_path / "jail"
    jail.mkdir()
    handler = kind(folder) if kind is WatchedByDay else kind(folder / "app.log")
    write(handler, "before")

    def daemon() -> None:
        write(handler, "child")  # opens the lock file again: a fork leaves its descriptor to the parent
        os.chroot(jail)
        os.chdir("/")
        write(handler, "at once")
        _look_again(handler)
        write(handler, "later")
        assert handler.problems == [], handler.problems

    status = in_a_child(daemon)
    write(handler, "outside")
    handler.close()

    assert status == 0
    assert all_lines(folder) == ["before", "child", "at once", "later", "outside"]
    assert _everything_in(jail) == []


def test_lock_file_out_of_reach_after_fork_and_chroot_is_reported_once(
    root: None, tmp_path: pathlib.Path, folder: pathlib.Path
) -> None:
    """The process forks and calls chroot before its first record: it cannot lock, reports it, and loses nothing."""
    jail = tmp_path / "jail"
    jail.mkdir()
    handler = Watched(folder / "app.log", when="midnight")
    write(handler, "before")

    def daemon() -> None:
        os.chroot(jail)
        os.chdir("/")
        for number in range(5):
            write(handler, f"record {number}")
            _look_again(handler)
        assert [type(problem) for problem in handler.problems] == [FileNotFoundError], handler.problems

    status = in_a_child(daemon)
    handler.close()

    assert status == 0
    assert lines(folder / "app.log") == ["before", *(f"record {number}" for number in range(5))]
    assert _everything_in(jail) == []


def test_chroot_into_a_folder_with_the_same_path_writes_outside(
    root: None, tmp_path: pathlib.Path, folder: pathlib.Path
) -> None:
    """The jail has a folder of the log's path: the open file still goes on, and that folder stays empty."""
    jail = tmp_path / "jail"
    inside = jail / folder.relative_to("/")
    inside.mkdir(parents=True)
    handler = Watched(folder / "app.log", when="midnight")
    write(handler, "before")

    def daemon() -> None:
        os.chroot(jail)
        os.chdir("/")
        for number in range(3):
            _look_again(handler)
            write(handler, f"inside {number}")

    status = in_a_child(daemon)
    handler.close()

    assert status == 0
    assert lines(folder / "app.log") == ["before", "inside 0", "inside 1", "inside 2"]
    assert list(inside.iterdir()) == []


def test_handler_created_in_a_chroot_without_proc_keeps_its_file_open(root: None, folder: pathlib.Path) -> None:
    """The root is no mount point and there is no /proc: the file system is found all the same."""

    def daemon() -> None:
        os.chroot(folder)
        os.chdir("/")
        handler = WatchedBySize("/app.log", maxBytes=10**6, backupCount=2)
        for number in range(3):
            write(handler, f"record {number}")
        assert handler._log_file.can_share() or not is_here, "every record takes the exclusive lock"
        assert handler.problems == []

    is_here = is_atomic(str(folder))
    assert in_a_child(daemon) == 0
    assert lines(folder / "app.log") == ["record 0", "record 1", "record 2"]


def test_process_that_drops_its_privileges_after_chroot_goes_on(
    root: None, tmp_path: pathlib.Path, folder: pathlib.Path
) -> None:
    """chroot, then setgid and setuid, as daemons do: the open file is sufficient."""
    jail = tmp_path / "jail"
    jail.mkdir()
    handler = WatchedBySize(folder / "app.log")
    write(handler, "before")

    def daemon() -> None:
        os.chroot(jail)
        os.chdir("/")
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        write(handler, "nobody")
        _look_again(handler)
        write(handler, "nobody, later")

    status = in_a_child(daemon)
    handler.close()

    assert status == 0
    assert lines(folder / "app.log") == ["before", "nobody", "nobody, later"]
    assert _everything_in(jail) == []


# The file system


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what is known of the file systems."""
    monkeypatch.setattr(file_systems, "_known", {})


def test_failed_statfs_is_repeated(fresh: None, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look fails, such as for a mount that comes late: the second one is asked and remembered."""
    real, asked = file_systems._statfs, []

    def failing_once(path: str) -> bytes | None:
        asked.append(path)
        return None if len(asked) == 1 else real(path)

    monkeypatch.setattr(file_systems, "_statfs", failing_once)
    handler = WatchedBySize(folder / "app.log")
    for number in range(4):
        write(handler, f"record {number}")
    handler.close()

    assert is_atomic(str(folder)) == is_atomic(str(folder.parent))
    assert asked == [str(folder), str(folder), str(folder.parent)]
    assert lines(folder / "app.log") == [f"record {number}" for number in range(4)]


def test_missing_folder_is_no_answer(fresh: None, tmp_path: pathlib.Path) -> None:
    """A folder that does not exist yet counts as unknown, until it exists."""
    folder = tmp_path / "later"
    before = is_atomic(str(folder))
    folder.mkdir()

    assert not before
    assert is_atomic(str(folder)) == is_atomic(str(tmp_path))


def test_file_system_is_found_without_free_descriptors(fresh: None, folder: pathlib.Path) -> None:
    """Statfs needs no descriptor: a process at its limit gets the right answer at the first look."""
    expected = is_atomic(str(folder))
    file_systems._known.clear()
    taken = []
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        found = is_atomic(str(folder))
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert found == expected


@pytest.mark.parametrize("folder", ["/proc", "/sys"])
def test_other_file_systems_are_not_taken_for_local(fresh: None, folder: str) -> None:
    """A file system that is not in the list takes the careful way."""
    if not os.path.ismount(folder):  # as in many a chroot
        pytest.skip(f"nothing is mounted at {folder}")

    assert not is_atomic(folder)


_MACOS_FLAGS = {
    "local": 0x1000 | 0x4000,
    "nfs": 0,
    "read-only": 0x1,
    "local, no exec": 0x1000 | 0x4,
    "all others": ~0x1000,
}


@pytest.mark.parametrize("name", _MACOS_FLAGS)
def test_macos_says_whether_a_file_system_is_local(
    fresh: None, monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path, name: str
) -> None:
    """A stand-in for macOS's struct statfs: ``MNT_LOCAL`` of ``f_flags`` decides, as its sys/mount.h says."""
    # f_bsize, f_iosize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_fsid, f_owner, f_type, f_flags, f_fssubtype
    numbers = (4096, 1 << 20, 9, 8, 7, 6, 5, 1, 2, 501, 26, _MACOS_FLAGS[name] & 0xFFFFFFFF, 1)
    buffer = struct.pack("<IiQQQQQiiIIII", *numbers) + b"apfs".ljust(16, b"\0") + bytes(2048)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(file_systems, "_statfs", lambda path: buffer)
    expected = name.startswith("local")

    assert is_local_on_macos(buffer) == expected
    assert is_atomic(str(folder)) == expected


# Frozen clocks


@pytest.mark.parametrize("other", [fcntl.LOCK_SH, fcntl.LOCK_EX], ids=["appending", "rolling-over"])
def test_frozen_clock_ends_the_wait_for_the_lock(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, other: int
) -> None:
    """Freezegun freezes `time.monotonic`: after ``lock_timeout`` the record is written without the lock."""
    handler = Watched(folder / "app.log", when="H", utc=True, lock_timeout=0.2)
    write(handler, "ten", TEN)
    with open(handler._lock_file.path) as held:
        fcntl.flock(held, other)
        frozen = time.monotonic()
        began = time.perf_counter()
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: frozen)
            write(handler, "eleven", TEN + HOUR)
        took = time.perf_counter() - began
    handler.close()

    assert 0.1 < took < 30
    assert all_lines(folder) == ["ten", "eleven"]
    assert [type(problem) for problem in handler.problems] == [TimeoutError]


def test_frozen_clock_ends_the_wait_of_do_rollover(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollover on request raises after ``lock_timeout``."""
    handler = WatchedBySize(folder / "app.log", maxBytes=100, backupCount=2, lock_timeout=0.2)
    write(handler, "record")
    with open(handler._lock_file.path) as held, monkeypatch.context() as patch:
        fcntl.flock(held, fcntl.LOCK_EX)
        frozen = time.monotonic()
        patch.setattr(time, "monotonic", lambda: frozen)
        with pytest.raises(TimeoutError):
            handler.doRollover()
    handler.close()

    assert files(folder) == {"app.log": ["record"]}


def test_frozen_wall_clock_writes_as_usual(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Freezegun and time-machine freeze `time.time`, in the past: the records are in the file of that time."""
    handler = Watched(folder / "app.log", when="H", utc=True)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: float(TEN))
        for number in range(3):
            write(handler, f"ten {number}", TEN)
        patch.setattr(time, "time", lambda: float(TEN + HOUR))
        write(handler, "eleven", TEN + HOUR)
    handler.close()

    assert handler.problems == []
    assert files(folder) == {"app.log": ["eleven"], "app.log.2024-05-17_10": ["ten 0", "ten 1", "ten 2"]}


# Folders


def _mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({"chmod": 0o600}, 0o700),
        ({"chmod": 0o640}, 0o750),
        ({"chmod": 0o660}, 0o770),
        ({"chmod": 0o664}, 0o775),
        ({"chmod": 0o620}, 0o720),
        ({"umask": 0o027}, 0o750),
        ({"umask": 0o007}, 0o770),
        ({"umask": 0o077}, 0o700),
    ],
)
@pytest.mark.parametrize("delay", [False, True])
def test_created_folders_follow_chmod_and_umask(
    tmp_path: pathlib.Path, options: dict[str, int], mode: int, delay: bool
) -> None:
    """Each missing folder gets the mode of the files, and who may read a file may enter the folder."""
    handler = WatchedBySize(tmp_path / "a" / "b" / "app.log", delay=delay, **options)
    write(handler, "record")
    handler.close()

    assert [oct(_mode(path)) for path in (tmp_path / "a", tmp_path / "a" / "b")] == [oct(mode)] * 2


def test_folders_without_options_follow_the_umask_of_the_process(tmp_path: pathlib.Path) -> None:
    """As with `os.makedirs`; existing folders are not changed by any option."""
    previous = os.umask(0o027)
    try:
        WatchedBySize(tmp_path / "new" / "app.log").close()
        before = _mode(tmp_path)
        WatchedBySize(tmp_path / "app.log", chmod=0o600).close()
    finally:
        os.umask(previous)

    assert _mode(tmp_path / "new") == 0o750
    assert _mode(tmp_path) == before


def test_second_user_rolls_over_in_a_created_folder(root: None, request: pytest.FixtureRequest) -> None:
    """With ``owner`` and ``chmod``, another user of the group may write and roll over."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        folder = pathlib.Path(name) / "logs" / "app"
        handler = WatchedBySize(folder / "app.log", maxBytes=12, backupCount=3, owner=(None, NOBODY), chmod=0o660)
        write(handler, "record 0")
        handler.close()

        def second_user() -> None:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY - 1)
            other = WatchedBySize(folder / "app.log", maxBytes=12, backupCount=3, chmod=0o660)
            write(other, "record 1")
            write(other, "record 2")
            other.close()
            assert other.problems == [], other.problems

        status = in_a_child(second_user)
        found = files(folder)
        owner = folder.stat().st_gid, folder.parent.stat().st_gid

    assert status == 0
    assert owner == (NOBODY, NOBODY)
    assert found == {"app.log": ["record 2"], "app.log.1": ["record 1"], "app.log.2": ["record 0"]}


def test_folder_of_backups_is_created_with_the_same_mode(tmp_path: pathlib.Path) -> None:
    """A namer that puts backups into a missing folder."""
    handler = WatchedBySize(tmp_path / "app.log", maxBytes=12, backupCount=2, chmod=0o660)
    handler.namer = lambda name: os.path.join(tmp_path, "old", os.path.basename(name))
    write(handler, "record 0")
    write(handler, "record 1")
    handler.close()

    assert files(tmp_path / "old") == {"app.log.1": ["record 0"]}
    assert oct(_mode(tmp_path / "old")) == oct(0o770)


def test_folder_of_the_lock_file_is_created_with_the_same_mode(tmp_path: pathlib.Path) -> None:
    """``lock_file_directory`` does not exist yet."""
    handler = WatchedBySize(tmp_path / "app.log", lock_file_directory=tmp_path / "locks", chmod=0o660)
    write(handler, "record")
    handler.close()

    assert oct(_mode(tmp_path / "locks")) == oct(0o770)


# Names that a shell would expand


@pytest.mark.parametrize("name", ["~/app.log", "$HOME/app.log", "${HOME}/x.log"])
def test_name_that_a_shell_would_expand_creates_no_folder(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The standard class creates a folder named ``~``; ours says what to write instead, which works."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(ValueError, match=r"use os\.path\.expand(user|vars)\(") as caught:
        Watched(name)
    advice = str(caught.value).partition("use ")[2].partition(", or")[0]
    handler = Watched(eval(advice, {"os": os}))
    write(handler, "record")
    handler.close()

    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert all_lines(tmp_path / "home") == ["record"]


@pytest.mark.parametrize(
    ("layout", "byteorder"),
    [
        pytest.param("<qq", "little", id="x86-64"),
        pytest.param("<ii", "little", id="arm"),
        pytest.param(">qq", "big", id="ppc64"),
        pytest.param(">II", "big", id="s390x"),
    ],
)
@pytest.mark.parametrize("number", [0xEF53, 0x01021994, 0x58465342])
def test_type_of_a_file_system_is_read_in_any_width(
    layout: str, byteorder: Literal["little", "big"], number: int
) -> None:
    """The type is followed by the block size; it has four bytes on s390x, and eight on other 64-bit machines."""
    buffer = struct.pack(layout, number, 4096).ljust(120, b"\0")

    assert file_systems.linux_type(buffer, byteorder) == number


@pytest.mark.parametrize("encoding", ["locale", "utf-8"])
def test_encoding_of_the_locale_is_no_warning(tmp_path: pathlib.Path, encoding: str) -> None:
    """``-X warn_default_encoding -W error``: a program that names its encoding gets no error from ours."""
    code = (
        "import logging, sys\n"
        "from concurrent_log import ConcurrentTimedRotatingFileHandler\n"
        "handler = ConcurrentTimedRotatingFileHandler('app.log', encoding=sys.argv[1])\n"
        "handler.handle(logging.makeLogRecord({'msg': 'record'}))\n"
    )
    run(tmp_path, "-X", "warn_default_encoding", "-W", "error", "-c", code, encoding)

    assert lines(tmp_path / "app.log") == ["record"]


def test_folder_that_cannot_be_listed_is_reported(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dated files: the record is written to the known file, and the cause is reported once until it is gone (P4)."""
    handler, peer = WatchedByDay(tmp_path, "app"), WatchedByDay(tmp_path, "app")
    write(handler, "first")
    peer.doRollover()
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path) == str(tmp_path):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    write(handler, "second")
    write(handler, "third")
    reported = list(handler.problems)
    monkeypatch.undo()
    write(handler, "fourth")
    for each in (handler, peer):
        each.close()

    assert [type(problem) for problem in reported] == [PermissionError]
    assert sorted(all_lines(tmp_path)) == ["first", "fourth", "second", "third"]
