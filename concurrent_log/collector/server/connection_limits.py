"""Limits on connections: their number, and the time for an unfinished request."""

import asyncio
import sys
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

_MAX_CONNECTIONS = 2000  # if the system allows enough open files
_OTHER_FILES = 200  # open files that are not connections
_HEAD_TIMEOUT = 20.0  # seconds
_BODY_TIMEOUT = 90.0  # seconds, for all routes; `POST /logs` has a shorter limit of its own


def raise_file_limit() -> int:
    """Raise the limit on open files as far as needed and allowed; return the number of connections that fit."""
    if sys.platform == "win32":
        return _MAX_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _MAX_CONNECTIONS + _OTHER_FILES
    if resource.RLIM_INFINITY != soft < files:
        soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return _MAX_CONNECTIONS
    return max(_OTHER_FILES, min(_MAX_CONNECTIONS, soft - _OTHER_FILES))


class LimitedProtocol(H11Protocol):
    """Closes a connection whose request stays unfinished: after a timeout, or the oldest if there are too many.

    Attributes:
        max_connections: If all these have a request in progress, new connections are closed.
    """

    max_connections: ClassVar[int] = _MAX_CONNECTIONS
    _unfinished: ClassVar["dict[LimitedProtocol, None]"] = {}  # the oldest first

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timeout: asyncio.TimerHandle | None = None
        self._awaited: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout for the first request; if there are too many connections, close the oldest unfinished."""
        super().connection_made(transport)
        self._update_timeout()
        if len(self.connections) > self.max_connections:
            oldest = next(iter(self._unfinished))  # this connection, if all others have a request in progress
            oldest._wait_for(None)
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Process the data, and update the timeout."""
        super().data_received(data)
        self._update_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeout."""
        self._wait_for(None)
        super().connection_lost(exc)

    def _update_timeout(self) -> None:
        cycle = self.cycle
        if self.transport.is_closing():
            self._wait_for(None)
        elif cycle is None or cycle.response_complete:
            self._wait_for("head", cycle, _HEAD_TIMEOUT)
        elif cycle.more_body:
            self._wait_for("body", cycle, _BODY_TIMEOUT)
        else:
            self._wait_for(None)

    def _wait_for(self, part: str | None, cycle: Any = None, seconds: float = 0.0) -> None:
        """Start the timeout for a part of a request, unless it runs already; None cancels it."""
        if (part, cycle) == self._awaited:
            return
        self._awaited = (part, cycle)
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
        self._unfinished.pop(self, None)
        if part is not None:
            self._timeout = self.loop.call_later(seconds, self.transport.abort)
            self._unfinished[self] = None
