"""Check of a RabbitMQ server and, optionally, of one of its queues."""

from os import PathLike

from concurrent_log.health.checks.address import parse_address
from concurrent_log.health.checks.client_library import client_library
from concurrent_log.health.checks.muted_libraries import mute_in_checks
from concurrent_log.health.checks.probes import (
    TIMEOUT,
    AsyncCheck,
    check_timeout,
    close_connection,
    make_async_check,
)
from concurrent_log.health.checks.tls import require_tls, tls_context
from concurrent_log.health.status import Degraded


def rabbitmq(
    url: str,
    queue: str | None = None,
    most_waiting: int | None = None,
    *,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> AsyncCheck:
    """Return a check that opens a channel and, if ``queue`` is given, inspects that queue. It needs aio-pika.

    Args:
        url: ``amqp://USER:PASSWORD@HOST:PORT/VHOST``, or ``amqps://`` for TLS.
        queue: A queue that must exist. The check does not create it.
        most_waiting: Maximum number of messages in the queue; more are `Degraded`.
        ca_file: File with the trusted certificate authorities.
        timeout: Seconds for the whole check.
    """
    address = parse_address(url, "amqp://USER:PASSWORD@HOST:PORT/VHOST", "amqp", "amqps")
    check_timeout(timeout)
    if most_waiting is not None and queue is None:
        raise ValueError(f"most_waiting={most_waiting} needs the name of a queue: add queue")
    context = tls_context(ca_file) if address.scheme == "amqps" else None
    require_tls(ca_file, context is not None, "amqps")
    with client_library("aio-pika", "a RabbitMQ server"):
        import aio_pika
        from aio_pika.connection import make_url
    mute_in_checks("aiormq.connection", "aiormq.channel", "aio_pika.connection", "aio_pika.channel")

    async def probe() -> None:
        # aio_pika.connect leaves a failed connection to a destructor, which closes it in any thread.
        connection = aio_pika.Connection(make_url(url), ssl_context=context)
        try:
            await connection.connect(timeout=timeout)
            channel = await connection.channel()
            if queue is not None:
                found = await channel.declare_queue(queue, passive=True)
                _check_length(found.declaration_result.message_count or 0, most_waiting)
        finally:
            await close_connection(connection.close())

    return make_async_check("rabbitmq", probe, timeout)


def _check_length(messages: int, limit: int | None) -> None:
    if limit is not None and messages > limit:
        raise Degraded(f"{messages:,} messages in the queue, more than {limit:,}")
