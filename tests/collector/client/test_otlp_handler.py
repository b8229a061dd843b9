"""`OtlpHandler`: what it sends, which responses it believes, and that nothing is lost."""

import logging
import logging.config
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.deadlines import DEADLINE
from support.processes import environment

pytest.importorskip("msgspec")
pytest.importorskip("google.rpc.status_pb2")
pytest.importorskip("opentelemetry.proto")

from concurrent_log.collector import AsyncLogClient, OtlpHandler
from concurrent_log.collector.client import otlp_environment
from support.otlp_receiver import OtlpReceiver, attributes, partial_success, status


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """Return a running receiver; at the end, no request had an error."""
    with OtlpReceiver() as started:
        yield started
    assert started.errors == []


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Return a logger whose handlers are closed at the end."""
    logger = logging.getLogger("shop.orders")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def make(logger: logging.Logger, url: str | None, **options: Any) -> OtlpHandler:
    """Add a handler to ``logger``."""
    handler = OtlpHandler(url, **{"flush_interval": 0.01, "stop_timeout": DEADLINE, **options})
    logger.addHandler(handler)
    return handler


class TestRecord:
    """What a record becomes."""

    def test_record_has_the_names_of_the_conventions(self, receiver: OtlpReceiver, logger: logging.Logger) -> None:
        """P9: the level, the place, the exception and the extras are where any backend looks for them."""
        handler = make(logger, receiver.url, service="shop", service_version="1.2", environment="test", host="web1")
        try:
            raise KeyError("item")
        except KeyError:
            logger.exception("order %d", 17, extra={"customer": "Ada", "items": [1, {"a": None}], "user_id": "u1"})

        assert handler.flush()
        [resource] = receiver.resources
        shared = attributes(resource.resource.attributes)
        assert (shared["service.name"], shared["service.version"]) == ("shop", "1.2")
        assert (shared["deployment.environment.name"], shared["host.name"]) == ("test", "web1")
        assert shared["process.pid"] == os.getpid()
        [scope] = resource.scope_logs
        assert scope.scope.name == "shop.orders"
        [record] = scope.log_records
        assert (record.severity_number, record.severity_text, record.body.string_value) == (17, "ERROR", "order 17")
        found = attributes(record.attributes)
        assert found["code.function.name"] == "test_record_has_the_names_of_the_conventions"
        assert found["code.file.path"] == __file__
        assert found["exception.type"] == "KeyError"
        assert "KeyError: 'item'" in found["exception.stacktrace"]
        assert (found["customer"], found["user.id"]) == ("Ada", "u1")
        assert found["concurrent_log.sequence"] > 0
        assert found["items"].values[1].kvlist_value.values[0].key == "a"

    def test_record_has_the_ids_of_the_current_span(
        self, receiver: OtlpReceiver, logger: logging.Logger, require: Callable[[str], None]
    ) -> None:
        """P9: a record belongs to the span that is open in its logging call, in a handler and in a client."""
        require("opentelemetry.sdk")
        from opentelemetry.sdk.trace import TracerProvider

        handler = make(logger, receiver.url)
        client = AsyncLogClient(receiver.url, "shop", protocol="otlp", stop_timeout=DEADLINE)
        with TracerProvider().get_tracer("shop").start_as_current_span("payment") as span:
            logger.info("plain")
            logger.info("extras", extra={"value": {"a": 1}})
            client.info("by keyword", order=17)
            client.info("special", attributes={"a": 1})
            logger.info("own", extra={"trace_id": "ab" * 16})
        logger.info("outside")

        assert handler.flush()
        assert client.flush()
        client.close()
        by_message = {record.body.string_value: record for record in receiver.records}
        context = span.get_span_context()
        expected = context.trace_id.to_bytes(16, "big"), context.span_id.to_bytes(8, "big"), int(context.trace_flags)
        for message in ("plain", "extras", "by keyword", "special"):
            record = by_message[message]
            assert (record.trace_id, record.span_id, record.flags) == expected, message
        assert (by_message["own"].trace_id, by_message["own"].span_id) == (b"\xab" * 16, b"")
        assert by_message["outside"].trace_id == b""

    def test_program_without_a_name_has_the_standard_one(self, receiver: OtlpReceiver, logger: logging.Logger) -> None:
        """A resource must have a service; it is OpenTelemetry's name for an unknown one."""
        handler = make(logger, receiver.url)
        logger.info("hello")

        assert handler.flush()
        assert attributes(receiver.resources[0].resource.attributes)["service.name"] == "unknown_service:python"


