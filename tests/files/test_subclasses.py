"""Subclasses that programs write for the standard handlers: they find what they know, with ours as the base."""

import csv
import functools
import gzip
import importlib.util
import io
import logging
import logging.handlers
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from concurrent_log import ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler
from support.deadlines import DEADLINE
from support.processes import in_a_child
from support.records import HOUR, TEN, Watched, WatchedBySize, all_lines, files, lines, write

pytestmark = pytest.mark.filterwarnings("ignore:.*unclosed file:ResourceWarning")

Kind = type[logging.handlers.TimedRotatingFileHandler]
SizeKind = type[logging.handlers.RotatingFileHandler]

_STANDARD_AND_OURS = pytest.mark.parametrize(
    "base", [logging.handlers.TimedRotatingFileHandler, Watched], ids=["standard", "ours"]
)
_STANDARD_AND_OURS_BY_SIZE = pytest.mark.parametrize(
    "base", [logging.handlers.RotatingFileHandler, WatchedBySize], ids=["standard", "ours"]
)
_FLUSHED = pytest.mark.parametrize("flush", [True, False], ids=["flushed", "unflushed"])
_HEADER = "# shop log, version 1"


def _write_header(handler: Any, flush: bool) -> None:
    handler.stream.write(f"{_HEADER}\n")
    if flush:
        handler.stream.flush()


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


# Headers


@_FLUSHED
@_STANDARD_AND_OURS
def test_header_of_init_is_the_first_line(tmp_path: pathlib.Path, base: Kind, flush: bool) -> None:
    """Moonraker's handler: text written in ``__init__`` and after each rollover comes first, once."""

    class Handler(base):  # type: ignore[valid-type,misc]
        def __init__(self, path: pathlib.Path) -> None:
            super().__init__(path, when="midnight")
            _write_header(self, flush)

        def doRollover(self) -> None:
            super().doRollover()
            _write_header(self, flush)

    handler = Handler(tmp_path / "app.log")
    for number in range(3):
        write(handler, f"record {number}")
    before_close = lines(tmp_path / "app.log")
    handler.doRollover()
    write(handler, "next")
    handler.close()

    assert before_close == [_HEADER, "record 0", "record 1", "record 2"]
    assert sorted(files(tmp_path).values()) == [[_HEADER, "next"], before_close]


@_FLUSHED
@_STANDARD_AND_OURS_BY_SIZE
def test_header_of_open_begins_each_file(tmp_path: pathlib.Path, base: SizeKind, flush: bool) -> None:
    """``_open`` is overridden to begin an empty file with a header, as for 33468174 on Stack Overflow."""

    class Handler(base):  # type: ignore[valid-type,misc]
        def _open(self) -> Any:
            stream = super()._open()
            if os.fstat(stream.fileno()).st_size == 0:
                stream.write(f"{_HEADER}\n")
                if flush:
                    stream.flush()
            return stream

    handler = Handler(tmp_path / "app.log", maxBytes=len(_HEADER) + 20, backupCount=5)
    for number in range(4):
        write(handler, f"record {number}")
    handler.close()

    found = files(tmp_path)
    assert len(found) > 1
    assert all(content[0] == _HEADER and content.count(_HEADER) == 1 for content in found.values())
    assert sorted(line for line in all_lines(tmp_path) if line != _HEADER) == [f"record {n}" for n in range(4)]


@_FLUSHED
@_STANDARD_AND_OURS
def test_text_that_emit_writes_stands_before_its_record(tmp_path: pathlib.Path, base: Kind, flush: bool) -> None:
    """``emit`` writes a line of its own before each record."""

    class Handler(base):  # type: ignore[valid-type,misc]
        def emit(self, record: logging.LogRecord) -> None:
            self.stream.write(f"before {record.msg}\n")
            if flush:
                self.stream.flush()
            super().emit(record)

    handler = Handler(tmp_path / "app.log", when="midnight")
    for number in range(3):
        write(handler, str(number))
    found = lines(tmp_path / "app.log")
    handler.close()

    assert found == ["before 0", "0", "before 1", "1", "before 2", "2"]


