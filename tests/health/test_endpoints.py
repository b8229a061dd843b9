"""The health endpoints: what they answer, in real servers."""

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
from support.processes import Server, serving

_DEADLINE = 40.0
_PATHS = ("/health", "/ready", "/live", "/metrics")


def well() -> None:
    """Succeed."""


def down() -> None:
    """Fail, in words that must not be shown."""
    raise ConnectionRefusedError(111, "postgresql://shop:hunter2@10.1.2.3:5432/shop refused")


def weak() -> None:
    """Work, but not well."""
    raise Degraded("the disk is nearly full")


class Answer:
    """What a server answered."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode()

    @property
    def json(self) -> Any:
        """The body, which must say that it is JSON."""
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.text)


def ask(port: int, path: str, method: str = "GET", **headers: str) -> Answer:
    """Return the answer to one request."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_DEADLINE)) as connection:
        connection.request(method, path, headers=headers)
        return Answer(connection.getresponse())


def answers(port: int) -> bool:
    """Return whether the service of the programs has been checked."""
    try:
        found = ask(port, "/health")
    except OSError:
        return False
    return bool(found.json["services"][0]["last_check"])


@pytest.fixture
def monitor() -> Iterator[ServiceMonitor]:
    """Return a monitor that begins to check only when told so, and is stopped after the test."""
    made = ServiceMonitor(failure_threshold=1)
    yield made
    made.stop(_DEADLINE)


@pytest.fixture
def server(monitor: ServiceMonitor) -> Iterator[EndpointServer]:
    """Return a server that answers what the monitor knows."""
    with serve(monitor, 0) as made:
        yield made


def check(monitor: ServiceMonitor) -> None:
    """Check all services once, and leave the monitor running."""
    asyncio.run(monitor.check_all())
    monitor.start()


def test_health_shows_every_service(monitor: ServiceMonitor, server: EndpointServer) -> None:
    """The table has a row for each service, with what is known of it, and what is wrong in plain words."""
    monitor.add("clock", well)
    monitor.add("database", down, critical=False)
    check(monitor)
    found = ask(server.port, "/health").json
    clock, database = found["services"]

    assert (found["status"], found["monitoring"]) == ("degraded", True)
    assert (clock["service"], clock["status"], clock["error"]) == ("clock", "healthy", None)
    assert (database["service"], database["status"], database["breaker"]) == ("database", "unhealthy", "open")
    assert (database["error"], database["critical"]) == ("connection refused", False)


