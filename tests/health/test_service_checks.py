"""The checks of databases and brokers, each against a real server that is frozen and killed."""

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
from support.check_assertions import ask, failure, warning
from support.private_services import DATABASE, PASSWORD, S3, USER, MariaDB, Nats, RabbitMQ, Redis, Relay, ca_file

_SOON = 0.4  # seconds until a check of a frozen service gives up
_SECRETS = (USER, PASSWORD, DATABASE, "wrong-password", "no_such_thing")

Program = Callable[[str], str]


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Return the file of the authority of the services."""
    return ca_file(tmp_path)


@pytest.fixture
def other_ca(tmp_path: Path) -> Path:
    """Return the file of an authority of which the services have no certificate."""
    (tmp_path / "other").mkdir()
    return ca_file(tmp_path / "other", trustme.CA())


def _address(scheme: str, port: int, path: str = "", user: str = USER, password: str = PASSWORD) -> str:
    return f"{scheme}://{user}:{password}@127.0.0.1:{port}{path}"


def _stops_halfway(port: int, make: Callable[..., Any]) -> None:
    """Let no more than a part of the server's answers through: the check gives up, and leaves nothing behind."""
    with Relay(port) as relay:
        ask(make(relay.port, timeout=60))
    for part in (0.3, 0.7):
        with Relay(port, int(relay.passed * part)) as halted:
            assert failure(make(halted.port, timeout=_SOON), port, halted.port, *_SECRETS) == "timed out"


def _is_frozen_and_killed(service: Any, port: int, check: Callable[..., Any]) -> None:
    """Freeze the service, let it go on, and kill it; its check says so each time."""
    service.freeze()
    assert failure(check(timeout=_SOON), port, *_SECRETS) == "timed out"

    service.thaw()
    ask(check(timeout=60))

    service.kill()
    assert failure(check(timeout=60), port, *_SECRETS) == "connection refused"


def test_redis_says_what_is_wrong(program: Program, ca: Path, other_ca: Path) -> None:
    """A check of Redis tells a wrong password, a wrong database, wrong TLS, and a server that hangs or is gone."""
    with Redis(program) as service:
        secrets = (service.port, service.tls_port, *_SECRETS)
        plain, secure = _address("redis", service.port, "/1"), _address("rediss", service.tls_port)
        ask(redis(plain, timeout=60))
        ask(redis_lock(plain, timeout=60))
        ask(redis(secure, ca_file=ca, timeout=60))

        for password, path, said in [
            ("wrong-password", "/0", "the user or password is refused"),
            (PASSWORD, "/99", "the server refuses a command"),
        ]:
            url = _address("redis", service.port, path, password=password)
            assert failure(redis(url, timeout=60), *secrets) == said
            assert failure(redis_lock(url, timeout=60), *secrets) == said
        untrusted = "the certificate is of an authority that is not trusted"
        assert failure(redis(secure, ca_file=other_ca, timeout=60), *secrets) == untrusted
        assert failure(redis(secure, timeout=60), *secrets) == untrusted
        _stops_halfway(service.port, lambda port, **options: redis(_address("redis", port, "/1"), **options))
        _is_frozen_and_killed(service, service.port, lambda **options: redis(plain, **options))


def test_lock_in_redis_that_another_holds_is_told(program: Program) -> None:
    """A check of a lock in Redis fails while another holds it, and does not take it away."""
    from redis import Redis as Client

    with Redis(program) as service:
        url = _address("redis", service.port)
        with Client.from_url(url) as client, client.lock("orders"):
            assert failure(redis_lock(url, "orders", timeout=_SOON), "orders") == "the lock is held by another"
        ask(redis_lock(url, "orders", timeout=60))


