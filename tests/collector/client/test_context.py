"""Context fields of the user and the request, and the middleware that sets them."""

import asyncio
import concurrent.futures
import contextvars
import json
import pathlib
import re
import sys
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from concurrent_log.collector import AsyncLogClient, RequestContextMiddleware, WsgiRequestContextMiddleware
from concurrent_log.collector.client.context import fields
from support.fake_collector import DEADLINE, Collector
from support.processes import Server, serving


@pytest.fixture(autouse=True)
def _no_context() -> Iterator[None]:
    """Clear the context after each test."""
    yield
    AsyncLogClient.clear_user_context()
    AsyncLogClient.clear_request_context()


def test_a_block_adds_fields_until_its_end() -> None:
    """The inner block adds to the outer one, and overrides fields of the same name."""
    with AsyncLogClient.user_context(tenant_id="a", user_id="1"):
        with AsyncLogClient.user_context(user_id="2"):
            assert fields() == {"tenant_id": "a", "user_id": "2"}

        assert fields() == {"tenant_id": "a", "user_id": "1"}
    assert fields() == {}


def test_a_block_ends_with_an_exception() -> None:
    """An exception leaves no fields in the thread."""
    with pytest.raises(ValueError, match="mine"), AsyncLogClient.user_context(user_id="1"):
        raise ValueError("mine")

    assert fields() == {}


def test_blocks_of_requests_and_users_are_independent() -> None:
    """A block of one kind does not reset what was set inside it for the other kind."""
    with AsyncLogClient.user_context(user_id="1"):
        AsyncLogClient.set_request_context(path="/a", method="GET")
        with AsyncLogClient.request_context(ip="::1"):
            assert fields() == {"user_id": "1", "path": "/a", "method": "GET", "ip": "::1"}

    assert fields() == {"path": "/a", "method": "GET"}


def test_setting_replaces_until_the_end_of_the_block() -> None:
    """As in log-collector-async, `set_user_context` replaces all fields instead of adding to them."""
    AsyncLogClient.set_user_context(user_id="1")
    with AsyncLogClient.user_context(session_id="s"):
        AsyncLogClient.set_user_context(user_id="2")

        assert AsyncLogClient.get_user_context() == {"user_id": "2"}
    assert AsyncLogClient.get_user_context() == {"user_id": "1"}

    AsyncLogClient.clear_user_context()

    assert AsyncLogClient.get_user_context() is None


def test_getter_returns_a_copy() -> None:
    """A change of the returned dictionary does not change the context."""
    AsyncLogClient.set_request_context(path="/a")
    found = AsyncLogClient.get_request_context()
    assert found is not None
    found["path"] = "/b"

    assert AsyncLogClient.get_request_context() == {"path": "/a"}


def test_a_block_may_be_nested_in_itself_and_shared_by_threads() -> None:
    """The surrounding fields are stored in the context of each caller, not in the block."""
    block = AsyncLogClient.user_context(user_id="1")
    together = threading.Barrier(2)

    def enter() -> dict[str, Any]:
        with block, block:
            together.wait()
        with block:
            together.wait()
            return fields()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = [pool.submit(contextvars.Context().run, enter) for _ in range(2)]

        assert [each.result() for each in found] == [{"user_id": "1"}] * 2
    assert fields() == {}


def test_exit_in_another_context_changes_nothing() -> None:
    """A framework may resume a generator in another context."""
    block = AsyncLogClient.user_context(user_id="1")
    contextvars.copy_context().run(block.__enter__)
    with AsyncLogClient.user_context(user_id="2"):
        block.__exit__(None, None, None)

        assert fields() == {"user_id": "2"}


def test_tasks_do_not_mix() -> None:
    """Each task has its own fields and those of the task that created it, also with ``async with``."""

    async def serve(user: int) -> list[dict[str, Any]]:
        found = []
        async with AsyncLogClient.user_context(user_id=user):
            for number in range(3):
                await asyncio.sleep(0)
                with AsyncLogClient.user_context(number=number):
                    found.append(await asyncio.create_task(read()))
                    found.append(await asyncio.to_thread(fields))
        return [*found, fields()]

    async def read() -> dict[str, Any]:
        await asyncio.sleep(0)
        return fields()

    async def main() -> list[list[dict[str, Any]]]:
        with AsyncLogClient.request_context(path="/"):
            return await asyncio.gather(*map(serve, range(20)))

    for user, found in enumerate(asyncio.run(main())):
        inside = [{"path": "/", "user_id": user, "number": number} for number in range(3) for _ in range(2)]
        assert found == [*inside, {"path": "/"}]


def test_a_new_thread_has_no_fields() -> None:
    """The fields of one thread are not visible in another."""
    AsyncLogClient.set_user_context(user_id="1")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(contextvars.Context().run, fields).result() == {}


