"""The process that writes: the handlers and records that it receives."""

import itertools
import logging
import logging.config
import logging.handlers
import pathlib
import subprocess
import sys
import threading
from decimal import Decimal
from typing import Any

import pytest

from concurrent_log import BackgroundHandler, ConcurrentTimedRotatingFileHandler
from concurrent_log.background import process_writer
from concurrent_log.background.process_writer import ProcessWriter
from concurrent_log.background.snapshot import Snapshot, take_snapshot
from support.background_handlers import Create, logger_of
from support.background_programs import run
from support.processes import DEADLINE
from support.records import files, lines, record, write


@pytest.mark.parametrize("item", [None, threading.Lock()])
def test_filters_select_the_handlers_in_the_process(create: Create, tmp_path: pathlib.Path, item: object) -> None:
    """P6: one of two handlers has a filter; also for a record whose attributes are sent as text."""
    first, second = (logging.FileHandler(tmp_path / name) for name in ("first.log", "second.log"))
    first.addFilter(logging.Filter("other"))
    handler = create(first, second, worker="process")
    logger_of(handler).info("this", extra={"item": item})
    handler.flush()

    assert files(tmp_path) == {"first.log": [], "second.log": ["this"]}


@pytest.mark.parametrize("part", ["stream", "function", "class"])
def test_handler_that_cannot_be_pickled_is_rejected_at_once(part: str, tmp_path: pathlib.Path) -> None:
    """The message names the handler, the reason and the remedy."""
    target: logging.Handler = logging.StreamHandler()
    if part == "stream":
        target = logging.StreamHandler(open(tmp_path / "app.log", "w"))  # noqa: SIM115
    elif part == "function":
        target.addFilter(lambda found: True)
    else:
        target.setFormatter(type("Local", (logging.Formatter,), {})())
    with pytest.raises(TypeError, match=r"cannot be sent to a process .*; use worker='thread'"):
        BackgroundHandler([target], worker="process")
    if part == "stream":
        target.stream.close()  # type: ignore[attr-defined]


