"""`AsyncLogClient`: what it sends, how long things took, how it ends, and what it is told."""

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
from support.fake_collector import Collector
from support.processes import environment, run

_VARIABLES = ("LOG_SERVER_URL", "SERVICE_NAME", "ENVIRONMENT", "NODE_ENV", "SERVICE_VERSION", "LOG_TYPE")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Work in an empty folder, with no variable set that a client reads."""
    monkeypatch.chdir(tmp_path)
    for name in (*_VARIABLES, "ENABLE_GLOBAL_ERROR_HANDLER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def client(collector: Collector) -> Iterator[AsyncLogClient]:
    """Return a client of the collector."""
    with AsyncLogClient(collector.url, service="shop") as made:
        yield made


@pytest.fixture
def sent(client: AsyncLogClient, collector: Collector) -> Callable[[], list[dict[str, Any]]]:
    """Return what returns all records that were sent."""

    def flushed() -> list[dict[str, Any]]:
        assert client.flush()
        return collector.logs

    return flushed


Sent = Callable[[], list[dict[str, Any]]]


def line_of(marker: str) -> int:
    """Return the number of the one line of this file that ends with a comment."""
    lines = pathlib.Path(__file__).read_text("utf-8").splitlines()
    (found,) = (number for number, line in enumerate(lines, 1) if line.endswith(f"  # {marker}"))
    return found


def place_of(record: dict[str, Any]) -> tuple[Any, ...]:
    """Return where a record was logged."""
    return record.get("function_name"), record.get("file_path"), record.get("line_number")


# What is sent.


def test_each_level_has_its_method(client: AsyncLogClient, sent: Sent) -> None:
    """And `log` has them all, also as numbers of `logging`, and any other name as it is."""
    for level in ("trace", "debug", "info", "warn", "error", "fatal", "warning"):
        getattr(client, level)("a")
    for level in ("INFO", "warning", 30, 50, 7, None):
        client.log(level, "b")

    assert [record["level"] for record in sent()] == [
        *("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "WARN"),
        *("INFO", "warning", "WARN", "FATAL", "TRACE", "None"),
    ]


def test_a_record_says_who_it_is_from(client: AsyncLogClient, sent: Sent) -> None:
    """Fields of any name, and what the client knows."""
    before = time.time()
    client.info("order accepted", user_id="7", customer="Ada", tags=["a", "b"])
    (record,) = sent()

    assert record["message"] == "order accepted"
    assert (record["user_id"], record["customer"], record["tags"]) == ("7", "Ada", ["a", "b"])
    assert (record["service"], record["environment"]) == ("shop", "development")
    assert (record["service_version"], record["log_type"]) == ("v0.0.0-dev", "BACKEND")
    assert (record["process_id"], record["thread_name"]) == (os.getpid(), "MainThread")
    assert before <= record["created_at"] <= time.time()


_OURS = {"level": "high", "message": "y", "created_at": 1, "sequence": 2, "self": 3}


@pytest.mark.parametrize("attributes", [{}, {"attributes": {"a": 1}}, {"attributes": 5}])
def test_fields_of_our_names_are_attributes(client: AsyncLogClient, sent: Sent, attributes: dict[str, Any]) -> None:
    """In the original, ``level`` raised in the program, and ``created_at`` overwrote the time."""
    client.info("x", **_OURS, **attributes)
    client.log("INFO", "x", **_OURS, **attributes)
    client.error_with_trace("x", **_OURS, **attributes)

    for record in sent():
        expected = {name: value for name, value in _OURS.items() if name != "self"}
        expected.update({"attributes": 5} if attributes.get("attributes") == 5 else attributes.get("attributes", {}))
        assert record["attributes"] == expected
        assert (record["message"], record["self"]) == ("x", 3)
        assert record["level"] in ("INFO", "ERROR")
        assert record["created_at"] > 1


def test_arguments_may_be_named(client: AsyncLogClient, sent: Sent) -> None:
    """As the signatures of the original let them."""
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
    """Has no text, and no representation."""

    def __repr__(self) -> str:
        raise ValueError("not me")


@pytest.mark.parametrize(
    ("message", "text"),
    [(ValueError("gone"), "gone"), (None, "None"), (5, "5"), (["a"], "['a']"), ("a\ud800b", "a\\ud800b")],
)
def test_a_message_may_be_anything(client: AsyncLogClient, sent: Sent, message: Any, text: str) -> None:
    """It is sent as text."""
    client.info(message)

    assert [record["message"] for record in sent()] == [text]


def test_no_value_stops_a_record(client: AsyncLogClient, sent: Sent) -> None:
    """In the original, one of these ended the thread that sends, for good."""
    loop: dict[str, Any] = {}
    loop["again"] = loop
    values = [Unprintable(), loop, float("nan"), 2**70, b"\xff", {1, 2}, object(), time.localtime(), {(1,): 2}, print]
    client.info(Unprintable())
    for value in values:
        client.info("x", value=value)
    client.info("y")

    assert [record["message"] for record in sent()][1:] == ["x"] * len(values) + ["y"]


def test_a_call_never_raises(client: AsyncLogClient, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be put, such as for want of memory, is counted; afterwards all goes on."""

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


