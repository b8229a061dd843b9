"""Downloads: all records that the filters find, as JSON lines or CSV, with one page in memory at a time."""

import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from concurrent_log.collector.store.columns import COLUMNS
from concurrent_log.collector.store.reader import RecordPage, RecordReader
from concurrent_log.collector.store.sql.filters import Filters

_PAGE_LENGTH = 500
_COLUMNS = ("id", "received_at", *COLUMNS)

# Text that a spreadsheet executes as a formula, also after spaces, and with full-width characters.
_FORMULA = re.compile(r"[\s\0]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# The same where a spreadsheet that separates by semicolons or tabs begins a cell; with few spaces, for linear time.
_INNER_FORMULA = re.compile(r"([;\t\r\n][ \0\"]{0,20})(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


class AccessEnded(Exception):  # noqa: N818 - an administrator ended it
    """The key or session of a request is no longer valid."""


async def pages(
    reader: RecordReader, filters: Filters, newest_first: bool, is_allowed: Callable[[], Awaitable[bool]]
) -> AsyncIterator[RecordPage]:
    """Yield all pages; each is a query of its own, so that a slow client holds no connection to the database.

    Raises:
        AccessEnded: ``is_allowed`` returned False between two pages; then the response must not look complete.
    """
    after = None
    while True:
        page = await reader.find(filters, limit=_PAGE_LENGTH, newest_first=newest_first, after=after)
        yield page
        after = page.next
        if after is None:
            return
        if not await is_allowed():
            raise AccessEnded("the key was revoked, or the session ended, during a download")


async def encode_file(first: RecordPage, more: AsyncIterator[RecordPage], is_csv: bool) -> AsyncIterator[bytes]:
    """Yield the content of the file."""
    encode = csv_rows if is_csv else json_lines
    yield (csv_header() if is_csv else b"") + encode(first)
    async for page in more:
        yield encode(page)


def json_lines(page: RecordPage) -> bytes:
    """Return a line of JSON for each record."""
    return msgspec.json.Encoder().encode_lines(page.records)


def csv_header() -> bytes:
    """Return the row with the names of the columns."""
    return (",".join(_COLUMNS) + "\r\n").encode()


def csv_rows(page: RecordPage) -> bytes:
    """Return a row for each record; an apostrophe precedes what a spreadsheet may take for a formula."""
    table = io.StringIO()
    csv.writer(table).writerows([_cell(record.get(name)) for name in _COLUMNS] for record in page.records)
    return table.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return _INNER_FORMULA.sub(r"\1'", bytes(value).decode())
    if isinstance(value, str):
        found = _FORMULA.match(value)
        begin = value[: found.end()] if found else ""
        return ("'" if found else "") + begin + _INNER_FORMULA.sub(r"\1'", value[len(begin) :])
    return value
