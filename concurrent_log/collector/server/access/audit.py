"""The record about each use of admin rights. It is stored among all other records, and no query can delete it."""

import json
import socket
import time
from typing import Any, Protocol

from concurrent_log.collector.store.columns import AUDIT_LOGGER, LEVELS
from concurrent_log.collector.store.interface import AddResult, IncomingBatch

_SERVICE = "concurrent_log"
_COLUMNS = ("created_at", "level", "level_number", "service", "host", "logger", "message", "attributes")


class AuditStore(Protocol):
    """Stores records."""

    async def add(self, batch: IncomingBatch) -> AddResult:
        """Store ``batch``, and return after the commit."""


async def record_use(store: AuditStore, by: str, action: str, **attributes: Any) -> None:
    """Store the record about an action, before it happens: an action that cannot be recorded must not happen.

    Args:
        store: Where the records are.
        by: Who acts, such as ``key 1f2e3d4c (ops)``.
        action: What happens, such as ``revoked a key``.
        attributes: JSON values, without any secret.
    """
    content = json.dumps({"by": by, **{name: value for name, value in attributes.items() if value not in (None, ())}})
    message = f"{by}: {action}"
    host = socket.gethostname()[:200]
    row = (time.time_ns() // 1000, "INFO", LEVELS["INFO"], _SERVICE, host, AUDIT_LOGGER, message, content)
    await store.add(IncomingBatch([row], columns=_COLUMNS))