def test_a_value_is_sent_as_it_was(client: AsyncLogClient, sent: Sent) -> None:
    """What the program does with it afterwards does not show."""
    basket = ["tea"]
    client.info("x", basket=basket)
    basket.append("milk")

    assert sent()[0]["basket"] == ["tea"]


def test_all_records_of_a_burst_arrive(client: AsyncLogClient, sent: Sent) -> None:
    """The original loses 9,000 of these, silently."""
    for number in range(20_000):
        client.info(f"record {number}")

    assert [record["message"] for record in sent()] == [f"record {number}" for number in range(20_000)]


# Where it was logged.


def test_the_caller_is_told_with_its_line(client: AsyncLogClient, sent: Sent) -> None:
    """Of every method, the function, file and line of the program."""
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


def test_the_caller_may_be_left_out_or_another(client: AsyncLogClient, sent: Sent) -> None:
    """By ``auto_caller``, also by position, and by fields."""
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


def test_an_error_has_its_trace(client: AsyncLogClient, sent: Sent) -> None:
    """Its type, its stack trace, and where it was raised; the one that is being handled need not be named."""
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


def test_without_an_error_there_are_the_calls(client: AsyncLogClient, sent: Sent) -> None:
    """That led to where it is logged."""
    client.error_with_trace("a")
    (record,) = sent()

    assert "test_without_an_error_there_are_the_calls" in record["stack_trace"]
    assert "error_type" not in record


class Falsy(Exception):  # noqa: N818 - a test
    """Is no truth."""

    def __bool__(self) -> bool:
        return False


class Mute(Exception):  # noqa: N818 - a test
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class NoGroup(Exception):  # noqa: N818 - a test
    """Is rendered wrongly by the standard library."""

    __cause__ = property(lambda self: 1 / 0)  # type: ignore[assignment]


@pytest.mark.parametrize("error", [Falsy(), Mute(), NoGroup(), KeyboardInterrupt(), SyntaxError("x", ("f", 1, 2, "t"))])
def test_any_error_is_told(client: AsyncLogClient, sent: Sent, error: BaseException) -> None:
    """Also one that was never raised, or behaves badly."""
    client.error_with_trace("a", error)
    (record,) = sent()

    assert record["error_type"] == type(error).__name__
    assert type(error).__name__ in record["stack_trace"]


def test_what_is_no_error_is_told_as_well(client: AsyncLogClient, sent: Sent) -> None:
    """A class, or a text."""
    client.error_with_trace("a", ValueError)
    client.error_with_trace("a", "out of tea")

    by_class, by_text = sent()
    assert by_class["error_type"] == "ValueError"
    assert by_text["exception"] == "out of tea"


# How long it took.


