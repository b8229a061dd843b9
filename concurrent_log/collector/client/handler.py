"""The handler that sends records to a collector."""

import logging
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from concurrent_log.internal.extras import needs_extra

with needs_extra():
    from concurrent_log.collector.client.context import complete
    from concurrent_log.collector.client.record import entry_of
    from concurrent_log.collector.client.sender import is_sending
    from concurrent_log.collector.client.shipper import Shipper, Stats

_RECURSION = "too deep in the program"


class CollectorHandler(logging.Handler):
    """Sends records to a collector, in batches, from a thread of its own.

    A logging call merges the message, renders the exception, and puts the record into a queue; it does not wait for
    the network, and does not raise. Nothing is started before the first record, so that a program may configure its
    logging and then fork.

    In **memory** mode the queue is bounded in records and in bytes; when it is full, the oldest record goes. In
    **spool** mode, with ``spool_directory``, a record is on disk when the logging call returns, and survives the end
    of the process, whatever it is; it is not forced to the medium, so that a crash of the machine itself may lose it.

    Args:
        url: Where the collector is, such as ``https://logs.example.com:8000``; ``/logs`` is added where it is missing.
        service: The name of the program.
        environment: Where it runs, such as ``production``.
        service_version: Its version.
        log_type: Of which kind it is, such as ``BACKEND``.
        host: The name of the machine, unless it is to be that which the machine says.
        token: What the server asks for, if it does.
        headers: Further headers of each request.
        batch_size: So many records leave at once.
        flush_interval: So many seconds after its first record, a smaller batch leaves, too.
        compress_from: From how many records on a batch is compressed; None is never.
        capacity: How many records may wait in memory.
        capacity_bytes: About how many bytes they may take.
        spool_directory: A folder of this program's own in which records wait on disk.
        spool_bytes: How many bytes may wait there.
        timeout: For how many seconds connecting, sending a request or reading its answer may each last.
        stop_timeout: For how many seconds `close`, and with it the exit of the program, waits for what is not sent.
            How much that is, is then said on stderr.
        ca_certificate: A file with the certificates of those who may vouch for the server, unless it is to be those
            whom the machine trusts.
        client_certificate: A file with our own certificate and its key; or two, one for each.

    Raises:
        TypeError, ValueError, OSError: An argument is not of its kind, or names what cannot be used.
        ModuleNotFoundError: The extra is not installed; the message has the command.
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
        ca_certificate: "str | PathLike[str] | None" = None,
        client_certificate: "str | PathLike[str] | Sequence[str | PathLike[str]] | None" = None,
    ) -> None:
        options = {name: value for name, value in locals().items() if name not in ("self", "url", "__class__")}
        shipper = Shipper(url, **options)
        super().__init__()
        self.shipper = shipper

    def handle(self, record: logging.LogRecord) -> bool:
        """Send ``record`` if the filters let it pass; no lock is needed for that."""
        passed = self.filter(record)
        if passed is not True and isinstance(passed, logging.LogRecord):
            record = passed  # Python 3.12: a filter may return another record
        if passed:
            self.emit(record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Let ``record`` be sent. Never raises: what goes wrong is reported through ``handleError``."""
        if is_sending():
            return
        try:
            message = None if self.formatter is None else self.formatter.format(record)
            entry = entry_of(record, self.shipper.common(), message)
            complete(entry)
            self.shipper.put(entry)
        except RecursionError:
            self.shipper.lose(_RECURSION)
        except Exception:
            self.handleError(record)

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]  # returns more
        """Wait until the server has all that was logged before, for ``stop_timeout`` seconds unless told otherwise.

        Returns whether it has; also False where something was lost meanwhile.
        """
        return self.shipper.flush(timeout)

    def stats(self) -> Stats:
        """Return what became of the records of this process up to now."""
        return self.shipper.stats()

    def close(self) -> None:
        """Send what waits, within ``stop_timeout`` seconds; a record that comes later is sent at once."""
        self.shipper.close()
        super().close()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        logging.Handler.__init__(self)
        vars(self).update(state)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shipper.settings.endpoint} ({logging.getLevelName(self.level)})>"
