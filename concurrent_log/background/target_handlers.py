"""The handlers that write: given as objects, or by the names that a logging configuration gives them."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any


class TargetHandlers:
    """The handlers that write, which `logging.config.dictConfig` may create after the `BackgroundHandler`.

    Raises:
        TypeError: ``given`` is not a list of handlers and names.
        ValueError: ``given`` is empty, or names a handler that does not exist.
    """

    def __init__(self, given: Sequence["logging.Handler | str"]) -> None:
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise TypeError(f"handlers must be a list of handlers, or of their names, not {given!r}")
        self._given = list(given)
        if not self._given:
            raise ValueError("handlers is empty: add the handlers that write the records")
        # Lists inside a `dictConfig` dictionary have the attribute ``configurator``. In its dictionary of handlers,
        # `dictConfig` replaces each description by the handler that it creates.
        configurator = getattr(given, "configurator", None)
        self._by_name: Mapping[str, Any] = (
            _named_handlers() if configurator is None else configurator.config["handlers"]
        )
        for item in self._given:
            self._check(item)

    def resolve(self) -> tuple[logging.Handler, ...] | None:
        """Return the handlers, or None while one of them is not created yet."""
        found = [self._by_name[item] if isinstance(item, str) else item for item in self._given]
        handlers = tuple(item for item in found if isinstance(item, logging.Handler))
        return handlers if len(handlers) == len(found) else None

    def _check(self, item: object) -> None:
        if isinstance(item, str):
            if item not in self._by_name:
                known = ", ".join(sorted(map(repr, self._by_name))) or "none"
                raise ValueError(f"handlers: no handler has the name {item!r}; known names: {known}")
        elif not isinstance(item, logging.Handler):
            raise TypeError(f"handlers must be handlers, or names of handlers, not {item!r}")


def _named_handlers() -> dict[str, logging.Handler]:
    """Return all handlers that have a name; `logging.getHandlerByName` exists only since Python 3.12."""
    return dict(logging._handlers)  # type: ignore[attr-defined]
