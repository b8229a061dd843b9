"""structlog and python-json-logger: JSON records that are long or have many lines."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.processes import PROGRAMS, run
from support.record_counter import (
    Record,
    assert_exactly_once,
    assert_in_order,
    assert_whole,
    backups,
    ids,
    read_back,
    source_counts,
)

_PIPE_BUFFER = 65536  # bytes


@pytest.fixture(autouse=True)
def _formatters(require: Callable[[str], None]) -> None:
    require("structlog")
    require("pythonjsonlogger")


def _parse(path: Path) -> list[Record]:
    """Return the records of a file that must contain only whole JSON objects, each followed by a line end."""
    text, decoder = path.read_text("utf-8"), json.JSONDecoder()
    records, place = [], 0
    while place < len(text):
        found, place = decoder.raw_decode(text, place)
        assert text.startswith("\n", place), f"{path.name}: {text[place : place + 100]!r} follows a record"
        place += 1
        record = Record(found["created"], found["process"], found["name"], found["message"], path.name)
        assert_whole(record)
        source, _, number = record.id.rpartition("-")
        assert f"ValueError: {source}\n{number}" in (found.get("exception") or found["exc_info"])
        records.append(record)
    return records


@pytest.mark.parametrize(
    "lines", ["one-line", *(pytest.param(each, marks=pytest.mark.slow) for each in ("many-lines", "background"))]
)
@pytest.mark.parametrize("formatter", ["structlog", "json-logger"])
def test_long_json_records_are_whole(tmp_path: Path, formatter: str, lines: str) -> None:
    """P1, P2: records of up to 100 KB with tracebacks, from three processes, do not mix.

    With "background", a background thread formats them.
    """
    log_file = tmp_path / "app.log"

    output = run(tmp_path, str(PROGRAMS / "json_records.py"), formatter, lines)
    records, counts = read_back(log_file, _parse), source_counts(output)

    assert len(counts) == 3
    assert any(len(record.message) > _PIPE_BUFFER for record in records)
    assert_exactly_once(records, ids(counts))
    assert_in_order(records)
    assert len(backups(log_file)) >= 2