@_STANDARD_AND_OURS_BY_SIZE
def test_csv_handler_writes_its_header_once_a_file(tmp_path: pathlib.Path, base: SizeKind) -> None:
    """csv_logger: rows through `csv.writer` on the handler's stream, and a header in each new file."""

    class CsvHandler(base):  # type: ignore[valid-type,misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._write_header()

        def _write_header(self) -> None:
            if self.stream.tell() == 0:
                csv.writer(self.stream, lineterminator="\n").writerow(["level", "message, quoted"])

        def format(self, record: logging.LogRecord) -> str:
            row = io.StringIO()
            csv.writer(row, lineterminator="").writerow([record.levelname, record.getMessage()])
            return row.getvalue()

        def doRollover(self) -> None:
            super().doRollover()
            self._write_header()

    header = 'level,"message, quoted"'
    handler = CsvHandler(tmp_path / "app.csv", maxBytes=60, backupCount=9)
    for number in range(5):
        write(handler, f'"{number}", it said')
    handler.close()

    found = files(tmp_path)
    assert len(found) > 1
    assert all(content[0] == header and content.count(header) == 1 for content in found.values())
    rows = [line for name in sorted(found, reverse=True) for line in found[name] if line != header]
    assert rows == [f'INFO,"""{number}"", it said"' for number in range(5)]


@needs_fork
@_FLUSHED
def test_header_is_written_once_after_ain_a_child(tmp_path: pathlib.Path, flush: bool) -> None:
    """Text that was written before a fork, flushed or not, is not written by the children again."""

    class Handler(Watched):
        def __init__(self, path: pathlib.Path) -> None:
            super().__init__(path, when="midnight")
            _write_header(self, flush)

    handler = Handler(tmp_path / "app.log")
    for number in range(3):
        assert in_a_child(lambda number=number: (write(handler, f"child {number}"), handler.close())) == 0
    write(handler, "parent")
    handler.close()

    assert lines(tmp_path / "app.log") == [_HEADER, "child 0", "child 1", "child 2", "parent"]
    assert handler.problems == []


@needs_fork
def test_child_writes_its_own_header_in_place(tmp_path: pathlib.Path) -> None:
    """A child writes to the inherited stream, without flush, between two records."""
    handler = Watched(tmp_path / "app.log", when="midnight")
    write(handler, "parent")

    def child() -> None:
        handler.stream.write(f"{_HEADER}\n")
        write(handler, "child")
        handler.close()

    assert in_a_child(child) == 0
    write(handler, "parent again")
    handler.close()

    assert lines(tmp_path / "app.log") == ["parent", _HEADER, "child", "parent again"]


@_FLUSHED
def test_header_written_with_delay_comes_first(tmp_path: pathlib.Path, flush: bool) -> None:
    """With ``delay`` the program opens the stream itself, as the standard ``emit`` does."""
    handler = WatchedBySize(tmp_path / "app.log", delay=True)
    handler.stream = handler._open()
    _write_header(handler, flush)
    write(handler, "record")
    handler.close()

    assert lines(tmp_path / "app.log") == [_HEADER, "record"]


@_FLUSHED
def test_footer_written_before_a_rollover_stays_in_its_file(tmp_path: pathlib.Path, flush: bool) -> None:
    """Text written in ``doRollover`` before the standard one ends the old file."""

    class Handler(WatchedBySize):
        def doRollover(self) -> None:
            self.stream.write("# end\n")
            if flush:
                self.stream.flush()
            super().doRollover()

    handler = Handler(tmp_path / "app.log", maxBytes=12, backupCount=3)
    write(handler, "record 0")
    write(handler, "record 1")
    handler.close()

    assert files(tmp_path) == {"app.log": ["record 1"], "app.log.1": ["record 0", "# end"]}


# rolloverAt


@_STANDARD_AND_OURS
def test_rollover_at_in_the_past_forces_a_rollover(tmp_path: pathlib.Path, base: Kind) -> None:
    """``handler.rolloverAt = time.time() - 1``: the next record begins a new file, and only that one."""
    handler = base(tmp_path / "app.log", when="midnight")
    write(handler, "before")
    handler.rolloverAt = int(time.time()) - 1
    write(handler, "after")
    write(handler, "after that")
    handler.close()

    found = files(tmp_path)
    assert len(found) == 2
    assert found["app.log"] == ["after", "after that"]


@_STANDARD_AND_OURS
def test_rollover_at_in_the_future_postpones_a_rollover(tmp_path: pathlib.Path, base: Kind) -> None:
    """A period of a second ends, and the file goes on."""
    handler = base(tmp_path / "app.log", when="S")
    handler.rolloverAt = int(time.time()) + HOUR
    write(handler, "before")
    end = int(time.time()) + 1.1
    while time.time() < end:
        time.sleep(0.01)
    write(handler, "after")
    handler.close()

    assert files(tmp_path) == {"app.log": ["before", "after"]}


