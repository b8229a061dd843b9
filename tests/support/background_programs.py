"""Programs that log in the background: their common preamble, and functions that run them."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from support.deadlines import DEADLINE
from support.processes import environment
from support.records import lines

PREAMBLE = """
import gc, logging, logging.config, os, sys, threading, time, warnings
from concurrent_log import ConcurrentTimedRotatingFileHandler
from concurrent_log.background import BackgroundHandler

warnings.simplefilter("ignore", DeprecationWarning)  # about forks of a process with threads: these tests need them
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)

def attach(handler=None, **options):
    handler = handler or ConcurrentTimedRotatingFileHandler("app.log")
    background = BackgroundHandler([handler], **{"stop_timeout": 100, **options})
    logger.handlers = [background]
    return background

def log(source, count):
    for number in range(count):
        logger.info("%s %d", source, number)
"""


def command(text: str) -> list[str]:
    """Return the command line of a program that begins with `PREAMBLE`."""
    return [sys.executable, "-c", PREAMBLE + textwrap.dedent(text)]


def run(folder: Path, text: str, status: int = 0, seconds: float = DEADLINE) -> "subprocess.CompletedProcess[str]":
    """Run a program that begins with `PREAMBLE`; fail if it hangs, or if its exit status is not ``status``."""
    done = subprocess.run(command(text), cwd=folder, env=environment(), capture_output=True, text=True, timeout=seconds)

    assert done.returncode == status, done.stdout + done.stderr
    return done


def read_log(folder: Path) -> list[str]:
    """Return the lines of the program's log file; an empty list if there is no file."""
    path = folder / "app.log"
    return lines(path) if path.exists() else []


def numbered(source: str, count: int) -> list[str]:
    """Return the messages that ``log(source, count)`` logs."""
    return [f"{source} {number}" for number in range(count)]


def is_running(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # An orphaned process becomes a zombie if init does not reap it.
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
