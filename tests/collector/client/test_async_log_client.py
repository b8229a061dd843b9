"""`AsyncLogClient`: records, timers, flush and close, arguments and environment variables."""

import asyncio
import concurrent.futures
import functools
import gc
import importlib.metadata
import inspect
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from concurrent_log.collector import AsyncLogClient
from support.fake_collector import DEADLINE, Collector
from support.processes import environment, run

_VARIABLES = ("LOG_SERVER_URL", "SERVICE_NAME", "ENVIRONMENT", "NODE_ENV", "SERVICE_VERSION", "LOG_TYPE")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Use an empty folder, and unset the variables that a client reads."""
    monkeypatch.chdir(tmp_path)
    for name in (*_VARIABLES, "ENABLE_GLOBAL_ERROR_HANDLER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def client(collector: Collector) -> Iterator[AsyncLogClient]:
    """Return a client of the collector."""
    with AsyncLogClient(collector.url, service="shop") as shop_client:
        yield shop_client


@pytest.fixture
def sent(client: AsyncLogClient, collector: Collector) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that flushes, and returns all records."""

    def flushed() -> list[dict[str, Any]]:
        assert client.flush()
        return collector.logs

    return flushed


Sent = Callable[[], list[dict[str, Any]]]


def line_of(marker: str) -> int:
    """Return the number of the line of this file that ends with the comment ``marker``."""
    lines = pathlib.Path(__file__).read_text("utf-8").splitlines()
    (found,) = (number for number, line in enumerate(lines, 1) if line.endswith(f"  # {marker}"))
    return found


def place_of(record: dict[str, Any]) -> tuple[Any, ...]:
    """Return the function, file and line of a record."""
    return record.get("function_name"), record.get("file_path"), record.get("line_number")


# Records.


