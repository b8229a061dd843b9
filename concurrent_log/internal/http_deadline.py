"""urllib3 connections with a deadline for the whole response: urllib3's own timeout restarts with every byte."""

import http.client
import io
import math
import socket
import time
from typing import Any

import urllib3


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


class HTTPSConnection(urllib3.connection.HTTPSConnection):
    """A connection with TLS."""

    response_class = _DeadlineResponse
