"""Bodies are decompressed in all encodings that the server accepts, within a limit on their size."""

import gzip
import sys
import zlib
from collections.abc import Callable

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.decompression import DECOMPRESSORS, decompress
from concurrent_log.collector.server.ingest.memory_budget import MemoryBudget

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
}
_SIZE = 1 << 20


def _decompress(content: bytes, encoding: str, step: int = 10_000, max_size: int = 2 * _SIZE) -> bytes:
    chunks = [content[start : start + step] for start in range(0, len(content), step)]
    with MemoryBudget(4 * _SIZE, 1).lease() as lease:
        return decompress(chunks, encoding, max_size, lease)


def test_all_encodings_are_tested() -> None:
    """A new encoding needs a function here."""
    assert set(_COMPRESS) == set(DECOMPRESSORS)


@pytest.mark.parametrize("encoding", _COMPRESS)
@pytest.mark.parametrize("step", [1, 1000, 10_000_000])
def test_body_in_chunks_of_any_size(encoding: str, step: int) -> None:
    """The chunks may end anywhere; the output may be larger than a step of the decompression."""
    content = bytes(range(256)) * (_SIZE // 256)

    assert _decompress(_COMPRESS[encoding](content), encoding, step) == content


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_body_of_several_parts(encoding: str) -> None:
    """Several members of gzip, or frames of zstd, are one body."""
    parts = [_COMPRESS[encoding](part) for part in (b"one", b"", b"two" * 100_000)]

    assert _decompress(b"".join(parts), encoding) == b"one" + b"two" * 100_000


@pytest.mark.parametrize("encoding", _COMPRESS)
def test_bomb_is_refused(encoding: str) -> None:
    """A body that becomes a thousand times as large is refused before it takes the memory."""
    with pytest.raises(Problem) as caught:
        _decompress(_COMPRESS[encoding](b"a" * (100 * _SIZE)), encoding)

    assert caught.value.status == 413


@pytest.mark.parametrize("encoding", _COMPRESS)
def test_damaged_body_is_refused(encoding: str) -> None:
    """A body that ends too early, or has another encoding, is invalid."""
    content = _COMPRESS[encoding](bytes(range(256)) * 100)
    for damaged in (content[:-5], b"plain text", b"\xff" * 20 + content[20:]):
        with pytest.raises(Problem) as caught:
            _decompress(damaged, encoding)
        assert caught.value.status == 400


def test_window_of_zstd_is_limited() -> None:
    """A frame that needs a window above 8 MiB is refused: the decoder would keep it in memory."""
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.enable_long_distance_matching: 1}
    compressor = zstd.ZstdCompressor(options=options)
    content = compressor.compress(bytes(1000)) + compressor.flush()

    with pytest.raises(Problem) as caught:
        _decompress(content, "zstd")

    assert caught.value.status == 400
