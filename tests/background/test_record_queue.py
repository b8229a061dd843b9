"""The queue when it is full: the logging call blocks, or a record is dropped."""

import threading
import time

import pytest

from support.background_handlers import CollectingHandler, Create, logger_of
from support.deadlines import DEADLINE
from support.processes import wait_until


def test_full_queue_blocks_the_logging_call(create: Create) -> None:
    """By default, nothing is lost: the logging call returns when half of the queue is written."""
    target = CollectingHandler()
    target.gate.clear()
    handler = create(target, capacity=10)
    logger = logger_of(handler)
    logger.info("first")
    target.entered.wait()
    logged: list[int] = []

    def log() -> None:
        for number in range(50):
            logger.info("%d", number)
            logged.append(number)

    thread = threading.Thread(target=log)
    thread.start()
    wait_until(lambda: len(logged) == 10)
    time.sleep(0.3)
    returned = len(logged)
    target.gate.set()
    thread.join()
    handler.flush()

    assert returned == 10
    assert target.texts == ["first", *(str(number) for number in range(50))]
    assert handler.stats().dropped == 0
    assert handler.stats().longest_wait > 0.25


@pytest.mark.parametrize("when_full", ["drop_oldest", "drop_newest"])
def test_dropped_records_are_counted_and_reported(create: Create, when_full: str) -> None:
    """P7: the queue never exceeds ``capacity``; then a warning gives the number of dropped records."""
    target = CollectingHandler()
    handler = create(target, capacity=10, when_full=when_full)
    logger = logger_of(handler)
    target.gate.clear()
    logger.info("first")
    target.entered.wait()
    for number in range(100):
        logger.info("%d", number)
    stats = handler.stats()
    target.gate.set()
    handler.flush()
    *written, report = target.texts

    assert stats[:3:2] == (10, 90)
    assert written == ["first", *map(str, range(90, 100) if when_full == "drop_oldest" else range(10))]
    assert report.startswith("90 records were dropped since 20")
    assert handler.stats()[:3] == (0, 12, 90)


def test_dropping_never_drops_a_flush_marker(create: Create) -> None:
    """The marker of a flush is in the queue, too, and the flush must return."""
    target = CollectingHandler()
    target.gate.clear()
    handler = create(target, capacity=3, when_full="drop_oldest")
    logger = logger_of(handler)
    results: list[bool] = []
    logger.info("first")
    flusher = threading.Thread(target=lambda: results.append(handler.flush(DEADLINE)))
    flusher.start()
    for number in range(20):
        logger.info("%d", number)
    target.gate.set()
    flusher.join()

    assert results == [True]
