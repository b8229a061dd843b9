"""The health endpoints: their responses, in real servers."""

import asyncio
import contextlib
import http.client
import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from concurrent_log.health import Degraded, ServiceMonitor, ServiceStatus
from concurrent_log.health.endpoints import EndpointServer, asgi_app, serve
from concurrent_log.health.endpoints import server as endpoint_server
from support.deadlines import DEADLINE
from support.processes import Server, serving, wait_until

_PATHS = ("/health", "/ready", "/live", "/metrics")


def healthy() -> None:
    """Succeed."""


def unhealthy() -> None:
    """Fail with a message that must not be shown."""
    raise ConnectionRefusedError(111, "postgresql://shop:hunter2@10.1.2.3:5432/shop refused")


def degraded() -> None:
    """Succeed with a warning."""
    raise Degraded("the disk is nearly full")


class Response:
    """The response of a server."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode()

    @property
    def json(self) -> Any:
        """The body, whose content type must be JSON."""
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.text)


def request(port: int, path: str, method: str = "GET", **headers: str) -> Response:
    """Return the response to one request."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)) as connection:
        connection.request(method, path, headers=headers)
        return Response(connection.getresponse())


def is_checked(port: int) -> bool:
    """Return whether the service of the programs has been checked."""
    try:
        found = request(port, "/health")
    except OSError:
        return False
    return bool(found.json["services"][0]["last_check"])


@pytest.fixture
def monitor() -> Iterator[ServiceMonitor]:
    """Return a monitor that is not started, and that is stopped after the test."""
    monitor = ServiceMonitor(failure_threshold=1, slow=DEADLINE, timeout=DEADLINE)
    yield monitor
    monitor.stop(DEADLINE)


@pytest.fixture
def server(monitor: ServiceMonitor) -> Iterator[EndpointServer]:
    """Return a server with the endpoints of the monitor."""
    with serve(monitor, 0) as server:
        yield server


def check(monitor: ServiceMonitor) -> None:
    """Check all services once, and start the monitor."""
    asyncio.run(monitor.check_all())
    monitor.start()


def test_health_shows_every_service(monitor: ServiceMonitor, server: EndpointServer) -> None:
    """The response contains each service with its health, and its error in plain words."""
    monitor.add("clock", healthy)
    monitor.add("database", unhealthy, critical=False)
    check(monitor)
    found = request(server.port, "/health").json
    clock, database = found["services"]

    assert (found["status"], found["monitoring"]) == ("degraded", True)
    assert (clock["service"], clock["status"], clock["error"]) == ("clock", "healthy", None)
    assert (database["service"], database["status"], database["breaker"]) == ("database", "unhealthy", "open")
    assert (database["error"], database["critical"]) == ("connection refused", False)


@pytest.mark.parametrize(
    ("service", "critical", "health", "ready"),
    [
        (healthy, True, 200, 200),
        (degraded, True, 200, 200),
        (unhealthy, True, 503, 503),
        (unhealthy, False, 200, 200),
    ],
)
def test_critical_service_decides(
    monitor: ServiceMonitor,
    server: EndpointServer,
    service: Callable[[], None],
    critical: bool,
    health: int,
    ready: int,
) -> None:
    """Only an unhealthy critical service causes 503 at /health and /ready, and none does at /live."""
    monitor.add("service", service, critical=critical)
    check(monitor)

    assert request(server.port, "/health").status == health
    assert request(server.port, "/ready").status == ready
    assert request(server.port, "/live").status == 200


def test_stopped_monitor_is_neither_healthy_nor_ready(monitor: ServiceMonitor, server: EndpointServer) -> None:
    """A process whose monitor does not run reports this. It is neither healthy nor ready, but live."""
    monitor.add("clock", healthy)
    asyncio.run(monitor.check_all())
    health, ready = request(server.port, "/health"), request(server.port, "/ready")

    assert (health.status, health.json["status"], health.json["monitoring"]) == (503, "healthy", False)
    assert (ready.status, ready.json["ready"], ready.json["monitoring"]) == (503, False, False)
    assert request(server.port, "/live").status == 200


