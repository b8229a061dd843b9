"""Descriptors that the program closes under a stream of its own, or while a thread compresses.

The stream comes from a subclass's ``_open``, which returns what `open` returns. The number then belongs to a file or
socket of the program: it keeps its content and stays open, and the records arrive in the log.
"""

import gc
import gzip
import logging
import os
import pathlib
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from concurrent_log.files.compression import Compressor
from support.deadlines import DEADLINE
from support.descriptors import open_descriptors
from support.processes import environment
from support.records import Watched, WatchedBySize, all_lines, wait_until, write

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the numbers are read from /proc"),
    pytest.mark.filterwarnings("ignore:.*unclosed:ResourceWarning"),
]

_SECRET = b"the program's own bytes\n"


class _Plain(WatchedBySize):
    def _open(self) -> Any:
        return open(self.baseFilename, "a", encoding="utf-8")


class _LineBuffered(Watched):
    def _open(self) -> Any:
        return open(self.baseFilename, "a", buffering=1, encoding="utf-8")


class _NotAppending(WatchedBySize):
    def _open(self) -> Any:
        return open(self.baseFilename, "r+" if os.path.exists(self.baseFilename) else "w", encoding="utf-8")


class _Codec(WatchedBySize):
    def _open(self) -> Any:
        import codecs

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # since Python 3.14, but programs still have it
            return codecs.open(self.baseFilename, "a", "utf-8")


Make = Callable[[], Any]