def test_timers(client: AsyncLogClient, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer is not misled by a clock that is set; a time of ``time.time()`` may be given, too."""
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
    """Also one that fails, whose exception comes through, and one that waits."""

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
    """Each call of it; it stays what it was."""

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


def test_the_exception_of_a_measured_function_comes_through(client: AsyncLogClient, sent: Sent) -> None:
    """The original raised a KeyError in its place."""
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


def test_what_is_asynchronous_is_measured_until_it_is_done(client: AsyncLogClient, sent: Sent) -> None:
    """In the original, it took 0.002 ms."""

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


def test_a_function_is_called_here_and_now(client: AsyncLogClient, sent: Sent) -> None:
    """As the original's documentation shows; its own `measure` returned a decorator, and called nothing."""
    calls: list[int] = []

    assert client.measure(lambda: calls.append(1) or 7) == 7  # type: ignore[func-returns-value]
    assert client.measure(functools.partial(max, 1, 2), level="DEBUG") == 2
    assert calls == [1]
    assert [(record["level"], record["message"]) for record in sent()] == [
        ("INFO", "test_a_function_is_called_here_and_now completed"),
        ("DEBUG", "max completed"),
    ]


def test_a_generator_is_measured_until_its_end(client: AsyncLogClient, sent: Sent) -> None:
    """And one that is asynchronous is refused, since it would no longer be the same."""

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
    """Of all kinds."""

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


def test_flush_returns_when_the_collector_has_it(client: AsyncLogClient, collector: Collector) -> None:
    """Called where no loop runs, it waits; also for what another thread logged."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(client.info, map(str, range(50))))

    assert client.flush()
    assert len(collector.logs) == 50


def test_flush_in_a_loop_does_not_block_it(collector: Collector) -> None:
    """Called, it returns before the collector answers; awaited, it lets others run. The original lost 50 of 50."""
    collector.behave = lambda request: gate.wait(30) and None
    gate = threading.Event()

    async def main() -> None:
        client = AsyncLogClient(collector.url)
        for number in range(50):
            client.info(str(number))
        called = client.flush(30)

        assert not called
        assert collector.logs == []
        waiting = asyncio.create_task(client.flush(30))
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
    """50 of 50 arrive, however it is closed, when the program ends."""
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


def test_close_where_no_loop_runs(collector: Collector) -> None:
    """Called; or run, as programs do that know the original's, which is asynchronous."""
    for way in (lambda client: client.close(), lambda client: asyncio.run(client.close())):
        client = AsyncLogClient(collector.url)
        client.info("x")
        assert way(client)
        assert client.close()  # again

    assert len(collector.logs) == 2


def test_a_client_is_closed_by_its_block(collector: Collector) -> None:
    """``with`` and ``async with``."""

    async def main() -> None:
        async with AsyncLogClient(collector.url) as client:
            client.info("a")
        assert collector.messages == ["a"]

    asyncio.run(main())
    with AsyncLogClient(collector.url) as client:
        client.info("b")

    assert collector.messages == ["a", "b"]


def test_an_outcome_may_be_given_up(collector: Collector) -> None:
    """Who does not wait any longer stops nothing, and nobody complains."""
    collector.behave = lambda request: gate.wait(30) and None
    gate = threading.Event()

    async def main() -> None:
        client = AsyncLogClient(collector.url)
        client.info("x")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.flush(30), 0.01)
        task = asyncio.create_task(client.flush(30))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        assert await asyncio.gather(client.flush(30), client.close(30)) == [True, True]

    asyncio.run(main())
    gc.collect()

    assert collector.messages == ["x"]


def test_what_could_not_be_sent_is_told(collector: Collector, capsys: pytest.CaptureFixture[str]) -> None:
    """A flush and a close in vain say so."""
    collector.stop()
    client = AsyncLogClient(collector.url)
    client.info("x")

    assert not client.flush(0.05)
    assert len(client.queue) == 1
    assert client.stats().queued == 1
    assert not client.close(0.05)
    assert "1 record" in capsys.readouterr().err


# What it is told.