@_STANDARD_AND_OURS
def test_rollover_at_can_be_read_and_raised(tmp_path: pathlib.Path, base: Kind) -> None:
    """It is a moment in the future, and a program may move it by a day."""
    handler = base(tmp_path / "app.log", when="midnight")
    first = handler.rolloverAt
    handler.rolloverAt += 86400
    raised = handler.rolloverAt
    handler.close()

    assert time.time() < first <= time.time() + 86400 + HOUR
    assert raised == first + 86400


@pytest.mark.parametrize("moment", ["float", "int"])
def test_rollover_at_forces_a_rollover_each_time(tmp_path: pathlib.Path, moment: str) -> None:
    """Three times in a row, by a number of either type, in the same period."""
    handler = Watched(tmp_path / "app.log", when="midnight")
    for number in range(4):
        write(handler, str(number))
        handler.rolloverAt = time.time() - 1 if moment == "float" else int(time.time()) - 1
    handler.close()

    assert handler.problems == []
    assert sorted(files(tmp_path).values()) == [["0"], ["1"], ["2"], ["3"]]


# namer and rotation_filename


@pytest.mark.parametrize("how", ["namer", "rotation_filename"])
def test_names_of_timed_backups_may_be_paths(tmp_path: pathlib.Path, how: str) -> None:
    """A `pathlib.Path` works as a string does: for the backup, its late records and retention."""

    def rename(name: str) -> Any:
        path = pathlib.Path(name)
        return path.with_name(f"old-{path.name}")

    handler = Watched(tmp_path / "app.log", when="H", backupCount=2, utc=True)
    setattr(handler, how, rename)
    for hour in range(4):
        write(handler, f"hour {hour}", TEN + hour * HOUR)
    write(handler, "late", TEN + 2 * HOUR + 1)
    handler.close()

    assert handler.problems == []
    assert files(tmp_path) == {
        "app.log": ["hour 3"],
        "old-app.log.2024-05-17_11": ["hour 1"],
        "old-app.log.2024-05-17_12": ["hour 2", "late"],
    }


@pytest.mark.parametrize("how", ["namer", "rotation_filename"])
@_STANDARD_AND_OURS_BY_SIZE
def test_names_of_numbered_backups_may_be_paths(tmp_path: pathlib.Path, base: SizeKind, how: str) -> None:
    """The same for the handler by size, with a folder for the backups."""
    (tmp_path / "old").mkdir()

    def rename(name: str) -> Any:
        return tmp_path / "old" / os.path.basename(name)

    handler = base(tmp_path / "app.log", maxBytes=12, backupCount=2)
    setattr(handler, how, rename)
    for number in range(4):
        write(handler, f"record {number}")
    handler.close()

    assert files(tmp_path) == {"app.log": ["record 3"]}
    assert files(tmp_path / "old") == {"app.log.1": ["record 2"], "app.log.2": ["record 1"]}


class _ByteSafePath:
    """A path-like object that is neither a string nor a `pathlib.Path`."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return self._path


def test_name_may_be_any_path_like_object(tmp_path: pathlib.Path) -> None:
    """An object with ``__fspath__`` only, together with ``use_gzip``."""
    handler = WatchedBySize(tmp_path / "app.log", maxBytes=12, backupCount=2)
    handler.namer = lambda name: _ByteSafePath(name + ".old")  # type: ignore[assignment,return-value]
    for number in range(3):
        write(handler, f"record {number}")
    handler.close()

    assert handler.problems == []
    assert files(tmp_path) == {"app.log": ["record 2"], "app.log.1.old": ["record 1"], "app.log.2.old": ["record 0"]}


def test_names_and_ext_match_of_a_program_are_used_for_retention(tmp_path: pathlib.Path) -> None:
    """``app.DATE.log``: a namer that moves the date, and the ``extMatch`` that belongs to it."""
    handler = Watched(tmp_path / "app.log", when="H", backupCount=2, utc=True)
    handler.extMatch = re.compile(r"\d{4}-\d{2}-\d{2}_\d{2}", re.ASCII)
    handler.namer = lambda name: f"{name.replace('.log', '')}.log"
    for hour in range(5):
        write(handler, f"hour {hour}", TEN + hour * HOUR)
    handler.close()

    assert files(tmp_path) == {
        "app.log": ["hour 4"],
        "app.2024-05-17_12.log": ["hour 2"],
        "app.2024-05-17_13.log": ["hour 3"],
    }


# How a method is overridden


def _traced(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a method as tracing libraries do: with the names of the original, also its ``__module__``."""

    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        calls.append(method.__name__)
        return method(*args, **kwargs)

    calls: list[str] = []
    wrapper.calls = calls  # type: ignore[attr-defined]
    return wrapper


