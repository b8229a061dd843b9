"""Measure durations: timers, the ``with`` statement, and a decorator for functions."""

import functools
import inspect
import time
from collections.abc import Callable, Coroutine
from types import CodeType, FrameType
from typing import Any, Protocol

from concurrent_log.collector.client.error_fields import fields_of_exception, fields_of_frame, fields_of_place


class PutRecord(Protocol):
    """A function that sends a record."""

    def __call__(self, level: Any, message: str, fields: dict[str, Any], place: dict[str, Any]) -> None:
        """Send one record; ``fields`` override ``place``."""


class StartTime(float):
    """The start of a timer: seconds since the epoch, with a reading of a monotonic clock in ``monotonic``."""

    monotonic: float


def start_timer() -> StartTime:
    """Return the current time."""
    start = StartTime(time.time())
    start.monotonic = time.perf_counter()
    return start


def milliseconds_since(start: float) -> float:
    """Return the milliseconds since ``start``: a `StartTime`, or a number from ``time.time()``."""
    seconds = time.perf_counter() - start.monotonic if isinstance(start, StartTime) else time.time() - start
    return round(seconds * 1000, 3)


class TimedBlock:
    """A context manager that measures a ``with`` or ``async with`` statement."""

    def __init__(self, put: PutRecord, level: Any, message: str, fields: dict[str, Any], frame: FrameType) -> None:
        self._put = put
        self._level_and_message = (level, message)
        self._fields = fields
        self._place = fields_of_frame(frame)
        self._start = start_timer()

    def __enter__(self) -> StartTime:
        self._start = start_timer()
        return self._start

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        error = {} if kind is None else {"error_type": kind.__name__}
        fields = {"duration_ms": milliseconds_since(self._start), **error, **self._fields}
        self._put(*self._level_and_message, fields, self._place)

    async def __aenter__(self) -> StartTime:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.__exit__(kind)


class FunctionTimer:
    """Measures functions: as a decorator, or one call of one function.

    Args:
        put: The function that sends a record.
        level: The level of a call that succeeds; one that fails is an error, with its stack trace.
        message: The message; defaults to the name of the function, followed by the outcome.
        fields: Further fields of each record.
    """

    def __init__(self, put: PutRecord, level: Any, message: str | None, fields: dict[str, Any]) -> None:
        self._put = put
        self._level = level
        self._message = message
        self._fields = fields

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a measured version of ``function``; a generator is measured until it is exhausted."""
        place = _place_of(function)
        if inspect.isasyncgenfunction(function):
            raise TypeError(f"an asynchronous generator cannot be measured: use timer() in {function.__name__}")
        if inspect.iscoroutinefunction(function):
            return functools.wraps(function)(self._wrap_coroutine(function, place))
        if inspect.isgeneratorfunction(function):
            return functools.wraps(function)(self._wrap_generator(function, place))

        def measured(*args: Any, **kwargs: Any) -> Any:
            return self.call(lambda: function(*args, **kwargs), place)

        return functools.wraps(function)(measured)

    def _wrap_coroutine(self, function: Callable[..., Any], place: dict[str, Any]) -> Callable[..., Any]:
        async def measured(*args: Any, **kwargs: Any) -> Any:
            with _TimedCall(self, place):
                return await function(*args, **kwargs)

        return measured

    def _wrap_generator(self, function: Callable[..., Any], place: dict[str, Any]) -> Callable[..., Any]:
        def measured(*args: Any, **kwargs: Any) -> Any:
            with _TimedCall(self, place):
                return (yield from function(*args, **kwargs))

        return measured

    def call_once(self, function: Callable[[], Any], frame: FrameType) -> Any:
        """Call ``function`` and return its result; ``frame`` is the caller, and the place of a lambda."""
        is_lambda = getattr(function, "__name__", None) == "<lambda>"
        return self.call(function, fields_of_frame(frame) if is_lambda else _place_of(function))

    def call(self, function: Callable[[], Any], place: dict[str, Any]) -> Any:
        """Call ``function``; if it returns a coroutine, measure that until it is done."""
        call = _TimedCall(self, place)
        try:
            result = function()
        except BaseException as error:
            call.record_failure(error)
            raise
        if inspect.iscoroutine(result):
            return _await_timed(call, result)
        call.record_success()
        return result

    def put(self, level: Any, outcome: str, fields: dict[str, Any], place: dict[str, Any]) -> None:
        """Send the record of one call; None stands for the level of a call that succeeds."""
        message = self._message or f"{place['function_name']} {outcome}"
        self._put(level or self._level, message, {**fields, **self._fields}, place)


class _TimedCall:
    """One measured call of a function."""

    def __init__(self, timer: FunctionTimer, place: dict[str, Any]) -> None:
        self._timer = timer
        self._place = place
        self._start = start_timer()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self.record_success()
        else:
            self.record_failure(error)

    def record_success(self) -> None:
        """Send the record of a call that returned."""
        self._timer.put(None, "completed", self._duration(), self._place)

    def record_failure(self, error: BaseException) -> None:
        """Send the record of a call that raised; a cancellation or an exit is not an error of the function."""
        if isinstance(error, Exception):
            self._timer.put("ERROR", "failed", self._duration(), {**fields_of_exception(error), **self._place})
        else:
            place = {"error_type": type(error).__name__, **self._place}
            self._timer.put(None, "ended early", self._duration(), place)

    def _duration(self) -> dict[str, Any]:
        return {"duration_ms": milliseconds_since(self._start)}


async def _await_timed(call: _TimedCall, coroutine: Coroutine[Any, Any, Any]) -> Any:
    with call:
        return await coroutine


def _place_of(function: Any) -> dict[str, Any]:
    """Return the place where ``function`` is defined, if it is known, and its name."""
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inner.func
    code = getattr(inner, "__code__", None)
    place = fields_of_place(code, code.co_firstlineno) if isinstance(code, CodeType) else {}
    return {**place, "function_name": getattr(inner, "__name__", type(inner).__name__)}
