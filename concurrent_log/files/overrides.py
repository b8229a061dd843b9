"""Overrides: which methods of a handler a program replaces, found out by comparing functions."""

import logging
from collections import defaultdict
from collections.abc import Callable
from logging.handlers import BaseRotatingHandler, RotatingFileHandler, TimedRotatingFileHandler
from typing import Any, TypeVar

_Kind = TypeVar("_Kind", bound=type)

# Collected at import: a method that a program replaces later, even on a class of ours, is overridden.
_own_functions: defaultdict[str, set[object]] = defaultdict(set)


def own_handler(kind: _Kind) -> _Kind:
    """Mark a handler class of this package: its methods do not count as overridden, those of its subclasses do."""
    for name, value in vars(kind).items():
        if callable(value):
            _own_functions[name].add(value)
    return kind


def is_overridden(handler: logging.Handler, name: str) -> bool:
    """Return whether a subclass, a mixin or an attribute of ``handler`` replaces its method ``name``."""
    known = _own_functions[name]
    if name in vars(handler):
        return getattr(vars(handler)[name], "__func__", None) not in known
    return getattr(type(handler), name) not in known


def overridden(handler: logging.Handler, name: str) -> Callable[..., Any] | None:
    """Return the method ``name`` of ``handler`` if it is overridden, otherwise None."""
    return getattr(handler, name) if is_overridden(handler, name) else None


for _class in (
    logging.Handler,
    logging.FileHandler,
    BaseRotatingHandler,
    RotatingFileHandler,
    TimedRotatingFileHandler,
):
    own_handler(_class)