_HOOKS = ["doRollover", "shouldRollover", "rotate", "emit"]


def _roll(handler: Any) -> None:
    write(handler, "record 0", TEN)
    write(handler, "record 1", TEN + HOUR)
    handler.close()


@pytest.mark.parametrize("name", _HOOKS)
def test_override_wrapped_by_functools_is_called(tmp_path: pathlib.Path, name: str) -> None:
    """`functools.wraps` copies ``__module__``: the method is the subclass's nevertheless."""
    traced = _traced(getattr(Watched, name))
    handler = type("Handler", (Watched,), {name: traced})(tmp_path / "app.log", when="H", utc=True)
    _roll(handler)

    assert name in traced.calls  # type: ignore[attr-defined]
    assert files(tmp_path) == {"app.log": ["record 1"], "app.log.2024-05-17_10": ["record 0"]}


@pytest.mark.parametrize("name", _HOOKS)
def test_override_of_a_mixin_is_called(tmp_path: pathlib.Path, name: str) -> None:
    """The mixin is no handler, and comes before our class."""
    called = []

    def method(self: Any, *args: Any) -> Any:
        called.append(name)
        return getattr(super(mixin, self), name)(*args)

    mixin = type("Mixin", (), {name: method})
    handler = type("Handler", (mixin, Watched), {})(tmp_path / "app.log", when="H", utc=True)
    _roll(handler)

    assert called
    assert files(tmp_path) == {"app.log": ["record 1"], "app.log.2024-05-17_10": ["record 0"]}


@pytest.mark.parametrize("name", _HOOKS)
def test_override_on_the_instance_is_called(tmp_path: pathlib.Path, name: str) -> None:
    """``handler.doRollover = …``, as tests and monkey patches do."""
    called = []
    handler = Watched(tmp_path / "app.log", when="H", utc=True)
    original = getattr(handler, name)

    def method(*args: Any) -> Any:
        called.append(name)
        return original(*args)

    setattr(handler, name, method)
    _roll(handler)

    assert called
    assert files(tmp_path) == {"app.log": ["record 1"], "app.log.2024-05-17_10": ["record 0"]}