@pytest.fixture
def cluster(skip_or_fail: Callable[[str], None]) -> Iterator[postgres_cluster.Cluster]:
    """Return a PostgreSQL of the test's own, which wants a password of `USER`."""
    programs = postgres_cluster.programs()
    if programs is None:
        skip_or_fail("PostgreSQL's initdb is not there: install it")
    assert programs is not None
    with postgres_cluster.Cluster(programs, f"host all {USER} 127.0.0.1/32 scram-sha-256\n") as cluster:
        yield cluster


async def _prepare(address: str) -> None:
    connection = await asyncpg.connect(address)
    await connection.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
    await connection.close()


def test_postgres_says_what_is_wrong(cluster: postgres_cluster.Cluster, ca: Path) -> None:
    """A check of PostgreSQL tells a wrong password, a wrong database, no TLS, and a server that hangs or is gone."""
    asyncio.run(_prepare(cluster.create(DATABASE)))
    secrets = (cluster.port, *_SECRETS)
    url = _address("postgresql", cluster.port, f"/{DATABASE}")
    ask(postgres(url, timeout=60))

    wrong = _address("postgresql", cluster.port, f"/{DATABASE}", password="wrong-password")
    assert failure(postgres(wrong, timeout=60), *secrets) == "the user or password is refused"
    nowhere = _address("postgresql", cluster.port, "/no_such_thing")
    assert failure(postgres(nowhere, timeout=60), *secrets) == "there is no such database"
    query = "SELECT * FROM no_such_thing"
    assert failure(postgres(url, query, timeout=60), *secrets) == "there is no such table"
    assert failure(postgres(url, "SELECT 1/0", timeout=60), *secrets) == "the server answers with SQLSTATE 22012"
    assert failure(postgres(url, "SELECT pg_sleep(60)", timeout=_SOON), *secrets) == "timed out"
    assert failure(postgres(url, ca_file=ca, timeout=60), *secrets) == "the connection failed"
    _stops_halfway(
        cluster.port, lambda port, **options: postgres(_address("postgresql", port, f"/{DATABASE}"), **options)
    )
    _is_frozen_and_killed(cluster, cluster.port, lambda **options: postgres(url, **options))


def test_mariadb_says_what_is_wrong(program: Program, ca: Path, other_ca: Path) -> None:
    """A check of MariaDB tells a wrong password, a wrong database, wrong TLS, and a server that hangs or is gone."""
    with MariaDB(program) as service:
        secrets = (service.port, *_SECRETS)
        url = _address("mysql", service.port, f"/{DATABASE}")
        ask(mysql(url, timeout=60))
        ask(mysql(url, ca_file=ca, timeout=60))

        wrong = _address("mysql", service.port, f"/{DATABASE}", password="wrong-password")
        assert failure(mysql(wrong, timeout=60), *secrets) == "the user or password is refused"
        nowhere = _address("mariadb", service.port, "/no_such_thing")
        no_entry = "there is no such database, or the user may not enter it"
        assert failure(mysql(nowhere, timeout=60), *secrets) == no_entry
        query = "SELECT * FROM no_such_thing"
        assert failure(mysql(url, query, timeout=60), *secrets) == "there is no such table"
        assert failure(mysql(url, "SELECT SLEEP(60)", timeout=1), *secrets) == "timed out"
        untrusted = "the certificate is of an authority that is not trusted"
        assert failure(mysql(url, ca_file=other_ca, timeout=60), *secrets) == untrusted
        _stops_halfway(service.port, lambda port, **options: mysql(_address("mysql", port, f"/{DATABASE}"), **options))
        _is_frozen_and_killed(service, service.port, lambda **options: mysql(url, **options))


async def _add_stream(url: str) -> None:
    client = await nats_library.connect(url)
    await client.jetstream().add_stream(name=DATABASE, subjects=["orders"])
    await client.close()


