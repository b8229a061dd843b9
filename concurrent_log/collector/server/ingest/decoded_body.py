"""`DecodedBody`: the batch in a request; and how it is made of records whose sender has no batch id."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.batch_rows import BatchRows, build_rows
from concurrent_log.collector.server.ingest.normalize import TIME_NAMES, UndecodableRecord
from concurrent_log.collector.store.interface import Client, IncomingBatch

MAX_REJECTED = 10_000  # The response lists each of them.
_MAX_NAME = 200  # characters
_SECOND = 1_000_000  # microseconds


@dataclass(frozen=True)
class DecodedBody:
    """A decoded body.

    Attributes:
        batch: The batch.
        rows: Its rows.
        count: The number of records that were sent.
        size: The number of bytes after decompression.
    """

    batch: IncomingBatch
    rows: BatchRows
    count: int
    size: int


@dataclass(frozen=True)
class SendingProgram:
    """Who sends in a format without a place for that.

    Attributes:
        form: The name of the format.
        agent: The name of the program, from the head of the request.
    """

    form: str
    agent: str

    def client(self, found: Mapping[str, Any], instance: Any = None) -> Client:
        """Return the client for the statistics.

        Args:
            found: The service, the environment and the host of its records, as far as they are known.
            instance: What tells it from others of the same service and host.
        """
        service, environment, host, place = (
            value[:_MAX_NAME] if isinstance(value, str) else None
            for value in (found.get("service"), found.get("environment"), found.get("host"), instance)
        )
        client_id = f"{self.form.lower()}:{service or '-'}:{place or host or '-'}"
        name = f"{self.agent[: _MAX_NAME - len(self.form) - 3]} ({self.form})"
        return Client(client_id[:_MAX_NAME], name, service, environment, host)


def until_too_many_invalid(records: Iterable[Any]) -> list[Any]:
    """Return the records; raise `Problem` as soon as too many of them cannot be decoded."""
    found, invalid = [], 0
    for record in records:
        invalid += type(record) is UndecodableRecord
        if invalid > MAX_REJECTED:
            raise too_many_invalid()
        found.append(record)
    return found


def body_of_records(
    content: bytes, records: Sequence[Any], sender: SendingProgram, *, have_ids: bool = False
) -> DecodedBody:
    """Return the batch of ``records``, or raise `Problem`.

    Senders repeat a request byte by byte, and have no batch id: a digest of the content takes its place, if each record
    has a time, and these are not all whole seconds. Requests with the same records otherwise may be different events.

    Args:
        content: The body.
        records: Its records, by the names of columns and attributes; an invalid one is anything but a dictionary.
        sender: Who sent it.
        have_ids: Whether each record has an id of its own, so that two equal requests cannot be different events.
    """
    if sum(type(record) is not dict for record in records) > MAX_REJECTED:
        raise too_many_invalid()
    rows = build_rows(records, {})
    batch_id = content_id(content, sender.form) if have_ids or _have_times(records, rows) else None
    first = dict(zip(rows.columns, rows.rows[0], strict=True)) if rows.rows else {}
    batch = IncomingBatch(rows.rows, batch_id, sender.client(first), [], [], rows.columns)
    return DecodedBody(batch, rows, len(records), len(content))


def content_id(content: bytes, form: str) -> str:
    """Return a batch id for all requests with this content."""
    return f"{form.lower()}-{hashlib.blake2b(content, digest_size=20).hexdigest()}"


def too_many_invalid() -> Problem:
    """Return the response to a request with more invalid records than a response can list."""
    return Problem(413, f"more than {MAX_REJECTED:,} records are invalid: send less at once")


def _have_times(records: Sequence[Any], rows: BatchRows) -> bool:
    """Return whether each record that becomes a row has a time, and one of them is no whole second."""
    for record in records:
        if type(record) is dict and all(record.get(name) is None for name in TIME_NAMES):
            return False
    return any(row[0] % _SECOND for row in rows.rows)
