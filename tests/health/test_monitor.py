"""The monitor: what it finds, what it logs and how often, and what it bears."""

import asyncio
import contextlib
import gc
import inspect
import itertools
import logging
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import concurrent_log.health
from concurrent_log.health import (
    BreakerState,
    CheckFailed,
    CircuitOpenError,
    Degraded,
    ServiceHealth,
    ServiceMonitor,
    ServiceStatus,
)
from concurrent_log.health.check_loop import Watch
from concurrent_log.health.check_runner import Outcome
from concurrent_log.health.service import Service
from support import jumping_loop

HEALTHY, DEGRADED, UNHEALTHY, UNKNOWN = (
    ServiceStatus.HEALTHY,
    ServiceStatus.DEGRADED,
    ServiceStatus.UNHEALTHY,
    ServiceStatus.UNKNOWN,
)
FOREVER = 1e9


class Script:
    """A check that does one thing after the other, and the last one again and again."""

    def __init__(self, *steps: "float | BaseException | None") -> None:
        self.steps, self.calls, self.times = list(steps), 0, []

    async def __call__(self) -> None:
        """Raise, wait or return, as the next step says."""
        self.times.append(asyncio.get_running_loop().time())
        step = self.steps[min(self.calls, len(self.steps) - 1)]
        self.calls += 1
        if isinstance(step, BaseException):
            raise type(step)(*step.args)  # The same one again would keep the traceback of each time.
        if step:
            await asyncio.sleep(step)


