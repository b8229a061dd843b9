"""A running collector, records of a shop, and a browser to read them with."""

import contextlib
import itertools
import json
import random
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from support.deadlines import DEADLINE
from support.processes import environment

Record = dict[str, Any]

STACK_TRACE = """Traceback (most recent call last):
  File "/srv/shop/payments/gateway.py", line 88, in charge
    answer = self._session.post(url, json=order, timeout=4.0)
  File "/srv/shop/.venv/lib/python3.12/site-packages/httpx/_client.py", line 1157, in post
    return self.request("POST", url, content=content)
  File "/srv/shop/.venv/lib/python3.12/site-packages/httpx/_transports/default.py", line 118, in handle
    raise mapped_exc(message) from exc
httpx.ReadTimeout: The read operation timed out"""


class Collector:
    """A running ``concurrent-log serve``; see `running_collector`."""

    def __init__(self, url: str, process: "subprocess.Popen[str]", token: str | None) -> None:
        self.url = url
        self._process = process
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def post(self, records: Sequence[Record], **batch: Any) -> None:
        """Send records, and check that all of them are stored."""
        for begin in range(0, max(1, len(records)), 5000):
            part = list(records[begin : begin + 5000])
            body = json.dumps({**batch, "logs": part}).encode()
            request = urllib.request.Request(f"{self.url}/logs", body, self._headers)
            with urllib.request.urlopen(request, timeout=DEADLINE) as response:
                assert json.load(response)["stored"] == len(part)

    def stop(self) -> None:
        """Stop the server."""
        self._process.terminate()
        self._process.wait(DEADLINE)


@contextlib.contextmanager
def running_collector(folder: Path, *, token: str | None = None, port: int = 0) -> Iterator[Collector]:
    """Run a collector whose SQLite file is in ``folder``, and kill it afterwards."""
    command = [
        sys.executable,
        "-m",
        "concurrent_log",
        "serve",
        f"--port={port}",
        f"--database={folder / 'logs.sqlite3'}",
    ]
    variables = {**environment(), **({"CONCURRENT_LOG_TOKEN": token} if token else {})}
    output = folder / "output.txt"
    with output.open("w") as sink:
        process = subprocess.Popen(command, env=variables, cwd=folder, stdout=sink, stderr=sink, text=True)
    try:
        yield Collector(_address(process, output), process, token)
    finally:
        process.kill()
        process.wait(DEADLINE)


def _address(process: "subprocess.Popen[str]", output: Path) -> str:
    deadline = time.monotonic() + DEADLINE
    while not (found := re.search(r"Read them at\s+(http://\S+?)/\s", output.read_text())):
        assert process.poll() is None, f"the server ended:\n{output.read_text()}"
        assert time.monotonic() < deadline, f"the server did not start:\n{output.read_text()}"
        time.sleep(0.02)
    return found[1]


