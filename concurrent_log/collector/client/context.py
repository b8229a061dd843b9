"""On whose behalf the program works: fields that every record logged here carries, without being handed along.

There are three layers. The id of the trace is set by the middleware; above it are the fields of the user, then those of
the request. What a logging call says itself stands above all. Each thread and each asyncio task has its own.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from concurrent_log.internal.extras import needs_extra

with needs_extra():
    from concurrent_log.collector.client.json_values import freeze

# What a record says of itself; fields of these names become attributes.
OURS = frozenset(("level", "level_number", "message", "created_at", "sequence"))


class _Layer(dict[str, Any]):
    """Fields that are never changed once they are set, and the block that they are set for."""

    __slots__ = ("block", "outer")

    def __init__(self, fields: dict[str, Any], outer: "_Layer | None" = None, block: "object | None" = None) -> None:
        super().__init__(fields if OURS.isdisjoint(fields) else _with_ours_apart(fields))
        self.outer = outer
        self.block = block


_NOTHING = _Layer({})
_trace: ContextVar[_Layer] = ContextVar("concurrent_log_trace", default=_NOTHING)
_user: ContextVar[_Layer] = ContextVar("concurrent_log_user", default=_NOTHING)
_request: ContextVar[_Layer] = ContextVar("concurrent_log_request", default=_NOTHING)
ready: ContextVar[dict[str, Any]] = ContextVar("concurrent_log_ready", default=_NOTHING)  # all of them, frozen


def _set(layer: ContextVar[_Layer], value: _Layer) -> None:
    layer.set(value)
    found = fields()
    freeze(found)
    ready.set(found)


def fields() -> dict[str, Any]:
    """Return what a record logged here carries, as a new dictionary."""
    user, request = _user.get(), _request.get()
    found = {**_trace.get(), **user}
    if request:
        add(found, request)
    return found


def complete(entry: dict[str, Any]) -> None:
    """Add to ``entry``, a record logged here, what it does not say itself."""
    found = fields()
    if not found:
        return
    if "attributes" in found and "attributes" in entry:
        entry["attributes"] = {**_as_dict(found["attributes"]), **_as_dict(entry["attributes"])}
    for name, value in found.items():
        entry.setdefault(name, value)


def add(entry: dict[str, Any], fields: dict[str, Any]) -> None:
    """Add ``fields`` to ``entry``, where they take the place of what is there; attributes are added to attributes."""
    if not OURS.isdisjoint(fields):
        fields = _with_ours_apart(fields)
    before = entry.get("attributes")
    entry.update(fields)
    if before is not None and "attributes" in fields:
        entry["attributes"] = {**_as_dict(before), **_as_dict(fields["attributes"])}


def _with_ours_apart(fields: dict[str, Any]) -> dict[str, Any]:
    apart = {name: value for name, value in fields.items() if name in OURS}
    rest = {name: value for name, value in fields.items() if name not in OURS}
    return {**rest, "attributes": {**_as_dict(fields.get("attributes", {})), **apart}}


def _as_dict(attributes: Any) -> dict[Any, Any]:
    return dict(attributes) if isinstance(attributes, Mapping) else {"attributes": attributes}


def trace_id() -> str | None:
    """Return the trace id that a record logged here carries, such as for a header of a request to another service."""
    found = fields().get("trace_id")
    return None if found is None else str(found)


def new_trace_id() -> str:
    """Return an id for a trace that begins here: 32 hexadecimal digits, as in W3C Trace Context."""
    return uuid.uuid4().hex


class _Block:
    """A ``with`` or ``async with`` statement that adds fields to those around it.

    May be entered by several threads and tasks at a time: who is inside of what is kept in their contexts.
    """

    def __init__(self, layer: ContextVar[_Layer], fields: dict[str, Any]) -> None:
        self._layer = layer
        self._fields = fields

    def __enter__(self) -> None:
        around = self._layer.get()
        fields = dict(around)
        add(fields, self._fields)
        _set(self._layer, _Layer(fields, around, self))

    def __exit__(self, *_: object) -> None:
        found: _Layer | None = self._layer.get()
        while found is not None and found.block is not self:
            found = found.outer
        # Otherwise entered in another context, as by a generator that a framework goes on with elsewhere.
        if found is not None and found.outer is not None:
            _set(self._layer, found.outer)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()


def _replace(layer: ContextVar[_Layer], fields: dict[str, Any]) -> None:
    here = layer.get()
    _set(layer, _Layer(fields, here.outer, here.block))


def user_context(**context: Any) -> _Block:
    """Add fields such as ``user_id``, ``session_id`` and ``trace_id`` to all records of a ``with`` statement.

    Blocks nest: the inner one adds to the outer one, and is what counts where both have a field.
    """
    return _Block(_user, context)


def set_user_context(**context: Any) -> None:
    """Let all records from here on carry these fields, instead of those set before.

    Within a ``with`` statement of `user_context`, until its end.
    """
    _replace(_user, context)


def clear_user_context() -> None:
    """Let records carry no fields of a user."""
    _replace(_user, {})


def get_user_context() -> dict[str, Any] | None:
    """Return a copy of the user's fields, or None where there are none."""
    return dict(_user.get()) or None


def request_context(**context: Any) -> _Block:
    """Add fields such as ``path``, ``method`` and ``ip`` to all records of a ``with`` statement."""
    return _Block(_request, context)


def set_request_context(**context: Any) -> None:
    """Let all records from here on carry these fields of a request, instead of those set before."""
    _replace(_request, context)


def clear_request_context() -> None:
    """Let records carry no fields of a request."""
    _replace(_request, {})


def get_request_context() -> dict[str, Any] | None:
    """Return a copy of the request's fields, or None where there are none."""
    return dict(_request.get()) or None


def begin_request(trace_id: str, request: dict[str, Any]) -> None:
    """Let all records from here on belong to a request."""
    _trace.set(_Layer({"trace_id": trace_id}))
    _set(_request, _Layer(request))


@contextmanager
def serving(trace_id: str, request: dict[str, Any]) -> Iterator[None]:
    """Handle one request; whatever is set meanwhile ends with it."""
    before = [(layer, layer.get()) for layer in (_trace, _user, _request)]
    begin_request(trace_id, request)
    try:
        yield
    finally:
        for layer, value in before:
            _set(layer, value)