class LoopClock:
    """The time of the loop that runs, and without one, what it was at last."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        with contextlib.suppress(RuntimeError):
            self.now = asyncio.get_running_loop().time()
        return self.now


class Keeping(logging.Handler):
    """Keeps all records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one more."""
        self.records.append(record)


@pytest.fixture
def records() -> Iterator[list[Any]]:
    """Return what is logged of services."""
    logger, handler = logging.getLogger("concurrent_log.health"), Keeping()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.records
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)


def monitor_of(**services: Any) -> ServiceMonitor:
    """Return a monitor with a clock of the loop, and without jitter and reports."""
    monitor = ServiceMonitor(jitter=0, report_interval=None, clock=LoopClock())
    for name, check in services.items():
        monitor.add(name, check)
    return monitor


def watch(monitor: ServiceMonitor, seconds: float, *then: Callable[[], Any]) -> None:
    """Monitor for so many seconds of a clock that jumps, calling ``then`` in between, after equal times."""

    async def watching() -> None:
        async with monitor:
            for step in then:
                await asyncio.sleep(seconds / (len(then) + 1))
                step()
            await asyncio.sleep(seconds / (len(then) + 1))

    jumping_loop.run(watching())


def said(records: list[Any], *events: str) -> list[tuple[str, str]]:
    """Return levels and messages of some events; of all but the beginning and the end, if none is named."""
    wanted = events or ("status", "breaker", "flapping", "settled")
    return [(record.levelname, record.getMessage()) for record in records if record.health["event"] in wanted]


def test_public_names_are_pinned() -> None:
    """P6: a public name comes or goes only together with this list."""
    assert concurrent_log.health.__all__ == [
        "BreakerState",
        "CheckFailed",
        "CircuitBreaker",
        "CircuitOpenError",
        "Degraded",
        "ServiceHealth",
        "ServiceMonitor",
        "ServiceStatus",
    ]


def test_service_that_goes_down_and_comes_back_is_told_once_each(records: list[Any]) -> None:
    """Three failures, the breaker opens, a trial fails, another one succeeds: all in order, by severity."""
    check = Script(None, None, *[ConnectionRefusedError(111, "10.0.0.5:5432")] * 4, None)
    watch(monitor_of(database=check), 899)

    assert check.times == [0, 30, 60, 90, 120, 420, 720, 750, 780, 810, 840, 870]
    assert said(records) == [
        ("INFO", "database is healthy: 0 ms"),
        ("WARNING", "database is degraded: connection refused (1 failure)"),
        ("ERROR", "database is unhealthy: connection refused (3 failures in a row)"),
        ("WARNING", "the circuit of database is open: it is left alone for 300 s"),
        ("DEBUG", "the circuit of database is half-open: it is tried"),
        ("DEBUG", "the circuit of database is open: it is left alone for 300 s"),
        ("DEBUG", "the circuit of database is half-open: it is tried"),
        ("INFO", "database is healthy again: 0 ms, after 4 failures in a row"),
        ("INFO", "the circuit of database is closed again"),
    ]


def test_records_have_fields(records: list[Any]) -> None:
    """What a handler filters or counts need not be read out of the message."""
    watch(monitor_of(cache=Script(OSError(111, "x"))), 61)

    status, breaker = [r.health for r in records if r.getMessage().startswith(("cache is unhealthy", "the circuit"))]
    assert {key: status[key] for key in ("service", "status", "previous", "error", "consecutive_failures")} == {
        "service": "cache",
        "status": "unhealthy",
        "previous": "degraded",
        "error": "connection refused",
        "consecutive_failures": 3,
    }
    assert (breaker["breaker"], breaker["previous"], breaker["retry_after"]) == ("open", "closed", 300)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", status["last_check"])


def test_snapshot_tells_all_that_is_known() -> None:
    """Before the first check, in between, and after a failure."""
    monitor = monitor_of(cache=Script(0.25, OSError(111, "x")))
    assert monitor.snapshot() == {"cache": ServiceHealth("cache")}
    found: list[ServiceHealth] = []
    watch(monitor, 40, lambda: found.append(monitor.snapshot()["cache"]))

    first, second = found[0], monitor.snapshot()["cache"]
    assert (first.status, first.response_time_ms, first.error_message) == (HEALTHY, 250, None)
    assert first.last_check == first.last_success is not None
    assert (second.status, second.consecutive_failures, second.error_message) == (DEGRADED, 1, "connection refused")
    assert second.last_success == first.last_success


def test_slow_answer_and_a_warning_degrade(records: list[Any]) -> None:
    """Both work, so neither counts as a failure nor opens the breaker."""
    monitor = monitor_of(cache=Script(1.5), disk=Script(Degraded("nearly full")))
    watch(monitor, 200)

    cache, disk = monitor.snapshot().values()
    assert (cache.status, cache.consecutive_failures, cache.error_message) == (DEGRADED, 0, "slow (more than 1000 ms)")
    assert (disk.status, disk.breaker, disk.error_message) == (DEGRADED, BreakerState.CLOSED, "nearly full")
    assert said(records) == [
        ("WARNING", "disk is degraded: nearly full, 0 ms"),
        ("WARNING", "cache is degraded: slow (more than 1000 ms), 1500 ms"),
    ]


def test_hanging_check_fails_and_concerns_no_other() -> None:
    """It is given up after its timeout; the other one is checked all the time."""
    hanging, other = Script(FOREVER), Script(None)
    monitor = monitor_of(hanging=hanging, other=other)
    watch(monitor, 299)

    assert hanging.calls == 3
    assert other.calls == 10
    assert monitor.snapshot()["hanging"].error_message == "timed out after 10 s"
    assert monitor.snapshot()["hanging"].response_time_ms == 10_000


def test_check_that_ignores_its_cancellation_is_not_begun_again(records: list[Any]) -> None:
    """There are never two of one check, whatever it does; and the monitor stops without it."""
    running = most = 0

    async def stubborn() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        end = asyncio.get_running_loop().time() + 75
        while asyncio.get_running_loop().time() < end:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(end - asyncio.get_running_loop().time())
        running -= 1

    async def watching() -> float:
        async with monitor_of(stubborn=stubborn):
            await asyncio.sleep(65)
        stopped = asyncio.get_running_loop().time()
        await asyncio.sleep(100)  # The loop goes on, and the check ends by itself.
        return stopped

    stopped = jumping_loop.run(watching())

    assert stopped == 66
    assert (most, running) == (1, 0)
    assert ("ERROR", "stubborn is unhealthy: its last check has not ended yet (3 failures in a row)") in said(records)


@pytest.mark.parametrize("seconds", [5, 10.2])
def test_check_has_cleaned_up_when_the_monitor_has_stopped(seconds: float) -> None:
    """Whether it was running then, or had been given up just before."""
    cleaned = []

    async def check() -> None:
        try:
            await asyncio.sleep(FOREVER)
        finally:
            await asyncio.sleep(0.5)
            cleaned.append(True)

    async def watching() -> list[bool]:
        async with monitor_of(service=check):
            await asyncio.sleep(seconds)
        return cleaned.copy()

    assert jumping_loop.run(watching()) == [True]


def test_mistake_of_ours_does_not_end_the_watch(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is said on stderr, and the check is made again."""
    check = Script(None)
    take = Service._take

    def fail_once(service: Service, outcome: Outcome) -> BaseException | None:
        if check.calls == 1:
            raise ZeroDivisionError
        return take(service, outcome)

    monkeypatch.setattr(Service, "_take", fail_once)
    monitor = monitor_of(service=check)
    watch(monitor, 40)

    assert monitor.snapshot()["service"].status is HEALTHY
    assert "the check of 'service' was interrupted by ZeroDivisionError" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("a queue of 5000"), "ValueError: a queue of 5000"),
        (CheckFailed("a queue of 5000"), "a queue of 5000"),
        (SystemExit(3), "its check tried to end the program"),
        (asyncio.CancelledError(), "its check cancelled itself"),
        (StopIteration(), "RuntimeError: coroutine raised StopIteration"),
        (TimeoutError(), "TimeoutError"),
        (Exception("one\n two\t three"), "Exception: one two three"),
        (Exception("in \x1b[31mred\x1b[0m"), "Exception: in \ufffd\\[31mred\ufffd\\[0m"),
        (socket.gaierror(-2, "Name or service not known"), "the name of the host is not known"),
        (Exception("x" * 1000), "Exception: x{288}…"),
        (Exception("no postgresql://shop:secret@10.1.2.3/shop here"), "Exception: no postgresql://… here"),
        (Exception("host=10.1.2.3:5432 password=secret token: abc"), "Exception: host=… password=… token: …"),
        (OSError("Multiple exceptions: Connect call failed ('::1', 5432, 0, 0)"), r"OSError: .* call failed \(…\)"),
        (ConnectionError("the other side has gone"), "ConnectionError: the other side has gone"),
        (OSError(111, "Connect call failed ('127.0.0.1', 5432)"), "connection refused"),
    ],
)
def test_whatever_a_check_raises_is_one_line(error: BaseException, words: str) -> None:
    """Without addresses and passwords; and the check is made again."""
    check = Script(error)
    monitor = monitor_of(service=check)
    watch(monitor, 40)

    assert check.calls == 2
    assert re.fullmatch(words, monitor.snapshot()["service"].error_message or "")


