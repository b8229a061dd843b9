"""The monitor: its findings, its log records, and checks that misbehave."""

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
from concurrent_log.health.check_loop import CheckLoop
from concurrent_log.health.check_runner import CheckOutcome
from concurrent_log.health.service import Service
from support import jumping_loop
from support.deadlines import DEADLINE

HEALTHY, DEGRADED, UNHEALTHY, UNKNOWN = (
    ServiceStatus.HEALTHY,
    ServiceStatus.DEGRADED,
    ServiceStatus.UNHEALTHY,
    ServiceStatus.UNKNOWN,
)
FOREVER = 1e9  # seconds


class Script:
    """A check with one step for each call; further calls repeat the last one."""

    def __init__(self, *steps: "float | BaseException | None") -> None:
        self.steps, self.calls, self.times = list(steps), 0, []

    async def __call__(self) -> None:
        """Raise, sleep or return, according to the next step."""
        self.times.append(asyncio.get_running_loop().time())
        step = self.steps[min(self.calls, len(self.steps) - 1)]
        self.calls += 1
        if isinstance(step, BaseException):
            raise type(step)(*step.args)  # Raising the same object again would extend its traceback.
        if step:
            await asyncio.sleep(step)


class LoopClock:
    """The time of the running event loop; without one, the last time that it returned."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        with contextlib.suppress(RuntimeError):
            self.now = asyncio.get_running_loop().time()
        return self.now


class ListHandler(logging.Handler):
    """Stores all records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Store one more."""
        self.records.append(record)


@pytest.fixture
def records() -> Iterator[list[Any]]:
    """Return the records of the logger of the monitor."""
    logger, handler = logging.getLogger("concurrent_log.health"), ListHandler()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.records
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)


def monitor_of(**services: Any) -> ServiceMonitor:
    """Return a monitor with the clock of the event loop, without jitter and reports."""
    monitor = ServiceMonitor(jitter=0, report_interval=None, clock=LoopClock())
    for name, check in services.items():
        monitor.add(name, check)
    return monitor


def run_monitor(monitor: ServiceMonitor, seconds: float, *then: Callable[[], Any]) -> None:
    """Run the monitor for this many virtual seconds, and call ``then`` in between, at equal intervals."""

    async def run() -> None:
        async with monitor:
            for step in then:
                await asyncio.sleep(seconds / (len(then) + 1))
                step()
            await asyncio.sleep(seconds / (len(then) + 1))

    jumping_loop.run(run())


def logged(records: list[Any], *events: str) -> list[tuple[str, str]]:
    """Return levels and messages of these events; by default, of all but the start, the end and the summaries."""
    wanted = events or ("status", "breaker", "flapping", "settled")
    return [(record.levelname, record.getMessage()) for record in records if record.health["event"] in wanted]


def test_public_names_are_pinned() -> None:
    """Adding or removing a public name changes this list."""
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


def test_failure_and_recovery_are_logged_once_each(records: list[Any]) -> None:
    """Three failures, the breaker opens, a trial fails, another one succeeds: in order, with their levels."""
    check = Script(None, None, *[ConnectionRefusedError(111, "10.0.0.5:5432")] * 4, None)
    run_monitor(monitor_of(database=check), 899)

    assert check.times == [0, 30, 60, 90, 120, 420, 720, 750, 780, 810, 840, 870]
    assert logged(records) == [
        ("INFO", "database is healthy: 0 ms"),
        ("WARNING", "database is degraded: connection refused (1 failure)"),
        ("ERROR", "database is unhealthy: connection refused (3 failures in a row)"),
        ("WARNING", "the circuit breaker of database is open: next attempt in 300 s"),
        ("DEBUG", "the circuit breaker of database is half-open: it allows one attempt"),
        ("DEBUG", "the circuit breaker of database is open: next attempt in 300 s"),
        ("DEBUG", "the circuit breaker of database is half-open: it allows one attempt"),
        ("INFO", "database is healthy again: 0 ms, after 4 failures in a row"),
        ("INFO", "the circuit breaker of database is closed again"),
    ]


def test_records_have_fields(records: list[Any]) -> None:
    """Handlers can filter and count by fields, without parsing messages."""
    run_monitor(monitor_of(cache=Script(OSError(111, "x"))), 61)

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


def test_snapshot_contains_the_health() -> None:
    """Before the first check, after a success, and after a failure."""
    monitor = monitor_of(cache=Script(0.25, OSError(111, "x")))
    assert monitor.snapshot() == {"cache": ServiceHealth("cache")}
    found: list[ServiceHealth] = []
    run_monitor(monitor, 40, lambda: found.append(monitor.snapshot()["cache"]))

    first, second = found[0], monitor.snapshot()["cache"]
    assert (first.status, first.response_time_ms, first.error_message) == (HEALTHY, 250, None)
    assert first.last_check == first.last_success is not None
    assert (second.status, second.consecutive_failures, second.error_message) == (DEGRADED, 1, "connection refused")
    assert second.last_success == first.last_success


def test_slow_check_and_warning_degrade(records: list[Any]) -> None:
    """Both services work, so neither result counts as a failure or opens the breaker."""
    monitor = monitor_of(cache=Script(1.5), disk=Script(Degraded("nearly full")))
    run_monitor(monitor, 200)

    cache, disk = monitor.snapshot().values()
    assert (cache.status, cache.consecutive_failures, cache.error_message) == (DEGRADED, 0, "slow (more than 1000 ms)")
    assert (disk.status, disk.breaker, disk.error_message) == (DEGRADED, BreakerState.CLOSED, "nearly full")
    assert logged(records) == [
        ("WARNING", "disk is degraded: nearly full, 0 ms"),
        ("WARNING", "cache is degraded: slow (more than 1000 ms), 1500 ms"),
    ]


def test_hanging_check_fails_and_affects_no_other() -> None:
    """It is cancelled after its timeout, and the other service is checked as usual."""
    hanging, other = Script(FOREVER), Script(None)
    monitor = monitor_of(hanging=hanging, other=other)
    run_monitor(monitor, 299)

    assert hanging.calls == 3
    assert other.calls == 10
    assert monitor.snapshot()["hanging"].error_message == "timed out after 10 s"
    assert monitor.snapshot()["hanging"].response_time_ms == 10_000


def test_check_that_ignores_its_cancellation_is_not_started_again(records: list[Any]) -> None:
    """A check never runs twice at the same time, and the monitor stops without waiting for it."""
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

    async def run() -> float:
        async with monitor_of(stubborn=stubborn):
            await asyncio.sleep(65)
        stopped = asyncio.get_running_loop().time()
        await asyncio.sleep(100)  # The loop continues, and the check ends by itself.
        return stopped

    stopped = jumping_loop.run(run())

    assert stopped == 66
    assert (most, running) == (1, 0)
    assert ("ERROR", "stubborn is unhealthy: the previous check has not ended yet (3 failures in a row)") in logged(
        records
    )


@pytest.mark.parametrize("seconds", [5, 10.2])
def test_check_has_cleaned_up_when_the_monitor_has_stopped(seconds: float) -> None:
    """Both a running check and one that was cancelled just before can clean up."""
    cleaned = []

    async def check() -> None:
        try:
            await asyncio.sleep(FOREVER)
        finally:
            await asyncio.sleep(0.5)
            cleaned.append(True)

    async def run() -> list[bool]:
        async with monitor_of(service=check):
            await asyncio.sleep(seconds)
        return cleaned.copy()

    assert jumping_loop.run(run()) == [True]


def test_bug_in_the_monitor_does_not_end_the_checks(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is reported on stderr, and the service is checked again."""
    check = Script(None)
    record = Service._record

    def fail_once(service: Service, outcome: CheckOutcome) -> BaseException | None:
        if check.calls == 1:
            raise ZeroDivisionError
        return record(service, outcome)

    monkeypatch.setattr(Service, "_record", fail_once)
    monitor = monitor_of(service=check)
    run_monitor(monitor, 40)

    assert monitor.snapshot()["service"].status is HEALTHY
    assert "the check of 'service' was interrupted by ZeroDivisionError" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("a queue of 5000"), "ValueError: a queue of 5000"),
        (CheckFailed("a queue of 5000"), "a queue of 5000"),
        (SystemExit(3), "the check tried to exit the program"),
        (asyncio.CancelledError(), "the check cancelled itself"),
        (StopIteration(), "RuntimeError: coroutine raised StopIteration"),
        (TimeoutError(), "TimeoutError"),
        (Exception("one\n two\t three"), "Exception: one two three"),
        (Exception("in \x1b[31mred\x1b[0m"), "Exception: in \ufffd\\[31mred\ufffd\\[0m"),
        (socket.gaierror(-2, "Name or service not known"), "the host name cannot be resolved"),
        (Exception("x" * 1000), "Exception: x{288}…"),
        (Exception("no postgresql://shop:secret@10.1.2.3/shop here"), "Exception: no postgresql://… here"),
        (Exception("host=10.1.2.3:5432 password=secret token: abc"), "Exception: host=… password=… token: …"),
        (OSError("Multiple exceptions: Connect call failed ('::1', 5432, 0, 0)"), r"OSError: .* call failed \(…\)"),
        (ConnectionError("the peer has gone"), "ConnectionError: the peer has gone"),
        (OSError(111, "Connect call failed ('127.0.0.1', 5432)"), "connection refused"),
    ],
)
def test_any_exception_of_a_check_is_described_in_one_line(error: BaseException, message: str) -> None:
    """The line contains no addresses or passwords, and the service is checked again."""
    check = Script(error)
    monitor = monitor_of(service=check)
    run_monitor(monitor, 40)

    assert check.calls == 2
    assert re.fullmatch(message, monitor.snapshot()["service"].error_message or "")


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
def test_messages_of_libraries_are_redacted(text: str) -> None:
    """The messages of drivers, clients and parsers of settings contain hosts, users and passwords."""
    monitor = monitor_of(service=Script(Exception(text)))
    run_monitor(monitor, 1)
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
        "models.py:12: someone@example.com was not notified",
    ],
)
def test_ordinary_words_are_not_redacted(text: str) -> None:
    """The log must say what is wrong."""
    monitor = monitor_of(service=Script(Exception(text)))
    run_monitor(monitor, 1)

    assert monitor.snapshot()["service"].error_message == f"Exception: {text}"


