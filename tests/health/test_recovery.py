"""Seven real services in one monitor: frozen, slow, rejecting and killed. Each change is logged in order, and once."""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import asyncpg
import boto3
import pytest

from concurrent_log.health import BreakerState, ServiceMonitor, ServiceStatus
from concurrent_log.health.breaker import is_async
from concurrent_log.health.checks import http, mysql, nats, postgres, rabbitmq, redis, s3
from support import postgres_cluster
from support.deadlines import DEADLINE
from support.private_services import DATABASE, PASSWORD, S3, USER, MariaDB, Nats, Pages, RabbitMQ, Redis
from support.records import wait_until

_HANG_TIMEOUT = 1  # seconds until a check of a frozen service fails
_RECOVERY_TIMEOUT = 4.0  # seconds; many skipped checks, so that no service is flapping
_SLOW, _DELAY = 1000, 2000  # seconds; no machine is that busy

_REJECTED = "the user name or password was rejected"
_NOT_FOUND = "the response has status 404 (Not Found)"
_BUCKET = "bucket-of-shop"

CreateCheck = Callable[..., Any]  # of a port, a password and a timeout

_delay: ContextVar[float] = ContextVar("_delay", default=0.0)


def clock() -> float:
    """Return the time of the monitor; in the task of a check that is slow on purpose, it is later."""
    return time.monotonic() + _delay.get()


class Subject:
    """A service with its checks: one that works, one that is rejected, and one that times out soon."""

    def __init__(self, service: Any, create: CreateCheck, rejection: str) -> None:
        self.service, self.rejection = service, rejection
        self.works = create(service.port, PASSWORD, DEADLINE)
        self.is_rejected = create(service.port, "wrong-password", DEADLINE)
        self.times_out_soon = create(service.port, PASSWORD, _HANG_TIMEOUT)
        self.is_running = False
        self._current: Any = self.works

    async def is_slow(self) -> None:
        """Check the service, and let that take long by the clock of the monitor."""
        await self._call(self.works)
        _delay.set(_DELAY)

    async def check(self) -> None:
        """Run the current check; while there is none, wait for one."""
        self.is_running = True
        while self._current is None:
            self.is_running = False
            await asyncio.sleep(0.01)
            self.is_running = True
        try:
            await self._call(self._current)
        finally:
            self.is_running = False

    def pause(self) -> None:
        """Let no check run, and wait for the end of the one that runs."""
        self._current = None
        wait_until(lambda: not self.is_running, DEADLINE)

    def use(self, check: str) -> None:
        """Choose the check for all further runs."""
        self._current = getattr(self, check)

    async def _call(self, check: Any) -> None:
        await (check() if is_async(check) else asyncio.to_thread(check))


def subjects_of(services: dict[str, Any]) -> dict[str, Subject]:
    """Return all services with their checks."""

    def by_url(check: Callable[..., Any], scheme: str, path: str = "") -> CreateCheck:
        return lambda port, password, timeout: check(
            f"{scheme}://{USER}:{password}@127.0.0.1:{port}{path}", timeout=timeout
        )

    def bucket(port: int, password: str, timeout: float) -> Any:
        name = _BUCKET if password == PASSWORD else "no-such-bucket"  # The server accepts any password.
        keys = {"access_key": USER, "secret_key": password}
        return s3(name, f"http://127.0.0.1:{port}", **keys, timeout=timeout)

    def page(port: int, password: str, timeout: float) -> Any:
        return http(f"http://127.0.0.1:{port}/{'' if password == PASSWORD else 'no-such-page'}", timeout=timeout)

    created = {
        "redis": (by_url(redis, "redis", "/1"), _REJECTED),
        "mariadb": (by_url(mysql, "mysql", f"/{DATABASE}"), _REJECTED),
        "postgres": (by_url(postgres, "postgresql", f"/{DATABASE}"), _REJECTED),
        "nats": (by_url(nats, "nats"), _REJECTED),
        "rabbitmq": (by_url(rabbitmq, "amqp", f"/{DATABASE}"), _REJECTED),
        "s3": (bucket, _NOT_FOUND),
        "web": (page, _NOT_FOUND),
    }
    return {name: Subject(services[name], create, rejection) for name, (create, rejection) in created.items()}