@pytest.mark.parametrize(
    "text",
    [
        'connection to server at "db.internal" (10.0.0.5), port 5432: password failed for user "shop"',
        'connection to server at "::1", port 5432 failed',
        'could not translate host name "db.internal" to address',
        "(1045, \"Access denied for user 'shop'@'10.0.0.5' (using password: YES)\")",
        "(2003, \"Can't connect to MySQL server on 'db.internal' ([Errno 111] Connection refused)\")",
        "Error 111 connecting to db.internal:6379. Connection refused.",
        "HTTPSConnectionPool(host='db.internal', port=443): Max retries with url: /v1?api_key=hunter2 (x)",
        "Cannot connect to host db.internal:443 ssl:default [Connect call failed ('10.0.0.5', 443)]",
        'no URL: "https://bucket.example.com/?AWSAccessKeyId=hunter2&Signature=hunter2"',
        "invalid dsn: user=shop password='two words hunter2' host=db.internal dbname=shop",
        "Data Source=db.internal;User ID=shop;Password=hunter2;Initial Catalog=x",
        "Server=db.internal;Uid=shop;Pwd=hunter2;",
        'refused: {"password": "a hunter2", "user": "shop"}',
        "refused: {'clientSecret': 'a hunter2', 'username': 'shop'}",
        "Authorization: Bearer hunter2",
        "headers {'Authorization': 'Basic hunter2'}",
        "no Bearer abcdefgh.hunter2.ijklmnop",
        "X-Api-Key: hunter2 access_token=hunter2 AWS_SECRET_ACCESS_KEY=hunter2 DB_PASSWORD=hunter2 db-pass=hunter2",
        "[2001:db8::1]:5432 and fe80::1%eth0 and 2001:db8:0:0:0:0:0:1 refused",
        "cannot parse shop:hunter2@db.internal:5432",
        "cannot parse postgresql://shop:it's-hunter2@db.internal/shop",
    ],
)
def test_words_of_libraries_are_told_without_connection_data(text: str) -> None:
    """As drivers and clients, and those who read their settings, do name hosts, users and passwords."""
    monitor = monitor_of(service=Script(Exception(text)))
    watch(monitor, 1)
    message = monitor.snapshot()["service"].error_message or ""

    assert not re.search(r"hunter2|db\.internal|10\.0\.0\.5|::1|2001|shop", message)


@pytest.mark.parametrize(
    "text",
    [
        "a token expired, the password as well; no host is up, and each port is closed",
        "HTTP 503: Service Unavailable, at 12:30:45, ratio 3:1, timeout: 5, tokens: 5, passes: 3, author: x",
        "std::bad_alloc in Foo::run",
        'relation "orders" does not exist',
        "Basic authentication needed, bearer of bad news, key: value, monkey=3, compass: north, server: busy",
        "models.py:12: someone@example.com was not told",
    ],
)
def test_ordinary_words_stay_as_they_are(text: str) -> None:
    """Who reads the log has to know what is wrong."""
    monitor = monitor_of(service=Script(Exception(text)))
    watch(monitor, 1)

    assert monitor.snapshot()["service"].error_message == f"Exception: {text}"


