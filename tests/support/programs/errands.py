"""A Celery application, started as a worker; run as a program, it sends tasks to that worker.

The environment says which broker to use, and in which of the two usual ways the worker gets our handler.
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


class OneLine(logging.Formatter):
    """Makes one line of a traceback, so that records can be told apart."""

    def format(self, record: logging.LogRecord) -> str:
        """Format as ever, and escape newlines."""
        return super().format(record).replace("\n", "\\n")


def name_unless_broken(path: str) -> str:
    """Keep the names of backups, but fail while there is a file named "broken"."""
    if os.path.exists("broken"):
        raise PermissionError(errno.EACCES, "no backup can be made", path)
    return path


def make_handler() -> ConcurrentTimedRotatingFileHandler:
    """Return the handler for all loggers."""
    handler = ConcurrentTimedRotatingFileHandler("app.log", when="S", utc=True, lock_timeout=_LOCK_TIMEOUT)
    handler.setFormatter(OneLine(writing.FORMAT))
    handler.namer = name_unless_broken
    return handler


if "REDIRECTED" not in os.environ:

    @setup_logging.connect
    def configure(**options: object) -> None:
        """Keep Celery from setting up any logging."""
        logging.basicConfig(level=logging.INFO, handlers=[make_handler()])

else:

    @after_setup_logger.connect
    def add_handler(logger: logging.Logger, **options: object) -> None:
        """Replace Celery's handler; it still makes loggers of the standard output and error."""
        logger.handlers = [make_handler()]
        if os.environ["REDIRECTED"] == "wrapped":
            logging.getLogger("celery.redirected").handlers = logger.handlers


@app.task
def work(source: str) -> None:
    """Log five records."""
    for number in range(5):
        logger.info("record %s-%d  0", source, number)
    writing.tell(f"{source} 5")


@app.task
def work_long(source: str) -> None:
    """Log until the file rolls over."""
    writing.tell(writing.log_over_rollover(source))


@app.task
def work_until_killed(source: str) -> None:
    """Log until this process is killed, where the file rolls over."""
    writing.log_and_tell(source, is_killed=True)


@app.task(soft_time_limit=1)
def work_overtime(source: str) -> None:
    """Log without a pause until the time is over, and tell how many calls returned before that."""
    over: list[int] = []
    raise_limit = signal.getsignal(signal.SIGUSR1)
    assert callable(raise_limit)

    def end(number: int, frame: FrameType | None) -> None:
        over.append(number)  # since the handler may keep to itself what is raised inside it
        raise_limit(number, frame)

    signal.signal(signal.SIGUSR1, end)
    number = 0
    with reported_limit():
        try:
            while not over:
                logger.info("record %s-%d  0", source, number)
                number += 1
            number -= 1  # the call in which the time was over returned as if nothing was
        except SoftTimeLimitExceeded:
            pass
    writing.tell(f"{source} {number}")


@app.task(soft_time_limit=1)
def work_in_slow_rollover(source: str) -> None:
    """Log over a rollover that takes longer than the time limit."""

    def hang(path: str) -> str:
        handler.namer = name_unless_broken
        writing.tell("stuck in a rollover")
        threading.Event().wait()
        return path

    (handler,) = logging.getLogger().handlers
    handler.namer = hang
    with reported_limit() as reported:
        writing.tell(writing.log_over_rollover(source))
        writing.tell(f"reported {len(reported)}")


@contextlib.contextmanager
def reported_limit() -> Iterator[list[logging.LogRecord]]:
    """Take the place of ``handleError``, as Celery does it, and yield the records in which the time was over."""

    def take(record: logging.LogRecord) -> None:
        if isinstance(sys.exc_info()[1], SoftTimeLimitExceeded):
            reported.append(record)
        else:
            logging.Handler.handleError(handler, record)

    reported: list[logging.LogRecord] = []
    (handler,) = logging.getLogger().handlers
    with mock.patch.object(handler, "handleError", take):
        yield reported


def main(task: str, *sources: str) -> None:
    """Send ``task`` for each source, or for ever new ones until the file has rolled over twice; tell which."""
    for source in sources or map(str, count()):
        if not sources and len(glob("app.log.*")) >= 2:
            break
        app.send_task(f"errands.{task}", [source], task_id=source)
        for message in glob("sent/*"):
            os.rename(message, message.replace("sent", "queue"))  # whole, since the worker takes them half written
        print(source)
        time.sleep(0.01)


if __name__ == "__main__":
    main(*sys.argv[1:])
