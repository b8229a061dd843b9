"""The handlers that write: given as objects, or by the names that a logging configuration gives them."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from concurrent_log.background.configuration import HandlerNames, configuration_error, current_configuration


class TargetHandlers:
    """The handlers that write, which a logging configuration may create after the `BackgroundHandler`.

    Raises:
        TypeError: ``given`` is not a list of handlers and names.
        ValueError: ``given`` is empty, names a handler that does not exist, or leads back to the handler itself.
    """

    def __init__(self, given: Sequence["logging.Handler | str"]) -> None:
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise TypeError(f"handlers must be a list of handlers, or of their names, not {given!r}")
        if not given:
            raise configuration_error("handlers is empty: add the handlers that write the records")
        configuration = current_configuration() or _named_handlers()
        self._by_name: Mapping[str, Any] = configuration.handlers
        self._given = [
            _resolve_reference(given, number, configuration) if _is_reference(item) else item
            for number, item in enumerate(given)
        ]
        for item in self._given:
            _check(item, configuration)
        if configuration.name in self._reachable_names():
            raise configuration_error(f"handlers: {configuration.name!r} would write through itself")

    def resolve(self) -> tuple[logging.Handler, ...] | None:
        """Return the handlers, or None while one of them is not created yet."""
        found = [self._by_name.get(item) if isinstance(item, str) else item for item in self._given]
        handlers = tuple(item for item in found if isinstance(item, logging.Handler))
        return handlers if len(handlers) == len(found) else None

    def __str__(self) -> str:
        """Return the handlers as they were given."""
        return ", ".join(map(repr, self._given))

    def _reachable_names(self) -> set[str]:
        """Return the names of the handlers that these handlers, and those behind them, write through."""
        reachable: set[str] = set()
        pending = [item for item in self._given if isinstance(item, str)]
        while pending:
            name = pending.pop()
            if name not in reachable:
                reachable.add(name)
                behind = getattr(self._by_name.get(name), "_target_handlers", None)
                if isinstance(behind, TargetHandlers):
                    pending += [item for item in behind._given if isinstance(item, str)]
        return reachable


def _is_reference(item: object) -> bool:
    return isinstance(item, str) and item.startswith(("cfg://", "ext://"))


def _resolve_reference(given: Sequence[Any], number: int, configuration: HandlerNames) -> Any:
    """Return what a reference leads to: a handler, or its name if ``cfg://handlers.file`` is not created yet.

    The lists of `logging.config.dictConfig` convert a reference when the item is requested, not in an iteration.
    """
    try:
        found = given[number]
    except Exception as error:
        raise configuration_error(
            f"handlers: the reference number {number + 1} leads to nothing ({error!r})"
        ) from error
    names = [name for name, description in configuration.handlers.items() if description is found]
    return names[0] if names else found


def _check(item: object, configuration: HandlerNames) -> None:
    if isinstance(item, str):
        if item not in configuration.names:
            known = ", ".join(sorted(map(repr, configuration.names))) or "none"
            raise configuration_error(f"handlers: no handler has the name {item!r}; known names: {known}")
    elif not isinstance(item, logging.Handler):
        raise TypeError(f"handlers must be handlers, or names of handlers, not {item!r}")


def _named_handlers() -> HandlerNames:
    """Return all handlers that have a name; `logging.getHandlerByName` exists only since Python 3.12."""
    handlers = dict(logging._handlers)  # type: ignore[attr-defined]
    return HandlerNames(None, handlers, handlers)