def test_error_whose_str_fails_is_described_by_its_class() -> None:
    """A check may raise anything, even an exception whose ``__str__`` raises."""

    class SilentError(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    monitor = monitor_of(service=Script(SilentError()))
    run_monitor(monitor, 1)

    assert monitor.snapshot()["service"].error_message == "SilentError"


def test_only_false_is_a_failure() -> None:
    """A function that returns whether a service works is a check."""

    async def result(value: object) -> object:
        return value

    monitor = monitor_of(
        no=lambda: result(False), yes=lambda: result(True), nothing=lambda: result(None), zero=lambda: result(0)
    )

    async def checking() -> list[ServiceStatus]:
        return [health.status for health in (await monitor.check_all()).values()]

    assert jumping_loop.run(checking()) == [DEGRADED, HEALTHY, HEALTHY, HEALTHY]
    assert monitor.snapshot()["no"].error_message == "the check returned False"


def test_flapping_is_logged_once(records: list[Any]) -> None:
    """Further changes are logged as DEBUG, until ten checks in a row change nothing."""
    steps: list[BaseException | None] = [None, OSError(111, "x")] * 20
    run_monitor(monitor_of(link=Script(*steps, None)), 30 * 60)

    messages = logged(records)
    assert [level for level, _ in messages[:6]] == ["INFO", "WARNING", "INFO", "WARNING", "INFO", "WARNING"]
    assert messages[5] == (
        "WARNING",
        "link is flapping: 6 status changes within 20 checks; further changes are logged as DEBUG",
    )
    assert {level for level, _ in messages[6:-1]} == {"DEBUG"}
    assert messages[-1] == ("INFO", "link has stopped flapping: healthy: 0 ms")


def test_flapping_service_that_stays_unhealthy_is_logged_as_an_error(records: list[Any]) -> None:
    """Checks that the breaker skips count as well, so that this does not take an hour."""
    steps: list[BaseException | None] = [None, OSError(111, "x")] * 5
    run_monitor(monitor_of(link=Script(*steps, OSError(111, "x"))), 30 * 24)

    assert logged(records, "settled") == [
        ("ERROR", "link has stopped flapping: unhealthy: connection refused (4 failures in a row)")
    ]


def test_repeated_failures_are_summarised(records: list[Any]) -> None:
    """Every five minutes, one record at level INFO summarises all services."""
    monitor = ServiceMonitor(jitter=0, clock=LoopClock())
    monitor.add("database", Script(OSError(111, "x")))
    monitor.add("cache", Script(None))
    run_monitor(monitor, 1000)

    assert logged(records, "started", "report", "stopped") == [
        ("INFO", "monitoring has started: database unknown, cache unknown"),
        ("INFO", "services: database unhealthy (3 failures in a row), 1 healthy"),
        ("INFO", "services: database unhealthy (4 failures in a row), 1 healthy"),
        ("INFO", "services: database unhealthy (5 failures in a row), 1 healthy"),
        ("INFO", "monitoring has stopped: database unhealthy (6 failures in a row), 1 healthy"),
    ]
    assert [each["service"] for each in records[-1].health["services"]] == ["database", "cache"]


def test_many_services_are_summarised_in_several_records(records: list[Any]) -> None:
    """At most fifty in a record, so that its size is limited."""
    run_monitor(monitor_of(**{f"service {number}": Script(None) for number in range(120)}), 1)

    stopped = [record for record in records if record.health["event"] == "stopped"]
    assert [len(record.health["services"]) for record in stopped] == [50, 50, 20]
    assert [record.getMessage() for record in stopped][2] == "monitoring has stopped: 20 healthy"


def test_service_that_is_not_critical_is_a_warning(records: list[Any]) -> None:
    """It makes the overall status degraded at worst."""
    monitor = ServiceMonitor(jitter=0, report_interval=None)
    monitor.add("mail", Script(OSError(111, "x")), critical=False, failure_threshold=1)
    monitor.add("database", Script(None))
    assert monitor.status is UNKNOWN

    run_monitor(monitor, 1)

    assert monitor.snapshot()["mail"].status is UNHEALTHY
    assert monitor.status is DEGRADED
    assert ("WARNING", "mail is unhealthy: connection refused (1 failure)") in logged(records)
    assert ServiceMonitor().status is HEALTHY


def test_service_can_override_the_settings_of_the_monitor() -> None:
    """Other services use the settings that the monitor has at the time of the check."""
    fast, usual = Script(OSError(111, "x")), Script(OSError(111, "x"))
    monitor = monitor_of(usual=usual)
    monitor.add("fast", fast, interval=1, failure_threshold=5, recovery_timeout=20, timeout=1, slow=0.1)

    async def run() -> None:
        async with monitor:
            await asyncio.sleep(25)
            monitor._check_interval, monitor._failure_threshold, monitor._recovery_timeout = 60, 2, 600
            await asyncio.sleep(700)

    jumping_loop.run(run())

    assert fast.times[:7] == [0, 1, 2, 3, 4, 24, 44]
    assert usual.times == [0, 30, 630]


def test_intervals_are_spread_and_do_not_drift_apart() -> None:
    """Many checks with the same interval do not start at the same time, not even at the beginning."""
    checks = [Script(0.5) for _ in range(100)]
    monitor = ServiceMonitor(report_interval=None, clock=LoopClock())
    for number, check in enumerate(checks):
        monitor.add(str(number), check)
    run_monitor(monitor, 900)

    firsts = {check.times[0] for check in checks}
    pauses = [later - earlier for check in checks for earlier, later in itertools.pairwise(check.times)]
    assert len(firsts) == 100
    assert 0 <= min(firsts) < max(firsts) <= 3
    assert 27 <= min(pauses) < max(pauses) <= 33.000001
    assert 29.5 < sum(pauses) / len(pauses) < 30.5


def test_check_that_takes_longer_than_its_interval_is_repeated_at_once() -> None:
    """It never runs twice at the same time."""
    check = Script(7.0)
    monitor = monitor_of()
    monitor.add("slow", check, interval=5)
    run_monitor(monitor, 30)

    assert check.times == [0, 7, 14, 21, 28]


def test_services_can_be_added_and_removed_while_it_runs(records: list[Any]) -> None:
    """A removed service is no longer checked, and its name can be used again."""
    old, new = Script(None), Script(FOREVER, None)
    monitor = monitor_of(service=old)

    def replace() -> None:
        monitor.remove("service")
        monitor.add("service", new)

    run_monitor(monitor, 100, replace)

    assert old.times == [0, 30]
    assert new.times == [50, 80]
    for method in (monitor.remove, monitor.breaker):
        with pytest.raises(KeyError, match="no service is named 'other'; the services are: service"):
            method("other")


def test_calls_of_the_program_count(records: list[Any]) -> None:
    """Their failures open the breaker for checks, too, and are logged once."""
    check = Script(None)
    monitor = monitor_of(database=check)

    def fail() -> None:
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError), monitor.breaker("database").calling():
                raise ConnectionRefusedError(111, "10.0.0.5:5432")
        with pytest.raises(CircuitOpenError):
            monitor.breaker("database").calling().begin()

    run_monitor(monitor, 80, fail)
    health = monitor.snapshot()["database"]

    assert check.times == [0, 30]
    assert (health.status, health.error_message, health.breaker) == (UNHEALTHY, "connection refused", BreakerState.OPEN)
    assert logged(records)[1:] == [
        ("ERROR", "database is unhealthy: connection refused, 0 ms"),
        ("WARNING", "the circuit breaker of database is open: next attempt in 300 s"),
    ]


