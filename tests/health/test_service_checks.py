"""Checks of databases and message brokers, each against a real server that is frozen and killed."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

for _module in ("aio_pika", "asyncpg", "boto3", "moto", "nats", "pymysql", "redis", "trustme"):
    pytest.importorskip(_module)

import aio_pika
import asyncpg
import boto3
import nats as nats_library
import trustme

from concurrent_log.health.checks import mysql, nats, postgres, rabbitmq, redis, redis_lock, s3
from support import postgres_cluster
from support.check_assertions import failure, run_check, warning
from support.deadlines import DEADLINE
from support.private_services import DATABASE, PASSWORD, S3, USER, MariaDB, Nats, RabbitMQ, Redis, Relay, ca_file

_HANG_TIMEOUT = 0.4  # seconds until a check of a frozen service fails, whatever the speed of the machine
_LOCK_TIMEOUT = 6.0  # seconds; the check waits for the lock for half of them, and has the rest to connect
_SECRETS = (USER, PASSWORD, DATABASE, "wrong-password", "no_such_thing")

Program = Callable[[str], str]


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Return the certificate of the authority of the services."""
    return ca_file(tmp_path)


@pytest.fixture
def other_ca(tmp_path: Path) -> Path:
    """Return the certificate of an authority that has issued none for the services."""
    (tmp_path / "other").mkdir()
    return ca_file(tmp_path / "other", trustme.CA())


def _address(scheme: str, port: int, path: str = "", user: str = USER, password: str = PASSWORD) -> str:
    return f"{scheme}://{user}:{password}@127.0.0.1:{port}{path}"


def _assert_stall_fails(port: int, create: Callable[..., Any]) -> None:
    """Forward only a part of the server's response: the check times out, and leaves nothing behind."""
    with Relay(port) as relay:
        run_check(create(relay.port, timeout=DEADLINE))
    for part in (0.3, 0.7):
        with Relay(port, int(relay.passed * part)) as stalled:
            assert failure(create(stalled.port, timeout=_HANG_TIMEOUT), port, stalled.port, *_SECRETS) == "timed out"


def _assert_outages_fail(service: Any, port: int, check: Callable[..., Any]) -> None:
    """Freeze the service, thaw it, and kill it: the check reports it each time."""
    service.freeze()
    assert failure(check(timeout=_HANG_TIMEOUT), port, *_SECRETS) == "timed out"

    service.thaw()
    run_check(check(timeout=DEADLINE))

    service.kill()
    assert failure(check(timeout=DEADLINE), port, *_SECRETS) == "connection refused"


def test_redis_check_reports_the_reason(program: Program, ca: Path, other_ca: Path) -> None:
    """Redis: a wrong password, a wrong database, an untrusted certificate, a frozen and a killed server."""
    with Redis(program) as service:
        secrets = (service.port, service.tls_port, *_SECRETS)
        plain, secure = _address("redis", service.port, "/1"), _address("rediss", service.tls_port)
        run_check(redis(plain, timeout=DEADLINE))
        run_check(redis_lock(plain, timeout=DEADLINE))
        run_check(redis(secure, ca_file=ca, timeout=DEADLINE))

        for password, path, reason in [
            ("wrong-password", "/0", "the user name or password was rejected"),
            (PASSWORD, "/99", "the server rejected a command"),
        ]:
            url = _address("redis", service.port, path, password=password)
            assert failure(redis(url, timeout=DEADLINE), *secrets) == reason
            assert failure(redis_lock(url, timeout=DEADLINE), *secrets) == reason
        untrusted = "the certificate is not signed by a trusted authority"
        assert failure(redis(secure, ca_file=other_ca, timeout=DEADLINE), *secrets) == untrusted
        assert failure(redis(secure, timeout=DEADLINE), *secrets) == untrusted
        _assert_stall_fails(service.port, lambda port, **options: redis(_address("redis", port, "/1"), **options))
        _assert_outages_fail(service, service.port, lambda **options: redis(plain, **options))


def test_held_redis_lock_fails_the_check(program: Program) -> None:
    """The check of a lock in Redis fails while another client holds it, and does not release it."""
    from redis import Redis as Client

    with Redis(program) as service:
        url = _address("redis", service.port)
        with Client.from_url(url) as client, client.lock("orders"):
            check = redis_lock(url, "orders", timeout=_LOCK_TIMEOUT)
            assert failure(check, "orders") == "the lock is already held"
        run_check(redis_lock(url, "orders", timeout=DEADLINE))


