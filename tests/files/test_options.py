"""The options of the handlers: rejected values, and all arguments that users of concurrent-log-handler pass."""

import datetime
import importlib
import inspect
import logging.config
import os
import pathlib
import re
import subprocess
import sys
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from concurrent_log import ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler
from support.paths import DOCS
from support.records import HOUR, TEN, Watched, WatchedByDay, WatchedBySize, files, lines, write

Handler = type[ConcurrentRotatingFileHandler] | type[ConcurrentTimedRotatingFileHandler]
_BOTH = [ConcurrentRotatingFileHandler, ConcurrentTimedRotatingFileHandler]


# Bad input

_REFUSED_BY_BOTH = [
    ({"backupCount": -1}, ValueError, "backupCount=-1 must not be negative"),
    ({"backupCount": "3"}, TypeError, "backupCount must be a whole number, not '3'"),
    ({"maxBytes": -1}, ValueError, "maxBytes=-1 must not be negative; 0 is no limit"),
    ({"maxBytes": 1.5}, TypeError, "maxBytes must be a whole number, not 1.5"),
    ({"maxBytes": float("inf")}, TypeError, "maxBytes must be a whole number, not inf"),
    ({"maxBytes": 1e19}, ValueError, "is more than any file system can hold; 0 is no limit"),
    ({"backupCount": 2.5}, TypeError, "backupCount must be a whole number, not 2.5"),
    ({"backupCount": -1.0}, ValueError, "backupCount=-1 must not be negative"),
    ({"maxBytes": "10 MB"}, TypeError, "maxBytes must be a whole number, not '10 MB'"),
    ({"encoding": "utf-9"}, ValueError, "encoding='utf-9' is unknown"),
    ({"encoding": "hex"}, ValueError, "encoding='hex' is unknown"),
    ({"encoding": 8}, TypeError, "encoding must be a string"),
    ({"errors": "shrug"}, ValueError, "errors='shrug' is unknown"),
    ({"encoding": "undefined"}, ValueError, "encoding='undefined' is unknown"),
    ({"encoding": "utf\0-8"}, ValueError, "encoding='utf\\x00-8' is unknown"),
    ({"errors": 5}, TypeError, "errors must be a string such as 'replace', not 5"),
    ({"terminator": b"\n"}, TypeError, "terminator must be a string"),
    ({"newline": "\n\n"}, ValueError, "newline='\\n\\n' must be None, '', '\\n', '\\r' or '\\r\\n'"),
    ({"newline": ["\n"]}, ValueError, "newline=['\\n'] must be None"),
    ({"lock_timeout": -1}, ValueError, "lock_timeout=-1"),
    ({"lock_timeout": None}, TypeError, "lock_timeout must be a number of seconds"),
    ({"keep_file_open": "no"}, TypeError, "keep_file_open must be True, False or None, not 'no'"),
    ({"maxBytes": 2**63}, ValueError, "is more than any file system can hold; 0 is no limit"),
    ({"delay": "false"}, TypeError, "delay must be True, False or None, not 'false'"),
    ({"use_gzip": "yes"}, TypeError, "use_gzip must be True or False, not 'yes'"),
    (
        {"owner": ("no-such-user", None)},
        ValueError,
        "owner: user 'no-such-user' is unknown here; use an existing name or a number",
    ),
    (
        {"owner": (None, "no-such-group")},
        ValueError,
        "owner: group 'no-such-group' is unknown here; use an existing name or a number",
    ),
    ({"owner": "root"}, TypeError, "owner must be a user and a group such as ('www-data', 'adm'), not 'root'"),
    ({"owner": ("root",)}, TypeError, "owner must be a user and a group"),
    ({"owner": (1.5, None)}, TypeError, "owner: the user must be a name or a number, not 1.5"),
    ({"owner": (-2, None)}, ValueError, "owner: user -2 must not be negative; None leaves the user unchanged"),
    ({"owner": (2**32 - 1, None)}, ValueError, "owner: user 4294967295 must not be above 4294967294"),
    ({"owner": b"ab"}, TypeError, "owner must be a user and a group such as ('www-data', 'adm'), not b'ab'"),
    ({"chmod": "0640"}, TypeError, "chmod='0640' must be a mode such as 0o640"),
    ({"chmod": 640}, ValueError, "chmod=0o1200 must let the owner read and write: use chmod=0o600 or umask=0o077"),
    ({"chmod": 0o70000}, ValueError, "chmod=0o70000 must be a mode such as 0o640, from 0 to 0o7777"),
    ({"umask": -1}, ValueError, "umask=-0o1 must be a mask such as 0o027, from 0 to 0o777"),
    ({"umask": True}, TypeError, "umask=True must be a mask such as 0o027"),
    ({"lock_file_directory": 3}, TypeError, "lock_file_directory must be a path, not 3"),
    ({"filename": 5}, TypeError, "filename must be a path, not 5"),
    ({"filename": "a\0b"}, ValueError, "filename='a\\x00b' contains a null character; remove it"),
    ({"filename": "~/app.log"}, ValueError, "filename='~/app.log' begins with '~', which is not expanded: use"),
    (
        {"filename": pathlib.Path("~/app.log")},
        ValueError,
        "use os.path.expanduser('~/app.log'), or './~/app.log' for",
    ),
    ({"filename": "~www-data/app.log"}, ValueError, "filename='~www-data/app.log' begins with '~www-data', which is"),
    (
        {"filename": "$HOME/app.log"},
        ValueError,
        "filename='$HOME/app.log' contains '$HOME', which is not expanded: use",
    ),
    (
        {"filename": "${HOME}/x.log"},
        ValueError,
        "use os.path.expandvars('${HOME}/x.log'), or a relative path",
    ),
    ({"filename": b"/var/log/$USER/app.log"}, ValueError, "filename='/var/log/$USER/app.log' contains '$USER'"),
    ({"lock_file_directory": "~/locks"}, ValueError, "lock_file_directory='~/locks' begins with '~'"),
    ({"filename": "/"}, IsADirectoryError, "filename is a folder"),
    ({"filename": "/proc/none/app.log"}, OSError, "cannot write the log file /proc/none/app.log"),
    ({"filename": "/proc/none/app.log", "delay": True}, OSError, "use a path that this user may write to"),
    ({"debug": True}, ValueError, "debug=True is not supported: errors are reported through handleError; omit debug"),
    ({"unicode_error_policy": "drop"}, ValueError, "unicode_error_policy='drop' must be 'ignore', 'replace' or"),
    ({"unicode_error_policy": "ignore", "errors": "replace"}, ValueError, "contradict each other: omit one"),
    ({"maxbytes": 5}, TypeError, "unexpected keyword argument 'maxbytes'"),
    ({"mode": "w"}, ValueError, "mode='w' would empty a file that other processes write: use 'a'"),
]
_REFUSED_BY_TIMED = [
    ({"when": "X"}, ValueError, "when='X'"),
    ({"when": "W7"}, ValueError, "W0 (Monday) to W6"),
    ({"interval": 0}, ValueError, "interval=0"),
    ({"utc": "no"}, TypeError, "utc must be True or False, not 'no'"),
    ({"interval": 1.5}, TypeError, "interval must be a whole number, not 1.5"),
    ({"atTime": "12:00"}, TypeError, "atTime must be a datetime.time, not '12:00'"),
    ({"timezone": "Asia/Seul"}, ValueError, "timezone='Asia/Seul' is unknown: use an IANA name such as 'Asia/Seoul'"),
    ({"timezone": "Asia/Seul"}, ValueError, "python -m pip install tzdata"),
    ({"timezone": "../etc/passwd"}, ValueError, "timezone='../etc/passwd' is unknown"),
    ({"timezone": 9}, TypeError, "timezone must be a name such as 'Asia/Seoul' or a datetime.tzinfo, not 9"),
    ({"timezone": "Asia/Seoul", "utc": True}, ValueError, "utc=True and timezone='Asia/Seoul' are two zones"),
]
_REFUSED_BY_SIZE = [
    ({"mode": None}, ValueError, "mode=None would empty a file"),
    ({"mode": "x"}, ValueError, "mode='x' would empty a file"),
    ({"when": "H"}, TypeError, "unexpected keyword argument 'when'"),
]


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "says"),
    [(kind, *case) for kind in _BOTH for case in _REFUSED_BY_BOTH]
    + [(ConcurrentTimedRotatingFileHandler, *case) for case in _REFUSED_BY_TIMED]
    + [(ConcurrentRotatingFileHandler, *case) for case in _REFUSED_BY_SIZE],
)
def test_invalid_argument_is_rejected_at_once(
    tmp_path: pathlib.Path, kind: Handler, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    """The constructor raises one clear line with the argument, the value and the remedy, and leaves no file."""
    with pytest.raises(error) as caught:
        kind(**{"filename": tmp_path / "app.log", **arguments})

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("set_later", [False, True])
def test_whole_floats_count_as_integers(tmp_path: pathlib.Path, set_later: bool) -> None:
    """As in the standard classes, ``maxBytes=1e3``, ``backupCount=2.0`` and ``interval=1.0`` are accepted."""
    limits: dict[str, Any] = {"maxBytes": 1e3, "backupCount": 2.0}
    interval: Any = 1.0
    arguments = {} if set_later else limits
    by_size = WatchedBySize(tmp_path / "size.log", **arguments)
    by_time = Watched(tmp_path / "time.log", when="H", interval=interval, utc=True, **arguments)
    by_day = WatchedByDay(tmp_path / "days", **arguments)
    for handler in (by_size, by_time, by_day):
        if set_later:
            vars(handler).update(limits)
        for number in range(9):
            write(handler, f"{number}{400 * '.'}", TEN + number // 3 * HOUR)
        handler.close()

    assert by_size.problems == by_time.problems == by_day.problems == []
    assert {name: len(found) for name, found in files(tmp_path).items()} == {
        "size.log": 1,
        "size.log.1": 2,
        "size.log.2": 2,
        "time.log": 1,
        "time.log.2024-05-17_10": 2,
        "time.log.2024-05-17_10.0001": 1,
        "time.log.2024-05-17_11": 2,
        "time.log.2024-05-17_11.0001": 1,
        "time.log.2024-05-17_12": 2,
    }
    assert max(len(found) for found in files(tmp_path / "days").values()) == 2


@pytest.mark.parametrize(
    "name", ["./~/app.log", "./$HOME/app.log", "~app.log", "app~1.log", "cost-in-$.log", "a$b/x.log"]
)
def test_name_that_is_meant_literally_is_used(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """``./`` at the beginning, or a character that no shell expands there: the file has exactly that name."""
    monkeypatch.chdir(tmp_path)
    handler = WatchedBySize(name)
    write(handler, "record")
    handler.close()

    assert lines(tmp_path / name) == ["record"]


def test_folder_of_dated_files_is_not_expanded() -> None:
    """The error names the argument that was given."""
    with pytest.raises(ValueError, match="folder='~/logs' begins with '~', which is not expanded: use"):
        WatchedByDay("~/logs")


# The zone


@pytest.mark.parametrize(
    "timezone", ["Asia/Seoul", ZoneInfo("Asia/Seoul"), datetime.timezone(datetime.timedelta(hours=9))]
)
def test_periods_and_names_follow_the_zone(tmp_path: pathlib.Path, timezone: Any) -> None:
    """P3: midnight is that of Seoul, 15:00 UTC, in every zone of the machine."""
    handler = Watched(tmp_path / "app.log", when="midnight", timezone=timezone)
    write(handler, "the 17th", TEN + 5 * HOUR - 1)
    write(handler, "the 18th", TEN + 5 * HOUR)
    handler.close()

    assert files(tmp_path) == {"app.log": ["the 18th"], "app.log.2024-05-17": ["the 17th"]}


def test_time_of_day_is_that_of_the_zone(tmp_path: pathlib.Path) -> None:
    """P3: atTime is a time of the zone, and the name contains the start of the period."""
    handler = Watched(tmp_path / "app.log", when="midnight", atTime=datetime.time(18, 30), timezone="Asia/Kolkata")
    write(handler, "before", TEN + 3 * HOUR - 1)  # 18:29:59 in Kolkata
    write(handler, "after", TEN + 3 * HOUR)
    handler.close()

    assert files(tmp_path) == {"app.log": ["after"], "app.log.2024-05-16": ["before"]}


def test_zone_of_the_machine_does_not_matter(tmp_path: pathlib.Path) -> None:
    """P3: a process under TZ=UTC rolls over by the clock of Seoul, throughout the life of the file."""
    program = (
        "import sys, logging, concurrent_log\n"
        "h = concurrent_log.ConcurrentTimedRotatingFileHandler('app.log', when='midnight', timezone='Asia/Seoul')\n"
        "for line in sys.stdin:\n"
        "    r = logging.makeLogRecord({'msg': line.strip()}); r.created = float(line); h.handle(r)\n"
    )
    moments = [TEN + 4 * HOUR, TEN + 5 * HOUR, TEN + 14 * HOUR, TEN + 29 * HOUR]
    for zone, half in (("UTC", moments[:2]), ("America/New_York", moments[2:])):
        subprocess.run(
            [sys.executable, "-c", program],
            input="".join(f"{moment}\n" for moment in half),
            cwd=tmp_path,
            env={**os.environ, "TZ": zone},
            text=True,
            check=True,
        )

    assert files(tmp_path) == {
        "app.log": [str(moments[3])],
        "app.log.2024-05-17": [str(moments[0])],
        "app.log.2024-05-18": [str(moments[1]), str(moments[2])],
    }


@pytest.mark.parametrize(
    ("day", "hours"),
    [(datetime.date(2024, 3, 31), 23), (datetime.date(2024, 10, 27), 25), (datetime.date(2024, 5, 1), 24)],
)
def test_day_of_a_clock_change_is_one_file(tmp_path: pathlib.Path, day: datetime.date, hours: int) -> None:
    """P3: a day of 23 or 25 hours begins and ends at midnight of the zone."""
    handler = Watched(tmp_path / "app.log", when="midnight", timezone="Europe/Berlin")
    midnight = datetime.datetime.combine(day, datetime.time(), ZoneInfo("Europe/Berlin")).timestamp()
    for hour in range(-1, hours + 1):
        write(handler, f"{hour}", midnight + hour * HOUR)
    handler.close()

    assert files(tmp_path)[f"app.log.{day}"] == [f"{hour}" for hour in range(hours)]


# Newlines


@pytest.mark.parametrize(
    ("newline", "terminator", "expected"),
    [
        (None, "\n", b"a\nb\n"),
        ("", "\r\n", b"a\nb\r\n"),
        ("\n", "\n", b"a\nb\n"),
        ("\r\n", "\n", b"a\r\nb\r\n"),
        ("\r", "\n", b"a\rb\r"),
        (None, "\0", b"a\nb\0"),
    ],
)
@pytest.mark.parametrize("kind", [Watched, WatchedBySize])
def test_newlines_are_written_as_configured(
    tmp_path: pathlib.Path, kind: Handler, newline: str | None, terminator: str, expected: bytes
) -> None:
    """P6: newline and terminator have the meaning of concurrent-log-handler on POSIX, and of open()."""
    handler = kind(tmp_path / "app.log", newline=newline, terminator=terminator)
    write(handler, "a\nb")
    handler.close()

    assert (tmp_path / "app.log").read_bytes() == expected


def test_torn_record_is_closed_with_the_newline_of_the_file(tmp_path: pathlib.Path) -> None:
    """P1: a torn record of a killed process ends with the same two bytes as every record."""
    half = b"x" * 4096
    (tmp_path / "app.log").write_bytes(half)
    handler = WatchedBySize(tmp_path / "app.log", newline="\r\n")
    write(handler, "whole")
    handler.close()

    assert (tmp_path / "app.log").read_bytes() == half[:-2] + b"\r\nwhole\r\n"


# Migration from concurrent-log-handler

_DOCS = DOCS / "migrating.md"


@pytest.fixture
def peer(require: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return concurrent-log-handler, which replaces our classes in ``logging.handlers`` only during the test."""
    require("concurrent_log_handler")
    for kind in _BOTH:
        monkeypatch.setattr(logging.handlers, kind.__name__, kind)
    return importlib.import_module("concurrent_log_handler")


@pytest.mark.parametrize("name", ["ConcurrentRotatingFileHandler", "ConcurrentTimedRotatingFileHandler"])
def test_every_parameter_is_accepted_or_explained(peer: Any, name: str) -> None:
    """P6: every parameter of its handlers has a row in the table of the docs."""
    parameters = inspect.signature(getattr(peer, name)).parameters
    rows = re.findall(r"^\| (`.+?) \|", _DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert set(parameters) - {"kwargs"} <= documented


@pytest.mark.parametrize("name", ["ConcurrentRotatingFileHandler", "ConcurrentTimedRotatingFileHandler"])
def test_defaults_of_the_peer_are_accepted(peer: Any, tmp_path: pathlib.Path, name: str) -> None:
    """P6: a configuration that spells out its defaults needs no change."""
    import concurrent_log

    parameters = inspect.signature(getattr(peer, name)).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
    handler = getattr(concurrent_log, name)(tmp_path / "app.log", **defaults)
    handler.handle(logging.makeLogRecord({"msg": "caf\xe9"}))
    handler.close()

    assert lines(tmp_path / "app.log") == ["caf\xe9"]


@pytest.mark.parametrize("name", ["ConcurrentRotatingFileHandler", "ConcurrentTimedRotatingFileHandler"])
@pytest.mark.parametrize(
    ("policy", "expected"), [("ignore", b"caf\n"), ("replace", b"caf?\n"), ("strict", b"caf\\xe9\n")]
)
def test_error_policy_is_that_of_errors(tmp_path: pathlib.Path, name: str, policy: str, expected: bytes) -> None:
    """P6: with "strict" its handlers lose the record; here it is written with an escape."""
    import concurrent_log

    handler = getattr(concurrent_log, name)(tmp_path / "app.log", encoding="ascii", unicode_error_policy=policy)
    handler.handle(logging.makeLogRecord({"msg": "caf\xe9"}))
    handler.close()

    assert (tmp_path / "app.log").read_bytes() == expected


# The configurations in its README, with our classes and with sizes that this test can fill.
_THEIR_INI = """
[loggers]
keys = root

[handlers]
keys = concurrentRotatingFile, concurrentTimedRotatingFile

[formatters]
keys = simpleFormatter

[logger_root]
level = INFO
handlers = concurrentRotatingFile, concurrentTimedRotatingFile

[handler_concurrentRotatingFile]
class = concurrent_log.ConcurrentRotatingFileHandler
level = INFO
formatter = simpleFormatter
args = ("rotating_size.log", "a")
kwargs = {'maxBytes': 10485, 'backupCount': 5, 'use_gzip': True}

[handler_concurrentTimedRotatingFile]
class = concurrent_log.ConcurrentTimedRotatingFileHandler
level = INFO
formatter = simpleFormatter
args = ("rotating_timed.log",)
kwargs = {'when': 'H', 'interval': 1, 'backupCount': 24, 'use_gzip': True}

[formatter_simpleFormatter]
format = %(asctime)s - %(name)s - %(levelname)s - %(message)s
"""

_THEIR_DICT = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"simple": {"format": "%(asctime)s - %(name)s - %(levelname)s - %(message)s"}},
    "handlers": {
        "size": {
            "class": "concurrent_log.ConcurrentRotatingFileHandler",
            "formatter": "simple",
            "filename": "rotating_size.log",
            "mode": "a",
            "maxBytes": 10485,
            "backupCount": 5,
            "use_gzip": True,
            "encoding": "utf-8",
            "owner": None,
            "chmod": 0o640,
            "umask": 0o022,
            "newline": "",
            "terminator": "\n",
            "lock_file_directory": "locks",
            "keep_file_open": True,
            "debug": False,
            "delay": None,
            "unicode_error_policy": "ignore",
        },
        "timed": {
            "class": "concurrent_log.ConcurrentTimedRotatingFileHandler",
            "formatter": "simple",
            "filename": "rotating_timed.log",
            "when": "D",
            "interval": 1,
            "backupCount": 7,
            "maxBytes": 20971,
            "use_gzip": True,
            "mode": "a",
        },
    },
    "root": {"level": "INFO", "handlers": ["size", "timed"]},
}

_CONFIGURED = """
import json, logging, logging.config, sys, threading, time
import concurrent_log
given = sys.stdin.read()
if given.startswith("{"):
    logging.config.dictConfig(json.loads(given))
else:
    open("logging.ini", "w").write(given)
    logging.config.fileConfig("logging.ini")
for number in range(600):
    logging.getLogger("main").info("record %d", number)
while any(thread.name == "concurrent-log-gzip" for thread in threading.enumerate()):
    time.sleep(0.01)
"""


@pytest.mark.parametrize("form", ["ini", "dict"])
def test_configurations_of_the_peers_readme_work(tmp_path: pathlib.Path, form: str) -> None:
    """P6: with only the class path changed, each record is in both files once, and the backups are compressed."""
    import gzip
    import json

    given = _THEIR_INI if form == "ini" else json.dumps(_THEIR_DICT)
    subprocess.run([sys.executable, "-c", _CONFIGURED], input=given, cwd=tmp_path, text=True, check=True)

    for kind in ("size", "timed"):
        found = sorted(tmp_path.glob(f"rotating_{kind}.log*"))
        texts = [(gzip.decompress if path.suffix == ".gz" else bytes)(path.read_bytes()).decode() for path in found]
        numbers = [int(line.rsplit(" ", 1)[1]) for text in texts for line in text.splitlines()]
        assert sorted(numbers) == list(range(600))
        assert all(path.suffix == ".gz" for path in found if path.name != f"rotating_{kind}.log")
    assert len(list(tmp_path.glob("rotating_size.log.*.gz"))) == 2


def test_hook_for_subclasses_is_called(tmp_path: pathlib.Path) -> None:
    """P6: the subclass in its README, with a custom suffix, names backups accordingly, and they are found."""

    class CustomSuffixHandler(ConcurrentTimedRotatingFileHandler):
        def __init__(self, filename: pathlib.Path, custom_suffix: str, **kwargs: Any) -> None:
            self.custom_suffix = custom_suffix
            super().__init__(filename, **kwargs)

        def finalize_handler_configuration(self) -> None:
            super().finalize_handler_configuration()
            self.suffix = self.custom_suffix

    handler = CustomSuffixHandler(tmp_path / "app.log", "%Y-%m-%d_%H-%M-%S.log", when="D", utc=True, backupCount=2)
    for day in range(6):
        write(handler, f"{day}", TEN + day * 24 * HOUR)
    handler.close()

    assert files(tmp_path) == {
        "app.log": ["5"],
        "app.log.2024-05-20_00-00-00.log": ["3"],
        "app.log.2024-05-21_00-00-00.log": ["4"],
    }
