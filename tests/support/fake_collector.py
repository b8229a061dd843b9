"""A small collector for tests of the client, which records requests and can misbehave; and an HTTP proxy."""

import contextlib
import gzip
import http.server
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.deadlines import DEADLINE


@dataclass
class Request:
    """One request, and the status of its response."""

    headers: dict[str, str]
    body: dict[str, Any]
    path: str
    peer: Any
    status: int = 0


# The response to a request: a status with headers, and perhaps with a body; None to behave as a collector; or one of
# the words below.
Behaviour = Callable[[Request], "tuple[int, dict[str, str]] | tuple[int, dict[str, str], bytes] | str | None"]


@dataclass
class Collector:
    """A server in a thread of this process.

    Attributes:
        requests: All requests in order.
        batches: The stored records by the id of their batch; a batch that is sent again is stored once.
        divided: The ids of batches whose parts are stored.
        behave: Returns the response: None stores the batch; a status and headers are sent; ``lose`` stores the batch
            and drops the connection; ``hang`` does not respond; ``dribble`` sends one byte at a time.
    """

    behave: Behaviour = lambda request: None
    requests: list[Request] = field(default_factory=list)
    batches: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    divided: set[str] = field(default_factory=set)
    drops: "Counter[str]" = field(default_factory=Counter)
    commons: list[dict[str, Any]] = field(default_factory=list)
    reject: Callable[[dict[str, Any]], bool] = lambda record: False
    released: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""
    server: Any = None

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The stored records, with the common fields of their batches."""
        with self._lock:
            return [record for batch in self.batches.values() for record in batch]

    @property
    def messages(self) -> list[str]:
        """The stored messages."""
        return [record["message"] for record in self.logs]

    def store(self, request: Request) -> "dict[str, Any] | None":
        """Store the batch unless it is known, and return the response; None if the client must divide the batch."""
        body = request.body
        larger = body.get("part_of", [])
        with self._lock:
            if body["batch_id"] in self.divided:
                return None
            is_duplicate = not self.batches.keys().isdisjoint([body["batch_id"], *larger])
            rejected = [i for i, record in enumerate(body["logs"]) if self.reject(record)]
            if not is_duplicate:
                kept = [record for i, record in enumerate(body["logs"]) if i not in rejected]
                self.batches[body["batch_id"]] = [{**body["common"], **record} for record in kept]
                self.divided.update(larger)
                for drop in body.get("dropped", ()):
                    self.drops[drop["reason"]] += drop["records"]
        reasons = [{"index": i, "reason": "configured"} for i in rejected]
        count = len(body["logs"])
        return {
            "status": "ok",
            "protocol": 2,
            "batch_id": body["batch_id"],
            "count": count,
            "stored": 0 if is_duplicate else count - len(rejected),
            "duplicate": is_duplicate,
            "rejected": reasons,
        }

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` is true."""
        give_up_at = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < give_up_at, f"timeout: {len(self.requests)} requests, {len(self.logs)} logs"
            time.sleep(0.005)

    def wait_for(self, records: int) -> None:
        """Wait until ``records`` records are stored."""
        self.wait_until(lambda: len(self.logs) >= records)

    def start(self, port: int = 0, context: ssl.SSLContext | None = None) -> "Collector":
        """Start the server."""
        self.server = _Server(("127.0.0.1", port), _Handler)
        self.server.collector = self
        if context is not None:
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme, host = ("http", "127.0.0.1") if context is None else ("https", "localhost")
        self.url = f"{scheme}://{host}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop the server and close its connections."""
        self.released.set()
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server.close_connections()
            self.server = None


def is_half_written(path: Path) -> bool:
    """Return whether a segment was renamed because its last record is incomplete, of a call that did not return.

    A process that is killed during a write may leave a part of the record, up to the end of a memory page.
    """
    from concurrent_log.collector.client.queue.segment import content_of

    *whole, last = path.read_bytes().splitlines(keepends=True)
    return path.suffix == ".corrupt" and None not in map(content_of, whole) and not last.endswith(b"\n")


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    collector: Collector

    def __init__(self, *arguments: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for each in list(self.connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: clients disconnect at any moment."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        collector = self.server.collector
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        request = Request(dict(self.headers), json.loads(content), self.path, self.client_address)
        with collector._lock:
            collector.requests.append(request)
        behaviour = collector.behave(request)
        if behaviour is None:
            stored = collector.store(request)
            request.status = 413 if stored is None else 200
            self.respond(request.status, {}, stored or {"detail": "parts of the batch are stored"})
        elif behaviour == "lose":
            collector.store(request)
            self.close_connection = True
        elif behaviour == "hang":
            collector.released.wait(DEADLINE)
            self.close_connection = True
        elif behaviour == "dribble":
            self.dribble()
        elif isinstance(behaviour, tuple):
            status, headers, *content = behaviour
            request.status = status
            self.respond(status, headers, content[0] if content else {"detail": f"status {status}"})

    def respond(self, status: int, headers: dict[str, str], body: Any) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if status != 204 else b""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def dribble(self) -> None:
        """Send one byte at a time, without end."""
        self.close_connection = True
        try:
            while not self.server.collector.released.wait(0.02):
                self.connection.sendall(b"H")
        except OSError:
            pass

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


class Proxy:
    """An HTTP proxy, which forwards requests and opens tunnels.

    Attributes:
        requested: The method and target of each request.
        authorizations: The credentials of each request.
    """

    def __init__(self) -> None:
        self.requested: list[str] = []
        self.authorizations: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        """Stop the proxy."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def _handle(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            line, _, rest = head.partition(b"\r\n")
            method, target, _ = line.decode().split()
            self.requested.append(f"{method} {target}")
            for header in rest.partition(b"\r\n\r\n")[0].decode().split("\r\n"):
                if header.lower().startswith("proxy-authorization:"):
                    self.authorizations.append(header.partition(":")[2].strip())
            place = target if method == "CONNECT" else target.split("/")[2]
            with socket.create_connection((place.split(":")[0], int(place.split(":")[1]))) as server:
                if method == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    server.sendall(head)
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join(DEADLINE)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)