@pytest.mark.parametrize("name", ["doRollover", "shouldRollover"])
def test_override_patched_into_our_class_is_called(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A tracing library patches the class itself; the record still reaches its file."""
    traced = _traced(getattr(ConcurrentTimedRotatingFileHandler, name))
    handler = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log", when="H", utc=True)
    monkeypatch.setattr(ConcurrentTimedRotatingFileHandler, name, traced)
    _roll(handler)

    assert files(tmp_path) == {"app.log": ["record 1"], "app.log.2024-05-17_10": ["record 0"]}


# Recipes


def test_rotator_of_the_cookbook_compresses(tmp_path: pathlib.Path) -> None:
    """The Logging Cookbook's ``GZipRotator`` with its namer; numbers are counted as usual."""

    def rotator(source: str, dest: str) -> None:
        with open(source, "rb") as plain, gzip.open(dest, "wb") as compressed:
            shutil.copyfileobj(plain, compressed)
        os.remove(source)

    handler = WatchedBySize(tmp_path / "app.log", maxBytes=12, backupCount=2)
    handler.namer = lambda name: name + ".gz"
    handler.rotator = rotator
    for number in range(4):
        write(handler, f"record {number}")
    handler.close()

    assert handler.problems == []
    assert lines(tmp_path / "app.log") == ["record 3"]
    backups = {path.name: gzip.decompress(path.read_bytes()) for path in tmp_path.glob("app.log.*")}
    assert backups == {"app.log.1.gz": b"record 2\n", "app.log.2.gz": b"record 1\n"}


@_STANDARD_AND_OURS
def test_do_rollover_that_uploads_sees_the_finished_file(tmp_path: pathlib.Path, base: Kind) -> None:
    """An override calls ``super().doRollover()`` and then uploads the newest backup, whole."""
    uploaded: list[list[str]] = []

    class Handler(base):  # type: ignore[valid-type,misc]
        def doRollover(self) -> None:
            super().doRollover()
            newest = max(tmp_path.glob("app.log.*"), key=os.path.getmtime)
            uploaded.append(lines(newest))
            newest.unlink()

    handler = Handler(tmp_path / "app.log", when="midnight")
    for number in range(3):
        write(handler, f"record {number}")
        handler.rolloverAt = int(time.time()) - 1
    write(handler, "record 3")
    handler.close()

    assert uploaded == [["record 0"], ["record 1"], ["record 2"]]
    assert files(tmp_path) == {"app.log": ["record 3"]}


_FOUR_PROCESSES = """
import sys, os, logging
from concurrent_log import ConcurrentRotatingFileHandler

class Handler(ConcurrentRotatingFileHandler):
    def _open(self):
        stream = super()._open()
        if os.fstat(stream.fileno()).st_size == 0:
            stream.write("# header\\n")
        return stream

handler = Handler("app.log", maxBytes=600, backupCount=500)
for number in range(150):
    handler.handle(logging.makeLogRecord({"msg": f"{sys.argv[1]} {number}"}))
handler.close()
"""


@pytest.mark.slow
def test_header_of_open_does_not_lose_records_in_four_processes(tmp_path: pathlib.Path) -> None:
    """Four processes with a subclass that writes a header in ``_open``: each record is in one file, whole."""
    processes = [
        subprocess.Popen([sys.executable, "-c", _FOUR_PROCESSES, str(number)], cwd=tmp_path) for number in range(4)
    ]
    statuses = [process.wait(DEADLINE) for process in processes]

    assert statuses == [0, 0, 0, 0]
    found = [line for line in all_lines(tmp_path) if line != "# header"]
    assert sorted(found) == sorted(f"{process} {number}" for process in range(4) for number in range(150))
    assert all(content[0] == "# header" for content in files(tmp_path).values())


# A vendored copy

_VENDORED = """
import logging, sys
from shop._vendor.concurrent_log import ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler

class Handler(ConcurrentTimedRotatingFileHandler):
    def doRollover(self):
        super().doRollover()
        print("rolled over")

def record(text, created):
    made = logging.makeLogRecord({"msg": text})
    made.created = created
    return made

handler = Handler("own.log", when="H", utc=True)
plain = ConcurrentTimedRotatingFileHandler("app.log", when="H", utc=True)
for each in (handler, plain):
    each.handle(record("ten", 1715940000.0))
    each.handle(record("eleven", 1715943600.0))
    each.handle(record("late", 1715940001.0))
print(plain.stream is not None, "concurrent_log" in sys.modules)
for each in (handler, plain):
    each.close()
"""


@pytest.mark.slow
def test_vendored_copy_works_as_the_package_does(tmp_path: pathlib.Path) -> None:
    """The package is copied into another one, as pip does: late records, kept-open files and overrides work."""
    spec = importlib.util.find_spec("concurrent_log")
    assert spec is not None
    assert spec.origin is not None
    vendor = tmp_path / "shop" / "_vendor"
    vendor.mkdir(parents=True)
    (tmp_path / "shop" / "__init__.py").touch()
    (vendor / "__init__.py").touch()
    copy = vendor / "concurrent_log"
    shutil.copytree(pathlib.Path(spec.origin).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "javascript"))
    for path in copy.rglob("*.py"):
        text = re.sub(r"\b(from|import) concurrent_log\b", r"\1 shop._vendor.concurrent_log", path.read_text("utf-8"))
        path.write_text(text, "utf-8")
    done = subprocess.run([sys.executable, "-c", _VENDORED], cwd=tmp_path, capture_output=True, text=True)

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["rolled over", "True False"]
    found = files(tmp_path)
    assert found["app.log"] == ["eleven"]
    assert found["app.log.2024-05-17_10"] == ["ten", "late"]
    assert sorted(line for name in found if name.startswith("own") for line in found[name]) == ["eleven", "late", "ten"]


def test_both_classes_of_ours_may_be_the_base_of_one_program(tmp_path: pathlib.Path) -> None:
    """``isinstance`` with the standard classes holds, which Django's and Celery's recipes check."""
    assert issubclass(ConcurrentTimedRotatingFileHandler, logging.handlers.TimedRotatingFileHandler)
    assert issubclass(ConcurrentRotatingFileHandler, logging.handlers.RotatingFileHandler)
    assert issubclass(ConcurrentRotatingFileHandler, logging.handlers.BaseRotatingHandler)
