"""Pages that log in a real browser, and the site that serves them."""

import contextlib
import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.collector_server import select
from support.deadlines import DEADLINE

PATIENCE = DEADLINE * 1000  # milliseconds

# How the site handles a batch: it responds with a status and headers; with ``lose`` it forwards the batch, and then
# closes the connection; with ``drop`` it only closes it; with ``hold`` it waits for `held`, and then forwards; with
# None it forwards.
Behaviour = Callable[[dict[str, Any]], "tuple[int, dict[str, str]] | str | None"]


@dataclass
class Site:
    """A site in a thread of this process: it serves pages, and forwards all other requests to a collector.

    Attributes:
        port: The port of the collector.
        batches_port: The port to which batches are forwarded instead, or 0.
        ports: The ports to which requests for a path are forwarded instead, by path.
        pages: Content, type and further headers, by path.
        behave: Decides how a batch is handled.
        batches: The batches received, each with the status of its response; 0 for none.
        held: Set to forward the batches that are held.
        running: The number of batches in flight.
    """

    port: int = 0
    batches_port: int = 0
    ports: dict[str, int] = field(default_factory=dict)
    pages: dict[str, tuple[bytes, str, dict[str, str]]] = field(default_factory=dict)
    behave: Behaviour = lambda batch: None
    batches: list[tuple[dict[str, Any], int]] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    running: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._server = _Listener(("127.0.0.1", 0), _Handler)
        self._server.site = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """The address of the site, which has another origin than the collector."""
        return f"http://localhost:{self._server.server_address[1]}"

    def add(self, path: str, content: str, kind: str = "text/html", **headers: str) -> str:
        """Add a page or a file, and return its address."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = (content.encode(), f"{kind}; charset=utf-8", named)
        return self.url + path

    def page(self, script: str = "", options: str = "{}", path: str = "/", server: str = "", **headers: str) -> str:
        """Add a page with a client, its ``logger``, and return the address of the page."""
        return self.add(path, page(script, options, server), **headers)

    @contextlib.contextmanager
    def counted(self) -> Any:
        """Count a batch as in flight during the ``with`` statement."""
        with self._lock:
            self.running += 1
        try:
            yield
        finally:
            with self._lock:
                self.running -= 1

    def settle(self) -> None:
        """Wait until no batch is in flight."""
        wait_until(lambda: self.running == 0)

    def stop(self) -> None:
        """Stop the server."""
        self.held.set()
        self._server.shutdown()
        self._server.server_close()


def page(script: str = "", options: str = "{}", server: str = "") -> str:
    """Return a page with a client of ``server``, or of the site itself; the page is ``ready`` after ``script``."""
    address = json.dumps(server) if server else "undefined"
    return textwrap.dedent("""\
        <!doctype html>
        <html lang="en"><meta charset="utf-8"><title>shop</title><link rel="icon" href="data:,">
        <script type="module">
        import {{ createLogClient, VERSION }} from "{server}/client.js";
        const logger = createLogClient({address}, {options});
        const log = (from, to) => {{ for (let i = from; i < to; i++) logger.info(`record ${{i}}`, {{ i }}); }};
        Object.assign(window, {{ createLogClient, VERSION, logger, log }});
        {script}
        window.ready = true;
        </script></html>
        """).format(server=server, address=address, options=options, script=script)


class Tab:
    """A page of the browser, with the lines in its console and its errors."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.console: list[str] = []
        self.errors: list[str] = []
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("console", lambda line: self.console.append(f"{line.type}: {line.text}"))

    def open(self, address: str) -> "Tab":
        """Go to a page, and wait until its script has run."""
        self.tab.goto(address)
        self.tab.wait_for_function("window.ready")
        return self

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        return self.tab.evaluate(script)

    def flush(self) -> bool:
        """Return whether all records are acknowledged."""
        return bool(self.run("logger.flush(100000)"))

    def wait_for(self, condition: str) -> None:
        """Wait until a condition holds in the page."""
        self.tab.wait_for_function(condition)


