"""What a program changes about a handler: its path, its methods, its stream, the process that it is in."""

import csv
import gzip
import logging
import os
import pathlib
import pickle
import stat
import subprocess
import sys
from typing import Any

import pytest

from concurrent_log import ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler

KINDS = [ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler]


def record(text: str) -> logging.LogRecord:
    """Return a record with this message."""
    return logging.makeLogRecord({"msg": text})


@pytest.mark.parametrize("kind", KINDS)
def test_backups_follow_a_new_base_filename(tmp_path: pathlib.Path, kind: type[Any]) -> None:
    """Backups are named after the file that was rolled over, also in an unpickled handler."""
    handler = kind(tmp_path / "first.log", maxBytes=50, backupCount=3, delay=True)
    handler.baseFilename = str(tmp_path / "second.log")
    copy = pickle.loads(pickle.dumps(handler))
    assert copy.baseFilename == str(tmp_path / "second.log")
    for each in (handler, copy):
        for _ in range(2):
            each.handle(record("x" * 40))
        each.close()
    names = sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock")
    assert len(names) == 4
    assert all(name.startswith("second.log") for name in names)


@pytest.mark.parametrize("name", ["shouldRollover", "doRollover"])
def test_a_method_that_a_program_replaces_on_our_class_is_called(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Not only on a subclass: tests and tracing tools do it."""

    class Fresh(ConcurrentTimedRotatingFileHandler):
        """A class that was not looked at before."""

    called: list[str] = []
    standard = getattr(ConcurrentTimedRotatingFileHandler, name)

    def replaced(self: Any, *args: Any) -> Any:
        called.append(name)
        return standard(self, *args)

    monkeypatch.setattr(ConcurrentTimedRotatingFileHandler, name, replaced)
    handler = Fresh(tmp_path / "app.log", maxBytes=50)
    for _ in range(2):
        handler.handle(record("x" * 40))
    handler.close()
    assert called


@pytest.mark.skipif(sys.platform == "win32", reason="there are no modes there")
def test_a_program_that_opens_the_log_again_creates_it_with_chmod(tmp_path: pathlib.Path) -> None:
    """As gunicorn does, after logrotate moved the file."""
    handler = ConcurrentRotatingFileHandler(tmp_path / "app.log", chmod=0o600)
    handler.close()
    os.remove(tmp_path / "app.log")
    handler.stream = handler._open()
    assert stat.S_IMODE(os.stat(tmp_path / "app.log").st_mode) == 0o600
    assert handler.stream.mode == "a"
    handler.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /dev/stdout there")
@pytest.mark.parametrize("kind", KINDS)
def test_an_unpickled_handler_of_the_standard_output_never_rolls_over(kind: type[Any]) -> None:
    """A spawned process gets its handlers that way."""
    program = f"""
import logging, pickle
from concurrent_log import {kind.__name__} as Handler
handler = pickle.loads(pickle.dumps(Handler("/dev/stdout", maxBytes=10, backupCount=1)))
for text in ("the first record", "the second record"):
    handler.handle(logging.makeLogRecord({{"msg": text}}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "the first record\nthe second record\n"
    assert not done.stderr


def test_text_in_the_buffer_of_a_program_is_in_the_backup_that_a_rotator_copies(tmp_path: pathlib.Path) -> None:
    """A subclass opens the file itself; its rotator compresses and removes the file."""

    class Compressing(ConcurrentRotatingFileHandler):
        def _open(self) -> Any:
            return open(self.baseFilename, "a", encoding=self.encoding)

        def rotate(self, source: str, dest: str) -> None:
            with open(source, "rb") as plain, gzip.open(f"{dest}.gz", "wb") as packed:
                packed.write(plain.read())
            os.remove(source)

    handler = Compressing(tmp_path / "app.log", maxBytes=50, backupCount=1)
    handler.handle(record("x" * 40))
    handler.stream.write("by the program\n")
    handler.handle(record("y" * 40))
    handler.close()
    assert gzip.decompress((tmp_path / "app.log.1.gz").read_bytes()).decode() == "x" * 40 + "\nby the program\n"
    assert (tmp_path / "app.log").read_text() == "y" * 40 + "\n"


def test_text_of_a_program_after_a_record_has_no_byte_order_mark(tmp_path: pathlib.Path) -> None:
    """There is one at the beginning of the file, as in the standard class."""
    path = tmp_path / "app.log"
    handler = ConcurrentRotatingFileHandler(
        path, maxBytes=10_000, backupCount=1, encoding="utf-16", keep_file_open=True
    )
    handler.handle(record("first"))
    handler.stream.write("by the program\n")
    handler.handle(record("last"))
    handler.close()
    assert path.read_text("utf-16") == "first\nby the program\nlast\n"


def test_a_subclass_may_call_its_csv_writer_what_it_likes(tmp_path: pathlib.Path) -> None:
    """The names of our attributes are not those that subclasses choose."""

    class Rows(ConcurrentRotatingFileHandler):
        def __init__(self, *args: Any, **keywords: Any) -> None:
            super().__init__(*args, **keywords)
            self._writer = csv.writer(self.stream, lineterminator="\n")
            self._options = {"delimiter": ","}
            self._writer.writerow(["time", "message"])

    handler = Rows(tmp_path / "app.csv", maxBytes=10_000, backupCount=1)
    handler.handle(record("1,first"))
    handler.close()
    assert (tmp_path / "app.csv").read_text() == "time,message\n1,first\n"


@pytest.mark.skipif(sys.platform == "win32", reason="the exclusive lock is needed for each record there")
def test_the_error_of_a_signal_handler_in_the_straight_path_is_reported(tmp_path: pathlib.Path) -> None:
    """`TimeoutError`, which handlers of SIGALRM raise, is an `OSError`."""
    handler = ConcurrentRotatingFileHandler(tmp_path / "app.log", maxBytes=10_000, backupCount=1)
    handler.handle(record("first"))
    reported: list[BaseException | None] = []
    handler.handleError = lambda record: reported.append(sys.exc_info()[1])  # type: ignore[method-assign]

    def interrupted() -> int:
        raise TimeoutError("the alarm")

    handler._log_file.view = handler._log_file.view._replace(position=interrupted)
    handler.handle(record("second"))
    assert [str(error) for error in reported] == ["the alarm"]
    handler.close()