def test_error_whose_text_fails_is_named_by_its_kind() -> None:
    """A check may raise anything, also what cannot say what it is."""

    class SilentError(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    monitor = monitor_of(service=Script(SilentError()))
    watch(monitor, 1)

    assert monitor.snapshot()["service"].error_message == "SilentError"


def test_false_is_a_failure_and_anything_else_is_not() -> None:
    """A function that says whether a service works is a check as it is."""

    async def answer(value: object) -> object:
        return value

    monitor = monitor_of(
        no=lambda: answer(False), yes=lambda: answer(True), nothing=lambda: answer(None), zero=lambda: answer(0)
    )

    async def checking() -> list[ServiceStatus]:
        return [health.status for health in (await monitor.check_all()).values()]

    assert asyncio.run(checking()) == [DEGRADED, HEALTHY, HEALTHY, HEALTHY]
    assert monitor.snapshot()["no"].error_message == "its check returned False"


def test_service_that_comes_and_goes_is_said_once(records: list[Any]) -> None:
    """Then its changes are told as DEBUG, until ten checks have changed nothing."""
    steps: list[BaseException | None] = [None, OSError(111, "x")] * 20
    watch(monitor_of(link=Script(*steps, None)), 30 * 60)

    messages = said(records)
    assert [level for level, _ in messages[:6]] == ["INFO", "WARNING", "INFO", "WARNING", "INFO", "WARNING"]
    assert messages[5] == ("WARNING", "link comes and goes: 6 changes within 20 checks; more are logged as DEBUG")
    assert {level for level, _ in messages[6:-1]} == {"DEBUG"}
    assert messages[-1] == ("INFO", "link has settled: healthy: 0 ms")


def test_flapping_service_that_stays_down_is_told_as_an_error(records: list[Any]) -> None:
    """Checks that its breaker leaves out count as well, so that this does not take an hour."""
    steps: list[BaseException | None] = [None, OSError(111, "x")] * 5
    watch(monitor_of(link=Script(*steps, OSError(111, "x"))), 30 * 24)

    assert said(records, "settled") == [
        ("ERROR", "link has settled: unhealthy: connection refused (4 failures in a row)")
    ]


def test_repeated_failures_are_summarised(records: list[Any]) -> None:
    """What goes on is told every five minutes, for all services together, as INFO."""
    monitor = ServiceMonitor(jitter=0, clock=LoopClock())
    monitor.add("database", Script(OSError(111, "x")))
    monitor.add("cache", Script(None))
    watch(monitor, 1000)

    assert said(records, "started", "report", "stopped") == [
        ("INFO", "monitoring has started: database unknown, cache unknown"),
        ("INFO", "services: database unhealthy (3 failures in a row), 1 healthy"),
        ("INFO", "services: database unhealthy (4 failures in a row), 1 healthy"),
        ("INFO", "services: database unhealthy (5 failures in a row), 1 healthy"),
        ("INFO", "monitoring has stopped: database unhealthy (6 failures in a row), 1 healthy"),
    ]
    assert [each["service"] for each in records[-1].health["services"]] == ["database", "cache"]


def test_many_services_are_summarised_in_several_records(records: list[Any]) -> None:
    """Fifty at a time, so that no record grows without a limit, and no handler takes long."""
    watch(monitor_of(**{f"service {number}": Script(None) for number in range(120)}), 1)

    stopped = [record for record in records if record.health["event"] == "stopped"]
    assert [len(record.health["services"]) for record in stopped] == [50, 50, 20]
    assert [record.getMessage() for record in stopped][2] == "monitoring has stopped: 20 healthy"


def test_service_that_is_not_critical_is_a_warning(records: list[Any]) -> None:
    """It degrades the whole at most."""
    monitor = ServiceMonitor(jitter=0, report_interval=None)
    monitor.add("mail", Script(OSError(111, "x")), critical=False, failure_threshold=1)
    monitor.add("database", Script(None))
    assert monitor.status is UNKNOWN

    watch(monitor, 1)

    assert monitor.snapshot()["mail"].status is UNHEALTHY
    assert monitor.status is DEGRADED
    assert ("WARNING", "mail is unhealthy: connection refused (1 failure)") in said(records)
    assert ServiceMonitor().status is HEALTHY


def test_each_service_has_its_own_numbers() -> None:
    """Others have those of the monitor, as they are at the time of the check."""
    fast, usual = Script(OSError(111, "x")), Script(OSError(111, "x"))
    monitor = monitor_of(usual=usual)
    monitor.add("fast", fast, interval=1, failure_threshold=5, recovery_timeout=20, timeout=1, slow=0.1)

    async def watching() -> None:
        async with monitor:
            await asyncio.sleep(25)
            monitor._check_interval, monitor._failure_threshold, monitor._recovery_timeout = 60, 2, 600
            await asyncio.sleep(700)

    jumping_loop.run(watching())

    assert fast.times[:7] == [0, 1, 2, 3, 4, 24, 44]
    assert usual.times == [0, 30, 630]


def test_intervals_are_spread_and_do_not_drift_apart() -> None:
    """A thousand checks of one interval do not all come at once, not even at the beginning."""
    checks = [Script(0.5) for _ in range(100)]
    monitor = ServiceMonitor(report_interval=None, clock=LoopClock())
    for number, check in enumerate(checks):
        monitor.add(str(number), check)
    watch(monitor, 900)

    firsts = {check.times[0] for check in checks}
    pauses = [later - earlier for check in checks for earlier, later in itertools.pairwise(check.times)]
    assert len(firsts) == 100
    assert 0 <= min(firsts) < max(firsts) <= 3
    assert 27 <= min(pauses) < max(pauses) <= 33.000001
    assert 29.5 < sum(pauses) / len(pauses) < 30.5


def test_check_that_takes_longer_than_its_interval_is_made_again_at_once() -> None:
    """But never twice at the same time."""
    check = Script(7.0)
    monitor = monitor_of()
    monitor.add("slow", check, interval=5)
    watch(monitor, 30)

    assert check.times == [0, 7, 14, 21, 28]


def test_services_come_and_go_while_it_runs(records: list[Any]) -> None:
    """What was removed is checked no more, and its name can be used again."""
    old, new = Script(None), Script(FOREVER, None)
    monitor = monitor_of(service=old)

    def replace() -> None:
        monitor.remove("service")
        monitor.add("service", new)

    watch(monitor, 100, replace)

    assert old.times == [0, 30]
    assert new.times == [50, 80]
    for ask in (monitor.remove, monitor.breaker):
        with pytest.raises(KeyError, match="there is no service 'other'; there are service"):
            ask("other")


def test_calls_of_the_program_count(records: list[Any]) -> None:
    """What it meets opens the breaker for both, is told once, and the checks leave the service alone."""
    check = Script(None)
    monitor = monitor_of(database=check)

    def fail() -> None:
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError), monitor.breaker("database").calling():
                raise ConnectionRefusedError(111, "10.0.0.5:5432")
        with pytest.raises(CircuitOpenError):
            monitor.breaker("database").calling().begin()

    watch(monitor, 80, fail)
    health = monitor.snapshot()["database"]

    assert check.times == [0, 30]
    assert (health.status, health.error_message, health.breaker) == (UNHEALTHY, "connection refused", BreakerState.OPEN)
    assert said(records)[1:] == [
        ("ERROR", "database is unhealthy: connection refused, 0 ms"),
        ("WARNING", "the circuit of database is open: it is left alone for 300 s"),
    ]