def test_reserved_names_become_attributes() -> None:
    """A user may have a field ``level``; the attributes of all layers are merged."""
    AsyncLogClient.set_user_context(level="gold", attributes={"a": 1})
    with AsyncLogClient.request_context(message="hello", attributes={"b": 2}):
        assert fields() == {"attributes": {"level": "gold", "a": 1, "message": "hello", "b": 2}}


# The middleware without a server.


def serve(headers: dict[str, str], **scope: Any) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """Return the fields inside an ASGI application, the headers of the response, and the fields afterwards."""
    found: dict[str, Any] = {}
    messages: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(fields())
        AsyncLogClient.set_user_context(user_id="left over")
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Any) -> None:
        messages.append(message)

    async def main() -> dict[str, Any]:
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await RequestContextMiddleware(app)({**_SCOPE, "headers": encoded, **scope}, _receive, send)
        return fields()

    after = asyncio.run(main())
    return found, {name.decode(): value.decode() for name, value in messages[0]["headers"]}, after


_SCOPE = {"type": "http", "path": "/shop/ä", "method": "PUT", "client": ("10.0.0.7", 5), "query_string": b"secret=1"}


async def _receive() -> Any:
    raise AssertionError("the application must not read the body")


def test_a_request_has_a_path_a_method_an_address_and_a_trace() -> None:
    """The query is omitted, because it often contains secrets; the fields end with the request."""
    found, headers, after = serve({})
    trace_id = found.pop("trace_id")

    assert found == {"path": "/shop/ä", "method": "PUT", "ip": "10.0.0.7"}
    assert re.fullmatch("[0-9a-f]{32}", trace_id)
    assert headers == {"x-trace-id": trace_id}
    assert after == {}


_PARENT = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("headers", "trace_id"),
    [
        ({"traceparent": f"00-{_PARENT}-b7ad6b7169203331-01", "X-Trace-Id": "mine"}, _PARENT),
        ({"traceparent": f"cc-{_PARENT}-b7ad6b7169203331-01-later"}, _PARENT),
        ({"traceparent": f"ff-{_PARENT}-b7ad6b7169203331-01", "X-Trace-Id": "mine"}, "mine"),
        ({"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01", "X-Trace-Id": "mine"}, "mine"),
        ({"traceparent": f"00-{_PARENT}-{'0' * 16}-01", "X-Trace-Id": "mine"}, "mine"),
        ({"X-Trace-Id": "mine", "X-Request-ID": "yours"}, "mine"),
        ({"X-Request-ID": "4b5e7ff4-ffd8-4d54-b0b6-6a8f2a5a4e0a"}, "4b5e7ff4-ffd8-4d54-b0b6-6a8f2a5a4e0a"),
        ({"X-Trace-Id": "<script>", "X-Request-ID": "yours"}, "yours"),
    ],
)
def test_trace_id_of_a_request(headers: dict[str, str], trace_id: str) -> None:
    """It comes from W3C Trace Context, or from a header whose value is safe to send back."""
    found, response, _ = serve(headers)

    assert found["trace_id"] == response["x-trace-id"] == trace_id


@pytest.mark.parametrize("sent", ["", "a b", "a\tb", "x" * 129, "ä", "a\x00b"])
def test_invalid_trace_id_is_not_sent_back(sent: str) -> None:
    """A client may send any value."""
    found, response, _ = serve({"X-Trace-Id": sent})

    assert re.fullmatch("[0-9a-f]{32}", found["trace_id"])
    assert response["x-trace-id"] == found["trace_id"]


def test_user_context_overrides_the_trace_id() -> None:
    """As documented by log-collector-async, `user_context` may set a trace id inside a request."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with AsyncLogClient.user_context(trace_id="mine"):
            found.append(AsyncLogClient.trace_id())
        found.append(AsyncLogClient.trace_id())

    found: list[str | None] = []
    headers = [(b"x-trace-id", b"theirs")]
    asyncio.run(RequestContextMiddleware(app)({**_SCOPE, "headers": headers}, _receive, _receive))  # type: ignore[arg-type]

    assert found == ["mine", "theirs"]


def test_a_websocket_has_a_trace_id() -> None:
    """It has no method."""
    found: dict[str, Any] = {}
    messages: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(fields())
        await send({"type": "websocket.accept", "headers": [(b"X-Trace-Id", b"its own")]})
        await send({"type": "websocket.send", "text": "hello"})

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "websocket", "path": "/live", "headers": [(b"x-trace-id", b"mine")], "client": None}
    asyncio.run(RequestContextMiddleware(app)(scope, _receive, send))

    assert found == {"path": "/live", "trace_id": "mine"}
    assert [message.get("headers") for message in messages] == [[(b"X-Trace-Id", b"its own")], None]


def test_lifespan_has_no_fields() -> None:
    """The lifespan of a server has no headers, and is passed on."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["type"], fields()))

    asyncio.run(RequestContextMiddleware(app)({"type": "lifespan"}, _receive, _receive))  # type: ignore[arg-type]

    assert seen == [("lifespan", {})]


