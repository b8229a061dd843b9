"""The workers of a round: processes that log numbered records from many threads, and cause faults themselves."""

import contextlib
import errno
import faulthandler
import fcntl
import functools
import itertools
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import concurrent_log
from concurrent_log.stress import sequence
from concurrent_log.stress.sequence import Source
from torture.files_journal import FAMILY, INTERRUPTED, LONGEST, REPORTED, Clock, Journal
from torture.files_plan import EXCUSES, Fault, Round

_LOSING = frozenset[str]().union(*(excuse.reports for excuse in EXCUSES.values() if excuse.loses))
_CHILD_RECORDS = 40
_BURST = 20  # maximum number of records between two pauses


class Interruption(BaseException):
    """Raised by a signal handler anywhere; passes through the handler like a `KeyboardInterrupt`."""


class AsyncError(Exception):
    """Raised by a signal handler anywhere; reported by the handler like any error."""


@dataclass(frozen=True)
class Job:
    """The job of a worker.

    Attributes:
        round: The round.
        log_file: The path of the log file.
        scratch: The folder for the worker's reports.
        begin: Start of the round, in real seconds since the epoch.
    """

    round: Round
    log_file: str
    scratch: str
    begin: float

    def journal(self) -> Journal:
        """Return the journal of the round."""
        return Journal(self.path("journal"), self.round.threads)

    def clock(self) -> Clock:
        """Return the clock of the round."""
        return Clock(self.path("clock"), self.begin, self.round.speed)

    def path(self, name: str) -> str:
        """Return the path of a file in the scratch folder."""
        return os.path.join(self.scratch, name)

    def handler(self) -> logging.Handler:
        """Return a new handler of the log file."""
        made = getattr(concurrent_log, self.round.handler)(self.log_file, **self.round.options)
        made.setFormatter(logging.Formatter(sequence.FORMAT, sequence.DATE_FORMAT))
        return made  # type: ignore[no-any-return]


def work(job: Job, row: int, handler: logging.Handler | None) -> None:
    """Run a worker until the round ends."""
    with _present(job):
        handlers = [handler or job.handler()]
        handlers += [job.handler() for _ in range(1, job.round.handlers)]
        _Worker(job, row, handlers).run()


def finish(job: Job, row: int) -> None:
    """Run the last process: log one record, roll over, and wait until no backup is being compressed."""
    with _present(job):
        handler: Any = job.handler()
        worker = _Worker(job, row, [handler])
        worker.log(0, 0)
        handler.doRollover()
        handler.close()
        give_up_at = time.monotonic() + 10
        while job.round.options.get("use_gzip") and _is_compressing(job) and time.monotonic() < give_up_at:
            time.sleep(0.01)


def _is_compressing(job: Job) -> bool:
    """Return whether there are plain backups, or temporary files of a compression."""
    folder, name = os.path.split(job.log_file)
    names = os.listdir(folder)
    is_plain = any(found.startswith(f"{name}.") and not found.endswith(".gz") for found in names)
    return is_plain or any(found.startswith(".") and not found.endswith(".lock") for found in names)


