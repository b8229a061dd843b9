"""Logging in the background: what is written, by whom, and what becomes of what cannot be."""

import asyncio
import contextvars
import gc
import logging
import logging.config
import logging.handlers
import os
import pathlib
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from concurrent_log import BackgroundHandler, ConcurrentTimedRotatingFileHandler
from support.records import DAY, HOUR, TEN, Watched, all_lines, files, lines, record, wait_until, write

WORKERS = pytest.mark.parametrize("worker", ["thread", "process"])


class Kept(logging.Handler):
    """Keeps the texts of its records, and waits at a gate before each."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.flushes = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.entered.set()
        self.gate.wait()
        self.threads.add(threading.current_thread().name)
        self.texts.append(self.format(record))

    def flush(self) -> None:
        """Count."""
        self.flushes += 1


class Careful(BackgroundHandler):
    """Remembers what it reported instead of printing it."""

    problems: list[BaseException]

    def handleError(self, record: logging.LogRecord) -> None:
        """Keep the exception that is being handled."""
        self.problems = [*getattr(self, "problems", []), sys.exc_info()[1]]  # type: ignore[list-item]


Make = Callable[..., BackgroundHandler]


@pytest.fixture
def make() -> Iterator[Make]:
    """Return a function that makes handlers, which are closed in the end."""
    made: list[logging.Handler] = []

    def make_one(*handlers: logging.Handler, kind: type[BackgroundHandler] = BackgroundHandler, **options: Any) -> Any:
        handler = kind(list(handlers), **{"stop_timeout": 20.0, **options})
        made.extend([handler, *handlers])
        return handler

    yield make_one
    for handler in made:
        handler.close()


def logger_of(*handlers: logging.Handler) -> logging.Logger:
    """Return a logger of its own."""
    logger = logging.Logger("shop")
    for handler in handlers:
        logger.addHandler(handler)
    return logger


# What is written.


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


# When there is no room.


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
    kept.entered.wait()  # Of its batch the worker writes no record; then the queue fills.
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


# Waiting for it, and the end.


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


# Configuration.


def configuration(folder: pathlib.Path, **options: Any) -> dict[str, Any]:
    """Return a dictionary in which the handler that hands over comes first in the alphabet, and before the others."""
    return {
        "version": 1,
        "formatters": {"plain": {"format": "%(levelname)s %(message)s"}},
        "handlers": {
            "background": {"class": "concurrent_log.BackgroundHandler", "handlers": ["file", "errors"], **options},
            "errors": {"class": "logging.FileHandler", "filename": str(folder / "errors.log"), "level": "ERROR"},
            "file": {
                "class": "logging.handlers.ConcurrentTimedRotatingFileHandler",
                "filename": str(folder / "app.log"),
                "formatter": "plain",
            },
        },
        "loggers": {"shop": {"handlers": ["background"], "level": "INFO"}},
    }


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """Close everything that a configuration made."""
    yield
    logging.config.dictConfig({"version": 1})


@WORKERS
@pytest.mark.usefixtures("unconfigured")
def test_dictionary_names_the_handlers(tmp_path: pathlib.Path, worker: str) -> None:
    """P6: handlers of the same dictionary, made after this one; the same dictionary on every Python."""
    logging.config.dictConfig(configuration(tmp_path, worker=worker))
    logger = logging.getLogger("shop")
    logger.info("fine")
    logger.error("broken")
    handler: Any = logger.handlers[0]
    handler.flush()

    assert files(tmp_path) == {"app.log": ["INFO fine", "ERROR broken"], "errors.log": ["broken"]}


@pytest.mark.usefixtures("unconfigured")
def test_records_that_wait_survive_another_configuration(tmp_path: pathlib.Path) -> None:
    """P1: it closes all handlers: this one first, while those that write can still write."""
    for number in range(20):
        logging.config.dictConfig(configuration(tmp_path))
        for half in "ab":
            logging.getLogger("shop").info("%d %s", number, half)
    logging.config.dictConfig({"version": 1})

    assert lines(tmp_path / "app.log") == [f"INFO {number} {half}" for number in range(20) for half in "ab"]


@pytest.mark.usefixtures("unconfigured")
def test_name_of_no_handler_is_refused(tmp_path: pathlib.Path) -> None:
    """One clear line: what is wrong, and what there is."""
    wrong = configuration(tmp_path)
    wrong["handlers"]["background"]["handlers"] = ["fiel"]
    with pytest.raises(ValueError, match="'background'") as raised:
        logging.config.dictConfig(wrong)

    assert str(raised.value.__cause__) == (
        "handlers: no handler is called 'fiel'; there are: 'background', 'errors', 'file'"
    )


def test_handlers_may_be_named_in_a_program(make: Make) -> None:
    """Those that have a name, as dictConfig gives them."""
    kept = Kept()
    kept.set_name("the kept one")
    handler = BackgroundHandler(["the kept one"])
    write(handler, "this")
    handler.close()

    assert kept.texts == ["this"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"worker": "fibre"}, ValueError, "worker='fibre' must be 'thread' or 'process'"),
        ({"when_full": "cry"}, ValueError, "when_full='cry' must be 'block' or 'drop_oldest' or 'drop_newest'"),
        ({"capacity": 0}, ValueError, "capacity=0 must be at least 1 record"),
        ({"capacity": 1.5}, TypeError, "capacity must be a whole number of records, not 1.5"),
        ({"stop_timeout": -1}, ValueError, "stop_timeout=-1 must not be negative"),
        ({"stop_timeout": "long"}, TypeError, "stop_timeout must be a number of seconds, not 'long'"),
        ({"handlers": []}, ValueError, "handlers is empty: name the handlers that are to write"),
        ({"handlers": "file"}, TypeError, "handlers must be a list of handlers, or of their names, not 'file'"),
        ({"handlers": [5]}, TypeError, "handlers must be handlers, or names of handlers, not 5"),
        ({"handlers": ["nobody"]}, ValueError, "handlers: no handler is called 'nobody'; there are: "),
    ],
)
def test_bad_argument_is_refused_at_once(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """One clear line that says which argument, its value, and what would be right."""
    with pytest.raises(error) as raised:
        BackgroundHandler(**{"handlers": [logging.NullHandler()], **arguments})

    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


# A process of its own.


@pytest.mark.parametrize("thing", [None, threading.Lock()])
def test_filters_decide_also_who_writes_in_a_process(make: Make, tmp_path: pathlib.Path, thing: object) -> None:
    """P6: of two handlers in a process of their own, one has a filter; also for a record that is sent as text."""
    first, second = (logging.FileHandler(tmp_path / name) for name in ("first.log", "second.log"))
    first.addFilter(logging.Filter("other"))
    handler = make(first, second, worker="process")
    logger_of(handler).info("this", extra={"thing": thing})
    handler.flush()

    assert files(tmp_path) == {"first.log": [], "second.log": ["this"]}


@pytest.mark.parametrize("what", ["stream", "function", "class"])
def test_handler_that_cannot_be_sent_is_refused_at_once(what: str, tmp_path: pathlib.Path) -> None:
    """One clear line that says which handler, why, and what to do."""
    target: logging.Handler = logging.StreamHandler()
    if what == "stream":
        target = logging.StreamHandler(open(tmp_path / "app.log", "w"))  # noqa: SIM115
    elif what == "function":
        target.addFilter(lambda found: True)
    else:
        target.setFormatter(type("Local", (logging.Formatter,), {})())
    with pytest.raises(TypeError, match=r"cannot be sent to a process .*; use worker='thread'"):
        BackgroundHandler([target], worker="process")
    if what == "stream":
        target.stream.close()  # type: ignore[attr-defined]


def test_handlers_of_the_standard_library_can_be_sent(
    make: Make, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, and the terminal: the process has the same."""
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    file, terminal = logging.FileHandler(tmp_path / "app.log"), logging.StreamHandler()
    file.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler = make(file, terminal, worker="process")
    write(handler, "this")
    handler.flush()
    file.close()

    assert lines(tmp_path / "app.log") == ["INFO this"]
    assert capfd.readouterr().err == "this\n"


