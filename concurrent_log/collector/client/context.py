"""Context fields: the user and the request that the program works for, added to every record of the context.

There are three layers: the trace id, set by the middleware; above it the fields of the user; above these the fields of
the request. The fields of a logging call override all layers. Each thread and each asyncio task has its own context.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from concurrent_log.collector.client.extra import needs_extra

with needs_extra():
    from concurrent_log.collector.client.json_values import freeze

# The client sets these fields of a record itself; a field of the user with such a name becomes an attribute.
RESERVED = frozenset(("level", "level_number", "message", "created_at", "sequence"))


class _ContextLayer(dict[str, Any]):
    """Fields that never change once they are set, and the block that set them."""

    __slots__ = ("block", "outer")

    def __init__(
        self, fields: dict[str, Any], outer: "_ContextLayer | None" = None, block: "object | None" = None
    ) -> None:
        super().__init__(fields if RESERVED.isdisjoint(fields) else _move_reserved(fields))
        self.outer = outer
        self.block = block


_EMPTY = _ContextLayer({})
_trace: ContextVar[_ContextLayer] = ContextVar("concurrent_log_trace", default=_EMPTY)
_user: ContextVar[_ContextLayer] = ContextVar("concurrent_log_user", default=_EMPTY)
_request: ContextVar[_ContextLayer] = ContextVar("concurrent_log_request", default=_EMPTY)
frozen_fields: ContextVar[dict[str, Any]] = ContextVar("concurrent_log_frozen", default=_EMPTY)  # of all layers


def _set(layer: ContextVar[_ContextLayer], value: _ContextLayer) -> None:
    layer.set(value)
    merged = fields()
    freeze(merged)
    frozen_fields.set(merged)


def fields() -> dict[str, Any]:
    """Return the fields of all layers in a new dictionary."""
    user, request = _user.get(), _request.get()
    merged = {**_trace.get(), **user}
    if request:
        add(merged, request)
    return merged


def add_missing(entry: dict[str, Any]) -> None:
    """Add the fields of the context to ``entry``, except those that it already has."""
    add_missing_fields(entry, fields())


def add_missing_fields(entry: dict[str, Any], context_fields: Mapping[str, Any]) -> None:
    """Add ``context_fields`` to ``entry``, except those that it already has; attributes are merged."""
    if not context_fields:
        return
    if "attributes" in context_fields and "attributes" in entry:
        entry["attributes"] = {**_as_dict(context_fields["attributes"]), **_as_dict(entry["attributes"])}
    for name, value in context_fields.items():
        entry.setdefault(name, value)


def add(entry: dict[str, Any], fields: dict[str, Any]) -> None:
    """Add ``fields`` to ``entry``; they replace fields of the same name, while attributes are merged."""
    if not RESERVED.isdisjoint(fields):
        fields = _move_reserved(fields)
    before = entry.get("attributes")
    entry.update(fields)
    if before is not None and "attributes" in fields:
        entry["attributes"] = {**_as_dict(before), **_as_dict(fields["attributes"])}


def _move_reserved(fields: dict[str, Any]) -> dict[str, Any]:
    """Return ``fields`` with those of reserved names moved into the attributes."""
    reserved = {name: value for name, value in fields.items() if name in RESERVED}
    others = {name: value for name, value in fields.items() if name not in RESERVED}
    return {**others, "attributes": {**_as_dict(fields.get("attributes", {})), **reserved}}


def _as_dict(attributes: Any) -> dict[Any, Any]:
    return dict(attributes) if isinstance(attributes, Mapping) else {"attributes": attributes}


def trace_id() -> str | None:
    """Return the trace id of this context, for example for the header of a request to another service."""
    value = fields().get("trace_id")
    return None if value is None else str(value)


def new_trace_id() -> str:
    """Return a new trace id: 32 hexadecimal digits, as in W3C Trace Context."""
    return uuid.uuid4().hex


class _ContextBlock:
    """A ``with`` or ``async with`` statement that adds fields to those of the surrounding context.

    Several threads and tasks may enter it at the same time; the state is in their contexts.
    """

    def __init__(self, layer: ContextVar[_ContextLayer], fields: dict[str, Any]) -> None:
        self._layer = layer
        self._fields = fields

    def __enter__(self) -> None:
        outer = self._layer.get()
        fields = dict(outer)
        add(fields, self._fields)
        _set(self._layer, _ContextLayer(fields, outer, self))

    def __exit__(self, *_: object) -> None:
        layer: _ContextLayer | None = self._layer.get()
        while layer is not None and layer.block is not self:
            layer = layer.outer
        # The block may have been entered in another context: a framework may resume a generator elsewhere.
        if layer is not None and layer.outer is not None:
            _set(self._layer, layer.outer)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()


def _replace(layer: ContextVar[_ContextLayer], fields: dict[str, Any]) -> None:
    current = layer.get()
    _set(layer, _ContextLayer(fields, current.outer, current.block))


def user_context(**context: Any) -> _ContextBlock:
    """Add fields such as ``user_id``, ``session_id`` and ``trace_id`` to all records of a ``with`` statement.

    Blocks nest: the inner block adds to the outer one, and overrides fields of the same name.
    """
    return _ContextBlock(_user, context)


def set_user_context(**context: Any) -> None:
    """Replace the user's fields of this context.

    Inside a ``with`` statement of `user_context`, the fields last until its end.
    """
    _replace(_user, context)


def clear_user_context() -> None:
    """Remove the user's fields from this context."""
    _replace(_user, {})


def get_user_context() -> dict[str, Any] | None:
    """Return a copy of the user's fields, or None if there are none."""
    return dict(_user.get()) or None


def request_context(**context: Any) -> _ContextBlock:
    """Add fields such as ``path``, ``method`` and ``ip`` to all records of a ``with`` statement."""
    return _ContextBlock(_request, context)


def set_request_context(**context: Any) -> None:
    """Replace the request's fields of this context."""
    _replace(_request, context)


def clear_request_context() -> None:
    """Remove the request's fields from this context."""
    _replace(_request, {})


def get_request_context() -> dict[str, Any] | None:
    """Return a copy of the request's fields, or None if there are none."""
    return dict(_request.get()) or None


def begin_request(trace_id: str, request: dict[str, Any]) -> None:
    """Set the trace id and the request's fields of this context."""
    _trace.set(_ContextLayer({"trace_id": trace_id}))
    _set(_request, _ContextLayer(request))


@contextmanager
def request_scope(trace_id: str, request: dict[str, Any]) -> Iterator[None]:
    """Begin a request, and restore all fields at its end."""
    before = [(layer, layer.get()) for layer in (_trace, _user, _request)]
    begin_request(trace_id, request)
    try:
        yield
    finally:
        for layer, value in before:
            _set(layer, value)
