"""The public names of the package."""

import logging.handlers
import pathlib
import subprocess
import sys

import pytest

import concurrent_log


def test_public_names_are_pinned() -> None:
    """P6: adding or removing a public name requires a change of this list."""
    names = ["BackgroundHandler", "ConcurrentRotatingFileHandler", "ConcurrentTimedRotatingFileHandler"]

    assert concurrent_log.__all__ == names


@pytest.mark.parametrize("name", concurrent_log.__all__)
def test_handler_is_registered_beside_the_standard_ones(name: str) -> None:
    """P6: a configuration finds the handlers under ``logging.handlers`` after the package is imported."""
    assert getattr(logging.handlers, name) is getattr(concurrent_log, name)


def test_import_is_light() -> None:
    """Importing the package starts no thread and imports portalocker, but none of the extras."""
    program = (
        "import sys, threading, concurrent_log\n"
        "assert threading.active_count() == 1\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
    )
    run = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    extras = {"rich", "celery", "django", "gunicorn", "uvicorn", "pytest", "hypothesis", "markdown_it"}

    assert "portalocker" in run.stdout.split()
    assert not extras & set(run.stdout.split())


def test_records_and_rollovers_import_nothing(tmp_path: pathlib.Path) -> None:
    """P1: an import under the lock could block forever, after a signal handler raised during an import."""
    program = (
        "import concurrent_log, logging, sys, threading, time\n"
        "options = {'maxBytes': 99, 'use_gzip': True, 'backupCount': 2}\n"
        "timed = concurrent_log.ConcurrentTimedRotatingFileHandler('t.log', **options)\n"
        "sized = concurrent_log.ConcurrentRotatingFileHandler('s.log', **options)\n"
        "before = set(sys.modules)\n"
        "for number in range(20):\n"
        "    for handler in (timed, sized):\n"
        "        for created in (time.time(), time.time() - 9999):\n"
        "            record = logging.makeLogRecord({'msg': 'x' * number})\n"
        "            record.created = created\n"
        "            handler.handle(record)\n"
        "timed.doRollover()\n"
        "while threading.active_count() > 1: time.sleep(0.01)\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert run.stdout.split() == []
    assert len(list(tmp_path.glob("*.gz"))) >= 3