def test_handlers_of_the_standard_library_are_pickled(
    create: Create, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file and a standard stream: the process opens the same ones."""
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    file, terminal = logging.FileHandler(tmp_path / "app.log"), logging.StreamHandler()
    file.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler = create(file, terminal, worker="process")
    write(handler, "this")
    handler.flush()
    file.close()

    assert lines(tmp_path / "app.log") == ["INFO this"]
    assert capfd.readouterr().err == "this\n"


MAIN_PROGRAM = """
import logging
from concurrent_log import BackgroundHandler

class Order:
    def __str__(self):
        return "order 5"

class OwnFormatter(logging.Formatter):
    pass

file = logging.FileHandler("app.log")
file.setFormatter(logging.Formatter("%(message)s %(item)s"))
logger = logging.getLogger(__name__)
logger.addHandler(BackgroundHandler([file], worker="process"))
logger.warning("this", extra={"item": Order()})
file.setFormatter(OwnFormatter())
try:
    BackgroundHandler([file], worker="process")
except TypeError as error:
    print(error)
"""


def test_classes_of_the_main_program_are_not_pickled(tmp_path: pathlib.Path) -> None:
    """P4: an object of such a class arrives as text, and a handler that needs one is rejected at once."""
    (tmp_path / "program.py").write_text(MAIN_PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE
    )

    assert lines(tmp_path / "app.log") == ["this order 5"]
    assert "(OwnFormatter is defined in the main program, not in a module); use worker='thread'" in done.stdout
    assert done.stderr == ""


def test_logger_named_main_is_not_a_class_of_the_main_program(create: Create, tmp_path: pathlib.Path) -> None:
    """A record of ``logging.getLogger(__name__)`` arrives unchanged, with its filter and all objects."""
    target = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
    target.setFormatter(logging.Formatter("%(name)s %(item)r"))
    target.addFilter(logging.Filter("__main__"))
    logger = logging.Logger("__main__")
    handler = create(target, worker="process")
    logger.addHandler(handler)
    logger.info("this", extra={"item": Decimal(5)})

    assert handler.flush()
    assert lines(tmp_path / "app.log") == ["__main__ Decimal('5')"]


class Unpicklable:
    """An object that cannot be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("cannot be pickled")

    def __str__(self) -> str:
        return "own text"


def test_attribute_that_cannot_be_pickled_is_sent_as_text(create: Create, tmp_path: pathlib.Path) -> None:
    """P4: a record with an open file or a lock in ``extra`` does not affect other records."""
    target = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
    target.setFormatter(logging.Formatter("%(message)s %(item)s", defaults={"item": "-"}))
    handler = create(target, worker="process")
    logger = logger_of(handler)
    logger.info("before")
    logger.info("this", extra={"item": Unpicklable()})
    logger.info("after", extra={"item": {"a": 1}})
    handler.flush()

    assert lines(tmp_path / "app.log")[:2] == ["before -", "this own text"]
    assert lines(tmp_path / "app.log")[2] == "after {'a': 1}"


class StrangeError(Exception):
    """Can be pickled, but not unpickled: it needs two arguments, and passes on only one."""

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(f"{subject} {reason}")


def test_logger_named_main_changes_nothing(tmp_path: pathlib.Path) -> None:
    """P6: most scripts name their logger ``__main__``; the other attributes of a record arrive unchanged."""
    (tmp_path / "__main__.d").mkdir()
    run(
        tmp_path,
        """
        import decimal
        target = ConcurrentTimedRotatingFileHandler("__main__.d/app.log")
        target.setFormatter(logging.Formatter("%(name)s %(price)r %(message)s"))
        background = BackgroundHandler([target], worker="process")
        own = logging.getLogger("__main__")
        own.addHandler(background)
        own.warning("price", extra={"price": decimal.Decimal("1.50")})

        class Price:
            def __str__(self):
                return "unknown"

        own.warning("price", extra={"price": Price()})
        own.warning("price", extra={"price": [Price]})
        """,
    )

    assert lines(tmp_path / "__main__.d" / "app.log") == [
        "__main__ Decimal('1.50') price",
        "__main__ 'unknown' price",
        "__main__ \"[<class '__main__.Price'>]\" price",
    ]


def test_record_that_cannot_be_unpickled_keeps_its_position(tmp_path: pathlib.Path) -> None:
    """P1: batches that were sent after it do not overtake it."""
    handler = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
    writer = ProcessWriter([handler])
    for number in range(20):
        each = record(f"{number}")
        if number in (3, 4, 9):
            each.error = StrangeError("a", "b")
        writer.write([_snapshot(each)])
    writer.wait_until_written()
    writer.close(DEADLINE)
    handler.close()

    assert lines(tmp_path / "app.log") == [str(number) for number in range(20)]


def test_process_is_started_again_later(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """P4: if no process can start, the program writes the records itself, warns once, and tries again."""
    handler = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
    writer = ProcessWriter([handler])
    now = itertools.count(1000)  # seconds: the retry interval passes again and again
    monkeypatch.setattr(process_writer, "monotonic", lambda: next(now))
    with monkeypatch.context() as patch:
        patch.setattr(process_writer.spawn, "get_executable", lambda: str(tmp_path / "missing"))
        for number in range(200):
            writer.write([_snapshot(record(f"{number}"))])
        assert writer._process is None
    for number in range(200, 300):
        writer.write([_snapshot(record(f"{number}"))])
    writer.wait_until_written()
    assert writer._process is not None
    writer.close(DEADLINE)
    handler.close()

    assert lines(tmp_path / "app.log") == [str(number) for number in range(300)]
    assert capsys.readouterr().err.count("this process writes the records itself") == 1


def _snapshot(record: logging.LogRecord) -> Snapshot:
    return take_snapshot(record, ())
