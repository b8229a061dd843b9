"""Records that are written in batches, or one by one through overridden methods."""

import logging
import pathlib
from typing import Any

import pytest

from concurrent_log import ConcurrentTimedRotatingFileHandler
from support.background_handlers import Create
from support.records import DAY, HOUR, TEN, Watched, all_lines, files, lines, record, write


@pytest.mark.parametrize("method", ["emit", "handle"])
def test_subclass_of_a_file_handler_gets_one_record_at_a_time(
    create: Create, tmp_path: pathlib.Path, method: str
) -> None:
    """P6: overridden methods are called, as without the queue."""

    def count(self: Any, record: logging.LogRecord) -> Any:
        seen.append(record.getMessage())
        return getattr(ConcurrentTimedRotatingFileHandler, method)(self, record)

    seen: list[str] = []
    own: Any = type("Own", (ConcurrentTimedRotatingFileHandler,), {method: count})
    handler = create(own(tmp_path / "app.log"))
    for number in range(3):
        write(handler, str(number))
    handler.flush()

    assert lines(tmp_path / "app.log") == seen == list("012")


def test_batch_gives_the_same_files_as_single_records(tmp_path: pathlib.Path) -> None:
    """P1, P2: with creation times in any order, in several periods."""
    moments = [TEN, TEN + 1, TEN + 1.5, TEN + HOUR, TEN, TEN + HOUR + 1, TEN + DAY, TEN + HOUR, TEN + DAY + 0.5]
    folders = [tmp_path / "one", tmp_path / "many"]
    for folder in folders:
        handler = Watched(folder / "app.log", when="H", utc=True)
        records = [record(f"{number}", moment) for number, moment in enumerate(moments)]
        if folder.name == "many":
            handler.emit_batch(records)
        else:
            for each in records:
                handler.handle(each)
        assert handler.problems == []
        handler.close()

    assert files(folders[1]) == files(folders[0])
    assert len(all_lines(folders[1])) == len(moments)


@pytest.mark.parametrize("options", [{}, {"keep_file_open": False}, {"encoding": "utf-16"}])
def test_invalid_record_in_a_batch_does_not_affect_the_others(tmp_path: pathlib.Path, options: dict[str, Any]) -> None:
    """P4: a record that cannot be formatted is reported."""
    handler = Watched(tmp_path / "app.log", **options)
    records = [record("%d" if number == 3 else f"{number}") for number in range(300)]
    records[3].args = ("x",)
    handler.emit_batch(records)
    handler.close()

    text = (tmp_path / "app.log").read_text(encoding=options.get("encoding", "utf-8"))
    assert text.splitlines() == [str(number) for number in range(300) if number != 3]
    assert [type(problem) for problem in handler.problems] == [TypeError]