@pytest.fixture
def cluster(skip_or_fail: Callable[[str], None]) -> Iterator[postgres_cluster.Cluster]:
    """Return a private PostgreSQL server that requires a password of `USER`."""
    programs = postgres_cluster.programs()
    if programs is None:
        skip_or_fail("initdb of PostgreSQL is not installed")
    assert programs is not None
    with postgres_cluster.Cluster(programs, f"host all {USER} 127.0.0.1/32 scram-sha-256\n") as cluster:
        yield cluster


async def _prepare(address: str) -> None:
    connection = await asyncpg.connect(address)
    await connection.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
    await connection.close()


def test_postgres_check_reports_the_reason(cluster: postgres_cluster.Cluster, ca: Path) -> None:
    """PostgreSQL: a wrong password, a wrong database, missing TLS, a frozen and a killed server."""
    asyncio.run(_prepare(cluster.create(DATABASE)))
    secrets = (cluster.port, *_SECRETS)
    url = _address("postgresql", cluster.port, f"/{DATABASE}")
    run_check(postgres(url, timeout=DEADLINE))

    wrong = _address("postgresql", cluster.port, f"/{DATABASE}", password="wrong-password")
    assert failure(postgres(wrong, timeout=DEADLINE), *secrets) == "the user name or password was rejected"
    nowhere = _address("postgresql", cluster.port, "/no_such_thing")
    assert failure(postgres(nowhere, timeout=DEADLINE), *secrets) == "the database does not exist"
    query = "SELECT * FROM no_such_thing"
    assert failure(postgres(url, query, timeout=DEADLINE), *secrets) == "the table does not exist"
    assert failure(postgres(url, "SELECT 1/0", timeout=DEADLINE), *secrets) == "the server returned SQLSTATE 22012"
    assert failure(postgres(url, "SELECT pg_sleep(600)", timeout=_HANG_TIMEOUT), *secrets) == "timed out"
    assert failure(postgres(url, ca_file=ca, timeout=DEADLINE), *secrets) == "the connection failed"
    _assert_stall_fails(
        cluster.port, lambda port, **options: postgres(_address("postgresql", port, f"/{DATABASE}"), **options)
    )
    _assert_outages_fail(cluster, cluster.port, lambda **options: postgres(url, **options))


@pytest.mark.slow
def test_mariadb_check_reports_the_reason(program: Program, ca: Path, other_ca: Path) -> None:
    """MariaDB: a wrong password, a wrong database, an untrusted certificate, a frozen and a killed server."""
    with MariaDB(program) as service:
        secrets = (service.port, *_SECRETS)
        url = _address("mysql", service.port, f"/{DATABASE}")
        run_check(mysql(url, timeout=DEADLINE))
        run_check(mysql(url, ca_file=ca, timeout=DEADLINE))

        wrong = _address("mysql", service.port, f"/{DATABASE}", password="wrong-password")
        assert failure(mysql(wrong, timeout=DEADLINE), *secrets) == "the user name or password was rejected"
        nowhere = _address("mariadb", service.port, "/no_such_thing")
        no_access = "the database does not exist, or the user has no access to it"
        assert failure(mysql(nowhere, timeout=DEADLINE), *secrets) == no_access
        query = "SELECT * FROM no_such_thing"
        assert failure(mysql(url, query, timeout=DEADLINE), *secrets) == "the table does not exist"
        assert failure(mysql(url, "SELECT SLEEP(600)", timeout=1), *secrets) == "timed out"
        untrusted = "the certificate is not signed by a trusted authority"
        assert failure(mysql(url, ca_file=other_ca, timeout=DEADLINE), *secrets) == untrusted
        _assert_stall_fails(
            service.port, lambda port, **options: mysql(_address("mysql", port, f"/{DATABASE}"), **options)
        )
        _assert_outages_fail(service, service.port, lambda **options: mysql(url, **options))


async def _add_stream(url: str) -> None:
    client = await nats_library.connect(url)
    await client.jetstream().add_stream(name=DATABASE, subjects=["orders"])
    await client.close()