def test_trial_that_fails_after_calls_of_the_program_did_changes_nothing(records: list[Any]) -> None:
    """It is the first check that fails, and the service is already unhealthy."""
    monitor = monitor_of(database=Script(None, OSError(111, "x")))

    def fail() -> None:
        for _ in range(3):
            with pytest.raises(ConnectionError), monitor.breaker("database").calling():
                raise ConnectionError

    run_monitor(monitor, 20, fail)
    records.clear()
    run_monitor(monitor, 700)

    assert monitor.snapshot()["database"].consecutive_failures >= 1
    assert logged(records, "status") == []


def test_success_of_the_program_closes_the_breaker_for_both(records: list[Any]) -> None:
    """A successful call of the program closes it before the next check."""
    check = Script(OSError(111, "x"))
    monitor = monitor_of(database=check)

    def succeed() -> None:
        with monitor.breaker("database").calling():
            pass

    run_monitor(monitor, 720, succeed)

    assert check.times[:4] == [0, 30, 60, 360]
    assert ("INFO", "database is healthy again: 0 ms, after 3 failures in a row") in logged(records)


def test_filter_that_fails_does_not_stop_it(records: list[Any], capfd: pytest.CaptureFixture[str]) -> None:
    """A message that cannot be logged is printed on stderr."""
    check = Script(None)

    def fail(record: logging.LogRecord) -> bool:
        raise ZeroDivisionError

    logger = logging.getLogger("concurrent_log.health")
    logger.addFilter(fail)
    try:
        run_monitor(monitor_of(service=check), 100)
    finally:
        logger.removeFilter(fail)

    assert check.calls == 4
    assert "service is healthy: 0 ms [logging this failed: ZeroDivisionError]" in capfd.readouterr().err


