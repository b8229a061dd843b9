"""Appending to a compressed file: a gzip file may have several members, one after the other (RFC 1952, section 2.2)."""

import errno
import gzip
import os
import zlib

from concurrent_log.files.torn_records import PAGE

_CHUNK = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS


def append_member(path: str, data: bytes) -> None:
    """Append ``data`` to the gzip file ``path`` as one more member; nobody else may append meanwhile.

    Raises:
        OSError: The disk is full, and the file is as it was.
    """
    with open(path, "r+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end % PAGE == 0:
            # Here a process may have been killed while it wrote; what follows half a member cannot be read.
            end = end_of_last_member(path)
            file.truncate(end)
            file.seek(end)
        member = gzip.compress(data)
        if file.write(member) < len(member):
            file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def end_of_last_member(path: str) -> int:
    """Return how many bytes of the gzip file ``path`` are whole members; it is read from beginning to end."""
    end = position = 0
    with open(path, "rb") as file:
        unpacker = zlib.decompressobj(_GZIP)
        while chunk := file.read(_CHUNK):
            position += len(chunk)
            try:
                while chunk:
                    unpacker.decompress(chunk)
                    chunk = unpacker.unused_data
                    if unpacker.eof:
                        end = position - len(chunk)
                        unpacker = zlib.decompressobj(_GZIP)
            except zlib.error:
                break  # something else than a member
    return end