@pytest.mark.parametrize(
    ("service", "critical", "health", "ready"),
    [
        (well, True, 200, 200),
        (weak, True, 200, 200),
        (down, True, 503, 503),
        (down, False, 200, 200),
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
    """Only a critical service that is down makes 503 of it, and nothing at all does so for /live."""
    monitor.add("service", service, critical=critical)
    check(monitor)

    assert ask(server.port, "/health").status == health
    assert ask(server.port, "/ready").status == ready
    assert ask(server.port, "/live").status == 200


def test_nobody_knows_where_nobody_looks(monitor: ServiceMonitor, server: EndpointServer) -> None:
    """A process that does not check its services says so, and is neither healthy nor ready; but it lives."""
    monitor.add("clock", well)
    asyncio.run(monitor.check_all())
    health, ready = ask(server.port, "/health"), ask(server.port, "/ready")

    assert (health.status, health.json["status"], health.json["monitoring"]) == (503, "healthy", False)
    assert (ready.status, ready.json["ready"], ready.json["monitoring"]) == (503, False, False)
    assert ask(server.port, "/live").status == 200


def test_not_ready_until_all_critical_services_were_checked(monitor: ServiceMonitor, server: EndpointServer) -> None:
    """What was never checked is not known to be down, so that it is healthy, but not ready."""
    first = threading.Event()
    monitor.add("slow", lambda: first.wait(_DEADLINE))
    monitor.add("optional", lambda: first.wait(_DEADLINE), critical=False)
    monitor.start()
    health, ready = ask(server.port, "/health"), ask(server.port, "/ready")
    first.set()

    assert (health.status, health.json["status"]) == (200, "unknown")
    assert (ready.status, ready.json["waits_for"]) == (503, ["slow"])


@pytest.mark.parametrize("path", _PATHS)
def test_no_answer_has_connection_data(monitor: ServiceMonitor, server: EndpointServer, path: str) -> None:
    """What an error says of hosts, users and passwords is in no answer, and no answer is kept by a cache."""
    monitor.add("database", down)
    check(monitor)
    found = ask(server.port, path)

    assert not re.search(r"hunter2|shop|10\.1\.2\.3|5432", f"{found.headers}{found.text}")
    assert found.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", _PATHS)
def test_head_is_get_without_a_body(monitor: ServiceMonitor, server: EndpointServer, path: str) -> None:
    """HEAD has the status and the headers of GET."""
    got, head = ask(server.port, path), ask(server.port, path, "HEAD")

    assert (head.status, head.text) == (got.status, "")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert head.headers["Content-Length"] == str(len(got.text))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"])
def test_nothing_can_be_changed(server: EndpointServer, method: str) -> None:
    """Other methods are refused, and the answer says which are not."""
    found = ask(server.port, "/health", method)

    assert (found.status, found.headers["Allow"]) == (405, "GET, HEAD")
    assert "GET or HEAD" in found.json["detail"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/health/", "/health%00", "/%F0%9F%A6%86"])
def test_nothing_is_anywhere_else(server: EndpointServer, path: str) -> None:
    """Any other path is answered with those that there are."""
    found = ask(server.port, path)

    assert found.status == 404
    assert all(each in found.json["detail"] for each in _PATHS)


def families(text: str, openmetrics: bool = False) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the samples that the official parser finds, by name, and by the values of their sorted labels."""
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
    """The official parser understands both formats, also with a name that has to be escaped."""
    require("prometheus_client")
    name = 'a "clock"\\ 시계'
    monitor.add(name, well)
    monitor.add("database", down)
    monitor.add("never", well)
    asyncio.run(asyncio.wait_for(monitor.services["database"].check(), _DEADLINE))
    asyncio.run(asyncio.wait_for(monitor.services[name].check(), _DEADLINE))
    found = families(ask(server.port, "/metrics", Accept=accept).text, bool(accept))

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


def test_metrics_go_with_those_of_the_program(monitor: ServiceMonitor, require: Callable[[str], None]) -> None:
    """The collector can be registered beside metrics of the program, and is always up to date."""
    require("prometheus_client")
    from prometheus_client import CollectorRegistry, Counter, generate_latest

    from concurrent_log.health.endpoints.metrics import MonitorCollector

    registry = CollectorRegistry(auto_describe=True)
    Counter("orders", "Orders taken.", registry=registry).inc()
    registry.register(MonitorCollector(monitor))
    monitor.add("clock", well)
    asyncio.run(monitor.check_all())
    found = families(generate_latest(registry).decode())

    assert found["orders_total"] == {(): 1}
    assert found["concurrent_log_service_up"] == {("clock",): 1}


def test_metrics_say_what_they_need(server: EndpointServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without prometheus_client, the answer is the command that installs it, and all else works."""
    monkeypatch.delitem(sys.modules, "concurrent_log.health.endpoints.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    found = ask(server.port, "/metrics")

    assert (found.status, ask(server.port, "/live").status) == (501, 200)
    assert "pip install prometheus_client" in found.json["detail"]


def test_silent_client_keeps_nobody_from_an_answer(server: EndpointServer) -> None:
    """Connections on which nothing is said, or half of a request, do not block others."""
    with contextlib.ExitStack() as silent:
        for said in (b"", b"GET /live HT"):
            connection = silent.enter_context(socket.create_connection(("127.0.0.1", server.port), _DEADLINE))
            connection.sendall(said)

        assert ask(server.port, "/live").status == 200


def test_closed_server_gives_its_port_back(monitor: ServiceMonitor, server: EndpointServer) -> None:
    """A port is taken by one server only, and free when that has been closed, which can be done twice."""
    with pytest.raises(OSError, match=r"in use|one usage"):
        serve(monitor, server.port)
    server.close()
    server.close()
    with serve(monitor, server.port) as again:
        assert ask(again.port, "/live").status == 200


def test_server_listens_at_ipv6(monitor: ServiceMonitor, skip_or_fail: Callable[[str], None]) -> None:
    """An address with colons is one of IPv6."""
    try:
        made = serve(monitor, 0, "::1")
    except OSError as error:
        skip_or_fail(f"this machine has no IPv6: {error}")
    with made, contextlib.closing(http.client.HTTPConnection("::1", made.port, timeout=_DEADLINE)) as connection:
        connection.request("GET", "/live")

        assert Answer(connection.getresponse()).status == 200


def in_asgi(monitor: ServiceMonitor, scope: dict[str, Any], *received: dict[str, Any]) -> list[Any]:
    """Return what the ASGI application sends when it is called with ``scope``."""
    waiting, sent = list(received), []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

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
        ("/internal", "/live", 200),  # a framework that takes the mount off the path
        ("/live", "/live/live", 200),
        ("/internal", "/internalive", 404),
        ("", "/internal/live", 404),
    ],
)
def test_path_is_below_the_mount(monitor: ServiceMonitor, root_path: str, path: str, status: int) -> None:
    """The path of the mount is no part of the endpoint's, whether a framework leaves it there or not."""
    scope = {"type": "http", "method": "GET", "path": path, "root_path": root_path, "headers": []}

    assert in_asgi(monitor, scope)[0]["status"] == status


def test_only_http_is_spoken(monitor: ServiceMonitor) -> None:
    """A WebSocket is closed before it has begun, and what is unknown is refused as ASGI wants it."""
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
def test_whole_application_monitors_while_its_server_runs(tmp_path: Path, require: Callable[[str], None]) -> None:
    """On uvicorn, the application alone starts monitoring, and ends with the server."""
    require("uvicorn")
    with uvicorn(tmp_path, "health_asgi:whole", "--lifespan", "on") as server:
        server.wait_until(lambda: answers(server.port))

        assert ask(server.port, "/ready").json == {"ready": True, "monitoring": True, "waits_for": []}
        assert ask(server.port, "/health", "HEAD").status == 200
        assert ask(server.port, "/nothing").status == 404


def test_monitor_of_somebody_else_is_left_running(monitor: ServiceMonitor) -> None:
    """The whole application stops only what it has started."""
    monitor.start()
    messages = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
    sent = in_asgi(monitor, {"type": "lifespan"}, *messages)

    assert [each["type"] for each in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert monitor.is_running


@pytest.mark.skipif(sys.platform == "win32", reason="the server inherits a socket")
def test_mounted_in_fastapi_behind_a_proxy(tmp_path: Path, require: Callable[[str], None]) -> None:
    """Mounted in FastAPI, the endpoints are below the mount, also where a proxy has taken off a path before."""
    require("fastapi")
    with uvicorn(tmp_path, "health_asgi:site", "--root-path", "/shop") as server:
        server.wait_until(lambda: ask(server.port, "/internal/ready").status == 200)

        assert ask(server.port, "/internal/health").json["status"] == "healthy"
        assert ask(server.port, "/health").status == 404


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs POSIX")
def test_mounted_in_flask_on_gunicorn(tmp_path: Path, require: Callable[[str], None]) -> None:
    """Mounted in Flask, the endpoints are below the mount, and each worker of gunicorn monitors."""
    require("gunicorn")
    require("flask")
    arguments = ["-m", "gunicorn", "--log-level", "warning", "--workers", "2", "health_wsgi:application"]
    with serving(tmp_path, lambda descriptor: [*arguments, "--bind", f"fd://{descriptor}"]) as server:
        server.wait_until(lambda: ask(server.port, "/internal/ready").status == 200)

        assert ask(server.port, "/internal/health").json["services"][0]["service"] == "clock"
        assert ask(server.port, "/internal/health", "HEAD").text == ""
        assert ask(server.port, "/internal/health", "POST").status == 405
        assert ask(server.port, "/health").status == 404
        server.stop()
