"""What the processes of a round share: the journal of their logging calls, and their clock.

Both are files that all of them map into memory, so that what a process noted stays when it is killed.
"""

import mmap
import struct
import time
from collections.abc import Iterator

from concurrent_log.stress.sequence import Source

UNUSED, BEGUN, RETURNED, REPORTED, INTERRUPTED = range(5)

FAMILY = 5  # rows of a worker: its own, and one for each child that it forks
ROWS = 40 * FAMILY
LONGEST = 30_000  # records of one thread
_DOUBLE = struct.Struct("d")


class Journal:
    """What became of each logging call, and when it began: a byte and a double for each number of each thread.

    The states are `BEGUN` before the call, `RETURNED` after it, `REPORTED` where the handler reported that it may
    have failed, and `INTERRUPTED` where an exception came out that we raised. A row is one process; after its
    threads' columns comes one for the records of its signal handlers.
    """

    def __init__(self, path: str, threads: int) -> None:
        self.threads = threads
        self._width = (threads + 1) * LONGEST
        self._cells = _mapped(path, ROWS * self._width + 1)
        self._times = _mapped(f"{path}-times", ROWS * self._width * _DOUBLE.size)

    def end(self) -> None:
        """Tell the workers to end."""
        self._cells[-1] = 1

    def has_ended(self) -> bool:
        """Return whether the workers are to end."""
        return bool(self._cells[-1])

    def begin(self, source: Source, number: int) -> None:
        """Note that a call begins, now."""
        cell = self._first_cell(source) + number
        _DOUBLE.pack_into(self._times, cell * _DOUBLE.size, time.time())
        self._cells[cell] = BEGUN

    def begun(self, source: Source, number: int) -> float:
        """Return when that call began, in the workers' time; 0 for one that did not."""
        (moment,) = _DOUBLE.unpack_from(self._times, (self._first_cell(source) + number) * _DOUBLE.size)
        return float(moment)

    def mark(self, source: Source, number: int, state: int) -> None:
        """Note the state of one call."""
        self._cells[self._first_cell(source) + number] = state

    def acknowledge(self, source: Source, number: int) -> None:
        """Note that the call returned, unless the handler reported that it failed."""
        if self.states(source)[number] == BEGUN:
            self.mark(source, number, RETURNED)

    def states(self, source: Source) -> memoryview:
        """Return the states of all calls of one thread."""
        start = self._first_cell(source)
        return memoryview(self._cells)[start : start + LONGEST]

    def is_nested(self, source: Source) -> bool:
        """Return whether the records of ``source`` were logged by signal handlers."""
        return source.thread == self.threads

    def used(self) -> Iterator[tuple[Source, bytes]]:
        """Yield each thread that logged, and the states of its calls, up to the last one that began."""
        for row in range(ROWS):
            for thread in range(self.threads + 1):
                states = bytes(self.states(Source(row, thread))).rstrip(b"\0")
                if states:
                    yield Source(row, thread), states

    def _first_cell(self, source: Source) -> int:
        return source.writer * self._width + source.thread * LONGEST


class Clock:
    """The clock of all workers of a round: as fast as the round says, and stepped by hand.

    A clock that is not the real one stays in the past, so that no file's time is behind it.
    """

    def __init__(self, path: str, begin: float, speed: float) -> None:
        self._cells = _mapped(path, _DOUBLE.size)
        self._begin, self._speed = begin, speed
        self._origin = begin if speed == 1 else begin - 120 * speed - 100 * 86400
        self._real, self._real_ns = time.time, time.time_ns

    def now(self) -> float:
        """Return the workers' time."""
        (offset,) = _DOUBLE.unpack_from(self._cells)
        return self._origin + (self._real() - self._begin) * self._speed + float(offset)

    def step(self, seconds: float) -> None:
        """Set the clock forward, or back where that is negative."""
        (offset,) = _DOUBLE.unpack_from(self._cells)
        _DOUBLE.pack_into(self._cells, 0, offset + seconds)

    def install(self) -> None:
        """Make it the clock of this process."""
        time.time = self.now
        time.time_ns = lambda: int(self.now() * 1e9)


def _mapped(path: str, size: int) -> mmap.mmap:
    with open(path, "ab+") as file:
        file.truncate(size)
        return mmap.mmap(file.fileno(), size)
