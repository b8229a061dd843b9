"""An exception, or a place in the program, as fields of a record."""

import contextlib
import sys
import traceback
from types import CodeType, FrameType, TracebackType
from typing import Any

PLACE = ("function_name", "file_path", "line_number")


def of_error(error: BaseException, trace: TracebackType | None = None) -> dict[str, Any]:
    """Return what is to be said of ``error``, whatever it is: its type, its stack trace, and where it was raised."""
    trace = trace or error.__traceback__
    found = {"error_type": type(error).__name__, "stack_trace": _rendered(error, trace)}
    if trace is not None:
        while trace.tb_next is not None:
            trace = trace.tb_next
        found.update(of_place(trace.tb_frame.f_code, trace.tb_lineno))
    return found


def of_anything(error: object, frame: FrameType) -> dict[str, Any]:
    """Return what is to be said of what a program calls an error, in the call ``frame``.

    None is the exception that is being handled, if there is one.
    """
    if error is None:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        return {**of_frame(frame), **of_error(error)}
    found = {**of_frame(frame), "stack_trace": "".join(traceback.format_stack(frame))}
    if isinstance(error, type) and issubclass(error, BaseException):
        found["error_type"] = error.__name__
    elif error is not None:
        found["exception"] = text(error)
    return found


def of_frame(frame: FrameType) -> dict[str, Any]:
    """Return where ``frame`` is."""
    return of_place(frame.f_code, frame.f_lineno)


def of_place(code: CodeType, line: int | None) -> dict[str, Any]:
    """Return the fields of a line of ``code``."""
    return dict(zip(PLACE, (code.co_name, code.co_filename, line), strict=True))


def summary(error: BaseException) -> str:
    """Return the type and the text of ``error``."""
    said = text(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def text(thing: object) -> str:
    """Return the text of ``thing``, also where it fails to give one."""
    with contextlib.suppress(Exception):
        return str(thing)
    return f"<{type(thing).__name__} without a text>"


def _rendered(error: BaseException, trace: TracebackType | None) -> str:
    with contextlib.suppress(Exception):
        return "".join(traceback.format_exception(type(error), error, trace))
    # Something about it is not what an exception's is.
    return "".join([*traceback.format_tb(trace), summary(error)])
