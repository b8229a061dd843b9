"""The client of the collector: what it sends, when, how often, and what becomes of what cannot be sent."""

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

from support.fake_collector import Collector
from support.paths import DOCS

pytest.importorskip("msgspec")
pytest.importorskip("urllib3")
pytest.importorskip("tenacity")

from concurrent_log.collector import CollectorHandler
from concurrent_log.collector.client.batch import OutgoingBatch
from concurrent_log.collector.client.sender import Sender

_MISSING_MSGSPEC = "msgspec is needed to send logs to a collector: pip install msgspec python-dotenv tenacity urllib3"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Return a collector that runs."""
    made = Collector().start()
    yield made
    made.stop()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Return a logger of the test's own, whose handlers are closed after it."""
    made = logging.Logger("app", logging.DEBUG)
    yield made
    for handler in made.handlers:
        handler.close()


def attach(logger: logging.Logger, collector: Collector, **options: object) -> CollectorHandler:
    """Let ``logger`` send to ``collector``."""
    handler = CollectorHandler(collector.url, **{"flush_interval": 0.05, **options})  # type: ignore[arg-type]
    logger.addHandler(handler)
    return handler


class TestBatches:
    """What leaves together, and when."""

    def test_all_of_20000_records_arrive(self, collector: Collector, logger: logging.Logger) -> None:
        """1.1 Queue: the original loses 9,000 of these, silently."""
        handler = attach(logger, collector)
        for number in range(20_000):
            logger.info("record %d", number)

        assert handler.flush(30)
        assert collector.messages == [f"record {number}" for number in range(20_000)]
        assert handler.stats().acknowledged == 20_000
        assert handler.stats().dropped == {}

    def test_batch_has_batch_size_records_at_most(self, collector: Collector, logger: logging.Logger) -> None:
        """1.1 Batching: the original takes everything there is as one batch."""
        handler = attach(logger, collector, batch_size=100)
        for number in range(1000):
            logger.info("record %d", number)
        handler.flush(30)

        assert max(len(request.body["logs"]) for request in collector.requests) == 100
        assert len(collector.logs) == 1000

    def test_full_batch_leaves_at_once(self, collector: Collector, logger: logging.Logger) -> None:
        """1.1 Batching: nobody waits for the interval, which is an hour here."""
        attach(logger, collector, batch_size=100, flush_interval=3600.0)
        for number in range(100):
            logger.info("record %d", number)

        collector.wait_for(100)
        assert len(collector.requests) == 1

    def test_record_leaves_after_the_interval(self, collector: Collector, logger: logging.Logger) -> None:
        """1.1 Batching: one record alone."""
        attach(logger, collector, flush_interval=0.05)
        logger.info("alone")

        collector.wait_for(1)


