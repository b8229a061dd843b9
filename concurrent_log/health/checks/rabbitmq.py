"""Whether RabbitMQ gives a channel, and whether a queue is there and not too long."""

from os import PathLike

from concurrent_log.health.checks.address import address_of
from concurrent_log.health.checks.client_library import needed
from concurrent_log.health.checks.library_logging import keep_quiet
from concurrent_log.health.checks.probes import TIMEOUT, AsyncCheck, async_check_of, leave, seconds
from concurrent_log.health.checks.tls import needs_tls, trusted
from concurrent_log.health.status import Degraded


def rabbitmq(
    url: str,
    queue: str | None = None,
    most_waiting: int | None = None,
    *,
    ca_file: "str | PathLike[str] | None" = None,
    timeout: float = TIMEOUT,
) -> AsyncCheck:
    """Return a check that opens a channel, and looks at ``queue`` where one is given; it needs aio-pika.

    Args:
        url: ``amqp://USER:PASSWORD@HOST:PORT/VHOST``, or ``amqps://`` for TLS.
        queue: The queue that must be there. It is only looked at, not made.
        most_waiting: How many messages may wait in it; more of them are `Degraded`.
        ca_file: Whose certificates are trusted.
        timeout: In seconds, for all of it.
    """
    address = address_of(url, "amqp://USER:PASSWORD@HOST:PORT/VHOST", "amqp", "amqps")
    seconds(timeout)
    if most_waiting is not None and queue is None:
        raise ValueError(f"most_waiting={most_waiting} needs the queue whose messages are counted")
    context = trusted(ca_file) if address.scheme == "amqps" else None
    needs_tls(ca_file, context is not None, "amqps")
    with needed("aio-pika", "a RabbitMQ server"):
        import aio_pika
        from aio_pika.connection import make_url
    keep_quiet("aiormq.connection", "aiormq.channel", "aio_pika.connection", "aio_pika.channel")

    async def probe() -> None:
        # What `aio_pika.connect` could not connect is left to a destructor that closes it in any thread.
        connection = aio_pika.Connection(make_url(url), ssl_context=context)
        try:
            await connection.connect(timeout=timeout)
            channel = await connection.channel()
            if queue is not None:
                found = await channel.declare_queue(queue, passive=True)
                _look_at(found.declaration_result.message_count or 0, most_waiting)
        finally:
            await leave(connection.close())

    return async_check_of("rabbitmq", probe, timeout)


def _look_at(waiting: int, most_waiting: int | None) -> None:
    if most_waiting is not None and waiting > most_waiting:
        raise Degraded(f"{waiting:,} messages wait, more than {most_waiting:,}")
