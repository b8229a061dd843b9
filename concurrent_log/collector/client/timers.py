"""How long something took: timers, the ``with`` statement, and functions that are measured whenever they are called."""

import functools
import inspect
import time
from collections.abc import Callable, Coroutine
from types import CodeType, FrameType
from typing import Any, Protocol

from concurrent_log.collector.client.error_fields import of_error, of_frame, of_place


class Put(Protocol):
    """What takes a record."""

    def __call__(self, level: Any, message: str, fields: dict[str, Any], place: dict[str, Any]) -> None:
        """Let one record be sent; what ``fields`` say counts more than ``place``."""


class Timer(float):
    """When a timer was started: the time of day, as a number, and what a clock that nobody sets said."""

    started: float


def start() -> Timer:
    """Return a timer that was started now."""
    timer = Timer(time.time())
    timer.started = time.perf_counter()
    return timer


def milliseconds_since(began: float) -> float:
    """Return how long ago that is: a `Timer`, or a number from ``time.time()``."""
    passed = time.perf_counter() - began.started if isinstance(began, Timer) else time.time() - began
    return round(passed * 1000, 3)


class Stretch:
    """A ``with`` or ``async with`` statement that is measured."""

    def __init__(self, put: Put, level: Any, message: str, fields: dict[str, Any], frame: FrameType) -> None:
        self._put = put
        self._said = (level, message)
        self._fields = fields
        self._place = of_frame(frame)
        self._timer = start()

    def __enter__(self) -> Timer:
        self._timer = start()
        return self._timer

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        error = {} if kind is None else {"error_type": kind.__name__}
        fields = {"duration_ms": milliseconds_since(self._timer), **error, **self._fields}
        self._put(*self._said, fields, self._place)

    async def __aenter__(self) -> Timer:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.__exit__(kind)


class Measure:
    """Measures functions: as a decorator, or one call of one function here and now.

    Args:
        put: What takes the records.
        level: The level of a call that succeeds; one that fails is an error, with its stack trace.
        message: What the record says; by default the name of the function, and that it completed or failed.
        fields: What else it carries.
    """

    def __init__(self, put: Put, level: Any, message: str | None, fields: dict[str, Any]) -> None:
        self._put = put
        self._level = level
        self._message = message
        self._fields = fields

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, measured; a generator, until it is exhausted."""
        place = _place_of(function)
        if inspect.isasyncgenfunction(function):
            raise TypeError(f"an asynchronous generator cannot be measured: use timer() in {function.__name__}")
        if inspect.iscoroutinefunction(function):
            return functools.wraps(function)(self._of_coroutine(function, place))
        if inspect.isgeneratorfunction(function):
            return functools.wraps(function)(self._of_generator(function, place))

        def measured(*args: Any, **kwargs: Any) -> Any:
            return self.call(lambda: function(*args, **kwargs), place)

        return functools.wraps(function)(measured)

    def _of_coroutine(self, function: Callable[..., Any], place: dict[str, Any]) -> Callable[..., Any]:
        async def measured(*args: Any, **kwargs: Any) -> Any:
            with _Run(self, place):
                return await function(*args, **kwargs)

        return measured

    def _of_generator(self, function: Callable[..., Any], place: dict[str, Any]) -> Callable[..., Any]:
        def measured(*args: Any, **kwargs: Any) -> Any:
            with _Run(self, place):
                return (yield from function(*args, **kwargs))

        return measured

    def once(self, function: Callable[[], Any], frame: FrameType) -> Any:
        """Call ``function``, which ``frame`` hands over, and return what it returns."""
        is_nameless = getattr(function, "__name__", None) == "<lambda>"
        return self.call(function, of_frame(frame) if is_nameless else _place_of(function))

    def call(self, function: Callable[[], Any], place: dict[str, Any]) -> Any:
        """Call ``function``; a coroutine that it returns is measured until it is done."""
        run = _Run(self, place)
        try:
            result = function()
        except BaseException as error:
            run.failed(error)
            raise
        if inspect.iscoroutine(result):
            return _finish(run, result)
        run.succeeded()
        return result

    def put(self, level: Any, ending: str, fields: dict[str, Any], place: dict[str, Any]) -> None:
        """Send the record of one run; ``level`` None is the one that was asked for."""
        message = self._message or f"{place['function_name']} {ending}"
        self._put(level or self._level, message, {**fields, **self._fields}, place)


class _Run:
    """One run of a function."""

    def __init__(self, measure: Measure, place: dict[str, Any]) -> None:
        self._measure = measure
        self._place = place
        self._timer = start()

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            self.succeeded()
        else:
            self.failed(error)

    def succeeded(self) -> None:
        """Tell that it did."""
        self._measure.put(None, "completed", self._duration(), self._place)

    def failed(self, error: BaseException) -> None:
        """Tell why; where it was cancelled, or the program is to end, that is not an error of the function."""
        if isinstance(error, Exception):
            self._measure.put("ERROR", "failed", self._duration(), {**of_error(error), **self._place})
        else:
            self._measure.put(
                None, "ended early", self._duration(), {"error_type": type(error).__name__, **self._place}
            )

    def _duration(self) -> dict[str, Any]:
        return {"duration_ms": milliseconds_since(self._timer)}


async def _finish(run: _Run, work: Coroutine[Any, Any, Any]) -> Any:
    with run:
        return await work


def _place_of(function: Any) -> dict[str, Any]:
    """Return where ``function`` is defined, as far as it tells."""
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inner.func
    code = getattr(inner, "__code__", None)
    found = of_place(code, code.co_firstlineno) if isinstance(code, CodeType) else {}
    return {**found, "function_name": getattr(inner, "__name__", type(inner).__name__)}
