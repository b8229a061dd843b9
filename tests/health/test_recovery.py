"""What the monitor says of real services that hang, are slow, refuse, die, and come back: in order, each once."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import boto3
import pytest

from concurrent_log.health import BreakerState, ServiceMonitor, ServiceStatus
from concurrent_log.health.breaker import is_async
from concurrent_log.health.checks import http, mysql, nats, postgres, rabbitmq, redis, s3
from support import postgres_cluster
from support.private_services import DATABASE, PASSWORD, S3, USER, MariaDB, Nats, Pages, RabbitMQ, Redis, Relay
from support.records import wait_until

_PATIENCE = 90  # seconds for what takes some, on a busy machine
_TIMEOUT = 4  # seconds until a check of a frozen service gives up
_SLOW, _DELAY = 2.5, 3.0  # seconds
_LEFT_ALONE = 2.0  # seconds

_REFUSED = "the user or password is refused"
_BUCKET = "bucket-of-shop"

Make = Callable[[int, str], Any]  # of a port and a password


class Subject:
    """A service with its checks: of itself, with a wrong password, and by a way that is slow."""

    def __init__(self, service: Any, make: Make, slow_port: int, refusal: str) -> None:
        self.service, self.refusal = service, refusal
        self.works = make(service.port, PASSWORD)
        self.refuses = make(service.port, "wrong-password")
        self.is_slow = make(slow_port, PASSWORD)
        self.current = self.works

    def check(self) -> Callable[[], Any]:
        """Return what checks it in the way that is chosen."""

        async def check_async() -> None:
            await self.current()

        return check_async if is_async(self.works) else lambda: self.current()


def subjects_of(services: dict[str, Any], slow: dict[str, int]) -> dict[str, Subject]:
    """Return all services with their checks."""

    def url(scheme: str, path: str = "") -> Callable[[int, str], str]:
        return lambda port, password: f"{scheme}://{USER}:{password}@127.0.0.1:{port}{path}"

    def by_url(check: Callable[..., Any], scheme: str, path: str = "") -> Make:
        return lambda port, password: check(url(scheme, path)(port, password), timeout=_TIMEOUT)

    def bucket(port: int, password: str) -> Any:
        name = _BUCKET if password == PASSWORD else "no-such-bucket"  # The server takes any password.
        keys = {"access_key": USER, "secret_key": password}
        return s3(name, f"http://127.0.0.1:{port}", **keys, timeout=_TIMEOUT)

    def page(port: int, password: str) -> Any:
        return http(f"http://127.0.0.1:{port}/{'' if password == PASSWORD else 'no-such-page'}", timeout=_TIMEOUT)

    makes = {
        "redis": (by_url(redis, "redis", "/1"), _REFUSED),
        "mariadb": (by_url(mysql, "mysql", f"/{DATABASE}"), _REFUSED),
        "postgres": (by_url(postgres, "postgresql", f"/{DATABASE}"), _REFUSED),
        "nats": (by_url(nats, "nats"), _REFUSED),
        "rabbitmq": (by_url(rabbitmq, "amqp", f"/{DATABASE}"), _REFUSED),
        "s3": (bucket, "the answer has the status 404 (Not Found)"),
        "web": (page, "the answer has the status 404 (Not Found)"),
    }
    return {name: Subject(services[name], make, slow[name], refusal) for name, (make, refusal) in makes.items()}


@pytest.fixture
def services(program: Callable[[str], str], skip_or_fail: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Return a private server of each kind."""
    found = postgres_cluster.programs()
    if found is None:
        skip_or_fail("PostgreSQL's initdb is not there: install it")
    assert found is not None
    cluster = postgres_cluster.Cluster(found, f"host all {USER} 127.0.0.1/32 scram-sha-256\n")
    made = {
        "redis": Redis(program),
        "mariadb": MariaDB(program),
        "postgres": cluster,
        "nats": Nats(program),
        "rabbitmq": RabbitMQ(program),
        "s3": S3(program),
        "web": Pages(program),
    }
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(made)) as threads:
        for started in [threads.submit(stack.enter_context, service) for service in made.values()]:
            started.result()
        asyncio.run(_add_user(cluster.create(DATABASE)))
        _make_bucket(made["s3"].port)
        yield made


async def _add_user(address: str) -> None:
    connection = await asyncpg.connect(address)
    await connection.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
    await connection.close()


def _make_bucket(port: int) -> None:
    keys = {"aws_access_key_id": USER, "aws_secret_access_key": PASSWORD}
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", **keys)
    client.create_bucket(Bucket=_BUCKET)
    client.close()


