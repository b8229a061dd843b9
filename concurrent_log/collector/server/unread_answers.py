"""Answers that clients have not read yet: their memory is limited, and a client that stops reading is disconnected.

The part of an answer that the operating system does not accept yet is in the memory of the server.
"""

import time
from dataclasses import dataclass
from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from concurrent_log.collector.server.errors import Problem

MAX_BYTES = 64 << 20  # of all unread answers together
_LARGE = 64 << 10  # bytes; smaller answers are always sent
_READ_TIMEOUT = 30.0  # seconds in which a client must read `_MIN_READ` bytes, or the whole rest
_MIN_READ = 16 << 10  # bytes
_STALLED = 2.0  # seconds without progress after which an answer may be given up for another one


class Connection(Protocol):
    """A connection that sends answers."""

    def unread_bytes(self) -> int:
        """Return the number of bytes that the operating system did not accept yet."""

    def sent_bytes(self) -> int:
        """Return the number of bytes that it accepted so far."""

    def abort(self) -> None:
        """Close the connection at once."""


@dataclass
class _Unread:
    """Up to ``sent`` bytes were sent at the time ``since``, by `time.monotonic()`."""

    sent: int
    since: float


class UnreadAnswers:
    """The connections with an answer that is not read yet."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._progress: dict[Connection, _Unread] = {}

    @property
    def is_any(self) -> bool:
        """Whether there may be an unread answer."""
        return bool(self._progress)

    def update(self, connection: Connection, is_new: bool) -> None:
        """Note that a connection wrote; ``is_new`` if everything before was read."""
        if is_new:
            self._progress.pop(connection, None)
        if connection.unread_bytes() and connection not in self._progress:
            self._progress[connection] = _Unread(connection.sent_bytes(), time.monotonic())

    def forget(self, connection: Connection) -> None:
        """Note that a connection is closed."""
        self._progress.pop(connection, None)

    def close_stalled(self) -> None:
        """Close the connections of clients that stopped reading."""
        now = time.monotonic()
        for connection in self._by_age():
            if now - self._progress[connection].since > _READ_TIMEOUT:
                self.close(connection)

    def close(self, connection: Connection) -> None:
        """Give up an answer."""
        self.forget(connection)
        connection.abort()

    def oldest(self) -> Connection | None:
        """Return the connection whose client has not read for the longest time."""
        return next(iter(self._by_age()), None)

    def make_room(self, size: int) -> None:
        """Give up stalled answers until ``size`` more bytes fit, or raise `Problem` 503."""
        excess = self.total() + size - self._max_bytes
        if excess <= 0:
            return
        now = time.monotonic()
        for connection in self._by_age():
            if excess > 0 and now - self._progress[connection].since > _STALLED:
                excess -= connection.unread_bytes()
                self.close(connection)
        if excess > 0:
            raise Problem(503, "clients have not read too many large answers: try again later", retry_after=2)

    def total(self) -> int:
        """Return the number of bytes in memory."""
        return sum(connection.unread_bytes() for connection in self._progress)

    def _by_age(self) -> list[Connection]:
        """Return the connections that still have unread bytes, the longest without progress first."""
        now = time.monotonic()
        for connection in list(self._progress):
            progress, sent = self._progress[connection], connection.sent_bytes()
            if not connection.unread_bytes():
                self.forget(connection)
            elif sent - progress.sent >= _MIN_READ:
                progress.sent, progress.since = sent, now
        return sorted(self._progress, key=lambda each: self._progress[each].since)


class AnswerLimit:
    """Sends a large answer only if it fits beside the answers that are not read yet; otherwise 503."""

    def __init__(self, app: ASGIApp, unread: UnreadAnswers) -> None:
        self._app = app
        self._unread = unread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer of the application, or 503."""
        is_refused = False

        async def send_if_it_fits(message: Message) -> None:
            nonlocal is_refused
            try:
                if message["type"] == "http.response.start" and (size := _length(message)) > _LARGE:
                    self._unread.make_room(size)
            except Problem as problem:
                is_refused = True
                await problem.response()(scope, receive, send)
            if not is_refused:
                await send(message)

        await self._app(scope, receive, send_if_it_fits)


def _length(start: Message) -> int:
    """Return the Content-Length of a response; 0 if it has none, because it is sent in parts."""
    return int(dict(start["headers"]).get(b"content-length", 0))
