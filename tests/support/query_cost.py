"""The cost of a query, in figures that do not depend on the machine."""

import contextlib
import json
from typing import Any

from concurrent_log.collector.store.interface import Store
from concurrent_log.collector.store.postgres.store import PostgresStore
from concurrent_log.collector.store.sql.dialect import Statement
from concurrent_log.collector.store.sqlite.store import SqliteStore


async def query_cost(store: Store, statement: Statement) -> int:
    """Return the rows that PostgreSQL reads, or the steps of SQLite divided by ten."""
    if isinstance(store, PostgresStore):
        explained = await store.reading.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", *statement.arguments
        )
        return rows_read(json.loads(explained)[0]["Plan"])
    assert isinstance(store, SqliteStore)
    steps: list[None] = []
    with contextlib.closing(store.connect_read_only()) as connection:
        connection.set_progress_handler(lambda: steps.append(None), 10)
        connection.execute(statement.sql, statement.arguments).fetchall()
    return len(steps)


def rows_read(plan: dict[str, Any]) -> int:
    """Return the number of rows that the leaves of a plan returned or filtered out."""
    if "Plans" in plan:
        return sum(rows_read(each) for each in plan["Plans"])
    return int((plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"])
