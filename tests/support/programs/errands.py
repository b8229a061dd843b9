"""A Celery application. As a program, this module sends tasks to the running worker.

Environment variables select the broker, and one of the two usual ways to install our handler in the worker.
"""

import contextlib
import errno
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from glob import glob
from itertools import count
from types import FrameType
from unittest import mock

import writing
from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import after_setup_logger, setup_logging

from concurrent_log import ConcurrentTimedRotatingFileHandler

_LOCK_TIMEOUT = float(os.environ.get("LOCK_TIMEOUT", "5"))

logger = logging.getLogger("app")

app = Celery("errands")
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_lost_wait = 0.5
if "BROKER_URL" in os.environ:
    app.conf.broker_url = os.environ["BROKER_URL"]
    app.conf.broker_transport_options = {"global_keyprefix": os.environ["BROKER_KEYS"]}
else:
    for folder in ("sent", "queue", "control"):
        os.makedirs(folder, exist_ok=True)
    app.conf.broker_url = "filesystem://"
    app.conf.broker_transport_options = {
        "data_folder_in": "queue",
        "data_folder_out": "sent",
        "control_folder": "control",
        "polling_interval": 0.05,
    }


def name_unless_broken(path: str) -> str:
    """Return the name of the backup unchanged, but fail while there is a file named "broken"."""
    if os.path.exists("broken"):
        raise PermissionError(errno.EACCES, "no backup can be made", path)
    return path


def make_handler() -> ConcurrentTimedRotatingFileHandler:
    """Return the handler for all loggers."""
    handler = ConcurrentTimedRotatingFileHandler("app.log", when="S", utc=True, lock_timeout=_LOCK_TIMEOUT)
    handler.setFormatter(writing.OneLine(writing.FORMAT))
    handler.namer = name_unless_broken
    return handler


if "REDIRECTED" not in os.environ:

    @setup_logging.connect
    def configure(**options: object) -> None:
        """Configure logging instead of Celery."""
        logging.basicConfig(level=logging.INFO, handlers=[make_handler()])

else:

    @after_setup_logger.connect
    def add_handler(logger: logging.Logger, **options: object) -> None:
        """Replace Celery's handler. Celery still redirects standard output and error to a logger."""
        logger.handlers = [make_handler()]
        if os.environ["REDIRECTED"] == "wrapped":
            logging.getLogger("celery.redirected").handlers = logger.handlers


@app.task
def work(source: str) -> None:
    """Log five records."""
    for number in range(5):
        logger.info("record %s-%d  0", source, number)
    writing.report(f"{source} 5")


@app.task
def work_long(source: str) -> None:
    """Log until the file rolls over."""
    writing.report(writing.log_over_rollover(source))


@app.task
def work_until_killed(source: str) -> None:
    """Log until this process is killed when the file rolls over."""
    writing.log_and_report(source, is_killed=True)


@app.task(soft_time_limit=1)
def work_overtime(source: str) -> None:
    """Log without a pause until the time limit, and report how many calls returned before it."""
    expired: list[int] = []
    raise_limit = signal.getsignal(signal.SIGUSR1)
    assert callable(raise_limit)

    def expire(number: int, frame: FrameType | None) -> None:
        expired.append(number)  # The handler may swallow an exception that is raised inside it.
        raise_limit(number, frame)

    signal.signal(signal.SIGUSR1, expire)
    number = 0
    with reported_limit():
        try:
            while not expired:
                logger.info("record %s-%d  0", source, number)
                number += 1
            number -= 1  # the call that was interrupted returned normally
        except SoftTimeLimitExceeded:
            pass
    writing.report(f"{source} {number}")


@app.task(soft_time_limit=1)
def work_in_slow_rollover(source: str) -> None:
    """Log until a rollover takes longer than the time limit."""

    def hang(path: str) -> str:
        handler.namer = name_unless_broken
        writing.report("stuck in a rollover")
        threading.Event().wait()
        return path

    (handler,) = logging.getLogger().handlers
    handler.namer = hang
    with reported_limit() as reported:
        writing.report(writing.log_over_rollover(source))
        writing.report(f"reported {len(reported)}")


@contextlib.contextmanager
def reported_limit() -> Iterator[list[logging.LogRecord]]:
    """Replace ``handleError``, as Celery does, and yield the records that the time limit interrupted."""

    def collect(record: logging.LogRecord) -> None:
        if isinstance(sys.exc_info()[1], SoftTimeLimitExceeded):
            reported.append(record)
        else:
            logging.Handler.handleError(handler, record)

    reported: list[logging.LogRecord] = []
    (handler,) = logging.getLogger().handlers
    with mock.patch.object(handler, "handleError", collect):
        yield reported


def main(task: str, *sources: str) -> None:
    """Send ``task`` for each source, or for new sources until the file has rolled over twice; print the sources."""
    for source in sources or map(str, count()):
        if not sources and len(glob("app.log.*")) >= 2:
            break
        app.send_task(f"errands.{task}", [source], task_id=source)
        for message in glob("sent/*"):
            # Celery writes the file in place, and the worker would read a half-written one.
            os.rename(message, message.replace("sent", "queue"))
        print(source)
        time.sleep(0.01)


if __name__ == "__main__":
    main(*sys.argv[1:])