# In threads.


@pytest.fixture
def threaded() -> Iterator[ServiceMonitor]:
    """Return a monitor that checks every 10 milliseconds in its thread, and is stopped after the test."""
    monitor = ServiceMonitor(interval=0.01, timeout=DEADLINE, slow=DEADLINE, report_interval=None)
    yield monitor
    monitor.stop(DEADLINE)


def test_plain_program_is_monitored_from_a_thread(threaded: ServiceMonitor, records: list[Any]) -> None:
    """Plain functions run in their own threads, async ones in the event loop of the monitor."""
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
        assert plain.acquire(timeout=DEADLINE)
        assert in_loop.acquire(timeout=DEADLINE)
    assert threaded.is_running
    threaded.stop(DEADLINE)
    threaded.stop(DEADLINE)

    assert not threaded.is_running
    assert names == {"concurrent_log check", "concurrent_log health"}
    assert len(logged(records, "started")) == len(logged(records, "stopped")) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "concurrent_log health"]


def test_thread_that_hangs_is_not_started_again(threaded: ServiceMonitor, records: list[Any]) -> None:
    """It cannot be cancelled. When it ends by itself, the service is checked again."""
    running = threading.Semaphore(1)
    release, is_down, has_recovered = threading.Event(), threading.Event(), threading.Event()

    @threaded.check("hanging", timeout=0.01, failure_threshold=2, recovery_timeout=0.01)
    def hang() -> None:
        assert running.acquire(blocking=False), "two at once"
        release.wait()
        running.release()

    @threaded.check("observer")
    def observe() -> None:
        health = threaded.snapshot()["hanging"]
        if health.consecutive_failures > 5:
            is_down.set()
        if health.status is HEALTHY:
            has_recovered.set()

    threaded.start()
    assert is_down.wait(DEADLINE)
    assert threaded.snapshot()["hanging"].error_message == "the previous check has not ended yet"
    release.set()
    assert has_recovered.wait(DEADLINE)

    assert "two at once" not in str(records)


