"""The bytes in a lock file by which the writers of one log file know of each other."""

import struct
import zlib
from typing import NamedTuple

_STATE = struct.Struct(">4sQqQ")
_MAGIC = b"CLF1"
_CHECKSUM = struct.Struct(">I")
STATE_SIZE = _STATE.size + _CHECKSUM.size
_GRANTS = struct.Struct(">QI")
GRANTS_SIZE = _GRANTS.size


class State(NamedTuple):
    """What the writers of one log file tell each other.

    Attributes:
        generation: Changes with every rollover.
        start: Where the period of the current log file begins, in seconds since the epoch.
        inode: Which file that is; another one at the log file's path makes the state worthless.
    """

    generation: int
    start: int
    inode: int

    def to_bytes(self) -> bytes:
        """Return the `STATE_SIZE` bytes that stand first in the lock file."""
        packed = _STATE.pack(_MAGIC, self.generation, self.start, self.inode)
        return packed + _CHECKSUM.pack(zlib.crc32(packed))

    @classmethod
    def from_bytes(cls, content: bytes) -> "State | None":
        """Return the state that ``content`` begins with, or None where it is lost, torn or somebody else's."""
        packed, checksum = content[: _STATE.size], content[_STATE.size : STATE_SIZE]
        if checksum != _CHECKSUM.pack(zlib.crc32(packed)) or packed[:4] != _MAGIC:
            return None
        return cls(*_STATE.unpack(packed)[1:])


class Grants(NamedTuple):
    """What writers were granted of a log file that has a largest size.

    Attributes:
        granted: Up to which size of the file.
        asked: How often anybody has asked, which tells a writer how many others there are.
    """

    granted: int
    asked: int

    def to_bytes(self) -> bytes:
        """Return the `GRANTS_SIZE` bytes that follow the state."""
        return _GRANTS.pack(*self)

    @classmethod
    def from_bytes(cls, content: bytes) -> "Grants | None":
        """Return the grants in ``content``, or None where there are none."""
        return cls(*_GRANTS.unpack(content)) if len(content) == GRANTS_SIZE else None
