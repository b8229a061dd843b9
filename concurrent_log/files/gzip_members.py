"""Append to a gzip file: it may consist of several members (RFC 1952, section 2.2)."""

import errno
import gzip
import os
import zlib

from concurrent_log.files.regular_files import open_regular
from concurrent_log.files.torn_records import PAGE_SIZE

_CHUNK = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS


def append_member(path: str, data: bytes) -> None:
    """Append ``data`` to the gzip file ``path`` as another member; the caller holds the exclusive lock.

    Raises:
        OSError: The disk is full, and the file is unchanged; or it is not a regular file.
    """
    with open(open_regular(path, os.O_RDWR), "r+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end % PAGE_SIZE == 0:
            # A process may have been killed while it wrote up to here; nothing after half a member can be read.
            end = end_of_last_member(path)
            file.truncate(end)
            file.seek(end)
        member = gzip.compress(data)
        if file.write(member) < len(member):
            file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def end_of_last_member(path: str) -> int:
    """Return the number of bytes of the whole members of the gzip file ``path``; it reads the whole file."""
    end = position = 0
    with open(open_regular(path, os.O_RDONLY), "rb") as file:
        unpacker = zlib.decompressobj(_GZIP)
        while chunk := file.read(_CHUNK):
            position += len(chunk)
            try:
                while chunk:
                    unpacker.decompress(chunk, _CHUNK)  # no more at once: little can become very much
                    chunk = unpacker.unconsumed_tail
                    if unpacker.eof:
                        chunk = unpacker.unused_data
                        end = position - len(chunk)
                        unpacker = zlib.decompressobj(_GZIP)
            except zlib.error:
                break  # not a member
    return end