def test_coroutine_of_an_overdue_thread_is_closed(threaded: ServiceMonitor) -> None:
    """No code awaits it, and Python would print a warning."""
    release, created = threading.Event(), []

    async def ping() -> None:
        pass

    def check() -> Any:
        release.wait()
        created.append(ping())
        return created[-1]

    async def until_it_is_overdue() -> None:
        await threaded.check_all()
        release.set()
        while not created or inspect.getcoroutinestate(created[0]) != inspect.CORO_CLOSED:
            await asyncio.sleep(0)

    threaded.add("overdue", check, timeout=0.01)
    asyncio.run(asyncio.wait_for(until_it_is_overdue(), DEADLINE))

    assert threaded.snapshot()["overdue"].error_message == "timed out after 0.01 s"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, BaseException])
@pytest.mark.parametrize("is_async", [True, False])
def test_any_exception_opens_the_breaker_and_affects_no_other(
    threaded: ServiceMonitor, error: type[BaseException], is_async: bool
) -> None:
    """This includes a `BaseException`, which ends event loops, and which breakers ignore."""
    other = threading.Semaphore(0)

    def plain() -> None:
        raise error

    async def in_loop() -> None:
        raise error

    threaded.add("odd", in_loop if is_async else plain, failure_threshold=1)
    threaded.start()
    threaded.add("other", other.release)
    for _ in range(3):
        assert other.acquire(timeout=DEADLINE)
    threaded.stop(DEADLINE)

    assert threaded.snapshot()["odd"].breaker is BreakerState.OPEN


