"""Modes and owners of the files, and two users of one group with one log file."""

import errno
import multiprocessing
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from concurrent_log.files import compression
from concurrent_log.files import permissions as ownership
from concurrent_log.files.permissions import Ownership, create
from support.records import HOUR, TEN, Watched, WatchedBySize, all_lines, files, wait_until, write

if sys.platform == "win32":
    pytest.skip("files have no such modes and owners on Windows", allow_module_level=True)

_USER, _OTHER_USER, _GROUP = 65_501, 65_502, 65_500


@pytest.fixture(autouse=True)
def no_notice_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the compressor not wait until writers notice a removed lock file."""
    monkeypatch.setattr(compression, "_NOTICE_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def usual_umask(no_notice_time: None) -> Iterator[None]:
    """Run each test under the umask of most machines."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: pathlib.Path) -> int:
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def owner(path: pathlib.Path) -> tuple[int, int]:
    """Return the numbers of a file's user and group."""
    return path.stat().st_uid, path.stat().st_gid


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [({}, 0o644), ({"chmod": 0o640}, 0o640), ({"umask": 0o007}, 0o660), ({"chmod": 0o600, "umask": 0}, 0o600)],
)
@pytest.mark.parametrize("delay", [False, True])
def test_new_files_have_the_configured_mode(
    tmp_path: pathlib.Path, arguments: dict[str, Any], expected: int, delay: bool
) -> None:
    """The arguments have the meaning of concurrent-log-handler, for the log, its backups and late records."""
    handler = Watched(tmp_path / "app.log", utc=True, delay=delay, **arguments)
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)
    write(handler, "late for nine", TEN - HOUR)
    handler.close()

    assert {mode(path) for path in tmp_path.glob("app.log*")} == {expected}
    assert len(files(tmp_path)) == 3
    assert handler.problems == []


@pytest.mark.parametrize(("log", "lock"), [(0o644, 0o600), (0o660, 0o660), (0o640, 0o600), (0o666, 0o666)])
def test_lock_file_is_open_only_to_writers_of_the_log(tmp_path: pathlib.Path, log: int, lock: int) -> None:
    """A user who may only read the log cannot lock it and block its writers."""
    (tmp_path / "app.log").touch()
    (tmp_path / "app.log").chmod(log)
    handler = Watched(tmp_path / "app.log")
    write(handler, "a record")
    handler.close()

    assert mode(tmp_path / ".__app.lock") == lock


def test_lock_file_before_the_log_is_open_only_to_its_writers(tmp_path: pathlib.Path) -> None:
    """With delay, the lock file may exist first; a user who may only read the log cannot lock it even then."""
    handler = Watched(tmp_path / "app.log", delay=True)
    write(handler, "a record")
    handler.close()

    assert (mode(tmp_path / "app.log"), mode(tmp_path / ".__app.lock")) == (0o644, 0o600)


def test_link_in_place_of_the_lock_file_is_not_followed(tmp_path: pathlib.Path) -> None:
    """Another user with write access to the folder cannot make the handler overwrite a file of ours."""
    victim = tmp_path / ".victim"
    victim.write_text("precious")
    (tmp_path / ".__app.lock").symlink_to(victim)
    handler = Watched(tmp_path / "app.log")
    write(handler, "one")
    write(handler, "two")
    handler.close()

    assert victim.read_text() == "precious"
    assert files(tmp_path) == {"app.log": ["one", "two"]}
    assert [problem.errno for problem in handler.problems] == [errno.EINVAL]


def test_compressed_backup_and_its_lock_file_have_the_configured_mode(tmp_path: pathlib.Path) -> None:
    """All files of a shared log are open to its users."""
    handler = WatchedBySize(tmp_path / "app.log", maxBytes=10, backupCount=3, use_gzip=True, chmod=0o660)
    for number in range(3):
        write(handler, f"number {number}")
        wait_until(lambda: not any(thread.name == "concurrent-log-gzip" for thread in threading.enumerate()))
    handler.close()

    assert sorted(os.listdir(tmp_path)) == [
        ".__app.gz.lock",
        ".__app.lock",
        "app.log",
        "app.log.1.gz",
        "app.log.2.gz",
    ]
    assert {mode(path) for path in tmp_path.iterdir()} == {0o660}


def test_umask_of_the_process_is_not_changed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that creates a file at the same time gets the expected mode."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "umask", lambda mask: pytest.fail("umask was changed"))
        handler = Watched(tmp_path / "app.log", umask=0o077)
        write(handler, "a record")
        handler.close()

    assert mode(tmp_path / "app.log") == 0o600


