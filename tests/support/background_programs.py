"""Programs that log in the background: the beginning that they have in common, and how they are run."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from support.processes import environment
from support.records import lines

DEADLINE = 60.0  # seconds for programs that take one or two on an idle machine

BEGINNING = """
import gc, logging, logging.config, os, sys, threading, time, warnings
from concurrent_log import ConcurrentTimedRotatingFileHandler
from concurrent_log.background import BackgroundHandler

warnings.simplefilter("ignore", DeprecationWarning)  # of forks amid threads, which are what we are here for
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)

def attach(handler=None, **options):
    handler = handler or ConcurrentTimedRotatingFileHandler("app.log")
    background = BackgroundHandler([handler], **options)
    logger.handlers = [background]
    return background

def log(source, count):
    for number in range(count):
        logger.info("%s %d", source, number)
"""


def command(text: str) -> list[str]:
    """Return the command of a program of which `BEGINNING` is the beginning."""
    return [sys.executable, "-c", BEGINNING + textwrap.dedent(text)]


def run(folder: Path, text: str, status: int = 0, seconds: float = DEADLINE) -> "subprocess.CompletedProcess[str]":
    """Run a program of which `BEGINNING` is the beginning; fails where it does not end, or not with ``status``."""
    done = subprocess.run(command(text), cwd=folder, env=environment(), capture_output=True, text=True, timeout=seconds)

    assert done.returncode == status, done.stdout + done.stderr
    return done


def read_log(folder: Path) -> list[str]:
    """Return the lines of the program's log file."""
    path = folder / "app.log"
    return lines(path) if path.exists() else []


def numbered(source: str, count: int) -> list[str]:
    """Return what ``log(source, count)`` logs."""
    return [f"{source} {number}" for number in range(count)]


def is_running(pid: int) -> bool:
    """Return whether a process has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # A process that nobody waits for ends all the same.
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