def test_it_can_be_stopped_and_started_again(threaded: ServiceMonitor) -> None:
    """It can start in another event loop, too."""
    for _ in range(3):
        checked = threading.Event()
        with threaded:
            threaded.add("service", checked.set)
            assert checked.wait(DEADLINE)
        threaded.remove("service")

    async def in_loop() -> None:
        checked = asyncio.Event()
        async with threaded:
            threaded.add("service", lambda: asyncio.sleep(0, checked.set()))
            await asyncio.wait_for(checked.wait(), DEADLINE)

    asyncio.run(in_loop())
    threaded.remove("service")
    asyncio.run(in_loop())

    assert not threaded.is_running


def test_it_starts_again_after_its_loop_was_closed_during_a_check() -> None:
    """It was not stopped there, and the tasks of that loop never end."""
    started: list[int] = []

    async def check() -> None:
        started.append(1)
        await asyncio.sleep(FOREVER if len(started) == 1 else 0)

    async def until(checks: int) -> None:
        await monitor.start_monitoring()
        while len(started) < checks:
            await asyncio.sleep(0)

    monitor = ServiceMonitor(interval=0.01, jitter=0, report_interval=None)
    monitor.add("service", check)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(until(1))
    remaining = asyncio.all_tasks(loop)
    loop.close()
    assert not monitor.is_running

    asyncio.run(until(3))

    assert len(started) >= 3
    for task in remaining:  # asyncio would log them.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        with contextlib.suppress(RuntimeError):
            task.get_coro().close()  # type: ignore[union-attr]


