"""The texts of the handlers that write: which of them the worker may format, and which it must not."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from logging.handlers import BaseRotatingHandler, BufferingHandler, SMTPHandler, SysLogHandler, WatchedFileHandler
from typing import Any

from concurrent_log.background.frozen_values import ATOMS

Texts = dict[int, str]  # by the index of the handler

_FORMATTER = logging.Formatter()
_FORMATTER_METHODS = ("format", "formatMessage", "formatTime", "formatStack", "usesTime")
_STYLES = (logging.PercentStyle, logging.StrFormatStyle, logging.StringTemplateStyle)
# A queued record may have other values of these: the message is merged, and the exception is formatted.
_MERGED = ("msg", "args", "exc_info")
# These write the text of the formatter, and use nothing else of a record that it may change.
_FILE_HANDLERS = (logging.StreamHandler, logging.FileHandler, BaseRotatingHandler, WatchedFileHandler)
_TEXT_HANDLERS = (*_FILE_HANDLERS, SysLogHandler, SMTPHandler)
_TEXT_EMITS = frozenset(vars(kind)["emit"] for kind in _TEXT_HANDLERS)


def _cached_by_class(function: Callable[[type], bool]) -> Callable[[Any], bool]:
    return lru_cache(maxsize=100)(function)


class Targets(tuple[logging.Handler, ...]):
    """The handlers that write; remembers what it found out about their formatters.

    Attributes:
        formatters: The handlers, each with the formatter that it had at the last look.
        had_standard_texts: What the last look found.
    """

    formatters: tuple[tuple[logging.Handler, logging.Formatter | None], ...]
    had_standard_texts: bool

    def __init__(self, handlers: Iterable[logging.Handler] = ()) -> None:
        self._look()

    def have_standard_texts(self) -> bool:
        """Return `has_standard_text` for all handlers; looks again if one has another formatter."""
        for handler, formatter in self.formatters:
            if handler.formatter is not formatter:
                return self._look()
        return self.had_standard_texts

    def _look(self) -> bool:
        self.had_standard_texts = all(has_standard_text(handler) for handler in self)
        self.formatters = tuple([(handler, handler.formatter) for handler in self])
        return self.had_standard_texts


def has_standard_text(handler: logging.Handler, unknown: Collection[str] = ()) -> bool:
    """Return whether the text of ``handler`` depends only on the message and the attributes of a record.

    The formatter may have its own ``formatException``, because the logging call formats the exception.

    Args:
        handler: The handler that writes.
        unknown: The names of attributes on which the text must not depend.
    """
    if "format" in vars(handler) or not _formats_by_formatter(type(handler)) or is_forwarding(handler):
        return False
    formatter = handler.formatter
    if formatter is None:
        return True
    return _has_standard_methods(type(formatter)) and _inserts_only_attributes(formatter, unknown)


def writes_only_text(handler: logging.Handler) -> bool:
    """Return whether ``handler`` writes the text of its formatter, and uses no more of a record."""
    return "emit" not in vars(handler) and _emits_text(type(handler))


def is_forwarding(handler: logging.Handler) -> bool:
    """Return whether ``handler`` passes records on to other handlers, which format them."""
    return isinstance(handler, BufferingHandler) or getattr(handler, "forwards_records", False) is True


def format_at_once(
    record: logging.LogRecord, handlers: Sequence[logging.Handler], numbers: Iterable[int]
) -> tuple[tuple[int, ...], Texts]:
    """Format ``record`` for the handlers with the indexes ``numbers``, as they would do it in the logging call.

    Returns:
        The indexes of the handlers that have to write the record, and their texts. A handler that passes records on to
        others has no text. A handler whose formatter failed has reported that, and does not write.
    """
    texts: Texts = {}
    accepted = []
    for number in numbers:
        handler = handlers[number]
        if not is_forwarding(handler):
            is_formatted = bool(getattr(record, "exc_text", None))
            try:
                texts[number] = handler.format(record)
            except RecursionError:
                raise
            except Exception:
                if writes_only_text(handler):
                    handler.handleError(record)
                    continue
            if not is_formatted and getattr(record, "exc_text", None):
                record.exc_text = _CachedText(record.exc_text)
        accepted.append(number)
    return tuple(accepted), texts


class _CachedText(str):
    """The text of an exception, cached in a record until all handlers have their texts."""

    __slots__ = ()


def format_exception(record: logging.LogRecord, handler: logging.Handler | None) -> str:
    """Return the text of the record's exception, by the formatter of ``handler``, and cache it in the record.

    The standard formatter, too, caches the text of the first handler for all others. Without ``handler``, the text is
    that of the default formatter, and is not cached.
    """
    if record.exc_text:
        return str(record.exc_text)
    formatter = getattr(handler, "formatter", None) or _FORMATTER
    text: str = formatter.formatException(record.exc_info)  # type: ignore[arg-type]  # It is not None.
    if handler is not None:
        record.exc_text = _CachedText(text)
    return text


def forget_exception_text(record: logging.LogRecord) -> None:
    """Remove the text that this module cached: the other handlers of the program format the exception themselves."""
    if type(getattr(record, "exc_text", None)) is _CachedText:
        record.exc_text = None


@_cached_by_class
def _formats_by_formatter(kind: type) -> bool:
    """Return whether ``format`` is the standard method, or belongs to a class that writes whole batches itself."""
    owner = _owner(kind, "format")
    return owner is logging.Handler or "emit_batch" in vars(owner)


@_cached_by_class
def _emits_text(kind: type) -> bool:
    owner = _owner(kind, "emit")
    return "emit_batch" in vars(owner) or vars(owner)["emit"] in _TEXT_EMITS


def _owner(kind: type, name: str) -> type:
    """Return the class that defines the method ``name`` of ``kind``."""
    return next(each for each in kind.__mro__ if name in vars(each))


@_cached_by_class
def _has_standard_methods(kind: type) -> bool:
    return issubclass(kind, logging.Formatter) and all(
        getattr(kind, name) is getattr(logging.Formatter, name) for name in _FORMATTER_METHODS
    )


def _inserts_only_attributes(formatter: logging.Formatter, unknown: Collection[str]) -> bool:
    own = vars(formatter)
    style: Any = own.get("_style")
    if type(style) not in _STYLES or not own.keys().isdisjoint(_FORMATTER_METHODS):
        return False
    if any(name in style._fmt for name in (*_MERGED, *unknown)):
        return False
    defaults = getattr(style, "_defaults", None) or {}
    return all(type(each) in ATOMS for each in defaults.values())