@contextlib.contextmanager
def chromium(path: str, **options: Any) -> Iterator[Any]:
    """Start the browser at ``path``, and return Playwright's object for it; ``options`` are Playwright's."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"], timeout=DEADLINE * 1000, **options
        )
        yield browser
        browser.close()


def iso(moment: datetime) -> str:
    """Return a time in ISO 8601."""
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def record(message: str, seconds_ago: float = 0.0, **fields: Any) -> Record:
    """Return a record that is some seconds old."""
    created_at = iso(datetime.now(timezone.utc) - timedelta(seconds=seconds_ago))
    return {"created_at": created_at, "level": "INFO", "service": "test", **fields, "message": message}


def shop(until: datetime, span: timedelta, requests: int, seed: int = 5) -> list[Record]:
    """Return the records of a shop in a time span: requests through its services, each with a trace id."""
    chance = random.Random(seed)
    moments = sorted(until - span * chance.random() for _ in range(requests))
    numbers = itertools.count(1023)
    return [each for moment in moments for each in _request(chance, moment, next(numbers))]


def _request(chance: random.Random, moment: datetime, number: int) -> Iterator[Record]:
    trace, customer = f"{chance.getrandbits(128):032x}", chance.choice(["Ada", "Grace", "Linus", "Barbara", "Guido"])
    host = chance.choice(["web-1", "web-2", "web-3"])
    product, amount, outcome = chance.randint(1, 900), round(chance.uniform(3, 220), 2), chance.random()
    begun = moment

    def log(level: str, service: str, message: str, after: float, **fields: Any) -> Record:
        nonlocal moment
        moment += timedelta(milliseconds=after * chance.uniform(0.5, 2))
        return {
            "created_at": iso(moment),
            "level": level,
            "service": service,
            "environment": "production" if host != "web-3" else "staging",
            "service_version": "4.2.1",
            "host": host if service == "shop-web" else f"{service}-1",
            "process_id": 4700 + len(service),
            "logger": f"{service.replace('-', '.')}.views",
            "function_name": "handle",
            "file_path": f"/srv/shop/{service}/views.py",
            "line_number": 40 + len(message),
            "trace_id": trace,
            **fields,
            "message": message,
        }

    if outcome < 0.7:
        yield log("DEBUG", "shop-web", "page found in the cache", 1, cart=number % 90, hit=True)
        took = round(chance.expovariate(1 / 30), 2)
        yield log(
            "INFO", "shop-web", f"GET /products/{product} 200", took, duration_ms=took, path="/products", method="GET"
        )
        return
    yield log("INFO", "shop-web", f"order {number} received", 2, order=number, customer=customer, amount=amount)
    yield log("DEBUG", "inventory", f"reserving product {product}", 3, order=number, sku=f"PEAR-{product % 40}")
    if outcome < 0.8:
        yield log("WARN", "inventory", "stock is low", 4, sku=f"PEAR-{product % 40}", left=chance.randint(1, 3))
    yield log("INFO", "inventory", f"product {product} reserved", 6, order=number, duration_ms=7.4)
    yield log("TRACE", "payments", "connecting to the gateway", 2, order=number, gateway="pay.example")
    if outcome > 0.97:
        failure = {"error_type": "ReadTimeout", "stack_trace": STACK_TRACE, "order": number, "attempt": 3}
        yield log(
            "ERROR", "payments", "the payment gateway did not respond within 4.0 s", 2800, duration_ms=4003.1, **failure
        )
        yield log("WARN", "shop-web", f"order {number} postponed", 3, order=number, customer=customer)
        return
    yield log("INFO", "payments", f"order {number} paid", 180, order=number, amount=amount, duration_ms=171.2)
    yield log("INFO", "mailer", f"receipt sent to {customer}", 40, order=number, duration_ms=31.0)
    took = round((moment - begun) / timedelta(milliseconds=1), 1)
    yield log("INFO", "shop-web", "POST /orders 201", 2, duration_ms=took, path="/orders", method="POST")


def monitor_record(moment: datetime, event: str, *services: Record, **program: Any) -> Record:
    """Return a record of a program's monitor, about one service or about all of them."""
    is_about_one = event not in ("started", "report", "stopped")
    health = {"event": event, **(services[0] if is_about_one else {"services": list(services)})}
    return {
        "created_at": iso(moment),
        "level": "ERROR" if is_about_one and services[0].get("status") == "unhealthy" else "INFO",
        "logger": "concurrent_log.health",
        **program,
        "message": f"{event}: " + ", ".join(f"{each.get('service')} {each.get('status')}" for each in services),
        "health": health,
    }


def health(service: str, status: str = "healthy", **fields: Any) -> Record:
    """Return the status of a service, as a monitor logs it."""
    return {"service": service, "status": status, "breaker": "closed", "critical": True, **fields}


class Sending:
    """Sends records to a collector at a fixed rate, until the ``with`` statement ends."""

    def __init__(self, collector: Collector, per_second: int, make: Callable[[int], Record]) -> None:
        import threading

        self.sent = 0
        self._collector, self._per_second, self._make = collector, per_second, make
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> "Sending":
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._stopped.set()
        self._thread.join(DEADLINE)

    def _send(self) -> None:
        part = self._per_second // 10
        while not self._stopped.wait(0.1):
            self._collector.post([self._make(self.sent + index) for index in range(part)])
            self.sent += part
