"""One file of a spool: records in lines, each with a checksum, and how far they have been sent.

Beside a segment is a journal, to which is written which part of the segment is about to be sent, and that it was.
What was about to be sent when the process was killed is sent again as exactly that part, and so under the same id: a
server that has it stores it once.
"""

import contextlib
import os
import re
import zlib
from pathlib import Path
from typing import NamedTuple

from concurrent_log.collector.client.batch import LARGEST_BATCH, Batch

_STEP = re.compile(rb"(begin|done) (\d+) (\d+)(?: (\d+))?\n\Z|(divide|settle)\n\Z")


class Part(NamedTuple):
    """What was read of a segment: from where to where, the good records, and how many bad ones.

    Of a batch that was divided, what was lost since is an empty record, so that the others keep their places.
    """

    start: int
    stop: int
    logs: list[bytes]
    bad: int


def line_of(content: bytes) -> bytes:
    """Return ``content``, in which there is no newline, as a line of a segment."""
    return b"%08x %b\n" % (zlib.crc32(content), content)


def content_of(line: bytes) -> bytes | None:
    """Return what a line has; None where it is torn or corrupt."""
    content = line[9:-1]
    return content if line == line_of(content) else None


class Segment:
    """A file of records that wait, and what is known of it.

    Attributes:
        path: The file.
        common: What holds for its records, as JSON.
        waiting: How many records nobody has taken.
        end: Up to where it is written; None for all there is.
        is_bad: Whether something in it is torn or corrupt, so that it is kept.
    """

    def __init__(self, path: Path, common: bytes, *, position: int, waiting: int, end: int | None) -> None:
        self.path = path
        self.common = common
        self.waiting = waiting
        self.end = end
        self.is_bad = False
        self._journal = path.with_suffix(".sent")
        self._position = position
        self._planned: tuple[int, int] | None = None
        self._steps: list[str] = []
        self._records = 0  # in what was planned
        self._is_noted = False  # whether the journal has all about what is on its way

    @classmethod
    def found(cls, path: Path, unknown: bytes) -> "Segment":
        """Return a segment that a process left behind; where its head is lost, ``unknown`` is what is common."""
        with path.open("rb") as file:
            first = file.readline()
            head = content_of(first)
            made = cls(path, unknown if head is None else head, position=len(first), waiting=0, end=None)
            made.is_bad = head is None and first != b""
            made._resume(os.fstat(file.fileno()).st_size)
            file.seek(made._position)
            made.waiting = sum(1 for _ in file)
        return made

    def _resume(self, size: int) -> None:
        """Go on where the process before was."""
        steps: list[str] = []
        with contextlib.suppress(OSError):
            for line in reversed(self._journal.read_bytes().splitlines(keepends=True)):
                found = _STEP.match(line)
                if found is not None and found[5] is not None:
                    steps.insert(0, found[5].decode())
                elif found is not None and int(found[2]) <= size:
                    start, stop = int(found[2]), int(found[3])
                    self._position = start
                    self._planned = (start, stop) if found[1] == b"begin" else None
                    self._steps = steps
                    self._records = int(found[4] or 0)
                    return

    def take(self, most: int) -> Part:
        """Return what comes next, and write into the journal that it is about to be sent.

        Raises:
            OSError: The file cannot be read.
        """
        part = self._read(most)
        self._position, self._planned = part.stop, None
        self.is_bad = self.is_bad or part.bad > 0
        if part.logs:
            begin = b"begin %d %d %d\n" % (part.start, part.stop, len(part.logs))
            self._is_noted = bool(self._steps) or self._note(begin, os.O_CREAT)
        return part

    def batch(self, part: Part) -> Batch:
        """Return the batch of what was taken; its id is always the same."""
        name = f"{self.path.stem}.{part.start}-{part.stop}"
        batch = Batch(name, self.common, part.logs, place=(self, part.stop), note=self._note_step)
        steps, self._steps = self._steps, []
        batch.repeat(steps)
        return batch

    def _note_step(self, step: str) -> None:
        # Without those before it, a step would be taken for one of another part, and records for settled.
        self._is_noted = self._is_noted and self._note(f"{step}\n".encode())

    def _read(self, most: int) -> Part:
        start, end = self._planned or (self._position, self.end)
        logs: list[bytes] = []
        position, size, bad = start, 0, 0
        with self.path.open("rb") as file:
            file.seek(start)
            while self._planned or (len(logs) - bad < most and size < LARGEST_BATCH):
                if (end is not None and position >= end) or not (line := file.readline()):
                    break
                content = content_of(line)
                bad += content is None
                logs.append(content or b"")
                position += len(line)
                size += len(line)
        # What was planned keeps its name, and so its id, even where the end of the file was lost since.
        return Part(start, self._planned[1] if self._planned else position, self._aligned(logs), bad)

    def _aligned(self, logs: list[bytes]) -> list[bytes]:
        """Return the good records; in a batch that was divided, each in its place, with nothing where one was lost."""
        if self._steps and len(logs) <= self._records:
            return logs + [b""] * (self._records - len(logs))
        return [content for content in logs if content]

    def settle(self, stop: int) -> None:
        """Remember that everything before ``stop`` is settled."""
        self._note(b"done %d %d\n" % (stop, stop))

    def finish(self) -> None:
        """Remove the file, or set it aside where something in it is torn or corrupt."""
        with contextlib.suppress(OSError):
            if self.is_bad:
                self.path.replace(self.path.with_suffix(".corrupt"))
            else:
                self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._journal.unlink(missing_ok=True)

    def _note(self, line: bytes, flags: int = 0) -> bool:
        """Write into the journal, and return whether it is there; if not, something may be sent twice after a crash."""
        try:
            fd = os.open(self._journal, os.O_WRONLY | os.O_APPEND | flags, 0o600)
            try:
                return os.write(fd, line) == len(line)
            finally:
                os.close(fd)
        except OSError:
            return False