def test_monitor_in_a_thread_can_be_stopped_from_a_loop(threaded: ServiceMonitor) -> None:
    """The loop is not blocked in the meantime."""
    threaded.start()
    asyncio.run(threaded.stop_monitoring())

    assert not threaded.is_running


def test_many_threads_that_start_it_start_it_once(threaded: ServiceMonitor, records: list[Any]) -> None:
    """A second check loop would check everything twice, and could not be stopped."""
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
        threaded.stop(DEADLINE)

        assert len(logged(records, "started")) == len(logged(records, "stopped")) == number + 1


def test_monitor_in_a_loop_can_be_stopped_from_elsewhere(threaded: ServiceMonitor) -> None:
    """A plain thread can stop it, and so can another loop, which waits for the end."""

    async def run(stop: Callable[[], Any]) -> None:
        await threaded.start_monitoring()
        await asyncio.get_running_loop().run_in_executor(None, stop)
        while threaded.is_running:
            await asyncio.sleep(0)

    def stop_in_another_loop() -> None:
        asyncio.run(threaded.stop_monitoring())
        assert not threaded.is_running

    for stop in (threaded.stop, stop_in_another_loop):
        asyncio.run(asyncio.wait_for(run(stop), DEADLINE))


def test_many_added_services_cause_one_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ten thousand services, one update for each would block the loop for minutes."""
    updates, update = [], CheckLoop._update
    monkeypatch.setattr(CheckLoop, "_update", lambda check_loop: (updates.append(1), update(check_loop)))
    checks = [Script(None) for _ in range(100)]
    monitor = monitor_of()
    run_monitor(monitor, 10, lambda: [monitor.add(f"service {number}", check) for number, check in enumerate(checks)])

    assert [check.calls for check in checks] == [1] * 100
    assert len(updates) == 2  # at the start, and once more


def test_services_are_added_from_many_threads(threaded: ServiceMonitor) -> None:
    """Each is added once, and all are checked."""
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
        assert checked.acquire(timeout=DEADLINE)

    assert len(threaded.snapshot()) == 25


def test_concurrent_checks_of_a_service_run_it_once(threaded: ServiceMonitor) -> None:
    """`check_all` skips a service whose check is running. The skipped check has no outcome."""
    started, release = threading.Event(), threading.Event()
    calls = []

    def check() -> None:
        calls.append(1)
        started.set()
        release.wait()

    threaded.add("service", check)
    threaded.start()
    assert started.wait(DEADLINE)
    found = asyncio.run(threaded.check_all())
    release.set()

    assert found["service"].status is UNKNOWN
    assert len(calls) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_child_starts_its_own(threaded: ServiceMonitor) -> None:
    """The thread does not exist in a forked child, which can start the monitor again, even if a check was running."""
    started, release = threading.Event(), threading.Event()

    def check() -> None:
        started.set()
        release.wait()

    threaded.add("service", check)
    threaded.start()
    assert started.wait(DEADLINE)
    release.set()
    child = os.fork()
    if child == 0:
        was_running, checked = threaded.is_running, threading.Event()
        threaded.add("other", checked.set)
        threaded.start()
        before = threaded.snapshot()["service"].last_check
        deadline = time.monotonic() + DEADLINE
        while threaded.snapshot()["service"].last_check == before and time.monotonic() < deadline:
            time.sleep(0.01)
        is_checked = threaded.snapshot()["service"].last_check != before
        os._exit(0 if not was_running and checked.wait(DEADLINE) and is_checked else 1)

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


def test_program_exits_although_a_check_hangs(tmp_path: pathlib.Path) -> None:
    """Without `stop`, the monitor logs its end, and neither its thread nor the check keeps the program alive."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", _PROGRAM]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE)

    assert run.returncode == 0
    assert run.stderr.splitlines() == [
        "monitoring has started: hanging unknown",
        "monitoring has stopped: hanging unknown",
    ]


