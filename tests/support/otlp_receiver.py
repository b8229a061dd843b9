"""A strict receiver of OTLP/HTTP over `opentelemetry-proto`, which can misbehave as a test asks it to."""

import gzip
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs

from support.deadlines import DEADLINE

# The response to a request: a status, headers and a body; ``lose`` stores the request and drops the connection;
# None stores it and responds as the specification says.
Behaviour = Callable[[ExportLogsServiceRequest], "tuple[int, dict[str, str], bytes] | str | None"]


class OtlpReceiver:
    """A server in threads of this process; use it as a context manager.

    Attributes:
        behave: Returns the response to a request.
        bodies: The bodies of all requests, in order, without compression.
        headers: The headers of all requests.
        paths: The paths of all requests.
        stored: The requests that were stored; one that was stored before is not stored again.
        errors: What was wrong with a request.
    """

    def __init__(self, behave: Behaviour = lambda request: None) -> None:
        self.behave = behave
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.stored: dict[bytes, ExportLogsServiceRequest] = {}
        self.errors: list[str] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"receiver": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """The URL without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "OtlpReceiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def receive(self, path: str, headers: dict[str, str], content: bytes) -> "tuple[int, dict[str, str], bytes] | None":
        """Store a request and return the response; None drops the connection."""
        with self._changed:
            self.bodies.append(content)
            self.headers.append(headers)
            self.paths.append(path)
            if headers.get("content-type") != "application/x-protobuf":
                self.errors.append(f"type {headers.get('content-type')}")
            request = ExportLogsServiceRequest.FromString(content)
            self.errors += _errors(request)
            behaviour = self.behave(request)
            if behaviour is None or behaviour == "lose":
                self.stored.setdefault(content, request)
            self._changed.notify_all()
        if behaviour == "lose":
            return None
        if isinstance(behaviour, tuple):
            return behaviour
        return 200, {"Content-Type": "application/x-protobuf"}, ExportLogsServiceResponse().SerializeToString()

    @property
    def resources(self) -> list[ResourceLogs]:
        """The resources of the stored requests, with their records."""
        with self._changed:
            return [each for request in self.stored.values() for each in request.resource_logs]

    @property
    def records(self) -> list[LogRecord]:
        """The stored records."""
        return [record for each in self.resources for scope in each.scope_logs for record in scope.log_records]

    @property
    def messages(self) -> list[str]:
        """The bodies of the stored records."""
        return [record.body.string_value for record in self.records]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` is true, which is asked after each request."""
        with self._changed:
            assert self._changed.wait_for(condition, DEADLINE), f"{len(self.bodies)} requests"


def status(code: int, message: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return a response with a ``google.rpc.Status``."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return code, {"Content-Type": "application/x-protobuf", **names}, Status(message=message).SerializeToString()


def partial_success(rejected: int, message: str) -> tuple[int, dict[str, str], bytes]:
    """Return a response that rejects some records."""
    answer = ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = rejected
    answer.partial_success.error_message = message
    return 200, {"Content-Type": "application/x-protobuf"}, answer.SerializeToString()


def attributes(pairs: Any) -> dict[str, Any]:
    """Return attributes of simple types as a dictionary."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


def _errors(request: ExportLogsServiceRequest) -> list[str]:
    """Return what the specification or the data model forbids in a request."""
    errors = []
    for resource_logs in request.resource_logs:
        groups = [resource_logs.resource.attributes]
        if not attributes(resource_logs.resource.attributes).get("service.name"):
            errors.append("a resource without service.name")
        for scope in resource_logs.scope_logs:
            for record in scope.log_records:
                groups.append(record.attributes)
                if not record.time_unix_nano or not record.observed_time_unix_nano:
                    errors.append("a record without a time")
                if len(record.trace_id) not in (0, 16) or len(record.span_id) not in (0, 8):
                    errors.append("an id with a wrong length")
        for pairs in groups:
            keys = [pair.key for pair in pairs]
            if len(keys) != len(set(keys)) or not all(keys):
                errors.append(f"attributes with the same key, or with none: {sorted(keys)}")
    return errors


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: OtlpReceiver

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        headers = {name.lower(): value for name, value in self.headers.items()}
        response = self.receiver.receive(self.path, headers, content)
        if response is None:
            self.close_connection = True
            return
        code, headers, body = response
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""
