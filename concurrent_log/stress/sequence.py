"""Log lines that can be checked: each contains its thread, its number in the thread, its length and its time.

A writer logs the result of `message`, with a formatter of `FORMAT` and `DATE_FORMAT`. `parse` accepts exactly the lines
that result from it: a line with a byte too few or too many is rejected.
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
    """The source of a record: the number of the writer (one task of one process) and of the thread in it."""

    writer: int
    thread: int


class Entry(NamedTuple):
    """The content of a line: its source, its number there (counted from 0), and its creation time in seconds."""

    source: Source
    number: int
    created: float


def level(number: int) -> int:
    """Return the level of the record ``number`` of a thread: all five levels in turn."""
    return int(logging.getLevelName(_LEVELS[number % 5][0]))


def message(source: Source, number: int) -> str:
    """Return the message of the record ``number`` of ``source``."""
    payload = _payload(number)
    return f"{source.writer} {source.thread} {number} {len(payload)} {payload}"


def parse(line: bytes) -> Entry | None:
    """Return the content of ``line`` without its terminator; None if it is not exactly one whole record."""
    match = _LINE.fullmatch(line.decode("utf-8", "replace"))
    if match is None:
        return None
    number, created = int(match["number"]), float(match["created"])
    fields = match["level"], match["clock"], match["length"], match["payload"]
    payload = _payload(number)
    if fields != (_LEVELS[number % 5][0], _clock(floor(created)), str(len(payload)), payload):
        return None
    return Entry(Source(int(match["writer"]), int(match["thread"])), number, created)


def _payload(number: int) -> str:
    """Return a text whose length in characters and in bytes changes from record to record."""
    return f"{_LEVELS[number % 5][1]}-{number}" + "." * (number * 37 % 101)


@functools.lru_cache(maxsize=1024)
def _clock(second: int) -> str:
    return time.strftime(DATE_FORMAT, time.localtime(second))