# Subclasses.


class Shop(ServiceMonitor):
    """A subclass with one method for each service."""

    def __init__(self) -> None:
        super().__init__(jitter=0, report_interval=None)
        self.checked: list[str] = []

    async def _check_custom_service(self, service_name: str) -> None:
        self.checked.append(service_name)
        self._record_success(service_name, 12.5)

    async def _check_broken(self, service_name: str) -> None:
        self._record_failure(service_name, "no response from redis://:secret@10.0.0.1/0", 7.0)

    def _check_by_result(self, service_name: str) -> bool:
        return False

    async def _check_all_services(self) -> None:
        await super()._check_all_services()


def test_methods_of_a_subclass_are_checks() -> None:
    """Each receives the name of its service, and the outcome that it records counts."""
    shop = Shop()
    asyncio.run(shop._check_all_services())
    health = shop._service_health

    assert shop.checked == ["custom_service"]
    assert sorted(health) == ["broken", "by_result", "custom_service"]
    assert (health["custom_service"].status, health["custom_service"].response_time_ms) == (HEALTHY, 12.5)
    assert (health["broken"].error_message, health["broken"].response_time_ms) == ("no response from redis://…", 7.0)
    assert health["by_result"].error_message == "the check returned False"


def test_recorded_outcome_is_kept_when_another_check_is_requested() -> None:
    """`check_all` during a check does not discard the outcome that the check has recorded."""

    class Slow(ServiceMonitor):
        async def _check_service(self, service_name: str) -> None:
            self._record_failure(service_name, "no response", 1.0)
            await self.check_all()

    assert asyncio.run(Slow().check_all())["service"].error_message == "no response"


def test_outcome_can_be_recorded_outside_of_a_check() -> None:
    """An outcome that the program records itself counts like that of a check."""
    shop = Shop()
    for _ in range(3):
        shop._record_failure("broken", "no response", 1.0)

    assert shop.snapshot()["broken"].status is UNHEALTHY
    assert shop.breaker("broken").state is BreakerState.OPEN


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda m: m.add("database", print) or m.add("database", print),
            ValueError,
            "'database' already exists",
        ),
        (
            lambda m: m.add("database", 5432),
            TypeError,
            "check of 'database' must be a function, or a URL .* not 5432",
        ),
        (lambda m: m.add("", print), ValueError, "must be printable, and not empty: ''"),
        (lambda m: m.add("a\nb", print), ValueError, "must be printable"),
        (lambda m: m.add(3, print), TypeError, "the name of a service must be a string, not 3"),
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
def test_invalid_arguments_raise_at_once(
    call: Callable[[ServiceMonitor], Any], error: type[Exception], message: str
) -> None:
    """The error names the argument, the value and the remedy."""
    with pytest.raises(error, match=message):
        call(ServiceMonitor())


# Long runs.


def growth(checks: int) -> int:
    """Return by how many blocks the used memory grows in the last four fifths of this many checks of ten services."""
    steps = [None, None, 2.0, OSError(111, "x"), Degraded("x"), ValueError("x"), 20.0]
    scripts = [Script(None) for _ in range(10)]
    monitor = monitor_of(**{f"service {number}": script for number, script in enumerate(scripts)})

    async def run() -> int:
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

    return jumping_loop.run(run())


def blocks() -> int:
    """Return the number of used memory blocks."""
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.parametrize("checks", [10_000, pytest.param(1_000_000, marks=pytest.mark.long)])
@pytest.mark.timeout(3000)
def test_memory_stays_flat(checks: int) -> None:
    """The memory does not grow, whatever the outcomes of the checks."""
    logging.disable()
    try:
        assert growth(checks) < 500
    finally:
        logging.disable(logging.NOTSET)