@pytest.fixture(params=[_Plain, _LineBuffered, _NotAppending, _Codec])
def make(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Make:
    """Return a function that creates a handler whose subclass opens the file itself, in each way."""
    (tmp_path / "logs").mkdir()
    return lambda: request.param(tmp_path / "logs" / "app.log")


class _Theirs:
    """A file or a socket of the program that has a number that was ours."""

    def __init__(self, folder: pathlib.Path, fd: int, is_socket: bool) -> None:
        self.fd = fd
        self._peer: socket.socket | None = None
        self._path = folder / f"theirs-{fd}"
        if is_socket:
            mine, self._peer = socket.socketpair()
            other = mine.detach()
        else:
            self._path.write_bytes(_SECRET)
            other = os.open(self._path, os.O_RDWR | os.O_APPEND)
        os.dup2(other, fd)
        os.close(other)
        self.identity = os.fstat(fd).st_ino

    def is_untouched(self) -> bool:
        """Return whether it is still open under its number, and got only what the program wrote."""
        if os.fstat(self.fd).st_ino != self.identity:
            return False
        if self._peer is None:
            return self._path.read_bytes() == _SECRET
        os.write(self.fd, b"request")
        return self._peer.recv(1000) == b"request"

    def close(self) -> None:
        os.close(self.fd)
        if self._peer is not None:
            self._peer.close()


@pytest.fixture(params=[False, True], ids=["file", "socket"])
def take(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Callable[[int], _Theirs]]:
    """Return a function that gives a number to a file, or a socket, of the program."""
    taken: list[_Theirs] = []

    def theirs(fd: int) -> _Theirs:
        taken.append(_Theirs(tmp_path, fd, request.param))
        return taken[-1]

    yield theirs
    for each in taken:
        each.close()


def test_record_does_not_reach_the_programs_file(
    make: Make, take: Callable[[int], _Theirs], tmp_path: pathlib.Path
) -> None:
    """Records after the number changed hands are in the log."""
    handler = make()
    write(handler, "before")
    theirs = take(handler.stream.fileno())
    for number in range(3):
        write(handler, f"after {number}")
        assert theirs.is_untouched()
    handler.close()

    assert theirs.is_untouched()
    assert set(all_lines(tmp_path / "logs")) >= {"after 0", "after 1", "after 2"}
    assert handler.problems == []


@pytest.mark.parametrize("act", ["close", "flush", "doRollover", "drop", "leave", "shouldRollover"])
def test_first_call_leaves_the_programs_file_alone(make: Make, take: Callable[[int], _Theirs], act: str) -> None:
    """Closing, flushing, rolling over or dropping the handler is the first call after the number changed hands."""
    handler = make()
    write(handler, "before")
    handler.stream.write("text in the buffer")  # must not reach the program's file either
    theirs = take(handler.stream.fileno())
    if act == "drop":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del handler
            gc.collect()
    elif act == "leave":
        logging.shutdown([lambda: handler])  # type: ignore[list-item]
    elif act == "shouldRollover":
        handler.shouldRollover(logging.makeLogRecord({}))
    else:
        getattr(handler, act)()
    gc.collect()

    assert theirs.is_untouched()


def test_stream_that_the_program_set_is_left_too(tmp_path: pathlib.Path, take: Callable[[int], _Theirs]) -> None:
    """The program sets ``handler.stream`` itself; its descriptor changes hands."""
    handler = WatchedBySize(tmp_path / "app.log")
    handler.stream.close()
    handler.stream = open(tmp_path / "app.log", "a", encoding="utf-8")  # noqa: SIM115 - the handler closes it
    write(handler, "before")
    theirs = take(handler.stream.fileno())
    write(handler, "after")
    handler.close()

    assert theirs.is_untouched()
    assert (tmp_path / "app.log").read_text() == "before\nafter\n"


_PROGRAM = """
import gc, logging, os, socket, sys
from concurrent_log import ConcurrentRotatingFileHandler

class Plain(ConcurrentRotatingFileHandler):
    def _open(self):
        return open(self.baseFilename, "a", encoding="utf-8")

handler = Plain("app.log")
logging.basicConfig(handlers=[handler], level=logging.INFO, format="%(message)s")
logging.info("before")
handler.stream.write("text in the buffer")
os.closerange(3, 256)
theirs = [open(f"theirs-{number}", "wb", buffering=0) for number in range(8)]
logging.info("after")
for each in theirs:
    each.write(b"mine")
"""


def test_exit_of_the_program_leaves_its_files_alone(tmp_path: pathlib.Path) -> None:
    """After ``os.closerange`` and files of its own, a program ends: nothing of ours is in them."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=tmp_path, env=environment(), capture_output=True, timeout=DEADLINE
    )

    assert done.stderr == b""
    assert {path.read_bytes() for path in tmp_path.glob("theirs-*")} == {b"mine"}
    assert (tmp_path / "app.log").read_text() == "before\nafter\n"


# Compression


def _numbers_in(folder: pathlib.Path) -> list[int]:
    return [fd for fd, target in open_descriptors().items() if target.startswith(f"{folder}/")]


@pytest.mark.parametrize("which", ["app.log.1", ".__app.gz", ".__app.gz.lock"])
@pytest.mark.parametrize("moment", ["writing", "waiting"])
def test_number_changes_hands_while_a_thread_compresses(
    tmp_path: pathlib.Path, take: Callable[[int], _Theirs], monkeypatch: pytest.MonkeyPatch, which: str, moment: str
) -> None:
    """The backup, the compressed file or the lock file: the program's file stays as it is, the backup is compressed."""
    folder = tmp_path / "logs"
    folder.mkdir()
    text = os.urandom(3_000_000).hex() + "\n"
    (folder / "app.log.1").write_text(text)
    theirs: list[_Theirs] = []

    def change_hands() -> None:
        if not theirs:
            for fd in _numbers_in(folder):
                if os.path.basename(os.readlink(f"/proc/self/fd/{fd}")) == which:
                    theirs.append(take(fd))

    name = "_append_as_member" if moment == "writing" else "_wait_until"
    if moment == "writing":
        import concurrent_log.files.compression as module

        copy = module.shutil.copyfileobj

        def copyfileobj(source: Any, target: Any, length: int) -> None:
            target.write(source.read(length))
            change_hands()
            copy(source, target, length)

        monkeypatch.setattr(module.shutil, "copyfileobj", copyfileobj)
    else:
        wait = getattr(Compressor, name)

        def wait_until_then(self: Compressor, at: float) -> Any:
            change_hands()
            return wait(self, at)

        monkeypatch.setattr(Compressor, name, wait_until_then)
    reports: list[list[Exception]] = []
    compressor = Compressor(str(folder / ".__app.lock"), lambda path: pathlib.Path(path).touch())
    compressor.start(lambda: [str(path) for path in sorted(folder.glob("app.log.*"))], reports.append)
    wait_until(lambda: bool(reports))

    assert reports == [[]]
    if which == ".__app.gz" and moment == "waiting":
        assert theirs == []  # it is closed by then
    else:
        assert [each.is_untouched() for each in theirs] == [True]
    assert [path.name for path in folder.glob("app.log*")] == ["app.log.1.gz"]
    assert gzip.decompress((folder / "app.log.1.gz").read_bytes()).decode() == text
