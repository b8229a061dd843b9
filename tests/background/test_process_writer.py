"""The process that writes: the handlers and records that it receives."""

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
from support.background_handlers import Make, logger_of
from support.records import files, lines, write


@pytest.mark.parametrize("thing", [None, threading.Lock()])
def test_filters_decide_also_who_writes_in_a_process(make: Make, tmp_path: pathlib.Path, thing: object) -> None:
    """P6: of two handlers in a process of their own, one has a filter; also for a record that is sent as text."""
    first, second = (logging.FileHandler(tmp_path / name) for name in ("first.log", "second.log"))
    first.addFilter(logging.Filter("other"))
    handler = make(first, second, worker="process")
    logger_of(handler).info("this", extra={"thing": thing})
    handler.flush()

    assert files(tmp_path) == {"first.log": [], "second.log": ["this"]}


@pytest.mark.parametrize("what", ["stream", "function", "class"])
def test_handler_that_cannot_be_sent_is_refused_at_once(what: str, tmp_path: pathlib.Path) -> None:
    """One clear line that says which handler, why, and what to do."""
    target: logging.Handler = logging.StreamHandler()
    if what == "stream":
        target = logging.StreamHandler(open(tmp_path / "app.log", "w"))  # noqa: SIM115
    elif what == "function":
        target.addFilter(lambda found: True)
    else:
        target.setFormatter(type("Local", (logging.Formatter,), {})())
    with pytest.raises(TypeError, match=r"cannot be sent to a process .*; use worker='thread'"):
        BackgroundHandler([target], worker="process")
    if what == "stream":
        target.stream.close()  # type: ignore[attr-defined]


def test_handlers_of_the_standard_library_can_be_sent(
    make: Make, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, and the terminal: the process has the same."""
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    file, terminal = logging.FileHandler(tmp_path / "app.log"), logging.StreamHandler()
    file.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler = make(file, terminal, worker="process")
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

class Shouting(logging.Formatter):
    pass

file = logging.FileHandler("app.log")
file.setFormatter(logging.Formatter("%(message)s %(thing)s"))
logger = logging.getLogger(__name__)
logger.addHandler(BackgroundHandler([file], worker="process"))
logger.warning("this", extra={"thing": Order()})
file.setFormatter(Shouting())
try:
    BackgroundHandler([file], worker="process")
except TypeError as error:
    print(error)
"""


def test_what_the_main_program_defines_is_not_sent(tmp_path: pathlib.Path) -> None:
    """P4: an object of such a class arrives as text, and a handler that needs it is refused at once."""
    (tmp_path / "program.py").write_text(MAIN_PROGRAM)
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert lines(tmp_path / "app.log") == ["this order 5"]
    assert "(Shouting is defined in the main program, not in a module); use worker='thread'" in done.stdout
    assert done.stderr == ""


def test_a_logger_of_that_name_is_none_of_the_main_program(make: Make, tmp_path: pathlib.Path) -> None:
    """A record of ``logging.getLogger(__name__)`` arrives as any other one, and so do the filter and all objects."""
    target = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
    target.setFormatter(logging.Formatter("%(name)s %(thing)r"))
    target.addFilter(logging.Filter("__main__"))
    logger = logging.Logger("__main__")
    handler = make(target, worker="process")
    logger.addHandler(handler)
    logger.info("this", extra={"thing": Decimal(5)})

    assert handler.flush()
    assert lines(tmp_path / "app.log") == ["__main__ Decimal('5')"]


class Unknown:
    """Is known where it is defined only."""

    def __reduce__(self) -> Any:
        raise TypeError("cannot be pickled")

    def __str__(self) -> str:
        return "unknown object"


def test_attribute_that_cannot_be_sent_is_sent_as_text(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: a record with an open file or a lock in its ``extra`` costs no other record."""
    target = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
    target.setFormatter(logging.Formatter("%(message)s %(thing)s", defaults={"thing": "-"}))
    handler = make(target, worker="process")
    logger = logger_of(handler)
    logger.info("before")
    logger.info("this", extra={"thing": Unknown()})
    logger.info("after", extra={"thing": {"a": 1}})
    handler.flush()

    assert lines(tmp_path / "app.log")[:2] == ["before -", "this unknown object"]
    assert lines(tmp_path / "app.log")[2] == "after {'a': 1}"
