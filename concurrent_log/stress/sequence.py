"""Log lines that can be checked: each says which thread wrote it, its number there, its length and its time.

`message` is what a writer logs, with a formatter made of `FORMAT` and `DATE_FORMAT`; `parse` recognises the line
that must have come out, and nothing else. A line that lacks a byte or has one too many is no such line.
"""

import functools
import logging
import re
import time
from math import floor
from typing import NamedTuple

FORMAT = (
    "%(asctime)s - %(process)d-%(threadName)s - %(module)s[line:%(lineno)d] - %(levelname)s: %(created)r %(message)s"
)
DATE_FORMAT = "%Y-%m-%d %H:%M:%S"

_LEVELS = ("DEBUG", "debug"), ("INFO", "info"), ("WARNING", "警告"), ("ERROR", "报错"), ("CRITICAL", "严重")
_LINE = re.compile(
    r"(?P<clock>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) - \d+-\S+ - \w+\[line:\d+\] - "
    r"(?P<level>[A-Z]+): (?P<created>\d+\.\d+) "
    r"(?P<writer>\d+) (?P<thread>\d+) (?P<number>\d+) (?P<length>\d+) (?P<payload>.*)"
)


class Source(NamedTuple):
    """Where a record came from: the number of the writer (one task of one process) and of the thread in it."""

    writer: int
    thread: int


class Entry(NamedTuple):
    """What a whole line says: its source, its number there (counted from 0), its creation in seconds."""

    source: Source
    number: int
    created: float


def level(number: int) -> int:
    """Return the level at which to log the record ``number`` of a thread: all five in turn."""
    return int(logging.getLevelName(_LEVELS[number % 5][0]))


def message(source: Source, number: int) -> str:
    """Return the message of the record ``number`` of ``source``."""
    payload = _payload(number)
    return f"{source.writer} {source.thread} {number} {len(payload)} {payload}"


def parse(line: bytes) -> Entry | None:
    """Return what ``line``, without its terminator, says; None where it is not exactly one whole record."""
    match = _LINE.fullmatch(line.decode("utf-8", "replace"))
    if match is None:
        return None
    number, created = int(match["number"]), float(match["created"])
    said = match["level"], match["clock"], match["length"], match["payload"]
    payload = _payload(number)
    if said != (_LEVELS[number % 5][0], _clock(floor(created)), str(len(payload)), payload):
        return None
    return Entry(Source(int(match["writer"]), int(match["thread"])), number, created)


def _payload(number: int) -> str:
    """Return text whose length, in characters and in bytes, changes from record to record."""
    return f"{_LEVELS[number % 5][1]}-{number}" + "." * (number * 37 % 101)


@functools.lru_cache(maxsize=1024)
def _clock(second: int) -> str:
    return time.strftime(DATE_FORMAT, time.localtime(second))
