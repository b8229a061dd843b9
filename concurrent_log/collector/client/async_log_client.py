"""`AsyncLogClient`: a logger for programs without the standard `logging`, with fields as keywords."""

import re
import sys
from collections.abc import Callable, Sized
from contextlib import suppress
from os import PathLike
from sys import getsizeof
from threading import Thread, current_thread
from time import time
from types import FrameType
from typing import Any, ParamSpec, TypeVar, overload

from concurrent_log.collector.client import context, error_fields
from concurrent_log.collector.client.awaitable_result import Outcome, without_blocking_a_loop
from concurrent_log.collector.client.context import ready
from concurrent_log.collector.client.deferred_entry import entry_of_call
from concurrent_log.collector.client.environment import Environment
from concurrent_log.collector.client.timers import Measure, Stretch, Timer, milliseconds_since, start
from concurrent_log.collector.client.uncaught_errors import Uncaught, unwatch, watch
from concurrent_log.internal.extras import needs_extra
from concurrent_log.internal.validation import check_choice, check_count

with needs_extra():
    from concurrent_log.collector.client.json_values import freeze, text_of
    from concurrent_log.collector.client.record import level_of
    from concurrent_log.collector.client.sequence import next_number
    from concurrent_log.collector.client.shipper import Shipper, Stats

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

_LEFT_OUT: Any = object()
_SPECIAL = context.OURS | {"attributes"}  # fields that have to be put in their places
_USUAL_SIZE = 200  # bytes of a record without its message and its fields
_LONG = 500  # characters from which it matters how many bytes each of them takes


