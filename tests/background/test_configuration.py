"""Formatters that a configuration sets on the background handler, and the configuration that is being applied."""

import logging
import logging.config
import pathlib
from typing import Any

import pytest

from concurrent_log import BackgroundHandler, ConcurrentRotatingFileHandler
from concurrent_log.background.configuration import current_configuration
from support.background_handlers import CollectingHandler, Create
from support.records import lines, write

_REFUSED = "BackgroundHandler formats nothing: set the formatter on its handlers ({}), which write"


def _dictionary(folder: pathlib.Path, **background: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "formatters": {"plain": {"format": "%(levelname)s %(message)s"}},
        "handlers": {
            "background": {"class": "concurrent_log.BackgroundHandler", "handlers": ["file"], **background},
            "file": {"class": "logging.FileHandler", "filename": str(folder / "app.log")},
        },
        "loggers": {"shop": {"handlers": ["background"], "level": "INFO"}},
    }


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize("background", [{"formatter": "plain"}, {".": {"formatter": logging.Formatter()}}])
def test_formatter_in_a_configuration_is_refused(tmp_path: pathlib.Path, background: dict[str, Any]) -> None:
    """When it is applied; the message says where the formatter belongs."""
    with pytest.raises(ValueError, match="'background'") as raised:
        logging.config.dictConfig(_dictionary(tmp_path, **background))

    assert str(raised.value.__cause__) == _REFUSED.format("'file'")


@pytest.mark.usefixtures("unconfigured")
@pytest.mark.parametrize(
    ("background", "message"),
    [
        ({"formatter": "plain"}, _REFUSED.format("'file'")),
        ({"handlers": ["fiel"]}, "handlers: no handler has the name 'fiel'; known names: 'background', 'file'"),
        ({"handlers": []}, "handlers is empty: add the handlers that write the records"),
    ],
    ids=["formatter", "name", "empty"],
)
def test_error_is_printed_where_the_exception_hides_it(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], background: dict[str, Any], message: str
) -> None:
    """Gunicorn shows the exception of dictConfig, which only names the handler, and not its cause."""
    with pytest.raises(ValueError, match=r"^Unable to configure handler 'background'$"):
        logging.config.dictConfig(_dictionary(tmp_path, **background))

    assert capsys.readouterr().err == f"concurrent_log: {message}\n"


def _set_in_subclass(handler: BackgroundHandler) -> None:
    class Own(BackgroundHandler):
        def __init__(self) -> None:
            super().__init__(handler._handlers)
            self.formatter = logging.Formatter()

    Own()


@pytest.mark.parametrize(
    "set_formatter",
    [
        lambda handler: handler.setFormatter(logging.Formatter()),
        lambda handler: setattr(handler, "formatter", logging.Formatter()),
        _set_in_subclass,
    ],
    ids=["method", "attribute", "subclass"],
)
def test_formatter_in_a_program_is_refused(
    create: Create, set_formatter: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """P6: it would have no effect. The handler stays as it was."""
    target = CollectingHandler()
    handler = create(target)
    with pytest.raises(ValueError, match=r"^BackgroundHandler formats nothing") as raised:
        set_formatter(handler)
    write(handler, "this")
    handler.flush()

    assert str(raised.value) == _REFUSED.format(repr(target))
    assert target.texts == ["this"]
    assert capsys.readouterr().err == ""


def test_no_formatter_may_be_set(create: Create) -> None:
    """Programs reset handlers by ``setFormatter(None)``."""
    handler = create(CollectingHandler())
    handler.setFormatter(None)

    assert handler.formatter is None


def _use_own_root(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """Return a new root logger for `logging.basicConfig`; pytest adds handlers to the usual one."""
    logger = logging.RootLogger(logging.INFO)
    monkeypatch.setattr(logging, "root", logger)
    return logger


def test_basic_config_formats_as_without_the_background_handler(
    create: Create, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sets a formatter on every handler that has none; here on those that write, at any depth."""
    direct, plain, own = (
        ConcurrentRotatingFileHandler(tmp_path / f"{name}.log") for name in ("direct", "plain", "own")
    )
    own.setFormatter(logging.Formatter("own %(message)s"))
    handler = create(own, create(plain))
    root = _use_own_root(monkeypatch)
    logging.basicConfig(handlers=[direct, handler], format="{levelname} {message}", style="{")
    root.info("this")
    handler.flush()
    direct.close()

    assert lines(tmp_path / "direct.log") == lines(tmp_path / "plain.log") == ["INFO this"]
    assert lines(tmp_path / "own.log") == ["own this"]


def test_basic_config_formats_by_default(
    create: Create, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in another process, and for a subclass that adds something to ``setFormatter``."""

    class Own(BackgroundHandler):
        def setFormatter(self, fmt: logging.Formatter | None) -> None:
            super().setFormatter(fmt)

    handler = create(ConcurrentRotatingFileHandler(tmp_path / "app.log"), kind=Own, worker="process")
    root = _use_own_root(monkeypatch)
    logging.basicConfig(handlers=[handler])
    root.info("this")
    handler.flush()

    assert lines(tmp_path / "app.log") == ["INFO:root:this"]


def test_no_configuration_is_applied_in_a_program() -> None:
    """The names in a program are those of handlers that exist."""
    assert current_configuration() is None