def test_trial_that_fails_after_calls_of_the_program_did_changes_nothing(records: list[Any]) -> None:
    """It is the first check that fails, and the service has been unhealthy for long."""
    monitor = monitor_of(database=Script(None, OSError(111, "x")))

    def fail() -> None:
        for _ in range(3):
            with pytest.raises(ConnectionError), monitor.breaker("database").calling():
                raise ConnectionError

    watch(monitor, 20, fail)
    records.clear()
    watch(monitor, 700)

    assert monitor.snapshot()["database"].consecutive_failures >= 1
    assert said(records, "status") == []


def test_success_of_the_program_closes_the_breaker_for_both(records: list[Any]) -> None:
    """Nobody has to wait for the next check."""
    check = Script(OSError(111, "x"))
    monitor = monitor_of(database=check)

    def succeed() -> None:
        with monitor.breaker("database").calling():
            pass

    watch(monitor, 720, succeed)

    assert check.times[:4] == [0, 30, 60, 360]
    assert ("INFO", "database is healthy again: 0 ms, after 3 failures in a row") in said(records)


def test_filter_that_fails_does_not_stop_it(records: list[Any], capfd: pytest.CaptureFixture[str]) -> None:
    """P4: what cannot be logged is said on stderr."""
    check = Script(None)

    def fail(record: logging.LogRecord) -> bool:
        raise ZeroDivisionError

    logger = logging.getLogger("concurrent_log.health")
    logger.addFilter(fail)
    try:
        watch(monitor_of(service=check), 100)
    finally:
        logger.removeFilter(fail)

    assert check.calls == 4
    assert "service is healthy: 0 ms [this could not be logged: ZeroDivisionError]" in capfd.readouterr().err


# In threads.


@pytest.fixture
def threaded() -> Iterator[ServiceMonitor]:
    """Return a monitor that checks every 10 milliseconds in its thread, and is stopped after the test."""
    monitor = ServiceMonitor(interval=0.01, timeout=30, slow=30, report_interval=None)
    yield monitor
    monitor.stop()


