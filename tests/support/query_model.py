"""A model of queries in plain Python: random records, and the filters as a loop over them."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from concurrent_log.collector.store.columns import COLUMNS, FLOATS, INTEGERS, LEVELS, RecordRow
from concurrent_log.collector.store.factory import create_reader, create_store
from concurrent_log.collector.store.interface import IncomingBatch
from concurrent_log.collector.store.reader import RecordReader
from concurrent_log.collector.store.sql.filters import Comparison, Filters
from support.expression_model import is_true

BEGIN = 1_768_200_000_000_000  # microseconds: a Monday in January 2026, shortly before noon
SPAN = 3 * 86_400_000_000

SERVICES = ["shop", "Shop", "payments", "", "ö'; --", None]
ENVIRONMENTS = ["production", "staging", None]
HOSTS = ["web-1", "web-2", "web_1", None]
TRACES = ["4bf92f3577b34da6a3ce929d0e0e4736", "t", None]
WORDS = ["order", "ORDER", "100%", "a_b", "axb", "back\\slash", "'", "K", "\u212a"]
WORDS += ["Ärger", "ärger", "ΣΊΣΥΦΟΣ", "σίσυφος", "ЖУК", "жук", "日本"]
KEYS = ["customer", "http.method", "n", 'k"ey', "ключ", "a\\b", "", "service.x"]
VALUES = ["Ada", "1", "3", "3.0", "0.1", "true", "null", "", "-7", "1e3", "[1]", "Ä", "9223372036854775808"]
SCALARS = [*VALUES, 3, 3.0, 0.1, -7, 1000, True, False, None, 2**63, [1], {"method": "GET"}, {"x": {"y": 3}}]

_MISSING = object()


def row(**values: Any) -> RecordRow:
    """Return a row with ``values``, and defaults for the required columns."""
    given = {"created_at": BEGIN, "level": "INFO", **values}
    given["level_number"] = LEVELS[given["level"]]
    return tuple(given.get(name) for name in COLUMNS)


def with_reader(database: str, rows: list[RecordRow], test: Callable[[RecordReader], Awaitable[None]]) -> None:
    """Run ``test`` with a reader of a store that contains ``rows``."""

    async def run() -> None:
        store = create_store(database)
        await store.open()
        reader = create_reader(store)
        try:
            await reader.prepare()
            await store.add(IncomingBatch(rows))
            await test(reader)
        finally:
            await reader.close()
            await store.close()

    asyncio.run(run())


def rows(count: int, seed: int = 1) -> list[RecordRow]:
    """Return random rows; many have the same time."""
    rng = random.Random(seed)
    return [_row(rng) for _ in range(count)]


def _row(rng: random.Random) -> RecordRow:
    level = rng.choice(list(LEVELS))
    attributes = {rng.choice(KEYS): rng.choice(SCALARS) for _ in range(rng.randrange(4))}
    if rng.random() < 0.3:
        attributes["http"] = {"method": rng.choice(SCALARS)}
    return row(
        created_at=BEGIN + rng.randrange(300) * SPAN // 300,
        level=level,
        service=rng.choice(SERVICES),
        environment=rng.choice(ENVIRONMENTS),
        host=rng.choice(HOSTS),
        process_id=rng.choice([1, 2, None]),
        trace_id=rng.choice(TRACES),
        error_type=rng.choice([None, None, "KeyError"]),
        stack_trace=rng.choice([None, "Traceback\n  order"]),
        duration_ms=rng.choice([None, 0.5, 12.0, 1e300]),
        line_number=rng.choice([None, 3, 2**40]),
        message=" ".join(rng.choices(WORDS, k=rng.randrange(4))),
        attributes=json.dumps(attributes) if attributes else None,
    )


def matches(filters: Filters, row: RecordRow) -> bool:
    """Return whether a row matches the filters."""
    record = dict(zip(COLUMNS, row, strict=True))
    return (
        (filters.since is None or record["created_at"] >= filters.since)
        and (filters.until is None or record["created_at"] < filters.until)
        and (filters.level is None or record["level_number"] >= filters.level)
        and all(
            not wanted or record[name] in wanted
            for name, wanted in [
                ("service", filters.service),
                ("environment", filters.environment),
                ("host", filters.host),
                ("trace_id", () if filters.trace_id is None else (filters.trace_id,)),
            ]
        )
        and all(_compare(record, comparison) for comparison in filters.where)
        and (filters.expression is None or is_true(filters.expression, record))
    )


def _compare(record: dict[str, Any], comparison: Comparison) -> bool:
    if comparison.key in record and comparison.key != "attributes":
        found = _column_is(comparison.key, record[comparison.key], comparison.value)
    else:
        found = _attribute_is(json.loads(record["attributes"] or "{}"), comparison.key, comparison.value)
    return found is comparison.is_equal


def _column_is(name: str, value: Any, wanted: str) -> bool:
    if wanted == "":
        return value is None or value == ""
    if name in INTEGERS | FLOATS:
        number = _scalar(wanted)
        is_number = isinstance(number, int if name in INTEGERS else (int, float)) and not isinstance(number, bool)
        return value is not None and is_number and value == number
    return bool(value == wanted)


def _attribute_is(attributes: dict[str, Any], key: str, wanted: str) -> bool:
    found = [_at(attributes, path) for path in ([key], key.split("."))]
    if wanted == "":
        return all(value in (_MISSING, None, "") for value in found if not isinstance(value, (list, dict))) and not any(
            isinstance(value, (list, dict)) for value in found
        )
    return any(_same(value, each) for value in found for each in (wanted, _scalar(wanted)))


def _at(value: Any, path: Sequence[str]) -> Any:
    for name in path:
        value = value.get(name, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return value == wanted and not isinstance(value, (list, dict))


def _scalar(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, (list, dict, str)) else value
