"""A proxy between clients and a collector that injects the faults of a network into requests and responses.

It also records which records the server has acknowledged, even if the response did not reach the client.
"""

import contextlib
import gzip
import http.client
import http.server
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_SLOW = 0.02  # seconds between two bytes
_SERVER_TIMEOUT = 60.0

Record = tuple[str, int]  # source and number


@dataclass
class Proxy:
    """Accepts requests at `url`, and forwards each to one of ``server_ports``.

    Attributes:
        fault_rate: The share of requests with a fault.
        limit: Maximum records of a request; larger ones get a 413.
        bad_rate: The share of requests with more than one record that get a 400.
        client_timeout: Seconds after which a client abandons a request.
        acknowledged: Each record in a request to which the server responded with 200, with the ids of its batches.
        problems: Responses that must not occur.
        faults: The number of times that each fault was injected.
        requests: The number of forwarded requests.
    """

    server_ports: list[int]
    seed: int
    client_timeout: float
    fault_rate: float = 0.3
    limit: int = 1000
    bad_rate: float = 0.0
    acknowledged: "dict[Record, set[str]]" = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    faults: "Counter[str]" = field(default_factory=Counter)
    requests: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()
        self._running = 0
        self._server = _Listener(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def refuses(self, records: "list[Record]") -> int:
        """Return the status with which a request of these records is always refused; 0 if it is not."""
        if len(records) <= 1:
            return 0
        status = 413 if len(records) > self.limit else 400 if records[0][1] % 100 < 100 * self.bad_rate else 0
        with self._lock:
            self.faults[f"status_{status}"] += status > 0
        return status

    def draw(self) -> "Callable[[_Handler], None]":
        """Return the fault for a request, chosen at random."""
        with self._lock:
            if self._random.random() >= self.fault_rate:
                return _Handler.without_fault
            fault = self._random.choice(_FAULTS)
            self.faults[fault.__name__] += 1
            return fault

    def port(self) -> int:
        """Return the port of one of the servers."""
        with self._lock:
            return self._random.choice(self.server_ports)

    def amount(self) -> float:
        """Return a random number below 1."""
        with self._lock:
            return self._random.random()

    def forward(
        self, headers: dict[str, str], body: bytes, records: "list[Record]", batch_id: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Forward a request, and return the response: status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port(), timeout=_SERVER_TIMEOUT)
        with self._counted(), contextlib.closing(connection):
            connection.request("POST", "/logs", body, headers)
            response = connection.getresponse()
            content = response.read()
            self._note(response.status, content, records, batch_id)
            return response.status, dict(response.getheaders()), content

    @contextlib.contextmanager
    def _counted(self) -> Any:
        with self._lock:
            self._running += 1
            self.requests += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1

    def _note(self, status: int, content: bytes, records: "list[Record]", batch_id: str) -> None:
        with self._lock:
            if status == 200:
                for record in records:
                    self.acknowledged.setdefault(record, set()).add(batch_id)
                if json.loads(content)["rejected"]:
                    self.problems.append(f"the server rejected {content[:300]!r}")
            elif status == 413 and b"parts of the batch" in content:
                self.faults["whole_batch_after_its_parts"] += 1
            elif status not in (429, 503):
                self.problems.append(f"the server responded {status} {content[:300]!r}")

    def wait_until_idle(self, seconds: float) -> None:
        """Wait until no request is in flight."""
        give_up_at = time.monotonic() + seconds
        while self._running and time.monotonic() < give_up_at:
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop accepting requests."""
        self._server.shutdown()
        self._server.server_close()


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: clients disconnect at any moment."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def do_POST(self) -> None:
        """Accept a request, and forward it with or without a fault."""
        self.content = self.rfile.read(int(self.headers["Content-Length"]))
        is_compressed = self.headers.get("Content-Encoding") == "gzip"
        body = json.loads(gzip.decompress(self.content) if is_compressed else self.content)
        self.records = [(record["source"], record["number"]) for record in body["logs"]]
        self.batch_id = body["batch_id"]
        try:
            refused = self.server.proxy.refuses(self.records)
            if refused:
                self.reply(refused, *_REFUSAL)
            else:
                self.server.proxy.draw()(self)
        except (OSError, http.client.HTTPException):
            self.disconnect()

    def forward(self) -> tuple[int, dict[str, str], bytes]:
        """Forward the request to the server."""
        kept = ("Content-Type", "Content-Encoding", "Authorization")
        headers = {name: value for name, value in self.headers.items() if name in kept}
        return self.server.proxy.forward(headers, self.content, self.records, self.batch_id)

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""

    def disconnect(self) -> None:
        """Break the connection."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        """Send a response."""
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() in ("retry-after", "content-type"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    # The faults; their names appear in the summary of a run.

    def without_fault(self) -> None:
        self.reply(*self.forward())

    def lost_request(self) -> None:
        self.disconnect()

    def lost_response(self) -> None:
        self.forward()
        self.disconnect()

    def half_response(self) -> None:
        content = self.forward()[2]
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content))
        self.wfile.write(content[: int(len(content) * self.server.proxy.amount())])
        self.disconnect()

    def half_request(self) -> None:
        half = self.content[: int(len(self.content) * self.server.proxy.amount())]
        head = f"POST /logs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(self.content)}\r\n"
        if "Content-Encoding" in self.headers:
            head += "Content-Encoding: gzip\r\n"
        with socket.create_connection(("127.0.0.1", self.server.proxy.port()), 5) as server:
            server.sendall(head.encode() + b"\r\n" + half)
        self.disconnect()

    def slow_response(self) -> None:
        self.forward()
        until = time.monotonic() + 2 * self.server.proxy.client_timeout
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2" + b" " * 10_000:
            if time.monotonic() > until:
                break
            self.wfile.write(bytes([byte]))
            time.sleep(_SLOW)
        self.disconnect()

    def delayed_response(self) -> None:
        response = self.forward()
        time.sleep(self.server.proxy.client_timeout * 1.2)
        self.reply(*response)

    def delayed_request(self) -> None:
        time.sleep(self.server.proxy.client_timeout * 1.5)
        self.reply(*self.forward())

    def twice(self) -> None:
        threads = [threading.Thread(target=self._forward_quietly) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.reply(*self.forward())

    def _forward_quietly(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.forward()

    def status_429(self) -> None:
        self.reply(429, {"Retry-After": "1"}, b'{"detail": "slower"}')

    def status_503(self) -> None:
        self.reply(503, {"Retry-After": "0"}, b"<html>")

    def status_500(self) -> None:
        self.forward()
        self.reply(500, {}, b"")

    def status_408(self) -> None:
        self.reply(408, {}, b"")

    def status_401(self) -> None:
        self.reply(401, {}, b"")

    def login_page(self) -> None:
        if self.server.proxy.amount() < 0.5:
            self.forward()
        self.reply(200, {"Content-Type": "text/html"}, b"<!doctype html><title>Log in</title>")

    def nothing(self) -> None:
        self.reply(204, {}, b"")

    def random_413(self) -> None:
        self.refuse(413)

    def random_400(self) -> None:
        self.refuse(400)

    def refuse(self, status: int) -> None:
        """Refuse a request, which may have been forwarded before or is forwarded later, and is accepted next time."""
        if len(self.records) <= 1:
            self.without_fault()
            return
        moment = self.server.proxy.amount()
        if moment < 0.4:
            self.forward()
        self.reply(status, *_REFUSAL)
        if moment > 0.7:
            self.disconnect()
            time.sleep(self.server.proxy.client_timeout * self.server.proxy.amount())
            self._forward_quietly()


_REFUSAL: "tuple[dict[str, str], bytes]" = ({"Content-Type": "application/json"}, b'{"detail": "refused"}')
_FAULTS = [
    _Handler.lost_request, _Handler.lost_response, _Handler.half_response, _Handler.half_request,
    _Handler.slow_response, _Handler.delayed_response, _Handler.delayed_request, _Handler.twice, _Handler.status_429,
    _Handler.status_503, _Handler.status_500, _Handler.status_408, _Handler.status_401, _Handler.random_413,
    _Handler.random_400, _Handler.login_page, _Handler.nothing,
]  # fmt: skip
