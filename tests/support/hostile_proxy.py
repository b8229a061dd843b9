"""A proxy between clients and a collector that does to requests and answers whatever a network may do.

It also notes what the server has acknowledged, whoever learned of it.
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
    """Takes requests at `url`, and passes each on to one of ``server_ports``.

    Attributes:
        trouble: The share of requests to which something is done.
        limit: How many records a request may have; there is a 413 for more.
        poison: The share of requests, of more records than one, for which there is a 400.
        patience: Seconds after which a client gives a request up.
        acknowledged: Each record of a request that the server answered with 200, and the ids of its batches.
        problems: Answers that should not be.
        faults: What was done, and how often.
        requests: How many were passed on.
    """

    server_ports: list[int]
    seed: int
    patience: float
    trouble: float = 0.3
    limit: int = 1000
    poison: float = 0.0
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
        """Where clients send to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def refuses(self, records: "list[Record]") -> int:
        """Return the status with which these records are refused, always; 0 where they are not."""
        if len(records) <= 1:
            return 0
        status = 413 if len(records) > self.limit else 400 if records[0][1] % 100 < 100 * self.poison else 0
        with self._lock:
            self.faults[f"status_{status}"] += status > 0
        return status

    def draw(self) -> "Callable[[_Handler], None]":
        """Return what to do to a request."""
        with self._lock:
            if self._random.random() >= self.trouble:
                return _Handler.pass_on
            fault = self._random.choice(_FAULTS)
            self.faults[fault.__name__] += 1
            return fault

    def port(self) -> int:
        """Return where one of the servers listens."""
        with self._lock:
            return self._random.choice(self.server_ports)

    def amount(self) -> float:
        """Return a number below 1."""
        with self._lock:
            return self._random.random()

    def forward(
        self, headers: dict[str, str], body: bytes, records: "list[Record]", batch_id: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Let the server have a request, and return its answer: status, headers and body."""
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
                self.faults["wholes_that_came_after_parts"] += 1
            elif status not in (429, 503):
                self.problems.append(f"the server answered {status} {content[:300]!r}")

    def wait_until_idle(self, seconds: float) -> None:
        """Return when no request is on its way any more."""
        give_up_at = time.monotonic() + seconds
        while self._running and time.monotonic() < give_up_at:
            time.sleep(0.02)

    def stop(self) -> None:
        """Take no more requests."""
        self._server.shutdown()
        self._server.server_close()


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: everybody here goes away at any moment."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def do_POST(self) -> None:
        """Take a request, and do something to it."""
        self.content = self.rfile.read(int(self.headers["Content-Length"]))
        is_compressed = self.headers.get("Content-Encoding") == "gzip"
        body = json.loads(gzip.decompress(self.content) if is_compressed else self.content)
        self.records = [(record["source"], record["number"]) for record in body["logs"]]
        self.batch_id = body["batch_id"]
        try:
            refused = self.server.proxy.refuses(self.records)
            if refused:
                self.reply(refused, {}, b"")
            else:
                self.server.proxy.draw()(self)
        except (OSError, http.client.HTTPException):
            self.hang_up()

    def ask(self) -> tuple[int, dict[str, str], bytes]:
        """Let the server have it."""
        kept = ("Content-Type", "Content-Encoding", "Authorization")
        headers = {name: value for name, value in self.headers.items() if name in kept}
        return self.server.proxy.forward(headers, self.content, self.records, self.batch_id)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def hang_up(self) -> None:
        """Break the connection."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        """Answer."""
        self.send_response(status)
        for name in headers.keys() & {"retry-after", "Retry-After"}:
            self.send_header(name, headers[name])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    # What may become of a request; the names are those of the summary.

    def pass_on(self) -> None:
        self.reply(*self.ask())

    def lost_request(self) -> None:
        self.hang_up()

    def lost_answer(self) -> None:
        self.ask()
        self.hang_up()

    def half_answer(self) -> None:
        content = self.ask()[2]
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content))
        self.wfile.write(content[: int(len(content) * self.server.proxy.amount())])
        self.hang_up()

    def half_request(self) -> None:
        half = self.content[: int(len(self.content) * self.server.proxy.amount())]
        head = f"POST /logs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(self.content)}\r\n"
        if "Content-Encoding" in self.headers:
            head += "Content-Encoding: gzip\r\n"
        with socket.create_connection(("127.0.0.1", self.server.proxy.port()), 5) as server:
            server.sendall(head.encode() + b"\r\n" + half)
        self.hang_up()

    def slow_answer(self) -> None:
        self.ask()
        until = time.monotonic() + 2 * self.server.proxy.patience
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2" + b" " * 10_000:
            if time.monotonic() > until:
                break
            self.wfile.write(bytes([byte]))
            time.sleep(_SLOW)
        self.hang_up()

    def late_answer(self) -> None:
        answer = self.ask()
        time.sleep(self.server.proxy.patience * 1.2)
        self.reply(*answer)

    def late_request(self) -> None:
        time.sleep(self.server.proxy.patience * 1.5)
        self.reply(*self.ask())

    def twice(self) -> None:
        threads = [threading.Thread(target=self._ask_quietly) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.reply(*self.ask())

    def _ask_quietly(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.ask()

    def status_429(self) -> None:
        self.reply(429, {"Retry-After": "1"}, b'{"detail": "slower"}')

    def status_503(self) -> None:
        self.reply(503, {"Retry-After": "0"}, b"<html>")

    def status_500(self) -> None:
        self.ask()
        self.reply(500, {}, b"")

    def status_408(self) -> None:
        self.reply(408, {}, b"")

    def status_401(self) -> None:
        self.reply(401, {}, b"")

    def sudden_413(self) -> None:
        self.refuse(413)

    def sudden_400(self) -> None:
        self.refuse(400)

    def refuse(self, status: int) -> None:
        """Refuse what was passed on before, perhaps, or is now, or later, and is taken when it comes again."""
        if len(self.records) <= 1:
            self.pass_on()
            return
        how = self.server.proxy.amount()
        if how < 0.4:
            self.ask()
        self.reply(status, {}, b"")
        if how > 0.7:
            self.hang_up()
            time.sleep(self.server.proxy.patience * self.server.proxy.amount())
            self._ask_quietly()


_FAULTS = [
    _Handler.lost_request, _Handler.lost_answer, _Handler.half_answer, _Handler.half_request, _Handler.slow_answer,
    _Handler.late_answer, _Handler.late_request, _Handler.twice, _Handler.status_429, _Handler.status_503,
    _Handler.status_500, _Handler.status_408, _Handler.status_401, _Handler.sudden_413, _Handler.sudden_400,
]  # fmt: skip
