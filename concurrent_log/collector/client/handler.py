"""`CollectorHandler`: the `logging` handler that sends records to a collector."""

from collections.abc import Mapping, Sequence
from os import PathLike

from concurrent_log.collector.client.shipping_handler import ShippingHandler


class CollectorHandler(ShippingHandler):
    """Sends records to a collector, in batches, in a background thread.

    A logging call merges the message, formats the exception, and puts the record into a queue. It does not wait for the
    network, and does not raise. The thread starts with the first record, so a program may configure its logging and
    then fork.

    In **memory** mode the queue is bounded in records and in bytes; when it is full, the oldest record is dropped. In
    **spool** mode, with ``spool_directory``, a record is in a file when the logging call returns, and survives the end
    of the process, even a kill. The file is not synced to the disk: a crash of the machine may lose the last records.

    Args:
        url: The URL of the collector, such as ``https://logs.example.com:8000``; ``/logs`` is appended if missing.
        service: The name of the program.
        environment: The environment that the program runs in, such as ``production``.
        service_version: The version of the program.
        log_type: The kind of program, such as ``BACKEND``.
        host: The name of the machine; defaults to the system host name.
        token: The token that the server requires, if any.
        headers: Additional headers of each request.
        batch_size: Maximum records per batch.
        flush_interval: Maximum seconds that a record is queued before its batch is sent.
        compress_from: Minimum records of a compressed batch; None disables compression.
        capacity: Maximum records queued in memory.
        capacity_bytes: Approximate maximum bytes queued in memory.
        spool_directory: A folder for records on disk, used by this program only.
        spool_bytes: Maximum bytes in that folder.
        timeout: Maximum seconds each for connecting, sending a request, and reading the response.
        stop_timeout: Maximum seconds that `close`, and so the exit of the program, waits until all records are sent.
            The number of records that are not sent is then reported on stderr.
        ca_file: A file with the certificates of the authorities to trust; defaults to those that the machine trusts.
        client_certificate: A file with the client's certificate and key; or two files, one for each.

    Raises:
        TypeError, ValueError, OSError: An argument has the wrong type, or names something that cannot be used.
        ModuleNotFoundError: A package of the extra is not installed; the message has the command.
    """

    def __init__(
        self,
        url: str,
        *,
        service: str | None = None,
        environment: str | None = None,
        service_version: str | None = None,
        log_type: str | None = None,
        host: str | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        batch_size: int = 1000,
        flush_interval: float = 1.0,
        compress_from: int | None = 100,
        capacity: int = 100_000,
        capacity_bytes: int = 64 * 2**20,
        spool_directory: "str | PathLike[str] | None" = None,
        spool_bytes: int = 512 * 2**20,
        timeout: float = 10.0,
        stop_timeout: float = 5.0,
        ca_file: "str | PathLike[str] | None" = None,
        client_certificate: "str | PathLike[str] | Sequence[str | PathLike[str]] | None" = None,
    ) -> None:
        super().__init__(
            url,
            service=service,
            environment=environment,
            service_version=service_version,
            log_type=log_type,
            host=host,
            token=token,
            headers=headers,
            batch_size=batch_size,
            flush_interval=flush_interval,
            compress_from=compress_from,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            spool_directory=spool_directory,
            spool_bytes=spool_bytes,
            timeout=timeout,
            stop_timeout=stop_timeout,
            ca_file=ca_file,
            client_certificate=client_certificate,
        )
