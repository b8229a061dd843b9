"""Recipes of the field: programs configure logging as they do for the standard handlers, with ours in place of them."""

import inspect
import logging
import logging.handlers
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.deadlines import DEADLINE
from support.processes import environment, run, serving
from support.records import Watched, all_lines, files, write

_PROCESSES, _RECORDS = 4, 100
_EXPECTED = {f"{process}-{number}" for process in range(_PROCESSES) for number in range(_RECORDS)}


def _run_four(folder: Path, program: str) -> None:
    """Run a program in four processes at once; its argument is the number of the process."""
    path = folder / "program.py"
    path.write_text(program)
    started = [
        subprocess.Popen(
            [sys.executable, str(path), str(number)], cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
        )
        for number in range(_PROCESSES)
    ]
    errors = [process.communicate(timeout=DEADLINE)[1] for process in started]
    path.unlink()

    assert errors == [""] * _PROCESSES


# Moonraker: a header with facts about the program, at the start and after each rollover, which a request may force.


def _printer_log(base: type[logging.handlers.TimedRotatingFileHandler]) -> Any:
    class PrinterLog(base):  # type: ignore[valid-type,misc]
        def __init__(self, facts: dict[str, Any], **options: Any) -> None:
            super().__init__(facts["log_file"], **options)
            self.facts = facts
            self.rollover_info: dict[str, str] = {}

        def set_rollover_info(self, name: str, item: str) -> None:
            self.rollover_info[name] = item

        def doRollover(self) -> None:
            super().doRollover()
            self.write_header()

        def write_header(self) -> None:
            if self.stream is None:
                return
            self.stream.write("--- Log Start ---\n")
            self.stream.write("\n".join(f"{name}: {fact}" for name, fact in self.facts.items()) + "\n")
            if self.rollover_info:
                self.stream.write("\n".join(self.rollover_info.values()) + "\n")

    return PrinterLog


_MOONRAKER = """
import logging, logging.handlers, sys
from typing import Any
from concurrent_log import ConcurrentTimedRotatingFileHandler
{subclass}
process = sys.argv[1]
handler = _printer_log(ConcurrentTimedRotatingFileHandler)({{"log_file": "moonraker.log"}}, when="midnight")
handler.write_header()
for number in range({records}):
    if number == 50:
        handler.doRollover()
    handler.handle(logging.makeLogRecord({{"msg": f"{{process}}-{{number}}"}}))
handler.close()
"""


@pytest.mark.parametrize("base", [logging.handlers.TimedRotatingFileHandler, Watched], ids=["standard", "ours"])
def test_moonraker_header_begins_each_file(tmp_path: Path, base: Any) -> None:
    """The records come through a `QueueListener`; another thread requests the rollover."""
    facts = {"log_file": str(tmp_path / "moonraker.log"), "version": "0.9"}
    header = ["--- Log Start ---", *(f"{name}: {fact}" for name, fact in facts.items())]
    handler = _printer_log(base)(facts, when="midnight", backupCount=2)
    handler.write_header()
    write(handler, "first")
    handler.set_rollover_info("config", "[server]")
    request = threading.Thread(target=handler.doRollover)
    request.start()
    request.join()
    write(handler, "second")
    handler.close()

    found = files(tmp_path)
    current = found.pop("moonraker.log")
    assert list(found.values()) == [[*header, "first"]]
    assert current == [*header, "[server]", "second"]


@pytest.mark.slow
def test_moonraker_in_four_processes(tmp_path: Path) -> None:
    """Each process writes its header at the start and after the rollover that it requests."""
    _run_four(tmp_path, _MOONRAKER.format(subclass=inspect.getsource(_printer_log), records=_RECORDS))
    counts = Counter(all_lines(tmp_path))

    assert counts.pop("--- Log Start ---") == counts.pop("log_file: moonraker.log") == 2 * _PROCESSES
    assert counts == Counter(_EXPECTED)


# Django: the documented LOGGING, with formatters in two styles, filters, a console, mail to the admins and a file.

