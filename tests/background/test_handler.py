"""`BackgroundHandler`: the records that it queues, flushing, closing, and its arguments."""

import asyncio
import contextvars
import logging
import os
import pathlib
import pickle
import sys
import threading
import time
from typing import Any

import pytest

from concurrent_log import BackgroundHandler, ConcurrentTimedRotatingFileHandler
from support.background_handlers import WORKERS, CollectingHandler, Create, ErrorCollectingHandler, logger_of
from support.processes import wait_until
from support.records import HOUR, TEN, files, lines, record, write


@WORKERS
def test_records_are_written_in_order_in_the_background(create: Create, tmp_path: pathlib.Path, worker: str) -> None:
    """P1: each of thousands of records is written once, in the order of the logging calls."""
    handler = create(ConcurrentTimedRotatingFileHandler(tmp_path / "app.log"), worker=worker)
    logger = logger_of(handler)
    for number in range(5_000):
        logger.info("order %d", number)

    assert handler.flush()
    assert lines(tmp_path / "app.log") == [f"order {number}" for number in range(5_000)]
    assert handler.stats()[:3] == (0, 5_000, 0)


@WORKERS
def test_creation_time_of_a_record_decides_its_file(create: Create, tmp_path: pathlib.Path, worker: str) -> None:
    """P2: also in a batch with records of three hours."""
    target = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log", when="H", utc=True)
    handler = create(target, worker=worker)
    for created in (TEN, TEN + HOUR, TEN + 1, TEN + HOUR + 1, TEN + 2 * HOUR):
        write(handler, f"{(created - TEN) // HOUR}", created)

    assert handler.flush()
    assert files(tmp_path) == {
        "app.log": ["2"],
        "app.log.2024-05-17_10": ["0", "0"],
        "app.log.2024-05-17_11": ["1", "1"],
    }


