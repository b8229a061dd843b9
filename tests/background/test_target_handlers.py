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
    settings: dict[str, Any] = {
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
    if "errors" not in settings["handlers"]["background"]["handlers"]:
        del settings["handlers"]["errors"]
    return settings


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


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize(
    "names", [["cfg://handlers.file"], ("cfg://handlers.file",), "cfg://targets", ["cfg://targets[0]"]]
)
def test_configuration_may_refer_to_the_handlers(tmp_path: pathlib.Path, names: Any) -> None:
    """By ``cfg://``, to a handler that is not created yet, to its name, and to a list of names."""
    settings = configuration(tmp_path, handlers=names) | {"targets": ["file"]}
    logging.config.dictConfig(settings)
    logging.getLogger("shop").info("fine")
    logging.getLogger("shop").handlers[0].flush()

    assert lines(tmp_path / "app.log") == ["INFO fine"]


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cfg://handlers.fiel"], "handlers: the reference number 1 leads to nothing (KeyError('fiel'))"),
        (["background"], "handlers: 'background' would write through itself"),
        ([5], "handlers must be handlers, or names of handlers, not 5"),
    ],
)
def test_reference_that_leads_to_no_handler_is_rejected(tmp_path: pathlib.Path, names: Any, message: str) -> None:
    """When the configuration is applied, not at the first record."""
    with pytest.raises(ValueError, match="'background'") as raised:
        logging.config.dictConfig(configuration(tmp_path, handlers=names))

    assert str(raised.value.__cause__) == message


@pytest.mark.usefixtures("unconfigured")
def test_factory_of_the_program_may_name_handlers_that_come_later(tmp_path: pathlib.Path) -> None:
    """It passes a list of its own to the constructor."""
    settings = configuration(tmp_path, handlers=["file"])
    settings["handlers"]["background"] = {"()": lambda: BackgroundHandler(["file"], stop_timeout=DEADLINE)}
    logging.config.dictConfig(settings)
    logging.getLogger("shop").info("fine")
    logging.getLogger("shop").handlers[0].flush()

    assert lines(tmp_path / "app.log") == ["INFO fine"]


def _nested(folder: pathlib.Path, behind: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration whose background handler writes through the handler ``behind``, which comes later."""
    settings = configuration(folder, handlers=["behind"])
    settings["handlers"]["behind"] = behind
    return settings


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize(
    "behind",
    [
        {"class": "concurrent_log.BackgroundHandler", "handlers": ["file"]},
        {"class": "logging.handlers.MemoryHandler", "capacity": 1, "target": "file"},
    ],
    ids=["background", "memory"],
)
def test_handlers_may_be_nested(tmp_path: pathlib.Path, behind: dict[str, Any]) -> None:
    """A background handler, and a handler that collects records, behind a background handler; in any order."""
    logging.config.dictConfig(_nested(tmp_path, behind))
    logging.getLogger("shop").info("fine %s", ["list"])
    logging.getLogger("shop").handlers[0].flush()

    assert lines(tmp_path / "app.log") == ["INFO fine ['list']"]


@pytest.mark.usefixtures("unconfigured")
def test_handlers_that_write_through_each_other_are_rejected(tmp_path: pathlib.Path) -> None:
    """Whichever of them is created last."""
    behind = {"class": "concurrent_log.BackgroundHandler", "handlers": ["file", "background"]}
    with pytest.raises(ValueError, match="'behind'") as raised:
        logging.config.dictConfig(_nested(tmp_path, behind))

    assert str(raised.value.__cause__) == "handlers: 'behind' would write through itself"


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize("worker", ["thread", "process"])
def test_incremental_configuration_changes_levels(tmp_path: pathlib.Path, worker: str) -> None:
    """Of the handlers that write, for later records; those that are queued are written as in the logging call."""
    logging.config.dictConfig(configuration(tmp_path, worker=worker, handlers=["file"]))
    logger = logging.getLogger("shop")
    logger.info("before")
    logging.config.dictConfig({"version": 1, "incremental": True, "handlers": {"file": {"level": "ERROR"}}})
    logger.info("between")
    logging.config.dictConfig({"version": 1, "incremental": True, "handlers": {"background": {"level": "CRITICAL"}}})
    logger.error("after")
    logger.critical("last")
    logger.handlers[0].flush()

    assert lines(tmp_path / "app.log") == ["INFO before", "CRITICAL last"]


_INI = """
[loggers]
keys = root, shop
[handlers]
keys = {keys}
[formatters]
keys = plain
[logger_root]
handlers =
[logger_shop]
qualname = shop
level = INFO
handlers = background
[handler_background]
class = concurrent_log.BackgroundHandler
{background}
[handler_file]
class = handlers.ConcurrentTimedRotatingFileHandler
args = ({path!r},)
formatter = plain
[formatter_plain]
format = %(levelname)s %(message)s
"""


def _ini(folder: pathlib.Path, background: str, keys: str = "background, file") -> str:
    path = folder / "logging.ini"
    path.write_text(_INI.format(keys=keys, background=background, path=str(folder / "app.log")))
    return str(path)


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize("keys", ["background, file", "file,background"])
@pytest.mark.parametrize("arguments", ["args = (['file'],)", "kwargs = {'handlers': ['file'], 'capacity': 5}"])
def test_configuration_file_names_the_handlers(tmp_path: pathlib.Path, keys: str, arguments: str) -> None:
    """P6: in any order."""
    logging.config.fileConfig(_ini(tmp_path, arguments, keys), disable_existing_loggers=False)
    logging.getLogger("shop").info("fine")
    logging.getLogger("shop").handlers[0].flush()

    assert lines(tmp_path / "app.log") == ["INFO fine"]


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize(
    ("background", "message"),
    [
        ("args = (['fiel'],)", "handlers: no handler has the name 'fiel'; known names: 'background', 'file'"),
        ("args = (['background'],)", "handlers: 'background' would write through itself"),
        (
            "args = (['file'],)\nformatter = plain",
            "BackgroundHandler formats nothing: set the formatter on its handlers ('file'), which write",
        ),
    ],
)
def test_invalid_configuration_file_is_rejected(tmp_path: pathlib.Path, background: str, message: str) -> None:
    """When the configuration is applied, with one line."""
    with pytest.raises(ValueError, match="handlers") as raised:
        logging.config.fileConfig(_ini(tmp_path, background))

    assert str(raised.value) == message


@pytest.mark.usefixtures("unconfigured")
def test_existing_loggers_are_disabled_as_usual(tmp_path: pathlib.Path) -> None:
    """Also if a background handler of the earlier configuration wrote their records."""
    logging.config.dictConfig(configuration(tmp_path))
    logging.getLogger("shop").info("before")
    logging.getLogger("shop").handlers[0].flush()
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
    logging.getLogger("shop").info("after")

    assert logging.getLogger("shop").disabled
    assert lines(tmp_path / "app.log") == ["INFO before"]
    logging.getLogger("shop").disabled = False