def test_a_wsgi_body_is_generated_in_the_context_of_its_request() -> None:
    """One thread generates the bodies of two requests in turns, like a server with greenlets; they do not mix."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        AsyncLogClient.set_user_context(user_id=environ["HTTP_X_USER"])
        for _ in range(2):
            yield json.dumps(fields()).encode()

    def begin(name: str) -> Any:
        environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/shop", "PATH_INFO": f"/{name}", "HTTP_X_USER": name}
        environ["HTTP_X_TRACE_ID"] = f"trace-{name}"
        return WsgiRequestContextMiddleware(app)(environ, lambda *response: responses.append(response))

    responses: list[Any] = []
    bodies = {name: begin(name) for name in "ab"}
    for _ in range(2):
        for name, body in bodies.items():
            of_request = {"trace_id": f"trace-{name}", "user_id": name, "path": f"/shop/{name}", "method": "GET"}
            assert json.loads(next(body)) == of_request
            assert fields() == {}

    assert [dict(headers)["X-Trace-Id"] for _, headers in responses] == ["trace-a", "trace-b"]


def test_a_wsgi_body_is_closed() -> None:
    """It is closed once, in its context; a body that the server sends in its own way is not wrapped."""
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

        def close(self) -> None:
            closed.append(fields()["path"])

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "wsgi.file_wrapper": tuple}
    body = WsgiRequestContextMiddleware(lambda *_: Body())(environ, print)
    list(body)
    body.close()  # type: ignore[attr-defined]
    file = (b"file",)

    assert closed == ["/a"]
    assert WsgiRequestContextMiddleware(lambda *_: file)(environ, print) is file


# The middleware in real servers.


def send_request(server: Server, path: str, trace_id: str) -> dict[str, str]:
    """Send a request, and return the headers of the response."""
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", headers={"X-Trace-Id": trace_id})
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        assert response.read() == b'"done"'
        return dict(response.headers)


def send_requests(server: Server, *kinds: str) -> dict[str, str]:
    """Send many requests concurrently, and return the trace id of each by its path."""
    traces = {f"/{kind}/{number}": f"trace-{kind}-{number}" for kind in kinds for number in range(40)}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        responses = pool.map(lambda request: send_request(server, *request), traces.items())
        for trace_id, headers in zip(traces.values(), responses, strict=True):
            assert {name.lower(): value for name, value in headers.items()}["x-trace-id"] == trace_id
    return traces


def assert_not_mixed(records: list[dict[str, Any]], traces: dict[str, str]) -> None:
    """Check that each request has six records, from both kinds of clients, with the fields of that request."""
    found: dict[str, list[str]] = {path: [] for path in traces}
    for record in sorted(
        (record for record in records if "requested" in record), key=lambda record: record["sequence"]
    ):
        path = record["path"]
        found[path].append(record["message"])
        assert record["requested"] == record["user_id"] == path
        assert record["trace_id"] == traces[path]
        assert record["method"] == "GET"
    assert found == {path: ["by the client", "by a logger"] * 3 for path in traces}


def test_concurrent_requests_in_uvicorn_do_not_mix(
    collector: Collector, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastAPI, with functions in the loop and in threads."""
    monkeypatch.setenv("LOG_SERVER_URL", collector.url)
    with serving(tmp_path, lambda fd: ["-m", "uvicorn", "traced_asgi:app", "--fd", str(fd)]) as server:
        server.wait_until(lambda: "startup complete" in server.output)
        traces = send_requests(server, "async", "thread")
        server.stop()

    assert_not_mixed(collector.logs, traces)


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn is for POSIX")
@pytest.mark.parametrize("worker", ["gthread", "sync"])
def test_concurrent_requests_in_gunicorn_do_not_mix(
    collector: Collector, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, worker: str
) -> None:
    """Flask, with bodies generated after the application returned; the application is loaded before the fork."""
    monkeypatch.setenv("LOG_SERVER_URL", collector.url)
    threads = "4" if worker == "gthread" else "1"
    command = ["-m", "gunicorn", "traced_wsgi:app", "--preload", "--workers", "2"]
    command += ["--worker-class", worker, "--threads", threads]
    with serving(tmp_path, lambda fd: [*command, "--bind", f"fd://{fd}"]) as server:
        server.wait_until(lambda: server.output.count("Booting worker") == 2)
        traces = send_requests(server, "body", "early")
        server.stop()

    assert_not_mixed(collector.logs, traces)
