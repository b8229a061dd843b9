"""`BackgroundHandler`: the records that it queues, flushing, closing, and its arguments."""

import asyncio
import contextvars
import gc
import logging
import logging.config
import logging.handlers
import os
import pathlib
import pickle
import sys
import threading
import time
from typing import Any

import pytest

from concurrent_log import BackgroundHandler, ConcurrentTimedRotatingFileHandler
from support.background_handlers import WORKERS, Careful, Kept, Make, logger_of
from support.records import HOUR, TEN, files, lines, record, wait_until, write


@WORKERS
def test_records_are_written_in_order_by_somebody_else(make: Make, tmp_path: pathlib.Path, worker: str) -> None:
    """P1: each of thousands of records once, in the order in which they were logged."""
    handler = make(ConcurrentTimedRotatingFileHandler(tmp_path / "app.log"), worker=worker)
    logger = logger_of(handler)
    for number in range(5_000):
        logger.info("order %d", number)

    assert handler.flush()
    assert lines(tmp_path / "app.log") == [f"order {number}" for number in range(5_000)]
    assert handler.stats()[:3] == (0, 5_000, 0)


@WORKERS
def test_the_time_of_a_record_decides_its_file(make: Make, tmp_path: pathlib.Path, worker: str) -> None:
    """P2: however long it waited; a batch may hold records of three hours."""
    target = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log", when="H", utc=True)
    handler = make(target, worker=worker)
    for created in (TEN, TEN + HOUR, TEN + 1, TEN + HOUR + 1, TEN + 2 * HOUR):
        write(handler, f"{(created - TEN) // HOUR}", created)

    assert handler.flush()
    assert files(tmp_path) == {
        "app.log": ["2"],
        "app.log.2024-05-17_10": ["0", "0"],
        "app.log.2024-05-17_11": ["1", "1"],
    }


def test_records_of_each_thread_keep_their_order(make: Make) -> None:
    """P1: threads that log at the same time, into a queue that is too small for them."""
    kept = Kept()
    handler = make(kept, capacity=10)
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
        assert [text for text in kept.texts if text[0] == name] == [f"{name} {number}" for number in range(500)]
    assert len(kept.texts) == 2_000


def test_nothing_starts_before_the_first_record(make: Make, tmp_path: pathlib.Path) -> None:
    """A program may configure its logging first, and fork afterwards."""
    before = threading.active_count()
    handler = make(Kept())

    assert threading.active_count() == before
    assert handler.flush()
    assert handler.stats() == (0, 0, 0, 0.0)


def test_later_changes_of_what_was_logged_do_not_show(make: Make) -> None:
    """The message is merged when it is logged, and an object that is a message is turned into text."""
    kept = Kept()
    kept.gate.clear()
    handler = make(kept)
    logger = logger_of(handler)
    order = {"number": 1}
    logger.info("order %s", order)
    logger.info(order)
    order["number"] = 2
    kept.gate.set()
    handler.flush()

    assert kept.texts == ["order {'number': 1}", "{'number': 1}"]