def test_records_of_each_thread_keep_their_order(create: Create) -> None:
    """P1: also if threads log at the same time into a queue that is too small."""
    target = CollectingHandler()
    handler = create(target, capacity=10)
    logger = logger_of(handler)

    def log(name: str) -> None:
        for number in range(500):
            logger.info("%s %d", name, number)

    threads = [threading.Thread(target=log, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.flush()

    for name in "abcd":
        assert [text for text in target.texts if text[0] == name] == [f"{name} {number}" for number in range(500)]
    assert len(target.texts) == 2_000


def test_nothing_starts_before_the_first_record(create: Create, tmp_path: pathlib.Path) -> None:
    """A program may configure logging first and then fork."""
    before = threading.active_count()
    handler = create(CollectingHandler())

    assert threading.active_count() == before
    assert handler.flush()
    assert handler.stats() == (0, 0, 0, 0.0)


def test_levels_and_formatters_of_the_handlers_are_respected(create: Create) -> None:
    """Each handler writes the same lines as without the queue."""
    everything, errors = CollectingHandler(), CollectingHandler()
    errors.setLevel("ERROR")
    errors.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler = create(everything, errors)
    logger = logger_of(handler)
    logger.info("fine")
    logger.error("broken")
    handler.flush()

    assert everything.texts == ["fine", "broken"]
    assert errors.texts == ["ERROR broken"]


def test_record_that_no_handler_accepts_is_not_queued(create: Create) -> None:
    """The logging call compares the levels, as in the standard library."""
    errors = CollectingHandler()
    errors.setLevel("ERROR")
    handler = create(errors)
    logger_of(handler).info("fine")

    assert handler.flush()
    assert handler.stats().written == 0


def test_filters_of_the_handlers_run_in_the_context_of_the_caller(create: Create) -> None:
    """A filter may read a context variable, such as the request id, which the worker does not have."""
    request = contextvars.ContextVar("request", default="none")

    def add_request(record: Any) -> bool:
        record.request = request.get()
        return "secret" not in record.getMessage()

    first, second = CollectingHandler(), CollectingHandler()
    first.addFilter(add_request)
    first.setFormatter(logging.Formatter("%(request)s %(message)s"))
    second.setFormatter(logging.Formatter("%(message)s"))
    handler = create(first, second)
    logger = logger_of(handler)
    request.set("r-1")
    logger.info("this")
    logger.info("secret")
    handler.flush()

    assert first.texts == ["r-1 this"]
    assert second.texts == ["this", "secret"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters return records since Python 3.12")
def test_filter_may_replace_the_record_for_its_handler(create: Create) -> None:
    """As in the standard library, only that handler gets the other record."""
    first, second = CollectingHandler(), CollectingHandler()
    first.addFilter(lambda found: record(f"instead of {found.getMessage()}"))
    handler = create(first, second)
    logger_of(handler).info("this")
    handler.flush()

    assert (first.texts, second.texts) == (["instead of this"], ["this"])


def test_overridden_handle_is_called(create: Create) -> None:
    """P6: it also runs the filters of its handler, and they run once."""

    class Own(CollectingHandler):
        def handle(self, record: logging.LogRecord) -> bool:
            if passed := self.filter(record):
                self.texts.append(f"own {record.getMessage()}")
            return bool(passed)

    filtered: list[logging.LogRecord] = []
    own = Own()
    own.addFilter(lambda found: filtered.append(found) is None)
    handler = create(own, logging.NullHandler())
    logger_of(handler).info("this")
    handler.flush()

    assert own.texts == ["own this"]
    assert len(filtered) == 1


def test_failing_handler_does_not_affect_other_handlers(create: Create, capsys: pytest.CaptureFixture[str]) -> None:
    """P4: its ``handleError`` is called, the other handlers write, and it writes the next record."""

    class Failing(CollectingHandler):
        def emit(self, record: logging.LogRecord) -> None:
            if "bad" in record.getMessage():
                raise {"bad": ValueError, "bad exit": SystemExit}[record.getMessage()]
            super().emit(record)

    failing, target = Failing(), CollectingHandler()
    handler = create(failing, target)
    logger = logger_of(handler)
    for text in ("good", "bad", "bad exit", "better"):
        logger.info(text)
    handler.flush()

    assert failing.texts == ["good", "better"]
    assert target.texts == ["good", "bad", "bad exit", "better"]
    assert "ValueError" in capsys.readouterr().err


def test_handler_that_logs_does_not_block_on_its_own_queue(create: Create) -> None:
    """P4: it logs through the same logger while the queue is full."""

    class Chatty(CollectingHandler):
        def emit(self, record: logging.LogRecord) -> None:
            super().emit(record)
            if "chat" not in record.getMessage():
                logger.info("chat about %s", record.getMessage())

    chatty = Chatty()
    handler = create(chatty, capacity=1)
    logger = logger_of(handler)
    for number in range(20):
        logger.info("order %d", number)
    handler.flush()
    handler.flush()

    assert sorted(chatty.texts) == sorted(
        text for number in range(20) for text in (f"order {number}", f"chat about order {number}")
    )


def test_message_that_cannot_be_merged_is_reported(create: Create) -> None:
    """P4: through ``handleError``, as in every handler; the program gets no exception."""
    target = CollectingHandler()
    handler: Any = create(target, kind=ErrorCollectingHandler)
    logger = logger_of(handler)
    logger.info("order %d", "five")
    logger.info("order %d", 6)
    handler.flush()

    assert target.texts == ["order 6"]
    assert [type(problem) for problem in handler.problems] == [TypeError]


def test_flush_waits_for_all_earlier_records(create: Create) -> None:
    """It returns whether they are written, and flushes the handlers."""
    target = CollectingHandler()
    target.gate.clear()
    handler = create(target)
    logger = logger_of(handler)
    logger.info("first")

    assert not handler.flush(timeout=0.05)
    target.gate.set()
    assert handler.flush()
    assert target.texts == ["first"]
    assert target.flushes >= 1


@WORKERS
def test_record_after_close_is_written_at_once(create: Create, tmp_path: pathlib.Path, worker: str) -> None:
    """P1: for example, one that is logged at the exit of the program, after all handlers are closed."""
    handler = create(ConcurrentTimedRotatingFileHandler(tmp_path / "app.log"), worker=worker)
    logger = logger_of(handler)
    logger.info("before")
    handler.close()
    written = lines(tmp_path / "app.log")
    logger.info("after")
    handler.close()

    assert written == ["before"]
    assert lines(tmp_path / "app.log") == ["before", "after"]


def test_close_reports_how_many_records_are_not_written(create: Create, capsys: pytest.CaptureFixture[str]) -> None:
    """P4, P7: a handler that hangs does not block the exit of the program."""
    target = CollectingHandler()
    target.gate.clear()
    handler = create(target, stop_timeout=0.1)
    logger = logger_of(handler)
    logger.info("first")
    target.entered.wait()
    for _ in range(5):
        logger.info("more")
    handler.close()
    output = capsys.readouterr().err
    target.gate.set()

    assert output == "concurrent_log: 6 records were not written within 0.1 s\n"


@WORKERS
def test_close_leaks_no_thread_and_no_process(create: Create, tmp_path: pathlib.Path, worker: str) -> None:
    """A program may configure logging any number of times."""
    before = threading.active_count(), _descriptors()
    for number in range(5):
        target = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
        handler = create(target, worker=worker)
        write(handler, str(number))
        handler.close()
        target.close()

    assert (threading.active_count(), _descriptors()) == before
    assert lines(tmp_path / "app.log") == list("01234")


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


def test_event_loop_continues_while_the_disk_stalls(create: Create) -> None:
    """An asyncio program logs from its event loop; the longest pause of the loop is shorter than that of the disk."""

    class Stalled(CollectingHandler):
        def emit(self, record: logging.LogRecord) -> None:
            if len(stalls) < 3:
                began, goal = time.perf_counter(), len(pauses) + 20
                wait_until(lambda: len(pauses) >= goal)  # would fail if the loop waited for the handler
                stalls.append(time.perf_counter() - began)
            super().emit(record)

    stalled = Stalled()
    handler = create(stalled)
    logger = logger_of(handler)
    pauses: list[float] = []
    stalls: list[float] = []

    async def watch() -> None:
        while len(stalls) < 3:
            start = time.perf_counter()
            logger.info("tick")
            await asyncio.sleep(0.01)
            pauses.append(time.perf_counter() - start)

    asyncio.run(watch())

    assert handler.flush()
    assert len(stalled.texts) == len(pauses)
    assert max(pauses) < max(stalls)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"worker": "fibre"}, ValueError, "worker='fibre' must be 'thread' or 'process'"),
        ({"when_full": "cry"}, ValueError, "when_full='cry' must be 'block' or 'drop_oldest' or 'drop_newest'"),
        ({"capacity": 0}, ValueError, "capacity=0 must be at least 1 record"),
        ({"capacity": 1.5}, TypeError, "capacity must be a whole number of records, not 1.5"),
        ({"stop_timeout": -1}, ValueError, "stop_timeout=-1 must not be negative"),
        ({"stop_timeout": "long"}, TypeError, "stop_timeout must be a number of seconds, not 'long'"),
        ({"handlers": []}, ValueError, "handlers is empty: add the handlers that write the records"),
        ({"handlers": "file"}, TypeError, "handlers must be a list of handlers, or of their names, not 'file'"),
        ({"handlers": [5]}, TypeError, "handlers must be handlers, or names of handlers, not 5"),
        ({"handlers": ["missing"]}, ValueError, "handlers: no handler has the name 'missing'; known names: "),
    ],
)
def test_invalid_argument_is_rejected_at_once(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """The message names the argument, its value and the remedy, in one line."""
    with pytest.raises(error) as raised:
        BackgroundHandler(**{"handlers": [logging.NullHandler()], **arguments})

    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_handler_can_be_pickled(tmp_path: pathlib.Path) -> None:
    """P1: a spawned process can receive one, and starts with an empty queue."""
    handler = BackgroundHandler([ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")], capacity=5)
    write(handler, "first")
    handler.flush()
    copy = pickle.loads(pickle.dumps(handler))
    write(copy, "second")
    for one in (copy, handler):
        one.close()
        one._handlers[0].close()

    assert lines(tmp_path / "app.log") == ["first", "second"]
    assert (copy.capacity, copy.stats()[:3]) == (5, (0, 1, 0))
