"""uvicorn in real processes: three spawned workers and their supervisor write one log file under load."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.processes import PROGRAMS, Load, serving
from support.programs.writing import CONFIGURATION, FORMAT
from support.record_counter import Record, assert_exactly_once, assert_in_order, backups, read_back

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the listening socket is inherited as a descriptor"),
]

_TO_FILE = {"level": "INFO", "handlers": ["file"]}
_JSON = json.dumps({**CONFIGURATION, "loggers": {"app": _TO_FILE, "uvicorn": _TO_FILE}})

_INI = """
[loggers]
keys=root,app,uvicorn

[handlers]
keys=file

[formatters]
keys=line

[logger_root]
level=INFO
handlers=

[logger_app]
level=INFO
qualname=app
handlers=file

[logger_uvicorn]
level=INFO
qualname=uvicorn
handlers=file

[handler_file]
class={handler}
args=("app.log", "S")
kwargs={{"utc": True}}
formatter=line

[formatter_line]
format={format}
"""


@pytest.fixture(autouse=True)
def _uvicorn(require: Callable[[str], None]) -> None:
    require("uvicorn")


def _command_line(log_config: str) -> Callable[[int], list[str]]:
    options = ["--workers", "3", "--lifespan", "off", "--log-config", log_config]
    return lambda fd: ["-m", "uvicorn", "asgi:application", "--fd", str(fd), *options]


def _check_under_load(folder: Path, arguments: Callable[[int], list[str]]) -> None:
    log_file = folder / "app.log"

    with serving(folder, arguments) as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 3)
            seen = len(backups(log_file))
            server.wait_until(lambda: len(backups(log_file)) >= seen + 2)
        server.stop()
    records = read_back(log_file)

    assert not load.unanswered
    assert_exactly_once(_of(records, "app"), load.ids(load.answered))
    assert_in_order(_of(records, "app"))
    assert_exactly_once(_of(records, "uvicorn.access"), load.answered)
    assert {record.process for record in records} == load.workers | {server.process.pid}


def _of(records: list[Record], logger: str) -> list[Record]:
    return [record for record in records if record.logger == logger]


def test_spawned_workers_lose_no_record_over_rollovers(tmp_path: Path) -> None:
    """P1, P2: three workers and the supervisor each load one JSON configuration, and share the file."""
    (tmp_path / "logging.json").write_text(_JSON, encoding="utf-8")

    _check_under_load(tmp_path, _command_line("logging.json"))


def test_ini_file_names_the_class_by_its_package(tmp_path: Path) -> None:
    """P1, P6: uvicorn imports the class from the full name in an ini file."""
    ini = _INI.format(handler="concurrent_log.ConcurrentTimedRotatingFileHandler", format=FORMAT)
    (tmp_path / "logging.ini").write_text(ini, encoding="utf-8")

    _check_under_load(tmp_path, _command_line("logging.ini"))


def test_ini_file_names_the_class_like_a_standard_one(tmp_path: Path) -> None:
    """P1, P6: ``handlers.NAME``, as for standard classes, works in a program that imports our package."""
    ini = _INI.format(handler="handlers.ConcurrentTimedRotatingFileHandler", format=FORMAT)
    (tmp_path / "logging.ini").write_text(ini, encoding="utf-8")

    _check_under_load(tmp_path, lambda fd: [str(PROGRAMS / "uvicorn_serve.py"), str(fd)])
