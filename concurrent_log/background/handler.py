"""`BackgroundHandler`: queues records for its worker, from the first record through forks to the exit."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from concurrent_log.background.configuration import configuration_error, is_basic_config
from concurrent_log.background.engine import Engine
from concurrent_log.background.exact_snapshot import Snapshot
from concurrent_log.background.local_writer import LocalWriter, has_separate_filters
from concurrent_log.background.queueing_handler import QueueingHandler
from concurrent_log.background.snapshot import take_snapshot
from concurrent_log.background.target_closing import let_workers_close
from concurrent_log.background.target_handlers import TargetHandlers
from concurrent_log.background.target_texts import Targets, forget_exception_text
from concurrent_log.background.worker import Control, QueueWorker, Writer
from concurrent_log.internal import stderr
from concurrent_log.internal.validation import check_seconds

_WORKERS = ("thread", "process")
_WHEN_FULL = ("block", "drop_oldest", "drop_newest")


class BackgroundStats(NamedTuple):
    """Counts for the records of one `BackgroundHandler` in this process.

    Attributes:
        queued: Number of records in the queue.
        written: Number of records written.
        dropped: Number of records dropped because the queue was full.
        longest_wait: Longest time that a record spent in the queue, in seconds.
    """

    queued: int
    written: int
    dropped: int
    longest_wait: float


class BackgroundHandler(QueueingHandler):
    """Writes records in a thread or in a separate process, through the given handlers.

    A logging call merges the message, formats the exception and puts the record into a queue. The worker formats and
    writes it. The handlers that write have their own levels, filters and formatters. Their filters run in the logging
    call, so that they can read the context variables of the caller.

    No thread or process starts before the first record: a program can configure logging and then fork. After a fork,
    the child has its own worker and an empty queue. The parent writes the records that were in its queue.

    Args:
        handlers: The handlers that write. In a dictionary for `logging.config.dictConfig`, the names of handlers of
            the same dictionary.
        worker: ``thread`` writes in a thread of this process. ``process`` writes in a separate process, which still
            writes the records that it has received if this process is killed.
        capacity: Maximum number of records in the queue. Threads that log at the same moment may exceed it by one
            each.
        when_full: What a logging call does when the queue is full: ``block`` waits until half of the queue is
            written; ``drop_oldest`` and ``drop_newest`` drop a record. As soon as the queue has room again, the worker
            logs how many records were dropped.
        stop_timeout: Maximum time, in seconds, that `close` and the exit of the program wait until all records are
            written. After that they print on stderr how many records were not written.

    Raises:
        TypeError, ValueError: An argument is invalid; the message names the argument, its value and the remedy.
    """

    forwards_records = True  # Another `BackgroundHandler` does not format the records that it passes to this one.

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
        _check_choice("when_full", when_full, _WHEN_FULL)
        _check_capacity(capacity)
        check_seconds("stop_timeout", stop_timeout)
        target_handlers = TargetHandlers(handlers)
        super().__init__()
        self.worker = worker
        self.capacity = capacity
        self.when_full = when_full
        self._engine: Engine[QueueWorker] = Engine("concurrent_log", stop_timeout)
        self._target_handlers: TargetHandlers | None = target_handlers
        self._handlers = Targets()
        if self._resolve_handlers() and worker == "process":
            _create_process_writer(self._handlers)  # Raises here if a handler cannot be sent to a process.

    def _resolve_handlers(self) -> Targets:
        """Return the handlers that write; an empty tuple while `dictConfig` has not created all of them."""
        if self._target_handlers is not None and (found := self._target_handlers.resolve()):
            # `logging.shutdown` closes handlers in reverse order of their creation: it must close this one first.
            logging._addHandlerRef(self)  # type: ignore[attr-defined]
            let_workers_close(found)
            # Not earlier: another thread would write already, while `logging` would still close the handlers itself.
            self._handlers, self._target_handlers = Targets(found), None
        return self._handlers

    @property
    def stop_timeout(self) -> float:
        """Maximum time, in seconds, that `close` waits."""
        return self._engine.stop_timeout

    @stop_timeout.setter
    def stop_timeout(self, seconds: float) -> None:
        self._engine.stop_timeout = seconds

    @property
    def _worker(self) -> QueueWorker | None:
        return self._engine.task

    @property
    def formatter(self) -> logging.Formatter | None:
        """None: the handlers that write have the formatters.

        Setting one raises `ValueError`. Only `logging.basicConfig` may: it sets the formatter of those handlers that
        have none, as it would without this handler.
        """
        return None

    @formatter.setter
    def formatter(self, formatter: logging.Formatter | None) -> None:
        if formatter is None:
            return
        if not is_basic_config():
            names = self._target_handlers or ", ".join(map(repr, self._handlers))
            raise configuration_error(
                f"BackgroundHandler formats nothing: set the formatter on its handlers ({names}), which write"
            )
        for handler in self._resolve_handlers():
            if handler.formatter is None or isinstance(handler, BackgroundHandler):
                handler.setFormatter(formatter)

    # The logging call.

    def emit(self, record: logging.LogRecord) -> None:
        """Queue ``record``.

        Raises nothing but `RecursionError`; reports every other error through ``handleError``.
        """
        try:
            handlers = self._handlers or self._resolve_handlers()
            is_wanted, is_partial, is_standard = False, False, handlers.had_standard_texts
            for handler, formatter in handlers.formatters:
                if handler.filters:
                    self._emit_filtered(record, handlers)
                    return
                if handler.formatter is not formatter:
                    is_standard = handlers.have_standard_texts()
                if record.levelno >= handler.level:
                    is_wanted = True
                else:
                    is_partial = True
            if is_wanted:
                numbers = _accepting(record, handlers) if is_partial else None
                self._enqueue(take_snapshot(record, handlers, numbers, False, is_standard), handlers)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def _emit_filtered(self, record: logging.LogRecord, handlers: Targets) -> None:
        """Run the filters of each handler in turn; a filter may change the record for the handlers after it."""
        is_shared = len(handlers) > 1
        try:
            for number in _accepting(record, handlers):
                try:
                    passed = handlers[number].filter(record) if has_separate_filters(handlers[number]) else True
                    if passed:
                        accepted = passed if isinstance(passed, logging.LogRecord) else record
                        is_standard = handlers.have_standard_texts()
                        self._enqueue(take_snapshot(accepted, handlers, (number,), is_shared, is_standard), handlers)
                except RecursionError:
                    raise
                except Exception:
                    self.handleError(record)  # The other handlers still get the record.
        finally:
            forget_exception_text(record)

    def _enqueue(self, snapshot: Snapshot | None, handlers: Targets) -> None:
        if snapshot is None:
            return  # No handler could format the record.
        engine = self._engine
        worker = engine.task or engine.create(partial(self._create_worker, handlers))
        worker.queue.put(snapshot)
        if engine.thread is None:
            engine.ensure_running()

    def _create_worker(self, handlers: Targets, control: Control) -> QueueWorker:
        if self.when_full == "block":
            self._engine.wait_for_closed_engines()
        return QueueWorker(self._create_writer(handlers), handlers, self.capacity, self.when_full, control)

    def _create_writer(self, handlers: Targets) -> Writer:
        if self.worker == "process" and not self._engine.is_closed:
            try:
                return _create_process_writer(handlers)
            except TypeError as error:
                # The constructor could not check this: `dictConfig` created the handlers after this one.
                stderr.warn(f"{error}; using a thread instead")
        return LocalWriter(handlers)

    # The standard interface, and statistics.

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]  # `logging` returns None
        """Wait until all records logged before this call are written and the handlers are flushed.

        Args:
            timeout: Maximum waiting time in seconds. Defaults to ``stop_timeout``.

        Returns:
            True if everything is written and flushed, False if the time was not enough.
        """
        return self._engine.flush(timeout)

    def stats(self) -> BackgroundStats:
        """Return how many records are queued, written and dropped so far."""
        worker = self._worker
        if worker is None:
            return BackgroundStats(0, 0, 0, 0.0)
        return BackgroundStats(len(worker.queue), worker.written, worker.queue.dropped(), worker.longest_wait)

    def close(self) -> None:
        """Wait until all records are written, then stop the worker. Records logged later are written at once.

        Does not wait if the calling thread holds a lock that the worker may want: that of `logging`, as inside
        `dictConfig`, or that of a handler that writes. The worker then goes on until all records are written, and the
        exit of the program waits for it.

        The handlers that write stay open; `logging.shutdown` closes them at the exit of the program.
        """
        self._engine.close()
        super().close()

    def __del__(self) -> None:
        engine = vars(self).get("_engine")
        if engine is not None:
            engine.abandon()

    def __getstate__(self) -> dict[str, Any]:
        if self._resolve_handlers() == ():
            raise TypeError(f"{self!r} cannot be pickled before the handlers that it names are created")
        return vars(self).copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        logging.Handler.__init__(self)
        vars(self).update(state)
        let_workers_close(self._handlers)


def _accepting(record: logging.LogRecord, handlers: Targets) -> tuple[int, ...]:
    """Return the indexes of the handlers whose level accepts ``record``."""
    return tuple([number for number, handler in enumerate(handlers) if record.levelno >= handler.level])


def _create_process_writer(handlers: Targets) -> Writer:
    # Imported here because it is slow to import, and most programs do not need it.
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
