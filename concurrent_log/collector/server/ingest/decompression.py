"""Decompresses a request's body, within a limit on its size."""

import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import cramjam

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_STEP_SIZE = 1 << 18  # bytes that are decompressed in one step
_MAX_MEMBERS = 1000  # of a gzip stream, or frames of zstd
_WINDOW_LOG = 23  # The decoder of zstd keeps up to 8 MiB of its output in memory, as RFC 9659 asks for.


class _ZstdDecompressor:
    """A decompressor of zstd with the interface of zlib's."""

    unconsumed_tail = b""  # It keeps its input itself.

    def __init__(self) -> None:
        self._inner = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})

    def decompress(self, content: bytes, max_length: int) -> bytes:
        """Return at most ``max_length`` bytes."""
        return self._inner.decompress(content, max_length)

    @property
    def eof(self) -> bool:
        """Whether the frame is complete."""
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        """The bytes behind the frame."""
        return self._inner.unused_data if self._inner.eof else b""


# The encodings that the server accepts, with a function for each that returns a decompressor.
DECOMPRESSORS: Mapping[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(31),
    "x-gzip": lambda: zlib.decompressobj(31),
    "deflate": lambda: zlib.decompressobj(15),
    "zstd": _ZstdDecompressor,
}

ENCODINGS = frozenset({*DECOMPRESSORS, "snappy"})


def decompress(chunks: list[bytes], encoding: str, max_size: int, lease: MemoryLease) -> bytes:
    """Return the decompressed body, which may have several members; raise `Problem`.

    Args:
        chunks: The compressed body; the list is emptied on the way.
        encoding: One of `ENCODINGS`.
        max_size: Maximum number of bytes; no more are decompressed.
        lease: Reserves the memory.
    """
    if encoding == "snappy":
        return _decompress_snappy(chunks, max_size, lease)
    parts: list[bytes] = []
    create = DECOMPRESSORS[encoding]
    size, members, decompressor = 0, 1, create()
    chunks.reverse()
    try:
        while chunks:
            chunk, output = chunks.pop(), b""
            while chunk or (len(output) == _STEP_SIZE and not decompressor.eof):
                if decompressor.eof:
                    decompressor, members = create(), members + 1
                output = decompressor.decompress(chunk, _STEP_SIZE)
                chunk = decompressor.unconsumed_tail or decompressor.unused_data
                size += len(output)
                if size > max_size or members > _MAX_MEMBERS:
                    raise _too_large(max_size)
                lease.reserve(len(output))
                parts.append(output)
    except (zlib.error, zstd.ZstdError) as error:
        raise Problem(400, f"the body does not match its Content-Encoding: {error}") from None
    if not decompressor.eof:
        raise Problem(400, "the compressed body ends too early")
    return b"".join(parts)


def _decompress_snappy(chunks: list[bytes], max_size: int, lease: MemoryLease) -> bytes:
    """Return a body in the block format of snappy, which begins with the size after decompression."""
    lease.reserve(sum(map(len, chunks)))
    content = b"".join(chunks)
    chunks.clear()
    try:
        size = cramjam.snappy.decompress_raw_len(content)
        if size > max_size:
            raise _too_large(max_size)
        lease.reserve(2 * size)
        return bytes(cramjam.snappy.decompress_raw(content))
    except cramjam.DecompressionError as error:
        raise Problem(400, f"the body is not compressed with snappy: {error}") from None


def _too_large(max_size: int) -> Problem:
    return Problem(413, f"the body has more than {max_size:,} bytes after decompression: send less")
