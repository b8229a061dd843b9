"""How many connections there may be, and for how long one may be open for nothing."""

import asyncio
import sys
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

_MOST = 2000  # connections, where the system lets a process have so many
_OTHERS = 200  # files that are open besides
_HEAD = 20.0  # seconds in which the head of a request has to come
_BODY = 90.0  # seconds in which all of it has to come, whatever it asks for; `POST /logs` has a limit of its own


def make_room() -> int:
    """Let this process have enough files open, as far as the system allows; return how many connections that are."""
    if sys.platform == "win32":
        return _MOST
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _MOST + _OTHERS
    if resource.RLIM_INFINITY != soft < files:
        soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _MOST if soft == resource.RLIM_INFINITY else max(_OTHERS, min(_MOST, soft - _OTHERS))


class Protocol(H11Protocol):
    """Closes connections on which no request comes to its end: after a while, and the oldest when there are many.

    Attributes:
        most: How many connections there may be. Where a request is in hand on each of them, no other one is taken.
    """

    most: ClassVar[int] = _MOST
    _unfinished: ClassVar["dict[Protocol, None]"] = {}  # the oldest first

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._closing: asyncio.TimerHandle | None = None
        self._awaited: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self.most:
            oldest = next(iter(self._unfinished))  # this one, where there is no other
            oldest._await(None)
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for the rest."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._await(None)
        super().connection_lost(exc)

    def _watch(self) -> None:
        cycle = self.cycle
        if self.transport.is_closing():
            self._await(None)
        elif cycle is None or cycle.response_complete:
            self._await("head", cycle, _HEAD)
        elif cycle.more_body:
            self._await("body", cycle, _BODY)
        else:
            self._await(None)

    def _await(self, part: str | None, of: Any = None, seconds: float = 0.0) -> None:
        """Wait for a part of a request, so many seconds since the first call for it; None is nothing."""
        if (part, of) == self._awaited:
            return
        self._awaited = (part, of)
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        self._unfinished.pop(self, None)
        if part is not None:
            self._closing = self.loop.call_later(seconds, self.transport.abort)
            self._unfinished[self] = None
