"""The handler that hands records over, and its life: from the first record through forks to the exit."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from concurrent_log.background.local_writer import LocalWriter, filters_here
from concurrent_log.background.snapshot import take
from concurrent_log.background.target_handlers import Targets
from concurrent_log.background.worker import Worker, Writer
from concurrent_log.internal import stderr
from concurrent_log.internal.lifecycle import close_in_background, hook_exits, register
from concurrent_log.internal.validation import check_seconds

_WORKERS = ("thread", "process")
_LAST_CHANCE = 0.1  # seconds for a worker that did not write in time
_POLICIES = ("block", "drop_oldest", "drop_newest")


class Stats(NamedTuple):
    """What became of the records of one `BackgroundHandler`, in this process.

    Attributes:
        queued: How many wait now.
        written: How many are written.
        dropped: How many were dropped, since too many waited.
        longest_wait: How many seconds a record waited at most.
    """

    queued: int
    written: int
    dropped: int
    longest_wait: float


class BackgroundHandler(logging.Handler):
    """Lets a thread, or a process of its own, write the records of a program, through the handlers it is given.

    A logging call merges the message, renders the exception and puts the record into a queue. Formatting and writing
    are done in the background. Levels, filters and formatters belong to the handlers that write; their filters are
    asked where the record is logged, so that they know the caller's context.

    Nothing is started before the first record, so that a program may configure its logging and then fork. The child
    after a fork has a worker of its own; what waited in the parent is written by the parent.

    Args:
        handlers: Which handlers write. In a dictionary for `logging.config.dictConfig`, the names of handlers of the
            same dictionary.
        worker: ``thread`` writes in a thread of this process; ``process`` in a process of its own, which also writes
            what it was handed when this process is killed.
        capacity: How many records may wait; threads that log at the same moment may exceed it by one each.
        when_full: What a logging call does when so many wait: ``block`` waits until half of them are written;
            ``drop_oldest`` and ``drop_newest`` drop a record. How many were dropped is logged as soon as there is room.
        stop_timeout: For how many seconds `close`, and with it the exit of the program, waits for the records to be
            written. How many were left is then said on stderr.

    Raises:
        TypeError, ValueError: An argument is not of its kind; the message says which, and what would be.
    """

    def __init__(
        self,
        handlers: Sequence["logging.Handler | str"],
        *,
        worker: str = "thread",
        capacity: int = 10_000,
        when_full: str = "block",
        stop_timeout: float = 10.0,
    ) -> None:
        _check_choice("worker", worker, _WORKERS)
        _check_choice("when_full", when_full, _POLICIES)
        _check_capacity(capacity)
        check_seconds("stop_timeout", stop_timeout)
        targets = Targets(handlers)
        super().__init__()
        self.worker = worker
        self.capacity = capacity
        self.when_full = when_full
        self.stop_timeout = stop_timeout
        self._targets: Targets | None = targets
        self._handlers: tuple[logging.Handler, ...] = ()
        self._worker: Worker | None = None
        self._parked: Worker | None = None
        self._closed = False
        self._left_before = 0  # by the last `close`
        if self._find_handlers() and worker == "process":
            _process_writer(self._handlers)  # Raises where it cannot be.
        register(self)

    def _find_handlers(self) -> tuple[logging.Handler, ...]:
        """Return the handlers that write, as far as they are made yet."""
        if self._targets is not None and (found := self._targets.find()):
            self._handlers, self._targets = found, None
            # The last one to be made is the first one that `logging.shutdown` closes: it must be this one.
            logging._addHandlerRef(self)  # type: ignore[attr-defined]
        return self._handlers

    # The logging call.

    def handle(self, record: logging.LogRecord) -> bool:
        """Hand ``record`` over if the filters let it pass; no lock is needed for that."""
        passed = self.filter(record)
        if passed is not True and isinstance(passed, logging.LogRecord):
            record = passed  # Python 3.12: a filter may return another record
        if passed:
            self.emit(record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Hand ``record`` over.

        Never raises, but for `RecursionError`: what goes wrong is reported through ``handleError``.
        """
        try:
            handlers = self._handlers or self._find_handlers()
            is_wanted = False
            for handler in handlers:
                if handler.filters:
                    self._emit_filtered(record, handlers)
                    return
                is_wanted = is_wanted or record.levelno >= handler.level
            if is_wanted:
                self._hand_over(record, handlers, None)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def _emit_filtered(self, record: logging.LogRecord, handlers: tuple[logging.Handler, ...]) -> None:
        """Ask the filters of each handler in turn: one of them may change the record for the handlers after it."""
        for number, handler in enumerate(handlers):
            if record.levelno >= handler.level:
                passed = handler.filter(record) if filters_here(handler) else True
                if passed:
                    found = passed if isinstance(passed, logging.LogRecord) else record
                    self._hand_over(found, handlers, (number,))

    def _hand_over(
        self, record: logging.LogRecord, handlers: tuple[logging.Handler, ...], chosen: tuple[int, ...] | None
    ) -> None:
        worker = self._worker or self._begin(handlers)
        worker.put(take(record, handlers, chosen))

    def _begin(self, handlers: tuple[logging.Handler, ...]) -> Worker:
        """Return the worker of this process."""
        with self.lock:  # type: ignore[union-attr]  # Unlike ``acquire``, safe against signal handlers that raise.
            if self._worker is None:
                worker = Worker(self._writer(handlers), self.capacity, self.when_full, is_stopped=self._closed)
                hook_exits()
                # Meanwhile a signal handler may have logged, and begun one.
                self._worker = self._worker or worker
            return self._worker

    def _writer(self, handlers: tuple[logging.Handler, ...]) -> Writer:
        if self.worker == "process" and not self._closed:
            try:
                return _process_writer(handlers)
            except TypeError as error:
                # Found only now: a configuration made the handlers after this one.
                stderr.warn(f"{error}; a thread writes")
        return LocalWriter(handlers)

    # The standard interface, and what one wants to know.

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]  # returns more
        """Wait until all that was logged before is written, for ``stop_timeout`` seconds unless told otherwise.

        Returns whether it is: the handlers have it, and have been flushed.
        """
        worker = self._worker
        if worker is None:
            return True
        if self._closed:
            return not len(worker.queue)
        return worker.flush(self.stop_timeout if timeout is None else timeout)

    def stats(self) -> Stats:
        """Return what became of the records up to now."""
        worker = self._worker
        if worker is None:
            return Stats(0, 0, 0, 0.0)
        return Stats(len(worker.queue), worker.written, worker.queue.dropped(), worker.longest_wait)

    def close(self) -> None:
        """Wait until everything is written, and end the worker; a record that comes later is written at once.

        The handlers that write stay open; `logging.shutdown` closes them at the exit of the program.
        """
        worker = self._worker
        if worker is not None and worker.is_here():
            return  # by a handler that writes; the exit closes it
        if worker is not None and (worker.is_running() or worker.left() or not self._closed):
            self._end(worker, _LAST_CHANCE if self._closed else self.stop_timeout)
        self._closed = True
        super().close()

    def _end(self, worker: Worker, timeout: float) -> None:
        is_written = worker.flush(timeout)
        self._closed = True
        left = worker.stop(LocalWriter(self._handlers), timeout if is_written else _LAST_CHANCE)
        if left not in (0, self._left_before):
            stderr.warn(f"{left:,} records were not written within {self.stop_timeout} s")
        self._left_before = left
        if worker.is_running():
            self._leave_open()

    def _leave_open(self) -> None:
        """Keep `logging.shutdown` from waiting for handlers that do not come to an end."""
        for reference in list(logging._handlerList):  # type: ignore[attr-defined]
            if reference() in self._handlers:
                logging._removeHandlerRef(reference)  # type: ignore[attr-defined]

    def __del__(self) -> None:
        worker = vars(self).get("_worker")
        if worker is not None and not self._closed and (worker.is_running() or worker.left()):
            close_in_background(self)

    # Forks and pickling.

    def park(self, timeout: float) -> None:
        """Let no thread be in the middle of anything, and none begin; this process is about to fork."""
        worker = self._worker
        if worker is not None and worker.lock.acquire(timeout=timeout):
            self._parked = worker
            worker.park(timeout)

    def resume(self) -> None:
        """Go on after a fork."""
        worker, self._parked = self._parked, None
        if worker is not None:
            worker.lock.release()
            if len(worker.queue):
                worker.need()

    def restart_after_fork(self) -> None:
        """Begin in the child after a fork: what waits is the parent's."""
        if self._worker is not None:
            self._worker.writer.forget()
        self._worker = self._parked = None
        self._closed = False
        self._left_before = 0

    def __getstate__(self) -> dict[str, Any]:
        if self._find_handlers() == ():
            raise TypeError(f"{self!r} cannot be pickled before the handlers it names are made")
        return {name: value for name, value in vars(self).items() if name not in _OF_ONE_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        logging.Handler.__init__(self)
        vars(self).update(state, _worker=None, _parked=None, _closed=False, _left_before=0)
        register(self)


_OF_ONE_PROCESS = frozenset(("lock", "_worker", "_parked", "_closed", "_left_before"))


def _process_writer(handlers: tuple[logging.Handler, ...]) -> Writer:
    # Here, since most programs do without it: it is slow to import.
    from concurrent_log.background.process_writer import ProcessWriter

    return ProcessWriter(handlers)


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r} must be {' or '.join(map(repr, choices))}")


def _check_capacity(capacity: int) -> None:
    if not isinstance(capacity, int) or isinstance(capacity, bool):
        raise TypeError(f"capacity must be a whole number of records, not {capacity!r}")
    if capacity < 1:
        raise ValueError(f"capacity={capacity} must be at least 1 record")
