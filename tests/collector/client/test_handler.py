"""`CollectorHandler`: batches, a full queue, the worker thread, and its arguments."""

import gc
import inspect
import itertools
import logging
import logging.config
import pickle
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.fake_collector import DEADLINE, Collector
from support.paths import DOCS

pytest.importorskip("msgspec")
pytest.importorskip("urllib3")
pytest.importorskip("tenacity")

from concurrent_log.collector import CollectorHandler
from concurrent_log.collector.client.batch import OutgoingBatch
from concurrent_log.collector.client.sender import Sender

_MISSING_MSGSPEC = "msgspec is needed to send logs to a collector: pip install msgspec python-dotenv tenacity urllib3"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Return a new logger, whose handlers are closed after the test."""
    test_logger = logging.Logger("app", logging.DEBUG)
    yield test_logger
    for handler in test_logger.handlers:
        handler.close()


def attach(logger: logging.Logger, collector: Collector, **options: object) -> CollectorHandler:
    """Add a handler that sends the records of ``logger`` to ``collector``."""
    handler = CollectorHandler(collector.url, **{"flush_interval": 0.05, **options})  # type: ignore[arg-type]
    logger.addHandler(handler)
    return handler


class TestBatches:
    """The size of a batch, and the time when it is sent."""

    def test_all_of_20000_records_arrive(self, collector: Collector, logger: logging.Logger) -> None:
        """No record of a burst is lost; log-collector-async loses 9,000 of these without a message."""
        handler = attach(logger, collector)
        for number in range(20_000):
            logger.info("record %d", number)

        assert handler.flush(DEADLINE)
        assert collector.messages == [f"record {number}" for number in range(20_000)]
        assert handler.stats().acknowledged == 20_000
        assert handler.stats().dropped == {}

    def test_batch_has_at_most_batch_size_records(self, collector: Collector, logger: logging.Logger) -> None:
        """A longer queue is sent in several batches."""
        handler = attach(logger, collector, batch_size=100)
        for number in range(1000):
            logger.info("record %d", number)
        handler.flush(DEADLINE)

        assert max(len(request.body["logs"]) for request in collector.requests) == 100
        assert len(collector.logs) == 1000

    def test_full_batch_is_sent_immediately(self, collector: Collector, logger: logging.Logger) -> None:
        """A full batch does not wait for the interval, here an hour."""
        attach(logger, collector, batch_size=100, flush_interval=3600.0)
        for number in range(100):
            logger.info("record %d", number)

        collector.wait_for(100)
        assert len(collector.requests) == 1

    def test_single_record_is_sent_after_the_interval(self, collector: Collector, logger: logging.Logger) -> None:
        """A batch that is not full is sent after ``flush_interval``."""
        attach(logger, collector, flush_interval=0.05)
        logger.info("alone")

        collector.wait_for(1)


class TestFullQueue:
    """A full queue: no call waits, and every loss is counted, printed and reported to the server."""

    def test_oldest_records_are_dropped(self, collector: Collector, logger: logging.Logger) -> None:
        """The queue is bounded in records; the server gets the newest ones, and the number of those lost."""
        collector.behave = lambda request: (503, {})
        handler = attach(logger, collector, capacity=100, batch_size=100)
        logger.info("in flight")
        collector.wait_until(lambda: len(collector.requests) > 0)
        for number in range(1000):
            logger.info("record %d", number)

        assert handler.stats().dropped == {"queue full": 900}
        assert handler.stats().queued == 101
        collector.behave = lambda request: None
        handler.flush(DEADLINE)
        assert collector.messages == ["in flight", *(f"record {number}" for number in range(900, 1000))]
        assert collector.drops == {"queue full": 900}

    def test_queue_is_bounded_in_bytes(self, collector: Collector, logger: logging.Logger) -> None:
        """Records of any size fit into ``capacity_bytes``."""
        collector.behave = lambda request: (503, {})
        handler = attach(logger, collector, capacity_bytes=1_000_000)
        logger.info("in flight")
        collector.wait_until(lambda: len(collector.requests) > 0)
        for _ in range(100):
            logger.info("x" * 100_000)

        stats = handler.stats()
        assert stats.bytes <= 1_000_000
        assert stats.queued == 1 + 9
        assert stats.dropped == {"queue full": 91}

    def test_record_larger_than_the_queue_drops_no_other(self, collector: Collector, logger: logging.Logger) -> None:
        """A record that does not fit into an empty queue is dropped itself."""
        handler = attach(logger, collector, capacity_bytes=100_000, flush_interval=3600.0)
        logger.info("small")
        logger.info("x" * 200_000)
        logger.info("small, too")
        handler.flush(DEADLINE)

        assert collector.messages == ["small", "small, too"]
        assert handler.stats().dropped == {"larger than the queue": 1}

    def test_loss_is_printed_immediately_and_then_rarely(
        self, collector: Collector, logger: logging.Logger, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """There is one line for the first loss and one at the end for the others, not one for each."""
        collector.behave = lambda request: (429, {})
        handler = attach(logger, collector, capacity=1, flush_interval=3600.0, stop_timeout=0.0)
        lines: list[str] = []

        def is_first_printed() -> bool:
            lines.extend(line for line in capfd.readouterr().err.splitlines() if "lost" in line)
            return bool(lines)

        logger.info("dropped")
        logger.info("causes the drop")
        collector.wait_until(is_first_printed)
        for number in range(50):
            logger.info("record %d", number)
        handler.close()
        lines.extend(line for line in capfd.readouterr().err.splitlines() if "lost" in line)

        assert len(lines) == 2
        assert lines[0].endswith(": 1 (queue full: 1)")
        assert lines[1].endswith(": 50 (queue full: 50)")

    def test_losses_are_reported_without_a_following_record(self, collector: Collector, logger: logging.Logger) -> None:
        """A batch without records reports them to the server."""
        handler = attach(logger, collector, capacity_bytes=1000)
        logger.info("x" * 5000)

        collector.wait_until(lambda: collector.drops == {"larger than the queue": 1})
        assert collector.requests[0].body["logs"] == []
        handler.close()

    def test_logging_call_does_not_wait_for_the_server(self, collector: Collector, logger: logging.Logger) -> None:
        """The server does not respond, and all calls return."""
        collector.behave = lambda request: "hang"
        handler = attach(logger, collector, capacity=100, stop_timeout=0.0)
        for number in range(1000):
            logger.info("record %d", number)

        assert collector.logs == []
        assert sum(handler.stats().dropped.values()) + handler.stats().queued == 1000


class TestWorker:
    """The sending thread survives all errors, and ends when the handler is closed."""

    def test_unexpected_error_loses_no_record(
        self, collector: Collector, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An exception does not end the thread, as it does in log-collector-async."""
        errors = iter([ZeroDivisionError(), KeyError()])
        deliver = Sender.deliver

        def failing_deliver(self: Sender, batch: OutgoingBatch) -> bool:
            for error in errors:
                raise error
            return deliver(self, batch)

        monkeypatch.setattr(Sender, "deliver", failing_deliver)
        monkeypatch.setattr(logging, "raiseExceptions", False)
        monkeypatch.setattr("concurrent_log.collector.client.worker._PAUSE_AFTER_ERROR", 0.01)
        handler = attach(logger, collector)
        logger.info("first")

        assert handler.flush(DEADLINE)
        assert collector.messages == ["first"]

    def test_batch_with_repeated_unexpected_errors_is_dropped(
        self, collector: Collector, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The batches after it are sent."""
        deliver = Sender.deliver

        def failing_deliver(self: Sender, batch: OutgoingBatch) -> bool:
            if b"poison" in batch.logs[0]:
                raise ZeroDivisionError
            return deliver(self, batch)

        monkeypatch.setattr(Sender, "deliver", failing_deliver)
        monkeypatch.setattr(logging, "raiseExceptions", False)
        monkeypatch.setattr("concurrent_log.collector.client.worker._PAUSE_AFTER_ERROR", 0.01)
        handler = attach(logger, collector, batch_size=1)
        for text in ("poison", "first", "second"):
            logger.info(text)
        handler.flush(DEADLINE)

        assert collector.messages == ["first", "second"]
        assert handler.stats().dropped == {"internal error of the client": 1}
        assert collector.drops == {"internal error of the client": 1}

    def test_restarted_server_gets_everything(self, collector: Collector, logger: logging.Logger) -> None:
        """An outage within the limits of the queue loses nothing, and a flush tries again immediately."""
        port = collector.server.server_address[1]
        handler = attach(logger, collector)
        logger.info("before")
        handler.flush(DEADLINE)
        collector.stop()
        for number in range(500):
            logger.info("record %d", number)
        assert not handler.flush(0.2)
        restarted = Collector().start(port)
        try:
            assert handler.flush(DEADLINE)
            assert restarted.messages == [f"record {number}" for number in range(500)]
            assert handler.stats().healthy
        finally:
            restarted.stop()

    def test_clock_that_jumps_delays_no_batch(
        self, collector: Collector, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The client uses a monotonic clock for its intervals, so a step of the system clock has no effect."""
        handler = attach(logger, collector)
        jumps = itertools.cycle([0.0, -1e6, 1e6])
        monkeypatch.setattr(time, "time", lambda: 1.8e9 + next(jumps))
        for number in range(10):
            logger.info("record %d", number)
            collector.wait_for(number + 1)

        assert handler.flush(DEADLINE)
        assert collector.messages == [f"record {number}" for number in range(10)]

    @pytest.mark.parametrize("mode", ["memory", "spool"])
    def test_records_of_many_threads_arrive_once(
        self, collector: Collector, logger: logging.Logger, tmp_path: Path, mode: str
    ) -> None:
        """Each record arrives once, with a unique number in its process."""
        spool = tmp_path / "spool" if mode == "spool" else None
        handler = attach(logger, collector, batch_size=50, spool_directory=spool, spool_bytes=100_000_000)

        def work(source: int) -> None:
            for number in range(500):
                logger.info("%d %d", source, number)

        threads = [threading.Thread(target=work, args=(source,)) for source in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        handler.flush(DEADLINE)

        assert sorted(collector.messages) == sorted(f"{s} {n}" for s in range(8) for n in range(500))
        numbers = [record["sequence"] for record in collector.logs]
        assert len(set(numbers)) == len(numbers)

    def test_close_ends_a_long_pause(self, collector: Collector, logger: logging.Logger) -> None:
        """The server requests a pause of five minutes; close makes one more attempt immediately."""
        collector.behave = lambda request: (503, {"Retry-After": "300"}) if len(collector.requests) == 1 else None
        handler = attach(logger, collector)
        logger.info("queued")
        collector.wait_until(lambda: len(collector.requests) == 1)
        handler.close()

        assert collector.messages == ["queued"]

    def test_close_prints_the_number_of_unsent_records(
        self, collector: Collector, logger: logging.Logger, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """The records that could not be sent within ``stop_timeout`` are reported on stderr."""
        collector.behave = lambda request: "hang"
        handler = attach(logger, collector, stop_timeout=0.1, batch_size=10)
        for number in range(25):
            logger.info("record %d", number)
        collector.wait_until(lambda: len(collector.requests) == 1)
        handler.close()

        stderr = capfd.readouterr().err
        assert stderr == f"concurrent_log: 25 records were not sent to {collector.url}/logs in time\n"

    def test_record_after_close_is_sent_immediately(self, collector: Collector, logger: logging.Logger) -> None:
        """The logging thread sends it, because a new thread could end with the program before it has sent."""
        handler = attach(logger, collector)
        handler.close()
        logger.info("after close")

        assert collector.messages == ["after close"]
        assert not any("collector" in thread.name for thread in threading.enumerate())

    def test_unreferenced_handler_sends_queued_records(self, collector: Collector) -> None:
        """A handler that the program drops without closing it is closed in the background."""
        handler = CollectorHandler(collector.url, flush_interval=3600.0)
        handler.handle(logging.makeLogRecord({"msg": "queued"}))
        del handler
        gc.collect()

        collector.wait_for(1)
        assert collector.messages == ["queued"]

    def test_logging_inside_a_logging_call_does_not_deadlock(
        self, collector: Collector, logger: logging.Logger
    ) -> None:
        """A ``__repr__``, a finalizer or a signal handler may log: no lock blocks the thread that holds it."""
        handler = attach(logger, collector)

        class LogsInRepr:
            def __repr__(self) -> str:
                logger.info("inner")
                return "outer"

        for _ in range(100):
            logger.info("%s", LogsInRepr())
        handler.flush(DEADLINE)

        assert sorted(collector.messages) == ["inner"] * 100 + ["outer"] * 100

    def test_flush_respects_the_pause_that_the_server_requested(
        self, collector: Collector, logger: logging.Logger
    ) -> None:
        """A program that flushes after each record does not repeat the request each time."""
        collector.behave = lambda request: (429, {"Retry-After": "60"})
        handler = attach(logger, collector, stop_timeout=0.0)
        logger.info("record")
        for _ in range(10):
            assert not handler.flush(0.05)

        assert len(collector.requests) == 1

    def test_flush_returns_whether_the_server_has_everything(
        self, collector: Collector, logger: logging.Logger
    ) -> None:
        """The result is False while the server does not accept the record, and True afterwards."""
        collector.behave = lambda request: (503, {})
        handler = attach(logger, collector)
        assert handler.flush(DEADLINE)
        logger.info("record")

        assert not handler.flush(0.1)
        collector.behave = lambda request: None
        assert handler.flush(DEADLINE)
        assert collector.messages == ["record"]

    def test_stats_contain_the_last_error(self, collector: Collector, logger: logging.Logger) -> None:
        """The statistics show why no record arrives."""
        collector.behave = lambda request: (503, {})
        handler = attach(logger, collector)
        logger.info("record")
        collector.wait_until(lambda: handler.stats().last_error != "")

        stats = handler.stats()
        assert stats.last_error.startswith("503 ")
        assert (stats.healthy, stats.acknowledged, stats.queued) == (False, 0, 1)


class TestArguments:
    """The arguments of the handler, and its error messages."""

    def test_handler_is_pickled_with_its_token_but_does_not_show_it(self) -> None:
        """A spawned child needs the token, but no `repr` contains it."""
        handler = CollectorHandler("http://127.0.0.1:9", token="secret-token", headers={"X-Key": "secret-key"})
        restored = pickle.loads(pickle.dumps(handler))

        assert restored.shipper.settings.token == "secret-token"
        for text in (repr(handler), repr(handler.shipper), repr(handler.shipper.settings)):
            assert "secret" not in text

    def test_no_thread_starts_before_the_first_record(self, collector: Collector, logger: logging.Logger) -> None:
        """A program may configure its logging and then fork."""
        before = threading.active_count()
        attach(logger, collector)

        assert threading.active_count() == before

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"url": "localhost:8000"}, "url='localhost:8000' must begin with http:// or https:// and a host"),
            ({"url": 5}, "url must be a string such as 'https://logs.example.com', not int"),
            ({"url": "http://a:99999"}, "url is invalid"),
            ({"url": "http://user:secret@a"}, "url must not contain a user name or password"),
            ({"url": "http://a?token=secret"}, "url must end with the path"),
            ({"token": "secret\n"}, "token must consist of visible ASCII characters"),
            ({"token": 5}, "token must be a string, not int"),
            ({"headers": {"X": "secret\r\nY: 1"}}, "each of headers must be one line of ISO 8859-1"),
            ({"headers": {"X": 5}}, "headers must contain only strings; 'X' does not"),
            ({"batch_size": 0}, "batch_size=0 must be at least 1"),
            ({"capacity": 1.5}, "capacity must be a whole number of records, not 1.5"),
            ({"capacity_bytes": True}, "capacity_bytes must be a whole number of bytes, not True"),
            ({"flush_interval": -1}, "flush_interval=-1 must not be negative"),
            ({"timeout": 0}, "timeout=0 leaves no time for a request"),
            ({"service": 5}, "service must be a string, not int"),
            ({"spool_directory": 5}, "spool_directory must be a path, not 5"),
            ({"ca_file": "no.pem"}, "url='http://a' is not encrypted"),
            ({"url": "https://a", "ca_file": "/no.pem"}, "ca_file='/no.pem' cannot be used"),
            ({"url": "https://a", "client_certificate": "/no.pem"}, "client_certificate=.* cannot be used"),
            (
                {"url": "https://a", "client_certificate": ["a", "b", "c"]},
                "client_certificate must be a path, or the two",
            ),
        ],
    )
    def test_wrong_argument_raises_one_line(self, options: dict[str, object], error: str) -> None:
        """The constructor raises immediately, and the message contains no secret."""
        with pytest.raises((ValueError, TypeError, OSError), match=error) as raised:
            CollectorHandler(**{"url": "http://a", **options})  # type: ignore[arg-type]

        assert "\n" not in str(raised.value)
        assert "secret" not in str(raised.value)

    def test_dictionary_configures_the_handler(self, collector: Collector) -> None:
        """`dictConfig` creates the handler like any other."""
        configuration = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "collector": {
                    "class": "concurrent_log.collector.CollectorHandler",
                    "level": "INFO",
                    "url": collector.url,
                    "service": "shop",
                    "environment": "test",
                    "headers": {"X-Tenant": "a"},
                }
            },
            "loggers": {"test_dictionary": {"handlers": ["collector"], "level": "DEBUG"}},
        }
        logging.config.dictConfig(configuration)
        logger = logging.getLogger("test_dictionary")
        (handler,) = logger.handlers
        logger.debug("not this")
        logger.info("this")
        try:
            assert handler.flush()  # type: ignore[func-returns-value]
        finally:
            logger.removeHandler(handler)
            handler.close()

        (record,) = collector.logs
        assert (record["service"], record["environment"], record["message"]) == ("shop", "test", "this")
        assert collector.requests[0].headers["X-Tenant"] == "a"

    def test_formatter_renders_the_message(self, collector: Collector, logger: logging.Logger) -> None:
        """With a formatter, the message is the text that it returns."""
        handler = attach(logger, collector)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger.info("text")
        handler.flush(DEADLINE)

        assert collector.messages == ["INFO text"]

    def test_table_of_parameters_shows_the_defaults(self) -> None:
        """The page names every parameter with its default."""
        page = (DOCS / "collector-client.md").read_text("utf-8")
        table = page[page.index("| `CollectorHandler` | Default") :]
        rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (`.+?`|required) \|", table, re.MULTILINE)
        shown = {name: default.strip("`") for names, default in rows for name in re.findall(r"\w+", names)}
        parameters = inspect.signature(CollectorHandler).parameters.values()

        assert shown == {p.name: "required" if p.default is p.empty else repr(p.default) for p in parameters}

    def test_missing_package_names_the_command_to_install_it(self) -> None:
        """The last line of the traceback ends with the command."""
        program = "import sys; sys.modules['msgspec'] = None\nfrom concurrent_log.collector import CollectorHandler"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

        expected = f"concurrent_log.internal.extras.MissingPackageError: {_MISSING_MSGSPEC}"
        assert done.stderr.splitlines()[-1] == expected

    def test_missing_package_is_the_last_line_of_a_dictionary_configuration_too(self) -> None:
        """`dictConfig` wraps the error twice; the command would be in the middle of a long traceback."""
        program = """
import logging.config, sys
sys.modules["msgspec"] = None
handlers = {"collector": {"class": "concurrent_log.collector.CollectorHandler", "url": "http://127.0.0.1:9"}}
try:
    logging.config.dictConfig({"version": 1, "handlers": handlers})
except ValueError:
    if sys.argv[1] == "raise":
        raise
"""
        ends = [
            subprocess.run([sys.executable, "-c", program, mode], capture_output=True, text=True, check=False).stderr
            for mode in ("raise", "catch")
        ]

        assert ends[0].splitlines()[-1] == f"concurrent_log: {_MISSING_MSGSPEC}"
        assert ends[1] == ""
