"""The queue when it is full: the logging call blocks, or a record is dropped."""

import threading
import time

import pytest

from support.background_handlers import Kept, Make, logger_of
from support.records import wait_until


def test_full_queue_lets_the_program_wait(make: Make) -> None:
    """By default nothing is lost: a logging call returns when half of the queue is written."""
    kept = Kept()
    kept.gate.clear()
    handler = make(kept, capacity=10)
    logger = logger_of(handler)
    done: list[int] = []

    def log() -> None:
        for number in range(50):
            logger.info("%d", number)
            done.append(number)

    thread = threading.Thread(target=log)
    thread.start()
    wait_until(lambda: handler.stats().queued >= 10)
    before = len(done)
    time.sleep(0.3)
    stalled = len(done)
    kept.gate.set()
    thread.join()
    handler.flush()

    assert before == stalled < 50
    assert kept.texts == [str(number) for number in range(50)]
    assert handler.stats().dropped == 0
    assert handler.stats().longest_wait > 0.25


@pytest.mark.parametrize("when_full", ["drop_oldest", "drop_newest"])
def test_dropping_is_counted_and_said(make: Make, when_full: str) -> None:
    """P7: never more than ``capacity`` wait; as soon as there is room, a warning says how many were dropped."""
    kept = Kept()
    handler = make(kept, capacity=10, when_full=when_full)
    logger = logger_of(handler)
    kept.gate.clear()
    logger.info("first")
    kept.entered.wait()
    for number in range(100):
        logger.info("%d", number)
    stats = handler.stats()
    kept.gate.set()
    handler.flush()
    *written, report = kept.texts

    assert stats[:3:2] == (10, 90)
    assert written == ["first", *map(str, range(90, 100) if when_full == "drop_oldest" else range(10))]
    assert report.startswith("90 records were dropped since 20")
    assert handler.stats()[:3] == (0, 12, 90)


def test_dropping_never_drops_who_waits_for_a_flush(make: Make) -> None:
    """The mark of a flush stands in the queue, too."""
    kept = Kept()
    kept.gate.clear()
    handler = make(kept, capacity=3, when_full="drop_oldest")
    logger = logger_of(handler)
    results: list[bool] = []
    logger.info("first")
    flusher = threading.Thread(target=lambda: results.append(handler.flush(20)))
    flusher.start()
    for number in range(20):
        logger.info("%d", number)
    kept.gate.set()
    flusher.join()

    assert results == [True]