class Told(logging.Handler):
    """Keeps what is told of each service, but for what was told before."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.of: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.errors: dict[str, list[str]] = defaultdict(list)
        self.lines: list[str] = []

    def emit(self, record: Any) -> None:
        """Keep one more."""
        health, event = record.health, record.health["event"]
        self.lines.append(record.getMessage())
        if event in ("status", "breaker"):
            self.of[health["service"]].append((event, health[event]))
            if health["status"] == "unhealthy" and event == "status":
                self.errors[health["service"]].append(health["error"])
        elif event in ("flapping", "settled"):
            self.of[health["service"]].append((event, ""))


@pytest.fixture
def told() -> Iterator[Told]:
    """Return what is told while the test runs."""
    handler, logger = Told(), logging.getLogger("concurrent_log.health")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


_UP = [("status", "healthy")]
_DOWN = [("status", "degraded"), ("status", "unhealthy"), ("breaker", "open")]
_BACK = [("status", "healthy"), ("breaker", "closed")]
_BACK_SLOWLY = [("status", "degraded"), ("breaker", "closed"), ("status", "healthy")]
_SLOWER = [("status", "degraded"), ("status", "healthy")]


# Where its server is killed amid a handshake, a client library at times leaves a connection to a destructor.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(600)
def test_each_service_is_told_down_and_back_in_order_and_once(services: dict[str, Any], told: Told) -> None:
    """Seven real services, in one monitor: frozen, slow, refusing, and killed; each comes back each time."""
    with contextlib.ExitStack() as stack:
        relays = {name: stack.enter_context(Relay(each.port, delay=_DELAY)) for name, each in services.items()}
        subjects = subjects_of(services, {name: relay.port for name, relay in relays.items()})
        monitor = ServiceMonitor(
            interval=0.05, timeout=_TIMEOUT + 1, slow=_SLOW, recovery_timeout=_LEFT_ALONE, report_interval=None
        )
        for name, subject in subjects.items():
            monitor.add(name, subject.check())
        stack.enter_context(monitor)
        each_is(monitor, ServiceStatus.HEALTHY)

        for subject in subjects.values():
            subject.service.freeze()
        each_is(monitor, ServiceStatus.UNHEALTHY)
        for name, subject in subjects.items():
            # Not within a trial, which would then succeed, but slowly.
            wait_until(lambda name=name: monitor.breaker(name).retry_after > 0.3, _PATIENCE)
            subject.service.thaw()
        each_is(monitor, ServiceStatus.HEALTHY)

        use(subjects, "is_slow")
        each_is(monitor, ServiceStatus.DEGRADED)
        use(subjects, "works")
        each_is(monitor, ServiceStatus.HEALTHY)

        use(subjects, "refuses")
        each_is(monitor, ServiceStatus.UNHEALTHY)
        use(subjects, "works")
        each_is(monitor, ServiceStatus.HEALTHY)

        for subject in subjects.values():
            subject.service.kill()
        each_is(monitor, ServiceStatus.UNHEALTHY)
        with ThreadPoolExecutor(len(subjects)) as threads:
            list(threads.map(lambda subject: subject.service.start(), subjects.values()))
        _make_bucket(services["s3"].port)
        each_is(monitor, ServiceStatus.HEALTHY)

    story = [*_UP, *_DOWN, *_BACK, *_SLOWER, *_DOWN, *_BACK, *_DOWN]
    for name, subject in subjects.items():
        assert told.of[name][: len(story)] == story, name
        # A trial that began while the service started may have succeeded, but slowly.
        assert told.of[name][len(story) :] in (_BACK, _BACK_SLOWLY), name
        assert told.errors[name][:2] == ["timed out", subject.refusal], name
        assert told.errors[name][2:] in (["connection refused"], ["connection reset by peer"]), name
    secrets = [USER, PASSWORD, DATABASE, _BUCKET, "127.0.0.1", *(str(service.port) for service in services.values())]
    assert not [line for line in told.lines if any(secret in line for secret in secrets)]


def use(subjects: dict[str, Subject], check: str) -> None:
    """Let all services be checked in this way from now on."""
    for subject in subjects.values():
        subject.current = getattr(subject, check)


def each_is(monitor: ServiceMonitor, status: ServiceStatus) -> None:
    """Wait until all services are so, and their breakers are as they then are."""
    wanted = BreakerState.OPEN if status is ServiceStatus.UNHEALTHY else BreakerState.CLOSED

    def is_so(name: str) -> bool:
        health = monitor.snapshot()[name]
        return health.status is status and (health.breaker is wanted or status is ServiceStatus.UNHEALTHY)

    for name in monitor.snapshot():
        try:
            wait_until(lambda name=name: is_so(name), _PATIENCE)
        except AssertionError:
            pytest.fail(f"{name} is {monitor.snapshot()[name]}, and not {status}")