class AsyncLogClient:
    """Sends records to a collector, in the background.

    A call puts the record into a queue, and never waits nor raises for what it is given. A thread sends what waits, in
    batches. Safe in all threads, in asyncio, and after a fork.

    An argument that is left out is taken from the environment variable that its line names.

    Args:
        server_url: Where the collector is: ``LOG_SERVER_URL``, or else ``http://localhost:8000``.
        service: What the program is called: ``SERVICE_NAME``.
        environment: Where it runs: ``ENVIRONMENT`` or ``NODE_ENV``, or else ``development``.
        service_version: ``SERVICE_VERSION``, or else ``v0.0.0-dev``.
        log_type: ``LOG_TYPE``, or else ``BACKEND``.
        batch_size: A batch leaves when it has so many records,
        flush_interval: or its first record is so many seconds old.
        max_queue_size: How many records may wait; when there are more, the oldest are dropped, counted and reported.
        enable_compression: Whether batches of 100 records and more are compressed.
        max_retries: Is taken, and changes nothing: a batch is sent again until the collector has it, as long as
            there is room for it.
        enable_global_error_handler: Whether to record errors that nobody catches: ``ENABLE_GLOBAL_ERROR_HANDLER``.
        env_file: A file with more environment variables, for this client alone. It may be missing; None is none.
        options: What else `CollectorHandler` takes, such as ``token``, ``spool_directory`` and ``timeout``.

    Raises:
        TypeError, ValueError: An argument is not of its kind; the message says which, and what would be.
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
        env_file: "str | PathLike[str] | None" = ".env",
        **options: Any,
    ) -> None:
        check_choice("enable_compression", enable_compression, (True, False))
        check_count("max_retries", max_retries, "is taken, too")
        check_choice("enable_global_error_handler", enable_global_error_handler, (True, False, None))
        found = Environment(env_file)
        self.server_url = server_url or found.text("LOG_SERVER_URL") or "http://localhost:8000"
        self.service = service or found.text("SERVICE_NAME")
        self.environment = environment or found.text("ENVIRONMENT", "NODE_ENV") or "development"
        self.service_version = service_version or found.text("SERVICE_VERSION") or "v0.0.0-dev"
        self.log_type = log_type or found.text("LOG_TYPE") or "BACKEND"
        self.batch_size = batch_size
        self.flush_interval = flush_interval
        self.max_queue_size = max_queue_size
        self.enable_compression = enable_compression
        self.max_retries = max_retries
        if enable_global_error_handler is None:
            enable_global_error_handler = found.is_on("ENABLE_GLOBAL_ERROR_HANDLER")
        self.enable_global_error_handler = enable_global_error_handler
        self._shipper = self._start(options)
        if enable_global_error_handler:
            watch(self._tell_uncaught)

    def _start(self, options: dict[str, Any]) -> Shipper:
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
            raise _in_our_names(error) from None

    # The logging calls. Each looks for its caller itself, since a further call would cost as much as all the rest.

    def log(self, level: Any = _LEFT_OUT, message: Any = _LEFT_OUT, /, auto_caller: bool = True, **fields: Any) -> None:
        """Send a record.

        Args:
            level: ``TRACE``, ``DEBUG``, ``INFO``, ``WARN``, ``ERROR`` or ``FATAL``, a number of `logging`, or
                any other name.
            message: What happened.
            auto_caller: Whether to tell the function, the file and the line of this call.
            fields: What else there is to say. A name that is a column of the collector fills it, such as ``user_id``,
                ``trace_id`` or ``duration_ms``; the others are attributes, also ``level``, ``message``, ``created_at``.
        """
        level = _taken("level", level, fields)
        self._log(level, message, fields, sys._getframe(1) if auto_caller else None)

    def trace(self, message: Any = _LEFT_OUT, /, auto_caller: bool = True, **fields: Any) -> None:
        """Send a record of the level that the method is called after; see `log`."""
        self._log("TRACE", message, fields, sys._getframe(1) if auto_caller else None)

    def debug(self, message: Any = _LEFT_OUT, /, auto_caller: bool = True, **fields: Any) -> None:
        """Like `trace`."""
        self._log("DEBUG", message, fields, sys._getframe(1) if auto_caller else None)

    def info(self, message: Any = _LEFT_OUT, /, auto_caller: bool = True, **fields: Any) -> None:
        """Like `trace`."""
        self._log("INFO", message, fields, sys._getframe(1) if auto_caller else None)

    def warn(self, message: Any = _LEFT_OUT, /, auto_caller: bool = True, **fields: Any) -> None:
        """Like `trace`."""
        self._log("WARN", message, fields, sys._getframe(1) if auto_caller else None)

    def warning(self, message: Any = _LEFT_OUT, /, auto_caller: bool = True, **fields: Any) -> None:
        """Do what `warn` does."""
        self._log("WARN", message, fields, sys._getframe(1) if auto_caller else None)

    def error(self, message: Any = _LEFT_OUT, /, auto_caller: bool = True, **fields: Any) -> None:
        """Like `trace`."""
        self._log("ERROR", message, fields, sys._getframe(1) if auto_caller else None)

    def fatal(self, message: Any = _LEFT_OUT, /, auto_caller: bool = True, **fields: Any) -> None:
        """Like `trace`."""
        self._log("FATAL", message, fields, sys._getframe(1) if auto_caller else None)

    def error_with_trace(
        self, message: Any = _LEFT_OUT, /, exception: object = None, auto_caller: bool = True, **fields: Any
    ) -> None:
        """Send an error with its type, its stack trace, and the function, file and line where it was raised.

        Args:
            message: What happened.
            exception: The exception; by default the one that is being handled, or else the calls that led here.
            auto_caller: Whether to tell the place at all.
            fields: See `log`.
        """
        place = error_fields.of_anything(exception, sys._getframe(1))
        if not auto_caller:
            place = {name: value for name, value in place.items() if name not in error_fields.PLACE}
        self._put("ERROR", _taken("message", message, fields), fields, place)

    def _log(self, level: Any, message: Any, fields: dict[str, Any], frame: FrameType | None) -> None:
        if type(message) is not str or type(level) is not str or (fields and not _SPECIAL.isdisjoint(fields)):
            message = _taken("message", message, fields)
            self._put(level, message, fields, error_fields.of_frame(frame) if frame is not None else {})
            return
        try:
            size = _USUAL_SIZE + (len(message) if len(message) < _LONG else getsizeof(message))
            if fields:
                size += freeze(fields)
            code, instruction = (None, 0) if frame is None else (frame.f_code, frame.f_lasti)
            thread, around = current_thread(), ready.get()
            late = (entry_of_call, time(), level, message, code, instruction, thread, around, fields, next_number())
            self._shipper.put_late(late, size)
        except Exception as error:
            self._lose(error)

    def _put(self, level: Any, message: Any, fields: dict[str, Any], place: dict[str, Any]) -> None:
        """Send a record; what ``fields`` say counts more than ``place``."""
        try:
            entry = {**context.fields(), **place}
            entry["thread_name"] = current_thread().name
            if fields:
                context.add(entry, fields)
            entry["created_at"] = time()
            entry["level"] = level if type(level) is str else _level_name(level)
            entry["message"] = message if type(message) is str else text_of(message)
            self._shipper.put(entry)
        except Exception as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        """Count a record that could not be put, such as one logged too deep in the program."""
        with suppress(Exception):
            self._shipper.lose(f"{type(error).__name__} where it was logged")

    # How long something took.

    def start_timer(self) -> Timer:
        """Return what `end_timer` takes: the time of day, in seconds, and what a steadier clock says."""
        return start()

    def end_timer(
        self,
        start_time: float = _LEFT_OUT,
        level: Any = _LEFT_OUT,
        message: Any = _LEFT_OUT,
        /,
        auto_caller: bool = True,
        **fields: Any,
    ) -> None:
        """Send a record with ``duration_ms``, the milliseconds since ``start_time``; see `log` for the rest."""
        duration = milliseconds_since(_taken("start_time", start_time, fields))
        level, message = _taken("level", level, fields), _taken("message", message, fields)
        fields = {"duration_ms": duration, **fields}
        self._log(level, message, fields, sys._getframe(1) if auto_caller else None)

    def timer(self, message: Any, level: Any = "INFO", **fields: Any) -> Stretch:
        """Return what measures a ``with`` or ``async with`` statement.

        At its end it sends a record with ``duration_ms``; see `log` for the rest. An exception goes
        through, and its type is in the record.
        """
        return Stretch(self._put, level, message, fields, sys._getframe(1))

    @overload
    def measure(
        self, message: str | None = None, level: Any = "INFO", **fields: Any
    ) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]: ...

    @overload
    def measure(self, message: Callable[[], _Result], level: Any = "INFO", **fields: Any) -> _Result: ...

    def measure(self, message: Any = None, level: Any = "INFO", **fields: Any) -> Any:
        """Measure a function, also an asynchronous one: as a decorator, or this once.

        ``@client.measure("order paid")`` sends a record whenever the function ends, ``client.measure(function)``
        calls it now, without arguments, and returns what it returns: for a coroutine, something to be awaited. An
        exception goes through, and is recorded as an error with its stack trace.

        Args:
            message: What the record says, by default the name of the function and what became of it; or the function.
            level: The level where it succeeds.
            fields: See `log`.
        """
        if callable(message):
            return Measure(self._put, level, None, fields).once(message, sys._getframe(1))
        return Measure(self._put, level, message, fields)

    # The end, and what one wants to know.

    def flush(self, timeout: float | None = None) -> Outcome:
        """Send what waits now. May be called, and may be awaited.

        Returns when the collector has all that was logged before, or ``timeout`` seconds have passed, by default
        ``stop_timeout``; what is returned is true if the collector has it. Where an event loop is running, which must
        not wait, it returns at once: ``await client.flush()`` waits.
        """
        return without_blocking_a_loop(lambda: self._shipper.flush(timeout))

    def close(self, timeout: float | None = None) -> Outcome:
        """Send what waits, and end the thread; errors that nobody catches are no longer recorded.

        May be called, and may be awaited, like `flush`. The exit of the program does the same.
        """
        unwatch(self._tell_uncaught)
        return without_blocking_a_loop(lambda: self._close(timeout))

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

    def stats(self) -> Stats:
        """Return what became of the records up to now."""
        return self._shipper.stats()

    @property
    def queue(self) -> Sized:
        """What waits to be sent; only its length can be told."""
        return range(self._shipper.stats().queued)

    @property
    def _worker_thread(self) -> Thread | None:  # what programs look at that used another client before
        worker = self._shipper._worker
        return worker.thread if worker is not None else None

    def _tell_uncaught(self, found: Uncaught) -> None:
        if found.error is None:
            self._put("ERROR", found.where, {}, {})
        else:
            place = error_fields.of_error(found.error, found.traceback)
            self._put("ERROR", f"{found.where}: {error_fields.summary(found.error)}", {}, place)

    # On whose behalf; the same for all clients, and for `CollectorHandler`.

    user_context = staticmethod(context.user_context)
    set_user_context = staticmethod(context.set_user_context)
    clear_user_context = staticmethod(context.clear_user_context)
    get_user_context = staticmethod(context.get_user_context)
    request_context = staticmethod(context.request_context)
    set_request_context = staticmethod(context.set_request_context)
    clear_request_context = staticmethod(context.clear_request_context)
    get_request_context = staticmethod(context.get_request_context)
    trace_id = staticmethod(context.trace_id)


def _taken(name: str, value: Any, fields: dict[str, Any]) -> Any:
    """Return an argument that was given by position or, as in ``message="done"``, by name."""
    if value is not _LEFT_OUT:
        return value
    if name not in fields:
        raise TypeError(f"{name} is missing: give it as an argument")
    return fields.pop(name)


def _level_name(level: Any) -> str:
    is_number = isinstance(level, (int, float)) and not isinstance(level, bool)
    return level_of(int(level)) if is_number else text_of(level)


def _in_our_names(error: Exception) -> Exception:
    """Return ``error`` about an argument of the shipper as one about ours."""
    said = str(error)
    for theirs, ours in (("url", "server_url"), ("capacity", "max_queue_size")):
        if re.match(rf"{theirs}\b", said):
            return type(error)(ours + said.removeprefix(theirs))
    return error