def test_each_level_has_its_method(client: AsyncLogClient, sent: Sent) -> None:
    """`log` accepts all names, the level numbers of `logging`, and any other name unchanged."""
    for level in ("trace", "debug", "info", "warn", "error", "fatal", "warning"):
        getattr(client, level)("a")
    for level in ("INFO", "warning", 30, 50, 7, None):
        client.log(level, "b")

    assert [record["level"] for record in sent()] == [
        *("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "WARN"),
        *("INFO", "warning", "WARN", "FATAL", "TRACE", "None"),
    ]


def test_a_record_has_the_fields_of_the_call_and_of_the_client(client: AsyncLogClient, sent: Sent) -> None:
    """Fields may have any name; the client adds its own."""
    before = time.time()
    client.info("order accepted", user_id="7", customer="Ada", tags=["a", "b"])
    (record,) = sent()

    assert record["message"] == "order accepted"
    assert (record["user_id"], record["customer"], record["tags"]) == ("7", "Ada", ["a", "b"])
    assert (record["service"], record["environment"]) == ("shop", "development")
    assert (record["service_version"], record["log_type"]) == ("v0.0.0-dev", "BACKEND")
    assert (record["process_id"], record["thread_name"]) == (os.getpid(), "MainThread")
    assert before <= record["created_at"] <= time.time()


_RESERVED = {"level": "high", "message": "y", "created_at": 1, "sequence": 2, "self": 3}


@pytest.mark.parametrize("attributes", [{}, {"attributes": {"a": 1}}, {"attributes": 5}])
def test_fields_with_reserved_names_are_attributes(
    client: AsyncLogClient, sent: Sent, attributes: dict[str, Any]
) -> None:
    """In log-collector-async, ``level`` raises in the program, and ``created_at`` overwrites the time."""
    client.info("x", **_RESERVED, **attributes)
    client.log("INFO", "x", **_RESERVED, **attributes)
    client.error_with_trace("x", **_RESERVED, **attributes)

    for record in sent():
        expected = {name: value for name, value in _RESERVED.items() if name != "self"}
        expected.update({"attributes": 5} if attributes.get("attributes") == 5 else attributes.get("attributes", {}))
        assert record["attributes"] == expected
        assert (record["message"], record["self"]) == ("x", 3)
        assert record["level"] in ("INFO", "ERROR")
        assert record["created_at"] > 1


def test_arguments_may_be_keywords(client: AsyncLogClient, sent: Sent) -> None:
    """The signatures of log-collector-async allow it."""
    client.info(message="x", user_id="7")
    client.log(level="WARN", message="x")
    client.log("ERROR", message="x")
    client.end_timer(start_time=client.start_timer(), level="FATAL", message="x")

    assert [(record["level"], record["message"]) for record in sent()] == [
        *(("INFO", "x"), ("WARN", "x"), ("ERROR", "x"), ("FATAL", "x"))
    ]
    with pytest.raises(TypeError, match=r"^message is missing: pass it as an argument$"):
        client.info()


class Unprintable:
    """An object whose `str` and `repr` raise."""

    def __repr__(self) -> str:
        raise ValueError("not me")


@pytest.mark.parametrize(
    ("message", "text"),
    [(ValueError("gone"), "gone"), (None, "None"), (5, "5"), (["a"], "['a']"), ("a\ud800b", "a\\ud800b")],
)
def test_a_message_may_be_any_object(client: AsyncLogClient, sent: Sent, message: Any, text: str) -> None:
    """It is sent as text."""
    client.info(message)

    assert [record["message"] for record in sent()] == [text]


def test_no_value_stops_a_record(client: AsyncLogClient, sent: Sent) -> None:
    """In log-collector-async, some of these end the sending thread."""
    loop: dict[str, Any] = {}
    loop["again"] = loop
    values = [Unprintable(), loop, float("nan"), 2**70, b"\xff", {1, 2}, object(), time.localtime(), {(1,): 2}, print]
    client.info(Unprintable())
    for value in values:
        client.info("x", value=value)
    client.info("y")

    assert [record["message"] for record in sent()][1:] == ["x"] * len(values) + ["y"]


def test_a_call_never_raises(client: AsyncLogClient, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that cannot be queued, for example because of a MemoryError, is counted as lost."""

    def fail(*_: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(client._shipper, "put", fail)
        patch.setattr(client._shipper, "put_deferred", fail)
        client.info("lost")
        client.info("lost", level="high")
        with client.timer("lost"):
            pass
    client.info("x")
    client.flush()

    assert client.stats().dropped == {"MemoryError in the logging call": 3}
    assert [record["message"] for record in sent()] == ["x"]


def test_a_later_change_of_a_value_has_no_effect(client: AsyncLogClient, sent: Sent) -> None:
    """The value is copied when the call is made."""
    basket = ["tea"]
    client.info("x", basket=basket)
    basket.append("milk")

    assert sent()[0]["basket"] == ["tea"]


def test_all_records_of_a_burst_arrive(client: AsyncLogClient, sent: Sent) -> None:
    """log-collector-async loses 9,000 of these without a message."""
    for number in range(20_000):
        client.info(f"record {number}")

    assert [record["message"] for record in sent()] == [f"record {number}" for number in range(20_000)]


# The caller.


def test_every_method_records_the_caller(client: AsyncLogClient, sent: Sent) -> None:
    """The record contains the function, file and line of the program."""
    client.info("a")  # info
    client.log("INFO", "b")  # log
    client.fatal("c")  # fatal
    client.end_timer(client.start_timer(), "INFO", "d")  # end_timer
    with client.timer("e"):  # timer
        pass
    client.error_with_trace("f")  # error_with_trace
    client.measure(lambda: 1)  # measure
    lines = map(line_of, ("info", "log", "fatal", "end_timer", "timer", "error_with_trace", "measure"))
    here = inspect.currentframe()
    assert here is not None

    assert [place_of(record) for record in sent()] == [(here.f_code.co_name, __file__, line) for line in lines]


def test_the_caller_may_be_omitted_or_overridden(client: AsyncLogClient, sent: Sent) -> None:
    """``auto_caller`` omits it, as a keyword or by position; fields override it."""
    client.info("a", auto_caller=False)
    client.info("a", False)
    client.log("INFO", "a", False)
    client.end_timer(client.start_timer(), "INFO", "a", auto_caller=False)
    client.error_with_trace("a", auto_caller=False)
    client.info("b", function_name="mine", line_number=7)

    *without, other = map(place_of, sent())
    assert without == [(None, None, None)] * 5
    assert other == ("mine", __file__, 7)


# Exceptions.


def _fail(error: BaseException) -> None:
    raise error  # raised


def test_an_error_has_its_type_stack_trace_and_place(client: AsyncLogClient, sent: Sent) -> None:
    """The exception defaults to the one that is being handled."""
    try:
        _fail(ValueError("gone"))
    except ValueError as error:
        client.error_with_trace("a", exception=error, order=7)
        client.error_with_trace("a", error, order=7)
        client.error_with_trace("a", order=7)

    for record in sent():
        assert (record["level"], record["message"], record["order"]) == ("ERROR", "a", 7)
        assert record["error_type"] == "ValueError"
        assert place_of(record) == ("_fail", __file__, line_of("raised"))
        assert record["stack_trace"].startswith("Traceback (most recent call last):\n")
        assert record["stack_trace"].endswith("ValueError: gone\n")


def test_stack_trace_without_an_error_is_that_of_the_call(client: AsyncLogClient, sent: Sent) -> None:
    """Without an exception, the stack of the logging call is recorded."""
    client.error_with_trace("a")
    (record,) = sent()

    assert "test_stack_trace_without_an_error_is_that_of_the_call" in record["stack_trace"]
    assert "error_type" not in record


class Falsy(Exception):  # noqa: N818 - a test
    """An exception that is false."""

    def __bool__(self) -> bool:
        return False


class Mute(Exception):  # noqa: N818 - a test
    """An exception whose `str` raises."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class NoGroup(Exception):  # noqa: N818 - a test
    """An exception that the standard library cannot format."""

    __cause__ = property(lambda self: 1 / 0)  # type: ignore[assignment]


@pytest.mark.parametrize("error", [Falsy(), Mute(), NoGroup(), KeyboardInterrupt(), SyntaxError("x", ("f", 1, 2, "t"))])
def test_any_error_is_recorded(client: AsyncLogClient, sent: Sent, error: BaseException) -> None:
    """It may be broken, or may never have been raised."""
    client.error_with_trace("a", error)
    (record,) = sent()

    assert record["error_type"] == type(error).__name__
    assert type(error).__name__ in record["stack_trace"]


def test_error_may_be_a_class_or_a_text(client: AsyncLogClient, sent: Sent) -> None:
    """A class is the error type; a text is the field ``exception``."""
    client.error_with_trace("a", ValueError)
    client.error_with_trace("a", "out of tea")

    by_class, by_text = sent()
    assert by_class["error_type"] == "ValueError"
    assert by_text["exception"] == "out of tea"


# Durations.


def test_timers(client: AsyncLogClient, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer is independent of changes of the system clock; a value of ``time.time()`` is accepted, too."""
    timer = client.start_timer()
    assert abs(timer - time.time()) < 60
    began = time.time() - 2
    steps = iter([timer.monotonic + 0.25])
    monkeypatch.setattr(time, "perf_counter", lambda: next(steps))
    client.end_timer(timer, "INFO", "a", rows=3)
    monkeypatch.undo()
    client.end_timer(began, "WARN", "b")

    a, b = sent()
    assert (a["level"], a["message"], a["rows"], a["duration_ms"]) == ("INFO", "a", 3, 250.0)
    assert b["level"] == "WARN"
    assert 1_990 < b["duration_ms"] < 60_000


def test_a_block_is_measured(client: AsyncLogClient, sent: Sent) -> None:
    """The block may be asynchronous; an exception is not suppressed."""

    async def main() -> None:
        async with client.timer("waited"):
            await asyncio.sleep(0.02)

    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught, client.timer("failed", level="DEBUG", rows=3):
        raise error
    asyncio.run(main())

    assert caught.value is error
    failed, waited = sent()
    assert (failed["level"], failed["error_type"], failed["rows"]) == ("DEBUG", "ValueError", 3)
    assert waited["level"] == "INFO"
    assert waited["duration_ms"] >= 19
    assert "error_type" not in waited


def test_a_function_is_measured(client: AsyncLogClient, sent: Sent) -> None:
    """Each call is recorded; the name and the docstring of the function are kept."""

    @client.measure("paid", level="DEBUG", shop=1)
    def pay(amount: int, *, tip: int = 0) -> int:
        """Pay."""
        return amount + tip

    @client.measure()
    def plain() -> None:
        pass

    assert pay(5, tip=1) == 6
    plain()
    assert (pay.__name__, pay.__doc__) == ("pay", "Pay.")

    paid, completed = sent()
    assert (paid["level"], paid["message"], paid["shop"]) == ("DEBUG", "paid", 1)
    assert place_of(paid)[:2] == ("pay", __file__)
    assert paid["duration_ms"] >= 0
    assert completed["message"] == "plain completed"


def test_the_exception_of_a_measured_function_is_raised(client: AsyncLogClient, sent: Sent) -> None:
    """log-collector-async raises a KeyError instead."""
    error = ValueError("mine")

    @client.measure(order=7)
    def pay() -> None:
        _fail(error)

    with pytest.raises(ValueError, match="mine") as caught:
        pay()

    assert caught.value is error
    (record,) = sent()
    assert (record["level"], record["message"], record["error_type"]) == ("ERROR", "pay failed", "ValueError")
    assert record["order"] == 7
    assert record["function_name"] == "pay"
    assert "duration_ms" in record
    assert "ValueError: mine" in record["stack_trace"]


def test_a_coroutine_is_measured_until_it_is_done(client: AsyncLogClient, sent: Sent) -> None:
    """log-collector-async records 0.002 ms."""

    @client.measure("a")
    async def wait() -> int:
        await asyncio.sleep(0.02)
        return 7

    async def fail() -> None:
        await asyncio.sleep(0.02)
        raise ValueError("mine")

    async def main() -> None:
        assert await wait() == 7
        assert await client.measure(wait) == 7
        assert await client.measure(lambda: asyncio.sleep(0.02, 8)) == 8
        with pytest.raises(ValueError, match="mine"):
            await client.measure(fail)
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert inspect.iscoroutinefunction(wait)
    asyncio.run(main())

    *done, cancelled = sent()
    assert all(record["duration_ms"] >= 19 for record in done)
    assert [record["message"] for record in done] == ["a", "a", "wait completed", "main completed", "fail failed"]
    assert (cancelled["level"], cancelled["error_type"]) == ("INFO", "CancelledError")


def test_a_function_is_measured_for_one_call(client: AsyncLogClient, sent: Sent) -> None:
    """The documentation of log-collector-async shows this, but its `measure` returns a decorator."""
    calls: list[int] = []

    assert client.measure(lambda: calls.append(1) or 7) == 7  # type: ignore[func-returns-value]
    assert client.measure(functools.partial(max, 1, 2), level="DEBUG") == 2
    assert calls == [1]
    assert [(record["level"], record["message"]) for record in sent()] == [
        ("INFO", "test_a_function_is_measured_for_one_call completed"),
        ("DEBUG", "max completed"),
    ]


def test_a_generator_is_measured_until_its_end(client: AsyncLogClient, sent: Sent) -> None:
    """An asynchronous generator raises an error, because a wrapper would change its behaviour."""

    @client.measure("numbers")
    def numbers() -> Generator[int, int, str]:
        assert (yield 1) == 5
        return "end"

    async def items() -> Any:
        yield 1

    generator = numbers()
    assert next(generator) == 1
    assert sent() == []
    with pytest.raises(StopIteration, match="end"):
        generator.send(5)
    with pytest.raises(TypeError, match=r"^an asynchronous generator cannot be measured: use timer\(\) in items$"):
        client.measure()(items)

    assert [record["message"] for record in sent()] == ["numbers"]


def test_methods_are_measured(client: AsyncLogClient, sent: Sent) -> None:
    """Class methods and static methods are, too."""

    class Shop:
        @client.measure("a")
        def sell(self) -> "Shop":
            return self

        @classmethod
        @client.measure("a")
        def of(cls) -> Any:
            return cls

        @staticmethod
        @client.measure("a")
        def greet() -> str:
            return "hello"

    shop = Shop()

    assert (shop.sell(), Shop.of(), Shop.greet()) == (shop, Shop, "hello")
    assert [record["function_name"] for record in sent()] == ["sell", "of", "greet"]


# Flushing and closing.


def test_flush_waits_until_the_collector_has_everything(client: AsyncLogClient, collector: Collector) -> None:
    """Without a running loop the call waits, also for the records of other threads."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(client.info, map(str, range(50))))

    assert client.flush()
    assert len(collector.logs) == 50


def test_flush_in_a_loop_does_not_block_it(collector: Collector) -> None:
    """A call returns before the collector responds; an await lets other tasks run. log-collector-async loses 50."""
    collector.behave = lambda request: gate.wait(DEADLINE) and None
    gate = threading.Event()

    async def main() -> None:
        client = AsyncLogClient(collector.url)
        for number in range(50):
            client.info(str(number))
        called = client.flush(DEADLINE)

        assert not called
        assert collector.logs == []
        waiting = asyncio.create_task(client.flush(DEADLINE))
        asyncio.get_running_loop().call_soon(gate.set)

        assert await waiting
        assert await called
        assert called
        assert len(collector.logs) == 50
        client.info("last")
        client.flush()

    asyncio.run(main())
    collector.wait_for(51)


@pytest.mark.parametrize("way", ["await client.close()", "client.close()", "asyncio.create_task(client.close())"])
def test_close_in_a_loop(collector: Collector, tmp_path: pathlib.Path, way: str) -> None:
    """All 50 records arrive, whichever way the client is closed."""
    (tmp_path / "program.py").write_text(
        "import asyncio, sys\n"
        "from concurrent_log.collector import AsyncLogClient\n"
        "async def main():\n"
        "    client = AsyncLogClient(sys.argv[1])\n"
        "    for number in range(50):\n"
        "        client.info(str(number))\n"
        f"    {way}\n"
        "asyncio.run(main())\n"
    )
    run(tmp_path, "-W", "error", "program.py", collector.url)

    assert len(collector.logs) == 50


def test_close_without_a_running_loop(collector: Collector) -> None:
    """It may be called, or run with `asyncio.run`, as with log-collector-async."""
    for way in (lambda client: client.close(), lambda client: asyncio.run(client.close())):
        client = AsyncLogClient(collector.url)
        client.info("x")
        assert way(client)
        assert client.close()  # a second time

    assert len(collector.logs) == 2


def test_a_client_is_closed_by_its_block(collector: Collector) -> None:
    """The client is a context manager for ``with`` and ``async with``."""

    async def main() -> None:
        async with AsyncLogClient(collector.url) as client:
            client.info("a")
        assert collector.messages == ["a"]

    asyncio.run(main())
    with AsyncLogClient(collector.url) as client:
        client.info("b")

    assert collector.messages == ["a", "b"]


def test_a_cancelled_await_does_not_stop_the_flush(collector: Collector) -> None:
    """The records are sent, and there is no warning."""
    collector.behave = lambda request: gate.wait(DEADLINE) and None
    gate = threading.Event()

    async def main() -> None:
        client = AsyncLogClient(collector.url)
        client.info("x")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.flush(DEADLINE), 0.01)
        task = asyncio.create_task(client.flush(DEADLINE))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        assert await asyncio.gather(client.flush(DEADLINE), client.close(DEADLINE)) == [True, True]

    asyncio.run(main())
    gc.collect()

    assert collector.messages == ["x"]


def test_failed_flush_and_close_return_false(collector: Collector, capsys: pytest.CaptureFixture[str]) -> None:
    """The number of unsent records is printed."""
    collector.stop()
    client = AsyncLogClient(collector.url)
    client.info("x")

    assert not client.flush(0.05)
    assert len(client.queue) == 1
    assert client.stats().queued == 1
    assert not client.close(0.05)
    assert "1 record" in capsys.readouterr().err


# Arguments and environment variables.


def test_the_environment_is_read_when_a_client_is_created(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """Arguments override variables, and variables override the file ``.env``; the environment does not change."""
    file = "SERVICE_VERSION=v9\nENVIRONMENT='from file'\nLOG_TYPE=WORKER\n# a comment\nexport OTHER=1\n"
    (tmp_path / ".env").write_text(file)
    monkeypatch.setenv("LOG_SERVER_URL", collector.url)
    monkeypatch.setenv("SERVICE_NAME", "from variable")
    monkeypatch.setenv("ENVIRONMENT", "production")
    before = dict(os.environ)
    with AsyncLogClient(service="from argument", env_file=".env") as client:
        client.info("x")

    (record,) = collector.logs
    assert (record["service"], record["environment"]) == ("from argument", "production")
    assert (record["service_version"], record["log_type"]) == ("v9", "WORKER")
    assert os.environ == before
    assert (client.server_url, client.service, client.environment) == (collector.url, "from argument", "production")
    assert AsyncLogClient().log_type == "BACKEND"


def test_defaults_are_those_of_log_collector_async(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable counts as missing; NODE_ENV is another name of ENVIRONMENT."""
    monkeypatch.setenv("LOG_SERVER_URL", "")
    client = AsyncLogClient()

    assert (client.server_url, client.service) == ("http://localhost:8000", None)
    assert (client.environment, client.service_version, client.log_type) == ("development", "v0.0.0-dev", "BACKEND")
    assert (client.batch_size, client.flush_interval, client.enable_global_error_handler) == (1000, 1.0, False)
    monkeypatch.setenv("NODE_ENV", "staging")
    assert AsyncLogClient().environment == "staging"


def test_importing_changes_and_starts_nothing(tmp_path: pathlib.Path) -> None:
    """The import of log-collector-async writes the file ``.env`` into the environment of the process.

    A file in the current folder must not decide, unless it is named, where records and the token are sent.
    """
    (tmp_path / ".env").write_text("LOG_SERVER_URL=http://elsewhere\n")
    program = (
        "import os, sys, threading, asyncio, logging\n"
        "before = dict(os.environ), sys.excepthook, threading.excepthook, sys.unraisablehook\n"
        "from concurrent_log.collector import AsyncLogClient\n"
        "client = AsyncLogClient()\n"
        "assert (dict(os.environ), sys.excepthook, threading.excepthook, sys.unraisablehook) == before\n"
        "assert threading.active_count() == 1\n"
        "print(client.server_url)"
    )

    assert run(tmp_path, "-c", program) == "http://localhost:8000\n"


def test_the_package_has_one_module_at_the_top() -> None:
    """log-collector-async also installs a module ``tests``."""
    assert importlib.metadata.distribution("concurrent_log").read_text("top_level.txt") == "concurrent_log\n"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"server_url": "logs.example.com"}, ValueError, "server_url='logs.example.com' must begin with http"),
        ({"server_url": 8000}, TypeError, "server_url must be a string"),
        ({"service": 5}, TypeError, "service must be a string"),
        ({"batch_size": 0}, ValueError, "batch_size=0 must be at least 1"),
        ({"flush_interval": -1}, ValueError, "flush_interval=-1 must not be negative"),
        ({"max_queue_size": 0}, ValueError, "max_queue_size=0 must be at least 1"),
        ({"max_queue_size": "many"}, TypeError, "max_queue_size must be a whole number"),
        ({"capacity_bytes": 0}, ValueError, "capacity_bytes=0 must be at least 1"),
        ({"enable_compression": "no"}, TypeError, "enable_compression must be True or False"),
        ({"max_retries": -1}, ValueError, "max_retries=-1 must not be negative"),
        ({"enable_global_error_handler": "yes"}, TypeError, "enable_global_error_handler must be True, False or None"),
        ({"tokne": "x"}, TypeError, "tokne"),
    ],
)
def test_bad_arguments_raise_immediately(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """The error is one line, with the caller's names of the arguments."""
    with pytest.raises(error) as caught:
        AsyncLogClient(**arguments)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_variables_raise_immediately(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable."""
    monkeypatch.setenv("ENABLE_GLOBAL_ERROR_HANDLER", "maybe")
    with pytest.raises(ValueError, match=r"^the environment variable ENABLE_GLOBAL_ERROR_HANDLER='maybe' must be true"):
        AsyncLogClient()


def test_all_arguments_are_used(collector: Collector) -> None:
    """The client accepts those of log-collector-async, and those of `CollectorHandler`."""
    options = {"batch_size": 150, "enable_compression": False, "max_retries": 5, "token": "secret", "host": "web-1"}
    with AsyncLogClient(collector.url, **options) as client:  # type: ignore[arg-type]
        for _ in range(150):
            client.info("x")

    (request,) = collector.requests
    assert len(request.body["logs"]) == 150
    assert "Content-Encoding" not in request.headers
    assert request.headers["Authorization"] == "Bearer secret"
    assert collector.logs[0]["host"] == "web-1"


def test_records_may_be_queued_on_disk(collector: Collector, tmp_path: pathlib.Path) -> None:
    """A record in a spool has the same fields as one in memory."""
    collector.behave = lambda request: (503, {})
    client = AsyncLogClient(collector.url, spool_directory=tmp_path / "spool", stop_timeout=0.05)
    with client.user_context(user_id="7"):
        client.info("x", tags=["a"])
    client.close()
    collector.behave = lambda request: None
    with AsyncLogClient(collector.url, spool_directory=tmp_path / "spool") as another:
        another.info("y")
        collector.wait_for(2)

    (record,) = [record for record in collector.logs if record["message"] == "x"]
    assert (record["user_id"], record["tags"]) == ("7", ["a"])
    assert place_of(record) == ("test_records_may_be_queued_on_disk", __file__, record["line_number"])


def test_signature_is_that_of_log_collector_async() -> None:
    """The order and the defaults are the same, with two documented exceptions."""
    original = pytest.importorskip("log_collector").AsyncLogClient
    theirs = list(inspect.signature(original).parameters.values())
    ours = list(inspect.signature(AsyncLogClient).parameters.values())[: len(theirs)]
    defaults = [(p.name, p.default) for p in ours]

    assert defaults == [(p.name, _OUR_DEFAULTS.get(p.name, p.default)) for p in theirs]
    for name in (name for name in vars(original) if not name.startswith("_")):
        assert hasattr(AsyncLogClient, name), name


_OUR_DEFAULTS = {"max_queue_size": 100_000, "enable_global_error_handler": None}


# The documentation of log-collector-async.


def test_the_calls_of_its_design_document_run(client: AsyncLogClient, sent: Sent) -> None:
    """This includes its hints for debugging, which read ``queue`` and ``_worker_thread``."""
    client.log("INFO", "User logged in", user_id=123, action="login")
    client.log("ERROR", "Database connection failed", error_code="DB_CONN_ERR")
    client.info("Application started")
    client.warn("High memory usage", memory_mb=850)
    client.error("Payment failed", transaction_id="tx_12345")

    assert len(client.queue) == 5
    assert client._worker_thread is not None
    assert client._worker_thread.is_alive()
    client.flush()
    client.close()
    assert len(sent()) == 5


def samples() -> list[Any]:
    """Return the Python samples in the documentation of log-collector-async, with the import changed."""
    try:
        text = importlib.metadata.metadata("log-collector-async").get_payload()
    except importlib.metadata.PackageNotFoundError:
        return []
    assert isinstance(text, str)
    found = re.findall(r"^( *)```python\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    old, new = "from log_collector import", "from concurrent_log.collector import"
    return [textwrap.dedent(code).replace(old, new) for _, code in found]


def test_there_are_samples() -> None:
    """Without samples, the next test would prove nothing."""
    if importlib.util.find_spec("log_collector") is None:
        pytest.skip("log-collector-async is not installed: pip install log-collector-async")

    assert len(samples()) == 20


_BEFORE = """
import asyncio, sys
from concurrent_log.collector import AsyncLogClient
logger = AsyncLogClient("http://localhost:8000")
def process_payment(*amount): return 1
expensive_operation = call_service_a = call_service_b = process_payment
def risky_operation(): raise ValueError("risky")
"""
_AFTER = """
def send_requests(app):
    if type(app).__name__ == "Flask":
        client = app.test_client()
        assert client.get("/api/users/7").status_code == 200
        assert client.post("/api/todos", json={"text": "tea"}).status_code == 200
    else:
        asyncio.run(send_request(app, "GET", "/api/users/7", b""))
        asyncio.run(send_request(app, "POST", "/api/todos", b'{"text": "tea"}'))

async def send_request(app, method, path, body):
    messages = []
    async def send(message): messages.append(message)
    async def receive(): return {"type": "http.request", "body": body}
    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    await app({**scope, "client": ("127.0.0.1", 1)}, receive, send)
    assert messages[0]["status"] == 200

if "handle_request" in globals(): handle_request()
if "app" in globals(): send_requests(app)
"""


@pytest.mark.parametrize("code", [pytest.param(code, id=f"{number}") for number, code in enumerate(samples())])
def test_a_sample_of_its_documentation_runs(collector: Collector, tmp_path: pathlib.Path, code: str) -> None:
    """Only the import is changed; the sample sends all its records."""
    program = (_BEFORE + code + _AFTER).replace("http://localhost:8000", collector.url)
    (tmp_path / "sample.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "sample.py"]
    variables = {**environment(), "LOG_SERVER_URL": collector.url}
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=DEADLINE)

    assert (done.returncode, done.stderr) == (0, "")
    if "app = " in code:
        assert {record["path"] for record in collector.logs} == {"/api/users/7", "/api/todos"}
    logged = re.findall(r"^\S.*logger\.(?:info|warn|error|debug|trace|fatal|log|measure)\(", code, re.MULTILINE)
    assert len(collector.logs) >= len(logged)
