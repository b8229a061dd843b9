"""The shared data of a round's processes: the journal of their logging calls, and their clock.

Both are files that all processes map into memory, so that the entries of a killed process remain.
"""

import mmap
import struct
import time
from collections.abc import Iterator

from concurrent_log.stress.sequence import Source

UNUSED, BEGUN, RETURNED, REPORTED, INTERRUPTED = range(5)

FAMILY = 5  # rows of a worker: its own, and one for each forked child
ROWS = 40 * FAMILY
LONGEST = 30_000  # records of one thread
_DOUBLE = struct.Struct("d")


class Journal:
    """The state and the start time of each logging call: a byte and a double for each number of each thread.

    The states are `BEGUN` before the call, `RETURNED` after it, `REPORTED` if the handler reported a failure of it, and
    `INTERRUPTED` if it raised an exception that the test caused. A row is one process; after the columns of its threads
    there is one for the records of its signal handlers.
    """

    def __init__(self, path: str, threads: int) -> None:
        self.threads = threads
        self._width = (threads + 1) * LONGEST
        self._cells = _mapped(path, ROWS * self._width + 1)
        self._times = _mapped(f"{path}-times", ROWS * self._width * _DOUBLE.size)

    def end(self) -> None:
        """Tell the workers to stop."""
        self._cells[-1] = 1

    def has_ended(self) -> bool:
        """Return whether the workers must stop."""
        return bool(self._cells[-1])

    def begin(self, source: Source, number: int) -> None:
        """Record that a call begins now."""
        cell = self._first_cell(source) + number
        _DOUBLE.pack_into(self._times, cell * _DOUBLE.size, time.time())
        self._cells[cell] = BEGUN

    def begun(self, source: Source, number: int) -> float:
        """Return the start of that call, in the workers' time; 0 if it never started."""
        (moment,) = _DOUBLE.unpack_from(self._times, (self._first_cell(source) + number) * _DOUBLE.size)
        return float(moment)

    def mark(self, source: Source, number: int, state: int) -> None:
        """Record the state of one call."""
        self._cells[self._first_cell(source) + number] = state

    def acknowledge(self, source: Source, number: int) -> None:
        """Record that the call returned, unless the handler reported that it failed."""
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
    """The clock of all workers of a round, with the speed of the round and with steps.

    A clock other than the real one stays in the past, so that no file time is behind it.
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
        """Set the clock forward, or back if ``seconds`` is negative."""
        (offset,) = _DOUBLE.unpack_from(self._cells)
        _DOUBLE.pack_into(self._cells, 0, offset + seconds)

    def install(self) -> None:
        """Use it as the clock of this process."""
        time.time = self.now
        time.time_ns = lambda: int(self.now() * 1e9)


def _mapped(path: str, size: int) -> mmap.mmap:
    with open(path, "ab+") as file:
        file.truncate(size)
        return mmap.mmap(file.fileno(), size)