class Chromium:
    """A Chromium with its profile in ``folder``, whose tabs can be hidden, and which can be killed.

    Playwright's pages are never hidden, so this browser is controlled by its own HTTP interface.
    """

    def __init__(self, path: str, folder: Path, address: str) -> None:
        command = [path, "--headless", "--no-sandbox", "--no-first-run", "--remote-debugging-port=0"]
        port_file = folder / "DevToolsActivePort"
        port_file.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={folder}", address], stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(lambda: port_file.exists() and "\n" in port_file.read_text())
        self._port = int(port_file.read_text().split()[0])
        self._address = address
        wait_until(lambda: bool(self._ids()))
        self._id = self._ids()[0]

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def hide(self) -> None:
        """Open another tab, which covers the page."""
        self._request("/json/new?about:blank", "PUT")

    def show(self) -> None:
        """Show the page again."""
        self._request(f"/json/activate/{self._id}")

    def close(self) -> None:
        """Close the page."""
        self._request(f"/json/close/{self._id}")

    def title(self) -> str:
        """Return the current title of the page."""
        return next(each["title"] for each in json.loads(self._request("/json/list")) if each["id"] == self._id)

    def kill(self) -> None:
        """Kill all processes of the browser at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(DEADLINE)

    def _ids(self) -> list[str]:
        return [each["id"] for each in json.loads(self._request("/json/list")) if each["url"] == self._address]

    def _request(self, path: str, method: str = "GET") -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            return str(response.read().decode())


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    site: Site

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: pages may be closed at any moment."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def do_GET(self) -> None:
        """Respond with a page, or with the response of the collector."""
        site = self.server.site
        content, kind, headers = site.pages.get(self.path.partition("?")[0], (b"", "", {}))
        if kind:
            self._reply(200, {"Content-Type": kind, **headers}, content)
        else:
            self._reply(*self._forward(b""))

    def do_POST(self) -> None:
        """Handle a batch."""
        site = self.server.site
        with site.counted():
            content = self.rfile.read(int(self.headers["Content-Length"]))
            batch = {} if "Content-Encoding" in self.headers else json.loads(content)
            try:
                self._behave(site, batch, content)
            except (OSError, http.client.HTTPException):
                self._hang_up()

    def _behave(self, site: Site, batch: dict[str, Any], content: bytes) -> None:
        behaviour = site.behave(batch)
        if isinstance(behaviour, tuple):
            site.batches.append((batch, behaviour[0]))
            self._reply(*behaviour, b"")
            return
        if behaviour == "hold":
            site.held.wait(DEADLINE)
        if behaviour == "drop":
            site.batches.append((batch, 0))
            self._hang_up()
            return
        response = self._forward(content)
        site.batches.append((batch, response[0]))
        if behaviour == "lose":
            self._hang_up()
        else:
            self._reply(*response)

    def _forward(self, content: bytes) -> tuple[int, dict[str, str], bytes]:
        kept = ("content-type", "content-encoding", "authorization", "origin", "host", "traceparent")
        headers = {name: value for name, value in self.headers.items() if name.lower() in kept}
        site = self.server.site
        port = site.ports.get(self.path, site.port)
        if self.command == "POST" and site.batches_port:
            port = site.batches_port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, content or None, headers)
            response = connection.getresponse()
            passed = ("content-type", "retry-after", "access-control-allow-origin")
            return response.status, {n: v for n, v in response.getheaders() if n.lower() in passed}, response.read()

    def _reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Return whether a server listens at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def numbers(database: str) -> list[int]:
    """Return the numbers in the messages of the stored records, in order."""
    found = select(database, "SELECT message FROM logs WHERE message LIKE 'record %'")
    return sorted(int(message.removeprefix("record ")) for (message,) in found)


def wait_for(database: str, count: int) -> None:
    """Wait until ``count`` records are stored."""
    wait_until(lambda: len(numbers(database)) >= count)
