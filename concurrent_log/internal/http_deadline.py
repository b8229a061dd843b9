"""Connections of urllib3 whose answers must be there in time: its own timeout begins anew with every byte."""

import http.client
import io
import math
import socket
import time
from typing import Any

import urllib3


class _Reading(io.RawIOBase):
    """Reads what a server answers, until a deadline: one byte at a time is no way to keep us."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._source = sock.makefile("rb", buffering=0)
        seconds = sock.gettimeout()
        self._deadline = math.inf if seconds is None else time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        if left != math.inf:
            self._sock.settimeout(left)
        return self._source.readinto(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()


class _Socket:
    """A socket of which an answer is read until a deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, mode: str, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self._sock))


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(_Socket(sock), *arguments, **options)  # type: ignore[arg-type]  # all that is used of it


class HTTPConnection(urllib3.connection.HTTPConnection):
    """One over plain HTTP."""

    response_class = _Response


class HTTPSConnection(urllib3.connection.HTTPSConnection):
    """One over TLS."""

    response_class = _Response
