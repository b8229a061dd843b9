"""`AsyncLogClient`: a logger with fields as keyword arguments, for programs that do not use standard `logging`."""

import re
import sys
from collections.abc import Callable, Sized
from contextlib import suppress
from os import PathLike
from sys import getsizeof
from threading import current_thread
from time import time
from types import FrameType
from typing import Any, ParamSpec, TypeVar, overload

from concurrent_log.collector.client import context, error_fields
from concurrent_log.collector.client.context import frozen_fields
from concurrent_log.collector.client.deferred_entry import build_call_entry
from concurrent_log.collector.client.environment import Environment
from concurrent_log.collector.client.extra import needs_extra
from concurrent_log.collector.client.timers import FunctionTimer, StartTime, TimedBlock, milliseconds_since, start_timer
from concurrent_log.collector.client.uncaught_errors import UncaughtError, subscribe, unsubscribe
from concurrent_log.internal.awaitable_result import AwaitableResult, run_without_blocking_loop
from concurrent_log.internal.threads import WorkerThread
from concurrent_log.internal.validation import check_choice, check_count

with needs_extra():
    from concurrent_log.collector.client.json_values import freeze, text_of
    from concurrent_log.collector.client.record import level_of
    from concurrent_log.collector.client.sequence import next_number
    from concurrent_log.collector.client.shipper import CollectorStats, Shipper
    from concurrent_log.collector.client.trace_fields import current_fields

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

_MISSING: Any = object()
_SPECIAL_FIELDS = context.RESERVED | {"attributes"}  # They need more than `dict.update`.
_TYPICAL_SIZE = 200  # bytes of a record without its message and its fields
_LONG_TEXT = 500  # characters; from this length the bytes per character matter


