"""Record uncaught errors: of the main thread, of other threads, of finalizers, and of asyncio loops.

One set of hooks serves all clients of the process. Each hook calls the previous one, which prints to stderr as usual.
When the last client unsubscribes, the previous hook is restored, unless another library has replaced ours meanwhile;
then our hook stays below that one, and only calls the previous hook.
"""

import asyncio
import contextlib
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NamedTuple, Protocol


class UncaughtError(NamedTuple):
    """An uncaught error.

    Attributes:
        where: Where it happened, such as "Uncaught exception in thread Thread-1".
        error: The exception, or None if there is only a message.
        traceback: The traceback of the exception.
    """

    where: str
    error: BaseException | None
    traceback: TracebackType | None = None


Listener = Callable[[UncaughtError], None]


class _InstalledHook(Protocol):
    """A hook that can be removed."""

    def remove(self) -> None:
        """Restore the previous hook."""


_listeners: tuple[Listener, ...] = ()
_hooks: list[_InstalledHook] = []
_lock = threading.RLock()  # held while hooks are installed or removed
_is_notified: ContextVar[bool] = ContextVar("concurrent_log_is_notified", default=False)


def subscribe(listener: Listener) -> None:
    """Call ``listener`` with all uncaught errors from now on, and with the errors of the running loop.

    Errors of other loops are noticed when asyncio logs them, unless the loop has an exception handler of its own.
    """
    global _listeners
    with _lock:
        if not _listeners:
            _hooks.extend(
                [_ModuleHook(sys, "excepthook", _from_main), _ModuleHook(threading, "excepthook", _from_thread)]
            )
            _hooks.extend([_ModuleHook(sys, "unraisablehook", _from_unraisable), _AsyncioLogFilter()])
        _listeners = (*_listeners, listener)
        loop = asyncio._get_running_loop()
        if loop is not None and not isinstance(loop.get_exception_handler(), _LoopHook):
            _hooks[:] = [hook for hook in _hooks if not (isinstance(hook, _LoopHook) and hook.is_loop_closed())]
            _hooks.append(_LoopHook(loop))


def unsubscribe(listener: Listener) -> None:
    """Stop calling ``listener``; remove the hooks with the last listener."""
    global _listeners
    with _lock:
        _listeners = tuple(other for other in _listeners if other != listener)
        while _hooks and not _listeners:
            _hooks.pop().remove()


def _notify(uncaught: UncaughtError) -> None:
    if isinstance(uncaught.error, (KeyboardInterrupt, SystemExit)):
        return  # A request to end the program.
    for listener in _listeners:
        with contextlib.suppress(Exception):
            listener(uncaught)


class _ModuleHook:
    """A hook that is an attribute of a module."""

    def __init__(self, module: Any, name: str, convert: Callable[..., UncaughtError]) -> None:
        self._module = module
        self._name = name
        self._convert = convert
        self._is_active = True
        self._previous = getattr(module, name) or getattr(module, f"__{name}__")
        setattr(module, name, self)

    def __call__(self, *arguments: Any) -> None:
        if self._is_active:
            with contextlib.suppress(Exception):
                _notify(self._convert(*arguments))
        self._previous(*arguments)

    def remove(self) -> None:
        """Restore the previous hook, if this is still the current one."""
        self._is_active = False
        if getattr(self._module, self._name) is self:
            setattr(self._module, self._name, self._previous)


def _from_main(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None
) -> UncaughtError:
    return UncaughtError("Uncaught exception", kind() if error is None else error, traceback)


def _from_thread(arguments: "threading.ExceptHookArgs") -> UncaughtError:
    name = arguments.thread.name if arguments.thread else "unknown"
    error = arguments.exc_type() if arguments.exc_value is None else arguments.exc_value
    return UncaughtError(f"Uncaught exception in thread {name}", error, arguments.exc_traceback)


def _from_unraisable(arguments: "sys.UnraisableHookArgs") -> UncaughtError:
    error = arguments.exc_type() if arguments.exc_value is None else arguments.exc_value
    # The name, not the repr: the object may be partly destroyed.
    name = getattr(arguments.object, "__qualname__", type(arguments.object).__name__)
    return UncaughtError(f"{arguments.err_msg or 'Exception ignored in'} {name}", error, arguments.exc_traceback)


class _LoopHook:
    """The exception handler of one loop, which calls the previous handler if there is one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._is_active = True
        self._previous = loop.get_exception_handler()
        loop.set_exception_handler(self)

    def is_loop_closed(self) -> bool:
        """Return whether the loop is closed or no longer exists."""
        loop = self._loop()
        return loop is None or loop.is_closed()

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if self._is_active:
            with contextlib.suppress(Exception):
                _notify(_from_loop(str(context.get("message")), context.get("exception")))
        token = _is_notified.set(True)
        try:
            if self._previous is None:
                loop.default_exception_handler(context)
            else:
                self._previous(loop, context)
        finally:
            _is_notified.reset(token)

    def remove(self) -> None:
        """Restore the previous handler, if this is still the current one."""
        self._is_active = False
        loop = self._loop()
        if loop is not None and loop.get_exception_handler() is self:
            loop.set_exception_handler(self._previous)


class _AsyncioLogFilter(logging.Filter):
    """Notices the errors that loops without an exception handler log, whenever the loops are created.

    This is a filter, because with a handler `logging` would no longer use its last resort, which prints to stderr.
    """

    def __init__(self) -> None:
        super().__init__()
        logging.getLogger("asyncio").addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Accept every record."""
        if record.levelno >= logging.ERROR and not _is_notified.get():
            with contextlib.suppress(Exception):
                _notify(_from_loop(record.getMessage(), record.exc_info[1] if record.exc_info else None))
        return True

    def remove(self) -> None:
        """Remove the filter."""
        logging.getLogger("asyncio").removeFilter(self)


def _from_loop(message: str, error: BaseException | None) -> UncaughtError:
    first_line = message.partition("\n")[0]
    return UncaughtError(first_line, error, error.__traceback__ if error else None)


def _renew_lock_after_fork() -> None:
    # A thread that does not exist in the child may have held it.
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock_after_fork)