def test_plain_program_is_monitored_from_a_thread(threaded: ServiceMonitor, records: list[Any]) -> None:
    """Plain functions are called in threads of their own, async ones in the loop of the monitor."""
    plain, in_loop = threading.Semaphore(0), threading.Semaphore(0)
    names = set()

    @threaded.check("plain")
    def check_plain() -> None:
        names.add(threading.current_thread().name)
        plain.release()

    @threaded.check("async")
    async def check_async() -> None:
        names.add(threading.current_thread().name)
        in_loop.release()

    threaded.start()
    threaded.start()
    for _ in range(3):
        assert plain.acquire(timeout=60)
        assert in_loop.acquire(timeout=60)
    assert threaded.is_running
    threaded.stop()
    threaded.stop()

    assert not threaded.is_running
    assert names == {"concurrent_log check", "concurrent_log health"}
    assert len(said(records, "started")) == len(said(records, "stopped")) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "concurrent_log health"]


def test_thread_that_hangs_is_not_begun_again(threaded: ServiceMonitor, records: list[Any]) -> None:
    """It cannot be ended, so it is left alone; when it ends, the service is checked again."""
    running = threading.Semaphore(1)
    go_on, down, back = threading.Event(), threading.Event(), threading.Event()

    @threaded.check("hanging", timeout=0.01, failure_threshold=2, recovery_timeout=0.01)
    def hang() -> None:
        assert running.acquire(blocking=False), "two at once"
        go_on.wait()
        running.release()

    @threaded.check("looking")
    def look() -> None:
        health = threaded.snapshot()["hanging"]
        if health.consecutive_failures > 5:
            down.set()
        if health.status is HEALTHY:
            back.set()

    threaded.start()
    assert down.wait(60)
    assert threaded.snapshot()["hanging"].error_message == "its last check has not ended yet"
    go_on.set()
    assert back.wait(60)

    assert "two at once" not in str(records)


def test_coroutine_that_a_thread_returns_too_late_is_closed(threaded: ServiceMonitor) -> None:
    """Nobody awaits it, and Python would complain."""
    go_on, made = threading.Event(), []

    async def ping() -> None:
        pass

    def check() -> Any:
        go_on.wait()
        made.append(ping())
        return made[-1]

    async def until_it_is_late() -> None:
        await threaded.check_all()
        go_on.set()
        while not made or inspect.getcoroutinestate(made[0]) != inspect.CORO_CLOSED:
            await asyncio.sleep(0)

    threaded.add("late", check, timeout=0.01)
    asyncio.run(asyncio.wait_for(until_it_is_late(), 60))

    assert threaded.snapshot()["late"].error_message == "timed out after 0.01 s"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, BaseException])
@pytest.mark.parametrize("is_async", [True, False])
def test_whatever_a_check_raises_opens_its_breaker_and_stops_nobody(
    threaded: ServiceMonitor, error: type[BaseException], is_async: bool
) -> None:
    """Also what is no `Exception`, which ends event loops, and which breakers pass over."""
    other = threading.Semaphore(0)

    def plain() -> None:
        raise error

    async def in_loop() -> None:
        raise error

    threaded.add("odd", in_loop if is_async else plain, failure_threshold=1)
    threaded.start()
    threaded.add("other", other.release)
    for _ in range(3):
        assert other.acquire(timeout=60)
    threaded.stop()

    assert threaded.snapshot()["odd"].breaker is BreakerState.OPEN


def test_it_can_be_stopped_and_started_again(threaded: ServiceMonitor) -> None:
    """Also in another loop than before."""
    for _ in range(3):
        checked = threading.Event()
        with threaded:
            threaded.add("service", checked.set)
            assert checked.wait(60)
        threaded.remove("service")

    async def in_loop() -> None:
        checked = asyncio.Event()
        async with threaded:
            threaded.add("service", lambda: asyncio.sleep(0, checked.set()))
            await asyncio.wait_for(checked.wait(), 60)

    asyncio.run(in_loop())
    threaded.remove("service")
    asyncio.run(in_loop())

    assert not threaded.is_running


def test_it_starts_again_after_its_loop_was_closed_in_the_middle_of_a_check() -> None:
    """Nobody stopped it there, and nothing of that loop will ever end."""
    begun: list[int] = []

    async def check() -> None:
        begun.append(1)
        await asyncio.sleep(FOREVER if len(begun) == 1 else 0)

    async def until(checks: int) -> None:
        await monitor.start_monitoring()
        while len(begun) < checks:
            await asyncio.sleep(0)

    monitor = ServiceMonitor(interval=0.01, jitter=0, report_interval=None)
    monitor.add("service", check)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(until(1))
    left = asyncio.all_tasks(loop)
    loop.close()
    assert not monitor.is_running

    asyncio.run(until(3))

    assert len(begun) >= 3
    for task in left:  # They would be complained about.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        with contextlib.suppress(RuntimeError):
            task.get_coro().close()  # type: ignore[union-attr]


def test_monitor_in_a_thread_can_be_stopped_from_a_loop(threaded: ServiceMonitor) -> None:
    """Without keeping that loop from anything else."""
    threaded.start()
    asyncio.run(threaded.stop_monitoring())

    assert not threaded.is_running