class TestFull:
    """A queue that is full: nobody waits, and every loss is counted, said and reported."""

    def test_oldest_records_go(self, collector: Collector, logger: logging.Logger) -> None:
        """1.1 Queue: bounded in records; the server has what came last, and knows how many it has not."""
        collector.behave = lambda request: (503, {})
        handler = attach(logger, collector, capacity=100, batch_size=100)
        logger.info("on its way")
        collector.wait_until(lambda: len(collector.requests) > 0)
        for number in range(1000):
            logger.info("record %d", number)

        assert handler.stats().dropped == {"queue full": 900}
        assert handler.stats().queued == 101
        collector.behave = lambda request: None
        handler.flush(30)
        assert collector.messages == ["on its way", *(f"record {number}" for number in range(900, 1000))]
        assert collector.drops == {"queue full": 900}

    def test_bytes_are_bounded(self, collector: Collector, logger: logging.Logger) -> None:
        """1.1 Queue: the original has no such limit."""
        collector.behave = lambda request: (503, {})
        handler = attach(logger, collector, capacity_bytes=1_000_000)
        logger.info("on its way")
        collector.wait_until(lambda: len(collector.requests) > 0)
        for _ in range(100):
            logger.info("x" * 100_000)

        stats = handler.stats()
        assert stats.bytes <= 1_000_000
        assert stats.queued == 1 + 9
        assert stats.dropped == {"queue full": 91}

    def test_record_larger_than_the_queue_goes_alone(self, collector: Collector, logger: logging.Logger) -> None:
        """One large record does not push out all others."""
        handler = attach(logger, collector, capacity_bytes=100_000, flush_interval=3600.0)
        logger.info("small")
        logger.info("x" * 200_000)
        logger.info("small, too")
        handler.flush(30)

        assert collector.messages == ["small", "small, too"]
        assert handler.stats().dropped == {"larger than the queue": 1}

    def test_loss_is_said_at_once_and_then_seldom(
        self, collector: Collector, logger: logging.Logger, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """One line for the first, one at the end for the rest, and none of them for each."""
        collector.behave = lambda request: (429, {})
        handler = attach(logger, collector, capacity=1, flush_interval=3600.0, stop_timeout=0.0)
        said: list[str] = []

        def first_is_said() -> bool:
            said.extend(line for line in capfd.readouterr().err.splitlines() if "lost" in line)
            return bool(said)

        logger.info("pushed out")
        logger.info("pushes out")
        collector.wait_until(first_is_said)
        for number in range(50):
            logger.info("record %d", number)
        handler.close()
        said.extend(line for line in capfd.readouterr().err.splitlines() if "lost" in line)

        assert len(said) == 2
        assert said[0].endswith(": 1 (queue full: 1)")
        assert said[1].endswith(": 50 (queue full: 50)")

    def test_losses_are_reported_also_where_no_record_follows(
        self, collector: Collector, logger: logging.Logger
    ) -> None:
        """The server learns of them by a batch without records."""
        handler = attach(logger, collector, capacity_bytes=1000)
        logger.info("x" * 5000)

        collector.wait_until(lambda: collector.drops == {"larger than the queue": 1})
        assert collector.requests[0].body["logs"] == []
        handler.close()

    def test_logging_call_does_not_wait_for_the_server(self, collector: Collector, logger: logging.Logger) -> None:
        """P1: the server hangs, and all calls return; none of them could if one waited."""
        collector.behave = lambda request: "hang"
        handler = attach(logger, collector, capacity=100, stop_timeout=0.0)
        for number in range(1000):
            logger.info("record %d", number)

        assert collector.logs == []
        assert sum(handler.stats().dropped.values()) + handler.stats().queued == 1000


class TestWorker:
    """The thread that sends lives on, whatever happens, and ends when it is told to."""

    def test_mistake_of_ours_costs_nothing(
        self, collector: Collector, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """1.1 JSON: the original's worker is killed for good by an exception."""
        mistakes = iter([ZeroDivisionError(), KeyError()])
        deliver = Sender.deliver

        def mistaken(self: Sender, batch: OutgoingBatch) -> bool:
            for mistake in mistakes:
                raise mistake
            return deliver(self, batch)

        monkeypatch.setattr(Sender, "deliver", mistaken)
        monkeypatch.setattr(logging, "raiseExceptions", False)
        monkeypatch.setattr("concurrent_log.collector.client.worker._PAUSE_AFTER_ERROR", 0.01)
        handler = attach(logger, collector)
        logger.info("first")

        assert handler.flush(30)
        assert collector.messages == ["first"]

    def test_batch_that_fails_again_and_again_is_given_up(
        self, collector: Collector, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The next one is sent."""
        deliver = Sender.deliver

        def mistaken(self: Sender, batch: OutgoingBatch) -> bool:
            if b"poison" in batch.logs[0]:
                raise ZeroDivisionError
            return deliver(self, batch)

        monkeypatch.setattr(Sender, "deliver", mistaken)
        monkeypatch.setattr(logging, "raiseExceptions", False)
        monkeypatch.setattr("concurrent_log.collector.client.worker._PAUSE_AFTER_ERROR", 0.01)
        handler = attach(logger, collector, batch_size=1)
        for text in ("poison", "first", "second"):
            logger.info(text)
        handler.flush(30)

        assert collector.messages == ["first", "second"]
        assert handler.stats().dropped == {"internal error of the client": 1}
        assert collector.drops == {"internal error of the client": 1}

    def test_server_that_comes_back_gets_everything(self, collector: Collector, logger: logging.Logger) -> None:
        """1.1 Retry: an outage within the limits costs nothing; a flush asks at once."""
        port = collector.server.server_address[1]
        handler = attach(logger, collector)
        logger.info("before")
        handler.flush(30)
        collector.stop()
        for number in range(500):
            logger.info("record %d", number)
        assert not handler.flush(0.2)
        again = Collector().start(port)
        try:
            assert handler.flush(30)
            assert again.messages == [f"record {number}" for number in range(500)]
            assert handler.stats().healthy
        finally:
            again.stop()

    def test_clock_that_jumps_delays_nothing(
        self, collector: Collector, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody sets the clock, far back and far ahead; what waits is measured otherwise."""
        handler = attach(logger, collector)
        jumps = itertools.cycle([0.0, -1e6, 1e6])
        monkeypatch.setattr(time, "time", lambda: 1.8e9 + next(jumps))
        for number in range(10):
            logger.info("record %d", number)
            collector.wait_for(number + 1)

        assert handler.flush(30)
        assert collector.messages == [f"record {number}" for number in range(10)]

    @pytest.mark.parametrize("mode", ["memory", "spool"])
    def test_records_of_many_threads_arrive_once(
        self, collector: Collector, logger: logging.Logger, tmp_path: Path, mode: str
    ) -> None:
        """Each with a number of its own in the process."""
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
        handler.flush(30)

        assert sorted(collector.messages) == sorted(f"{s} {n}" for s in range(8) for n in range(500))
        numbers = [record["sequence"] for record in collector.logs]
        assert len(set(numbers)) == len(numbers)

    def test_close_ends_a_long_wait(self, collector: Collector, logger: logging.Logger) -> None:
        """1.1 Worker: the original sleeps on; this server asks for five minutes, and has one more chance."""
        collector.behave = lambda request: (503, {"Retry-After": "300"}) if len(collector.requests) == 1 else None
        handler = attach(logger, collector)
        logger.info("waiting")
        collector.wait_until(lambda: len(collector.requests) == 1)
        handler.close()

        assert collector.messages == ["waiting"]

    def test_close_says_how_many_records_are_left(
        self, collector: Collector, logger: logging.Logger, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """1.1 atexit: the original loses them without a message."""
        collector.behave = lambda request: "hang"
        handler = attach(logger, collector, stop_timeout=0.1, batch_size=10)
        for number in range(25):
            logger.info("record %d", number)
        collector.wait_until(lambda: len(collector.requests) == 1)
        handler.close()

        said = capfd.readouterr().err
        assert said == f"concurrent_log: 25 records were not sent to {collector.url}/logs in time\n"

    def test_record_after_close_is_sent_at_once(self, collector: Collector, logger: logging.Logger) -> None:
        """No thread begins that would die with the program."""
        handler = attach(logger, collector)
        handler.close()
        logger.info("late")

        assert collector.messages == ["late"]
        assert not any("collector" in thread.name for thread in threading.enumerate())

    def test_handler_that_nobody_refers_to_sends_what_waits(self, collector: Collector) -> None:
        """A task brings its own handler, and closes it not."""
        handler = CollectorHandler(collector.url, flush_interval=3600.0)
        handler.handle(logging.makeLogRecord({"msg": "waiting"}))
        del handler
        gc.collect()

        collector.wait_for(1)
        assert collector.messages == ["waiting"]

    def test_destructor_and_signal_handler_may_log_inside_of_logging(
        self, collector: Collector, logger: logging.Logger
    ) -> None:
        """Neither waits for a lock that its own thread has."""
        handler = attach(logger, collector)

        class Logging:
            def __repr__(self) -> str:
                logger.info("inner")
                return "outer"

        for _ in range(100):
            logger.info("%s", Logging())
        handler.flush(30)

        assert sorted(collector.messages) == ["inner"] * 100 + ["outer"] * 100

    def test_flush_does_not_disturb_a_server_that_asked_for_a_pause(
        self, collector: Collector, logger: logging.Logger
    ) -> None:
        """Programs that flush after each record would ask it again and again."""
        collector.behave = lambda request: (429, {"Retry-After": "60"})
        handler = attach(logger, collector, stop_timeout=0.0)
        logger.info("record")
        for _ in range(10):
            assert not handler.flush(0.05)

        assert len(collector.requests) == 1

    def test_flush_tells_whether_the_server_has_everything(self, collector: Collector, logger: logging.Logger) -> None:
        """1.1 flush(): nothing is taken from the worker's hands, and the answer is true."""
        collector.behave = lambda request: (503, {})
        handler = attach(logger, collector)
        assert handler.flush(30)
        logger.info("record")

        assert not handler.flush(0.1)
        collector.behave = lambda request: None
        assert handler.flush(30)
        assert collector.messages == ["record"]

    def test_error_in_stats_is_the_last_one(self, collector: Collector, logger: logging.Logger) -> None:
        """Whoever asks sees why nothing arrives."""
        collector.behave = lambda request: (503, {})
        handler = attach(logger, collector)
        logger.info("record")
        collector.wait_until(lambda: handler.stats().last_error != "")

        stats = handler.stats()
        assert stats.last_error.startswith("503 ")
        assert (stats.healthy, stats.acknowledged, stats.queued) == (False, 0, 1)


class TestArguments:
    """What the handler may be told, and what it says otherwise."""

    def test_handler_is_pickled_with_its_token_but_does_not_show_it(self) -> None:
        """A child that is spawned needs the token; nobody who reads does."""
        handler = CollectorHandler("http://127.0.0.1:9", token="secret-token", headers={"X-Key": "secret-key"})
        restored = pickle.loads(pickle.dumps(handler))

        assert restored.shipper.settings.token == "secret-token"
        for text in (repr(handler), repr(handler.shipper), repr(handler.shipper.settings)):
            assert "secret" not in text

    def test_nothing_begins_before_the_first_record(self, collector: Collector, logger: logging.Logger) -> None:
        """A program may configure its logging, and then fork."""
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
    def test_bad_argument_is_said_in_one_line(self, options: dict[str, object], error: str) -> None:
        """At once, where the program is configured, and without any secret."""
        with pytest.raises((ValueError, TypeError, OSError), match=error) as raised:
            CollectorHandler(**{"url": "http://a", **options})  # type: ignore[arg-type]

        assert "\n" not in str(raised.value)
        assert "secret" not in str(raised.value)

    def test_dictionary_configures_the_handler(self, collector: Collector) -> None:
        """As any handler of the standard library."""
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

    def test_formatter_says_what_the_message_is(self, collector: Collector, logger: logging.Logger) -> None:
        """As with any handler that is given one."""
        handler = attach(logger, collector)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger.info("text")
        handler.flush(30)

        assert collector.messages == ["INFO text"]

    def test_table_of_parameters_shows_the_defaults(self) -> None:
        """The page names every parameter in order, with the default that the signature has."""
        page = (DOCS / "collector-client.md").read_text("utf-8")
        table = page[page.index("| `CollectorHandler` | Default") :]
        rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (`.+?`|required) \|", table, re.MULTILINE)
        shown = {name: default.strip("`") for names, default in rows for name in re.findall(r"\w+", names)}
        parameters = inspect.signature(CollectorHandler).parameters.values()

        assert shown == {p.name: "required" if p.default is p.empty else repr(p.default) for p in parameters}

    def test_missing_extra_says_how_to_install_it(self) -> None:
        """One line with the command."""
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