def test_not_ready_until_all_critical_services_were_checked(monitor: ServiceMonitor, server: EndpointServer) -> None:
    """A service without any check is not known to be unhealthy: /health returns 200, but /ready 503."""
    first = threading.Event()
    monitor.add("slow", lambda: first.wait(DEADLINE))
    monitor.add("optional", lambda: first.wait(DEADLINE), critical=False)
    monitor.start()
    health, ready = request(server.port, "/health"), request(server.port, "/ready")
    first.set()

    assert (health.status, health.json["status"]) == (200, "unknown")
    assert (ready.status, ready.json["waits_for"]) == (503, ["slow"])


@pytest.mark.parametrize("path", _PATHS)
def test_no_response_contains_connection_data(monitor: ServiceMonitor, server: EndpointServer, path: str) -> None:
    """No response contains the host, user or password of an error, and none may be cached."""
    monitor.add("database", unhealthy)
    check(monitor)
    found = request(server.port, path)

    assert not re.search(r"hunter2|shop|10\.1\.2\.3|5432", f"{found.headers}{found.text}")
    assert found.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", _PATHS)
def test_head_is_get_without_a_body(monitor: ServiceMonitor, server: EndpointServer, path: str) -> None:
    """HEAD returns the status and the headers of GET."""
    got, head = request(server.port, path), request(server.port, path, "HEAD")

    assert (head.status, head.text) == (got.status, "")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert head.headers["Content-Length"] == str(len(got.text))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"])
