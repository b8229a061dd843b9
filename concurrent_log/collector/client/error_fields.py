"""The fields of a record that describe an exception, or a place in the program."""

import contextlib
import sys
import traceback
from types import CodeType, FrameType, TracebackType
from typing import Any

PLACE = ("function_name", "file_path", "line_number")


def fields_of_exception(error: BaseException, trace: TracebackType | None = None) -> dict[str, Any]:
    """Return the type and the stack trace of ``error``, and the place where it was raised."""
    trace = trace or error.__traceback__
    fields = {"error_type": type(error).__name__, "stack_trace": _format_traceback(error, trace)}
    if trace is not None:
        while trace.tb_next is not None:
            trace = trace.tb_next
        fields.update(fields_of_place(trace.tb_frame.f_code, trace.tb_lineno))
    return fields


def fields_of_error(error: object, frame: FrameType) -> dict[str, Any]:
    """Return the fields of ``error``, which may be any object, in the call ``frame``.

    None stands for the exception that is being handled, if there is one.
    """
    if error is None:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        return {**fields_of_frame(frame), **fields_of_exception(error)}
    fields = {**fields_of_frame(frame), "stack_trace": "".join(traceback.format_stack(frame))}
    if isinstance(error, type) and issubclass(error, BaseException):
        fields["error_type"] = error.__name__
    elif error is not None:
        fields["exception"] = text_of(error)
    return fields


def fields_of_frame(frame: FrameType) -> dict[str, Any]:
    """Return the function, file and line that ``frame`` executes."""
    return fields_of_place(frame.f_code, frame.f_lineno)


def fields_of_place(code: CodeType, line: int | None) -> dict[str, Any]:
    """Return the function, file and line of a place in ``code``."""
    return dict(zip(PLACE, (code.co_name, code.co_filename, line), strict=True))


def summarize(error: BaseException) -> str:
    """Return the type and the message of ``error``."""
    message = text_of(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def text_of(value: object) -> str:
    """Return ``str(value)``, or a placeholder if that raises."""
    with contextlib.suppress(Exception):
        return str(value)
    return f"<{type(value).__name__} without a text>"


def _format_traceback(error: BaseException, trace: TracebackType | None) -> str:
    with contextlib.suppress(Exception):
        return "".join(traceback.format_exception(type(error), error, trace))
    # An attribute of the exception is broken.
    return "".join([*traceback.format_tb(trace), summarize(error)])
