"""A segment, one file of a spool: records in lines, each with a checksum, and a journal of what has been sent.

The journal is a file beside the segment. It notes which part of the segment is about to be sent, and when it has been
sent. If the process is killed in between, exactly that part is sent again under the same id, so that a server that has
already stored it does not store it twice.
"""

import contextlib
import os
import re
import zlib
from pathlib import Path
from typing import IO, NamedTuple

from concurrent_log.collector.client.batch import LARGEST_BATCH, OutgoingBatch
from concurrent_log.collector.client.queue.private_file import open_private

_LARGEST_JOURNAL = 64 * 2**20  # bytes

_JOURNAL_LINE = re.compile(rb"(begin|done) (\d+) (\d+)(?: (\d+))?\n\Z|(divide|settle)\n\Z")


class SegmentPart(NamedTuple):
    """A part read from a segment: its start and stop, its good records, and the number of bad ones.

    In a batch that was divided, a record lost since then is an empty one, so that the others keep their places.
    """

    start: int
    stop: int
    logs: list[bytes]
    bad: int


def line_of(content: bytes) -> bytes:
    """Return ``content``, which contains no newline, as a line of a segment."""
    return b"%08x %b\n" % (zlib.crc32(content), content)


def content_of(line: bytes) -> bytes | None:
    """Return the content of a line; None if the line is torn or corrupt."""
    content = line[9:-1]
    return content if line == line_of(content) else None


def _open_file(path: Path) -> IO[bytes]:
    return open(path, "rb", opener=open_private)


def _content(path: Path) -> bytes:
    with _open_file(path) as file:
        return file.read(_LARGEST_JOURNAL)


class SpoolSegment:
    """A file of queued records, and its state.

    Attributes:
        path: The file.
        common: The fields that all its records share, as JSON.
        queued: The number of records that have not been taken.
        end: The end of the written part; None if the whole file is written.
        is_bad: Whether a line is torn or corrupt, so that the file is kept.
    """

    def __init__(self, path: Path, common: bytes, *, position: int, queued: int, end: int | None) -> None:
        self.path = path
        self.common = common
        self.queued = queued
        self.end = end
        self.is_bad = False
        self._journal = path.with_suffix(".sent")
        self._position = position
        self._planned: tuple[int, int] | None = None
        self._steps: list[str] = []
        self._records = 0  # in the planned part
        self._is_journal_complete = False  # about the batch in flight

    @classmethod
    def recover(cls, path: Path, default_common: bytes) -> "SpoolSegment":
        """Return a segment that another process left behind; ``default_common`` replaces a corrupt head."""
        with _open_file(path) as file:
            first = file.readline()
            head = content_of(first)
            common = default_common if head is None else head
            segment = cls(path, common, position=len(first), queued=0, end=None)
            segment.is_bad = head is None and first != b""
            segment._resume(os.fstat(file.fileno()).st_size)
            file.seek(segment._position)
            segment.queued = sum(1 for _ in file)
        return segment

    def _resume(self, size: int) -> None:
        """Continue where the previous process stopped, as the journal says."""
        steps: list[str] = []
        with contextlib.suppress(OSError):
            for line in reversed(_content(self._journal).splitlines(keepends=True)):
                match = _JOURNAL_LINE.match(line)
                if match is not None and match[5] is not None:
                    steps.insert(0, match[5].decode())
                elif match is not None and int(match[2]) <= size:
                    start, stop = int(match[2]), int(match[3])
                    self._position = start
                    self._planned = (start, stop) if match[1] == b"begin" else None
                    self._steps = steps
                    self._records = int(match[4] or 0)
                    return

    def take(self, most: int) -> SegmentPart:
        """Return the next part, and note in the journal that it is about to be sent.

        Raises:
            OSError: The file cannot be read.
        """
        part = self._read(most)
        self._position, self._planned = part.stop, None
        self.is_bad = self.is_bad or part.bad > 0
        if part.logs:
            begin = b"begin %d %d %d\n" % (part.start, part.stop, len(part.logs))
            self._is_journal_complete = bool(self._steps) or self._append_to_journal(begin, os.O_CREAT)
        return part

    def batch(self, part: SegmentPart) -> OutgoingBatch:
        """Return the batch of a part; the same part always has the same id."""
        name = f"{self.path.stem}.{part.start}-{part.stop}"
        batch = OutgoingBatch(name, self.common, part.logs, place=(self, part.stop), note=self._note_step)
        steps, self._steps = self._steps, []
        batch.repeat(steps)
        return batch

    def _note_step(self, step: str) -> None:
        # With an earlier step missing, this one would be read as a step of another part, and records as settled.
        self._is_journal_complete = self._is_journal_complete and self._append_to_journal(f"{step}\n".encode())

    def _read(self, most: int) -> SegmentPart:
        start, end = self._planned or (self._position, self.end)
        logs: list[bytes] = []
        position, size, bad = start, 0, 0
        with _open_file(self.path) as file:
            file.seek(start)
            while self._planned or (len(logs) - bad < most and size < LARGEST_BATCH):
                if (end is not None and position >= end) or not (line := file.readline()):
                    break
                content = content_of(line)
                bad += content is None
                logs.append(content or b"")
                position += len(line)
                size += len(line)
        # A planned part keeps its range, and so its id, even if the end of the file has been lost since.
        return SegmentPart(start, self._planned[1] if self._planned else position, self._align(logs), bad)

    def _align(self, logs: list[bytes]) -> list[bytes]:
        """Return the good records; in a batch that was divided, with an empty one in place of each lost record."""
        if self._steps and len(logs) <= self._records:
            return logs + [b""] * (self._records - len(logs))
        return [content for content in logs if content]

    def settle(self, stop: int) -> None:
        """Note that everything before ``stop`` is settled."""
        self._append_to_journal(b"done %d %d\n" % (stop, stop))

    def finish(self) -> None:
        """Remove the file; rename it to ``.corrupt`` if a line is torn or corrupt."""
        with contextlib.suppress(OSError):
            if self.is_bad:
                self.path.replace(self.path.with_suffix(".corrupt"))
            else:
                self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._journal.unlink(missing_ok=True)

    def _append_to_journal(self, line: bytes, flags: int = 0) -> bool:
        """Return whether the line is written; if not, records may be stored twice after a crash."""
        try:
            fd = open_private(self._journal, os.O_WRONLY | os.O_APPEND | flags)
            try:
                return os.write(fd, line) == len(line)
            finally:
                os.close(fd)
        except OSError:
            return False