def test_nats_check_reports_the_reason(program: Program, ca: Path, other_ca: Path) -> None:
    """NATS: a wrong password, a missing stream, a frozen and a killed server."""
    with Nats(program) as service:
        secrets = (service.port, *_SECRETS)
        url = _address("nats", service.port)
        asyncio.run(_add_stream(url))
        run_check(nats(url, DATABASE, timeout=DEADLINE))

        wrong = _address("nats", service.port, password="wrong-password")
        assert failure(nats(wrong, timeout=DEADLINE), *secrets) == "the user name or password was rejected"
        assert failure(nats(url, "no_such_thing", timeout=DEADLINE), *secrets) == "the stream does not exist"
        secure = _address("nats+tls", service.port)
        assert failure(nats(secure, ca_file=ca, timeout=DEADLINE), *secrets) == "the server does not speak TLS"
        _assert_stall_fails(service.port, lambda port, **options: nats(_address("nats", port, ""), **options))
        _assert_outages_fail(service, service.port, lambda **options: nats(url, **options))


def test_nats_check_with_tls_reports_the_reason(program: Program, ca: Path, other_ca: Path) -> None:
    """NATS with TLS: an untrusted certificate."""
    with Nats(program, tls=True) as service:
        secrets = (service.port, *_SECRETS)
        url = _address("nats+tls", service.port)
        run_check(nats(url, ca_file=ca, timeout=DEADLINE))

        untrusted = "the certificate is not signed by a trusted authority"
        assert failure(nats(url, ca_file=other_ca, timeout=DEADLINE), *secrets) == untrusted
        assert failure(nats(_address("nats", service.port), timeout=DEADLINE), *secrets) == untrusted


async def _fill_queue(url: str) -> None:
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        await channel.declare_queue("orders")
        for number in range(3):
            await channel.default_exchange.publish(aio_pika.Message(str(number).encode()), "orders")


@pytest.mark.slow
def test_rabbitmq_check_reports_the_reason(program: Program, ca: Path, other_ca: Path) -> None:
    """RabbitMQ: all of this in one test, because a node takes ten seconds to start."""
    with RabbitMQ(program) as service:
        secrets = (service.port, service.tls_port, "orders", *_SECRETS)
        url, secure = (
            _address("amqp", service.port, f"/{DATABASE}"),
            _address("amqps", service.tls_port, f"/{DATABASE}"),
        )
        asyncio.run(_fill_queue(url))
        run_check(rabbitmq(url, "orders", most_waiting=3, timeout=DEADLINE))
        run_check(rabbitmq(secure, ca_file=ca, timeout=DEADLINE))

        assert warning(rabbitmq(url, "orders", 2, timeout=DEADLINE), *secrets) == "3 messages in the queue, more than 2"
        wrong = _address("amqp", service.port, f"/{DATABASE}", password="wrong-password")
        assert failure(rabbitmq(wrong, timeout=DEADLINE), *secrets) == "the user name or password was rejected"
        nowhere = _address("amqp", service.port, "/no_such_thing")
        no_access = "the virtual host does not exist, or the user has no access to it"
        assert failure(rabbitmq(nowhere, timeout=DEADLINE), *secrets) == no_access
        assert failure(rabbitmq(url, "no_such_thing", timeout=DEADLINE), *secrets) == "the queue does not exist"
        untrusted = "the certificate is not signed by a trusted authority"
        assert failure(rabbitmq(secure, ca_file=other_ca, timeout=DEADLINE), *secrets) == untrusted
        _assert_stall_fails(
            service.port, lambda port, **options: rabbitmq(_address("amqp", port, f"/{DATABASE}"), **options)
        )
        _assert_outages_fail(service, service.port, lambda **options: rabbitmq(url, **options))


@pytest.mark.slow
def test_s3_check_reports_the_reason(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3: a missing bucket, missing credentials, a frozen and a killed server."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with S3(program) as service:
        endpoint, keys = f"http://127.0.0.1:{service.port}", {"access_key": USER, "secret_key": PASSWORD}
        secrets = (service.port, "bucket-of-shop", *_SECRETS)
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=USER, aws_secret_access_key=PASSWORD
        )
        client.create_bucket(Bucket="bucket-of-shop")
        client.close()
        run_check(s3("bucket-of-shop", endpoint, **keys, timeout=DEADLINE))

        missing = "the response has status 404 (Not Found)"
        assert failure(s3("no-such-bucket", endpoint, **keys, timeout=DEADLINE), *secrets) == missing
        no_keys = "no credentials were given, and none were found in the environment"
        assert failure(s3("bucket-of-shop", endpoint, timeout=DEADLINE), *secrets) == no_keys
        _assert_outages_fail(service, service.port, lambda **options: s3("bucket-of-shop", endpoint, **keys, **options))
