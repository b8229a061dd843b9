"""Decompresses a request's body, within a limit on its size."""

import zlib

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease

# The encodings that the server accepts, and the `wbits` argument of zlib for each.
WBITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}

_STEP_SIZE = 1 << 18  # bytes that are decompressed in one step
_MAX_MEMBERS = 1000  # of a gzip stream


def decompress(chunks: list[bytes], encoding: str, max_size: int, lease: MemoryLease) -> bytes:
    """Return the decompressed body, which may have several members; raise `Problem`.

    Args:
        chunks: The compressed body; the list is emptied on the way.
        encoding: One of `WBITS`.
        max_size: Maximum number of bytes; no more are decompressed.
        lease: Reserves the memory.
    """
    parts: list[bytes] = []
    size, members, decompressor = 0, 1, zlib.decompressobj(WBITS[encoding])
    chunks.reverse()
    try:
        while chunks:
            chunk, output = chunks.pop(), b""
            while chunk or (len(output) == _STEP_SIZE and not decompressor.eof):
                if decompressor.eof:
                    decompressor, members = zlib.decompressobj(WBITS[encoding]), members + 1
                output = decompressor.decompress(chunk, _STEP_SIZE)
                chunk = decompressor.unconsumed_tail or decompressor.unused_data
                size += len(output)
                if size > max_size or members > _MAX_MEMBERS:
                    raise Problem(413, f"the body has more than {max_size:,} bytes after decompression: send less")
                lease.reserve(len(output))
                parts.append(output)
    except zlib.error as error:
        raise Problem(400, f"the body does not match its Content-Encoding: {error}") from None
    if not decompressor.eof:
        raise Problem(400, "the compressed body ends too early")
    return b"".join(parts)
