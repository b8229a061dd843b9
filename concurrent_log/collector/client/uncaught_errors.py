"""Errors that nobody catches: in the main thread, in others, where they cannot be raised, and in an asyncio loop.

One set of hooks serves all clients of the process. Each hook calls the one that was there before, which says on stderr
what it always said. It is put back when nobody is told any more, unless another one has been set meanwhile; then ours
stays below that one, and only hands on.
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


class Uncaught(NamedTuple):
    """What nobody caught.

    Attributes:
        where: What was going on, such as "Uncaught exception in thread Thread-1".
        error: The exception, or None where there is but the text.
        traceback: Where it was raised.
    """

    where: str
    error: BaseException | None
    traceback: TracebackType | None = None


Tell = Callable[[Uncaught], None]


class _Installed(Protocol):
    """A hook in its place."""

    def remove(self) -> None:
        """Put back what was there before."""


_told: tuple[Tell, ...] = ()
_installed: list[_Installed] = []
_lock = threading.RLock()  # held while hooks are set or put back
_is_told: ContextVar[bool] = ContextVar("concurrent_log_is_told", default=False)


def watch(tell: Tell) -> None:
    """Call ``tell`` with all that nobody catches from now on, and with the errors of the loop that is running here.

    Those of any other loop are found as they are logged by asyncio, unless the loop has a handler of its own.
    """
    global _told
    with _lock:
        if not _told:
            _installed.extend([_Hook(sys, "excepthook", _of_main), _Hook(threading, "excepthook", _of_thread)])
            _installed.extend([_Hook(sys, "unraisablehook", _of_unraisable), _LoggedErrors()])
        _told = (*_told, tell)
        loop = asyncio._get_running_loop()
        if loop is not None and not isinstance(loop.get_exception_handler(), _LoopHook):
            _installed[:] = [hook for hook in _installed if not (isinstance(hook, _LoopHook) and hook.is_over())]
            _installed.append(_LoopHook(loop))


def unwatch(tell: Tell) -> None:
    """Call ``tell`` no longer; with the last one, what was there before is put back."""
    global _told
    with _lock:
        _told = tuple(other for other in _told if other != tell)
        while _installed and not _told:
            _installed.pop().remove()


def _tell_all(found: Uncaught) -> None:
    if isinstance(found.error, (KeyboardInterrupt, SystemExit)):
        return  # Somebody wants the program to end.
    for tell in _told:
        with contextlib.suppress(Exception):
            tell(found)


class _Hook:
    """One of the hooks that are attributes of a module."""

    def __init__(self, module: Any, name: str, read: Callable[..., Uncaught]) -> None:
        self._module = module
        self._name = name
        self._read = read
        self._is_live = True
        self._before = getattr(module, name) or getattr(module, f"__{name}__")
        setattr(module, name, self)

    def __call__(self, *arguments: Any) -> None:
        if self._is_live:
            with contextlib.suppress(Exception):
                _tell_all(self._read(*arguments))
        self._before(*arguments)

    def remove(self) -> None:
        """Put back what was there before, where this is still the hook."""
        self._is_live = False
        if getattr(self._module, self._name) is self:
            setattr(self._module, self._name, self._before)


def _of_main(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> Uncaught:
    return Uncaught("Uncaught exception", kind() if error is None else error, traceback)


def _of_thread(arguments: "threading.ExceptHookArgs") -> Uncaught:
    name = arguments.thread.name if arguments.thread else "unknown"
    error = arguments.exc_type() if arguments.exc_value is None else arguments.exc_value
    return Uncaught(f"Uncaught exception in thread {name}", error, arguments.exc_traceback)


def _of_unraisable(arguments: "sys.UnraisableHookArgs") -> Uncaught:
    error = arguments.exc_type() if arguments.exc_value is None else arguments.exc_value
    # Its name rather than its text: it may be half gone.
    thing = getattr(arguments.object, "__qualname__", type(arguments.object).__name__)
    return Uncaught(f"{arguments.err_msg or 'Exception ignored in'} {thing}", error, arguments.exc_traceback)


class _LoopHook:
    """The exception handler of one loop, which may have had another one before."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._is_live = True
        self._before = loop.get_exception_handler()
        loop.set_exception_handler(self)

    def is_over(self) -> bool:
        """Return whether the loop is."""
        loop = self._loop()
        return loop is None or loop.is_closed()

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if self._is_live:
            with contextlib.suppress(Exception):
                _tell_all(_of_loop(str(context.get("message")), context.get("exception")))
        token = _is_told.set(True)
        try:
            if self._before is None:
                loop.default_exception_handler(context)
            else:
                self._before(loop, context)
        finally:
            _is_told.reset(token)

    def remove(self) -> None:
        """Put back what was there before, where this is still the handler."""
        self._is_live = False
        loop = self._loop()
        if loop is not None and loop.get_exception_handler() is self:
            loop.set_exception_handler(self._before)


class _LoggedErrors(logging.Filter):
    """Sees what loops without a handler of their own log, whenever they are made.

    A filter, since a handler would keep `logging` from its last resort, which writes to stderr.
    """

    def __init__(self) -> None:
        super().__init__()
        logging.getLogger("asyncio").addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if record.levelno >= logging.ERROR and not _is_told.get():
            with contextlib.suppress(Exception):
                _tell_all(_of_loop(record.getMessage(), record.exc_info[1] if record.exc_info else None))
        return True

    def remove(self) -> None:
        """See no more."""
        logging.getLogger("asyncio").removeFilter(self)


def _of_loop(message: str, error: BaseException | None) -> Uncaught:
    first_line = message.partition("\n")[0]
    return Uncaught(first_line, error, error.__traceback__ if error else None)


def _begin_anew() -> None:
    # A thread that is not here any more may have held it.
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
