"""Limits on connections: their number and age, the time for an unfinished request, and for reading an answer."""

import asyncio
import sys
import time
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from concurrent_log.collector.server.access.rules import SENDING
from concurrent_log.collector.server.strict_framing import StrictConnection
from concurrent_log.collector.server.unread_answers import UnreadAnswers

_MAX_CONNECTIONS = 2000  # if the system allows enough open files
_OTHER_FILES = 200  # open files that are not connections
_HEAD_TIMEOUT = 20.0  # seconds
_BODY_TIMEOUT = 90.0  # seconds, for all routes; `POST /logs` has a shorter limit of its own
_MAX_AGE = 300.0  # seconds after which a connection ends with its next answer
_CLOSE_HEADER = (b"connection", b"close")
_CHECK_INTERVAL = 1.0  # seconds between two searches for clients that stopped reading


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


class _CountedTransport:
    """A transport that counts what is written to it."""

    def __init__(self, transport: asyncio.Transport, on_write: Any) -> None:
        self._transport = transport
        self._on_write = on_write
        self.written = 0

    def write(self, data: bytes) -> None:
        is_new = not self._transport.get_write_buffer_size()
        self.written += len(data)
        self._transport.write(data)
        self._on_write(is_new)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class LimitedProtocol(H11Protocol):
    """Closes a connection whose request stays unfinished, or whose client stops reading the answer.

    If there are too many connections, one is closed: the one whose client has not read for the longest time, else the
    oldest with an unfinished request, else the oldest that is not sending records. So senders always find a place.

    An old connection ends with its next answer, so that a balancer's new server gets its share of the connections.

    Attributes:
        max_connections: If all these are sending records, new connections are closed.
        unread: The answers that clients have not read yet.
    """

    max_connections: ClassVar[int] = _MAX_CONNECTIONS
    unread: ClassVar[UnreadAnswers] = UnreadAnswers()
    _unfinished: ClassVar["dict[LimitedProtocol, None]"] = {}  # the oldest first
    _answering: ClassVar["dict[LimitedProtocol, None]"] = {}  # the oldest first, without senders
    _check: ClassVar[asyncio.TimerHandle | None] = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = StrictConnection(h11.SERVER)
        self._timeout: asyncio.TimerHandle | None = None
        self._awaited: Any = None

    @staticmethod
    def clock() -> float:
        """Return a time in seconds that never jumps."""
        return time.monotonic()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout for the first request; if there are too many connections, close one."""
        counted: Any = _CountedTransport(transport, self._update_unread)
        super().connection_made(counted)
        self._opened_at = self.clock()
        self._update_timeout()
        if len(self.connections) > self.max_connections:
            self._choose_victim().abort()

    def _choose_victim(self) -> Any:
        stalled = self.unread.oldest()
        if stalled is not None:
            return stalled
        oldest = next(iter(self._unfinished))  # at least this connection
        return next(iter(self._answering), oldest) if oldest is self else oldest

    def _update_unread(self, is_new: bool) -> None:
        self.unread.update(self, is_new)
        if LimitedProtocol._check is None and self.unread.is_any:
            LimitedProtocol._check = self.loop.call_later(_CHECK_INTERVAL, self._close_stalled)

    def _close_stalled(self) -> None:
        """Close all connections whose clients stopped reading; repeat it while there are answers to be read."""
        self.unread.close_stalled()
        LimitedProtocol._check = None
        if self.unread.is_any:
            LimitedProtocol._check = self.loop.call_later(_CHECK_INTERVAL, self._close_stalled)

    def data_received(self, data: bytes) -> None:
        """Process the data, and update the timeout."""
        super().data_received(data)
        self._update_timeout()

    def handle_events(self) -> None:
        """Process the received data; let the answer to a request on an old connection be the last one."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and self._opened_at + _MAX_AGE <= self.clock():
            self.headers.append(_CLOSE_HEADER)  # as if the client asked for it

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be parsed, and close; the application can then no longer answer it."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        super().send_400_response(msg)

    def on_response_complete(self) -> None:
        """Process the next request, and update the timeout."""
        super().on_response_complete()
        self._update_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeout."""
        self._wait_for(None)
        self._answering.pop(self, None)
        self.unread.forget(self)
        super().connection_lost(exc)

    def unread_bytes(self) -> int:
        """Return the number of bytes that the operating system did not accept yet."""
        return int(self.transport.get_write_buffer_size())

    def sent_bytes(self) -> int:
        """Return the number of bytes that it accepted so far."""
        transport: Any = self.transport
        return int(transport.written) - self.unread_bytes()

    def abort(self) -> None:
        """Close the connection at once."""
        self._wait_for(None)
        self._answering.pop(self, None)
        self.unread.forget(self)
        self.transport.abort()

    def _update_timeout(self) -> None:
        cycle = self.cycle
        self._answering.pop(self, None)
        if self.transport.is_closing():
            self._wait_for(None)
        elif cycle is None or cycle.response_complete:
            self._wait_for("head", cycle, _HEAD_TIMEOUT)
        elif cycle.more_body:
            self._wait_for("body", cycle, _BODY_TIMEOUT)
        else:
            self._wait_for(None)
            if (self.scope["method"], self.scope["path"]) not in SENDING:
                self._answering[self] = None

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
