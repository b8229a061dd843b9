"""Checks of databases: each runs a query."""

import contextlib
from os import PathLike
from typing import Any

from concurrent_log.health.checks.address import parse_address
from concurrent_log.health.checks.client_library import client_library
from concurrent_log.health.checks.probes import (
    TIMEOUT,
    AsyncCheck,
    Check,
    check_timeout,
    make_async_check,
    make_check,
)
from concurrent_log.health.checks.tls import tls_context


def postgres(
    url: str,
    query: str = "SELECT 1",
    *,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> AsyncCheck:
    """Return a check that connects to a PostgreSQL database and runs ``query``. It needs asyncpg.

    Args:
        url: ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``, optionally with parameters such as
            ``?sslmode=require``.
        query: The query that must succeed.
        ca_file: File with the trusted certificate authorities. If given, TLS is required.
        timeout: Seconds for the whole check.
    """
    form = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    parse_address(url, form, "postgresql", "postgres", allows_query=True)
    options: dict[str, Any] = {"timeout": check_timeout(timeout), "command_timeout": timeout}
    if ca_file is not None:
        options["ssl"] = tls_context(ca_file)
    with client_library("asyncpg", "a PostgreSQL server"):
        import asyncpg

    async def probe() -> None:
        connection = await asyncpg.connect(url, **options)
        try:
            await connection.execute(query)  # Without a prepared statement, which a connection pooler may not support.
            await connection.close()
        finally:
            connection.terminate()

    return make_async_check("postgres", probe, timeout)


def mysql(
    url: str,
    query: str = "SELECT 1",
    *,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> Check:
    """Return a check that connects to a MySQL or MariaDB database and runs ``query``. It needs PyMySQL.

    Args:
        url: ``mysql://USER:PASSWORD@HOST:PORT/DATABASE``, or ``mariadb://``.
        query: The query that must succeed.
        ca_file: File with the trusted certificate authorities. If given, TLS is required.
        timeout: Seconds for each of connecting, sending and receiving.
    """
    address = parse_address(url, "mysql://USER:PASSWORD@HOST:PORT/DATABASE", "mysql", "mariadb")
    check_timeout(timeout)
    context = None if ca_file is None else tls_context(ca_file)
    with client_library("pymysql", "a MySQL or MariaDB server"):
        import pymysql

    def probe() -> None:
        connection = pymysql.connect(
            host=address.host, port=address.port or 3306, user=address.user, password=address.password or "",
            database=address.name or None, ssl=context, connect_timeout=timeout, read_timeout=timeout,
            write_timeout=timeout,
        )  # fmt: skip
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(query)

    return make_check("mysql", probe)
