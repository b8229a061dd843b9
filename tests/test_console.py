"""Colour: the streams that get it, and its effect on a line; on a real terminal where that matters."""

import io
import logging
import logging.config
import os
import pathlib
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from concurrent_log.console import ColorFormatter, color_of, has_color
from concurrent_log.loggers import LogLevel

ESCAPES = re.compile(r"\033\[[0-9;]*m")
COLORS = {
    LogLevel.FATAL: "\033[41;97m",
    LogLevel.ERROR: "\033[91m",
    LogLevel.WARN: "\033[93m",
    LogLevel.INFO: "\033[92m",
    LogLevel.DEBUG: "\033[94m",
    LogLevel.TRACE: "\033[95m",
}


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all variables about colour from the environment."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def logged(stream: io.StringIO, level: int, message: str, **options: Any) -> str:
    """Return the output of a handler of ``stream`` for one record."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ColorFormatter("%(levelname)s %(message)s", stream=stream))
    logger = logging.Logger("colour")
    logger.addHandler(handler)
    logger.log(int(level), message, **options)
    return stream.getvalue()


@pytest.mark.parametrize(("level", "color"), COLORS.items())
def test_line_has_the_colour_of_its_level(level: LogLevel, color: str) -> None:
    """The colour starts at the beginning of the line and ends before the newline."""
    assert logged(Terminal(), level, "text") == f"{color}{logging.getLevelName(int(level))} text\033[0m\n"


def test_level_in_between_has_the_colour_of_the_next_lower() -> None:
    """A program's own levels get a colour, too."""
    assert color_of(25) == COLORS[LogLevel.INFO]
    assert color_of(99) == COLORS[LogLevel.FATAL]
    assert color_of(1) == COLORS[LogLevel.TRACE]


def test_traceback_stays_plain() -> None:
    """It is easier to read, and the record's cached text of it is the same in a file."""
    stream = Terminal()
    try:
        raise ValueError("cause")
    except ValueError:
        text = logged(stream, logging.ERROR, "failed", exc_info=True)
    line, traceback = text.split("\n", 1)

    assert line == "\033[91mERROR failed\033[0m"
    assert traceback.startswith("Traceback (most recent call last):\n")
    assert traceback.endswith("ValueError: cause\n")
    assert "\033" not in traceback


def test_other_handlers_of_the_record_see_no_colour() -> None:
    """The record itself is not changed."""
    terminal, file = Terminal(), io.StringIO()
    logger = logging.Logger("both")
    for stream in (terminal, file):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(ColorFormatter("%(levelname)s %(message)s", stream=stream))
        logger.addHandler(handler)
    logger.warning("text %d", 1, stack_info=True)

    assert "\033" in terminal.getvalue()
    assert file.getvalue() == ESCAPES.sub("", terminal.getvalue())


@pytest.mark.parametrize(
    ("variables", "of_terminal", "of_file"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": "0"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, True),
        ({"FORCE_COLOR": ""}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_environment_decides(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], of_terminal: bool, of_file: bool
) -> None:
    """NO_COLOR and FORCE_COLOR apply with any value except an empty one, as their sites define."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert has_color(Terminal()) is of_terminal
    assert has_color(io.StringIO()) is of_file


def test_stream_that_is_none_gets_no_colour() -> None:
    """P4: a program without a console has no standard error stream, and one may be closed."""
    closed = Terminal()
    closed.isatty = lambda: io.StringIO.isatty(closed)  # type: ignore[method-assign]  # raises when closed
    closed.close()

    assert not has_color(None)
    assert not has_color(object())
    assert not has_color(closed)


@pytest.mark.parametrize(("style", "form"), [("%", "%(message)s"), ("{", "{message}"), ("$", "$message")])
def test_formatter_has_the_arguments_of_the_standard_one(style: Any, form: str) -> None:
    """P6: format, style, date format and defaults have the same meaning."""
    formatter = ColorFormatter(form, "%H", style, defaults={"custom": 1}, stream=Terminal())
    record = logging.makeLogRecord({"msg": "text", "levelno": logging.INFO})

    assert formatter.format(record) == "\033[92mtext\033[0m"
    assert formatter.datefmt == "%H"
    with pytest.raises(ValueError, match=r"[Ii]nvalid format"):
        ColorFormatter("no field")


def test_formatter_can_be_pickled() -> None:
    """It keeps its decision about colour, because a terminal cannot be pickled."""
    formatter = pickle.loads(pickle.dumps(ColorFormatter("%(message)s", stream=Terminal())))

    assert formatter.format(logging.makeLogRecord({"msg": "text", "levelno": logging.ERROR})) == "\033[91mtext\033[0m"


@pytest.mark.parametrize(("stream", "colored"), [("ext://sys.stdout", False), ("ext://sys.stderr", True)])
def test_configuration_names_the_stream(monkeypatch: pytest.MonkeyPatch, stream: str, colored: bool) -> None:
    """P6: dictConfig creates the formatter with the handler's stream."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", Terminal())
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"color": {"()": "concurrent_log.console.ColorFormatter", "stream": stream}},
            "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "color", "stream": stream}},
            "loggers": {"configured": {"handlers": ["console"], "propagate": False}},
        }
    )
    logger = logging.getLogger("configured")
    logger.warning("text")
    written = (sys.stderr if colored else sys.stdout).getvalue()  # type: ignore[attr-defined]
    logger.handlers.clear()

    assert written == ("\033[93mtext\033[0m\n" if colored else "text\n")


