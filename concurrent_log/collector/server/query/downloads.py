"""All that the filters find, as a file, of which no more than a page is ever held."""

import csv
import io
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from concurrent_log.collector.store import COLUMNS
from concurrent_log.collector.store.reader import Page, Reader
from concurrent_log.collector.store.sql.statements import Filters

_AT_ONCE = 500
_COLUMNS = ("id", "received_at", *COLUMNS)

# A spreadsheet would take such text for a formula, also behind blanks or in the wide letters of East Asia.
_FORMULA = re.compile(r"[\s\0]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


async def pages(reader: Reader, filters: Filters, newest_first: bool) -> AsyncIterator[Page]:
    """Yield all pages; each is a query of its own, so that a slow reader is in nobody's way."""
    after = None
    while True:
        page = await reader.find(filters, limit=_AT_ONCE, newest_first=newest_first, after=after)
        yield page
        after = page.next
        if after is None:
            return


async def as_file(first: Page, more: AsyncIterator[Page], is_csv: bool) -> AsyncIterator[bytes]:
    """Yield the bytes of the first page and those that follow."""
    render = csv_rows if is_csv else ndjson
    yield (csv_head() if is_csv else b"") + render(first)
    async for page in more:
        yield render(page)


def ndjson(page: Page) -> bytes:
    """Return a line of JSON for each record."""
    return msgspec.json.Encoder().encode_lines(page.records)


def csv_head() -> bytes:
    """Return the names of the columns."""
    return (",".join(_COLUMNS) + "\r\n").encode()


def csv_rows(page: Page) -> bytes:
    """Return a row for each record, in which no text is a formula."""
    table = io.StringIO()
    csv.writer(table).writerows([_cell(record.get(name)) for name in _COLUMNS] for record in page.records)
    return table.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return value