@pytest.fixture
def services(program: Callable[[str], str], skip_or_fail: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Return a private server of each kind."""
    found = postgres_cluster.programs()
    if found is None:
        skip_or_fail("initdb of PostgreSQL is not installed")
    assert found is not None
    cluster = postgres_cluster.Cluster(found, f"host all {USER} 127.0.0.1/32 scram-sha-256\n")
    created = {
        "redis": Redis(program),
        "mariadb": MariaDB(program),
        "postgres": cluster,
        "nats": Nats(program),
        "rabbitmq": RabbitMQ(program),
        "s3": S3(program),
        "web": Pages(program),
    }
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(created)) as threads:
        for started in [threads.submit(stack.enter_context, service) for service in created.values()]:
            started.result()
        asyncio.run(_add_user(cluster.create(DATABASE)))
        _create_bucket(created["s3"].port)
        yield created


async def _add_user(address: str) -> None:
    connection = await asyncpg.connect(address)
    await connection.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
    await connection.close()


def _create_bucket(port: int) -> None:
    keys = {"aws_access_key_id": USER, "aws_secret_access_key": PASSWORD}
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", **keys)
    client.create_bucket(Bucket=_BUCKET)
    client.close()


class Alerts(logging.Handler):
    """Stores the alerts of each service, from level INFO on."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.of: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.errors: dict[str, list[str]] = defaultdict(list)
        self.lines: list[str] = []

    def emit(self, record: Any) -> None:
        """Store one more."""
        health, event = record.health, record.health["event"]
        self.lines.append(record.getMessage())
        if event in ("status", "breaker"):
            self.of[health["service"]].append((event, health[event]))
            if health["status"] == "unhealthy" and event == "status":
                self.errors[health["service"]].append(health["error"])
        elif event in ("flapping", "settled"):
            self.of[health["service"]].append((event, ""))


@pytest.fixture
def alerts() -> Iterator[Alerts]:
    """Return the alerts that are logged during the test."""
    handler, logger = Alerts(), logging.getLogger("concurrent_log.health")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


_UP = [("status", "healthy")]
_DOWN = [("status", "degraded"), ("status", "unhealthy"), ("breaker", "open")]
_RECOVERED = [("status", "healthy"), ("breaker", "closed")]
_SLOW_FOR_A_WHILE = [("status", "degraded"), ("status", "healthy")]


# If its server is killed during a handshake, a client library sometimes leaves a connection to a destructor.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(900)
@pytest.mark.slow
def test_each_failure_and_recovery_is_logged_in_order_and_once(services: dict[str, Any], alerts: Alerts) -> None:
    """Each service is frozen, slow, rejecting and killed, and recovers each time."""
    subjects = subjects_of(services)
    monitor = ServiceMonitor(
        interval=0.05, timeout=2 * DEADLINE, slow=_SLOW, recovery_timeout=_RECOVERY_TIMEOUT, report_interval=None,
        clock=clock,
    )  # fmt: skip
    for name, subject in subjects.items():
        monitor.add(name, subject.check)
    with monitor:
        wait_for(monitor, ServiceStatus.HEALTHY)

        for subject in subjects.values():
            subject.pause()
            subject.service.freeze()
            subject.use("times_out_soon")
        wait_for(monitor, ServiceStatus.UNHEALTHY)
        for subject in subjects.values():
            subject.pause()
            subject.service.thaw()
        use(subjects, "works")
        wait_for(monitor, ServiceStatus.HEALTHY)

        use(subjects, "is_slow")
        wait_for(monitor, ServiceStatus.DEGRADED)
        use(subjects, "works")
        wait_for(monitor, ServiceStatus.HEALTHY)

        use(subjects, "is_rejected")
        wait_for(monitor, ServiceStatus.UNHEALTHY)
        use(subjects, "works")
        wait_for(monitor, ServiceStatus.HEALTHY)

        for subject in subjects.values():
            subject.service.kill()
        wait_for(monitor, ServiceStatus.UNHEALTHY)
        with ThreadPoolExecutor(len(subjects)) as threads:
            list(threads.map(lambda subject: subject.service.start(), subjects.values()))
        _create_bucket(services["s3"].port)
        wait_for(monitor, ServiceStatus.HEALTHY)

    events = [*_UP, *_DOWN, *_RECOVERED, *_SLOW_FOR_A_WHILE, *_DOWN, *_RECOVERED, *_DOWN, *_RECOVERED]
    for name, subject in subjects.items():
        assert alerts.of[name] == events, name
        assert alerts.errors[name][:2] == ["timed out", subject.rejection], name
        assert alerts.errors[name][2:] in (["connection refused"], ["connection reset by peer"]), name
    secrets = [USER, PASSWORD, DATABASE, _BUCKET, "127.0.0.1", *(str(service.port) for service in services.values())]
    assert not [line for line in alerts.lines if any(secret in line for secret in secrets)]


def use(subjects: dict[str, Subject], check: str) -> None:
    """Choose this check for all services."""
    for subject in subjects.values():
        subject.use(check)


def wait_for(monitor: ServiceMonitor, status: ServiceStatus) -> None:
    """Wait until all services have this status, and their breakers the state that goes with it."""
    wanted = BreakerState.OPEN if status is ServiceStatus.UNHEALTHY else BreakerState.CLOSED

    def has_status(name: str) -> bool:
        health = monitor.snapshot()[name]
        return health.status is status and (health.breaker is wanted or status is ServiceStatus.UNHEALTHY)

    for name in monitor.snapshot():
        try:
            wait_until(lambda name=name: has_status(name), DEADLINE)
        except AssertionError:
            pytest.fail(f"{name} is {monitor.snapshot()[name]}, and not {status}")
