"""The shared state: the bytes at the start of a lock file through which the writers of one log file communicate."""

import os
import struct
import zlib
from typing import NamedTuple

_STATE = struct.Struct(">4sQqQ")
_MAGIC = b"CLF1"
_CHECKSUM = struct.Struct(">I")
STATE_SIZE = _STATE.size + _CHECKSUM.size
_GRANTS = struct.Struct(">QI")
GRANTS_SIZE = _GRANTS.size

_FILE_TIME_LAG = 0.05  # seconds by which the kernel's file times may lag behind time.time()


class State(NamedTuple):
    """The state of one log file.

    Attributes:
        generation: Changes with every rollover.
        start: Start of the current file's period, in seconds since the epoch.
        inode: Inode of the current file. If the file at the log file's path has another one, the state is invalid.
    """

    generation: int
    start: int
    inode: int

    def to_bytes(self) -> bytes:
        """Return the `STATE_SIZE` bytes at the start of the lock file."""
        packed = _STATE.pack(_MAGIC, self.generation, self.start, self.inode)
        return packed + _CHECKSUM.pack(zlib.crc32(packed))

    @classmethod
    def from_bytes(cls, content: bytes) -> "State | None":
        """Return the state at the start of ``content``; None if it is missing, torn or not a state."""
        packed, checksum = content[: _STATE.size], content[_STATE.size : STATE_SIZE]
        if checksum != _CHECKSUM.pack(zlib.crc32(packed)) or packed[:4] != _MAGIC:
            return None
        return cls(*_STATE.unpack(packed)[1:])

    def describes(self, status: os.stat_result) -> bool:
        """Return whether this can be the state of the file with this ``status``."""
        if self.inode != status.st_ino:
            return False
        is_older = status.st_mtime + _FILE_TIME_LAG < self.start <= status.st_ctime
        return not (is_older and status.st_size)


class Grants(NamedTuple):
    """The part of a size-limited log file that is granted to writers.

    Attributes:
        size: Size of the file up to which bytes are granted.
        requests: Number of requests of all writers; from it a writer estimates how many others there are.
    """

    size: int
    requests: int

    def to_bytes(self) -> bytes:
        """Return the `GRANTS_SIZE` bytes that follow the state."""
        return _GRANTS.pack(*self)

    @classmethod
    def from_bytes(cls, content: bytes) -> "Grants | None":
        """Return the grants in ``content``; None if there are none."""
        return cls(*_GRANTS.unpack(content)) if len(content) == GRANTS_SIZE else None