def test_existing_file_gets_the_configured_mode(tmp_path: pathlib.Path) -> None:
    """A changed configuration applies to the existing file with its first record."""
    (tmp_path / "app.log").touch(mode=0o600)
    handler = Watched(tmp_path / "app.log", chmod=0o660)
    write(handler, "a record")
    handler.close()

    assert mode(tmp_path / "app.log") == 0o660


def test_new_file_has_mode_and_owner_of_the_one_before(tmp_path: pathlib.Path, root: None) -> None:
    """By default a rollover does not change who may read the log."""
    handler = Watched(tmp_path / "app.log", utc=True)
    write(handler, "ten", TEN)
    (tmp_path / "app.log").chmod(0o664)
    os.chown(tmp_path / "app.log", _USER, _GROUP)
    write(handler, "eleven", TEN + HOUR)
    handler.close()

    assert owner(tmp_path / "app.log") == (_USER, _GROUP)
    assert mode(tmp_path / "app.log") == 0o664


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("nobody", "daemon"), (65534, 1)),
        (["nobody", None], (65534, 0)),
        ((None, _GROUP), (0, _GROUP)),
        ((_USER, _GROUP), (_USER, _GROUP)),
    ],
)
def test_new_files_have_the_configured_owner(
    tmp_path: pathlib.Path, root: None, given: Any, expected: tuple[int, int]
) -> None:
    """Names, numbers, or None for no change, for the log, its backups and the lock file."""
    handler = Watched(tmp_path / "app.log", utc=True, owner=given)
    write(handler, "ten", TEN)
    write(handler, "eleven", TEN + HOUR)
    write(handler, "late for nine", TEN - HOUR)
    handler.close()

    assert len(list(tmp_path.iterdir())) == 4
    assert {owner(path) for path in tmp_path.iterdir()} == {expected}


# Failures


def _as_user(user: int, work: Callable[..., None], *arguments: Any) -> None:
    """Run ``work`` in a process of an ordinary user; its assertions must hold."""

    def run() -> None:
        os.umask(0o022)
        os.setgroups([_GROUP])
        os.setgid(_GROUP)
        os.setuid(user)
        work(*arguments)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()

    assert process.exitcode == 0


def _write_as_another_user(path: str) -> None:
    handler = Watched(path, utc=True, owner=("root", "root"), chmod=0o660)
    for hour in range(3):
        write(handler, f"{hour}", TEN + hour * HOUR)
    handler.close()

    assert [type(problem) for problem in handler.problems] == [PermissionError]


def test_failing_chown_is_reported_once_and_loses_nothing(open_folder: pathlib.Path, root: None) -> None:
    """P4: a process that may not change the owner still writes the file."""
    _as_user(_USER, _write_as_another_user, str(open_folder / "app.log"))

    assert all_lines(open_folder) == ["2", "0", "1"]
    assert {owner(path) for path in open_folder.glob("app.log*")} == {(_USER, _GROUP)}


@pytest.mark.parametrize("call", ["fchmod", "fchown"])
def test_failing_call_costs_no_record(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, call: str, root: None
) -> None:
    """P4: a file system without modes or owners is reported once."""
    handler = Watched(tmp_path / "app.log", utc=True, chmod=0o640, owner=(_USER, _GROUP))
    write(handler, "ten", TEN)
    monkeypatch.setattr(os, call, _refuse)
    write(handler, "eleven", TEN + HOUR)
    write(handler, "twelve", TEN + 2 * HOUR)
    handler.close()

    assert sorted(all_lines(tmp_path)) == ["eleven", "ten", "twelve"]
    assert [type(problem) for problem in handler.problems] == [OSError]


def _refuse(*args: Any, **kwargs: Any) -> None:
    raise OSError(95, "Operation not supported")