def test_many_threads_that_start_it_start_it_once(threaded: ServiceMonitor, records: list[Any]) -> None:
    """A second watch would check everything twice, and nobody could stop it."""
    together = threading.Barrier(8)

    def start() -> None:
        together.wait()
        threaded.start()

    for number in range(20):
        threads = [threading.Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        threaded.stop()

        assert len(said(records, "started")) == len(said(records, "stopped")) == number + 1


def test_monitor_in_a_loop_can_be_stopped_from_elsewhere(threaded: ServiceMonitor) -> None:
    """By a plain thread, and from another loop, which waits for the end."""

    async def watching(stop: Callable[[], Any]) -> None:
        await threaded.start_monitoring()
        await asyncio.get_running_loop().run_in_executor(None, stop)
        while threaded.is_running:
            await asyncio.sleep(0)

    def stop_in_another_loop() -> None:
        asyncio.run(threaded.stop_monitoring())
        assert not threaded.is_running

    for stop in (threaded.stop, stop_in_another_loop):
        asyncio.run(asyncio.wait_for(watching(stop), 60))


def test_many_services_that_are_added_at_once_are_followed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ten thousand of them, looking at all for each one would keep the loop busy for minutes."""
    looked, follow = [], Watch._follow
    monkeypatch.setattr(Watch, "_follow", lambda watch: (looked.append(1), follow(watch)))
    checks = [Script(None) for _ in range(100)]
    monitor = monitor_of()
    watch(monitor, 10, lambda: [monitor.add(f"service {number}", check) for number, check in enumerate(checks)])

    assert [check.calls for check in checks] == [1] * 100
    assert len(looked) == 2  # when it started, and once more


def test_services_are_added_from_many_threads(threaded: ServiceMonitor) -> None:
    """Each once, and all are checked."""
    checked = threading.Semaphore(0)
    threaded.start()

    def add(number: int) -> None:
        for name in range(25):
            with contextlib.suppress(ValueError):
                threaded.add(f"service {name}", checked.release)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(100):
        assert checked.acquire(timeout=60)

    assert len(threaded.snapshot()) == 25


def test_two_that_check_at_the_same_time_check_once(threaded: ServiceMonitor) -> None:
    """`check_all` leaves out what the monitor is just checking, and that counts as nothing."""
    begun, go_on = threading.Event(), threading.Event()
    calls = []

    def check() -> None:
        calls.append(1)
        begun.set()
        go_on.wait()

    threaded.add("service", check)
    threaded.start()
    assert begun.wait(60)
    found = asyncio.run(threaded.check_all())
    go_on.set()

    assert found["service"].status is UNKNOWN
    assert len(calls) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_child_starts_its_own(threaded: ServiceMonitor) -> None:
    """After a fork there is no thread: the child is told so, and may begin anew, though a check was running."""
    begun, go_on = threading.Event(), threading.Event()

    def check() -> None:
        begun.set()
        go_on.wait()

    threaded.add("service", check)
    threaded.start()
    assert begun.wait(60)
    go_on.set()
    child = os.fork()
    if child == 0:
        was_running, checked = threaded.is_running, threading.Event()
        threaded.add("other", checked.set)
        threaded.start()
        before = threaded.snapshot()["service"].last_check
        deadline = time.monotonic() + 60
        while threaded.snapshot()["service"].last_check == before and time.monotonic() < deadline:
            time.sleep(0.01)
        is_checked = threaded.snapshot()["service"].last_check != before
        os._exit(0 if not was_running and checked.wait(60) and is_checked else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert threaded.is_running


_PROGRAM = """
import logging, sys, threading, time
from concurrent_log.health import ServiceMonitor

logging.basicConfig(level="INFO", format="%(message)s")
monitor, checked = ServiceMonitor(interval=0.01), threading.Event()
monitor.add("hanging", lambda: (checked.set(), time.sleep(1000)))
monitor.start()
checked.wait()
"""


def test_program_ends_though_a_check_hangs(tmp_path: pathlib.Path) -> None:
    """Without `stop`: monitoring says that it has stopped, and neither its thread nor the check keep the program."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", _PROGRAM]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)

    assert run.returncode == 0
    assert run.stderr.splitlines() == [
        "monitoring has started: hanging unknown",
        "monitoring has stopped: hanging unknown",
    ]


# What subclasses do.


class Shop(ServiceMonitor):
    """A monitor in the form that subclasses have: a method for each service."""

    def __init__(self) -> None:
        super().__init__(jitter=0, report_interval=None)
        self.asked: list[str] = []

    async def _check_custom_service(self, service_name: str) -> None:
        self.asked.append(service_name)
        self._record_success(service_name, 12.5)

    async def _check_broken(self, service_name: str) -> None:
        self._record_failure(service_name, "no answer of redis://:secret@10.0.0.1/0", 7.0)

    def _check_by_result(self, service_name: str) -> bool:
        return False

    async def _check_all_services(self) -> None:
        await super()._check_all_services()


