"""Pages that log in a real browser, and the site that they come from."""

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

DEADLINE = 40.0  # seconds for what takes one or two on an idle machine
PATIENCE = 30_000  # milliseconds for what a page does at once on an idle machine

# What becomes of a batch: a status and headers are answered; ``lose`` lets the server have it, and breaks the
# connection; ``drop`` only breaks it; ``hold`` waits for the site's `held` before the server has it. None passes it on.
Behaviour = Callable[[dict[str, Any]], "tuple[int, dict[str, str]] | str | None"]


@dataclass
class Site:
    """A site in a thread of this process: it has pages, and passes everything else on to a collector.

    Attributes:
        port: Where the collector listens.
        batches_port: Where batches are passed on to, if not there.
        ports: Where requests for a path are passed on to, if not there.
        pages: Content, type and further headers, by path.
        behave: What becomes of a batch.
        batches: The batches that came, and what the collector said to each; 0 for nothing.
        held: Whether what is held may go on.
        running: How many batches are on their way.
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
        """Its address, which is another origin than the collector's."""
        return f"http://localhost:{self._server.server_address[1]}"

    def add(self, path: str, content: str, kind: str = "text/html", **headers: str) -> str:
        """Let there be a page or a file, and return its address."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = (content.encode(), f"{kind}; charset=utf-8", named)
        return self.url + path

    def page(self, script: str = "", options: str = "{}", path: str = "/", server: str = "", **headers: str) -> str:
        """Let there be a page with a client, which is its ``logger``, and return the address of the page."""
        return self.add(path, page(script, options, server), **headers)

    @contextlib.contextmanager
    def counted(self) -> Any:
        """Know while the ``with`` statement lasts that something is on its way."""
        with self._lock:
            self.running += 1
        try:
            yield
        finally:
            with self._lock:
                self.running -= 1

    def settle(self) -> None:
        """Return when no batch is on its way any more."""
        wait_until(lambda: self.running == 0)

    def stop(self) -> None:
        """Serve no more."""
        self.held.set()
        self._server.shutdown()
        self._server.server_close()


def page(script: str = "", options: str = "{}", server: str = "") -> str:
    """Return a page with a client of ``server``, or of where the page comes from; it is ``ready`` after ``script``."""
    where = json.dumps(server) if server else "undefined"
    return textwrap.dedent("""\
        <!doctype html>
        <html lang="en"><meta charset="utf-8"><title>shop</title><link rel="icon" href="data:,">
        <script type="module">
        import {{ createLogClient, VERSION }} from "{server}/client.js";
        const logger = createLogClient({where}, {options});
        const log = (from, to) => {{ for (let i = from; i < to; i++) logger.info(`record ${{i}}`, {{ i }}); }};
        Object.assign(window, {{ createLogClient, VERSION, logger, log }});
        {script}
        window.ready = true;
        </script></html>
        """).format(server=server, where=where, options=options, script=script)


class Tab:
    """A page of the browser, and what it says."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.said: list[str] = []
        self.errors: list[str] = []
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("console", lambda line: self.said.append(f"{line.type}: {line.text}"))

    def open(self, address: str) -> "Tab":
        """Go to a page, and wait until its script has run."""
        self.tab.goto(address)
        self.tab.wait_for_function("window.ready")
        return self

    def run(self, script: str) -> Any:
        """Return what an expression comes to in the page."""
        return self.tab.evaluate(script)

    def flush(self) -> bool:
        """Return whether all that was logged is acknowledged."""
        return bool(self.run("logger.flush(30000)"))

    def wait_for(self, condition: str) -> None:
        """Return when a condition holds in the page."""
        self.tab.wait_for_function(condition)


class Chromium:
    """A Chromium of its own, which keeps what it has in ``folder``, and whose tabs can be hidden; see `killed`.

    Playwright's pages are never hidden, so this one is asked by its own means.
    """

    def __init__(self, path: str, folder: Path, address: str) -> None:
        command = [path, "--headless", "--no-sandbox", "--no-first-run", "--remote-debugging-port=0"]
        told = folder / "DevToolsActivePort"
        told.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={folder}", address], stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(lambda: told.exists() and "\n" in told.read_text())
        self._port = int(told.read_text().split()[0])
        self._address = address
        wait_until(lambda: bool(self._ids()))
        self._id = self._ids()[0]

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def hide(self) -> None:
        """Open another tab, which covers the page."""
        self._ask("/json/new?about:blank", "PUT")

    def show(self) -> None:
        """Let the page be seen again."""
        self._ask(f"/json/activate/{self._id}")

    def close(self) -> None:
        """Close the page."""
        self._ask(f"/json/close/{self._id}")

    def title(self) -> str:
        """Return what the page is called now."""
        return next(each["title"] for each in json.loads(self._ask("/json/list")) if each["id"] == self._id)

    def kill(self) -> None:
        """Kill all of the browser at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(DEADLINE)

    def _ids(self) -> list[str]:
        return [each["id"] for each in json.loads(self._ask("/json/list")) if each["url"] == self._address]

    def _ask(self, path: str, method: str = "GET") -> str:
        asked = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", method=method)
        with urllib.request.urlopen(asked, timeout=DEADLINE) as answer:
            return str(answer.read().decode())


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    site: Site

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: pages go away at any moment."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def do_GET(self) -> None:
        """Answer with a page, or with what the collector has there."""
        site = self.server.site
        content, kind, headers = site.pages.get(self.path.partition("?")[0], (b"", "", {}))
        if kind:
            self._reply(200, {"Content-Type": kind, **headers}, content)
        else:
            self._reply(*self._asked(b""))

    def do_POST(self) -> None:
        """Take a batch."""
        site = self.server.site
        with site.counted():
            content = self.rfile.read(int(self.headers["Content-Length"]))
            batch = {} if "Content-Encoding" in self.headers else json.loads(content)
            try:
                self._behave(site, batch, content)
            except (OSError, http.client.HTTPException):
                self._hang_up()

    def _behave(self, site: Site, batch: dict[str, Any], content: bytes) -> None:
        told = site.behave(batch)
        if isinstance(told, tuple):
            site.batches.append((batch, told[0]))
            self._reply(*told, b"")
            return
        if told == "hold":
            site.held.wait(DEADLINE)
        if told == "drop":
            site.batches.append((batch, 0))
            self._hang_up()
            return
        answer = self._asked(content)
        site.batches.append((batch, answer[0]))
        if told == "lose":
            self._hang_up()
        else:
            self._reply(*answer)

    def _asked(self, content: bytes) -> tuple[int, dict[str, str], bytes]:
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
        """Say nothing."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as ``condition`` holds."""
    give_up_at = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up_at, "waited in vain"
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Return whether somebody listens at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def numbers(database: str) -> list[int]:
    """Return the numbers of the records that are stored, as pages log them."""
    found = select(database, "SELECT message FROM logs WHERE message LIKE 'record %'")
    return sorted(int(message.removeprefix("record ")) for (message,) in found)


def wait_for(database: str, count: int) -> None:
    """Return as soon as so many records are stored."""
    wait_until(lambda: len(numbers(database)) >= count)