_DJANGO = """
import sys, logging, django
from django.conf import settings
LOGGING = {{
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {{
        "verbose": {{"format": "{{levelname}} {{module}} {{process:d}} {{thread:d}} {{message}}", "style": "{{"}},
        "simple": {{"format": "{{levelname}} {{message}}", "style": "{{"}},
    }},
    "filters": {{
        "require_debug_true": {{"()": "django.utils.log.RequireDebugTrue"}},
        "require_debug_false": {{"()": "django.utils.log.RequireDebugFalse"}},
    }},
    "handlers": {{
        "console": {{
            "level": "INFO", "filters": ["require_debug_true"], "class": "logging.StreamHandler", "formatter": "simple",
        }},
        "file": {{
            "level": "DEBUG", "class": "{handler}", "filename": "debug.log", "formatter": "verbose", **{options},
        }},
        "mail_admins": {{
            "level": "ERROR", "class": "django.utils.log.AdminEmailHandler", "filters": ["require_debug_false"],
        }},
    }},
    "loggers": {{
        "django": {{"handlers": ["console", "file"], "propagate": True}},
        "django.request": {{"handlers": ["mail_admins", "file"], "level": "ERROR", "propagate": False}},
        "shop.custom": {{"handlers": ["console", "mail_admins", "file"], "level": "INFO"}},
    }},
}}
settings.configure(LOGGING=LOGGING, DEBUG=False, ALLOWED_HOSTS=["*"])
django.setup()
process = sys.argv[1]
for number in range({records}):
    name = ("shop.custom", "django.security", "django.request")[number % 3]
    logging.getLogger(name).error("%s-%d", process, number)
logging.getLogger("shop.custom").debug("below the level of the logger")
"""
_DJANGO_HANDLERS = pytest.mark.parametrize(
    ("handler", "options"),
    [
        ("concurrent_log.ConcurrentTimedRotatingFileHandler", {"when": "midnight", "maxBytes": 4000}),
        ("concurrent_log.ConcurrentRotatingFileHandler", {"maxBytes": 4000, "backupCount": 100}),
    ],
    ids=["by time", "by size"],
)


def _messages(folder: Path) -> Counter[str]:
    matches = [re.fullmatch(r"ERROR program \d+ \d+ (\d-\d+)", line) for line in all_lines(folder)]
    return Counter(match[1] if match else "other" for match in matches)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, _PROCESSES])
@_DJANGO_HANDLERS
def test_django_documented_logging(
    tmp_path: Path, require: Callable[[str], None], handler: str, options: dict[str, Any], processes: int
) -> None:
    """Loggers of Django and of the project write one file, whose handler the configuration names."""
    require("django")
    program = _DJANGO.format(handler=handler, options=options, records=_RECORDS)
    if processes == 1:
        (tmp_path / "program.py").write_text(program)
        run(tmp_path, "program.py", "0")
        (tmp_path / "program.py").unlink()
    else:
        _run_four(tmp_path, program)

    assert _messages(tmp_path) == Counter(each for each in _EXPECTED if int(each[0]) < processes)
    assert len(files(tmp_path)) > 1


# Celery: `after_setup_logger`, with ``worker_hijack_root_logger=False``.


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 4])
def test_celery_recipe_with_a_prefork_worker(tmp_path: Path, require: Callable[[str], None], concurrency: int) -> None:
    """Both loggers write one file, from the main process and from those of the pool."""
    require("celery")
    options = ["--pool", "prefork", "--concurrency", str(concurrency), "--loglevel", "INFO", "--without-gossip"]
    arguments = ["-m", "celery", "--app", "celery_recipe", "worker", "--without-mingle", *options]

    def lines() -> list[list[str]]:
        paths = sorted(tmp_path.glob("app.log*"))
        return [line.split("|") for path in paths for line in path.read_text("utf-8").splitlines()]

    with serving(tmp_path, lambda fd: arguments) as server:
        server.wait_until(lambda: sum(" succeeded in " in line[-1] for line in _tolerant(lines)) == 40)
        server.stop()
    found = lines()

    sold = Counter(line[2] for line in found if line[1] == "shop")
    assert sold == Counter(f"sold {number}-{part}" for number in range(40) for part in range(5))
    assert [line[1] for line in found if line[2].startswith("ready in ")] == ["shop.main"]
    processes = {line[0] for line in found if line[1] == "shop"}
    assert min(2, concurrency) <= len(processes) <= concurrency  # On a busy machine, some of them sell nothing.
    assert len(list(tmp_path.glob("app.log.*"))) > 2


def _tolerant(lines: Callable[[], list[list[str]]]) -> list[list[str]]:
    """Return the lines, or none while a rollover renames a file that is about to be read."""
    try:
        return lines()
    except FileNotFoundError:
        return []