def test_methods_of_a_subclass_are_checks() -> None:
    """Each is told the name of its service, and what it records counts."""
    shop = Shop()
    asyncio.run(shop._check_all_services())
    health = shop._service_health

    assert shop.asked == ["custom_service"]
    assert sorted(health) == ["broken", "by_result", "custom_service"]
    assert (health["custom_service"].status, health["custom_service"].response_time_ms) == (HEALTHY, 12.5)
    assert (health["broken"].error_message, health["broken"].response_time_ms) == ("no answer of redis://…", 7.0)
    assert health["by_result"].error_message == "its check returned False"


def test_what_a_check_has_recorded_holds_though_somebody_else_wants_to_check() -> None:
    """`check_all` in the middle of a check leaves that alone."""

    class Slow(ServiceMonitor):
        async def _check_service(self, service_name: str) -> None:
            self._record_failure(service_name, "no answer", 1.0)
            await self.check_all()

    assert asyncio.run(Slow().check_all())["service"].error_message == "no answer"


def test_outcome_can_be_recorded_outside_of_a_check() -> None:
    """What a program learns by itself counts as what a check learns."""
    shop = Shop()
    for _ in range(3):
        shop._record_failure("broken", "no answer", 1.0)

    assert shop.snapshot()["broken"].status is UNHEALTHY
    assert shop.breaker("broken").state is BreakerState.OPEN


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda m: m.add("database", print) or m.add("database", print), ValueError, "a service 'database' already"),
        (lambda m: m.add("database", 5432), TypeError, "the check of 'database' must be a function, .* not 5432"),
        (lambda m: m.add("", print), ValueError, "must be printable, and not empty: ''"),
        (lambda m: m.add("a\nb", print), ValueError, "must be printable"),
        (lambda m: m.add(3, print), TypeError, "the name of a service must be a text, not 3"),
        (lambda m: m.add("x", print, interval=0), ValueError, "interval=0 must be more than 0 seconds"),
        (lambda m: m.add("x", print, timeout=-1), ValueError, "timeout=-1 must be more than 0 seconds"),
        (lambda m: m.add("x", print, slow="1"), TypeError, "slow must be a number of seconds, not '1'"),
        (lambda m: m.add("x", print, failure_threshold=0), ValueError, "failure_threshold=0 must be at least 1"),
        (lambda m: ServiceMonitor(interval=0), ValueError, "interval=0 must be more than 0"),
        (lambda m: ServiceMonitor(recovery_timeout=0), ValueError, "recovery_timeout=0 must be more than 0"),
        (lambda m: ServiceMonitor(report_interval=0), ValueError, "report_interval=0 must be more than 0"),
        (lambda m: ServiceMonitor(jitter=2), ValueError, "jitter=2 must be from 0 to 1"),
        (lambda m: ServiceMonitor(jitter="0"), TypeError, "jitter must be a number from 0 to 1, not '0'"),
        (lambda m: setattr(m, "_check_interval", 0), ValueError, "interval=0 must be more than 0"),
    ],
)
def test_wrong_arguments_are_refused_at_once(
    make: Callable[[ServiceMonitor], Any], error: type[Exception], message: str
) -> None:
    """With the argument, the value and the remedy."""
    with pytest.raises(error, match=message):
        make(ServiceMonitor())


# For long.


def blocks_left(checks: int) -> int:
    """Return how many blocks of memory more are in use after so many checks of ten services than after a fifth."""
    steps = [None, None, 2.0, OSError(111, "x"), Degraded("x"), ValueError("x"), 20.0]
    scripts = [Script(None) for _ in range(10)]
    monitor = monitor_of(**{f"service {number}": script for number, script in enumerate(scripts)})

    async def watching() -> int:
        done, before = 0, 0
        async with monitor:
            while done < checks:
                for number, script in enumerate(scripts):
                    script.steps, script.times = [steps[(done // 1000 + number) % len(steps)]], []
                await asyncio.sleep(30 * 100)
                done = sum(script.calls for script in scripts)
                if not before and done >= checks // 5:
                    before = blocks()
            return blocks() - before

    return jumping_loop.run(watching())


def blocks() -> int:
    """Return how many blocks of memory are in use."""
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.parametrize("checks", [10_000, pytest.param(1_000_000, marks=pytest.mark.long)])
@pytest.mark.timeout(3000)
def test_memory_stays_flat(checks: int) -> None:
    """Whatever becomes of checks, nothing of them is kept."""
    logging.disable()
    try:
        assert blocks_left(checks) < 500
    finally:
        logging.disable(logging.NOTSET)