def test_other_methods_are_rejected(server: EndpointServer, method: str) -> None:
    """The response to another method lists the allowed ones."""
    found = request(server.port, "/health", method)

    assert (found.status, found.headers["Allow"]) == (405, "GET, HEAD")
    assert "GET and HEAD" in found.json["detail"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/health/", "/health%00", "/%F0%9F%A6%86"])
def test_unknown_path_lists_the_known_ones(server: EndpointServer, path: str) -> None:
    """The response to an unknown path lists the paths of the endpoints."""
    found = request(server.port, path)

    assert found.status == 404
    assert all(each in found.json["detail"] for each in _PATHS)


def families(text: str, openmetrics: bool = False) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the samples that the official parser finds, by name and by the values of the sorted labels."""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as of_openmetrics
    from prometheus_client.parser import text_string_to_metric_families as of_prometheus

    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in (of_openmetrics if openmetrics else of_prometheus)(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_prometheus_reads_the_metrics(
    monitor: ServiceMonitor, server: EndpointServer, require: Callable[[str], None], accept: str
) -> None:
    """The official parser accepts both formats, also with a name that needs escaping."""
    require("prometheus_client")
    name = 'a "clock"\\ 시계'
    monitor.add(name, healthy)
    monitor.add("database", unhealthy)
    monitor.add("never", healthy)
    asyncio.run(asyncio.wait_for(monitor.services["database"].check(), DEADLINE))
    asyncio.run(asyncio.wait_for(monitor.services[name].check(), DEADLINE))
    found = families(request(server.port, "/metrics", Accept=accept).text, bool(accept))

    assert found["concurrent_log_monitoring_up"] == {(): 0}
    assert found["concurrent_log_service_up"] == {(name,): 1, ("database",): 0}
    assert found["concurrent_log_service_critical"] == {(name,): 1, ("database",): 1, ("never",): 1}
    assert found["concurrent_log_service_consecutive_failures"] == {(name,): 0, ("database",): 1, ("never",): 0}
    assert found["concurrent_log_service_last_success_timestamp_seconds"].keys() == {(name,)}
    assert found["concurrent_log_service_response_seconds"].keys() == {(name,), ("database",)}
    assert set(found["concurrent_log_service_status"].values()) == {0, 1}
    assert len(found["concurrent_log_service_status"]) == 3 * len(ServiceStatus)
    assert found["concurrent_log_service_status"]["database", "unhealthy"] == 1
    assert found["concurrent_log_breaker_state"]["database", "open"] == 1
    assert found["concurrent_log_breaker_state"][name, "half-open"] == 0
    assert found["concurrent_log_service_checks_total"]["failure", "database"] == 1
    assert found["concurrent_log_service_checks_total"]["success", "database"] == 0
    assert found["concurrent_log_service_checks_total"]["success", name] == 1


def test_metrics_are_registered_with_those_of_the_program(
    monitor: ServiceMonitor, require: Callable[[str], None]
) -> None:
    """The collector can be registered in the registry of the program, and returns current values."""
    require("prometheus_client")
    from prometheus_client import CollectorRegistry, Counter, generate_latest

    from concurrent_log.health.endpoints.metrics import MonitorCollector

    registry = CollectorRegistry(auto_describe=True)
    Counter("orders", "Orders taken.", registry=registry).inc()
    registry.register(MonitorCollector(monitor))
    monitor.add("clock", healthy)
    asyncio.run(monitor.check_all())
    found = families(generate_latest(registry).decode())

    assert found["orders_total"] == {(): 1}
    assert found["concurrent_log_service_up"] == {("clock",): 1}


def test_missing_prometheus_client_is_reported(server: EndpointServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without prometheus_client, the response ends with the command that installs it. The other endpoints work."""
    monkeypatch.delitem(sys.modules, "concurrent_log.health.endpoints.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    found = request(server.port, "/metrics")

    assert (found.status, request(server.port, "/live").status) == (501, 200)
    assert found.json["detail"].endswith(": pip install prometheus_client")


def test_silent_client_does_not_block_others(server: EndpointServer) -> None:
    """Connections without a request, or with half of one, do not block others."""
    with contextlib.ExitStack() as silent:
        for part in (b"", b"GET /live HT"):
            connection = silent.enter_context(socket.create_connection(("127.0.0.1", server.port), DEADLINE))
            connection.sendall(part)

        assert request(server.port, "/live").status == 200


def test_closed_server_releases_its_port(monitor: ServiceMonitor, server: EndpointServer) -> None:
    """A port belongs to one server, and is free after that server is closed. Closing twice is allowed."""
    with pytest.raises(OSError, match=r"in use|one usage"):
        serve(monitor, server.port)
    server.close()
    server.close()
    with serve(monitor, server.port) as again:
        assert request(again.port, "/live").status == 200


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts the threads in /proc")
@pytest.mark.parametrize("content", [b"", b"GET /health HTTP/1.1\r\nX-Slow: ", b"GET /metrics HTTP/1.1\r\n\r\n"])
def test_slow_clients_do_not_take_all_threads(content: bytes) -> None:
    """Four hundred clients that send nothing, send slowly or do not read use a few threads; a probe is answered."""
    monitor = ServiceMonitor()
    with serve(monitor, 0) as server, contextlib.ExitStack() as clients:
        for _ in range(400):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port), DEADLINE))
            client.sendall(content)
        answer = request(server.port, "/live")
        threads = len(list(Path("/proc/self/task").iterdir()))

        assert answer.status == 200
        assert threads < 100


def test_clients_that_prolong_a_request_are_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for a request is limited as a whole: a client that sends a byte now and then does not extend it."""
    monkeypatch.setattr(endpoint_server, "_REQUEST_TIMEOUT", 0.5)
    with serve(ServiceMonitor(), 0) as server, socket.create_connection(("127.0.0.1", server.port), DEADLINE) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        wait_until(lambda: is_closed_after(client, b"x"))


def is_closed_after(client: socket.socket, content: bytes) -> bool:
    """Send some bytes, and return whether the server has closed the connection."""
    try:
        client.sendall(content)
    except OSError:
        return True
    return False


def test_server_listens_on_ipv6(monitor: ServiceMonitor, skip_or_fail: Callable[[str], None]) -> None:
    """An address with colons is an IPv6 address."""
    try:
        server = serve(monitor, 0, "::1")
    except OSError:
        skip_or_fail("this machine has no IPv6")
    with server, contextlib.closing(http.client.HTTPConnection("::1", server.port, timeout=DEADLINE)) as connection:
        connection.request("GET", "/live")

        assert Response(connection.getresponse()).status == 200


def in_asgi(monitor: ServiceMonitor, scope: dict[str, Any], *received: dict[str, Any]) -> list[Any]:
    """Return the messages that the ASGI application sends when it is called with ``scope``."""
    pending, sent = list(received), []

    async def receive() -> dict[str, Any]:
        return pending.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(asgi_app(monitor)(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    ("root_path", "path", "status"),
    [
        ("", "/live", 200),
        ("/internal", "/internal/live", 200),
        ("/internal/", "/internal/live", 200),
        ("/internal", "/live", 200),  # a framework that removes the mount from the path
        ("/live", "/live/live", 200),
        ("/internal", "/internalive", 404),
        ("", "/internal/live", 404),
    ],
)
def test_path_is_below_the_mount(monitor: ServiceMonitor, root_path: str, path: str, status: int) -> None:
    """The path of the mount is not part of the endpoint's path, whether or not the framework removes it."""
    scope = {"type": "http", "method": "GET", "path": path, "root_path": root_path, "headers": []}

    assert in_asgi(monitor, scope)[0]["status"] == status


