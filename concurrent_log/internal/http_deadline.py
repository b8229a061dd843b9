"""urllib3 connections with a deadline for the whole response: urllib3's own timeout restarts with every byte."""

import http.client
import io
import math
import select
import socket
import sys
import time
from typing import Any

import urllib3

from concurrent_log.internal.greenlets import original

# Asks without waiting. urllib3 looks for the function when it asks; eventlet removes it.
_poll: Any = None if sys.platform == "win32" else original(select, "poll")
_READABLE = getattr(select, "POLLIN", 0)


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline, so that a server cannot prolong a response by sending single bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._source = sock.makefile("rb", buffering=0)
        seconds = sock.gettimeout()
        self._deadline = math.inf if seconds is None else time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the response took too long")
        if remaining != math.inf:
            self._sock.settimeout(remaining)
        return self._source.readinto(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()


class _DeadlineSocket:
    """The part of a socket that `http.client.HTTPResponse` uses, with a deadline for reading."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, mode: str, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self._sock))


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(_DeadlineSocket(sock), *arguments, **options)  # type: ignore[arg-type]  # only makefile is used


class HTTPConnection(urllib3.connection.HTTPConnection):
    """A connection without TLS."""

    response_class = _DeadlineResponse

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open, and nothing has arrived unasked."""
        if _poll is None or self.sock is None:
            return super().is_connected
        poller = _poll()
        poller.register(self.sock, _READABLE)
        return not poller.poll(0)


class HTTPSConnection(HTTPConnection, urllib3.connection.HTTPSConnection):
    """A connection with TLS."""