@contextlib.contextmanager
def _present(job: Job) -> Any:
    """Hold the lock of a running process, for the body of a ``with`` statement; forked children inherit it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job.clock().install()
    with open(job.path("present"), "a") as present, open(job.path(f"stacks-{os.getpid()}"), "w") as stacks:
        fcntl.flock(present, fcntl.LOCK_SH)
        faulthandler.register(signal.SIGUSR1, stacks)
        yield


class _Worker:
    """One process; ``row`` is its number in the journal, and its children have the next ones."""

    def __init__(self, job: Job, row: int, handlers: list[logging.Handler]) -> None:
        self._job, self._row = job, row
        self._journal = job.journal()
        self._loggers = [_logger(handler, self._record_report) for handler in handlers]
        self._rows_of_children = iter(range(row + 1, row + FAMILY))
        self._alarm = _Alarm(job.round, functools.partial(self._log_nested, itertools.count()))

    def run(self) -> None:
        """Log from all threads, including the main thread."""
        threads = [
            threading.Thread(target=self._log, name=f"thread-{n}", args=(n,)) for n in range(1, self._job.round.threads)
        ]
        for thread in threads:
            thread.start()
        self._log(0)
        for thread in threads:
            thread.join()

    def log(self, thread: int, number: int) -> None:
        """Log one record, and record the result in the journal."""
        source = Source(self._row, thread)
        self._journal.begin(source, number)
        try:
            with self._alarm if thread == 0 else contextlib.nullcontext():
                self._pass_on(source, number)
        except (Interruption, AsyncError):
            self._journal.mark(source, number, INTERRUPTED)
        except BaseException as error:
            self._note("raised", error)
        else:
            self._journal.acknowledge(source, number)

    def _pass_on(self, source: Source, number: int) -> None:
        logger = self._loggers[source.thread % len(self._loggers)]
        text = sequence.message(source, number) + padding(number)
        logger.log(sequence.level(number), text, extra={"cell": (source, number)})

    def _log(self, thread: int) -> None:
        dice = random.Random(f"{self._job.round.seed} {self._row} {thread}")
        number = 0
        while not self._journal.has_ended() and number < LONGEST - _BURST:
            burst = dice.randint(1, _BURST)
            for _ in range(burst):
                self.log(thread, number)
                number += 1
            if Fault.FORK in self._job.round.faults and dice.random() < 0.05:
                self._fork()
            time.sleep(self._job.round.pause * burst * dice.uniform(0, 2))

    def _log_nested(self, numbers: "itertools.count[int]") -> None:
        """Log from a signal handler."""
        source, number = Source(self._row, self._job.round.threads), next(numbers)
        self._journal.begin(source, number)
        self._pass_on(source, number)
        self._journal.acknowledge(source, number)

    def _fork(self) -> None:
        """Fork while other threads log, and let the child log, too."""
        row = next(self._rows_of_children, None)
        if row is None:
            return
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            return
        try:
            self._row = row
            self._alarm = _Alarm(None, lambda: None)
            for number in range(_CHILD_RECORDS):
                self.log(0, number)
        except BaseException as error:
            self._note("raised", error)
        finally:
            os._exit(0)

    def _record_report(self, record: logging.LogRecord) -> None:
        """Replace ``handleError``: record the error that is being handled."""
        error = sys.exc_info()[1]
        if self._note("reported", error) in _LOSING and hasattr(record, "cell"):
            self._journal.mark(*record.cell, REPORTED)

    def _note(self, how: str, error: BaseException | None) -> str:
        is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        kind = "ENOSPC" if is_full else type(error).__name__
        with open(self._job.path("reports"), "a", encoding="utf-8") as file:
            file.write(f"{how} {kind} {str(error)!r}\n")
        return kind


class _Alarm:
    """A context manager for a logging call of the main thread: a signal arrives during the call, and logs or raises."""

    def __init__(self, plan: Round | None, log: Callable[[], None]) -> None:
        faults = plan.faults if plan else ()
        self._faults = [fault for fault in (Fault.SIGNAL, Fault.INTERRUPT) if fault in faults]
        self._dice = random.Random()
        self._log = log
        self._fault: Fault | None = None
        if self._faults:
            signal.signal(signal.SIGALRM, self._ring)

    def __enter__(self) -> None:
        if self._faults:
            self._fault = self._dice.choice(self._faults)
            signal.setitimer(signal.ITIMER_REAL, self._dice.uniform(1e-6, 200e-6))

    def __exit__(self, *_: object) -> None:
        self._fault = None

    def _ring(self, *_: object) -> None:
        fault, self._fault = self._fault, None
        if fault is Fault.SIGNAL:
            self._log()
        elif fault is Fault.INTERRUPT:
            raise self._dice.choice((Interruption, AsyncError))


def padding(number: int) -> str:
    """Return text that makes some records longer than a page, and a few longer than any file may be."""
    if number % 257 == 128:
        return "#" * 120_000
    return "#" * 9_000 if number % 101 == 50 else ""


def _logger(handler: logging.Handler, note_report: Callable[[logging.LogRecord], None]) -> logging.Logger:
    handler.handleError = note_report  # type: ignore[method-assign]
    logger = logging.Logger("torture")
    logger.addHandler(handler)
    for number in range(5):
        # From now on this acquires no lock of logging, which an exception at the wrong moment would leave locked.
        logger.isEnabledFor(sequence.level(number))
    return logger
