"""Retention: removes records that are older than a number of days.

Each store does the removal itself: SQLite in ``store/sqlite/store.py``, PostgreSQL in ``store/postgres/partitions.py``.
"""

from datetime import datetime, timedelta, timezone

from concurrent_log.collector.store.interface import Store


async def remove_expired_records(store: Store, days: int) -> int:
    """Remove records from before the day that is ``days`` ago, in UTC; return their number."""
    today = datetime.now(timezone.utc).date()
    return await store.remove_before(today - timedelta(days=days))
