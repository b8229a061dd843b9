"""A proxy in front of a collector that refuses requests and drops responses, for senders in any format."""

import contextlib
import http.client
import http.server
import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

_TIMEOUT = 60.0  # seconds that the server has for a response
_HOP_BY_HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"))


class UnreliableProxy:
    """Forwards requests to ``port``, with the ``faults`` in turn; use it as a context manager.

    Args:
        port: The port of the server on 127.0.0.1.
        faults: ``pass`` forwards, ``busy`` answers 503, ``drop`` forwards and closes the connection without a response.

    Attributes:
        counts: How many requests had each fault.
    """

    def __init__(self, port: int, faults: Sequence[str] = ("busy", "pass", "drop", "pass", "pass")) -> None:
        self.counts: Counter[str] = Counter()
        self._faults = itertools.cycle(faults)
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self, "upstream": port})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """The URL of the proxy."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def next_fault(self) -> str:
        """Return the fault of the next request."""
        with self._lock:
            fault = next(self._faults)
            self.counts[fault] += 1
            return fault

    def __enter__(self) -> "UnreliableProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: UnreliableProxy
    upstream: int

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._forward(b"", "pass")

    def do_HEAD(self) -> None:
        self._forward(b"", "pass")

    def do_POST(self) -> None:
        with contextlib.suppress(ConnectionError):  # A sender may give up, or the server may have ended.
            self._forward(self._body(), self.proxy.next_fault())

    def do_PUT(self) -> None:
        self.do_POST()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _forward(self, body: bytes, fault: str) -> None:
        if fault == "busy":
            self.send_response(503)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=_TIMEOUT)) as upstream:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            upstream.request(self.command, self.path, body, headers)
            response = upstream.getresponse()
            content = response.read()
        if fault == "drop":
            self.close_connection = True
            return
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