def test_dictionary_stays_a_dictionary(make: Make) -> None:
    """P6: for formatters that write its items, such as those of python-json-logger and structlog."""

    class Items(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return repr(sorted(record.msg.items()))  # type: ignore[attr-defined]

    kept = Kept()
    kept.gate.clear()
    kept.setFormatter(Items())
    handler = make(kept)
    order = {"number": 1}
    logger_of(handler).info(order)
    order["number"] = 2
    kept.gate.set()
    handler.flush()

    assert kept.texts == ["[('number', 1)]"]


def test_exception_is_rendered_when_it_is_logged(make: Make) -> None:
    """By the formatter of the handler that writes it; the record holds no frame of the program any more."""

    class Short(logging.Formatter):
        def formatException(self, ei: Any) -> str:
            return f"{threading.current_thread().name}: {ei[1]!r}"

    class Witness:
        pass

    def fail() -> None:
        alive.append(Witness())
        raise ValueError("broken")

    kept = Kept()
    kept.gate.clear()
    kept.setFormatter(Short())
    handler = make(kept)
    alive: list[Witness] = []
    try:
        fail()
    except ValueError:
        logger_of(handler).exception("failed")
    gc.collect()
    kept.gate.set()
    handler.flush()

    assert kept.texts == ["failed\nMainThread: ValueError('broken')"]


def test_the_record_of_the_program_is_left_alone(make: Make) -> None:
    """Handlers after this one get the message and its arguments apart, and the exception."""
    seen: list[logging.LogRecord] = []
    last = logging.Handler()
    last.emit = seen.append  # type: ignore[method-assign]
    handler = make(Kept())
    try:
        raise ValueError
    except ValueError:
        logger_of(handler, last).exception("order %d", 5)
    handler.flush()

    assert (seen[0].msg, seen[0].args) == ("order %d", (5,))
    assert seen[0].exc_info is not None
    assert seen[0].exc_text is None


def test_levels_and_formatters_of_the_handlers_are_respected(make: Make) -> None:
    """Each of them writes what it would write without the queue."""
    everything, errors = Kept(), Kept()
    errors.setLevel("ERROR")
    errors.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler = make(everything, errors)
    logger = logger_of(handler)
    logger.info("fine")
    logger.error("broken")
    handler.flush()

    assert everything.texts == ["fine", "broken"]
    assert errors.texts == ["ERROR broken"]


def test_record_that_no_handler_wants_does_not_wait(make: Make) -> None:
    """It costs what the standard library asks for it: a look at the level."""
    errors = Kept()
    errors.setLevel("ERROR")
    handler = make(errors)
    logger_of(handler).info("fine")

    assert handler.flush()
    assert handler.stats().written == 0


def test_filters_of_the_handlers_know_the_context_of_the_caller(make: Make) -> None:
    """A filter that adds the number of the request reads a context variable, which the worker does not have."""
    request = contextvars.ContextVar("request", default="none")

    def add_request(record: Any) -> bool:
        record.request = request.get()
        return "secret" not in record.getMessage()

    first, second = Kept(), Kept()
    first.addFilter(add_request)
    first.setFormatter(logging.Formatter("%(request)s %(message)s"))
    second.setFormatter(logging.Formatter("%(message)s"))
    handler = make(first, second)
    logger = logger_of(handler)
    request.set("r-1")
    logger.info("this")
    logger.info("secret")
    handler.flush()

    assert first.texts == ["r-1 this"]
    assert second.texts == ["this", "secret"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters return records since Python 3.12")
def test_filter_of_a_handler_may_replace_the_record_for_it(make: Make) -> None:
    """As in the standard library, only that handler sees the other record."""
    first, second = Kept(), Kept()
    first.addFilter(lambda found: record(f"instead of {found.getMessage()}"))
    handler = make(first, second)
    logger_of(handler).info("this")
    handler.flush()

    assert (first.texts, second.texts) == (["instead of this"], ["this"])


def test_handler_that_overrides_handle_is_asked_to_handle(make: Make) -> None:
    """P6: its filters, too, are its own business, and are asked once."""

    class Own(Kept):
        def handle(self, record: logging.LogRecord) -> bool:
            if passed := self.filter(record):
                self.texts.append(f"own {record.getMessage()}")
            return bool(passed)

    asked: list[logging.LogRecord] = []
    own = Own()
    own.addFilter(lambda found: asked.append(found) is None)
    handler = make(own, logging.NullHandler())
    logger_of(handler).info("this")
    handler.flush()

    assert own.texts == ["own this"]
    assert len(asked) == 1


def test_handler_that_fails_stops_no_other(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """P4: its ``handleError`` is told, the others write, and so does it with the next record."""

    class Failing(Kept):
        def emit(self, record: logging.LogRecord) -> None:
            if "bad" in record.getMessage():
                raise {"bad": ValueError, "bad exit": SystemExit}[record.getMessage()]
            super().emit(record)

    failing, kept = Failing(), Kept()
    handler = make(failing, kept)
    logger = logger_of(handler)
    for text in ("good", "bad", "bad exit", "better"):
        logger.info(text)
    handler.flush()

    assert failing.texts == ["good", "better"]
    assert kept.texts == ["good", "bad", "bad exit", "better"]
    assert "ValueError" in capsys.readouterr().err


def test_handler_that_logs_is_not_kept_waiting_by_its_own_queue(make: Make) -> None:
    """P4: a library under it logs through the same logger, while the queue is full."""

    class Chatty(Kept):
        def emit(self, record: logging.LogRecord) -> None:
            super().emit(record)
            if "chat" not in record.getMessage():
                logger.info("chat about %s", record.getMessage())

    chatty = Chatty()
    handler = make(chatty, capacity=1)
    logger = logger_of(handler)
    for number in range(20):
        logger.info("order %d", number)
    handler.flush()
    handler.flush()

    assert sorted(chatty.texts) == sorted(
        text for number in range(20) for text in (f"order {number}", f"chat about order {number}")
    )


def test_message_that_cannot_be_merged_is_reported(make: Make) -> None:
    """P4: as with every handler; nothing is raised into the program."""
    kept = Kept()
    handler: Any = make(kept, kind=Careful)
    logger = logger_of(handler)
    logger.info("order %d", "five")
    logger.info("order %d", 6)
    handler.flush()

    assert kept.texts == ["order 6"]
    assert [type(problem) for problem in handler.problems] == [TypeError]


def test_flush_is_a_barrier(make: Make) -> None:
    """It says whether all that was logged before is with the handlers, and flushes them."""
    kept = Kept()
    kept.gate.clear()
    handler = make(kept)
    logger = logger_of(handler)
    logger.info("first")

    assert not handler.flush(timeout=0.05)
    kept.gate.set()
    assert handler.flush()
    assert kept.texts == ["first"]
    assert kept.flushes >= 1


@WORKERS
def test_record_after_close_is_written_at_once(make: Make, tmp_path: pathlib.Path, worker: str) -> None:
    """P1: such as one that is logged at the exit of the program, when everything is closed."""
    handler = make(ConcurrentTimedRotatingFileHandler(tmp_path / "app.log"), worker=worker)
    logger = logger_of(handler)
    logger.info("before")
    handler.close()
    written = lines(tmp_path / "app.log")
    logger.info("after")
    handler.close()

    assert written == ["before"]
    assert lines(tmp_path / "app.log") == ["before", "after"]


def test_close_says_how_many_records_were_left(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """P4, P7: a handler that hangs does not keep the program from ending."""
    kept = Kept()
    kept.gate.clear()
    handler = make(kept, stop_timeout=0.1)
    logger = logger_of(handler)
    logger.info("first")
    kept.entered.wait()
    for _ in range(5):
        logger.info("more")
    handler.close()
    said = capsys.readouterr().err
    kept.gate.set()

    assert said == "concurrent_log: 6 records were not written within 0.1 s\n"


@WORKERS
def test_closing_leaves_no_thread_and_no_process(make: Make, tmp_path: pathlib.Path, worker: str) -> None:
    """A configuration may be made anew as often as one likes."""
    before = threading.active_count(), _descriptors()
    for number in range(5):
        target = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
        handler = make(target, worker=worker)
        write(handler, str(number))
        handler.close()
        target.close()

    assert (threading.active_count(), _descriptors()) == before
    assert lines(tmp_path / "app.log") == list("01234")


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


def test_event_loop_goes_on_while_the_disk_stalls(make: Make) -> None:
    """An asyncio program logs from its event loop; the longest pause of the loop is a part of the disk's."""

    class Stalled(Kept):
        def emit(self, record: logging.LogRecord) -> None:
            if len(stalls) < 3:
                began, goal = time.perf_counter(), len(pauses) + 20
                wait_until(lambda: len(pauses) >= goal)  # in vain, if the loop waited for this
                stalls.append(time.perf_counter() - began)
            super().emit(record)

    stalled = Stalled()
    handler = make(stalled)
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
        ({"handlers": ["nobody"]}, ValueError, "handlers: no handler has the name 'nobody'; known names: "),
    ],
)
def test_bad_argument_is_refused_at_once(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """One clear line that says which argument, its value, and what would be right."""
    with pytest.raises(error) as raised:
        BackgroundHandler(**{"handlers": [logging.NullHandler()], **arguments})

    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_handler_can_be_pickled(tmp_path: pathlib.Path) -> None:
    """P1: so that a spawned process can be handed one; it begins there with an empty queue."""
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
