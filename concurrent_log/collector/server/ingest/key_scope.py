"""Limits a batch to what its key may send: a service, an environment, and ids of its own."""

from collections.abc import Sequence
from dataclasses import replace

from concurrent_log.collector.server.access.identity import Identity
from concurrent_log.collector.server.ingest.batch_rows import BatchRows
from concurrent_log.collector.server.ingest.decoded_body import DecodedBody
from concurrent_log.collector.store.columns import AUDIT_LOGGER
from concurrent_log.collector.store.interface import Client, IncomingBatch
from concurrent_log.collector.store.keys import Key


def limit_records(body: DecodedBody, identity: Identity) -> DecodedBody:
    """Return a body without the records that ``identity`` may not send; they are among the rejected ones."""
    rows = body.rows
    if "admin" not in identity.rights:
        rows = _without_audit(rows)
    key = identity.key
    if key is not None and key.services:
        rows = _bind(rows, "service", key.services[0])
    if key is not None and key.environment is not None:
        rows = _bind(rows, "environment", key.environment)
    return replace(body, rows=rows, batch=replace(body.batch, rows=rows.rows, columns=rows.columns))


def with_own_ids(batch: IncomingBatch, key: Key | None) -> IncomingBatch:
    """Return a batch whose ids, and whose client, are those of the key.

    So a key cannot suppress a batch of others by its id, or overwrite their statistics. Without a key, in particular
    with the server's token, the ids stay as they are.
    """
    if key is None:
        return batch
    return replace(
        batch,
        batch_id=None if batch.batch_id is None else f"{key.id}:{batch.batch_id}",
        part_of=[f"{key.id}:{larger}" for larger in batch.part_of],
        client=_own_client(batch.client, key) if batch.client is not None or batch.losses else None,
    )


def _own_client(client: Client | None, key: Key) -> Client | None:
    """Return the client in the name of the key; losses without a client are also those of the key's service."""
    service, environment = next(iter(key.services), None), key.environment
    if client is None:
        return Client(key.id, key.name, service, environment)
    return replace(
        client,
        id=f"{key.id}:{client.id}",
        service=service or client.service,
        environment=environment or client.environment,
    )


def _bind(rows: BatchRows, column: str, value: str) -> BatchRows:
    """Set a column that has no value, and reject the rows with another value."""
    if not rows.rows:
        return rows
    if column not in rows.columns:
        return replace(rows, columns=[*rows.columns, column], rows=[(*row, value) for row in rows.rows])
    at = rows.columns.index(column)
    found = {row[at] for row in rows.rows}
    if found == {value}:
        return rows
    filled = [row if row[at] else (*row[:at], value, *row[at + 1 :]) for row in rows.rows]
    reasons = [
        None if row[at] == value else f"this key sends for the {column} {value!r} only, not for {row[at][:200]!r}"
        for row in filled
    ]
    return _without(replace(rows, rows=filled), reasons)


def _without_audit(rows: BatchRows) -> BatchRows:
    """Reject records that pretend to be about the use of admin rights."""
    if "logger" not in rows.columns:
        return rows
    at = rows.columns.index("logger")
    reasons = [
        f"only the server itself logs as {AUDIT_LOGGER}" if row[at] == AUDIT_LOGGER else None for row in rows.rows
    ]
    return rows if not any(reasons) else _without(rows, reasons)


def _without(rows: BatchRows, reasons: Sequence[str | None]) -> BatchRows:
    """Return the rows without those that have a reason."""
    rejected = [(index, reason) for index, reason in zip(rows.indices, reasons, strict=True) if reason is not None]
    kept = [(index, row) for index, row, reason in zip(rows.indices, rows.rows, reasons, strict=True) if reason is None]
    return replace(
        rows,
        rows=[row for _, row in kept],
        indices=[index for index, _ in kept],
        rejected=[*rows.rejected, *rejected],
    )
