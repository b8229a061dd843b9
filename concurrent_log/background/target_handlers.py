"""Which handlers write: as they were given, or as a logging configuration names them."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any


class Targets:
    """The handlers that write, which `logging.config.dictConfig` may make later than the one that hands over.

    Raises:
        TypeError: ``given`` is no list of handlers and names.
        ValueError: It is empty, or names a handler that does not exist.
    """

    def __init__(self, given: Sequence["logging.Handler | str"]) -> None:
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise TypeError(f"handlers must be a list of handlers, or of their names, not {given!r}")
        self._given = list(given)
        if not self._given:
            raise ValueError("handlers is empty: name the handlers that are to write")
        # dictConfig lets its lists know where they stand; in the dictionary, names become handlers one by one.
        configurator = getattr(given, "configurator", None)
        self._book: Mapping[str, Any] = _handlers_by_name() if configurator is None else configurator.config["handlers"]
        for item in self._given:
            self._check(item)

    def find(self) -> tuple[logging.Handler, ...] | None:
        """Return the handlers, or None while one of them is not made yet."""
        found = [self._book[item] if isinstance(item, str) else item for item in self._given]
        handlers = tuple(item for item in found if isinstance(item, logging.Handler))
        return handlers if len(handlers) == len(found) else None

    def _check(self, item: object) -> None:
        if isinstance(item, str):
            if item not in self._book:
                known = ", ".join(sorted(map(repr, self._book))) or "none"
                raise ValueError(f"handlers: no handler is called {item!r}; there are: {known}")
        elif not isinstance(item, logging.Handler):
            raise TypeError(f"handlers must be handlers, or names of handlers, not {item!r}")


def _handlers_by_name() -> dict[str, logging.Handler]:
    """Return the handlers that have a name, as `logging.getHandlerByName` knows them since Python 3.12."""
    return dict(logging._handlers)  # type: ignore[attr-defined]