MAIN_PROGRAM = """
import logging
from concurrent_log import BackgroundHandler

class Order:
    def __str__(self):
        return "order 5"

class Shouting(logging.Formatter):
    pass

file = logging.FileHandler("app.log")
file.setFormatter(logging.Formatter("%(message)s %(thing)s"))
logger = logging.getLogger(__name__)
logger.addHandler(BackgroundHandler([file], worker="process"))
logger.warning("this", extra={"thing": Order()})
file.setFormatter(Shouting())
try:
    BackgroundHandler([file], worker="process")
except TypeError as error:
    print(error)
"""


def test_what_the_main_program_defines_is_not_sent(tmp_path: pathlib.Path) -> None:
    """P4: an object of such a class arrives as text, and a handler that needs it is refused at once."""
    (tmp_path / "program.py").write_text(MAIN_PROGRAM)
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert lines(tmp_path / "app.log") == ["this order 5"]
    assert "(Shouting is defined in the main program, not in a module); use worker='thread'" in done.stdout
    assert done.stderr == ""


def test_a_logger_of_that_name_is_none_of_the_main_program(make: Make, tmp_path: pathlib.Path) -> None:
    """A record of ``logging.getLogger(__name__)`` arrives as any other one, and so do the filter and all objects."""
    target = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
    target.setFormatter(logging.Formatter("%(name)s %(thing)r"))
    target.addFilter(logging.Filter("__main__"))
    logger = logging.Logger("__main__")
    handler = make(target, worker="process")
    logger.addHandler(handler)
    logger.info("this", extra={"thing": Decimal(5)})

    assert handler.flush()
    assert lines(tmp_path / "app.log") == ["__main__ Decimal('5')"]


