"""`OtlpHandler`: the `logging` handler that sends records to any server that takes OpenTelemetry's protocol."""

from collections.abc import Mapping, Sequence
from os import PathLike

from concurrent_log.collector.client import otlp_environment
from concurrent_log.collector.client.shipping_handler import ShippingHandler


class OtlpHandler(ShippingHandler):
    """Sends records by OTLP/HTTP in protobuf, in batches, in a background thread.

    It has the queue, the spool and the retries of `CollectorHandler`; only the format differs. A record has the trace
    and span ids of OpenTelemetry's current span, if OpenTelemetry is loaded, and the record has none of its own.

    An argument that is None defaults to the environment variable named below. ``OTEL_EXPORTER_OTLP_LOGS_…`` is read
    before each ``OTEL_EXPORTER_OTLP_…``.

    Args:
        endpoint: The URL of the server, such as ``https://otlp.example.com:4318``; ``/v1/logs`` is appended if missing.
            ``OTEL_EXPORTER_OTLP_LOGS_ENDPOINT``, which is used as it is; then ``OTEL_EXPORTER_OTLP_ENDPOINT``, then
            ``http://localhost:4318``.
        service: The name of the program: ``OTEL_SERVICE_NAME``, then ``service.name`` in ``OTEL_RESOURCE_ATTRIBUTES``.
        environment: The environment that the program runs in, such as ``production``.
        service_version: The version of the program.
        host: The name of the machine; defaults to the system host name.
        resource_attributes: Further attributes of the resource; those of ``OTEL_RESOURCE_ATTRIBUTES`` are added.
        token: A token, sent as ``Authorization: Bearer``.
        headers: Additional headers of each request; those of ``OTEL_EXPORTER_OTLP_HEADERS`` are added.
        compression: ``gzip`` or ``none``: ``OTEL_EXPORTER_OTLP_COMPRESSION``, then ``gzip`` for batches of 100 records
            or more.
        timeout: Maximum seconds each for connecting, sending a request, and reading the response:
            ``OTEL_EXPORTER_OTLP_TIMEOUT``, which is in milliseconds, then 10 seconds.
        batch_size: Maximum records per batch.
        flush_interval: Maximum seconds that a record is queued before its batch is sent.
        capacity: Maximum records queued in memory.
        capacity_bytes: Approximate maximum bytes queued in memory.
        spool_directory: A folder for records on disk, used by this program only.
        spool_bytes: Maximum bytes in that folder.
        stop_timeout: Maximum seconds that `close`, and so the exit of the program, waits until all records are sent.
        ca_file: A file with the certificates of the authorities to trust; defaults to those that the machine trusts.
        client_certificate: A file with the client's certificate and key; or two files, one for each.

    Raises:
        TypeError, ValueError, OSError: An argument or a variable has the wrong type or value.
        ModuleNotFoundError: A package of the extra is not installed; the message has the command.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        service: str | None = None,
        environment: str | None = None,
        service_version: str | None = None,
        host: str | None = None,
        resource_attributes: Mapping[str, str] | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        compression: str | None = None,
        timeout: float | None = None,
        batch_size: int = 1000,
        flush_interval: float = 1.0,
        capacity: int = 100_000,
        capacity_bytes: int = 64 * 2**20,
        spool_directory: "str | PathLike[str] | None" = None,
        spool_bytes: int = 512 * 2**20,
        stop_timeout: float = 5.0,
        ca_file: "str | PathLike[str] | None" = None,
        client_certificate: "str | PathLike[str] | Sequence[str | PathLike[str]] | None" = None,
    ) -> None:
        url, is_complete = otlp_environment.endpoint() if endpoint is None else (endpoint, False)
        request = otlp_environment.request_options()
        if timeout is not None:
            request["timeout"] = timeout
        if compression is not None:
            request["compress_from"] = _compress_from(compression)
        super().__init__(
            url,
            protocol="otlp",
            is_complete=is_complete,
            service=service,
            environment=environment,
            service_version=service_version,
            host=host,
            resource_attributes={**otlp_environment.resource_attributes(), **(resource_attributes or {})},
            token=token,
            headers={**otlp_environment.headers(), **(headers or {})},
            batch_size=batch_size,
            flush_interval=flush_interval,
            capacity=capacity,
            capacity_bytes=capacity_bytes,
            spool_directory=spool_directory,
            spool_bytes=spool_bytes,
            stop_timeout=stop_timeout,
            ca_file=ca_file,
            client_certificate=client_certificate,
            **request,
        )


def _compress_from(compression: str) -> int | None:
    if compression not in ("gzip", "none"):
        raise ValueError(f"compression={compression!r} must be 'gzip' or 'none'")
    return 1 if compression == "gzip" else None