def test_the_environment_is_read_when_a_client_is_made(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """Arguments count more than variables, those more than the file ``.env``; nothing is changed."""
    file = "SERVICE_VERSION=v9\nENVIRONMENT='from file'\nLOG_TYPE=WORKER\n# a comment\nexport OTHER=1\n"
    (tmp_path / ".env").write_text(file)
    monkeypatch.setenv("LOG_SERVER_URL", collector.url)
    monkeypatch.setenv("SERVICE_NAME", "from variable")
    monkeypatch.setenv("ENVIRONMENT", "production")
    before = dict(os.environ)
    with AsyncLogClient(service="from argument") as client:
        client.info("x")

    (record,) = collector.logs
    assert (record["service"], record["environment"]) == ("from argument", "production")
    assert (record["service_version"], record["log_type"]) == ("v9", "WORKER")
    assert os.environ == before
    assert (client.server_url, client.service, client.environment) == (collector.url, "from argument", "production")
    assert AsyncLogClient(env_file=None).log_type == "BACKEND"


def test_what_is_not_said_has_the_original_s_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable is none; the original's documentation calls ENVIRONMENT NODE_ENV."""
    monkeypatch.setenv("LOG_SERVER_URL", "")
    client = AsyncLogClient()

    assert (client.server_url, client.service) == ("http://localhost:8000", None)
    assert (client.environment, client.service_version, client.log_type) == ("development", "v0.0.0-dev", "BACKEND")
    assert (client.batch_size, client.flush_interval, client.enable_global_error_handler) == (1000, 1.0, False)
    monkeypatch.setenv("NODE_ENV", "staging")
    assert AsyncLogClient().environment == "staging"


def test_importing_changes_and_starts_nothing(tmp_path: pathlib.Path) -> None:
    """The original puts the file ``.env`` into the environment of whoever imports it."""
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

    assert run(tmp_path, "-c", program) == "http://elsewhere\n"


def test_the_package_has_one_module_at_the_top() -> None:
    """The original installs a module of the name ``tests``."""
    assert importlib.metadata.distribution("concurrent_log").read_text("top_level.txt") == "concurrent_log\n"


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
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
def test_bad_arguments_raise_at_once(arguments: dict[str, Any], error: type[Exception], said: str) -> None:
    """In one line, in the names of the caller."""
    with pytest.raises(error) as caught:
        AsyncLogClient(**arguments)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_variables_raise_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And say which one it is."""
    monkeypatch.setenv("ENABLE_GLOBAL_ERROR_HANDLER", "maybe")
    with pytest.raises(ValueError, match=r"^the environment variable ENABLE_GLOBAL_ERROR_HANDLER='maybe' must be true"):
        AsyncLogClient()


def test_other_arguments_reach_the_engine(collector: Collector) -> None:
    """Those of the original, and what `CollectorHandler` takes besides."""
    options = {"batch_size": 150, "enable_compression": False, "max_retries": 5, "token": "secret", "host": "web-1"}
    with AsyncLogClient(collector.url, **options) as client:  # type: ignore[arg-type]
        for _ in range(150):
            client.info("x")

    (request,) = collector.requests
    assert len(request.body["logs"]) == 150
    assert "Content-Encoding" not in request.headers
    assert request.headers["Authorization"] == "Bearer secret"
    assert collector.logs[0]["host"] == "web-1"


def test_records_may_wait_on_disk(collector: Collector, tmp_path: pathlib.Path) -> None:
    """They are what they would be otherwise."""
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
    assert place_of(record) == ("test_records_may_wait_on_disk", __file__, record["line_number"])


def test_the_arguments_of_the_original_are_taken_in_their_order() -> None:
    """With its defaults, but for what ours does better."""
    original = pytest.importorskip("log_collector").AsyncLogClient
    theirs = list(inspect.signature(original).parameters.values())
    ours = list(inspect.signature(AsyncLogClient).parameters.values())[: len(theirs)]
    defaults = [(p.name, p.default) for p in ours]

    assert defaults == [(p.name, _BETTER.get(p.name, p.default)) for p in theirs]
    for name in (name for name in vars(original) if not name.startswith("_")):
        assert hasattr(AsyncLogClient, name), name


_BETTER = {"max_queue_size": 100_000, "enable_global_error_handler": None}


# The original's documentation.


def test_the_calls_of_the_original_s_design_run(client: AsyncLogClient, sent: Sent) -> None:
    """All that it shows of its use, down to how it is debugged."""
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
    """Return the Python samples in the documentation of log-collector-async, with the line of the import changed."""
    try:
        text = importlib.metadata.metadata("log-collector-async").get_payload()
    except importlib.metadata.PackageNotFoundError:
        return []
    assert isinstance(text, str)
    found = re.findall(r"^( *)```python\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    old, new = "from log_collector import", "from concurrent_log.collector import"
    return [textwrap.dedent(code).replace(old, new) for _, code in found]


def test_there_are_samples() -> None:
    """Otherwise the next test would prove nothing."""
    if importlib.util.find_spec("log_collector") is None:
        pytest.skip("log-collector-async is not installed: pip install '.[test]'")

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
def ask(app):
    if type(app).__name__ == "Flask":
        asked = app.test_client()
        assert asked.get("/api/users/7").status_code == 200
        assert asked.post("/api/todos", json={"text": "tea"}).status_code == 200
    else:
        asyncio.run(ask_asgi(app, "GET", "/api/users/7", b""))
        asyncio.run(ask_asgi(app, "POST", "/api/todos", b'{"text": "tea"}'))

async def ask_asgi(app, method, path, body):
    answers = []
    async def send(message): answers.append(message)
    async def receive(): return {"type": "http.request", "body": body}
    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    await app({**scope, "client": ("127.0.0.1", 1)}, receive, send)
    assert answers[0]["status"] == 200

if "handle_request" in globals(): handle_request()
if "app" in globals(): ask(app)
"""


@pytest.mark.parametrize("code", [pytest.param(code, id=f"{number}") for number, code in enumerate(samples())])
def test_a_sample_of_the_original_runs(collector: Collector, tmp_path: pathlib.Path, code: str) -> None:
    """With the line of the import changed, and nothing else; it sends what it logs."""
    program = (_BEFORE + code + _AFTER).replace("http://localhost:8000", collector.url)
    (tmp_path / "sample.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "sample.py"]
    variables = {**environment(), "LOG_SERVER_URL": collector.url}
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    if "app = " in code:
        assert {record["path"] for record in collector.logs} == {"/api/users/7", "/api/todos"}
    logged = re.findall(r"^\S.*logger\.(?:info|warn|error|debug|trace|fatal|log|measure)\(", code, re.MULTILINE)
    assert len(collector.logs) >= len(logged)