def test_nats_says_what_is_wrong(program: Program, ca: Path, other_ca: Path) -> None:
    """A check of NATS tells a wrong password, a missing stream, and a server that hangs or is gone."""
    with Nats(program) as service:
        secrets = (service.port, *_SECRETS)
        url = _address("nats", service.port)
        asyncio.run(_add_stream(url))
        ask(nats(url, DATABASE, timeout=60))

        wrong = _address("nats", service.port, password="wrong-password")
        assert failure(nats(wrong, timeout=60), *secrets) == "the user or password is refused"
        assert failure(nats(url, "no_such_thing", timeout=60), *secrets) == "there is no such stream"
        secure = _address("nats+tls", service.port)
        assert failure(nats(secure, ca_file=ca, timeout=60), *secrets) == "the server does not speak TLS"
        _stops_halfway(service.port, lambda port, **options: nats(_address("nats", port, ""), **options))
        _is_frozen_and_killed(service, service.port, lambda **options: nats(url, **options))


def test_nats_with_tls_says_what_is_wrong(program: Program, ca: Path, other_ca: Path) -> None:
    """A check of NATS with TLS tells whose certificate is not trusted."""
    with Nats(program, tls=True) as service:
        secrets = (service.port, *_SECRETS)
        url = _address("nats+tls", service.port)
        ask(nats(url, ca_file=ca, timeout=60))

        untrusted = "the certificate is of an authority that is not trusted"
        assert failure(nats(url, ca_file=other_ca, timeout=60), *secrets) == untrusted
        assert failure(nats(_address("nats", service.port), timeout=60), *secrets) == untrusted


async def _fill_queue(url: str) -> None:
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        await channel.declare_queue("orders")
        for number in range(3):
            await channel.default_exchange.publish(aio_pika.Message(str(number).encode()), "orders")


def test_rabbitmq_says_what_is_wrong(program: Program, ca: Path, other_ca: Path) -> None:
    """A check of RabbitMQ tells all of this: in one test, since a node takes ten seconds to start."""
    with RabbitMQ(program) as service:
        secrets = (service.port, service.tls_port, "orders", *_SECRETS)
        url, secure = (
            _address("amqp", service.port, f"/{DATABASE}"),
            _address("amqps", service.tls_port, f"/{DATABASE}"),
        )
        asyncio.run(_fill_queue(url))
        ask(rabbitmq(url, "orders", most_waiting=3, timeout=60))
        ask(rabbitmq(secure, ca_file=ca, timeout=60))

        assert warning(rabbitmq(url, "orders", 2, timeout=60), *secrets) == "3 messages wait, more than 2"
        wrong = _address("amqp", service.port, f"/{DATABASE}", password="wrong-password")
        assert failure(rabbitmq(wrong, timeout=60), *secrets) == "the user or password is refused"
        nowhere = _address("amqp", service.port, "/no_such_thing")
        no_host = "there is no such virtual host, or the user may not enter it"
        assert failure(rabbitmq(nowhere, timeout=60), *secrets) == no_host
        assert failure(rabbitmq(url, "no_such_thing", timeout=60), *secrets) == "there is no such queue"
        untrusted = "the certificate is of an authority that is not trusted"
        assert failure(rabbitmq(secure, ca_file=other_ca, timeout=60), *secrets) == untrusted
        _stops_halfway(
            service.port, lambda port, **options: rabbitmq(_address("amqp", port, f"/{DATABASE}"), **options)
        )
        _is_frozen_and_killed(service, service.port, lambda **options: rabbitmq(url, **options))


def test_s3_says_what_is_wrong(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of a bucket tells that it is not there, and a server that hangs or is gone."""
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
        ask(s3("bucket-of-shop", endpoint, **keys, timeout=60))

        missing = "the answer has the status 404 (Not Found)"
        assert failure(s3("no-such-bucket", endpoint, **keys, timeout=60), *secrets) == missing
        no_keys = "no credentials are given, and none are found in the environment"
        assert failure(s3("bucket-of-shop", endpoint, timeout=60), *secrets) == no_keys
        _is_frozen_and_killed(
            service, service.port, lambda **options: s3("bucket-of-shop", endpoint, **keys, **options)
        )