class Unknown:
    """Is known where it is defined only."""

    def __reduce__(self) -> Any:
        raise TypeError("cannot be pickled")

    def __str__(self) -> str:
        return "unknown object"


def test_attribute_that_cannot_be_sent_is_sent_as_text(make: Make, tmp_path: pathlib.Path) -> None:
    """P4: a record with an open file or a lock in its ``extra`` costs no other record."""
    target = ConcurrentTimedRotatingFileHandler(tmp_path / "app.log")
    target.setFormatter(logging.Formatter("%(message)s %(thing)s", defaults={"thing": "-"}))
    handler = make(target, worker="process")
    logger = logger_of(handler)
    logger.info("before")
    logger.info("this", extra={"thing": Unknown()})
    logger.info("after", extra={"thing": {"a": 1}})
    handler.flush()

    assert lines(tmp_path / "app.log")[:2] == ["before -", "this unknown object"]
    assert lines(tmp_path / "app.log")[2] == "after {'a': 1}"


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


@pytest.mark.usefixtures("unconfigured")
def test_configured_handler_that_cannot_be_sent_is_left_to_a_thread(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """P4: a configuration makes it only after the one that hands over; no record is lost by that."""
    wanted = configuration(tmp_path, worker="process")
    wanted["handlers"]["errors"]["filters"] = ["local"]
    wanted["filters"] = {"local": {"()": lambda: lambda found: True}}
    logging.config.dictConfig(wanted)
    logger = logging.getLogger("shop")
    logger.info("fine")
    logger.handlers[0].flush()

    assert lines(tmp_path / "app.log") == ["INFO fine"]
    assert "cannot be sent to a process" in capsys.readouterr().err


# Many records at once.


@pytest.mark.parametrize("method", ["emit", "handle"])
def test_subclass_of_a_file_handler_is_asked_record_by_record(make: Make, tmp_path: pathlib.Path, method: str) -> None:
    """P6: what it overrides is called, as without the queue."""

    def count(self: Any, record: logging.LogRecord) -> Any:
        seen.append(record.getMessage())
        return getattr(ConcurrentTimedRotatingFileHandler, method)(self, record)

    seen: list[str] = []
    own: Any = type("Own", (ConcurrentTimedRotatingFileHandler,), {method: count})
    handler = make(own(tmp_path / "app.log"))
    for number in range(3):
        write(handler, str(number))
    handler.flush()

    assert lines(tmp_path / "app.log") == seen == list("012")


def test_batch_is_written_as_its_records_one_by_one(tmp_path: pathlib.Path) -> None:
    """P1, P2: whatever the times of the records are, whatever stands between them."""
    moments = [TEN, TEN + 1, TEN + 1.5, TEN + HOUR, TEN, TEN + HOUR + 1, TEN + DAY, TEN + HOUR, TEN + DAY + 0.5]
    folders = [tmp_path / "one", tmp_path / "many"]
    for folder in folders:
        handler = Watched(folder / "app.log", when="H", utc=True)
        records = [record(f"{number}", moment) for number, moment in enumerate(moments)]
        if folder.name == "many":
            handler.emit_batch(records)
        else:
            for made in records:
                handler.handle(made)
        assert handler.problems == []
        handler.close()

    assert files(folders[1]) == files(folders[0])
    assert len(all_lines(folders[1])) == len(moments)


@pytest.mark.parametrize("options", [{}, {"keep_file_open": False}, {"encoding": "utf-16"}])
def test_batch_of_one_bad_record_writes_the_others(tmp_path: pathlib.Path, options: dict[str, Any]) -> None:
    """P4: what cannot be formatted is reported."""
    handler = Watched(tmp_path / "app.log", **options)
    records = [record("%d" if number == 3 else f"{number}") for number in range(300)]
    records[3].args = ("x",)
    handler.emit_batch(records)
    handler.close()

    text = (tmp_path / "app.log").read_text(encoding=options.get("encoding", "utf-8"))
    assert text.splitlines() == [str(number) for number in range(300) if number != 3]
    assert [type(problem) for problem in handler.problems] == [TypeError]