def test_only_http_is_supported(monitor: ServiceMonitor) -> None:
    """A WebSocket is closed before the handshake, and an unknown protocol raises, as ASGI requires."""
    assert in_asgi(monitor, {"type": "websocket"}) == [{"type": "websocket.close"}]
    with pytest.raises(ValueError, match="not 'telnet'"):
        in_asgi(monitor, {"type": "telnet"})


@contextlib.contextmanager
def uvicorn(folder: Path, app: str, *options: str) -> Iterator[Server]:
    """Run a program on uvicorn."""
    arguments = ["-m", "uvicorn", "--log-level", "warning", *options, app]
    with serving(folder, lambda descriptor: [*arguments, "--fd", str(descriptor)]) as server:
        yield server
        server.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="the server inherits a socket")
def test_application_served_alone_runs_the_monitor(tmp_path: Path, require: Callable[[str], None]) -> None:
    """Served alone by uvicorn, the application starts and stops the monitor with the server."""
    require("uvicorn")
    with uvicorn(tmp_path, "health_asgi:whole", "--lifespan", "on") as server:
        server.wait_until(lambda: is_checked(server.port))

        assert request(server.port, "/ready").json == {"ready": True, "monitoring": True, "waits_for": []}
        assert request(server.port, "/health", "HEAD").status == 200
        assert request(server.port, "/nothing").status == 404


def test_running_monitor_is_not_stopped_with_the_server(monitor: ServiceMonitor) -> None:
    """The application stops only a monitor that it has started."""
    monitor.start()
    messages = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
    sent = in_asgi(monitor, {"type": "lifespan"}, *messages)

    assert [each["type"] for each in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert monitor.is_running


@pytest.mark.skipif(sys.platform == "win32", reason="the server inherits a socket")
def test_mounted_in_fastapi_behind_a_proxy(tmp_path: Path, require: Callable[[str], None]) -> None:
    """Mounted in FastAPI, the endpoints are below the mount, even behind a proxy that removes a path prefix."""
    require("fastapi")
    with uvicorn(tmp_path, "health_asgi:site", "--root-path", "/shop") as server:
        server.wait_until(lambda: request(server.port, "/internal/ready").status == 200)

        assert request(server.port, "/internal/health").json["status"] == "healthy"
        assert request(server.port, "/health").status == 404


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs POSIX")
def test_mounted_in_flask_on_gunicorn(tmp_path: Path, require: Callable[[str], None]) -> None:
    """Mounted in Flask, the endpoints are below the mount, and each gunicorn worker runs the monitor."""
    require("gunicorn")
    require("flask")
    arguments = ["-m", "gunicorn", "--log-level", "warning", "--workers", "2", "health_wsgi:application"]
    with serving(tmp_path, lambda descriptor: [*arguments, "--bind", f"fd://{descriptor}"]) as server:
        server.wait_until(lambda: request(server.port, "/internal/ready").status == 200)

        assert request(server.port, "/internal/health").json["services"][0]["service"] == "clock"
        assert request(server.port, "/internal/health", "HEAD").text == ""
        assert request(server.port, "/internal/health", "POST").status == 405
        assert request(server.port, "/health").status == 404
        server.stop()
