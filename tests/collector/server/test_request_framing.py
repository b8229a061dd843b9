"""Requests whose end is ambiguous: the connection is closed, so that nothing after them is taken for a request."""

import re
import socket

import pytest

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from support.collector_server import Server
from support.deadlines import DEADLINE

_BODY = b'{"logs": [{"message": "first"}]}'
_LENGTH = b"Content-Length: %d\r\n" % len(_BODY)
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(_BODY), _BODY)
_SECOND = b'{"logs": [{"message": "smuggled"}]}'
_NEXT = b"POST /logs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_SECOND),
    _SECOND,
)

_AMBIGUOUS = {
    "length, then chunks": (_LENGTH + _CHUNKED, _CHUNKS),
    "chunks, then length": (_CHUNKED + _LENGTH, _CHUNKS),
    "length of the chunks": (_CHUNKED + b"Content-Length: %d\r\n" % len(_CHUNKS), _CHUNKS),
    "length of the first chunk's size": (_CHUNKED + b"Content-Length: 4\r\n", _CHUNKS),
    "length zero": (_CHUNKED + b"Content-Length: 0\r\n", _CHUNKS),
    "folded chunks": (_LENGTH + b"Transfer-Encoding:\r\n chunked\r\n", _CHUNKS),
    "chunks after bare line feeds": (_LENGTH + b"X: y\nTransfer-Encoding: chunked\n", _CHUNKS),
    "two lengths": (_LENGTH + b"Content-Length: 3\r\n", _BODY),
    "list of lengths": (b"Content-Length: %d, 3\r\n" % len(_BODY), _BODY),
    "signed length": (b"Content-Length: +%d\r\n" % len(_BODY), _BODY),
    "hexadecimal length": (b"Content-Length: 0x20\r\n", _BODY),
    "length with a space before the colon": (b"Content-Length : %d\r\n" % len(_BODY), _BODY),
    "unknown encoding": (b"Transfer-Encoding: xchunked\r\n", _CHUNKS),
    "unknown encoding and length": (_LENGTH + b"Transfer-Encoding: xchunked\r\n", _BODY),
    "empty encoding and length": (_LENGTH + b"Transfer-Encoding:\r\n", _BODY),
    "identity": (_LENGTH + b"Transfer-Encoding: identity\r\n", _BODY),
    "chunks that are not last": (b"Transfer-Encoding: chunked, identity\r\n", _CHUNKS),
    "chunks twice": (_CHUNKED + _CHUNKED, _CHUNKS),
    "encoding with a space before the colon": (_LENGTH + b"Transfer-Encoding : chunked\r\n", _CHUNKS),
    "encoding with a vertical tab": (_LENGTH + b"Transfer-Encoding: \x0bchunked\r\n", _CHUNKS),
    "encoding after a carriage return": (_LENGTH + b"X: y\rTransfer-Encoding: chunked\r\n", _BODY),
    "encoding with a null": (_LENGTH + b"Transfer-Encoding\0: chunked\r\n", _CHUNKS),
    "folded request line": (b"", b""),
    "chunk size with a prefix": (_CHUNKED, b"0x" + _CHUNKS),
    "chunk longer than its size": (_CHUNKED, _CHUNKS.replace(b"\r\n0\r\n", b"XX0\r\n")),
}


def ask(server: Server, content: bytes) -> list[bytes]:
    """Send the bytes, read until the server closes the connection, and return the statuses."""
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
        connection.sendall(content)
        received = b""
        try:
            while found := connection.recv(65_536):
                received += found
        except ConnectionResetError:
            pass  # The server closed it before it had read everything.
    return re.findall(rb"HTTP/1\.1 (\d+) ", received)


@pytest.mark.parametrize(("fields", "body"), _AMBIGUOUS.values(), ids=list(_AMBIGUOUS))
@pytest.mark.parametrize("path", [b"POST /logs", b"GET /health"], ids=["with a body", "without one"])
def test_ambiguous_request_closes_the_connection(
    sqlite_server: Server, path: bytes, fields: bytes, body: bytes
) -> None:
    """The status is 400, and the request that follows on the same connection is not processed."""
    start = path + b" HTTP/1.1\r\n" + (b"" if fields else b" folded\r\n")
    statuses = ask(sqlite_server, start + b"Host: localhost\r\n" + fields + b"\r\n" + body + _NEXT)

    assert statuses in ([b"400"], [b"200", b"400"] if path.startswith(b"GET") and fields == _CHUNKED else [])
    assert sqlite_server.count() == 0
    assert "Traceback" not in sqlite_server.errors


@pytest.mark.parametrize("path", [b"GET /no-such-page", b"GET /health", b"POST /no-such-page", b"POST /logs"])
def test_invalid_body_is_answered_once(sqlite_server: Server, path: bytes) -> None:
    """The application, which begins when the head is there, no longer answers when the body turns out to be invalid."""
    head = path + b" HTTP/1.1\r\nHost: localhost\r\n" + _CHUNKED + b"\r\n"

    assert ask(sqlite_server, head + b"xyz\r\n" + _NEXT) == [b"400"]
    assert sqlite_server.ask("GET", "/health")[0] == 200
    assert "Traceback" not in sqlite_server.errors


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (_LENGTH, _BODY),
        (_LENGTH + _LENGTH, _BODY),
        (_CHUNKED, _CHUNKS),
        (_CHUNKED.upper(), _CHUNKS),
        (_LENGTH + b"Transfer_Encoding: chunked\r\n", _BODY),
        (_LENGTH + b"X: y\r\n Transfer-Encoding: chunked\r\n", _BODY),
    ],
    ids=["length", "same length twice", "chunks", "upper case", "another header", "folded into another header"],
)
def test_clear_request_is_followed_by_the_next(sqlite_server: Server, fields: bytes, body: bytes) -> None:
    """The connection stays open, and each request has the body that is its own."""
    statuses = ask(sqlite_server, b"POST /logs HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n" + body + _NEXT)

    assert statuses == [b"200", b"200"]
    assert sqlite_server.select("SELECT message FROM logs ORDER BY id") == [("first",), ("smuggled",)]


def test_chunks_of_an_old_client_close_the_connection(sqlite_server: Server) -> None:
    """HTTP/1.0 has no chunks: RFC 9112, 6.1, lets the server process the request, but not what follows."""
    head = b"POST /logs HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n"

    assert ask(sqlite_server, head + _CHUNKED + b"\r\n" + _CHUNKS + _NEXT) == [b"200"]
    assert sqlite_server.count() == 1
