"""Whether a database answers a query."""

import contextlib
from os import PathLike
from typing import Any

from concurrent_log.health.checks.address import address_of
from concurrent_log.health.checks.client_library import needed
from concurrent_log.health.checks.probes import TIMEOUT, AsyncCheck, Check, async_check_of, check_of, seconds
from concurrent_log.health.checks.tls import trusted


def postgres(
    url: str,
    query: str = "SELECT 1",
    *,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> AsyncCheck:
    """Return a check that connects to a PostgreSQL database and runs ``query``; it needs asyncpg.

    Args:
        url: ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``; also with parameters such as ``?sslmode=require``.
        query: What must succeed.
        ca_file: Whose certificates are trusted; TLS is required then.
        timeout: In seconds, for all of it.
    """
    form = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    address_of(url, form, "postgresql", "postgres", takes_query=True)
    options: dict[str, Any] = {"timeout": seconds(timeout), "command_timeout": timeout}
    if ca_file is not None:
        options["ssl"] = trusted(ca_file)
    with needed("asyncpg", "a PostgreSQL server"):
        import asyncpg

    async def probe() -> None:
        connection = await asyncpg.connect(url, **options)
        try:
            await connection.execute(query)  # Nothing is prepared for it, which a pooler in between may not allow.
            await connection.close()
        finally:
            connection.terminate()

    return async_check_of("postgres", probe, timeout)


def mysql(
    url: str,
    query: str = "SELECT 1",
    *,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> Check:
    """Return a check that connects to a MySQL or MariaDB database and runs ``query``; it needs PyMySQL.

    Args:
        url: ``mysql://USER:PASSWORD@HOST:PORT/DATABASE``, or ``mariadb://``.
        query: What must succeed.
        ca_file: Whose certificates are trusted; TLS is required then.
        timeout: In seconds, for each of connecting, sending and receiving.
    """
    address = address_of(url, "mysql://USER:PASSWORD@HOST:PORT/DATABASE", "mysql", "mariadb")
    seconds(timeout)
    context = None if ca_file is None else trusted(ca_file)
    with needed("pymysql", "a MySQL or MariaDB server"):
        import pymysql

    def probe() -> None:
        connection = pymysql.connect(
            host=address.host, port=address.port or 3306, user=address.user, password=address.password or "",
            database=address.name or None, ssl=context, connect_timeout=timeout, read_timeout=timeout,
            write_timeout=timeout,
        )  # fmt: skip
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(query)

    return check_of("mysql", probe)
