"""The handlers that write, named in a logging configuration or in a program."""

import logging
import logging.config
import logging.handlers
import pathlib
from typing import Any

import pytest

from concurrent_log import BackgroundHandler
from support.background_handlers import WORKERS, Kept, Make
from support.records import files, lines, write


def configuration(folder: pathlib.Path, **options: Any) -> dict[str, Any]:
    """Return a dictionary in which the handler that hands over comes first in the alphabet, and before the others."""
    return {
        "version": 1,
        "formatters": {"plain": {"format": "%(levelname)s %(message)s"}},
        "handlers": {
            "background": {"class": "concurrent_log.BackgroundHandler", "handlers": ["file", "errors"], **options},
            "errors": {"class": "logging.FileHandler", "filename": str(folder / "errors.log"), "level": "ERROR"},
            "file": {
                "class": "logging.handlers.ConcurrentTimedRotatingFileHandler",
                "filename": str(folder / "app.log"),
                "formatter": "plain",
            },
        },
        "loggers": {"shop": {"handlers": ["background"], "level": "INFO"}},
    }


@WORKERS
@pytest.mark.usefixtures("unconfigured")
def test_dictionary_names_the_handlers(tmp_path: pathlib.Path, worker: str) -> None:
    """P6: handlers of the same dictionary, made after this one; the same dictionary on every Python."""
    logging.config.dictConfig(configuration(tmp_path, worker=worker))
    logger = logging.getLogger("shop")
    logger.info("fine")
    logger.error("broken")
    handler: Any = logger.handlers[0]
    handler.flush()

    assert files(tmp_path) == {"app.log": ["INFO fine", "ERROR broken"], "errors.log": ["broken"]}


@pytest.mark.usefixtures("unconfigured")
def test_records_that_wait_survive_another_configuration(tmp_path: pathlib.Path) -> None:
    """P1: it closes all handlers: this one first, while those that write can still write."""
    for number in range(20):
        logging.config.dictConfig(configuration(tmp_path))
        for half in "ab":
            logging.getLogger("shop").info("%d %s", number, half)
    logging.config.dictConfig({"version": 1})

    assert lines(tmp_path / "app.log") == [f"INFO {number} {half}" for number in range(20) for half in "ab"]


@pytest.mark.usefixtures("unconfigured")
def test_name_of_no_handler_is_refused(tmp_path: pathlib.Path) -> None:
    """One clear line: what is wrong, and what there is."""
    wrong = configuration(tmp_path)
    wrong["handlers"]["background"]["handlers"] = ["fiel"]
    with pytest.raises(ValueError, match="'background'") as raised:
        logging.config.dictConfig(wrong)

    assert str(raised.value.__cause__) == (
        "handlers: no handler has the name 'fiel'; known names: 'background', 'errors', 'file'"
    )


def test_handlers_may_be_named_in_a_program(make: Make) -> None:
    """Those that have a name, as dictConfig gives them."""
    kept = Kept()
    kept.set_name("the kept one")
    handler = BackgroundHandler(["the kept one"])
    write(handler, "this")
    handler.close()

    assert kept.texts == ["this"]


@pytest.mark.usefixtures("unconfigured")
def test_configured_handler_that_cannot_be_sent_is_left_to_a_thread(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """P4: a configuration makes it only after the one that hands over; no record is lost by that."""
    wanted = configuration(tmp_path, worker="process")
    wanted["handlers"]["errors"]["filters"] = ["local"]
    wanted["filters"] = {"local": {"()": lambda: lambda found: True}}
    logging.config.dictConfig(wanted)
    logger = logging.getLogger("shop")
    logger.info("fine")
    logger.handlers[0].flush()

    assert lines(tmp_path / "app.log") == ["INFO fine"]
    assert "cannot be sent to a process" in capsys.readouterr().err