@pytest.mark.parametrize("lacking", ["O_TMPFILE", "link"])
def test_file_system_without_tmpfile_works(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    """P4: without O_TMPFILE, or if linkat(2) fails, the file gets its mode right after its name."""
    if lacking == "link":
        monkeypatch.setattr(os, "link", _refuse)
    else:
        real_open = os.open
        monkeypatch.setattr(
            os,
            "open",
            lambda path, flags, *mode: real_open("" if flags & os.O_TMPFILE == os.O_TMPFILE else path, flags, *mode),
        )
        monkeypatch.setattr(ownership.sys, "platform", "freebsd")
    create(str(tmp_path / "new"), Ownership(0o604))

    assert mode(tmp_path / "new") == 0o604
    assert os.listdir(tmp_path) == ["new"]


def test_existing_file_is_not_changed(tmp_path: pathlib.Path) -> None:
    """Two processes that create one file at the same time do not empty it."""
    (tmp_path / "there").write_text("a record\n")
    (tmp_path / "there").chmod(0o600)
    create(str(tmp_path / "there"), Ownership(0o640))

    assert files(tmp_path) == {"there": ["a record"]}
    assert mode(tmp_path / "there") == 0o600


# Two users of one group


@pytest.fixture
def open_folder() -> Iterator[pathlib.Path]:
    """Return a folder of the group that its members may write; pytest's own are closed to other users."""
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        folder = pathlib.Path(parent, "logs")
        folder.mkdir()
        os.chown(folder, 0, _GROUP)
        folder.chmod(0o2775)
        yield folder


@pytest.mark.timeout(20)
def test_pipe_in_place_of_the_lock_file_blocks_no_process(open_folder: pathlib.Path, root: None) -> None:
    """P4: opening a pipe only for reading, as a lock file without write permission, would wait for a writer."""
    os.mkfifo(open_folder / ".__app.lock", 0o444)

    _as_user(_USER, _write_two, str(open_folder / "app.log"))

    assert files(open_folder)["app.log"] == ["one", "two"]


def _write_two(path: str) -> None:
    handler = Watched(path)
    write(handler, "one")
    write(handler, "two")
    handler.close()
    assert len(handler.problems) == 1


def test_nothing_is_imported_after_construction(tmp_path: pathlib.Path) -> None:
    """P4: a worker that dropped its privileges or changed its root may not reach the standard library."""
    program = (
        "import sys, logging, threading, concurrent_log\n"
        f"handler = concurrent_log.ConcurrentTimedRotatingFileHandler({str(tmp_path / 'app.log')!r}, backupCount=1,\n"
        "    use_gzip=True, delay=True)\n"
        "sys.meta_path.clear()\n"
        "for number in range(3):\n"
        "    handler.handle(logging.makeLogRecord({'msg': 'a record'}))\n"
        "    handler.doRollover()\n"
        "for thread in threading.enumerate()[1:]:\n"
        "    thread.join()\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (run.stderr, run.returncode) == ("", 0)
    assert len(list(tmp_path.glob("app.log.*.gz"))) == 3


def _write_in_turn(path: str, kind: str, name: str, hours: range, arguments: dict[str, Any]) -> None:
    limits: dict[str, Any] = {"maxBytes": 40, "backupCount": 99}
    handler = WatchedBySize(path, **limits, **arguments) if kind == "size" else Watched(path, utc=True, **arguments)
    for hour in hours:
        for number in range(10):
            write(handler, f"{name} {hour} {number}", TEN + hour * HOUR + number)
    wait_until(lambda: not any(thread.name == "concurrent-log-gzip" for thread in threading.enumerate()))
    handler.close()

    assert handler.problems == []


@pytest.mark.parametrize("kind", ["timed", "size"])
@pytest.mark.parametrize("use_gzip", [False, True])
@pytest.mark.parametrize("how", ["chmod", "umask", "existing file"])
def test_two_users_of_a_group_share_one_log(
    open_folder: pathlib.Path, root: None, kind: str, use_gzip: bool, how: str
) -> None:
    """P1, P3: each writes, rolls over and compresses files of the other."""
    path = open_folder / "app.log"
    arguments: dict[str, Any] = {"use_gzip": use_gzip, "encoding": "utf-8"}
    if how == "existing file":
        path.touch()
        path.chmod(0o660)
    else:
        arguments |= {"chmod": 0o660} if how == "chmod" else {"umask": 0o007}
    for user, hours in ((_USER, range(2)), (_OTHER_USER, range(2, 4)), (_USER, range(4, 6))):
        _as_user(user, _write_in_turn, str(path), kind, str(user), hours, arguments)

    found = _all_lines(open_folder)
    assert len(found) == len(set(found)) == 60
    assert {path.stat().st_gid for path in open_folder.iterdir()} == {_GROUP}
    assert {mode(path) for path in open_folder.iterdir()} == {0o660}


def _all_lines(folder: pathlib.Path) -> list[str]:
    import gzip

    found = []
    for path in folder.glob("app.log*"):
        content = path.read_bytes()
        found += (gzip.decompress(content) if path.suffix == ".gz" else content).decode().splitlines()
    return found