class TestConfiguration:
    """Arguments, the environment and `dictConfig`."""

    def test_environment_is_the_default(
        self, receiver: OtlpReceiver, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """P9: a program that is configured for OpenTelemetry needs no further argument."""
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{receiver.url}/base/")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20QQ%3D%3D,x-tenant=7")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2500")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,service.version=3,team=a%2Cb")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
        handler = make(logger, None)
        logger.info("hello")

        assert handler.flush()
        [headers], [path] = receiver.headers, receiver.paths
        assert (path, headers["authorization"], headers["x-tenant"]) == ("/base/v1/logs", "Basic QQ==", "7")
        assert headers["content-encoding"] == "gzip"
        assert handler.shipper.settings.timeout == 2.5
        shared = attributes(receiver.resources[0].resource.attributes)
        assert (shared["service.name"], shared["service.version"], shared["team"]) == ("shop", "3", "a,b")

    def test_endpoint_for_logs_is_complete(
        self, receiver: OtlpReceiver, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The variable for logs has priority, and its path is used as it is."""
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{receiver.url}/custom")
        handler = make(logger, None)
        logger.info("hello")

        assert handler.flush()
        assert receiver.paths == ["/custom"]

    def test_dict_config(self, receiver: OtlpReceiver, logger: logging.Logger) -> None:
        """The handler is named like any other; its arguments have priority over the environment."""
        handler = {"class": "concurrent_log.collector.OtlpHandler", "endpoint": receiver.url, "compression": "none"}
        loggers = {"shop.orders": {"level": "INFO", "handlers": ["otlp"], "propagate": False}}
        logging.config.dictConfig(
            {"version": 1, "disable_existing_loggers": False, "handlers": {"otlp": handler}, "loggers": loggers}
        )
        for number in range(200):
            logger.info("order %d", number)

        assert logger.handlers[0].flush(DEADLINE)  # type: ignore[call-arg,func-returns-value]  # our handler's own
        assert receiver.messages == [f"order {number}" for number in range(200)]
        assert "content-encoding" not in receiver.headers[0]

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "OTEL_EXPORTER_OTLP_TIMEOUT='soon' must be a number of millisec"),
            ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "br", "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION='br' must be gzip or"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "OTEL_EXPORTER_OTLP_HEADERS must be a list such as name=value"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a", "OTEL_RESOURCE_ATTRIBUTES='a' must be a list such as name=value"),
        ],
    )
    def test_wrong_variable(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
        """The error has the name, the remedy, and the value if it is no secret."""
        monkeypatch.setenv(name, value)

        with pytest.raises(ValueError, match=message):
            OtlpHandler("http://127.0.0.1:1")

    def test_resource_needs_the_protocol(self) -> None:
        """The collector's own protocol has no resource."""
        with pytest.raises(ValueError, match="resource_attributes need protocol='otlp'"):
            AsyncLogClient("http://127.0.0.1:1", resource_attributes={"team": "a"})

    def test_pairs_may_have_spaces_and_empty_parts(self) -> None:
        """The list has the format of W3C Baggage."""
        variables = {"OTEL_EXPORTER_OTLP_HEADERS": " a = 1 ,, b=x=y,"}

        assert otlp_environment.headers(variables) == {"a": "1", "b": "x=y"}


class TestResponse:
    """Which responses are believed, and what follows from the others."""

    @pytest.mark.parametrize("code", [429, 502, 503, 504])
    def test_temporary_error_is_retried_with_the_same_bytes(
        self, receiver: OtlpReceiver, logger: logging.Logger, code: int
    ) -> None:
        """P9: a receiver that knows a request by its bytes stores it once."""
        receiver.behave = lambda _: [None, "lose", status(code, "busy", Retry_After="0")][
            min(2, 3 - len(receiver.bodies))
        ]  # type: ignore[return-value]
        handler = make(logger, receiver.url)
        logger.info("hello")

        assert handler.flush(DEADLINE)
        assert len(receiver.bodies) == 3
        assert len(set(receiver.bodies)) == 1
        assert receiver.messages == ["hello"]
        assert handler.stats().acknowledged == 1

    @pytest.mark.parametrize("code", [401, 404, 408, 500])
    def test_other_error_is_not_retried(
        self, receiver: OtlpReceiver, logger: logging.Logger, code: int, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """The specification forbids it; the batch is dropped, counted and reported, and the next one is sent."""
        receiver.behave = lambda _: status(code, "go away") if len(receiver.bodies) == 1 else None
        handler = make(logger, receiver.url)
        logger.info("first")
        assert not handler.flush(DEADLINE)
        stats = handler.stats()
        logger.info("second")

        assert handler.flush(DEADLINE)
        assert receiver.messages == ["second"]
        assert (stats.dropped, stats.healthy) == ({"refused by the server": 1}, False)
        assert stats.last_error == f"{code} go away"
        assert handler.stats().healthy
        assert f"they are dropped: {code} go away" in capfd.readouterr().err

    def test_partial_success_is_counted(self, receiver: OtlpReceiver, logger: logging.Logger) -> None:
        """The records that the server rejects are lost, and the batch is not sent again."""
        receiver.behave = lambda _: partial_success(2, "too old")
        handler = make(logger, receiver.url, flush_interval=60)
        for number in range(5):
            logger.info("order %d", number)

        assert not handler.flush(DEADLINE)
        stats = handler.stats()
        assert (stats.dropped, stats.acknowledged) == ({"rejected by the server": 2}, 3)
        assert stats.last_error == "200 too old"
        assert len(receiver.bodies) == 1

    @pytest.mark.parametrize("code", [400, 413])
    def test_refused_content_is_divided(self, receiver: OtlpReceiver, logger: logging.Logger, code: int) -> None:
        """One record that the server cannot take does not take the others with it."""
        receiver.behave = lambda request: status(code, "bad") if "order 3" in str(request) else None
        handler = make(logger, receiver.url, flush_interval=60)
        for number in range(8):
            logger.info("order %d", number)

        assert not handler.flush(DEADLINE)
        assert sorted(receiver.messages) == [f"order {number}" for number in range(8) if number != 3]
        assert sum(handler.stats().dropped.values()) == 1

    @pytest.mark.parametrize(
        "answer", [(200, {}, b""), (204, {}, b""), (200, {"Content-Type": "application/json"}, b"{}")]
    )
    def test_short_answers_are_believed(
        self, receiver: OtlpReceiver, logger: logging.Logger, answer: tuple[int, dict[str, str], bytes]
    ) -> None:
        """Servers answer without a body, or in JSON."""
        receiver.behave = lambda _: answer
        handler = make(logger, receiver.url)
        logger.info("hello")

        assert handler.flush(DEADLINE)
        assert handler.stats().acknowledged == 1

    @pytest.mark.parametrize(
        "answer",
        [
            (200, {"Content-Type": "text/html"}, b"<h1>Please log in</h1>"),
            (200, {"Content-Type": "application/json"}, b'{"status":"fine"}'),
            (302, {"Location": "/login"}, b""),
        ],
    )
    def test_answer_of_something_else_is_not_believed(
        self,
        receiver: OtlpReceiver,
        logger: logging.Logger,
        answer: tuple[int, dict[str, str], bytes],
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """A login page has not stored the records; they are sent again."""
        receiver.behave = lambda _: answer if len(receiver.bodies) == 1 else None
        handler = make(logger, receiver.url)
        logger.info("hello")

        assert handler.flush(DEADLINE)
        assert receiver.messages == ["hello"]
        assert "they stay queued" in capfd.readouterr().err


_KILLED = """
import logging, sys, time
from concurrent_log.collector import OtlpHandler
handler = OtlpHandler(sys.argv[1], spool_directory="spool", flush_interval=0.01, batch_size=50, service="shop")
logging.basicConfig(level=logging.INFO, handlers=[handler])
first = int(sys.argv[2])
for number in range(first, first + 1000):
    logging.info("order %d", number)
    print(number, flush=True)
time.sleep(3600)  # until it is killed
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_with_a_spool_loses_nothing(tmp_path: Path) -> None:
    """P9: after kills, with responses that are dropped or 503, each record whose call returned is stored once."""
    (tmp_path / "program.py").write_text(_KILLED)
    faults = iter([status(503, Retry_After="0"), "lose", *[None] * 6] * 10_000)
    logged: list[int] = []
    with OtlpReceiver(lambda _: next(faults)) as receiver:
        for first in (0, 1_000_000):
            program = subprocess.Popen(
                [sys.executable, "program.py", receiver.url, str(first)],
                cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            with program:
                assert program.stdout is not None
                logged += [int(program.stdout.readline()) for _ in range(300)]
                program.kill()
                logged += [int(line) for line in program.stdout.read().splitlines()]
        last = OtlpHandler(receiver.url, spool_directory=tmp_path / "spool", stop_timeout=DEADLINE)
        last.handle(logging.makeLogRecord({"msg": "end"}))
        receiver.wait_until(lambda: "end" in receiver.messages and len(receiver.messages) > len(logged))
        last.close()
    numbers = [int(message.split()[1]) for message in receiver.messages if message != "end"]

    assert receiver.errors == []
    assert len(numbers) == len(set(numbers))
    assert set(logged) <= set(numbers)