class AsyncLogClient:
    """Sends records to a collector, in a background thread.

    A logging call puts the record into a queue; it never waits for the network, and never raises for the values of
    fields. A thread sends the records in batches. Safe in all threads, in asyncio, and after a fork.

    An argument that is None, or empty, defaults to the environment variable named below, then to the value named there.

    Args:
        server_url: The URL of the collector: ``LOG_SERVER_URL``, then ``http://localhost:8000``.
        service: The name of the program: ``SERVICE_NAME``.
        environment: The environment it runs in: ``ENVIRONMENT``, then ``NODE_ENV``, then ``development``.
        service_version: ``SERVICE_VERSION``, then ``v0.0.0-dev``.
        log_type: ``LOG_TYPE``, then ``BACKEND``.
        batch_size: Maximum records per batch.
        flush_interval: Maximum seconds that a record is queued before its batch is sent.
        max_queue_size: Maximum records in the queue; above it, the oldest are dropped, counted and reported.
        enable_compression: Whether batches of 100 records or more are compressed.
        max_retries: Accepted for compatibility, without effect: a batch is sent again until the collector has stored
            it, while the queue has room for it.
        enable_global_error_handler: Whether to record uncaught errors: ``ENABLE_GLOBAL_ERROR_HANDLER``.
        env_file: A file with more environment variables, such as ``.env``, for this client only. It may be missing.
        options: Further arguments of `CollectorHandler`, such as ``token``, ``spool_directory`` and ``timeout``.
            ``protocol="otlp"`` sends to a server of OpenTelemetry's protocol, and the ids of the current span with each
            record; ``resource_attributes`` are then further attributes of the resource.

    Raises:
        TypeError, ValueError: An argument is wrong; the message names it, its value, and what is accepted.
    """

    def __init__(
        self,
        server_url: str | None = None,
        service: str | None = None,
        environment: str | None = None,
        service_version: str | None = None,
        log_type: str | None = None,
        batch_size: int = 1000,
        flush_interval: float = 1.0,
        max_queue_size: int = 100_000,
        enable_compression: bool = True,
        max_retries: int = 3,
        enable_global_error_handler: bool | None = None,
        *,
        env_file: "str | PathLike[str] | None" = None,
        **options: Any,
    ) -> None:
        check_choice("enable_compression", enable_compression, (True, False))
        max_retries = check_count("max_retries", max_retries, "is accepted, too")
        check_choice("enable_global_error_handler", enable_global_error_handler, (True, False, None))
        variables = Environment(env_file)
        self.server_url = server_url or variables.text("LOG_SERVER_URL") or "http://localhost:8000"
        self.service = service or variables.text("SERVICE_NAME")
        self.environment = environment or variables.text("ENVIRONMENT", "NODE_ENV") or "development"
        self.service_version = service_version or variables.text("SERVICE_VERSION") or "v0.0.0-dev"
        self.log_type = log_type or variables.text("LOG_TYPE") or "BACKEND"
        self.batch_size = batch_size
        self.flush_interval = flush_interval
        self.max_queue_size = max_queue_size
        self.enable_compression = enable_compression
        self.max_retries = max_retries
        if enable_global_error_handler is None:
            enable_global_error_handler = variables.is_on("ENABLE_GLOBAL_ERROR_HANDLER")
        self.enable_global_error_handler = enable_global_error_handler
        self._shipper = self._make_shipper(options)
        self._adds_trace = self._shipper.settings.protocol == "otlp"
        if enable_global_error_handler:
            subscribe(self._log_uncaught)

    def _make_shipper(self, options: dict[str, Any]) -> Shipper:
        if not self.enable_compression:
            options = {"compress_from": None, **options}
        try:
            return Shipper(
                self.server_url,
                service=self.service,
                environment=self.environment,
                service_version=self.service_version,
                log_type=self.log_type,
                batch_size=self.batch_size,
                flush_interval=self.flush_interval,
                capacity=self.max_queue_size,
                **options,
            )
        except (TypeError, ValueError) as error:
            raise _with_our_argument_names(error) from None

    # The logging calls. Each one finds its caller itself, because one more call would double the cost.

    def log(self, level: Any = _MISSING, message: Any = _MISSING, /, auto_caller: bool = True, **fields: Any) -> None:
        """Send a record.

        Args:
            level: ``TRACE``, ``DEBUG``, ``INFO``, ``WARN``, ``ERROR`` or ``FATAL``, a level number of `logging`, or
                any other name.
            message: The message.
            auto_caller: Whether the record contains the function, the file and the line of this call.
            fields: Further fields. A field with the name of a column of the collector fills it, such as ``user_id``,
                ``trace_id`` or ``duration_ms``; the others are attributes, and so are ``level``, ``message`` and
                ``created_at``.
        """
        level = _argument("level", level, fields)
        self._log(level, message, fields, sys._getframe(1) if auto_caller else None)

    def trace(self, message: Any = _MISSING, /, auto_caller: bool = True, **fields: Any) -> None:
        """Send a record of the level that the method is named after; see `log`."""
        self._log("TRACE", message, fields, sys._getframe(1) if auto_caller else None)

    def debug(self, message: Any = _MISSING, /, auto_caller: bool = True, **fields: Any) -> None:
        """Send a record of the level DEBUG; see `log`."""
        self._log("DEBUG", message, fields, sys._getframe(1) if auto_caller else None)

    def info(self, message: Any = _MISSING, /, auto_caller: bool = True, **fields: Any) -> None:
        """Send a record of the level INFO; see `log`."""
        self._log("INFO", message, fields, sys._getframe(1) if auto_caller else None)

    def warn(self, message: Any = _MISSING, /, auto_caller: bool = True, **fields: Any) -> None:
        """Send a record of the level WARN; see `log`."""
        self._log("WARN", message, fields, sys._getframe(1) if auto_caller else None)

    def warning(self, message: Any = _MISSING, /, auto_caller: bool = True, **fields: Any) -> None:
        """Send a record of the level WARN; the same as `warn`."""
        self._log("WARN", message, fields, sys._getframe(1) if auto_caller else None)

    def error(self, message: Any = _MISSING, /, auto_caller: bool = True, **fields: Any) -> None:
        """Send a record of the level ERROR; see `log`."""
        self._log("ERROR", message, fields, sys._getframe(1) if auto_caller else None)

    def fatal(self, message: Any = _MISSING, /, auto_caller: bool = True, **fields: Any) -> None:
        """Send a record of the level FATAL; see `log`."""
        self._log("FATAL", message, fields, sys._getframe(1) if auto_caller else None)

    def error_with_trace(
        self, message: Any = _MISSING, /, exception: object = None, auto_caller: bool = True, **fields: Any
    ) -> None:
        """Send an error with its type, its stack trace, and the function, file and line that raised it.

        Args:
            message: The message.
            exception: The exception; defaults to the one that is being handled, then to the stack of this call.
            auto_caller: Whether the record contains the function, file and line.
            fields: See `log`.
        """
        place = error_fields.fields_of_error(exception, sys._getframe(1))
        if not auto_caller:
            place = {name: value for name, value in place.items() if name not in error_fields.PLACE}
        self._put("ERROR", _argument("message", message, fields), fields, place)

    def _log(self, level: Any, message: Any, fields: dict[str, Any], frame: FrameType | None) -> None:
        if type(message) is not str or type(level) is not str or (fields and not _SPECIAL_FIELDS.isdisjoint(fields)):
            message = _argument("message", message, fields)
            self._put(level, message, fields, error_fields.fields_of_frame(frame) if frame is not None else {})
            return
        try:
            size = _TYPICAL_SIZE + (len(message) if len(message) < _LONG_TEXT else getsizeof(message))
            if fields:
                size += freeze(fields)
            code, instruction = (None, 0) if frame is None else (frame.f_code, frame.f_lasti)
            thread, around = current_thread(), frozen_fields.get()
            if self._adds_trace and "trace_id" not in fields:
                around = {**around, **current_fields()}
            deferred = (
                build_call_entry, time(), level, message, code, instruction, thread, around, fields, next_number()
            )  # fmt: skip
            self._shipper.put_deferred(deferred, size)
        except Exception as error:
            self._count_lost(error)

    def _put(self, level: Any, message: Any, fields: dict[str, Any], place: dict[str, Any]) -> None:
        """Send a record; ``fields`` override ``place``."""
        try:
            entry = {**context.fields(), **place}
            if self._adds_trace and "trace_id" not in fields:
                entry.update(current_fields())
            entry["thread_name"] = current_thread().name
            if fields:
                context.add(entry, fields)
            entry["created_at"] = time()
            entry["level"] = level if type(level) is str else _level_name(level)
            entry["message"] = message if type(message) is str else text_of(message)
            self._shipper.put(entry)
        except Exception as error:
            self._count_lost(error)

    def _count_lost(self, error: Exception) -> None:
        """Count a record that could not be queued, for example because of the recursion limit."""
        with suppress(Exception):
            self._shipper.count_lost(f"{type(error).__name__} in the logging call")

    # Timers.

    def start_timer(self) -> StartTime:
        """Return the current time for `end_timer`: seconds since the epoch, with a reading of a monotonic clock."""
        return start_timer()

    def end_timer(
        self,
        start_time: float = _MISSING,
        level: Any = _MISSING,
        message: Any = _MISSING,
        /,
        auto_caller: bool = True,
        **fields: Any,
    ) -> None:
        """Send a record with ``duration_ms``, the milliseconds since ``start_time``; see `log` for the rest."""
        duration = milliseconds_since(_argument("start_time", start_time, fields))
        level, message = _argument("level", level, fields), _argument("message", message, fields)
        fields = {"duration_ms": duration, **fields}
        self._log(level, message, fields, sys._getframe(1) if auto_caller else None)

    def timer(self, message: Any, level: Any = "INFO", **fields: Any) -> TimedBlock:
        """Return a context manager that measures a ``with`` or ``async with`` statement.

        At the end of the statement it sends a record with ``duration_ms``; see `log` for the rest. An exception is
        not suppressed, and its type is in the record.
        """
        return TimedBlock(self._put, level, message, fields, sys._getframe(1))

    @overload
    def measure(
        self, message: str | None = None, level: Any = "INFO", **fields: Any
    ) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]: ...

    @overload
    def measure(self, message: Callable[[], _Result], level: Any = "INFO", **fields: Any) -> _Result: ...

    def measure(self, message: Any = None, level: Any = "INFO", **fields: Any) -> Any:
        """Measure a function, synchronous or asynchronous: as a decorator, or for one call.

        ``@client.measure("order paid")`` sends a record each time the function ends. ``client.measure(function)`` calls
        the function once, without arguments, and returns its result: for a coroutine function, an awaitable. An
        exception is not suppressed, and is recorded as an error with its stack trace.

        Args:
            message: The message of the record; defaults to the name of the function and the outcome. Or the function.
            level: The level of a call that succeeds.
            fields: See `log`.
        """
        if callable(message):
            return FunctionTimer(self._put, level, None, fields).call_once(message, sys._getframe(1))
        return FunctionTimer(self._put, level, message, fields)

    # Flush, close and statistics.

    def flush(self, timeout: float | None = None) -> AwaitableResult:
        """Send all queued records. May be called or awaited.

        Returns when the collector has stored everything logged before, or after ``timeout`` seconds, by default
        ``stop_timeout``. The result is true if the collector has stored it. In a thread with a running event loop,
        which must not block, the call returns immediately, and ``await client.flush()`` waits. The loop may be that of
        asyncio, uvloop, trio or anyio.
        """
        return run_without_blocking_loop(lambda: self._shipper.flush(timeout))

    def close(self, timeout: float | None = None) -> AwaitableResult:
        """Send all queued records, end the thread, and stop recording uncaught errors.

        May be called or awaited, like `flush`. The exit of the program does the same.
        """
        unsubscribe(self._log_uncaught)
        return run_without_blocking_loop(lambda: self._close(timeout))

    def _close(self, timeout: float | None) -> bool:
        self._shipper.close(timeout)
        return not self._shipper.stats().queued

    def __enter__(self) -> "AsyncLogClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> "AsyncLogClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def stats(self) -> CollectorStats:
        """Return counts of the records of this process, and the last error."""
        return self._shipper.stats()

    @property
    def queue(self) -> Sized:
        """The queue; it has a length and nothing else."""
        return range(self._shipper.stats().queued)

    @property
    def _worker_thread(self) -> WorkerThread | None:  # read by programs that were written for log-collector-async
        return self._shipper.engine.thread

    def _log_uncaught(self, uncaught: UncaughtError) -> None:
        if uncaught.error is None:
            self._put("ERROR", uncaught.where, {}, {})
        else:
            place = error_fields.fields_of_exception(uncaught.error, uncaught.traceback)
            self._put("ERROR", f"{uncaught.where}: {error_fields.summarize(uncaught.error)}", {}, place)

    # The context, shared by all clients and by `CollectorHandler`.

    user_context = staticmethod(context.user_context)
    set_user_context = staticmethod(context.set_user_context)
    clear_user_context = staticmethod(context.clear_user_context)
    get_user_context = staticmethod(context.get_user_context)
    request_context = staticmethod(context.request_context)
    set_request_context = staticmethod(context.set_request_context)
    clear_request_context = staticmethod(context.clear_request_context)
    get_request_context = staticmethod(context.get_request_context)
    trace_id = staticmethod(context.trace_id)


def _argument(name: str, value: Any, fields: dict[str, Any]) -> Any:
    """Return an argument that was passed by position or, as in ``message="done"``, by name."""
    if value is not _MISSING:
        return value
    if name not in fields:
        raise TypeError(f"{name} is missing: pass it as an argument")
    return fields.pop(name)


def _level_name(level: Any) -> str:
    is_number = isinstance(level, (int, float)) and not isinstance(level, bool)
    return level_of(int(level)) if is_number else text_of(level)


def _with_our_argument_names(error: Exception) -> Exception:
    """Return ``error``, which names an argument of `Shipper`, with the client's name of that argument."""
    message = str(error)
    for theirs, ours in (("url", "server_url"), ("capacity", "max_queue_size")):
        if re.match(rf"{theirs}\b", message):
            return type(error)(ours + message.removeprefix(theirs))
    return error
