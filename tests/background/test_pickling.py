"""Pickling of handlers and records for the process that writes."""

import logging
import pathlib
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from concurrent_log import BackgroundHandler, ConcurrentTimedRotatingFileHandler
from support.background_handlers import Create, logger_of
from support.background_programs import run
from support.deadlines import DEADLINE
from support.records import lines, write


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


def test_logger_named_main_changes_nothing(tmp_path: pathlib.Path) -> None:
    """P6: most scripts name their logger ``__main__``; the text is the same as without the process."""
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
            def __repr__(self):
                return "Price()"

        own.warning("price", extra={"price": Price()})
        own.warning("price", extra={"price": [Price]})
        """,
    )

    assert lines(tmp_path / "__main__.d" / "app.log") == [
        "__main__ Decimal('1.50') price",
        "__main__ Price() price",
        "__main__ [<class '__main__.Price'>] price",
    ]
