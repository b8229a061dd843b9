"""The client of the collector: what it sends, when, how often, and what becomes of what cannot be sent."""

import logging
import pickle
import threading
from collections.abc import Iterator

import pytest
from collecting import Collector

pytest.importorskip("msgspec")
pytest.importorskip("urllib3")
pytest.importorskip("tenacity")

from concurrent_log.collector import CollectorHandler


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
