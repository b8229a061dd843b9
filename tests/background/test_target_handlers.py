"""The handlers that write, named in a logging configuration or in a program."""

import logging
import logging.config
import pathlib
from typing import Any

import pytest

from concurrent_log import BackgroundHandler
from support.background_handlers import WORKERS, CollectingHandler, Create
from support.deadlines import DEADLINE
from support.processes import wait_until
from support.records import files, lines, write


def configuration(folder: pathlib.Path, **options: Any) -> dict[str, Any]:
    """Return a configuration in which the background handler comes before the handlers that it names."""
    return {
        "version": 1,
        "formatters": {"plain": {"format": "%(levelname)s %(message)s"}},
        "handlers": {
            "background": {
                "class": "concurrent_log.BackgroundHandler",
                "handlers": ["file", "errors"],
                "stop_timeout": DEADLINE,
                **options,
            },
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
def test_configuration_names_the_handlers(tmp_path: pathlib.Path, worker: str) -> None:
    """P6: the handlers are in the same dictionary, and created later; it works on every Python."""
    logging.config.dictConfig(configuration(tmp_path, worker=worker))
    logger = logging.getLogger("shop")
    logger.info("fine")
    logger.error("broken")
    handler: Any = logger.handlers[0]
    handler.flush()

    assert files(tmp_path) == {"app.log": ["INFO fine", "ERROR broken"], "errors.log": ["broken"]}


@pytest.mark.usefixtures("unconfigured")
def test_queued_records_survive_a_reconfiguration(tmp_path: pathlib.Path) -> None:
    """P1: it closes all handlers, and does not wait; the worker writes its records before it closes the files."""
    for number in range(20):
        logging.config.dictConfig(configuration(tmp_path))
        for half in "ab":
            logging.getLogger("shop").info("%d %s", number, half)
    logging.config.dictConfig({"version": 1})
    expected = [f"INFO {number} {half}" for number in range(20) for half in "ab"]
    wait_until(lambda: len(lines(tmp_path / "app.log")) >= len(expected))

    assert lines(tmp_path / "app.log") == expected


@pytest.mark.usefixtures("unconfigured")
def test_unknown_handler_name_is_rejected(tmp_path: pathlib.Path) -> None:
    """The message gives the wrong name and the known names, in one line."""
    invalid = configuration(tmp_path)
    invalid["handlers"]["background"]["handlers"] = ["fiel"]
    with pytest.raises(ValueError, match="'background'") as raised:
        logging.config.dictConfig(invalid)

    assert str(raised.value.__cause__) == (
        "handlers: no handler has the name 'fiel'; known names: 'background', 'errors', 'file'"
    )


def test_program_may_name_the_handlers(create: Create) -> None:
    """If they have a name, as dictConfig sets it."""
    target = CollectingHandler()
    target.set_name("collecting")
    handler = BackgroundHandler(["collecting"])
    write(handler, "this")
    handler.close()

    assert target.texts == ["this"]


@pytest.mark.usefixtures("unconfigured")
def test_configured_handler_that_cannot_be_pickled_runs_in_a_thread(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """P4: dictConfig creates it after the background handler, which cannot raise then; no record is lost."""
    settings = configuration(tmp_path, worker="process")
    settings["handlers"]["errors"]["filters"] = ["local"]
    settings["filters"] = {"local": {"()": lambda: lambda found: True}}
    logging.config.dictConfig(settings)
    logger = logging.getLogger("shop")
    logger.info("fine")
    logger.handlers[0].flush()

    assert lines(tmp_path / "app.log") == ["INFO fine"]
    assert "cannot be sent to a process" in capsys.readouterr().err
