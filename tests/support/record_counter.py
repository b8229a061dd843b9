"""Count the records in the log files of programs: each by its id, in the file of its own period."""

import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

SUFFIX = "%Y-%m-%d_%H-%M-%S"  # of backups with when="S"

_LINE = re.compile(r"(\d+\.\d+(?:e\+\d+)?) (\d+) (\S+) (.*)")
_NUMBERED = re.compile(r"record (\S+) (x*) (\d+)")
_PRINTED = re.compile(r"^(\S+) (\d+)$", re.MULTILINE)
_REQUEST = re.compile(r'.*GET /([^\s"]+)')


class Record(NamedTuple):
    """One line of a log file."""

    created: float
    process: int
    logger: str
    message: str
    file: str

    @property
    def id(self) -> str:
        """The program's id of this record; the path of the request for a record of an access log."""
        match = _NUMBERED.fullmatch(self.message) or _REQUEST.match(self.message)
        return match[1] if match else ""


def assert_all_there(log_file: Path, output: str, sources: int) -> None:
    """Check the log of a program whose output has a line with the number of records for each source."""
    counts = source_counts(output)
    records = read_back(log_file)

    assert len(output.splitlines()) == len(counts) == sources
    assert_exactly_once(records, ids(counts))
    assert_in_order(records)
    assert len(backups(log_file)) >= 2


def source_counts(output: str) -> dict[str, int]:
    """Return the number of records of each source, from the last of its output lines ``SOURCE COUNT``."""
    return {source: int(count) for source, count in _PRINTED.findall(output)}


def ids(counts: Mapping[str, int]) -> set[str]:
    """Return the ids of the first records of each source, as many as ``counts`` says."""
    return {f"{source}-{number}" for source, count in counts.items() for number in range(count)}


def backups(log_file: Path) -> list[Path]:
    """Return the backups of ``log_file``, oldest first."""
    return sorted(log_file.parent.glob(f"{log_file.name}.*"))


def read_back(log_file: Path, parse: "Callable[[Path], list[Record]] | None" = None) -> list[Record]:
    """Return the records of a ``when="S"``, ``utc=True`` log in the order of its files, each of which is parsed.

    Fails if a line is torn or joined with another, if a record is not in the file of the second of its creation,
    or if a second has two files. One process may have been killed in a rollover: that leaves a second backup, no log
    file, or an empty one.
    """
    records = []
    numbered = [path for path in backups(log_file) if path.suffix == ".0001"]
    assert len(numbered) <= 1, f"several seconds have two files: {numbered}"
    for path in backups(log_file):
        in_file = parse(path) if parse else records_of(path)
        seconds = sorted({time.strftime(SUFFIX, time.gmtime(int(record.created))) for record in in_file})
        own = path.name.removeprefix(f"{log_file.name}.").removesuffix(".0001")
        assert seconds == [own], f"{path.name} holds records of {seconds}"
        records += in_file
    newest_backup = max((int(record.created) for record in records), default=-1)
    if log_file.exists() and log_file.stat().st_size:
        current = parse(log_file) if parse else records_of(log_file)
        assert len({int(record.created) for record in current}) == 1, f"{log_file.name} holds several seconds"
        assert int(current[0].created) > newest_backup, f"{log_file.name} and a backup hold one second"
        records += current
    return records


def records_of(path: Path) -> list[Record]:
    """Return the records of one file; fail if a line is not a whole record."""
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n"), f"{path.name} ends with half a record: {text[-100:]!r}"
    records = []
    for line in text.removesuffix("\n").split("\n"):
        match = _LINE.fullmatch(line)
        assert match, f"{path.name} holds a torn record: {line!r}"
        record = Record(float(match[1]), int(match[2]), match[3], match[4], path.name)
        assert_whole(record)
        records.append(record)
    return records


def assert_whole(record: Record) -> None:
    """Check that a record of the logger ``app`` has the length that it contains."""
    if record.logger == "app":
        numbered = _NUMBERED.fullmatch(record.message)
        assert numbered, f"{record.file} holds a torn record: {record.message!r}"
        assert len(numbered[2]) == int(numbered[3]), f"{record.file} holds a torn record: {record.message!r}"


def assert_exactly_once(records: Iterable[Record], expected: Collection[str], possible: Collection[str] = ()) -> None:
    """Check that each ``expected`` id is there once, each ``possible`` one at most once, and no other."""
    counts = Counter(record.id for record in records)
    lost = set(expected) - set(counts)
    duplicated = {name: count for name, count in counts.items() if count > 1}
    unknown = set(counts) - set(expected) - set(possible)

    assert expected, "the program logged nothing"
    assert (len(lost), len(duplicated), len(unknown)) == (0, 0, 0), (
        f"of {len(expected)} records lost {sorted(lost)[:5]}, twice {sorted(duplicated)[:5]}, "
        f"never logged {sorted(unknown)[:5]}"
    )


def assert_in_order(records: Iterable[Record]) -> None:
    """Check that the records of each source, ``SOURCE-0``, ``SOURCE-1`` …, are in the order of logging."""
    newest: dict[str, int] = {}
    for record in records:
        source, _, number = record.id.rpartition("-")
        assert int(number) > newest.get(source, -1), f"{record.id} is after {source}-{newest[source]}"
        newest[source] = int(number)