# On a real terminal

_PROGRAM = """
import logging, sys
from concurrent_log.loggers import ConsoleLogger, LogLevel, Logger
Logger.init(ConsoleLogger(LogLevel.ALL))
for name in ("fatal", "error", "warn", "info", "debug", "trace"):
    getattr(Logger, name)(name)
Logger.close()
"""


def on_terminal(code: str, variables: dict[str, str] | None = None) -> str:
    """Return the output of a program on a terminal, which is its standard error stream."""
    import pty

    ours, theirs = pty.openpty()
    try:
        with os.fdopen(theirs, "wb") as terminal:
            environment = {**os.environ, **(variables or {})}
            subprocess.run([sys.executable, "-c", code], env=environment, stderr=terminal, check=True)
        written = b""
        try:
            while chunk := os.read(ours, 4096):
                written += chunk
        except OSError:
            pass  # Linux raises this at the end of a terminal.
        return written.decode().replace("\r\n", "\n")
    finally:
        os.close(ours)


@pytest.mark.skipif(sys.platform == "win32", reason="has no pty")
@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}])
def test_terminal_shows_each_level_in_its_colour(variables: dict[str, str]) -> None:
    """A real terminal, and a real program."""
    shown = on_terminal(_PROGRAM, variables).splitlines()

    assert len(shown) == len(COLORS)
    for line, (level, color) in zip(shown, COLORS.items(), strict=True):
        plain = ESCAPES.sub("", line)
        assert re.fullmatch(rf"\S+ \S+ \[.{{8}}\] console - \[<string>:\d\] {level.name.lower()}", plain)
        assert line == (plain if variables else f"{color}{plain}\033[0m")


@pytest.mark.skipif(sys.platform == "win32", reason="has no pty")
def test_redirected_program_writes_plain_lines(tmp_path: pathlib.Path) -> None:
    """Output to a file or a pipe has no escape sequences."""
    run = subprocess.run([sys.executable, "-c", _PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert len(run.stderr.splitlines()) == len(COLORS)
    assert "\033" not in run.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="has no pty")
@pytest.mark.skipif(sys.version_info < (3, 11), reason="tracebacks point at nothing yet")
def test_picture_shows_the_output_of_the_program(require: Callable[[str], None], tmp_path: pathlib.Path) -> None:
    """P7: the picture in the documentation is up to date, except for the time."""
    require("rich")
    from pictures import console

    console.draw(console.shown(), tmp_path / "now.svg")
    now, then = (_lines_of(path) for path in (tmp_path / "now.svg", console.PICTURE))

    assert len(then) > 8
    assert now == then


def _lines_of(picture: pathlib.Path) -> list[str]:
    found = re.findall(r'<text class="console-r\d+"[^>]*>([^<]*)</text>', picture.read_text("utf-8"))
    return [re.sub(r"\d{4}-\d\d-\d\d&#160;\d\d:\d\d:\d\d", "TIME", text) for text in found]
